# SPDX-License-Identifier: Apache-2.0
"""kill -9 of kontord and mariadbd in the middle of uploads. The long form: ./dev proof upload"""
import shutil
import tempfile
import unittest

import scenario                                                     # noqa: F401  (sets the path)
from upload_rig import UploadRig


class UploadKill(unittest.TestCase):
    def test_kills_at_random_moments_leave_the_tables_of_an_undisturbed_upload(self):
        folder = tempfile.mkdtemp(prefix="kontor-upload-")
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)    # after the rig has ended what runs in it
        rig = UploadRig(folder, rows=60_000, seed=7, longest_pause=0.4)
        self.addCleanup(rig.close)
        self.assertEqual(rig.run(host=6, db=2)[:10], [])
        self.assertEqual(sum(count for (_, doing), count in rig.hits.items() if doing != "ended"), 8)
        # and the comparison is one: it sees a single row that differs
        rig.kontor.sql(f"UPDATE billing_item SET amount_minor = amount_minor + 1 WHERE region = '{rig.disturbed[-1]}' LIMIT 1")
        rig.check_tables(rig.disturbed[-1])
        self.assertEqual([text.split(":")[1].strip() for text in rig.wrong], ["billing_item"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
