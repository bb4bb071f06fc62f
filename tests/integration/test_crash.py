# SPDX-License-Identifier: Apache-2.0
"""kill -9 of kontord and mariadbd in the middle of every step. The long form: ./dev proof crash"""
import tempfile
import unittest

import scenario                                                     # noqa: F401  (sets the path)
from crash_rig import CrashRig


class Crash(unittest.TestCase):
    def test_kills_at_random_moments_change_nothing_in_the_end(self):
        with tempfile.TemporaryDirectory(prefix="kontor-crash-") as folder:
            rig = CrashRig(orders=60_000, shops=800, kills=12, seed=7, longest_pause=0.6)
            self.assertEqual(rig.run(folder), [])
            self.assertGreaterEqual(rig.killed, 3)  # a fast machine is through before the twelfth


if __name__ == "__main__":
    unittest.main(verbosity=2)
