# SPDX-License-Identifier: Apache-2.0
"""Jobs as operators see them: the board, its filters, what is kept and for how long."""
import time
import unittest

from scenario import Scenario

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


if __name__ == "__main__":
    unittest.main(verbosity=2)
