# SPDX-License-Identifier: Apache-2.0
"""An upload counts as a whole, and the same fact counts once."""
import csv
import random
import time
import unittest

from scenario import HEADER, Failure, Scenario, Service, item


class Uploads(Scenario):
    def rows(self, count, prefix, with_ids=False):
        return [item(order=f"{prefix}-{n}", shop=1 + n % 97, amount=f"{n % 50}.{n % 100:02d}",
                     id=str(10 ** 12 + n) if with_ids and n % 2 else "") for n in range(count)]

    def test_shuffled_rows_in_a_second_file_give_no_new_item(self):
        rows = self.rows(25_000, "S", with_ids=True)
        self.assertVerdicts(self.upload(self.items_file(*rows), region="SG"), ok=25_000)
        random.Random(1).shuffle(rows)
        again = self.upload(self.items_file(*rows), region="SG")
        self.assertVerdicts(again, already_exists=25_000)
        self.assertEqual(self.count("billing_item", "region='SG'"), 25_000)
        first = self.kontor.lines("upload", "rejects", again["upload_id"])[0]
        line = rows[int(first["line"]) - 2].split(",")
        stored = self.kontor.sql(f"SELECT billing_item_id FROM billing_item WHERE region='SG' AND order_id='{line[1]}'")
        self.assertIn(stored[0][0], first["reason"])               # the reject names the first id

    def test_the_same_bytes_again_are_the_first_upload(self):
        path = self.items_file(*self.rows(100, "B"))
        first = self.upload(path, region="MY")
        second = self.upload(path, region="MY")
        self.assertEqual(second["upload_id"], first["upload_id"])
        self.assertEqual((first["repeated"], second["repeated"]), (False, True))
        third = self.upload(path, "--again", region="MY")
        self.assertNotEqual(third["upload_id"], first["upload_id"])
        self.assertVerdicts(third, already_exists=100)

    def test_a_dry_run_changes_nothing(self):
        path = self.items_file(*self.rows(50, "D"), item(order="D-0", shop=1, amount="0.00"), item(amount="x"))
        dry = self.upload(path, "--dry-run", region="BR")
        self.assertVerdicts(dry, ok=50, duplicate_in_file=1, bad_row=1)
        self.assertEqual(self.count("billing_item", "region='BR'"), 0)
        self.assertVerdicts(self.upload(path, region="BR"), ok=50, duplicate_in_file=1, bad_row=1)

    def test_a_dry_run_is_a_table_for_people(self):
        path = self.items_file(*[item(order=f"T-{n}", amount="1234.50") for n in range(1100)], item(order="T-x", currency="JPY",
                               amount="-70"), item(order="T-1", amount="1234.50"), item(amount="x"))
        code, output, _ = self.kontor.run("upload", path, "--kind", "billing-items", "--region", "TW", "--dry-run", "--follow")
        self.assertEqual(code, 0)
        table = [line.split() for line in output[output.index("This was a dry run"):].splitlines()[2:]]
        self.assertEqual(table, [["verdict", "rows", "amount"], ["ok", "1,101", "JPY", "-70"], ["SGD", "1,357,950.00"], ["bad_row", "1"],
                                 ["duplicate_in_file", "1", "SGD", "1,234.50"], ["all", "rows", "1,103"]])
        self.assertEqual(self.count("billing_item", "region='TW' AND order_id LIKE 'T-%'"), 0)

    def test_one_identity_with_two_facts_is_a_conflict(self):
        answer = self.upload(self.items_file(
            item(id="501", order="C-1"), item(id="501", order="C-1", amount="11.00"), item(id="502", order="C-2"),
            item(id="502", order="C-2")), region="TH")
        self.assertVerdicts(answer, conflict=2, ok=1, duplicate_in_file=1)
        answer = self.upload(self.items_file(item(id="502", order="C-2", amount="12.00"), item(id="502", order="C-2"),
                                             item(id="502", order="C-2", shop=2)), region="TH")
        # two facts of (shop, 502) in one file contradict each other; another shop's 502 is another identity
        self.assertVerdicts(answer, conflict=2, ok=1)
        answer = self.upload(self.items_file(item(id="502", order="C-2", amount="12.00")), region="TH")
        self.assertVerdicts(answer, conflict=1)
        reason = self.kontor.lines("upload", "rejects", answer["upload_id"])[0]["reason"]
        self.assertIn("10.00", reason)
        self.assertIn("12.00", reason)

    def test_a_row_of_a_closed_week_is_late_and_counted_once(self):
        self.upload(self.items_file(item(order="L-1", at="2026-10-07T00:00:00Z")), region="TW")
        self.kontor.json("settlement", "close", "--region", "TW", "--window", "2026-W41", "--follow")
        answer = self.upload(self.items_file(item(order="L-2", at="2026-10-07T00:00:01Z"),
                                             item(order="L-3", at="2025-01-01T00:00:00Z")), region="TW")
        self.assertVerdicts(answer, late=2)
        found = self.kontor.lines("settlement", "find", "--region", "TW", "--shop", 880000000001)
        self.assertEqual({row["order_id"]: row["window"] for row in found},
                         {"L-1": "2026-W41", "L-2": "2026-W42", "L-3": "2026-W42"})


