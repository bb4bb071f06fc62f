# SPDX-License-Identifier: Apache-2.0
"""The command line (and so any client) finds services by the datacenter's file, and where it says nothing by the runtime folder."""
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "lib"))
from kill_rig import KillRig                                        # noqa: E402
from kontor_instance import BUILD                                   # noqa: E402
from promptness import promptly                                     # noqa: E402

DONE, REFUSED, USAGE, RETRY = 0, 1, 2, 3
HERE = 'datacenter "here" { id = 1 %s }\n'


class Directory(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory(prefix="kontor-dir-")
        cls.addClassCleanup(cls.temporary.cleanup)
        cls.folder = pathlib.Path(cls.temporary.name)
        cls.rig = KillRig(cls.folder, seed=1)
        cls.addClassCleanup(cls.rig.close)
        cls.north, cls.south = cls.rig.units

    def setUp(self):
        self.write("")
        (self.folder / "conf/datacenters/there.conf").unlink(missing_ok=True)
        for link in self.folder.glob("*.sock"):
            if link.is_symlink():
                link.unlink()
        for unit in self.rig.units:
            if unit.process.poll() is not None:
                unit.start()

    def write(self, services, options="", name="here"):
        text = HERE % options if name == "here" else f'datacenter "{name}" {{ id = 2 }}\n'
        (self.folder / f"conf/datacenters/{name}.conf").write_text(text + services)

    def service(self, *endpoints):
        return 'service "tally" { endpoints = {%s} }\n' % ", ".join(f'"{endpoint}"' for endpoint in endpoints)

    def kontor(self, *arguments):
        environment = {name: value for name, value in os.environ.items() if not name.startswith("KONTOR_")}
        return subprocess.run([BUILD / "bin/kontor", "--conf", self.folder / "conf", "--runtime", self.folder, *arguments],
                              env=environment, stdin=subprocess.DEVNULL, text=True, capture_output=True, timeout=60)

    def look(self, expected=DONE):
        done = self.kontor("call", "tally.look", "n=1", "ms=0")
        self.assertEqual(done.returncode, expected, done.stderr)
        return done.stderr

    def test_a_service_is_where_the_datacenters_file_says(self):
        self.write(self.service(self.south.endpoint))
        self.look()
        self.write(self.service(f"ipc://{self.folder}/nobody.sock"))
        self.assertIn(f"no kontord answers at ipc://{self.folder}/nobody.sock", self.look(RETRY))

    def test_one_of_two_that_is_down_is_not_noticed(self):
        self.write(self.service(self.north.endpoint, self.south.endpoint))
        self.north.stop(signal.SIGKILL)
        for _ in range(4):
            self.look()
        self.south.stop(signal.SIGTERM)
        said = self.look(RETRY)
        self.assertIn(self.north.endpoint, said)
        self.assertIn(self.south.endpoint, said)

    def test_without_a_word_it_is_in_the_unit_of_its_name_or_in_all(self):
        self.assertIn(f"ipc://{self.folder}/tally.sock", self.look(RETRY))
        (self.folder / "all.sock").symlink_to(self.folder / "north.sock")
        self.look()
        (self.folder / "tally.sock").symlink_to(self.folder / "nobody.sock")    # dangling: as if it were not there
        self.look()
        (self.folder / "tally.sock").unlink()
        (self.folder / "tally.sock").symlink_to(self.folder / "south.sock")
        (self.folder / "all.sock").unlink()
        self.look()

    def test_what_every_unit_has_is_asked_of_any(self):
        done = self.kontor("jobs", "list", "--json")
        self.assertEqual(done.returncode, DONE, done.stderr)

    def test_what_is_switched_off_is_refused_at_once_and_names_the_datacenter(self):
        self.write('service "tally" { enabled = no }\n')
        # no connection is tried until it times out
        self.assertIn("tally.look: its service is switched off in datacenter here", promptly(3, self.disabled))

    def disabled(self):
        done = self.kontor("call", "tally.look", "n=1", "ms=0")
        self.assertEqual(done.returncode, REFUSED, done.stderr)
        return done.stderr.replace("kontor.methods", "tally.look")

    def test_what_is_switched_off_is_asked_of_the_fallback(self):
        self.write('service "tally" { enabled = no }\n', 'fallback = "there"')
        self.write(self.service(self.south.endpoint), name="there")
        self.look()
        self.write(self.service(self.south.endpoint).replace("{ ", "{ enabled = no ", 1), name="there")
        self.assertIn("switched off in datacenter here, and not served by its fallback there", self.disabled())
        self.write("", name="there")
        self.assertIn("not served by its fallback there", self.disabled())

    def test_a_file_that_is_wrong_is_named_with_its_line(self):
        self.write('service "tally" {\n endpoints = {"tcp://db1:7411"}\n}\n')
        self.assertIn(f"{self.folder}/conf/datacenters/here.conf:3: service \"tally\" has tcp endpoints without", self.look(USAGE))
        self.write("", 'fallback = "there"')
        self.write('service "tally" {\n endpoints = {"south.sock"}\n}\n', name="there")
        self.assertIn(f"{self.folder}/conf/datacenters/there.conf:3: endpoints: \"south.sock\" must be", self.look(USAGE))


if __name__ == "__main__":
    unittest.main()
