# SPDX-License-Identifier: Apache-2.0
"""Units whose callers go on while services are switched, moved and pointed elsewhere by files and `kontor reload`.

Unit `caller` calls the service `other` for everybody who asks it (probe.call), through its own client: so it follows a reload
as any plugin does. `other` is in the unit `all`, in a unit of its own, or in another datacenter behind tcp."""
import json
import os
import pathlib
import shutil
import signal
import socket
import statistics
import subprocess
import threading
import time

import msgpack
import zmq

from idgen_site import Database
from kill_rig import Unit
from kontor_instance import BUILD, TOP

DISABLED = -13
REPLY, ERROR = 2, 3


class Site:
    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.conf = self.folder / "conf"
        for sub in ("units", "datacenters", "conf.d"):
            (self.conf / sub).mkdir(parents=True, exist_ok=True)
        for file in ("kontord.conf", "currencies.conf"):
            shutil.copy(TOP / "conf" / file, self.conf)
        self.database = Database(self.folder / "database").up()
        (self.conf / "conf.d/rig.conf").write_text(
            f'datacenter = "here"\ndatabase "main" {{ socket = "{self.database.socket}" user = "root" name = "kontor" }}\n'
            'plugin "probe" { workers = 16 }\nplugin "other" { workers = 8 }\n')
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.tcp = f"tcp://127.0.0.1:{free.getsockname()[1]}"
        self.keys = {name: self.generate(name) for name in ("caller", "other")}
        (self.conf / "users.conf").write_text(
            f'user "rig" {{ uid = {os.getuid()} roles = {{"unit", "operator", "admin"}} }}\n'
            f"user \"caller\" {{ keys = {{'{self.keys['caller']}'}} roles = {{\"unit\"}} }}\n")
        self.unit_conf("caller", "probe", f'key_file = "{self.folder}/caller.key_secret"\n')
        self.unit_conf("all", "third", "other")
        self.unit_conf("other", "other", f'key_file = "{self.folder}/other.key_secret"\nbind = {{"{self.tcp}"}}\n')
        self.services()
        self.units = {name: Unit(self.folder, name) for name in ("all", "other", "caller")}
        for unit in self.units.values():
            unit.command = lambda *more, name=unit.name: self.command(name, *more)
        subprocess.run(self.command("caller", "--migrate"), check=True, stdout=subprocess.DEVNULL, timeout=60)
        for name in ("all", "caller"):
            self.units[name].start()

    def close(self):
        for unit in self.units.values():
            if unit.process and unit.process.poll() is None:
                unit.stop(signal.SIGKILL)
        self.database.remove()

    def command(self, name, *more):
        return [BUILD / "bin/kontord", "--unit", name, "--conf", self.conf, "--runtime", self.folder, "--state",
                self.folder / "state", "--plugins", BUILD / "host/tests/plugins", *more]

    def kontor(self, *arguments, check=True):
        environment = {key: value for key, value in os.environ.items() if not key.startswith("KONTOR_")}
        done = subprocess.run([BUILD / "bin/kontor", "--runtime", self.folder, "--conf", self.conf, *map(str, arguments)],
                              env=environment, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=150)
        if check and done.returncode != 0:
            raise RuntimeError(f"kontor {arguments}: exit {done.returncode}\n{done.stderr}{done.stdout}")
        return done

    def generate(self, name):
        self.kontor("keys", "generate", name, "--out", self.folder)
        return next(line.split('"')[1] for line in (self.folder / f"{name}.key").read_text().splitlines()
                    if "public-key" in line)

    # ---- what an operator writes

    def unit_conf(self, name, *words):
        plugins = ", ".join(f'"{word}"' for word in words if "=" not in word)
        (self.conf / f"units/{name}.conf").write_text(f"plugins = {{{plugins}}}\n" + "".join(
            word for word in words if "=" in word))

    def services(self, block='service "other" { endpoints = {"ipc://%s/all.sock"} }', fallback=""):
        text = block.replace("%s", str(self.folder))
        (self.conf / "datacenters/here.conf").write_text(f'datacenter "here" {{ id = 1 {fallback} }}\n{text}\n')

    def reload(self, *units):
        """Of all units, or these; seconds that it took."""
        begin = time.monotonic()
        for line in self.kontor("reload", *units, "--json").stdout.splitlines():
            answer = json.loads(line)
            wrong = [row for row in answer["rows"] if row["verdict"] in ("failed", "refused")]
            if wrong or not answer["taken"]:
                raise RuntimeError(f"unit {answer['unit']} did not take it: {wrong}")
        return time.monotonic() - begin


class Caller:
    """One connection to the unit `caller`."""

    def __init__(self, site, unit="caller", method="probe.call", arguments=None):
        self.socket = zmq.Context.instance().socket(zmq.DEALER)
        self.socket.linger = 0
        self.socket.rcvtimeo = 20000
        self.socket.connect(f"ipc://{site.folder}/{unit}.sock")
        self.method, self.number = method, 0
        self.arguments = msgpack.packb({"method": "other.nap"} if arguments is None else arguments)

    def call(self):
        """(error code or 0, message, seconds)"""
        self.number += 1
        begin = time.monotonic()
        self.socket.send_multipart([msgpack.packb([1, 1, self.number, self.method, 15000]), self.arguments])
        header, body = map(msgpack.unpackb, self.socket.recv_multipart())
        took = time.monotonic() - begin
        if header[1:3] == [REPLY, self.number]:
            return 0, "", took
        return body["code"], body["message"], took

    def close(self):
        self.socket.close()


