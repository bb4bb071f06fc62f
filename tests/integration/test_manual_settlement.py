# SPDX-License-Identifier: Apache-2.0
"""Manual settlement, from the file to the payment file: exactly these items now, each item once."""
import csv
import json
import pathlib
import random
import time
import unittest

from scenario import Scenario, item
from test_shop_rules import CURRENCIES, RULES, SHOPS, WINDOWS, end_of

import payout_model
from payout_model import Item, Rule, decimal_of

HEADER = "shop_user_id,billing_item_id,amount,currency"
TIMES = {"2026-W45": "2026-11-03T10:00:00Z", "2026-W46": "2026-11-10T10:00:00Z"}
FIRST_WINDOW = "2026-W01"
PAYEE = f"shop_user_id,name,country,currency,account,bank_code\n{SHOPS[0]},Shop,SG,BRL,000000000001,7171\n"


class Manual(Scenario):
    def upload_items(self, items, region, window):
        self.upload(self.items_file(*(item(one.shop, f"o{one.id}", one.kind, decimal_of(one.minor, one.currency), one.currency,
                                           TIMES[window], one.id) for one in items)), region=region)

    def claims_file(self, *rows):
        return self.file("\n".join((HEADER, *rows)) + "\n")

    def claim(self, path, region, *options):
        return self.upload(path, *options, kind="manual-settlement", region=region)

    def approval_of(self, upload):
        return next(one for one in self.kontor.lines("approval", "list")
                    if one["subject_kind"] == "upload" and one["subject_id"] == upload["upload_id"])

    def approve(self, upload, decision="give"):
        return self.kontor.json("approval", decision, self.approval_of(upload)["approval_id"], "--as", "bob")

    def manual(self, upload, region, *options):
        return self.kontor.json("settlement", "manual", "--region", region, "--upload", upload["upload_id"], *options)

    def settle(self, upload, region):
        self.assertEqual(upload["state"], "waiting_approval")
        self.approve(upload)
        return self.manual(upload, region, "--follow")


