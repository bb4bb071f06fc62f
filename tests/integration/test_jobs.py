# SPDX-License-Identifier: Apache-2.0
"""Jobs as operators see them: the board, its filters, what is kept and for how long."""
import csv
import os
import stat
import time
import unittest

from scenario import Scenario, item

DAY_MS = 86_400_000


class Jobs(Scenario):
    def add(self, job_id, state, lane="upload", user="alice", total=0, done=0, error="", ended_ms=0, chunks=()):
        """A job of a kind that no unit has."""
        now = int(time.time() * 1000)
        stage = "plan" if state == "queued" else "chunks"
        self.kontor.sql(
            f"INSERT INTO job (job_id, kind, lane, user, params, state, stage, total, done, error, created_ms, started_ms, finished_ms, "
            f"lease_until_ms) VALUES ({job_id}, 'nobody.kind', '{lane}', '{user}', '', '{state}', '{stage}', {total}, {done}, '{error}', "
            f"{now - 300_000}, {now - 60_000}, {ended_ms}, {now + DAY_MS})")
        for number, (chunk_state, chunk_done) in enumerate(chunks):
            self.kontor.sql(f"INSERT INTO job_chunk (job_id, chunk_no, state, done, begun_ms, moved_ms, lease_until_ms) VALUES ({job_id}, "
                            f"{number}, '{chunk_state}', {chunk_done}, {now - 10_000}, {now - 1000}, {now + DAY_MS})")

    def setUp(self):
        self.kontor.sql("DELETE FROM job_chunk; DELETE FROM job")

    def ids(self, *options):
        return [int(row["job_id"]) for row in self.kontor.lines("jobs", "list", *options)]

    def test_the_board_shows_lanes_then_what_has_not_ended_then_the_newest_that_has(self):
        now = int(time.time() * 1000)
        self.add(10, "running", total=4000, chunks=(("done", 1000), ("running", 1000), ("queued", 0)))
        self.add(11, "waiting", lane="settle", user="bob", error="waits for the bank")
        self.add(12, "dead", total=100, done=25, error="chunk 3 failed 8 times in a row", ended_ms=now - 3 * 3_600_000)
        for job_id in range(13, 43):
            self.add(job_id, "done", lane="file", total=5, done=5, ended_ms=now)
        code, out, error = self.kontor.run("jobs", "list")
        self.assertEqual(code, 0, error)
        lanes, jobs = out.split("\n\n")
        lanes = {line.split()[0]: line.split()[1:] for line in lanes.splitlines()}
        self.assertEqual(lanes["lane"], ["running", "queued", "waiting", "dead", "threads"])
        self.assertEqual(lanes["upload"][:4], ["1", "0", "0", "1"])
        self.assertRegex(" ".join(lanes["upload"]), r"\d+ of \d+ at work$")
        self.assertEqual(lanes["settle"][:4], ["0", "0", "1", "0"])
        self.assertEqual(lanes["review"][:4], ["0", "0", "0", "0"])     # no unit here has it, so no threads stand there
        rows = jobs.splitlines()[1:]
        self.assertEqual([row.split()[0] for row in rows], ["11", "10", *(str(n) for n in range(42, 22, -1))])
        self.assertIn("waits for the bank", rows[0])
        self.assertRegex(rows[1], r"running +#####\.\.\.\.\. +50% +\d+/s +\d+:\d\d +\d+ min +alice")
        self.assertRegex(rows[2], r"done +########## 100%")
        code, out, _ = self.kontor.run("jobs", "list", "--all")
        self.assertRegex(out, r"(?m)^ *12 .*dead +##\.\.\.\.\.\.\.\. +25% .* 3 h +alice +chunk 3 failed 8 times in a row$")
        self.assertEqual(len(out.splitlines()), 1 + 7 + 1 + 1 + 33)

    def test_programs_get_every_field_and_every_job(self):
        self.add(10, "running", total=4000, chunks=(("done", 1000), ("running", 1000)))
        self.add(11, "dead", total=100, done=25, error="x", ended_ms=int(time.time() * 1000))
        rows = self.kontor.lines("jobs", "list")
        self.assertEqual([row["job_id"] for row in rows], ["11", "10"])
        for field in "job_id kind lane state done total rate eta_s user error".split():
            self.assertIn(field, rows[0])
        running = rows[1]
        self.assertEqual((running["done"], running["total"]), (2000, 4000))
        self.assertTrue(0 < running["rate"] <= 200, running)            # 2000 in ten seconds, however long this test waited
        self.assertEqual(running["eta_s"], 2000 // running["rate"] + 1)
        self.kontor.sql("UPDATE job SET state = 'waiting' WHERE job_id = 10")
        self.assertEqual({key: self.kontor.json("jobs", "show", 10)[key] for key in ("rate", "eta_s")}, {"rate": 0, "eta_s": 0})

    def test_filters_narrow_and_wrong_ones_name_what_there_is(self):
        self.add(1, "queued")
        self.add(2, "queued", user="bob")
        self.add(3, "waiting", lane="settle", user="bob")
        self.add(4, "dead", user="bob", ended_ms=1)
        self.assertEqual(self.ids("--user", "bob"), [4, 3, 2])
        self.assertEqual(self.ids("--lane", "upload", "--user", "bob"), [4, 2])
        self.assertEqual(self.ids("--state", "queued"), [2, 1])
        self.assertEqual(self.ids("--kind", "other.kind"), [])
        self.assertIn("queued, running, waiting, done, failed, cancelled, dead", self.refused("jobs", "list", "--state", "nope", code=2))
        self.assertIn("interactive, upload, settle, file, report, compare, review", self.refused("jobs", "list", "--lane", "nope", code=2))


class Reports(Scenario):
    """Each report has more rows than a page may (4000, of rejects 500), that of items first some pages that are full of bytes."""
    WINDOW, ROWS, SHOPS, REJECTS = "2026-W45", 6000, 4100, 600

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.rows = [item(order=f"P-{n}", shop=1 + n % cls.SHOPS, amount=f"{n}.{n % 100:02d}",
                         note='"a ""note"", =1+1"' if n == 7 else "x" * 400 if n % cls.SHOPS < 1000 else "") for n in range(cls.ROWS)]
        bad = [item(order=f"late-{n}", amount="x") for n in range(cls.REJECTS - 1)]
        path = cls.scratch / "items.csv"
        path.write_text("\n".join((cls.header(), *cls.rows, *bad, item(order="=cmd", amount="1"))) + "\n")
        cls.kontor.json("upload", path, "--kind", "billing-items", "--region", "SG", "--follow")

    @staticmethod
    def header():
        return "shop_user_id,order_id,item_type,amount,currency,occurred_at,billing_item_id,note"

    def report(self, what, region="SG", window=WINDOW):
        path = self.scratch / f"{what}.out"
        answer = self.kontor.json("report", what, "--region", region, "--window", window, "--out", path)
        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
        with open(path, newline="") as file:
            rows = list(csv.DictReader(file))
        self.assertEqual(answer["rows"], len(rows))
        return rows

    def test_the_items_of_a_window_come_back_as_they_were_sent(self):
        rows = self.report("items")
        self.assertEqual(len(rows), self.ROWS)
        self.assertEqual({(row["shop_user_id"], row["order_id"], row["amount"], row["currency"], row["occurred_at"]) for row in rows},
                         {tuple(row.split(",")[i] for i in (0, 1, 3, 4, 5)) for row in self.rows})
        keys = [(int(row["shop_user_id"]), int(row["billing_item_id"])) for row in rows]
        self.assertEqual(keys, sorted(keys))
        self.assertEqual([row["note"] for row in rows if row["order_id"] == "P-7"], ['a "note", =1+1'])

    def test_payouts_are_reported_once_their_run_balanced(self):
        self.assertIn("payout run", self.refused("report", "payouts", "--region", "SG", "--window", self.WINDOW, "--out",
                                                 self.scratch / "none"))
        self.assertEqual(list(self.scratch.glob("none*")), [])
        run = self.pay("SG", self.WINDOW)
        rows = self.report("payouts")
        listed = self.kontor.lines("payout", "list", "--run", run["run_id"])
        self.assertEqual(len(listed), self.SHOPS)
        self.assertEqual([(row["payout_id"], row["shop_user_id"], row["currency"], row["state"], row["reason"]) for row in rows],
                         [(row["payout_id"], row["shop_user_id"], row["currency"], row["state"], row["reason"]) for row in listed])
        self.assertEqual([round(float(row["net"]) * 100) for row in rows], [row["net_minor"] for row in listed])

    def test_rejects_are_those_of_the_uploads_of_the_week(self):
        window = self.kontor.sql("SELECT DATE_FORMAT(DATE_ADD(NOW(), INTERVAL 8 HOUR), '%x-W%v')")[0][0]     # Singapore's week
        rows = self.report("rejects", window=window)
        first = self.ROWS + 2                                       # line of the file
        self.assertEqual([(row["line"], row["column"], row["verdict"]) for row in rows],
                         [(str(first + n), "order_id" if n == self.REJECTS - 1 else "amount", "bad_row") for n in range(self.REJECTS)])
        self.assertIn("late-0,order,x", rows[0]["row"])
        self.assertEqual(self.report("rejects", region="MY", window=window), [])
        self.assertEqual(self.report("rejects", window="2026-W02"), [])

    def test_a_report_of_rejects_goes_from_upload_to_upload_and_reads_each_row_once(self):
        window = self.kontor.sql("SELECT DATE_FORMAT(DATE_ADD(NOW(), INTERVAL -3 HOUR), '%x-W%v')")[0][0]    # Sao Paulo's week
        expected = []
        for number, size in enumerate((700, 0, 5000, 1)):
            path = self.file("\n".join([self.header(), item(order=f"fine-{number}", currency="BRL")] +
                                       [item(order=f"bad-{n}", amount="x") for n in range(size)]) + "\n")
            upload = self.kontor.json("upload", path, "--kind", "billing-items", "--region", "BR", "--follow")
            expected += [(upload["upload_id"], str(3 + n)) for n in range(size)]
        before = self.rows_read()
        rows = self.report("rejects", region="BR", window=window)
        read = self.rows_read() - before
        self.assertTrue([(row["upload_id"], row["line"]) for row in rows] == expected, rows[:3])
        self.assertLess(read, 4 * len(rows))                        # once for their number, once for the report, and what else runs

    def rows_read(self):
        return sum(int(value) for _, value in self.kontor.sql("SHOW GLOBAL STATUS LIKE 'Handler_read%'"))

    def test_a_report_of_rejects_has_no_bank_account(self):
        """What a job made is kept for a time of its own; an upload's rows may have to go before."""
        window = self.kontor.sql("SELECT DATE_FORMAT(DATE_ADD(NOW(), INTERVAL 8 HOUR), '%x-W%v')")[0][0]     # Taipei's week
        payees = self.upload(self.file("shop_user_id,name,country,currency,iban,account,bank_code\n"
                                       "7,Ann,DE,TWD,DE89370400440532013001,,\n8,Bob,TW,TWD,,12345 6789012,004\n"
                                       "9,Chi,TW,TWD,,\"98765432109,004\n"), kind="payees", region="TW")
        self.assertVerdicts(payees, bad_row=3)
        self.upload(self.items_file(item(order="no/order", amount="1")), region="TW")
        rows = self.report("rejects", region="TW", window=window)
        self.assertEqual([(row["kind"], row["line"], row["verdict"]) for row in rows],
                         [*(("payees", line, "bad_row") for line in "234"), ("billing-items", "2", "bad_row")])
        self.assertEqual([bool(row["reason"]) for row in rows], [True] * 4)
        self.assertEqual([row["row"] for row in rows[:3]], [""] * 3)
        self.assertIn("no/order", rows[3]["row"])
        report = (self.scratch / "rejects.out").read_text()
        code, shown, _ = self.kontor.run("upload", "rejects", payees["upload_id"])
        for account in "DE89370400440532013001", "12345 6789012", "98765432109":
            self.assertIn(account, shown)
            self.assertNotIn(account, report)

    def test_a_report_does_not_wait_for_a_lane_of_uploads_that_is_full(self):
        """The table that uploads write is locked, so that none of them can end before the report did."""
        threads = next(lane["threads"] for unit in self.kontor.lines("status") for lane in unit["lanes"] if lane["lane"] == "upload")
        path = self.scratch / "big.csv"
        jobs = []
        with self.kontor.session("LOCK TABLES billing_item WRITE"):
            for number in range(threads + 1):
                rows = (item(order=f"L-{number}-{n}", note="x" * 400) for n in range(3000))     # more than the lane of clicks takes
                path.write_text("\n".join((self.header(), *rows)) + "\n")
                jobs.append(self.kontor.json("upload", path, "--kind", "billing-items", "--region", "TH")["job_id"])
            busy = 0
            while busy < threads:
                busy = sum(lane["busy"] for unit in self.kontor.lines("status") for lane in unit["lanes"] if lane["lane"] == "upload")
            self.report("rejects")
            states = [self.kontor.json("jobs", "show", job_id)["state"] for job_id in jobs]
            self.assertLessEqual(set(states), {"queued", "running"}, states)
        for job_id in jobs:
            self.assertEqual(self.kontor.json("jobs", "follow", job_id)["state"], "done")

    def test_what_cannot_be_reported_is_refused_and_leaves_no_file(self):
        out = self.scratch / "refused.csv"
        for arguments, code, said in (
                (("items", "--region", "XX", "--window", self.WINDOW, "--out", out), 2, "XX"),
                (("items", "--region", "SG", "--window", "2026-W99", "--out", out), 2, "2026-W99"),
                (("items", "--region", "SG", "--window", "2025-W02", "--out", out), 1, "2025-W02"),
                (("payouts", "--region", "MY", "--window", self.WINDOW, "--out", out), 1, "payout run"),
                (("items", "--region", "SG", "--window", self.WINDOW), 2, "--out"),
                (("orders", "--region", "SG", "--window", self.WINDOW, "--out", out), 2, "orders"),
                (("items", "--region", "SG", "--window", self.WINDOW, "--out", self.scratch / "no/such/folder"), 1, "no/such/folder")):
            self.assertIn(said, self.refused("report", *arguments, code=code))
            self.assertEqual(list(self.scratch.glob("refused*")), [])
        for what in "items", "payouts", "rejects":                  # carol may only look
            self.assertIn("role operator", self.refused("report", what, "--region", "SG", "--window", self.WINDOW, "--out", out,
                                                        "--as", "carol"))
        self.assertEqual(list(self.scratch.glob("refused*")), [])
        started = self.kontor.json("call", "settlement.report_items", "region=SG", f"window={self.WINDOW}")
        self.kontor.run("jobs", "follow", started["job_id"])
        self.assertIn("data", self.kontor.json("call", "jobs.output", f"job_id={started['job_id']}"))
        self.assertIn("role operator", self.refused("call", "jobs.output", f"job_id={started['job_id']}", "--as", "carol"))
        self.kontor.sql(f"UPDATE job SET state = 'failed' WHERE job_id = {started['job_id']}")
        self.assertIn("is failed", self.refused("call", "jobs.output", f"job_id={started['job_id']}"))
        self.assertIn("there is no job", self.refused("call", "jobs.output", "job_id=77"))


if __name__ == "__main__":
    unittest.main(verbosity=2)