class Load:
    """Threads that call without a pause, until stop()."""

    def __init__(self, site, threads=16):
        self.site, self.ended, self.counts, self.failures = site, False, [0] * threads, []
        self.threads = [threading.Thread(target=self.run, args=(number,)) for number in range(threads)]
        for thread in self.threads:
            thread.start()

    def run(self, number):
        caller = Caller(self.site)
        while not self.ended:
            code, message, _ = caller.call()
            self.counts[number] += 1
            if code:
                self.failures.append((code, message))
        caller.close()

    def go_on(self, seconds):
        """So long, and at least until every thread was answered twice, however slow the machine is."""
        time.sleep(seconds)
        before, until = list(self.counts), time.monotonic() + 120
        while any(now < then + 2 for now, then in zip(self.counts, before)):
            if time.monotonic() > until:
                raise RuntimeError("the callers get no answers")
            time.sleep(0.01)

    def stop(self):
        self.ended = True
        for thread in self.threads:
            thread.join(60)
        return sum(self.counts), self.failures


class ReloadRig:
    def __init__(self, folder, seconds, threads=16, report=print):
        self.site, self.seconds, self.threads, self.report = Site(folder), seconds, threads, report
        self.wrong = []

    def close(self):
        self.site.close()

    def under_load(self, what, change):
        """The change while callers go on: no call fails."""
        load = Load(self.site, self.threads)
        try:
            load.go_on(self.seconds)
            took = change()
            load.go_on(self.seconds)
        finally:
            calls, failures = load.stop()
        self.report(f"{what}: {calls:,} calls, {len(failures)} failed; kontor reload took {took * 1000:,.0f} ms")
        self.wrong += [f"{what}: {code} {message}" for code, message in failures[:5]]

    # ---- the changes

    def to_its_own_unit(self):
        self.site.units["other"].start()
        self.site.services('service "other" { endpoints = {"ipc://%s/other.sock"} }')
        self.site.unit_conf("all", "third")
        return self.site.reload()

    def back(self):
        self.site.services()
        self.site.unit_conf("all", "third", "other")
        took = self.site.reload()
        self.site.units["other"].stop(signal.SIGTERM)
        return took

    def to_its_own_unit_but_its_callers_hear_of_it_last(self):
        self.site.units["other"].start()
        self.site.unit_conf("all", "third")
        self.site.services('service "other" { endpoints = {"ipc://%s/other.sock"} }')
        took = self.site.reload("all")
        time.sleep(0.5)
        return took + self.site.reload("caller")

    def to_another_machine(self):
        self.site.services(f"service \"other\" {{ endpoints = {{\"{self.site.tcp}\"}} server_keys = {{'{self.site.keys['other']}'}} }}")
        return self.site.reload()

    def to_another_datacenter(self):
        (self.site.conf / "datacenters/there.conf").write_text(
            'datacenter "there" { id = 2 }\n'
            f"service \"other\" {{ endpoints = {{\"{self.site.tcp}\"}} server_keys = {{'{self.site.keys['other']}'}} }}\n")
        self.site.services('service "other" { enabled = no }', fallback='fallback = "there"')
        return self.site.reload("caller")                            # unit `other` plays the other datacenter

    def switched_on_again(self):
        self.site.services()
        return self.site.reload()

    def switch_off(self, calls):
        """By one line; every call after the reload is answered DISABLED, and how fast."""
        callers = [Caller(self.site), Caller(self.site, "all", "other.nap", {})]
        for caller in callers:                                        # connected, and served
            if caller.call()[0]:
                self.wrong.append("switched off: the service was not there before")
        self.site.services('service "other" { enabled = no }')
        took = self.site.reload()
        ping, pings, answers = Caller(self.site, "caller", "kontor.ping", {}), [], []
        for _ in range(calls):
            answers += [caller.call() for caller in callers]
            pings.append(ping.call()[2] * 1000)
        pings.sort()
        ping.close()
        self.wrong += [f"switched off: {code} {message}" for code, message, _ in answers if code != DISABLED][:5]
        ms = sorted(seconds * 1000 for _, _, seconds in answers)
        self.report(f"switched off where no other place is: {len(answers)} calls after kontor reload ({took * 1000:,.0f} ms), "
                    f"DISABLED in {statistics.median(ms):.2f} ms, p99 {ms[len(ms) * 99 // 100]:.2f} ms, longest {ms[-1]:.2f} ms; "
                    f"kontor.ping between them {statistics.median(pings):.2f} ms, p99 {pings[len(pings) * 99 // 100]:.2f} ms, "
                    f"longest {pings[-1]:.2f} ms")
        for caller in callers:
            caller.close()

    def control(self):
        """The same load on a service whose only place is stopped: failures are seen."""
        load = Load(self.site, self.threads)
        try:
            load.go_on(self.seconds)
            self.site.services('service "other" { enabled = no }')
            self.site.reload()
            load.go_on(self.seconds)
        finally:
            _, failures = load.stop()
        if not failures or any(code != DISABLED for code, _ in failures):
            self.wrong.append(f"the control is wrong: calls of a service that is off ended as {failures[:3]}")
        self.switched_on_again()

    def run(self, rounds, calls):
        self.control()
        for _ in range(rounds):
            self.under_load("moved to a unit of its own", self.to_its_own_unit)
            self.under_load("pointed to another machine (tcp, CURVE)", self.to_another_machine)
            self.under_load("moved back", self.back)
            self.under_load("moved, and its callers hear of it last", self.to_its_own_unit_but_its_callers_hear_of_it_last)
            self.under_load("switched off here, served by another datacenter", self.to_another_datacenter)
            self.under_load("moved back", self.back)
            self.switch_off(calls)
            self.under_load_after_switch_on()
        return self.wrong

    def under_load_after_switch_on(self):
        self.switched_on_again()
        self.under_load("switched on again", self.site.reload)
