# SPDX-License-Identifier: Apache-2.0
"""What the integration tests share: an instance per test class and short ways to say common things."""
import pathlib
import random
import shutil
import sys
import tempfile
import unittest

sys.path[:0] = [str(pathlib.Path(__file__).parents[1] / name) for name in ("lib", "demo")]
import check                                                        # noqa: E402,F401
import make_input                                                   # noqa: E402,F401
from kontor_instance import BUILD, TOP, CommandFailed, Instance    # noqa: E402,F401
from service import Failure, Service                                # noqa: E402,F401

HEADER = "shop_user_id,order_id,item_type,amount,currency,occurred_at,billing_item_id,note"
REGION, WINDOW = "SG", "2026-W45"


def item(shop=880000000001, order="A-1", kind="order", amount="10.00", currency="SGD", at="2026-11-03T10:00:00Z", id="",
         note=""):
    return f"{shop},{order},{kind},{amount},{currency},{at},{id},{note}"


class Scenario(unittest.TestCase):
    """One instance for all tests of a class; each test takes a region of its own where it needs a fresh one."""
    maxDiff = 4000

    @classmethod
    def setUpClass(cls):
        cls.scratch = pathlib.Path(tempfile.mkdtemp(prefix="kontor-files-"))
        cls.kontor = Instance()
        cls.kontor.__enter__()

    @classmethod
    def tearDownClass(cls):
        cls.kontor.__exit__(None, None, None)
        shutil.rmtree(cls.scratch, ignore_errors=True)

    def file(self, data, name=None):
        path = self.scratch / (name or f"{random.getrandbits(60):015x}.csv")
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
        return path

    def items_file(self, *rows):
        return self.file("\n".join((HEADER, *rows)) + "\n")

    def upload(self, path, *options, kind="billing-items", region=REGION):
        return self.kontor.json("upload", path, "--kind", kind, "--region", region, "--follow", *options)

    def refused(self, *arguments, code=1):
        """stderr of a command that must end with `code`."""
        got, output, error = self.kontor.run(*arguments)
        self.assertEqual(got, code, f"kontor {arguments}: {output}{error}")
        return error

    def assertVerdicts(self, answer, **wanted):
        self.assertEqual({name: total["rows"] for name, total in answer["verdicts"].items() if total["rows"]}, wanted)

    def count(self, table, where="1"):
        return int(self.kontor.sql(f"SELECT COUNT(*) FROM `{table}` WHERE {where}")[0][0])

    def pay(self, region, window=WINDOW, early=False):
        """Closes, runs and returns the run."""
        self.kontor.json("settlement", "close", "--region", region, "--window", window, "--follow",
                         *(["--early"] if early else []))
        return self.kontor.json("payout", "run", "--region", region, "--window", window, "--follow")