class OneItem(Manual):
    """Each test has a region of its own."""

    def test_a_claimed_item_is_paid_by_its_own_run_and_safefile(self):
        region = "BR"
        items = [Item(SHOPS[0], 1, "order", 12_345, "BRL"), Item(SHOPS[0], 2, "order", 500, "BRL"),
                 Item(SHOPS[1], 3, "order", 700, "BRL")]
        self.upload(self.file(PAYEE), kind="payees", region=region)
        self.upload_items(items, region, WINDOWS[0])
        path = self.claims_file(f"{SHOPS[0]},1,123.45,BRL", f"{SHOPS[0]},2,5.01,", f"{SHOPS[0]},3,,", "x,1,,")
        dry = self.claim(path, region, "--dry-run")
        self.assertVerdicts(dry, ok=1, conflict=1, other_shop=1, bad_row=1)
        self.assertEqual(dry["verdicts"]["ok"]["amount_minor"], {"BRL": 12_345})
        self.assertEqual(self.count("claim"), 0)

        rejects = self.scratch / "rejects.csv"
        upload = self.claim(path, region, "--rejects", rejects)
        self.assertVerdicts(upload, ok=1, conflict=1, other_shop=1, bad_row=1)
        with open(rejects, encoding="utf-8", newline="") as file:
            self.assertEqual([(row["line"], row["column"], row["verdict"]) for row in csv.DictReader(file)],
                             [("3", "amount", "conflict"), ("4", "shop_user_id", "other_shop"), ("5", "shop_user_id", "bad_row")])
        summary = self.approval_of(upload)["summary"]
        self.assertIn("1 row ok (BRL 123.45)", summary)
        self.assertIn("1 row conflict (BRL 5.00)", summary)
        again = self.claim(path, region)
        self.assertTrue(again["repeated"])
        self.assertEqual(again["upload_id"], upload["upload_id"])
        self.assertIn("waits for another user", self.refused("settlement", "manual", "--region", region, "--upload",
                                                             upload["upload_id"], code=3))
        owner = self.kontor.sql(f"SELECT user FROM upload WHERE upload_id = {upload['upload_id']}")[0][0]
        self.assertIn("another user", self.refused("approval", "give", self.approval_of(upload)["approval_id"], "--as", owner))

        run = self.settle(upload, region)
        self.assertEqual((run["state"], run["payouts"], run["items"], run["balanced"]), ("balanced", 1, 1, True))
        # of a region where nothing was closed yet: it says how old the rules are that it applied
        self.assertEqual((run["window"], run["rules_at"]), (FIRST_WINDOW, "2026-01-05T02:59:59.999Z"))
        self.assertEqual(self.manual(upload, region)["run_id"], run["run_id"])
        payout, = self.kontor.lines("payout", "list", "--run", run["run_id"])
        self.assertEqual((payout["net_minor"], payout["state"]), (12_345, "ready"))
        control, = self.kontor.lines("payout", "control", "--run", run["run_id"])
        self.assertTrue(control["balanced"])
        safefile = self.kontor.json("safefile", "create", "--run", run["run_id"], "--profile", "pain001", "--follow")
        self.assertEqual((safefile["payments"], safefile["total_minor"]), (1, {"BRL": 12_345}))
        for user in ("alice", "bob"):
            self.kontor.json("safefile", "approve", safefile["safefile_id"], "--as", user)
        published = self.kontor.json("safefile", "publish", safefile["safefile_id"], "--follow")
        manifest = json.loads(pathlib.Path(published["path"], "manifest.json").read_text(encoding="utf-8"))
        self.assertEqual(sum(entry["payments"] for entry in manifest["files"]), 1)

        self.assertEqual(self.kontor.json("settlement", "find", "--region", region, "--item", 1)["run_id"], run["run_id"])
        windows = {row["window"]: row for row in self.kontor.lines("settlement", "windows", "--region", region)}
        self.assertEqual(windows[WINDOWS[0]]["runs"], 0)
        self.assertVerdicts(self.claim(self.claims_file(f"{SHOPS[0]},1,,"), region), already_settled=1)
        closed = self.pay(region)
        self.assertEqual(closed["items"], 2)
        job = self.kontor.json("jobs", "show", closed["job_id"])
        self.assertEqual((job["done"], job["total"]), (2, 2))                          # without the claimed item
        self.assertVerdicts(self.claim(self.claims_file(f"{SHOPS[0]},2,,"), region), already_settled=1)
        self.assertIn("claims no items", self.refused("settlement", "manual", "--region", region, "--upload", "12345"))

    def test_a_header_without_the_shop_refuses_the_file(self):
        error = self.refused("upload", self.file("billing_item_id\n1\n2\n"), "--kind", "manual-settlement", "--region", "TW",
                             "--follow")
        self.assertIn("shop_user_id", error)
        self.assertIn("another shop's order", error)
        self.assertEqual(self.count("claim_batch", "region = 'TW'"), 0)

    def test_the_windows_run_waits_until_a_claim_is_decided(self):
        region = "TH"
        self.upload_items([Item(SHOPS[0], 1, "order", 100, "THB"), Item(SHOPS[0], 2, "order", 50, "THB")], region, WINDOWS[0])
        self.kontor.json("settlement", "close", "--region", region, "--window", WINDOWS[0], "--follow")
        upload = self.claim(self.claims_file(f"{SHOPS[0]},1,,"), region)     # its window is closed: that is soon enough
        error = self.refused("payout", "run", "--region", region, "--window", WINDOWS[0], "--follow", code=3)
        self.assertIn(str(upload["upload_id"]), error)
        self.approve(upload, "refuse")
        self.wait_for_no_claims(region)
        run = self.kontor.json("payout", "run", "--region", region, "--window", WINDOWS[0], "--follow")
        self.assertEqual((run["items"], run["balanced"]), (2, True))

    def wait_for_no_claims(self, region):
        for _ in range(600):
            if self.count("claim_batch", f"region = '{region}'") == 0:
                self.assertEqual(self.count("claim", f"region = '{region}'"), 0)
                return
            time.sleep(0.1)
        self.fail("a refused upload keeps its claims")

    def test_killed_after_the_approval_the_run_goes_on_by_itself(self):
        region = "SG"
        self.upload_items([Item(SHOPS[0], 1, "order", 100, "SGD")], region, WINDOWS[0])
        upload = self.claim(self.claims_file(f"{SHOPS[0]},1,,"), region)
        self.approve(upload)
        self.kontor.control("host-kill")
        self.kontor.control("up")
        for _ in range(600):                                        # nobody asks for it
            if self.count("run", "kind = 'manual' AND state = 'balanced' AND region = 'SG'"):
                break
            time.sleep(0.1)
        self.assertEqual(self.manual(upload, region, "--follow")["items"], 1)
        self.assertEqual(self.count("payout", "region = 'SG' AND net_minor = 100"), 1)


