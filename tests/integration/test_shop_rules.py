# SPDX-License-Identifier: Apache-2.0
"""Rules of shops, from the file to the payout: every payout of two windows recomputed in Python."""
import csv
import datetime
import random
import unittest

from scenario import Scenario, item

import payout_model
from payout_model import Item, Rule, decimal_of

RULES = "shop_user_id,rule,value,currency,from,until"
WINDOWS = ("2026-W45", "2026-W46")
CURRENCIES = ("SGD", "JPY", "TWD", "KWD")
ZONE = datetime.timezone(datetime.timedelta(hours=8))    # of SG and MY
SHOPS = [880000000001 + number for number in range(40)]


def end_of(window):
    year, week = window.split("-W")
    monday = datetime.date.fromisocalendar(int(year), int(week), 1) + datetime.timedelta(days=7)
    return int(datetime.datetime.combine(monday, datetime.time(), ZONE).timestamp() * 1000)


def time_of(ms):
    return "" if ms is None else datetime.datetime.fromtimestamp(ms / 1000, ZONE).isoformat()


class ShopRules(Scenario):
    def setUp(self):
        self.rng = random.Random(2645)

    # ---- a random file of rules, and the same as the model knows it

    def random_rule(self):
        """Some begin or end exactly where a window does."""
        rng, border = self.rng, end_of(WINDOWS[0])
        since, until = rng.choice(((None, None), (None, None), (border, None), (None, border), (border - 1, None),
                                   (border - 7 * 86400_000, border), (border + 5000, border + 9000)))
        name = rng.choice(("hold", "minimum_payout", "commission_percent"))
        currency = rng.choice(("", *CURRENCIES))
        if name == "hold":
            number, value = rng.choice(((1, "yes"), (0, "no")))
        elif name == "minimum_payout":
            number = rng.choice((0, 1, 5_000, 10 ** 7))
            value = decimal_of(number, currency or "SGD")
        else:
            number = rng.choice((0, 1, 25_000, 123_456, 1_000_000))
            value = f"{number // 10_000}.{number % 10_000:04d}" if number % 10_000 else str(number // 10_000)
        rule = Rule(rng.choice(SHOPS), name, number, currency or ("SGD" if name == "minimum_payout" else ""), since, until)
        return rule, f"{rule.shop},{name},{value},{currency},{time_of(since)},{time_of(until)}"

    def rules_file(self, rows):
        """(path, rules that it brings in order, verdicts): good rows, repetitions of all sorts, and bad rows."""
        lines, rules, verdicts, seen = [], [], {"ok": 0, "bad_row": 0, "duplicate_in_file": 0}, set()
        for _ in range(rows):
            rule, line = self.random_rule()
            key = rule.shop, rule.name, rule.currency, rule.since, rule.until
            if self.rng.random() < 0.1:
                line = self.rng.choice(("0,hold,yes,,,", "7,hold,maybe,,,", "7,minimum_payout,1.001,SGD,,", "7,hold,yes,XYZ,,",
                                        "7,commission_percent,101,,,", "7,hold,yes,,never,", "7,hold"))
                verdicts["bad_row"] += 1
            elif key in seen:
                verdicts["duplicate_in_file"] += 1
            else:
                verdicts["ok"] += 1
                seen.add(key)
                rules.append(rule)
            lines.append(line)
        return self.file("\n".join((RULES, *lines)) + "\n"), rules, {name: count for name, count in verdicts.items() if count}

    def random_items(self, number, first):
        return [Item(self.rng.choice(SHOPS), first + i, self.rng.choice(("order", "order", "refund", "fee", "voucher")),
                     self.rng.choice((-1, 1, 1, 1)) * self.rng.randrange(200_000), self.rng.choice(CURRENCIES))
                for i in range(number)]

    def upload_items(self, items, region, at):
        self.upload(self.items_file(*(item(one.shop, f"o{one.id}", one.kind, decimal_of(one.minor, one.currency), one.currency,
                                           at, one.id) for one in items)), region=region)

    def assert_run(self, region, window, expected):
        run = self.pay(region, window)
        self.assertTrue(run["balanced"])
        payouts = self.kontor.lines("payout", "list", "--region", region, "--window", window)
        self.assertEqual(payout_model.differences(payouts, expected), [])
        control = self.kontor.lines("payout", "control", "--region", region, "--window", window)
        self.assertEqual(payout_model.control_differences(control, expected), [])
        return run

    # ---- tests

    def test_every_payout_follows_the_rules_of_its_windows_last_instant(self):
        model = payout_model.Region()
        path, rules, verdicts = self.rules_file(400)
        answer = self.upload(path, kind="shop-rules")
        self.assertVerdicts(answer, **verdicts)
        self.assertEqual(answer["state"], "accepted")
        model.rules += rules
        for window, at, first in ((WINDOWS[0], "2026-11-03T10:00:00Z", 1), (WINDOWS[1], "2026-11-10T10:00:00Z", 10_000)):
            items = self.random_items(1500, first)
            self.upload_items(items, "SG", at)
            expected = model.run(items, end_of(window))
            self.assertEqual({payout["state"] for payout in expected.values()} - {"zero"}, {"ready", "held", "carried"})
            self.assertGreater(sum(payout["fees_minor"] > 0 for payout in expected.values()), 10)
            self.assert_run("SG", window, expected)
            path, rules, verdicts = self.rules_file(60)      # in force from now on, not for what was paid
            answer = self.upload(path, kind="shop-rules")
            self.assertEqual(sum(total["rows"] for total in answer["verdicts"].values()), 60)
            model.rules += rules
        held = self.kontor.lines("payout", "list", "--region", "SG", "--window", WINDOWS[0], "--state", "held")
        self.assertTrue(all(payout["reason"] == "hold" for payout in held))

    def test_the_same_rules_again_are_unchanged(self):
        path = self.file(f"{RULES}\n7,hold,yes,,,\n7,minimum_payout,10,,,\n8,commission_percent,5,USD,2026-01-01T00:00:00Z,\n")
        self.assertVerdicts(self.upload(path, kind="shop-rules", region="TH"), ok=3)
        again = self.upload(path, kind="shop-rules", region="TH")
        self.assertVerdicts(again, unchanged=3)
        self.assertFalse(again["repeated"])
        self.assertVerdicts(self.upload(path, "--dry-run", kind="shop-rules", region="TW"), ok=3)
        self.assertEqual(self.count("shop_rule", "region = 'TW'"), 0)

    def test_a_bad_row_comes_back_with_its_column_and_reason(self):
        rejects = self.scratch / "rejects.csv"
        self.upload(self.file("rule,value,shop_user_id\nhold,yes,7\nholt,yes,7\nhold,perhaps,7\n"), "--rejects", rejects,
                    kind="shop-rules", region="BR")
        with open(rejects, encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        self.assertEqual([(row["line"], row["column"], row["verdict"]) for row in rows],
                         [("3", "rule", "bad_row"), ("4", "value", "bad_row")])
        self.assertIn("the nearest is hold", rows[0]["reason"])
        self.assertIn("shop_user_id",
                      self.refused("upload", self.file("shop,rule,value\n7,hold,yes\n"), "--kind", "shop-rules", "--region", "BR",
                                   "--follow"))

    def test_hold_and_release_decide_what_the_next_run_does(self):
        shops = SHOPS[:2]
        items = [Item(shop, 100 + number, "order", 5000, "MYR") for number, shop in enumerate(shops)]
        self.upload_items(items, "MY", "2026-11-03T10:00:00Z")
        for shop in shops:
            self.assertTrue(self.kontor.json("payout", "hold", shop, "--region", "MY")["changed"])
        self.assertFalse(self.kontor.json("payout", "hold", shops[0], "--region", "MY")["changed"])
        self.assertTrue(self.kontor.json("payout", "release", shops[1], "--region", "MY")["changed"])
        self.pay("MY", WINDOWS[0])
        states = {int(payout["shop_user_id"]): payout["state"]
                  for payout in self.kontor.lines("payout", "list", "--region", "MY", "--window", WINDOWS[0])}
        self.assertEqual(states, {shops[0]: "held", shops[1]: "ready"})
        code, _, error = self.kontor.run("payout", "release", shops[0], "--region", "MY")
        self.assertEqual(code, 0)
        self.assertIn("held already stay held", error)
        self.assertEqual({payout["state"] for payout in self.kontor.lines("payout", "list", "--region", "MY", "--window", WINDOWS[0])},
                         {"held", "ready"})

    def test_a_release_without_a_hold_changes_nothing_and_says_so(self):
        self.assertFalse(self.kontor.json("payout", "release", 4711, "--region", "TH")["changed"])
        code, output, error = self.kontor.run("payout", "release", 4711, "--region", "TH")
        self.assertEqual(code, 0)
        self.assertRegex(output, r"changed +no")
        self.assertIn("was not on hold", error)
        self.assertEqual(self.count("shop_rule", "shop_user_id = 4711"), 0)
        code, _, error = self.kontor.run("payout", "hold", 4711, "--region", "TH")
        self.assertEqual(code, 0)
        self.assertIn("from now on", error)
        self.assertTrue(self.kontor.json("payout", "release", 4711, "--region", "TH")["changed"])


if __name__ == "__main__":
    unittest.main(verbosity=2, failfast=True)
