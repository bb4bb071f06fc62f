# SPDX-License-Identifier: Apache-2.0
"""What goes wrong around an upload: the database's disk is full, its connections are cut, it is away, or the client stops. Each
fault lasts as long as it is told to; then the upload has to go on by itself, and in between it has to say what is the matter."""
import hashlib
import json
import os
import pathlib
import signal
import subprocess
import time

from kontor_instance import BUILD, Instance
from service import Service
from upload_input import billing_items

DISK_MB, FREE_MB = 256, 6       # of the database; what is left of it when the upload begins
PATIENCE = 120                  # seconds for whatever is waited for
KINDS = ("--kind", "billing-items")


def can_mount(folder):
    """Whether this user may give the database a disk of its own."""
    if os.geteuid() != 0:
        return False
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1M", "none", folder], stderr=subprocess.DEVNULL, check=False).returncode:
        return False
    subprocess.run(["umount", folder], check=True)
    return True


class FaultRig:
    def __init__(self, folder, rows, report=lambda text: None):
        self.folder, self.rows, self.report = pathlib.Path(folder), rows, report
        self.disk = None
        self.kontor = Instance(self.folder / "instance", redo="32M")
        self.file = self.folder / "items.csv"
        self.expected = billing_items(self.file, rows, seed=5)

    def up(self):
        self.kontor.up()
        return self

    def close(self):
        try:
            self.thaw_database()
        except (FileNotFoundError, ProcessLookupError, ValueError):
            pass
        self.kontor.control("host-down", check=False)
        self.kontor.control("db-kill", check=False)
        if self.disk:
            subprocess.run(["umount", "--lazy", self.disk], check=False)
        self.kontor.control("remove", check=False)

    # ---- an upload, and what it says

    def start(self, region):
        """The command, followed as a person does."""
        self.region = region
        with open(self.folder / f"{region}.err", "w") as said:
            self.command = subprocess.Popen([BUILD / "bin/kontor", "upload", self.file, *KINDS, "--region", region, "--follow",
                                             "--json"], env=self.kontor.environment, text=True, stdin=subprocess.DEVNULL,
                                            stdout=subprocess.PIPE, stderr=said)

    def wait_for(self, what, condition):
        """The first true value of condition()."""
        until = time.monotonic() + PATIENCE
        while True:
            value = condition()
            if value:
                return value
            if time.monotonic() > until or self.command.poll() is not None:
                raise AssertionError(f"{self.region}: {what}: not within {PATIENCE} s, or before the end: {self.job()}")
            time.sleep(0.02)

    def job_id(self):
        rows = self.kontor.sql(f"SELECT job_id FROM upload WHERE region = '{self.region}' AND job_id > 0")
        return rows[0][0] if rows else None

    def job(self):
        """`jobs show`, or what it said instead."""
        code, output, error = self.kontor.run("jobs", "show", self.job_id(), "--json", timeout=PATIENCE)
        return json.loads(output) if code == 0 else {"exit": code, "said": error}

    def done(self):
        return int(self.kontor.sql(f"SELECT IFNULL(SUM(c.done), 0) FROM job_chunk c JOIN upload u ON u.job_id = c.job_id "
                                   f"WHERE u.region = '{self.region}'")[0][0])

    def half_way(self):
        self.wait_for("rows are stored", lambda: self.job_id() and self.done())

    def end(self):
        """The command's answer; the upload must have ended well, and without anybody's help."""
        output, _ = self.command.communicate(timeout=PATIENCE * 2)
        said = (self.folder / f"{self.region}.err").read_text()
        if self.command.returncode != 0:
            raise AssertionError(f"{self.region}: exit {self.command.returncode}: {said}")
        answer = json.loads(output.splitlines()[-1])
        verdicts = {name: total["rows"] for name, total in answer["verdicts"].items() if total["rows"]}
        if answer["state"] != "accepted" or verdicts != self.expected:
            raise AssertionError(f"{self.region}: {answer['state']}, {verdicts}, expected {self.expected}")
        stored = int(self.kontor.sql(f"SELECT COUNT(*) FROM billing_item WHERE region = '{self.region}'")[0][0])
        if stored != self.expected["ok"] + self.expected.get("late", 0):
            raise AssertionError(f"{self.region}: {stored} items are stored")
        return answer

    # ---- the database's disk

    def small_disk(self):
        """Moves the database to a disk of its own that is nearly full."""
        self.kontor.control("down")
        place = self.kontor.folder / "db"
        away = self.kontor.folder / "db.away"
        place.rename(away)
        place.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}M", "none", place], check=True)
        self.disk = place
        subprocess.run(["cp", "-a", f"{away}/.", place], check=True)
        subprocess.run(["rm", "-rf", away], check=True)
        self.kontor.up()

    def fill_disk(self):
        free = os.statvfs(self.disk)
        with open(self.disk / "ballast", "wb") as ballast:
            for _ in range(free.f_bavail * free.f_frsize // (1 << 20) - FREE_MB):
                ballast.write(bytes(1 << 20))

    def make_room(self):
        (self.disk / "ballast").unlink(missing_ok=True)

    # ---- the database's process and connections

    def database_pid(self):
        return int((self.kontor.folder / "mariadbd.pid").read_text())

    def freeze_database(self):
        os.kill(self.database_pid(), signal.SIGSTOP)

    def thaw_database(self):
        os.kill(self.database_pid(), signal.SIGCONT)

    def cut_connections(self):
        """Kills every connection that kontord has at this moment; returns how many."""
        numbers = [row[0] for row in self.kontor.sql("SELECT id FROM information_schema.processlist WHERE db = 'kontor' "
                                                     "AND id <> CONNECTION_ID() AND command <> 'Daemon'")]
        for number in numbers:
            try:
                self.kontor.sql(f"KILL CONNECTION {number}")
            except RuntimeError:
                pass                                                # it has ended meanwhile
        return len(numbers)

    # ---- the client

    def age(self, upload_id, ms):
        """Moves all that an upload knows of times into the past."""
        columns = [row[0] for row in self.kontor.sql("SELECT column_name FROM information_schema.columns WHERE table_schema = 'kontor' "
                                                     "AND table_name = 'upload' AND column_name LIKE '%\\_ms'")]
        self.kontor.sql("UPDATE upload SET " + ", ".join(f"{name} = IF({name} > 0, {name} - {ms}, {name})" for name in columns) +
                        f" WHERE upload_id = {upload_id}")


class PieceSender:
    """A client of another make that sends a file in pieces, as slowly as it likes."""

    def __init__(self, kontor, region, path):
        self.kontor, self.region, self.data = kontor, region, path.read_bytes()
        self.number = 0

    def call(self, method, **arguments):
        self.number += 1
        with Service(self.kontor.endpoint, timeout=30) as service:  # an hour later nothing is left of a connection
            return service.call(method, key=f"{self.region}-{self.number}", **arguments)

    def begin(self):
        answer = self.call("upload.begin", kind="billing-items", region=self.region, name="slow.csv", bytes=len(self.data),
                           sha256=hashlib.sha256(self.data).digest())
        self.upload_id = answer["upload_id"]
        return answer["offset"]

    def send(self, offset, size):
        return self.call("upload.piece", upload_id=self.upload_id, offset=offset, data=self.data[offset:offset + size])["offset"]
