#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""docs/plugin-guide.md, "In ten minutes", word for word: each line of its ```sh blocks, in a home folder of its own. The checkout
is this one, but for what ./dev up does before it starts the instance: packages and build are here already."""
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

from installation import BUILD, SANITIZED, TOP

GUIDE = TOP / "docs/plugin-guide.md"
# the part of ./dev that the guide uses, on a state folder of this test's own
DEV = """#!/bin/sh
exec "{top}/tests/lib/instance" build/run "$1"
"""


@unittest.skipIf(SANITIZED, "what a sanitizer built is not installed")
class Guide(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="kontor-guide-"))
        self.checkout, self.home = self.folder / "kontor", self.folder / "home"
        (self.checkout / "build").mkdir(parents=True)
        self.home.mkdir()
        (self.checkout / "build/dev").symlink_to(BUILD)
        (self.checkout / "sdk").symlink_to(TOP / "sdk")
        (self.checkout / "dev").write_text(DEV.format(top=TOP))
        (self.checkout / "dev").chmod(0o755)
        self.environment = dict(os.environ, HOME=str(self.home), KONTOR_BUILD=str(BUILD), KONTOR_DB_POOL="64M", KONTOR_DB_REDO="64M")
        for name in ("KONTOR_ENDPOINT", "KONTOR_CONF"):
            self.environment.pop(name, None)

    def tearDown(self):
        subprocess.run([TOP / "tests/lib/instance", self.checkout / "build/run", "remove"], env=self.environment,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=120)
        shutil.rmtree(self.folder, ignore_errors=True)

    def test_it_works_word_for_word(self):
        blocks = re.findall(r"^```sh\n(.*?)^```$", GUIDE.read_text(), re.DOTALL | re.MULTILINE)
        self.assertGreaterEqual(len(blocks), 6)
        done = subprocess.run(["bash", "-euo", "pipefail"], input="\n".join(blocks), cwd=self.checkout, env=self.environment,
                              text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300)
        self.assertEqual(done.returncode, 0, done.stdout)
        for said in ("Hello, Ada!", "Bom dia, Ada!", "did you mean name", "hello.greet"):
            self.assertIn(said, done.stdout)


if __name__ == "__main__":
    unittest.main()
