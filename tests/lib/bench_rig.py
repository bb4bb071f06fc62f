# SPDX-License-Identifier: Apache-2.0
"""What the benchmarks share: a unit beside an instance's database, targets, spreads."""
import json
import os
import pathlib
import socket
import statistics
import subprocess
import time

from kontor_instance import BUILD

STARTED_SECONDS = 30            # limit for whatever is waited for

met = []


def target(text, met_here):
    met.append(met_here)
    print(f"    target {text}: {'met' if met_here else 'MISSED'}", flush=True)


def spread(values, form=".2f"):
    return f"{statistics.median(values):{form}} ({min(values):{form}} to {max(values):{form}})"


def run_lines(*command):
    done = subprocess.run([str(part) for part in command], text=True, stdout=subprocess.PIPE, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


class Unit:
    """kontord with one unit, beside an instance's database."""

    def __init__(self, kontor, name):
        self.kontor, self.name = kontor, name
        self.runtime = pathlib.Path(kontor.endpoint.removeprefix("ipc://")).parent
        self.endpoint = f"ipc://{self.runtime}/{name}.sock"
        self.log = open(kontor.folder / f"log/{name}.log", "ab")
        self.process = None

    def start(self, **environment):
        self.process = subprocess.Popen(
            [BUILD / "bin/kontord", "--unit", self.name, "--conf", self.kontor.folder / "conf", "--runtime", self.runtime,
             "--state", self.kontor.folder / "state", "--plugins", BUILD / "plugins"], stderr=self.log,
            env=dict(os.environ, **environment))

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait(STARTED_SECONDS)
            self.process = None

    def pin(self, cores):
        for task in pathlib.Path(f"/proc/{self.process.pid}/task").iterdir():
            os.sched_setaffinity(int(task.name), cores)

    def resident_mib(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) / 1024


def server_answers(path):
    """When the server greets a connection, by CLOCK_MONOTONIC."""
    while True:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(STARTED_SECONDS)
            try:
                connection.connect(path)
                if connection.recv(1):
                    return time.monotonic()
            except OSError:
                pass
        time.sleep(0.001)
