#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# proof: upload-faults [SECONDS]   the tests of uploads under faults, each of which lasts 60 s instead of 3; about 6 min
"""The database's disk full, its connections cut, it away or standing still, the client stopped: the upload goes on by itself."""
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "integration"))
import test_upload_faults                                           # noqa: E402

if __name__ == "__main__":
    test_upload_faults.AWAY_SECONDS = float(sys.argv[1]) if len(sys.argv) > 1 else 60
    unittest.main(module=test_upload_faults, argv=[sys.argv[0]], verbosity=2)
