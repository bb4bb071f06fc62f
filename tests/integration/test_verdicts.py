# SPDX-License-Identifier: Apache-2.0
"""Random files of rows of every verdict: each row's is the model's, whatever happens on the way. The long form: ./dev proof
verdicts"""
import shutil
import tempfile
import unittest

import scenario                                                     # noqa: F401  (sets the path)
from verdict_rig import VerdictRig


class Verdicts(unittest.TestCase):
    maxDiff = 10_000

    def test_each_row_of_random_files_has_the_verdict_of_the_model(self):
        folder = tempfile.mkdtemp(prefix="kontor-verdicts-")
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)    # after the rig has ended what runs in it
        rig = VerdictRig(folder)
        self.addCleanup(rig.close)
        self.assertEqual(rig.run(7, sizes=(60, 500, 200, 20), big=12_000)[:10], [])
        self.assertEqual({verdict for verdict, count in rig.counts.items() if count > 20},
                         {"ok", "late", "bad_row", "duplicate_in_file", "already_exists", "conflict", "unchanged",
                          "needs_approval", "not_found", "other_shop", "already_claimed", "already_settled", "held"})


if __name__ == "__main__":
    unittest.main(verbosity=2)
