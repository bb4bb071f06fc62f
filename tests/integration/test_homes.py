# SPDX-License-Identifier: Apache-2.0
"""Two datacenters, each with a database of its own: calls about a region's money are answered by the home of that region, whoever asks and
wherever; nobody else answers them."""
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "lib"))
from kontor_instance import BUILD                                   # noqa: E402
from network_rig import Caller, free_port                           # noqa: E402
from probe_unit import ProbeUnit, need_database                     # noqa: E402
from promptness import promptly                                     # noqa: E402
from service import Failure                                         # noqa: E402

DONE, REFUSED, USAGE, RETRY = 0, 1, 2, 3
UNAVAILABLE, DISABLED = -12, -13
REGION = 'region "BR" { zone = "America/Sao_Paulo" first_window = "2026-W01" home = "%s" currencies = {"SGD"} }\n'


class Place(ProbeUnit):
    """A unit with the plugins `probe` and `other` in a datacenter; `other` tells which one it is."""

    def __init__(self, datacenter, number):
        self.datacenter, self.tcp = datacenter, f"tcp://127.0.0.1:{free_port()}"
        super().__init__()
        self.conf = self.folder / "conf"
        (self.conf / "units/one.conf").write_text(
            f'plugins = {{"probe", "other"}}\nplugin "other" {{ word = "{datacenter}" }}\n'
            f'bind = {{"{self.tcp}"}}\nkey_file = "{self.folder}/{datacenter}.key_secret"\n')
        (self.conf / "conf.d/where.conf").write_text(f'datacenter = "{datacenter}"\n')
        (self.conf / f"datacenters/{datacenter}.conf").write_text(f'datacenter "{datacenter}" {{ id = {number} }}\n')
        (self.conf / "regions/BR.conf").write_text(REGION % "there")
        self.kontor("keys", "generate", datacenter, "--out", self.folder)
        self.key = next(line.split('"')[1] for line in (self.folder / f"{datacenter}.key").read_text().splitlines()
                        if "public-key" in line)

    def knows(self, other):
        """What an administrator writes here about the other datacenter."""
        with open(self.conf / "users.conf", "a", encoding="utf-8") as users:
            for place in self, other:
                users.write(f"user \"{place.datacenter}\" {{ keys = {{'{place.key}'}} roles = {{\"unit\"}} }}\n")
        self.describe(other)

    def describe(self, other, service=None):
        if service is None:
            service = f"service \"other\" {{ endpoints = {{\"{other.tcp}\"}} server_keys = {{'{other.key}'}} }}\n"
        (self.conf / f"datacenters/{other.datacenter}.conf").write_text(
            f'datacenter "{other.datacenter}" {{ id = {14 if other.datacenter == "there" else 13} }}\n{service}')

    def kontor(self, *arguments):
        environment = {name: value for name, value in os.environ.items() if not name.startswith("KONTOR_")}
        done = subprocess.run([BUILD / "bin/kontor", "--conf", self.folder / "conf", "--runtime", self.folder / "run", "--key-file",
                               self.folder / f"{self.datacenter}.key_secret", *map(str, arguments)],
                              env=environment, stdin=subprocess.DEVNULL, text=True, capture_output=True, timeout=60)
        return done.returncode, done.stdout, done.stderr

    def reload(self):
        code, output, error = self.kontor("reload", "one")
        assert code == DONE, output + error


