# SPDX-License-Identifier: Apache-2.0
"""Two datacenters, each with a database, two hosts and eight clients, under faults. idgen_faults.py has the faults."""
import json
import pathlib
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from idgen_site import Database, Host
from kontor_instance import BUILD

SLOTS = 2               # of a host, in each layout: js53 has 14, and a killed host's are leased for a while
PROGRAMS = BUILD / "proof"
PROXY = pathlib.Path(__file__).parent / "frame_proxy.py"


class Client:
    """One idgen_client process, started anew when it is killed; each life writes a file of its own."""

    def __init__(self, name, folder, **options):
        self.name, self.folder, self.options = name, folder, options
        self.lives, self.process, self.counts, self.wrong = 0, None, {}, []

    def start(self):
        self.records = self.folder / f"{self.name}-{self.lives}"
        self.lives += 1
        options = {**self.options, "records": self.records, "seed": self.options["seed"] * 1000 + self.lives}
        self.process = subprocess.Popen([PROGRAMS / "idgen_client", *(f"{name}={value}" for name, value in options.items())],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        return self

    def kill(self):
        self.process.kill()
        self.process.communicate(timeout=30)

    def end_soon(self):
        while not self.records.exists() and self.process.poll() is None:
            time.sleep(0.01)                                        # it minds SIGTERM from then on
        self.process.terminate()

    def stop(self):
        try:
            output, error = self.process.communicate(timeout=30)    # SIGTERM was sent
        except subprocess.TimeoutExpired:
            self.process.kill()
            output, error = self.process.communicate()
            self.wrong.append(f"client {self.name} did not end within 30 s of SIGTERM")
            return
        if self.process.returncode != 0:
            self.wrong.append(f"client {self.name}: exit {self.process.returncode}: {error.decode()}")
        if error:
            self.wrong.append(f"client {self.name}: {error.decode().strip()}")
        if output:
            self.counts = json.loads(output)


class Proxy:
    def __init__(self, front, back, seed):
        self.endpoint, self.counts = front, {}
        self.process = subprocess.Popen([sys.executable, "-B", PROXY, front, back, str(seed)], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE)
        self.process.stdout.readline()                              # it is there

    def stop(self):
        self.counts = json.loads(self.process.communicate(timeout=30)[0])


class Datacenter:
    """Database `db`, hosts NAMEa and NAMEb, their clients."""

    def __init__(self, rig, number, window_s):
        self.rig, self.number, self.name, self.window_s = rig, number, f"dc{number}", window_s
        self.folder = rig.folder / self.name
        self.database = Database(self.folder / "db", rig.template).up()
        self.hosts = [Host(self.folder / letter, self.database, number, rig.options(number, letter), rig.plugins)
                      for letter in "ab"]
        self.clients, self.proxies = [], []

    def start(self):
        self.hosts[0].migrate()
        for host in self.hosts:
            host.start()
        for host in self.hosts:
            host.await_ids(30)
        for space in self.rig.namespaces.values():
            if space["namespace"] != "default":
                self.hosts[0].ask("idgen.namespace_create", timeout=10, key=f"rig-{space['namespace']}", **space)
                for host in self.hosts:
                    host.await_ids(30, space["namespace"])

    def proxy(self, host):
        front = f"ipc://{self.folder}/proxy{len(self.proxies)}.sock"
        self.proxies.append(Proxy(front, host.endpoint, self.rig.seed + len(self.proxies)))
        return front

    def add_client(self, name, endpoint, **options):
        options = {"datacenter": self.number, "namespace": "default", "layout": "std63", "endpoint": endpoint,
                   "seed": self.rig.seed * 100 + self.number * 10 + len(self.clients), **options}
        self.clients.append(Client(f"{self.name}-{name}", self.rig.records, **options).start())

    def add_clients(self):
        """Eight: four take whole grants, four single ids; two of them behind a bus that duplicates and delays."""
        a, b = (host.endpoint for host in self.hosts)
        million, spaces = 10 ** 6, self.rig.namespaces
        self.add_client("large-a", a, mode="grants", rate=100, most=million, namespace="payout")
        self.add_client("dense-b", b, mode="grants", rate=100, most=million, **spaces["dense"])
        self.add_client("small-a", a, mode="grants", rate=400, most=100, namespace="job")
        self.add_client("frames-b", self.proxy(self.hosts[1]), mode="grants", rate=200, most=10000, namespace="file")
        self.add_client("ids-a", a, mode="ids", rate=self.rig.ids_rate, second=b, namespace="billing-item")
        self.add_client("fork-b", b, mode="ids", rate=20000, second=a, namespace="billing-item", fork_every=2000)
        self.add_client("short-b", b, mode="ids", rate=5000, **spaces["short"])
        self.add_client("strict-a", self.proxy(self.hosts[0]), mode="ids", rate=20, strict=1)

    def stop_clients(self):
        for client in self.clients:
            client.stop()
        for proxy in self.proxies:
            proxy.process.terminate()
        for proxy in self.proxies:
            proxy.stop()

    def remove(self):
        for host in self.hosts:
            host.kill()
        self.database.remove()


# Names that clients ask for by role: what the plugin offers beside its built-in namespaces.
NAMESPACES = {"dense": {"namespace": "dense", "layout": "segment"}, "short": {"namespace": "tickets", "layout": "js53"}}


class Rig:
    """with Rig(...) as rig: rig.add_clients(); faults; verdict = rig.judge(). `report` gets a line for each event."""

    def __init__(self, folder, seed, windows=(6, 40), template=None, plugins=None, report=print):
        """windows: seconds that each datacenter reserves ahead. plugins: a folder with another scheme's idgen."""
        self.folder, self.seed, self.windows, self.template = pathlib.Path(folder), seed, windows, template
        self.plugins = plugins
        # single ids a second of the busiest clients: a wrong scheme has to show duplicates among them within seconds
        self.ids_rate = 2000000 if plugins else 150000
        plain = {"namespace": "default", "layout": "std63"}
        self.namespaces = {name: plain for name in NAMESPACES} if plugins else NAMESPACES
        self.records = self.folder / "records"
        self.records.mkdir(parents=True)
        self.start, self.report = time.monotonic(), report
        self.lock = threading.Lock()
        self.disturbances = []                                      # (datacenter, from, to) in ms since 1970
        self.findings = []                                          # what went wrong other than duplicates
        self.datacenters = []

    def __enter__(self):
        try:
            with ThreadPoolExecutor() as pool:
                self.datacenters = list(pool.map(lambda number: Datacenter(self, number, self.windows[number - 1]),
                                                 range(1, len(self.windows) + 1)))
                list(pool.map(Datacenter.start, self.datacenters))
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for datacenter in self.datacenters:
            for client in datacenter.clients:
                client.kill()
            for proxy in datacenter.proxies:
                proxy.process.kill()
            datacenter.remove()

    def options(self, number, letter):
        """Those of a host's plugin. Its peers are all others, and the one that idgen_twin.py starts."""
        if self.plugins:
            return {}
        folders = [self.folder / f"dc{n}" / l for n in range(1, len(self.windows) + 1) for l in "ab" if (n, l) != (number, letter)]
        return {"claim": "auto", "slots": SLOTS, "window": f"{self.windows[number - 1]}s",
                "peers": [f"ipc://{folder}/idgen.sock" for folder in (*folders, self.folder / "twin")]}

    def say(self, text):
        self.report(f"{time.monotonic() - self.start:7.1f} s  {text}")

    def finding(self, text):
        with self.lock:
            self.findings.append(text)
        self.say(f"FINDING: {text}")

    def disturbed(self, datacenter, start_ms):
        """Times of ids received since start_ms, and until what was under way is through, prove nothing."""
        with self.lock:
            self.disturbances.append((datacenter.number, start_ms, int(time.time() * 1000) + 10000))

    def add_clients(self):
        for datacenter in self.datacenters:
            datacenter.add_clients()

    def stop_clients(self):
        """What the clients, and the proxies, counted."""
        counts, proxied = {}, {}
        for client in (client for datacenter in self.datacenters for client in datacenter.clients):
            client.end_soon()
        for datacenter in self.datacenters:
            datacenter.stop_clients()
            for client in datacenter.clients:
                self.findings += client.wrong
                for name, value in client.counts.items():
                    counts[name] = counts.get(name, 0) + value
            for proxy in datacenter.proxies:
                for name, value in proxy.counts.items():
                    proxied[name] = proxied.get(name, 0) + value
        return counts, proxied

    def judge(self, any_datacenter=False):
        """(verdict, what the judge says for people)"""
        disturbed = self.folder / "disturbed"
        disturbed.write_text("".join(f"{number} {start} {end}\n" for number, start, end in self.disturbances))
        files = sorted(path for path in self.records.iterdir() if path.suffix != ".new")
        done = subprocess.run([PROGRAMS / "idgen_check", *(["--any-datacenter"] if any_datacenter else []), "--disturbed",
                               disturbed, *files], text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if done.returncode not in (0, 1):
            raise RuntimeError(f"idgen_check: exit {done.returncode}: {done.stderr}")
        return json.loads(done.stdout), done.stderr
