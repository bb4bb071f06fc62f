# SPDX-License-Identifier: Apache-2.0
"""What the id proof is made of: databases and kontord processes with idgen alone, that can be killed, stopped, given a wrong
clock or an older database. Several of each side by side; instance and kontor_instance.py make one of each."""
import glob
import os
import pathlib
import shutil
import signal
import subprocess
import time

import msgpack
import zmq

from kontor_instance import BUILD, TOP

FAKETIME = ("/usr/lib/*/faketime/libfaketimeMT.so.1", "/usr/lib64/faketime/libfaketimeMT.so.1")


def faketime_library():
    for pattern in FAKETIME:
        for path in glob.glob(pattern):
            return path
    raise RuntimeError("libfaketime is not installed (Debian: faketime, EL: libfaketime)")


class Refused(Exception):
    """An error answer, or none in time."""

    def __init__(self, name, message):
        super().__init__(f"{name}: {message}")
        self.name, self.message = name, message


class Database:
    """A MariaDB server below a folder; restarted with the same files unless they are put back."""

    def __init__(self, folder, template=None):
        """template: the files of a server that was stopped in good order, which spares making new ones."""
        self.folder = pathlib.Path(folder)
        if template:
            shutil.copytree(template, self.folder / "db")
        self.environment = dict(os.environ, KONTOR_BUILD=str(BUILD), KONTOR_DB_POOL="64M", KONTOR_DB_REDO="24M")

    def control(self, command):
        done = subprocess.run([TOP / "tests/lib/instance", self.folder, command], env=self.environment, text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if done.returncode != 0:
            raise RuntimeError(f"instance {command}: exit {done.returncode}\n{done.stderr}")
        return done.stdout.strip()

    def up(self):
        self.control("db-up")
        self.socket = self.control("socket")
        self.pid = int((self.folder / "mariadbd.pid").read_text())
        return self

    def kill(self):
        self.thaw()                                                 # a stopped process would die later
        self.control("db-kill")

    def freeze(self):
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self):
        try:
            os.kill(self.pid, signal.SIGCONT)
        except ProcessLookupError:
            pass

    def client(self, program, *arguments, **options):
        return subprocess.run([program, "--no-defaults", f"--socket={self.socket}", "-u", "root", *arguments], check=True,
                              timeout=60, stderr=subprocess.PIPE, **options)

    def sql(self, statement, database="kontor"):
        done = self.client("mariadb", "-BN", database, input=statement.encode(), stdout=subprocess.PIPE)
        return [line.split("\t") for line in done.stdout.decode().splitlines()]

    # ---- losing what was committed

    def dump(self, path, database="kontor"):
        with open(path, "wb") as file:
            self.client("mariadb-dump", "--single-transaction", database, stdout=file)

    def load(self, path, database="kontor"):
        with open(path, "rb") as file:
            self.client("mariadb", database, stdin=file)

    def copy_files(self, folder):
        """What a snapshot of the disk would hold: the server recovers from it as from a crash."""
        shutil.rmtree(folder, ignore_errors=True)
        self.freeze()
        try:
            shutil.copytree(self.folder / "db", folder)
        finally:
            self.thaw()

    def put_back_files(self, folder):
        self.kill()
        shutil.rmtree(self.folder / "db")
        shutil.copytree(folder, self.folder / "db")
        self.up()

    def remove(self):
        self.thaw()
        self.control("remove")


