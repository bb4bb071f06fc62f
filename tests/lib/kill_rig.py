# SPDX-License-Identifier: Apache-2.0
"""Two instances of one unit under load, one of which is stopped or killed, and started again, while callers go on."""
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import threading
import time
import typing

from idgen_site import Database
from kontor_instance import BUILD, TOP

LATE_MS = 10000     # after the restart, by when each call that was in flight has ended: half of the time that a call has


class Unit:
    """A kontord with the plugin `tally`."""

    def __init__(self, folder, name):
        self.folder, self.name = pathlib.Path(folder), name
        self.endpoint = f"ipc://{self.folder}/{name}.sock"
        self.process = None

    def command(self, *more):
        return [BUILD / "bin/kontord", "--unit", self.name, "--conf", self.folder / "conf", "--runtime", self.folder,
                "--state", self.folder / "state", "--plugins", BUILD / "proof/plugins", *more]

    def start(self):
        with open(self.folder / f"{self.name}.log", "ab") as log:
            ready = log.tell()
            self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.wait_until_ready(ready)

    def wait_until_ready(self, offset):
        until = time.monotonic() + 60
        while b"unit is ready" not in (self.folder / f"{self.name}.log").read_bytes()[offset:]:
            if self.process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"unit {self.name} is not ready:\n" + (self.folder / f"{self.name}.log").read_text())
            time.sleep(0.005)

    def stop(self, number):
        """Seconds until it had ended."""
        start = time.monotonic()
        self.process.send_signal(number)
        code = self.process.wait(60)
        if number == signal.SIGTERM and code != 0:
            raise RuntimeError(f"unit {self.name} ended with {code} on SIGTERM")
        return time.monotonic() - start


class Kill(typing.NamedTuple):
    """When the signal was sent, the process was gone, and the unit was ready again: milliseconds, as time.monotonic()."""
    endpoint: str
    sent_ms: float
    gone_ms: float
    ready_ms: float


def explain(failure, kills):
    """The kill that a call may have ended for, or None: without a key, sent to that unit, of unknown outcome, begun before it was back.
    Not only what began before the process was gone: who was answered a moment ago asks no PING first, and a request is sent before it is
    known that nobody reads it."""
    for kill in kills:
        if failure["method"] == "tally.look" and failure["code"] == "UNKNOWN_OUTCOME" and f" {kill.endpoint}," in failure["message"] and \
                failure["began_ms"] <= kill.ready_ms and kill.sent_ms <= failure["ended_ms"] <= kill.ready_ms + LATE_MS:
            return kill
    return None


