#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# proof: overload [SECONDS]   ten times more calls than can be answered, for a minute; about 1.5 min
"""A method of 5 ms, 4 workers, ten times the load that they can do: who is let in is answered nearly as soon as when idle, all others are told
BUSY at once, nobody is forgotten, and the memory stays as it is. --quick: 5 s, without asking how soon (for machines that are busy)."""
import json
import pathlib
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "lib"))
from kontor_instance import BUILD                                   # noqa: E402
from probe_unit import ProbeUnit, need_database                     # noqa: E402

METHOD, HANDLER_MS, WORKERS = "probe.wait", 5, 4
CAPACITY = WORKERS * 1000 // HANDLER_MS
IDLE_RATE, IDLE_SECONDS = 40, 10
SLOWER_LIMIT, BUSY_LIMIT_MS = 3, 50
GROWTH_LIMIT_KIB = 8 * 1024


def load(unit, rate, seconds):
    done = subprocess.run([BUILD / "proof/overload_client", unit.endpoint, METHOD, str(HANDLER_MS), str(rate), str(seconds)],
                          stdout=subprocess.PIPE, check=True, text=True)
    return json.loads(done.stdout)


class Memory(threading.Thread):
    """What the unit has, every second."""

    def __init__(self, unit):
        super().__init__()
        self.unit, self.samples, self.ended = unit, [unit.resident_kib()], threading.Event()

    def run(self):
        while not self.ended.wait(1):
            self.samples.append(self.unit.resident_kib())

    def end(self):
        self.ended.set()
        self.join()
        self.samples.append(self.unit.resident_kib())


def show(name, result):
    print(f"{name}: {result['sent']:,} calls: {result['accepted']:,} done (p50 {result['accepted_p50_us'] / 1000:.1f} ms, "
          f"p99 {result['accepted_p99_us'] / 1000:.1f} ms, max {result['accepted_max_us'] / 1000:.0f} ms), {result['busy']:,} BUSY"
          + (f" (p50 {result['busy_p50_us'] / 1000:.2f} ms, p99 {result['busy_p99_us'] / 1000:.2f} ms, "
             f"max {result['busy_max_us'] / 1000:.0f} ms)" if result["busy"] else "")
          + f", {result['other']} other, {result['lost']} lost")


def judge(idle, flood, memory, seconds, quick):
    middle = memory.samples[len(memory.samples) // 2]
    begin = memory.samples[min(len(memory.samples) - 1, 1 + len(memory.samples) // 10)]    # when all buffers have been used once
    wrong = []
    for name, result in ("idle", idle), ("overload", flood):
        if result["lost"] or result["other"]:
            wrong.append(f"{name}: {result['lost']} calls without an answer, {result['other']} with a wrong one")
    if idle["busy"]:
        wrong.append(f"{idle['busy']} calls were refused while idle")
    if flood["accepted"] < CAPACITY * seconds // 4 or not flood["busy"]:
        wrong.append(f"{flood['accepted']} calls done, {flood['busy']} refused: that is no overload of working workers")
    if max(memory.samples) - begin > GROWTH_LIMIT_KIB:
        wrong.append(f"memory grew from {begin:,} to {max(memory.samples):,} KiB")
    print(f"memory: {memory.samples[0]:,} KiB before, {begin:,} after the first seconds, {middle:,} in the middle, "
          f"{memory.samples[-1]:,} at the end, at most {max(memory.samples):,}")
    slower = flood["accepted_p99_us"] / idle["accepted_p99_us"]
    print(f"p99 of the calls that were let in: {slower:.2f} times that of an idle unit (limit {SLOWER_LIMIT}); "
          f"p99 of BUSY: {flood['busy_p99_us'] / 1000:.2f} ms (limit {BUSY_LIMIT_MS})")
    if not quick and slower > SLOWER_LIMIT:
        wrong.append(f"calls that were let in took {slower:.2f} times as long at p99")
    if not quick and flood["busy_p99_us"] > BUSY_LIMIT_MS * 1000:
        wrong.append(f"BUSY took {flood['busy_p99_us'] / 1000:.1f} ms at p99")
    return wrong


def main():
    need_database()
    arguments = sys.argv[1:]
    quick = "--quick" in arguments
    seconds = 5 if quick else int(arguments[0]) if arguments else 60
    with ProbeUnit(f'plugin "probe" {{ workers = {WORKERS} }}\n') as unit:
        idle = load(unit, IDLE_RATE, 2 if quick else IDLE_SECONDS)
        show("idle", idle)
        memory = Memory(unit)
        memory.start()
        start = time.monotonic()
        try:
            flood = load(unit, 10 * CAPACITY, seconds)
        finally:
            memory.end()
        show(f"10 times {CAPACITY}/s for {time.monotonic() - start:.0f} s", flood)
        wrong = judge(idle, flood, memory, seconds, quick)
        if unit.stop() != 0:
            wrong.append("the unit did not end with 0")
    for line in wrong:
        print("WRONG:", line)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
