# SPDX-License-Identifier: Apache-2.0
"""kill -9 while a gzip or zstd upload is unpacked: it ends right, and no piece is left over or doubled."""
import shutil
import tempfile
import unittest

import scenario                                                     # noqa: F401  (sets the path)
from unpack_rig import UnpackRig

TRIES = 8


class Unpack(unittest.TestCase):
    def rig(self, packing, seed):
        folder = tempfile.mkdtemp(prefix="kontor-unpack-")
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)    # after the rig has ended what runs in it
        rig = UnpackRig(folder, rows=100_000, seed=seed, packing=packing)
        self.addCleanup(rig.close)
        return rig

    def check_kills(self, rig, host, db):
        self.assertEqual(rig.run(host=host, db=db)[:10], [])
        self.assertEqual(rig.reference["upload_plain"][0], rig.pieces)      # that of others is compared with it
        self.assertGreater(rig.pieces, 5)
        for _ in range(TRIES):                                      # where the machine was too slow to hit it
            if not rig.hits_of_plan():
                rig.disturb(["host"])
        self.assertEqual(rig.wrong, [])
        self.assertGreater(rig.hits_of_plan(), 0, rig.hits)

    def test_gzip(self):
        rig = self.rig("gzip", seed=1)
        self.check_kills(rig, host=3, db=1)
        self.assertTrue(any(rig.cancel_while_unpacking() for _ in range(TRIES)))
        self.assertEqual(rig.wrong, [])

    def test_zstd(self):
        self.check_kills(self.rig("zstd", seed=2), host=2, db=0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
