# SPDX-License-Identifier: Apache-2.0
"""kill -9 of kontord and mariadbd while items are settled by hand: each is paid once. The long form: ./dev proof manual"""
import shutil
import tempfile
import unittest

import scenario                                                     # noqa: F401  (sets the path)
from manual_rig import ManualRig


class ManualKill(unittest.TestCase):
    def test_each_item_is_paid_once_by_hand_or_by_its_windows_run(self):
        folder = tempfile.mkdtemp(prefix="kontor-manual-")
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)    # after the rig has ended what runs in it
        rig = ManualRig(folder, items=12_000, claims=2_500, seed=3, longest_pause=0.5)
        self.addCleanup(rig.close)
        self.assertEqual(rig.run(host=7, db=1)[:10], [])
        self.assertEqual(rig.kontor.sql("SELECT COUNT(*) FROM claim WHERE upload_id NOT IN (SELECT upload_id FROM manual_settlement)"), [["0"]])
        self.assertGreater(rig.paid_by_hand, 0)
        self.assertGreater(rig.lost_races, 0)
        # and the books are read: they see an item whose claim is gone, and a payout that is not the sum of its items
        region, made = rig.disturbed[-1]
        rig.kontor.sql(f"DELETE FROM claim WHERE region = '{region}' LIMIT 1; "
                       f"UPDATE payout SET gross_minor = gross_minor + 1 WHERE region = '{region}' AND run_id IN "
                       f"(SELECT run_id FROM manual_settlement) LIMIT 1")
        rig.check_hand(region, made)
        self.assertEqual(len([text for text in rig.wrong if "claims of upload" in text]), 1, rig.wrong)
        self.assertGreater(len([text for text in rig.wrong if "payouts are not the sum" in text]), 0, rig.wrong)


if __name__ == "__main__":
    unittest.main(verbosity=2)
