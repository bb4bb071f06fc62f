# SPDX-License-Identifier: Apache-2.0
"""`kontor doctor`: each kind of trouble is found where it is, with what to do; looking changes nothing."""
import json
import os
import pathlib
import socket
import time
import unittest

from scenario import BUILD, Scenario

JOB = ("INSERT INTO job (job_id, kind, lane, params, state, stage, created_ms, started_ms, finished_ms, lease_until_ms) "
       "VALUES ({id}, 'payout.{id}', 'report', '', '{state}', 'plan', {created}, {started}, {finished}, {lease})")


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
    unittest.main(verbosity=2)