class Load:
    """kill_client, and the calls that failed so far."""

    def __init__(self, units, threads, seed, mode="elsewhere", call_ms=20):
        self.failures, self.sums = [], None
        self.process = subprocess.Popen(
            [BUILD / "proof/kill_client", str(threads), str(seed), str(call_ms), mode, *(unit.endpoint for unit in units)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.reader = threading.Thread(target=self.read)
        self.reader.start()

    def read(self):
        for line in self.process.stdout:
            entry = json.loads(line)
            if "added" in entry:
                self.sums = entry
            else:
                self.failures.append(entry)

    def stop(self):
        self.process.stdin.close()
        self.reader.join(120)
        code = self.process.wait(10)
        if code != 0 or not self.sums:
            raise RuntimeError(f"kill_client ended with {code}")
        return self.sums


class KillRig:
    def __init__(self, folder, seed, threads=16, report=print):
        self.folder, self.threads, self.seed, self.report = pathlib.Path(folder), threads, seed, report
        self.random = random.Random(seed)
        self.wrong = []
        self.database = Database(self.folder / "database").up()
        self.units = [self.make_unit(name) for name in ("north", "south")]
        subprocess.run(self.units[0].command("--migrate"), check=True, stdout=subprocess.DEVNULL, timeout=60)
        for unit in self.units:
            unit.start()

    def make_unit(self, name):
        conf = self.folder / "conf"
        for sub in ("units", "datacenters", "conf.d"):
            (conf / sub).mkdir(parents=True, exist_ok=True)
        for file in ("kontord.conf", "currencies.conf"):
            shutil.copy(TOP / "conf" / file, conf)
        (conf / "users.conf").write_text(f'user "rig" {{ uid = {os.getuid()} roles = {{"operator"}} }}\n')
        (conf / "datacenters/here.conf").write_text('datacenter "here" { id = 1 }\n')
        (conf / f"units/{name}.conf").write_text('plugins = {"tally"}\n')
        (conf / "conf.d/rig.conf").write_text(
            f'datacenter = "here"\ndatabase "main" {{ socket = "{self.database.socket}" user = "root" name = "kontor" }}\n'
            'plugin "tally" { workers = 12 }\n')
        return Unit(self.folder, name)

    def close(self):
        for unit in self.units:
            if unit.process and unit.process.poll() is None:
                unit.stop(signal.SIGKILL)
        self.database.remove()

    def pause(self, least, most):
        time.sleep(self.random.uniform(least, most))

    def count_rows(self):
        """Rows, and numbers that stand there more than once."""
        (rows,), = self.database.sql("SELECT COUNT(*) FROM tally")
        (twice,), = self.database.sql("SELECT COUNT(*) FROM (SELECT n FROM tally GROUP BY n HAVING COUNT(*) > 1) t")
        self.database.sql("TRUNCATE tally")
        return int(rows), int(twice)

    def judge_sums(self, load, what):
        sums = load.stop()
        rows, twice = self.count_rows()
        if rows != sums["added"] or twice:
            self.wrong.append(f"{what}: {sums['added']} keyed calls succeeded, but there are {rows} effects, {twice} of them twice")
        return sums

    # ---- the three scenes

    def stop_one_by_one(self, rounds, mode="elsewhere"):
        """SIGTERM of one of the two, start, the other one: no call fails. Gives the failures."""
        load = Load(self.units, self.threads, self.seed, mode)
        self.pause(0.3, 0.5)
        slowest = 0
        for turn in range(rounds):
            unit = self.units[turn % 2]
            slowest = max(slowest, unit.stop(signal.SIGTERM))
            self.pause(0.05, 0.6)
            unit.start()
            self.pause(0.3, 1.0)        # callers see that it is back before the other one goes
        sums = self.judge_sums(load, "SIGTERM")
        self.report(f"SIGTERM {mode}: {rounds} restarts, {sums['added'] + sums['looked']} calls of {self.threads} threads, "
                    f"{sums['failed']} failed; slowest call {sums['slowest_ms']} ms, slowest drain {slowest * 1000:.0f} ms")
        return load.failures

    def kill_one_by_one(self, rounds):
        """SIGKILL: what was sent there without a key and not answered ends as UNKNOWN_OUTCOME, soon; nothing else fails."""
        load = Load(self.units, self.threads, self.seed)
        self.pause(0.3, 0.5)
        kills = []
        for turn in range(rounds):
            unit = self.units[turn % 2]
            killed_ms = time.monotonic() * 1000
            unit.stop(signal.SIGKILL)
            gone_ms = time.monotonic() * 1000
            self.pause(0.0, 0.6)
            unit.start()
            kills.append(Kill(unit.endpoint, killed_ms, gone_ms, time.monotonic() * 1000))
            self.pause(1.0, 2.0)
        sums = self.judge_sums(load, "SIGKILL")
        explained = [(failure, explain(failure, kills)) for failure in load.failures]
        self.wrong += [f"SIGKILL: a call that no kill explains: {failure}" for failure, kill in explained if not kill]
        explained = [(failure, kill) for failure, kill in explained if kill]
        longest = max((failure["ended_ms"] - max(failure["began_ms"], kill.sent_ms) for failure, kill in explained), default=0)
        behind = sum(failure["began_ms"] > kill.gone_ms for failure, kill in explained)
        self.report(f"SIGKILL: {rounds} kills, {sums['added'] + sums['looked']} calls, {len(load.failures)} without a key ended as "
                    f"UNKNOWN_OUTCOME, {behind} of them sent when the process was just gone, each within {longest:.0f} ms; "
                    f"{sums['added']} calls with a key all succeeded, each with one effect; slowest call {sums['slowest_ms']} ms")
        return load.failures
