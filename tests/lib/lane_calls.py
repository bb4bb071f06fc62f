# SPDX-License-Identifier: Apache-2.0
"""What people do while a big upload runs, each in a thread of its own, again and again, with the time that each call took."""
import collections
import math
import subprocess
import threading
import time

from kontor_instance import BUILD
from upload_input import HEADER

REGION = "MY"                   # the big upload is in another one
PAUSE_SECONDS = 0.4             # between two calls of a kind
WINDOW = "2026-W45"             # of the items' times, below
SHOP, ROWS = 77, 10


def percentile(values, part):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, math.ceil(part * len(ordered)) - 1)]


class LaneCalls:
    """limits: {name: seconds}. seconds[name]: how long each call of it took."""

    limits = {"upload of 10 rows": 1.0, "shop-rules update": 2.0, "small report": 2.0, "kontor call settlement.find": 0.1}

    def __init__(self, kontor, folder):
        self.kontor, self.folder = kontor, folder
        self.number = 0
        self.lock = threading.Lock()
        self.calls = {"upload of 10 rows": self.upload_items, "shop-rules update": self.upload_rules,
                      "small report": self.report,
                      "kontor call settlement.find": lambda: ("call", "settlement.find", f"region={REGION}", f"shop={SHOP}")}
        self.run(self.upload_items())                               # there is something to be found

    def next_number(self):
        with self.lock:
            self.number += 1
            return self.number

    def file(self, header, rows):
        path = self.folder / f"small-{self.next_number()}.csv"
        path.write_text(header + "".join(f"{row}\n" for row in rows))
        return path

    def upload_items(self):
        number = self.next_number()
        path = self.file(HEADER, (f"{SHOP},S-{number}-{n},order,1.00,SGD,2026-11-03T10:00:00Z,," for n in range(ROWS)))
        return ("upload", path, "--kind", "billing-items", "--region", REGION, "--follow")

    def upload_rules(self):
        number = self.next_number()
        path = self.file("shop_user_id,rule,value\n", (f"{1 + number % 50 * ROWS + n},commission_percent,{number % 99}.{n}"
                                                       for n in range(ROWS)))
        return ("upload", path, "--kind", "shop-rules", "--region", REGION, "--follow")

    def report(self):
        path = self.folder / f"report-{self.next_number()}.csv"
        return ("report", "items", "--region", REGION, "--window", WINDOW, "--out", path)

    def run(self, arguments):
        done = subprocess.run([BUILD / "bin/kontor", *map(str, arguments), "--json"], env=self.kontor.environment, text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=300, check=False)
        if done.returncode != 0:
            raise AssertionError(f"kontor {' '.join(map(str, arguments))}: exit {done.returncode}: {done.stderr}")

    def during(self, work, least):
        """Runs work() with the calls beside it; at least so many of each, the last ones perhaps after its end. Returns
        (its seconds, {name: seconds of the calls that began before its end})."""
        seconds, failures = collections.defaultdict(list), []
        ended = threading.Event()

        def repeat(name, arguments):
            try:
                while not ended.is_set():
                    start = time.monotonic()
                    self.run(arguments())
                    seconds[name].append(time.monotonic() - start)
                    ended.wait(PAUSE_SECONDS)
            except Exception as failure:  # pylint: disable=broad-except
                failures.append(failure)
        threads = [threading.Thread(target=repeat, args=call) for call in self.calls.items()]
        for thread in threads:
            thread.start()
        start = time.monotonic()
        try:
            work()
        finally:
            took = time.monotonic() - start
            ended.set()
            for thread in threads:
                thread.join()
        if failures:
            raise failures[0]
        for name in self.calls:
            if len(seconds[name]) < least:
                raise AssertionError(f"only {len(seconds[name])} times \"{name}\" in {took:.0f} s: take more rows")
        return took, seconds
