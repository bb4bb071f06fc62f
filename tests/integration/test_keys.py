# SPDX-License-Identifier: Apache-2.0
"""kontor keys generate and revoke: files that others can use, and nothing lost."""
import json
import os
import pathlib
import shutil
import stat
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "lib"))
from kontor_instance import BUILD    # noqa: E402

import zmq                           # noqa: E402
import zmq.auth                      # noqa: E402


class Keys(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="kontor-keys-"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.revoked = self.folder / "revoked-keys"

    def keys(self, *arguments, code=0):
        done = subprocess.run([str(word) for word in (BUILD / "bin/kontor", "keys", *arguments)], text=True, timeout=120,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.assertEqual(done.returncode, code, done.stderr)
        return done.stdout if code == 0 else done.stderr

    def generate(self, name, *more, code=0):
        return self.keys("generate", name, "--out", self.folder, *more, code=code)

    def revoke(self, key, *more, code=0):
        return self.keys("revoke", "--conf", self.folder, "--no-reload", *more, "--", key, code=code)

    def listed(self):
        return [line.split()[0] for line in self.revoked.read_text().splitlines() if line.strip()]

    def test_a_generated_pair_is_what_pyzmq_reads(self):
        answer = json.loads(self.generate("billing", "--json"))
        public, secret = zmq.auth.load_certificate(answer["secret_file"])
        self.assertEqual(zmq.curve_public(secret), public)
        self.assertEqual(zmq.auth.load_certificate(answer["public_file"]), (public, None))
        self.assertEqual(answer["public_key"], public.decode())
        modes = [stat.S_IMODE(os.stat(answer[name]).st_mode) for name in ("secret_file", "public_file")]
        self.assertEqual(modes, [0o600, 0o644])
        self.assertNotIn(secret.decode(), json.dumps(answer))

    def test_the_lines_for_the_configuration_are_printed_and_no_secret(self):
        text = self.generate("billing")
        public, secret = [key.decode() for key in zmq.auth.load_certificate(str(self.folder / "billing.key_secret"))]
        self.assertIn(f"user \"billing\" {{ keys = {{'{public}'}} roles = {{\"viewer\"}} }}", text)
        self.assertIn(f"server_keys = {{'{public}'}}", text)
        self.assertNotIn(secret, text)

    def test_nothing_is_overwritten(self):
        self.generate("billing")
        before = (self.folder / "billing.key_secret").read_bytes()
        self.assertIn("is there already", self.generate("billing", code=1))
        self.assertEqual((self.folder / "billing.key_secret").read_bytes(), before)
        self.assertIn("is no name", self.generate("../billing", code=2))
        self.assertIn("cannot be written", self.keys("generate", "x", "--out", self.folder / "none", code=1))
        self.assertEqual(sorted(file.name for file in self.folder.iterdir()), ["billing.key", "billing.key_secret"])

    def test_a_revoked_key_is_appended_and_the_rest_stays(self):
        keys = [json.loads(self.generate(name, "--json"))["public_key"] for name in ("one", "two", "three")]
        self.revoke(keys[0])
        self.assertEqual(self.listed(), keys[:1])
        self.revoked.write_text(f"# lost laptops\n{keys[0]} Ann's")      # without an end of line, as editors leave it
        self.revoked.chmod(0o640)
        self.assertIn("now stands", self.revoke(self.folder / "two.key"))
        self.assertIn("stood already", self.revoke(keys[1]))
        self.assertEqual(self.revoked.read_text().splitlines()[:2], ["# lost laptops", f"{keys[0]} Ann's"])
        self.assertEqual(self.listed()[1:], keys[:2])
        self.assertEqual(stat.S_IMODE(self.revoked.stat().st_mode), 0o640)
        self.assertEqual([file.name for file in self.folder.iterdir() if file.name.startswith(".")], [])

    def test_what_is_no_key_is_refused(self):
        self.assertIn("is neither a public key", self.revoke("rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf", code=2))
        (self.folder / "other.key").write_text("nothing\n")
        self.assertIn("holds no public key", self.revoke(self.folder / "other.key", code=2))
        self.assertFalse(self.revoked.exists())

    def test_revocations_at_the_same_time_lose_none(self):
        keys = [zmq.curve_keypair()[0].decode() for _ in range(24)]
        running = [subprocess.Popen([BUILD / "bin/kontor", "keys", "revoke", "--conf", self.folder, "--no-reload", "--", key],
                                    stdout=subprocess.DEVNULL) for key in keys]
        self.assertEqual([process.wait(120) for process in running], [0] * len(keys))
        self.assertEqual(sorted(self.listed()), sorted(keys))


if __name__ == "__main__":
    unittest.main()
