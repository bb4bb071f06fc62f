# SPDX-License-Identifier: Apache-2.0
"""Several units on one database: they share a job's chunks, hear of each other's jobs at once, and go on where one was killed."""
import itertools
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "lib"))
from idgen_site import Database                      # noqa: E402
from kill_rig import Unit                            # noqa: E402
from kontor_instance import BUILD, TOP               # noqa: E402
from service import Service                          # noqa: E402

CHUNKS = 10                                          # of a job of the plugin probe, 50 ms each
NEVER = "10m"                                        # a lane that looks so seldom does not look during a test


class Units(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="kontor-units-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        cls.conf = cls.folder / "conf"
        shutil.copytree(TOP / "conf", cls.conf)
        cls.database = Database(cls.folder / "database").up()
        cls.addClassCleanup(cls.database.remove)
        (cls.conf / "users.conf").write_text(f'user "me" {{ uid = {os.getuid()} roles = {{"unit", "operator"}} }}\n')
        for name, plugins in ("one", '"probe"'), ("twin", '"probe"'), ("other", '"other"'):
            (cls.conf / f"units/{name}.conf").write_text(f"plugins = {{{plugins}}}\n")
        cls.site("")
        cls.ids = itertools.count(1)
        subprocess.run(cls.unit("one").command("--migrate"), check=True, stdout=subprocess.DEVNULL, timeout=120)

    @classmethod
    def site(cls, lane):
        (cls.conf / "conf.d/site.conf").write_text(
            f'datacenter = "dev"\ndatabase "main" {{ socket = "{cls.database.socket}" user = "root" name = "kontor" }}\n'
            f'lane "interactive" {{ threads = 1 {lane} }}\n')

    @classmethod
    def unit(cls, name):
        unit = Unit(cls.folder, name)
        unit.command = lambda *more: [BUILD / "bin/kontord", "--unit", name, "--conf", cls.conf, "--runtime", cls.folder, "--state",
                                      cls.folder / f"state-{name}", "--plugins", BUILD / "host/tests/plugins", *more]
        return unit

    def start(self, *names):
        units = [self.unit(name) for name in names]
        for unit in units:
            unit.start()
            self.addCleanup(self.kill, unit)
        return units

    @staticmethod
    def kill(unit):
        if unit.process.poll() is None:
            unit.stop(signal.SIGKILL)

    def call(self, unit, method, **arguments):
        with Service(unit.endpoint) as service:
            return service.call(method, key=f"key-{next(self.ids)}", **arguments)

    def submit(self, unit, kind):
        job_id = next(self.ids)
        self.call(unit, "probe.submit", job_id=job_id, kind=kind)
        return job_id

    def sql(self, statement):
        return self.database.sql(statement)

    def number(self, statement):
        return int(self.sql(statement)[0][0])

    def wait(self, statement, seconds=60):
        """Until the statement gives a number that is not 0."""
        until = time.monotonic() + seconds
        while not self.number(statement):
            self.assertLess(time.monotonic(), until, f"{statement}: {self.sql('SELECT job_id, kind, state, stage, error FROM job')}")
            time.sleep(0.02)

    def steps(self, unit):
        return self.call(unit, "kontor.status")["counters"]["job_steps"]

    def test_a_unit_hears_at_once_of_a_job_that_another_one_submits(self):
        self.site(f"poll = {NEVER}")
        one, _ = self.start("one", "other")
        job_id = self.submit(one, "other.count")
        self.wait(f"SELECT state = 'done' FROM job WHERE job_id = {job_id}")

    def test_units_share_a_job_and_the_death_of_one_loses_nothing(self):
        self.site("")
        one, twin = self.start("one", "twin")
        jobs = [self.submit(one, "probe.count") for _ in range(6)]
        ids = ",".join(map(str, jobs))
        until = time.monotonic() + 60
        while self.steps(one) < 2 or self.steps(twin) < 2:
            self.assertLess(time.monotonic(), until, "one unit did all the work")
        twin.stop(signal.SIGKILL)
        self.assertLess(self.number(f"SELECT COUNT(*) FROM job WHERE job_id IN ({ids}) AND finished_ms > 0"), len(jobs))
        self.wait(f"SELECT COUNT(*) = {len(jobs)} FROM job WHERE job_id IN ({ids}) AND state = 'done'", 120)
        self.assertEqual(self.sql(f"SELECT DISTINCT state, done, losses <= 1 FROM job_chunk WHERE job_id IN ({ids})"),
                         [["done", "1", "1"]])
        self.assertEqual(self.number(f"SELECT COUNT(*) FROM job_chunk WHERE job_id IN ({ids})"), len(jobs) * CHUNKS)


if __name__ == "__main__":
    unittest.main(verbosity=2)
