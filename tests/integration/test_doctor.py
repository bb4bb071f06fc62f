# SPDX-License-Identifier: Apache-2.0
"""`kontor doctor`: each kind of trouble is found where it is, with what to do; looking changes nothing."""
import json
import os
import pathlib
import shutil
import socket
import subprocess
import threading
import time
import unittest

from scenario import BUILD, Scenario
from probe_unit import ProbeUnit, need_database

import msgpack
import zmq

JOB = ("INSERT INTO job (job_id, kind, lane, params, state, stage, created_ms, started_ms, finished_ms, lease_until_ms) "
       "VALUES ({id}, 'payout.{id}', 'report', '', '{state}', 'plan', {created}, {started}, {finished}, {lease})")


REQUEST, REPLY, PING, PONG = 1, 2, 4, 5


class StrangeUnit:
    """A unit that answers kontor.status as it is told to, and has found nothing at itself."""

    def __init__(self, path, **status):
        self.answers = {"kontor.status": dict(unit=path.stem, state="ready", **status), "kontor.examine": {"rows": []}}
        self.path, self.ended = path, False
        self.socket = zmq.Context.instance().socket(zmq.ROUTER)
        self.socket.bind(f"ipc://{path}")
        path.chmod(0o660)
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        while not self.ended:
            if not self.socket.poll(50):
                continue
            route, header, _ = self.socket.recv_multipart()
            _, kind, number, method, *_ = [*msgpack.unpackb(header), ""]
            if kind == REQUEST:
                self.answer(route, [1, REPLY, number, 0], self.answers[method])
            elif kind == PING:
                self.answer(route, [1, PONG, number], {"instance": 1, "state": "ready", "queued": 0, "capacity": 1})

    def answer(self, route, header, body):
        self.socket.send_multipart([route, msgpack.packb(header), msgpack.packb(body)])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.ended = True
        self.thread.join()
        self.socket.close(0)
        self.path.unlink(missing_ok=True)


class Healthy(unittest.TestCase):
    """A unit of which nothing is to be said: a plugin without jobs, for which a small database is enough."""

    def test_nothing_is_found_and_the_exit_code_says_so(self):
        unit = ProbeUnit()
        conf = unit.folder / "conf"
        for other in (conf / "units").glob("*.conf"):
            other.unlink()
        (conf / "units/one.conf").write_text('plugins = {"idgen"}\nplugin "idgen" { claim = "auto" }\n')
        command = unit.command
        unit.command = lambda *more: [BUILD / "plugins" if word == BUILD / "host/tests/plugins" else word for word in command(*more)]
        disk = shutil.disk_usage(unit.folder)
        if disk.free < max(1 << 30, disk.total / 10):
            self.skipTest("the disk is nearly full, which doctor says as well")
        with unit:
            # no --plugins: in a build folder they are found
            done = subprocess.run([BUILD / "bin/kontor", "--conf", conf, "--runtime", unit.folder / "run", "doctor"],
                                  env={**{name: value for name, value in os.environ.items() if not name.startswith("KONTOR_")},
                                       "LD_PRELOAD": preloads(BUILD / "tests/clock_kept.so")},
                                  stdin=subprocess.DEVNULL, text=True, capture_output=True, timeout=120)
        self.assertEqual((done.returncode, done.stdout), (0, "nothing was found\n"), done.stderr)


def preloads(library):
    """With a sanitizer, its own library has to come first."""
    sanitizers = [line.split()[2] for line in subprocess.run(["ldd", BUILD / "bin/kontor"], text=True, capture_output=True,
                                                             check=True).stdout.splitlines()
                  if line.split()[0].startswith(("libasan", "libtsan", "libubsan"))]
    return ":".join(map(str, [*sanitizers, library]))


