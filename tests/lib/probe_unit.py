# SPDX-License-Identifier: Apache-2.0
"""A unit with the plugin `probe` of the host's tests, on the server of tests/lib/with-mariadb, for tests of what a unit as a whole stands."""
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from kontor_instance import BUILD, TOP


def need_database():
    """Starts this program again under with-mariadb, unless it runs there already."""
    if "KONTOR_TEST_SOCKET" not in os.environ:
        program = [TOP / "tests/lib/with-mariadb", sys.executable, "-B", *sys.argv]
        os.execv(program[0], [str(word) for word in program])


class ProbeUnit:
    """with ProbeUnit('plugin "probe" { workers = 2 }') as unit: ... unit.endpoint"""

    def __init__(self, unit_conf="", users=""):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="kontor-probe-"))
        self.database = "probe_" + "".join(letter for letter in self.folder.name[-8:].lower() if letter.isalnum())
        self.endpoint = f"ipc://{self.folder}/run/one.sock"
        self.process = None
        conf = self.folder / "conf"
        shutil.copytree(TOP / "conf", conf)
        (conf / "units/one.conf").write_text('plugins = {"probe"}\n' + unit_conf)
        (conf / "users.conf").write_text(f'user "me" {{ uid = {os.getuid()} roles = {{"operator", "approver", "admin"}} }}\n'
                                         + users)
        (conf / "conf.d/site.conf").write_text(
            f'datacenter = "dev"\ndatabase "main" {{ socket = "{os.environ["KONTOR_TEST_SOCKET"]}" user = "root" '
            f'name = "{self.database}" }}\n')

    def command(self, *more):
        return [BUILD / "bin/kontord", "--unit", "one", "--conf", self.folder / "conf", "--runtime", self.folder / "run",
                "--state", self.folder / "state", "--plugins", BUILD / "host/tests/plugins", *more]

    def log(self):
        return (self.folder / "log").read_text()

    def __enter__(self):
        try:
            subprocess.run(self.command("--migrate"), check=True, stdout=subprocess.DEVNULL, timeout=120)
            with open(self.folder / "log", "ab") as log:
                before = self.log().count("unit is ready")          # it may have run before
                self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stderr=log)
            until = time.monotonic() + 60
            while self.log().count("unit is ready") == before:
                if self.process.poll() is not None or time.monotonic() > until:
                    raise RuntimeError(f"the unit is not ready:\n{self.log()}")
                time.sleep(0.01)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def stop(self, number=signal.SIGTERM):
        """The exit code."""
        self.process.send_signal(number)
        return self.process.wait(60)

    def __exit__(self, *_):
        if self.process and self.process.poll() is None:
            self.stop(signal.SIGKILL)
        subprocess.run(["mariadb", "--no-defaults", f"--socket={os.environ['KONTOR_TEST_SOCKET']}", "-u", "root", "-e",
                        f"DROP DATABASE IF EXISTS {self.database}"], check=False)
        shutil.rmtree(self.folder, ignore_errors=True)

    def resident_kib(self):
        """Memory of its own that is resident, without the pages of files."""
        status = dict(line.split(":", 1) for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines())
        return int(status["RssAnon"].split()[0])