class Host:
    """A kontord with the unit `idgen`. Its wall clock is what set_clock() says, its monotonic clock the true one."""

    def __init__(self, folder, database, datacenter, options=None, plugins=None):
        self.folder = pathlib.Path(folder)
        self.database, self.datacenter = database, datacenter
        self.plugins = plugins or BUILD / "plugins"
        self.endpoint = f"ipc://{self.folder}/idgen.sock"
        self.log = self.folder / "kontord.log"
        self.process = None
        self.skew = self.folder / "clock"
        self.context = zmq.Context.instance()
        (self.folder / "conf/datacenters").mkdir(parents=True)
        (self.folder / "conf/conf.d").mkdir()
        self.configure({"claim": "auto"} if options is None else options)
        self.set_clock(0)

    def configure(self, options):
        """Plugin options as they stand in the file: {"window": "5s", "slots": 4, "peers": ["ipc://..."]}"""
        conf = self.folder / "conf"
        shutil.copytree(TOP / "conf/units", conf / "units", dirs_exist_ok=True)
        for name in ("kontord.conf", "currencies.conf"):
            shutil.copy(TOP / "conf" / name, conf)
        (conf / "users.conf").write_text(f'user "rig" {{ uid = {os.getuid()} roles = {{"operator", "admin", "unit"}} }}\n')
        (conf / "datacenters/here.conf").write_text(f'datacenter "here" {{ id = {self.datacenter} }}\n')
        text = "".join(f"    {name} = {self.written(value)}\n" for name, value in options.items())
        (conf / "conf.d/rig.conf").write_text(
            f'datacenter = "here"\ndatabase "main" {{\n    socket = "{self.database.socket}"\n    user = "root"\n'
            f'    name = "kontor"\n}}\nplugin "idgen" {{\n{text}}}\n')

    @staticmethod
    def written(value):
        if isinstance(value, list):
            return "{" + ", ".join(f'"{item}"' for item in value) + "}"
        return str(value) if isinstance(value, int) or value[0].isdigit() else f'"{value}"'

    def command(self, *more):
        return [BUILD / "bin/kontord", "--unit", "idgen", "--conf", self.folder / "conf", "--runtime", self.folder,
                "--state", self.folder / "state", "--plugins", self.plugins, *more]

    def environment(self):
        return dict(os.environ, LD_PRELOAD=faketime_library(), FAKETIME_TIMESTAMP_FILE=str(self.skew),
                    FAKETIME_NO_CACHE="1", FAKETIME_DONT_FAKE_MONOTONIC="1")

    def migrate(self):
        with open(self.log, "ab") as log:
            subprocess.run(self.command("--migrate"), check=True, stdin=subprocess.DEVNULL, stdout=log, stderr=log, timeout=60)

    def start(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.command(), env=self.environment(), stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, start_new_session=True)
        return self

    def set_clock(self, seconds):
        """The wall clock of the running process is off by so much from now on."""
        new = self.folder / "clock.new"
        new.write_text(f"{seconds:+.3f}\n")
        new.rename(self.skew)                                       # never half a file

    def pause(self):
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def kill(self):
        if not self.process:
            return
        self.process.kill()
        self.process.wait(30)
        for leftover in glob.glob(f"/dev/shm/*faketime_*_{self.process.pid}"):
            os.unlink(leftover)

    def stop(self):
        """In good order; false when it had to be killed."""
        if not self.process or self.process.poll() is not None:
            return True
        self.resume()
        self.process.terminate()
        try:
            self.process.wait(30)
            return True
        except subprocess.TimeoutExpired:
            return False
        finally:
            self.kill()

    def log_text(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    # ---- asking

    def ask(self, method, timeout=1.0, key="", **arguments):
        """The reply's map; Refused with the error's name, or SILENT."""
        socket = self.context.socket(zmq.DEALER)
        socket.linger = 0
        try:
            socket.connect(self.endpoint)
            header = [1, 1, 7, method, int(timeout * 1000), 0, key]
            socket.send_multipart([msgpack.packb(header), msgpack.packb(arguments)])
            if not socket.poll(int(timeout * 1000)):
                raise Refused("SILENT", f"{self.endpoint} did not answer {method} in {timeout} s")
            frames = socket.recv_multipart()
        finally:
            socket.close()
        answer, body = (msgpack.unpackb(frame) for frame in frames)
        if answer[1] == 3:
            raise Refused(body["name"], body["message"])
        return body

    def window_left_s(self):
        """How long ids of layout std63 flow on without the database."""
        stats = self.ask("idgen.stats", timeout=10)
        return max(allocator["window_left_ms"] for allocator in stats["allocators"] if allocator["layout"] == "std63") / 1000

    def await_ids(self, seconds, namespace="default"):
        """Seconds until an id was granted; Refused with the last answer when none was in time."""
        start = time.monotonic()
        while True:
            try:
                self.ask("idgen.next", namespace=namespace)
                return time.monotonic() - start
            except Refused as refused:
                if time.monotonic() - start > seconds:
                    raise
                if refused.name != "SILENT":
                    time.sleep(0.05)
