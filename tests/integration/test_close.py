# SPDX-License-Identifier: Apache-2.0
"""Writers through settlement.add_items during a close. The long form, with 1,000 writers: ./dev proof close"""
import unittest

from scenario import Scenario
from close_rig import CloseRig


class Close(Scenario):
    def test_every_item_is_in_exactly_one_window(self):
        rig = CloseRig(self.kontor, "SG", writers=96, windows=["2026-W45", "2026-W46"])
        self.assertEqual(rig.run(), [])
        self.assertGreater(rig.calls, 100)


if __name__ == "__main__":
    unittest.main(verbosity=2)