class Doctor(Scenario):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.conf = cls.kontor.folder / "conf"
        cls.runtime = pathlib.Path(cls.kontor.endpoint.removeprefix("ipc://")).parent
        cls.before = cls.look()

    @classmethod
    def look(cls):
        """{(unit, finding)} with everything else that is said."""
        endpoint = cls.kontor.environment.pop("KONTOR_ENDPOINT")
        try:
            code, output, error = cls.kontor.run("--conf", cls.conf, "--runtime", cls.runtime, "doctor", "--plugins",
                                                 BUILD / "plugins", "--json")
        finally:
            cls.kontor.environment["KONTOR_ENDPOINT"] = endpoint
        rows = [json.loads(line) for line in output.splitlines()]
        assert code == (1 if rows else 0), error
        assert all(row["finding"] and row["why"] and row["cure"] for row in rows), rows
        return {(row["unit"], row["finding"]) for row in rows}

    def found(self, unit, text):
        new = self.look() - self.before
        self.assertEqual([place for place, _ in new], [unit], new)
        self.assertRegex(next(iter(new))[1], text)

    def file(self, path, text, mode=0o644):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        path.chmod(mode)
        return path

    def test_what_this_instance_is_for_is_found(self):
        self.assertIn(("all", "approvals = trusted: for development only"), self.before)
        self.assertTrue(any("the redo log has 128 MiB" in finding for _, finding in self.before), self.before)

    def test_a_server_with_fewer_sessions_than_the_unit_may_hold(self):
        before = self.kontor.sql("SELECT @@max_connections")[0][0]
        self.kontor.sql("SET GLOBAL max_connections = 30")
        try:
            self.found("all", r"^max_connections is 30, and .* may hold \d\d sessions$")
        finally:
            self.kontor.sql(f"SET GLOBAL max_connections = {before}")

    def test_a_wrong_line_of_a_unit_that_does_not_run(self):
        path = self.file(self.conf / "units/extra.conf", 'plugins = {"idgen"}\nplugin "idgen" { slots = 99 }\n')
        try:
            self.found("extra", r"extra\.conf:2: .*slots")
        finally:
            path.unlink()

    def test_a_secret_key_that_others_can_read(self):
        path = self.file(self.conf / "keys/me.key_secret", "secret", 0o640)
        try:
            self.found(None, "me.key_secret: mode 0640")
        finally:
            path.unlink()

    def test_a_socket_that_everybody_reaches(self):
        path = self.runtime / "all.sock"
        mode = path.stat().st_mode & 0o7777
        path.chmod(0o666)
        try:
            self.found(None, "all.sock: mode 0666")
        finally:
            path.chmod(mode)

    def test_a_unit_that_hangs(self):
        hangs = socket.socket(socket.AF_UNIX)
        hangs.bind(str(self.runtime / "hangs.sock"))
        os.chmod(self.runtime / "hangs.sock", 0o660)
        hangs.listen()
        try:
            self.found("hangs", "it does not answer")
        finally:
            hangs.close()
            (self.runtime / "hangs.sock").unlink()

    def strange(self, **status):
        return StrangeUnit(self.runtime / "strange.sock", **{"version": self.version(), "plugins": [], **status})

    def version(self):
        return self.kontor.json("status")["version"]

    def test_a_unit_of_another_version(self):
        major, *rest = self.version().split(".")
        with self.strange():
            self.assertEqual(self.look() - self.before, set())
        with self.strange(version="0.0.9"):
            self.found("strange", "it runs version .*, older than")
        for newer in f"{int(major) + 1}.0.0", ".".join((major, *rest, "1")), ".".join((major, "10" + rest[0], *rest[1:])):
            with self.strange(version=newer):
                self.found("strange", f"it runs version {newer}, newer than")

    def test_ids_that_are_in_quarantine_or_are_not_issued(self):
        for own, text in ((dict(quarantine="until 12:00", problem="it waits"), "idgen is in quarantine: until 12:00"),
                          (dict(quarantine="", problem="no slot is free"), "idgen: no slot is free")):
            with self.strange(plugins=[{"name": "idgen", "status": own}]):
                self.found("strange", text)

    def test_jobs_that_nobody_brings_to_an_end(self):
        now = int(time.time() * 1000)
        rows = {1: ("1 jobs used up their retries", dict(state="dead", created=now, started=now, finished=now, lease=0)),
                2: ("1 jobs lost their runner",
                    dict(state="running", created=now, started=now, finished=0, lease=now - 120000)),
                3: ("1 jobs have waited for ten minutes",
                    dict(state="queued", created=now - 900000, started=0, finished=0, lease=0))}
        for number, (text, columns) in rows.items():
            self.kontor.sql(JOB.format(id=number, **columns))
            self.found("all", rf"{text}.*like job {number} \(payout\.{number}\)")
            self.kontor.sql(f"DELETE FROM job WHERE job_id = {number}")

    def test_tables_of_another_version(self):
        (step,) = self.kontor.sql("SELECT name FROM schema_step WHERE name LIKE 'payout/%' ORDER BY name LIMIT 1")
        self.kontor.sql(f"UPDATE schema_step SET name = 'payout/999-later#1' WHERE name = '{step[0]}'")
        try:
            self.found("all", "payout")
        finally:
            self.kontor.sql(f"UPDATE schema_step SET name = '{step[0]}' WHERE name = 'payout/999-later#1'")

    def test_tables_that_are_older(self):
        """As before a migration: the last step was never done."""
        (step,) = self.kontor.sql("SELECT name FROM schema_step WHERE owner = 'payout' ORDER BY step_no DESC LIMIT 1")
        self.kontor.sql(f"CREATE TABLE kept SELECT * FROM schema_step WHERE name = '{step[0]}';"
                        f"DELETE FROM schema_step WHERE name = '{step[0]}'")
        try:
            self.found("all", "payout")
        finally:
            self.kontor.sql("INSERT INTO schema_step SELECT * FROM kept; DROP TABLE kept")

    def test_z_a_database_that_is_away_and_nothing_once_all_is_repaired(self):
        self.kontor.control("db-down")
        try:
            new = self.look() - self.before
            self.assertTrue(any(unit == "all" and finding.startswith("database:") for unit, finding in new), new)
        finally:
            self.kontor.control("db-up")
        until = time.monotonic() + 30
        while (left := self.look() - self.before) and time.monotonic() < until:
            time.sleep(0.5)
        self.assertEqual(left, set())


if __name__ == "__main__":
    need_database()
    unittest.main(verbosity=2)