class EveryItemOnce(Manual):
    """Random items, rules and claims. Every verdict and payout is the model's."""
    region = "MY"

    def setUp(self):
        self.rng = random.Random(4711)
        self.model = payout_model.Region("MYR")
        self.items = {}             # id: (Item, window)
        self.claimed = {}           # id: upload number
        self.paid, self.settled = set(), set()

    def add_rules(self):
        for shop in SHOPS:
            if self.rng.random() < 0.3:
                self.model.rules.append(Rule(shop, "hold", 1, self.rng.choice(("", "SGD"))))
            if self.rng.random() < 0.5:
                self.model.rules.append(Rule(shop, "commission_percent", 33_333))
            if self.rng.random() < 0.3:
                self.model.rules.append(Rule(shop, "minimum_payout", 9_000_000, "SGD"))
        def line(rule):
            value = {"hold": "yes", "commission_percent": "3.3333", "minimum_payout": "90000"}[rule.name]
            return f"{rule.shop},{rule.name},{value},{rule.currency},,"
        path = self.file("\n".join((RULES, *map(line, self.model.rules))) + "\n")
        self.assertVerdicts(self.upload(path, kind="shop-rules", region=self.region), ok=len(self.model.rules))

    def add_items(self, window, count, first):
        made = [Item(self.rng.choice(SHOPS), first + number, self.rng.choice(("order", "refund", "fee")),
                     self.rng.choice((-1, 1, 1)) * self.rng.randrange(200_000), self.rng.choice(CURRENCIES))
                for number in range(count)]
        self.items.update({one.id: (one, window) for one in made})
        self.upload_items(made, self.region, window)

    def held(self, one):
        return payout_model.number_in_force(self.model.rules, one.shop, "hold", one.currency, int(time.time() * 1000))

    def row(self):
        """(line, verdict without regard to the rest of the file, id)"""
        rng = self.rng
        one, window = self.items[rng.choice(list(self.items))]
        shop, id, amount, currency = one.shop, one.id, "", ""
        odd = rng.random()
        if odd < 0.03:
            return f"{shop},{id},1.2.3,", "bad_row", None
        if odd < 0.06:
            return f"{shop},{id + 10 ** 12},,", "not_found", None
        if odd < 0.09:
            other = rng.choice([number for number in SHOPS if number != shop])
            return f"{other},{id},,", "other_shop", None
        wrong = odd < 0.15
        if wrong or rng.random() < 0.5:
            amount = decimal_of(one.minor + wrong, one.currency)
        if rng.random() < 0.5:
            currency = one.currency
        if id in self.claimed:
            verdict = "already_settled" if self.claimed[id] in self.paid else "already_claimed"
        elif window in self.settled:
            verdict = "already_settled"
        else:
            verdict = "held" if self.held(one) else "conflict" if wrong else "ok"
        return f"{shop},{id},{amount},{currency}", verdict, id

    def claim_some(self, number, rows):
        """An upload of random rows; returns it with the items that it must have claimed."""
        lines, verdicts, seen, mine = [], {}, set(), []
        for _ in range(rows):
            line, verdict, id = self.row()
            key = tuple(line.split(",")[:2])
            if verdict != "bad_row":
                verdict = "duplicate_in_file" if key in seen else verdict
                seen.add(key)
            verdicts[verdict] = verdicts.get(verdict, 0) + 1
            if verdict == "ok":
                mine.append(id)
            lines.append(line)
        upload = self.claim(self.claims_file(*lines), self.region)
        self.assertVerdicts(upload, **verdicts)
        self.claimed.update({id: number for id in mine})
        return upload, [self.items[id][0] for id in mine]

    def settle_some(self, upload, number, mine, oldest_open):
        run = self.settle(upload, self.region)
        expected = self.model.run(mine, end_of(oldest_open), manual=True)
        self.assert_payouts(("--run", run["run_id"]), expected)
        self.paid.add(number)

    def assert_payouts(self, which, expected):
        self.assertEqual(payout_model.differences(self.kontor.lines("payout", "list", *which), expected), [])
        self.assertEqual(payout_model.control_differences(self.kontor.lines("payout", "control", *which), expected), [])

    def run_window(self, window):
        rest = [one for one, its_window in self.items.values() if its_window == window and one.id not in self.claimed]
        expected = self.model.run(rest, end_of(window))
        run = self.pay(self.region, window)
        self.assertTrue(run["balanced"])
        self.assertEqual(run["items"], len(rest))
        self.assert_payouts(("--region", self.region, "--window", window), expected)
        self.settled.add(window)

    def test_manual_runs_and_the_windows_runs_pay_every_item_once(self):
        self.add_rules()
        for number, window in enumerate(WINDOWS):
            self.add_items(window, 1200, 1 + 100_000 * number)
        first, mine = self.claim_some(1, 250)
        second, others = self.claim_some(2, 250)
        self.settle_some(second, 2, others, FIRST_WINDOW)
        self.settle_some(first, 1, mine, FIRST_WINDOW)
        third, mine = self.claim_some(3, 300)
        self.settle_some(third, 3, mine, FIRST_WINDOW)
        self.run_window(WINDOWS[0])
        fourth, mine = self.claim_some(4, 300)
        self.settle_some(fourth, 4, mine, WINDOWS[1])
        self.run_window(WINDOWS[1])
        self.assertEqual(self.kontor.sql(f"SELECT COUNT(*), SUM(items) FROM run WHERE region = '{self.region}'")[0],
                         ["6", str(len(self.items))])
        paid = int(self.kontor.sql("SELECT SUM(gross_minor) FROM payout WHERE region = 'MY'")[0][0])
        self.assertEqual(paid, sum(one.minor for one, _ in self.items.values()))
        self.assertEqual(self.kontor.sql("SELECT ledger_tx_id FROM ledger_entry GROUP BY ledger_tx_id, currency "
                                         "HAVING SUM(debit_minor) <> SUM(credit_minor)"), [])
        windows = {row["window"]: row["runs"] for row in self.kontor.lines("settlement", "windows", "--region", self.region)}
        self.assertEqual({name: runs for name, runs in windows.items() if runs},
                         {FIRST_WINDOW: 3, WINDOWS[0]: 1, WINDOWS[1]: 2})


if __name__ == "__main__":
    unittest.main(verbosity=2, failfast=True)
