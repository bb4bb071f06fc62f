# SPDX-License-Identifier: Apache-2.0
"""`kontor reload` and `kontor status`: the shipped plugins leave a unit that serves and come back, and business goes on."""
import json
import os
import pathlib
import socket
import unittest

from scenario import Failure, Scenario, Service
from promptness import promptly

ALL = ["idgen", "upload", "settlement", "payout", "safefile"]
DRAINING, DISABLED = -11, -13


class Reload(Scenario):
    def setUp(self):
        self.conf = self.kontor.folder / "conf"
        self.runtime = str(pathlib.Path(self.kontor.endpoint.removeprefix("ipc://")).parent)
        self.addCleanup(self.plugins, *ALL)

    def plugins(self, *names):
        (self.conf / "units/all.conf").write_text("plugins = {%s}\n" % ", ".join(f'"{name}"' for name in names))
        return self.kontor.run("reload")

    def without_endpoint(self, *arguments):
        """As an operator who names no unit."""
        endpoint = self.kontor.environment.pop("KONTOR_ENDPOINT")
        try:
            return self.kontor.run("--runtime", self.runtime, *arguments)
        finally:
            self.kontor.environment["KONTOR_ENDPOINT"] = endpoint

    def switch(self, name, text):
        path = self.conf / "conf.d/switch.conf"
        path.write_text(text)
        self.addCleanup(path.unlink, missing_ok=True)
        code, output, error = self.kontor.run("reload")
        self.assertEqual(code, 0, output + error)
        return output

    def test_1_every_plugin_leaves_and_comes_back_and_business_goes_on(self):
        path = self.items_file("880000000001,A-1,order,10.00,SGD,2026-11-03T10:00:00Z,,")
        self.assertVerdicts(self.upload(path), ok=1)
        self.switch("off", "".join(f'service "{name}" {{ enabled = no }}\n' for name in ALL))
        (self.conf / "conf.d/switch.conf").unlink()
        for gone in ALL:
            # who calls it must have another place: here nobody is there, and all wait for it
            self.switch("gone", f'service "{gone}" {{ endpoints = {{"ipc://{self.runtime}/nobody.sock"}} }}\n')
            code, output, error = self.plugins(*(name for name in ALL if name != gone))
            self.assertEqual(code, 0, output + error)
            self.assertIn(f"plugin {gone} is out", output)
            with Service(self.kontor.endpoint) as service, self.assertRaises(Failure) as failure:
                service.call(f"{gone}.get")
            self.assertEqual(failure.exception.code, DRAINING)
            code, output, error = self.plugins(*ALL)
            self.assertEqual(code, 0, output + error)
            self.assertIn(f"plugin {gone} ", output)
        (self.conf / "conf.d/switch.conf").unlink()
        self.assertEqual(self.kontor.run("reload")[0], 0)
        again = self.items_file("880000000001,A-2,order,5.00,SGD,2026-11-03T10:00:00Z,,",
                                "880000000001,A-1,order,10.00,SGD,2026-11-03T10:00:00Z,,")
        self.assertVerdicts(self.upload(again), ok=1, already_exists=1)
        self.pay("SG")
        (payout,) = self.kontor.lines("payout", "list", "--region", "SG", "--window", "2026-W45")
        self.assertEqual(payout["net_minor"], 1500)

    def test_2_a_service_is_switched_off_by_one_line(self):
        output = self.switch("off", 'service "payout" {\n enabled = no\n}\n')
        self.assertRegex(output, r'taken +/.*conf.d/switch.conf:2: service "payout" enabled')
        service = Service(self.kontor.endpoint)
        self.addCleanup(service.close)
        with self.assertRaises(Failure) as failure:
            service.call("payout.list", region="SG", window="2026-W45")
        self.assertEqual(failure.exception.code, DISABLED)
        self.assertEqual(self.plugin("payout")["enabled"], False)
        self.switch("on", "")
        service.call("payout.list", region="SG", window="2026-W45")

    def plugin(self, name):
        return next(plugin for plugin in self.kontor.json("status")["plugins"] if plugin["name"] == name)

    def test_3_what_is_refused_is_said_with_its_place_and_changes_nothing(self):
        (self.conf / "conf.d/switch.conf").write_text('log_level = "quiet"\nplugin "payout" { worker = 3 }\n')
        self.addCleanup((self.conf / "conf.d/switch.conf").unlink)
        code, output, _ = self.kontor.run("reload")
        self.assertEqual(code, 1)
        self.assertIn("all: refused, the old configuration stays", output)
        self.assertRegex(output, r"refused +/.*switch.conf:1: .*log_level")
        self.assertRegex(output, r"refused +/.*switch.conf:2: .*worker.*did you mean 'workers'")
        answer = json.loads(self.kontor.run("reload", "--json")[1])
        self.assertEqual((answer["unit"], answer["taken"], len(answer["rows"])), ("all", False, 2))

    def test_4_what_needs_a_restart_is_named(self):
        (self.conf / "conf.d/switch.conf").write_text('plugin "payout" { workers = 9 }\n')
        self.addCleanup((self.conf / "conf.d/switch.conf").unlink)
        code, output, _ = self.kontor.run("reload")
        self.assertEqual(code, 0)
        self.assertRegex(output, r'restart +/.*switch.conf:1: plugin "payout" workers')

    def test_5_status_and_reload_find_all_units_and_one_that_hangs_keeps_nobody_waiting(self):
        dead = socket.socket(socket.AF_UNIX)                          # listens, and never answers
        self.addCleanup(dead.close)
        dead.bind(f"{self.runtime}/hangs.sock")
        dead.listen()
        self.addCleanup(os.unlink, f"{self.runtime}/hangs.sock")
        code, output, error = promptly(20, lambda: self.without_endpoint("status", "--json"))    # a call waits for 30 s
        self.assertEqual(code, 0, error)
        units = {unit["unit"]: unit for unit in map(json.loads, output.splitlines())}
        self.assertEqual(set(units), {"all", "hangs"})
        self.assertEqual((units["all"]["state"], units["hangs"]["state"]), ("ready", "silent"))
        self.assertEqual({plugin["name"] for plugin in units["all"]["plugins"]}, {"kontor", "jobs", "approval", *ALL})
        pid = int((self.kontor.folder / "kontord.pid").read_text())
        self.assertEqual(units["all"]["pid"], pid)
        code, output, _ = self.without_endpoint("status")
        self.assertEqual(code, 0)
        self.assertRegex(output, r"(?m)^all +ready +%d " % pid)
        self.assertRegex(output, r"(?m)^hangs +silent ")
        self.assertRegex(output, r"(?m)^all +payout .* well ")
        self.assertRegex(output, r"(?m)^all +settle ")
        code, output, _ = self.without_endpoint("reload", "all")
        self.assertEqual((code, output), (0, "all: nothing has changed\n"))
        self.assertEqual(self.without_endpoint("reload", "all", "nobody")[0], 3)


if __name__ == "__main__":
    unittest.main(verbosity=2)