class HalfDoneUploads(Scenario):
    """Lanes are stopped by a long upload: it is observed, cancelled, and waited for half-way."""

    def start_long_upload(self, region, rows=120_000):
        path = self.file("\n".join([HEADER] + [item(order=f"H-{n}", shop=1 + n % 997) for n in range(rows)]) + "\n")
        started = self.kontor.json("upload", path, "--kind", "billing-items", "--region", region)
        deadline = time.monotonic() + 60
        while self.count("billing_item", f"region='{region}'") == 0:
            self.assertLess(time.monotonic(), deadline, "no batch was stored")
            time.sleep(0.02)
        return started

    def test_a_cancelled_upload_leaves_no_row(self):
        started = self.start_long_upload("SG")
        self.kontor.json("jobs", "cancel", started["job_id"])
        self.kontor.run("jobs", "follow", started["job_id"])
        self.assertEqual(self.kontor.json("jobs", "show", started["job_id"])["state"], "cancelled")
        self.assertEqual(self.kontor.json("upload", "show", started["upload_id"])["state"], "cancelled")
        self.assertEqual(self.count("billing_item", "region='SG'"), 0)
        self.assertEqual(self.count("item_batch", "region='SG'"), 0)

    def test_rejects_so_far_while_the_job_runs(self):
        bad = [item(order="J/1"), item(order="J-2", amount="x")]
        rows = [item(order=f"J-{n}", shop=1 + n % 997, at="2026-11-04T00:00:00Z") for n in range(10, 200_010)]
        path = self.file("\n".join([HEADER, *bad[:1], *rows, *bad[1:]]) + "\n")
        started = self.kontor.json("upload", path, "--kind", "billing-items", "--region", "BR")
        deadline = time.monotonic() + 60
        while not self.kontor.sql("SELECT 1 FROM item_batch WHERE region = 'BR'"):
            self.assertLess(time.monotonic(), deadline, "no batch was stored")
            time.sleep(0.02)
        with self.kontor.session("BEGIN; SELECT 1 FROM item_batch WHERE region = 'BR' FOR UPDATE"):      # no batch commits meanwhile
            code, output, error = self.kontor.run("upload", "rejects", started["upload_id"])
            upload = self.kontor.json("upload", "show", started["upload_id"])
        self.assertEqual((code, upload["state"]), (0, "importing"))
        judged = sum(total["rows"] for total in upload["verdicts"].values())
        self.assertIn(f"these are the rejects of {judged} of 200002 rows", error)
        self.assertEqual([row[-4:-1] for row in csv.reader(output.splitlines()[1:])], [["2", "order_id", "bad_row"]])
        self.kontor.run("jobs", "follow", started["job_id"])
        code, output, error = self.kontor.run("upload", "rejects", started["upload_id"])
        self.assertEqual((code, len(output.splitlines()), error), (0, 3, ""))

    def test_an_upload_that_is_still_checked_stands_against_a_close(self):
        path = self.file("\n".join([HEADER] + [item(order=f"P-{n}", shop=1 + n % 997) for n in range(60_000)]) + "\n")
        started = self.kontor.json("upload", path, "--kind", "billing-items", "--region", "TH")
        self.assertIn(started["upload_id"],
                      self.refused("settlement", "close", "--region", "TH", "--window", "2026-W45", "--follow", code=3))
        closed = self.kontor.json("settlement", "close", "--region", "TH", "--window", "2026-W45", "--wait", "--follow")
        self.assertEqual(closed["items"], 60_000)
        self.assertVerdicts(self.kontor.json("upload", "show", started["upload_id"]), ok=60_000)

    def test_a_window_with_a_half_done_upload_does_not_close(self):
        started = self.start_long_upload("MY")
        error = self.refused("settlement", "close", "--region", "MY", "--window", "2026-W45", "--follow", code=3)
        self.assertIn(started["upload_id"], error)
        # nothing of it is listed before it is accepted
        if self.kontor.json("upload", "show", started["upload_id"])["state"] != "accepted":
            self.assertEqual(self.kontor.lines("settlement", "find", "--region", "MY", "--shop", 1), [])
        closed = self.kontor.json("settlement", "close", "--region", "MY", "--window", "2026-W45", "--wait", "--follow")
        self.assertEqual((closed["state"], closed["items"]), ("closed", 120_000))
        error = self.refused("jobs", "cancel", started["job_id"])
        self.assertIn("ended", error)
        again = self.kontor.json("settlement", "close", "--region", "MY", "--window", "2026-W45", "--follow")
        self.assertEqual(again["state"], "closed")


