# SPDX-License-Identifier: Apache-2.0
"""The lane of uploads holds no more database sessions than it may have, by the server's list and by its own count."""
import hashlib
import os
import time
import unittest

from scenario import Scenario, item
from upload_faults import PieceSender

THREADS = 2
ROWS = 3000                             # with their notes more than a mebibyte: too big for the lane of clicks
PATIENCE = 60
# Sessions of kontord that wait for a lock, or have a transaction open.
HELD = """SELECT p.id FROM processlist p LEFT JOIN innodb_trx t ON t.trx_mysql_thread_id = p.id
          WHERE p.db = 'kontor' AND (t.trx_id IS NOT NULL OR p.state LIKE 'Waiting%')"""


class UploadSessions(Scenario):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.default = cls.lane()
        site = cls.kontor.folder / "conf/conf.d"
        site.mkdir(parents=True, exist_ok=True)
        (site / "upload.conf").write_text(f'lane "upload" {{ threads = {THREADS} }}\n')
        cls.kontor.control("down")
        cls.kontor.up()

    @classmethod
    def lane(cls):
        return next(lane for unit in cls.kontor.lines("status") for lane in unit["lanes"] if lane["lane"] == "upload")

    def tearDown(self):
        lane = self.lane()
        self.assertEqual((lane["threads"], lane["connections"]), (THREADS, THREADS))
        self.assertLessEqual(lane["connections_most"], THREADS)

    # ---- what stands still while a table is locked

    def locked(self, table, how):
        return self.kontor.session(f"LOCK TABLES {table} {how}")

    def held(self):
        """Those that are held for longer than anything takes that is not locked out."""
        sessions = None
        for _ in range(5):
            time.sleep(0.1)
            now = {row[0] for row in self.kontor.sql(HELD, database="information_schema")}
            sessions = now if sessions is None else sessions & now
        return sessions

    def await_held(self, count):
        until = time.monotonic() + PATIENCE
        while len(self.held()) < count:
            self.assertLess(time.monotonic(), until, self.kontor.sql("SHOW PROCESSLIST"))
        return self.held()

    def await_job(self, job_id, condition):
        until = time.monotonic() + PATIENCE
        while not self.count("job", f"job_id = {job_id} AND {condition}"):
            self.assertLess(time.monotonic(), until, self.kontor.sql(f"SELECT state, stage, error FROM job WHERE job_id = {job_id}"))
            time.sleep(0.02)

    # ---- uploads without ids, so that these are issued

    def rows(self, prefix, at="2026-11-03T10:00:00Z"):
        return self.items_file(*(item(order=f"{prefix}-{n}", shop=1 + n % 97, at=at, note="x" * 400) for n in range(ROWS)))

    def start(self, region, prefix="A"):
        return self.kontor.json("upload", self.rows(prefix), "--kind", "billing-items", "--region", region)

    def check_one_session_each(self, table, how, *regions):
        with self.locked(table, how):
            started = [self.start(region) for region in regions]
            held = self.await_held(THREADS)
        self.assertEqual(len(held), THREADS, held)
        for upload in started:
            self.assertEqual(self.kontor.json("jobs", "follow", upload["job_id"])["state"], "done")
            self.assertVerdicts(self.kontor.json("upload", "show", upload["upload_id"]), ok=ROWS)

    def test_a_lane_has_a_session_for_each_thread_and_a_thread_for_each_core_but_one(self):
        cores = max(1, len(os.sched_getaffinity(0)) - 1)
        self.assertEqual((self.default["threads"], self.default["connections"]), (cores, cores))

    def test_a_chunk_that_registers_its_writer_holds_one_session(self):
        self.check_one_session_each("window_writer", "READ", "SG", "MY")       # READ: others may read it, but not write

    def test_a_chunk_that_makes_a_window_holds_one_session(self):
        self.check_one_session_each("`window`", "READ", "TH", "TW")

    def test_a_chunk_that_waits_for_its_items_is_cancelled(self):
        with self.locked("billing_item", "READ"):
            started = self.start("BR")
            self.await_held(1)
            self.kontor.json("jobs", "cancel", started["job_id"])
        self.kontor.run("jobs", "follow", started["job_id"])
        self.assertEqual(self.kontor.json("jobs", "show", started["job_id"])["state"], "cancelled")
        self.assertEqual(self.count("billing_item", "region = 'BR'"), 0)

    def test_a_plan_is_cancelled(self):
        sender = PieceSender(self.kontor, "BR", self.rows("P"))
        offset = sender.begin()
        while offset < len(sender.data):
            offset = sender.send(offset, 1 << 20)
        with self.locked("upload_piece", "WRITE"):
            job_id = sender.call("upload.finish", upload_id=sender.upload_id, bytes=len(sender.data),
                                 sha256=hashlib.sha256(sender.data).digest())["job_id"]
            self.await_job(job_id, "stage = 'plan' AND lease_until_ms > 0")
            self.kontor.json("jobs", "cancel", job_id)
        self.kontor.run("jobs", "follow", job_id)
        self.assertEqual(self.kontor.json("jobs", "show", job_id)["state"], "cancelled")
        self.assertEqual(self.count("job_chunk", f"job_id = {job_id}"), 0)

    def test_uploads_before_and_after_a_close(self):
        first = self.rows("F", at="2026-10-07T00:00:00Z")
        self.assertVerdicts(self.upload(first, region="SG"), ok=ROWS)
        self.kontor.json("settlement", "close", "--region", "SG", "--window", "2026-W41", "--follow")
        self.assertVerdicts(self.upload(self.rows("G", at="2026-10-08T00:00:00Z"), region="SG"), late=ROWS)


if __name__ == "__main__":
    unittest.main(verbosity=2)
