# SPDX-License-Identifier: Apache-2.0
"""An upload whose database is full, cut off or away, or whose client stops, says so and goes on by itself. The long form:
./dev proof upload-faults"""
import pathlib
import shutil
import tempfile
import time
import unittest

import scenario                                                     # noqa: F401  (sets the path)
from upload_faults import FaultRig, PieceSender, can_mount

HOUR_MS = 3_600_000
AWAY_SECONDS = 3                # long enough for calls and leases to notice; in the proof 60


class UploadFaults(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="kontor-faults-"))
        cls.rig = FaultRig(cls.folder, rows=60_000)
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        cls.addClassCleanup(cls.rig.close)
        cls.rig.up()

    def test_a_full_disk_is_named_and_waited_for(self):
        if not can_mount(self.folder):
            self.skipTest("only root may mount the small disk that this needs")
        self.rig.small_disk()
        sender = PieceSender(self.rig.kontor, "SG", self.rig.file)
        offset = sender.begin()
        while offset < len(sender.data):
            offset = sender.send(offset, 1 << 20)
        self.rig.fill_disk()
        self.addCleanup(self.rig.make_room)
        self.rig.start("SG")                                        # the same file: only the job is missing
        for _ in range(2):                                          # between two tries it says why it waits; it does not give up
            job = self.rig.wait_for("the job waits", lambda: (job := self.rig.job()).get("state") == "waiting" and job)
            self.assertIn("full", job["error"])
            time.sleep(AWAY_SECONDS)
        self.assertLess(self.rig.done(), self.rig.rows)
        self.rig.make_room()
        self.rig.end()

    def test_connections_that_are_cut_are_made_anew(self):
        self.rig.start("MY")
        cut = 0
        for pause in (0.1, 0.3, 0.5, 0.7, 0.9):                     # some while it is sent, some while chunks are stored
            time.sleep(pause)
            cut += self.rig.cut_connections()
        self.assertGreater(cut, 3)
        self.rig.end()

    def test_a_database_that_stands_still_is_waited_for(self):
        self.rig.start("TH")
        self.rig.half_way()
        self.rig.freeze_database()
        self.addCleanup(self.rig.thaw_database)                     # a second time does no harm
        time.sleep(AWAY_SECONDS)
        self.assertIsNone(self.rig.command.poll())
        self.rig.thaw_database()
        self.rig.end()

    def test_a_database_that_is_away_is_named_and_waited_for(self):
        self.rig.start("TW")
        self.rig.half_way()
        job_id = self.rig.job_id()
        self.rig.kontor.control("db-kill")
        code, _, error = self.rig.kontor.run("jobs", "show", job_id, "--json")
        self.assertEqual(code, 3, error)                            # nothing done, worth a retry
        self.assertIn("database", error)
        time.sleep(AWAY_SECONDS)
        self.assertIsNone(self.rig.command.poll())
        self.rig.kontor.control("db-up")
        self.rig.end()

    def test_a_client_that_stopped_sending_goes_on_where_it_was(self):
        sender = PieceSender(self.rig.kontor, "BR", self.rig.file)
        self.assertEqual(sender.begin(), 0)
        self.assertEqual(sender.send(0, 100_000), 100_000)
        shown = self.rig.kontor.json("upload", "show", sender.upload_id)
        self.assertEqual((shown["state"], shown["received_bytes"], shown["bytes"]), ("receiving", 100_000, len(sender.data)))
        self.rig.age(sender.upload_id, HOUR_MS)                     # as if it had been that long ago
        time.sleep(AWAY_SECONDS)
        self.rig.kontor.control("host-down")                        # nor does it matter which process takes the rest
        self.rig.kontor.control("host-up")
        self.rig.start("BR")                                        # the same file: only what is missing is sent
        answer = self.rig.end()
        self.assertEqual(answer["upload_id"], str(sender.upload_id))
        self.assertEqual(int(self.rig.kontor.sql(f"SELECT MIN(file_offset) FROM upload_piece WHERE upload_id = {sender.upload_id} "
                                                 "AND file_offset > 0")[0][0]), 100_000)


if __name__ == "__main__":
    unittest.main(verbosity=2)