class Services(Scenario):
    def test_services_get_a_verdict_window_and_id_per_item(self):
        service = Service(self.kontor.endpoint)
        self.addCleanup(service.close)
        items = [{"shop_user_id": 5, "order_id": f"Z-{n}", "item_type": "order", "amount_minor": 100 + n, "currency": "SGD",
                  "occurred_at": "2026-11-04T00:00:00Z"} for n in range(3)] + [
            {"shop_user_id": 5, "order_id": "Z-0", "item_type": "order", "amount_minor": 100, "currency": "SGD",
             "occurred_at": "2026-11-04T00:00:00Z"},
            {"shop_user_id": 5, "order_id": "Z 9", "item_type": "order", "amount_minor": 1, "currency": "SGD",
             "occurred_at": "2026-11-04T00:00:00Z"}]
        first = service.call("settlement.add_items", key="k1", region="SG", items=items)["items"]
        self.assertEqual([row["verdict"] for row in first], ["ok", "ok", "ok", "duplicate_in_file", "bad_row"])
        self.assertEqual({row["window"] for row in first[:3]}, {"2026-W45"})
        # a lost reply: the same key gives the same answer; another body with that key is refused
        self.assertEqual(service.call("settlement.add_items", key="k1", region="SG", items=items)["items"], first)
        with self.assertRaises(Failure) as failure:
            service.call("settlement.add_items", key="k1", region="SG", items=items[:1])
        self.assertEqual(failure.exception.code, -5)
        with self.assertRaises(Failure) as failure:
            service.call("settlement.add_items", region="SG", items=items[:1])
        self.assertEqual(failure.exception.code, -1)
        self.assertIn("key", failure.exception.message)
        again = service.call("settlement.add_items", key="k2", region="SG", items=items[:3])["items"]
        self.assertEqual([row["verdict"] for row in again], ["already_exists"] * 3)
        self.assertEqual([row["billing_item_id"] for row in again], [row["billing_item_id"] for row in first[:3]])


if __name__ == "__main__":
    unittest.main(verbosity=2)
