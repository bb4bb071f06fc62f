# SPDX-License-Identifier: Apache-2.0
"""What the benchmarks share: a unit beside an instance's database, targets, spreads."""
import json
import os
import pathlib
import re
import socket
import statistics
import subprocess
import time

from kontor_instance import BUILD
from network_rig import free_port

STARTED_SECONDS = 30            # limit for whatever is waited for

met = []


def target(text, met_here):
    met.append(met_here)
    print(f"    target {text}: {'met' if met_here else 'MISSED'}", flush=True)


def spread(values, form=".2f"):
    return f"{statistics.median(values):{form}} ({min(values):{form}} to {max(values):{form}})"


def run_lines(*command, **environment):
    done = subprocess.run([str(part) for part in command], text=True, stdout=subprocess.PIPE, check=True,
                          env=dict(os.environ, **environment))
    return [json.loads(line) for line in done.stdout.splitlines()]


class Unit:
    """kontord with one unit, beside an instance's database."""

    def __init__(self, kontor, name):
        self.kontor, self.name = kontor, name
        self.runtime = pathlib.Path(kontor.endpoint.removeprefix("ipc://")).parent
        self.endpoint = f"ipc://{self.runtime}/{name}.sock"
        self.log = open(kontor.folder / f"log/{name}.log", "ab")
        self.process = None

    def listen(self):
        """Also by tcp, from its next start on; the same key pair is the unit's and the caller's."""
        self.kontor.run("keys", "generate", "bench", "--out", self.kontor.folder)
        conf, port = self.kontor.folder / "conf", free_port()
        self.key_file, self.tcp = str(self.kontor.folder / "bench.key_secret"), f"tcp://127.0.0.1:{port}"
        self.public_key = re.search(r'public-key = "(.*)"', (self.kontor.folder / "bench.key").read_text())[1]
        with open(conf / f"units/{self.name}.conf", "a") as file:
            file.write(f'bind = {{"{self.tcp}"}}\nkey_file = "{self.key_file}"\n')
        with open(conf / "users.conf", "a") as file:
            file.write(f"user \"bench\" {{ keys = {{'{self.public_key}'}} roles = {{\"operator\"}} }}\n")

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