class Homes(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.here, cls.there = Place("dev", 13), Place("there", 14)
        for place, other in ((cls.here, cls.there), (cls.there, cls.here)):
            place.knows(other)
        # every service of the machine is in its unit `one`
        for place in (cls.here, cls.there):
            place.__enter__()
            cls.addClassCleanup(place.__exit__, None, None, None)
            for name in ("all", "other"):
                (place.folder / f"run/{name}.sock").symlink_to(place.folder / "run/one.sock")

    def setUp(self):
        self.here.describe(self.there)
        self.here.reload()
        self.caller = Caller(self.here.endpoint)
        self.addCleanup(self.caller.close)

    def who(self, place, *arguments):
        """The datacenter whose unit answers the command line."""
        code, output, error = place.kontor(*arguments, "--json")
        self.assertEqual(code, DONE, error)
        return json.loads(output)["word"]

    def refused(self, code, method, caller=None, /, **arguments):
        with self.assertRaises(Failure) as failure:
            (caller or self.caller).call(method, **arguments)
        self.assertEqual(failure.exception.code, code, failure.exception)
        return failure.exception

    def test_the_command_line_asks_the_home_wherever_it_runs(self):
        for place, other in ((self.here, self.there), (self.there, self.here)):
            with self.subTest(place.datacenter):
                self.assertEqual(self.who(place, "call", "other.money", "region=BR"), "there")
                self.assertEqual(self.who(place, "call", "other.money", "region=SG"), "dev")
                self.assertEqual(self.who(place, "call", "other.who"), place.datacenter)        # of no region: it stays
                self.assertEqual(self.who(place, "--home", "BR", "call", "other.who"), "there")
                self.assertEqual(self.who(place, "call", "other.who", "--home", "SG"), "dev")

    def test_a_plugin_that_calls_reaches_the_home(self):
        for region, home in ("BR", "there"), ("SG", "dev"):
            answer = self.caller.call("probe.call", method="other.money", about=region)
            self.assertEqual(answer["reply"]["word"], home)

    def test_what_every_unit_has_is_asked_in_the_home_too(self):
        code, output, error = self.here.kontor("--home", "BR", "call", "other.submit", "job_id=77")
        self.assertEqual(code, DONE, output + error)
        self.assertEqual(self.here.kontor("--home", "BR", "jobs", "show", "77")[0], DONE)
        self.assertEqual(self.here.kontor("jobs", "show", "77")[0], REFUSED)                    # another database

    def test_a_unit_refuses_what_is_not_its_regions_money(self):
        failure = self.refused(UNAVAILABLE, "other.money", region="BR")
        self.assertIn("other.money: region BR has its home in datacenter there; call it there", failure.message)
        with Caller(self.there.endpoint) as caller:
            failure = self.refused(UNAVAILABLE, "other.money", caller, region="SG")
        self.assertIn("region SG has its home in datacenter dev", failure.message)

    def test_a_home_whose_place_is_not_known_is_named_at_once(self):
        for service in "", 'service "other" { }\n':
            self.here.describe(self.there, service)
            self.here.reload()
            # nobody tries until the call's 5 s, or the command's 4 s, are over
            for said in (promptly(4, lambda: self.refused(UNAVAILABLE, "probe.call", method="other.money", about="BR").message),
                         promptly(3, lambda: self.unanswered("call", "other.money", "region=BR"))):
                self.assertRegex(said, "region BR has its home in datacenter there, and no endpoint of the service")

    def unanswered(self, *arguments):
        code, _, error = self.here.kontor(*arguments)
        self.assertEqual(code, RETRY, error)
        return error

    def test_a_service_that_is_switched_off_in_the_home_is_off(self):
        self.here.describe(self.there, 'service "other" { enabled = no }\n')
        self.here.reload()
        failure = self.refused(DISABLED, "probe.call", method="other.money", about="BR")
        self.assertIn("its service is switched off in datacenter there", failure.message)

    def test_a_home_that_is_away_is_named(self):
        self.here.describe(self.there, f"service \"other\" {{ endpoints = {{\"tcp://127.0.0.1:{free_port()}\"}} "
                                       f"server_keys = {{'{self.there.key}'}} }}\n")
        self.here.reload()
        for said in (self.refused(UNAVAILABLE, "probe.call", method="other.money", about="BR").message,
                     self.unanswered("call", "other.money", "region=BR")):
            self.assertRegex(said, "region BR has its home in datacenter there: .*tcp://127.0.0.1")
        self.assertEqual(self.caller.call("probe.call", method="other.money", about="SG")["reply"]["word"], "dev")

    def test_status_shows_each_unit_that_the_datacenters_file_names_once_and_waits_for_none(self):
        hangs = socket.create_server(("127.0.0.1", 0))                # lets in, and says nothing
        self.addCleanup(hangs.close)
        silent = [f"tcp://127.0.0.1:{hangs.getsockname()[1]}", f"tcp://127.0.0.1:{free_port()}"]
        own = self.here.conf / "datacenters/dev.conf"
        before = own.read_text()
        self.addCleanup(own.write_text, before)
        dead = ", ".join(f'"{endpoint}"' for endpoint in silent)
        own.write_text(before + f"service \"third\" {{ endpoints = {{\"{self.here.tcp}\", \"{self.there.tcp}\"}} "
                       f"server_keys = {{'{self.here.key}', '{self.there.key}'}} }}\n"
                       f"service \"fourth\" {{ enabled = no endpoints = {{{dead}}} server_keys = {{'{self.here.key}'}} }}\n")
        code, output, error = promptly(20, lambda: self.here.kontor("status", "--json"))     # a call waits for 30 s
        self.assertEqual(code, DONE, error)
        units = {unit["endpoint"]: unit for unit in map(json.loads, output.splitlines())}
        (local,) = (endpoint for endpoint in units if endpoint.startswith("ipc"))
        self.assertEqual(set(units), {local, self.there.tcp, *silent})      # not by its own tcp endpoint once more
        self.assertEqual((units[local]["datacenter"], units[self.there.tcp]["datacenter"]), ("dev", "there"))
        self.assertEqual(units[self.there.tcp]["state"], "ready")
        for endpoint in silent:
            self.assertEqual(units[endpoint]["state"], "silent")
            self.assertTrue(units[endpoint]["error"])
        _, output, _ = self.here.kontor("status")
        self.assertRegex(output, rf"(?m)^one +ready .* there +{self.there.tcp}$")
        self.assertRegex(output, rf"(?m)^{silent[1]} +silent +[a-z]")
        own.write_text(before + 'service "third" { endpoints = {"tcp://127.0.0.1:1"} }\n')
        code, output, error = self.here.kontor("status", "--json")
        self.assertEqual((code, len(output.splitlines())), (DONE, 1))
        self.assertRegex(error, "dev.conf:2: .*; units elsewhere are not looked at")

    def test_what_is_no_region_is_said(self):
        code, _, error = self.here.kontor("--home", "br", "call", "other.who")
        self.assertEqual(code, USAGE)
        self.assertIn("'br' is no region", error)

    def test_z_its_home_is_asked_again_once_it_is_back(self):
        self.there.stop(signal.SIGKILL)
        self.unanswered("call", "other.money", "region=BR")
        self.there.__enter__()
        self.assertEqual(self.who(self.here, "call", "other.money", "region=BR"), "there")


if __name__ == "__main__":
    need_database()
    unittest.main(verbosity=2)
