# SPDX-License-Identifier: Apache-2.0
"""The faults of the id proof. Each one ends when ids flow again from both hosts of its datacenter, within a bound that the
design explains; a longer gap is a finding."""
import random
import re
import threading
import time

from idgen_site import Refused

STOCK_MARGIN_S = 1.5    # ids may have run ahead of the clock, and the machine is busy
SILENCE_S = 10          # a machine may be so busy that a host does not get to answer for seconds; that is no refusal
RESTART_S = 15          # a process's start on a busy machine, and its first slot


class Faults(threading.Thread):
    """One datacenter's faults, one after the other, every kind once before any comes again."""

    def __init__(self, rig, datacenter, seed, kinds=None, rounds=10 ** 6, pause=(1.0, 4.0), freeze_s=15.0):
        super().__init__(daemon=True)
        self.rig, self.datacenter = rig, datacenter
        self.random = random.Random(seed)
        self.pause, self.freeze_s, self.rounds = pause, freeze_s, rounds
        self.stop_s = 1.3 * datacenter.window_s                     # beyond the lease
        self.kinds = kinds or list(self.ALL)
        self.done = {}
        self.went_back = False                                     # the database is, or was, an old copy of itself
        self.ending = threading.Event()
        self.failure = None
        self.dump = rig.folder / f"{datacenter.name}.sql"
        self.files = rig.folder / f"{datacenter.name}.files"

    def run(self):
        try:
            self.keep_old_state()
            for _ in range(self.rounds):
                for kind in self.random.sample(self.kinds, len(self.kinds)):
                    if self.ending.wait(self.random.uniform(*self.pause)):
                        return
                    getattr(self, kind)()
                    self.done[kind] = self.done.get(kind, 0) + 1
        except Exception as failure:  # pylint: disable=broad-except
            self.failure = failure

    def end(self, timeout):
        self.ending.set()
        self.join(timeout)
        if self.is_alive():
            self.rig.finding(f"{self.datacenter.name}: the fault that was under way did not end within {timeout} s")
        if self.failure:
            raise self.failure

    # ---- what the faults share

    def say(self, text):
        self.rig.say(f"{self.datacenter.name}: {text}")

    def a_host(self):
        index = self.random.randrange(len(self.datacenter.hosts))
        return "ab"[index], self.datacenter.hosts[index]

    def await_ids(self, letter, host, bound_s, what):
        """Seconds until ids flow again. What an old copy of the database lost may be found when a slot is looked at much later,
        after another fault: the wait that the answer then names belongs to the copy."""
        try:
            return host.await_ids(bound_s)
        except Refused as refused:
            wait = re.search(r"no id slot is taken for another (\d+) s", str(refused))
            if not wait or not self.went_back:
                raise
            self.say(f"{letter} found after {what} what an old copy of the database had lost: {refused}")
            return bound_s + host.await_ids(int(wait[1]) + bound_s)

    def recover(self, bound_s, what):
        for letter, host in zip("ab", self.datacenter.hosts):
            if host.process.poll() is not None:
                self.rig.finding(f"{self.datacenter.name}{letter} ended by itself after {what}: exit {host.process.returncode}; "
                                 f"its log ends: {' | '.join(host.log_text().splitlines()[-3:])}")
                host.start()
            try:
                seconds = self.await_ids(letter, host, bound_s, what)
                if seconds > 1:
                    self.say(f"ids flow again from {letter} {seconds:.1f} s after {what}")
            except Refused as refused:
                self.rig.finding(f"{self.datacenter.name}{letter}: no id within {bound_s:.0f} s after {what}: {refused}")

    def keep_old_state(self):
        if "dump_restored" in self.kinds:
            self.datacenter.database.dump(self.dump)
        if "files_restored" in self.kinds:
            self.datacenter.database.copy_files(self.files)

    # ---- processes

    def host_killed(self):
        letter, host = self.a_host()
        self.say(f"host {letter} killed")
        host.kill()
        host.start()
        self.recover(RESTART_S, "the kill of a host")

    def host_stopped(self):
        letter, host = self.a_host()
        self.say(f"host {letter} stopped for {self.stop_s:.1f} s, beyond its lease")
        host.pause()
        time.sleep(self.stop_s)
        host.resume()
        self.recover(RESTART_S, "a stop of a host")

    def database_killed(self):
        self.say("database killed")
        self.datacenter.database.kill()
        self.datacenter.database.up()
        self.recover(RESTART_S, "the kill of the database")

    def database_frozen(self):
        """Half a window is always in stock, so a shorter frost must not be felt at all."""
        unfelt = self.freeze_s + STOCK_MARGIN_S < self.datacenter.window_s / 2
        if unfelt:
            self.await_stock(self.freeze_s + STOCK_MARGIN_S)
        self.say(f"database frozen for {self.freeze_s:.1f} s")
        refusals = []
        self.datacenter.database.freeze()
        end = time.monotonic() + self.freeze_s
        while time.monotonic() < end:
            for letter, host in zip("ab", self.datacenter.hosts):
                try:
                    host.ask("idgen.next", timeout=SILENCE_S, namespace="default")
                except Refused as refused:
                    if refused.name != "BUSY":                      # ahead of the clock: that has another cause
                        refusals.append(f"{letter}: {refused}")
            time.sleep(0.05)
        self.datacenter.database.thaw()
        if refusals and unfelt:
            self.rig.finding(f"{self.datacenter.name}: {len(refusals)} refusals in the {self.freeze_s} s that the database was "
                             f"frozen, the first one by {refusals[0]}")
        self.recover(RESTART_S, "the database froze")

    def await_stock(self, seconds):
        """The fault before may have ended a moment ago."""
        for letter, host in zip("ab", self.datacenter.hosts):
            end = time.monotonic() + RESTART_S
            while host.window_left_s() < seconds:
                if time.monotonic() > end:
                    self.rig.finding(f"{self.datacenter.name}{letter} has a window of {host.window_left_s():.1f} s {RESTART_S} s "
                                     f"after all was well again; half of {self.datacenter.window_s} s is promised")
                    break
                time.sleep(0.1)

    def host_fenced(self):
        letter, host = self.a_host()
        self.say(f"host {letter} told to drop its windows")
        host.ask("idgen.fence", timeout=10, key=f"fence-{self.random.getrandbits(60)}")
        self.recover(RESTART_S, "a fence")

    def client_killed(self):
        client = self.random.choice(self.datacenter.clients)
        self.say(f"client {client.name} killed")
        client.kill()
        client.start()

    # ---- clocks

    def clock_step(self, seconds, back_after_s):
        letter, host = self.a_host()
        self.say(f"clock of host {letter} {seconds:+} s for {back_after_s:.1f} s")
        start_ms = int(time.time() * 1000)
        host.set_clock(seconds)
        time.sleep(back_after_s)
        if abs(seconds) < 60:
            self.recover(RESTART_S, f"a clock step of {seconds:+} s")
        host.set_clock(0)
        self.recover(RESTART_S, f"a clock step of {seconds:+} s and back")
        self.rig.disturbed(self.datacenter, start_ms)

    def clock_back_1ms(self):
        self.clock_step(-0.001, self.random.uniform(0.5, 2))

    def clock_back_5s(self):
        self.clock_step(-5, self.random.uniform(1, 6))

    def clock_back_1h(self):
        self.clock_step(-3600, self.random.uniform(1, 8))

    def clock_ahead_1h(self):
        self.clock_step(3600, self.random.uniform(1, 8))

    # ---- a database that lost what it had committed

    def recover_from_loss(self, what):
        """Windows that were held are used up first; then no slot is taken for two windows after the loss was noticed."""
        self.went_back = True
        time.sleep(self.datacenter.window_s)
        self.recover(2 * self.datacenter.window_s + RESTART_S, what)

    def dump_restored(self):
        self.say("an old dump is loaded")
        self.datacenter.database.load(self.dump)
        self.recover_from_loss("an old dump was loaded")

    def files_restored(self):
        self.say("the database's files are those of an old copy")
        self.datacenter.database.put_back_files(self.files)
        self.recover_from_loss("old files were put back")

    ALL = ("host_killed", "host_stopped", "database_killed", "database_frozen", "host_fenced", "client_killed", "clock_back_1ms",
           "clock_back_5s", "clock_back_1h", "clock_ahead_1h", "dump_restored", "files_restored")
