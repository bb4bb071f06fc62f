#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What an id costs, each number beside the bare primitive of the same run, with the target that it has to meet.

idgen.py [SLICES]: one-second slices of each comparison (default 21). A unit with nothing but the plugin idgen answers.
Comparisons are pinned to one core, client, server and echo alike: four threads on fewer free cores measure where the
scheduler put them. The pipelined one is printed unpinned too, as a server would run it."""
import json
import os
import pathlib
import signal
import statistics
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "lib"))
from bench_rig import STARTED_SECONDS, Unit, met, run_lines, server_answers, spread, target    # noqa: E402
from kontor_instance import BUILD, Instance                         # noqa: E402

SLICES = int(sys.argv[1]) if len(sys.argv) > 1 else 21
PAIRS = 41                      # grants of one and of a million
WRITES_SECONDS = 65             # three times the 20 s that a slot may take for one write
FROZEN_SECONDS = 15
SHORT_WINDOW_SECONDS = 5        # the shortest: a database that is away for longer stops the ids
RETURNS = 5                     # times that the database comes back

class IdgenUnit(Unit):
    """With what asks it for ids."""

    def __init__(self, kontor):
        super().__init__(kontor, "idgen")

    def first_id(self):
        return run_lines(BUILD / "bench/id_requests", "first", self.endpoint, STARTED_SECONDS)[0]["at"]

    def load(self, window, seconds):
        return subprocess.Popen([BUILD / "bench/id_requests", "load", self.endpoint, str(window), str(seconds)],
                                stdout=subprocess.PIPE, text=True)


def finished(load):
    output, _ = load.communicate()
    if load.returncode:
        raise RuntimeError(f"the load ended with exit code {load.returncode}")
    return json.loads(output)


# ---- comparisons

def compare(unit, window, pinned):
    cores = os.sched_getaffinity(0)
    unit.pin({0} if pinned else cores)
    slices = run_lines(BUILD / "bench/round_trip", unit.endpoint, "idgen.next", window, SLICES,
                       "pinned" if pinned else "unpinned")
    unit.pin(cores)
    ratios = [one["kontor"] / one["echo"] for one in slices]
    print(f"    {statistics.median(one['kontor'] for one in slices):,.0f} a second, "
          f"echo of frames of the same sizes {statistics.median(one['echo'] for one in slices):,.0f}; "
          f"ratio {spread(ratios)}, {SLICES} slices")
    for name in ("p50", "p99") if window == 1 else ():
        own, bare = (statistics.median(one[f"{side}_{name}_us"] for one in slices) for side in ("kontor", "echo"))
        print(f"    {name} {own:.1f} µs, echo {bare:.1f} µs; ratio {own / bare:.2f}")
    return statistics.median(ratios)


def round_trips(unit):
    print("one id per synchronous round trip, pinned:")
    target("at least 0.90 of the echo", compare(unit, 1, True) >= 0.90)
    print("one id per request, 1000 requests in flight, pinned:")
    target("at least 0.80 of the echo", compare(unit, 1000, True) >= 0.80)
    print("the same, unpinned:")
    compare(unit, 1000, False)


def grants(unit):
    unit.pin({0})
    pairs = run_lines(BUILD / "bench/id_requests", "grants", unit.endpoint, PAIRS)
    unit.pin(os.sched_getaffinity(0))
    ratios = [pair["million_us"] / pair["one_us"] for pair in pairs]
    print(f"a grant of 1,000,000 ids, twice a second, pinned:\n"
          f"    {statistics.median(pair['million_us'] for pair in pairs):.1f} µs, a grant of 1 "
          f"{statistics.median(pair['one_us'] for pair in pairs):.1f} µs; ratio {spread(ratios)}, {PAIRS} pairs")
    target("at most 1.05", statistics.median(ratios) <= 1.05)


def client():
    program = BUILD / "bench/ids_client"
    if not program.exists():
        return
    slices = [one for one in run_lines(program, SLICES) if one["threads"] == 1]
    print("SDK client, one thread, nanoseconds of processor time an id:")
    for name, limit in ("next", 1.5), ("fill", 0.5):
        costs = [one[f"{name}_cpu_ns"] for one in slices]
        print(f"    {name} {spread(costs)}, bare addition {spread([one['bare_cpu_ns'] for one in slices])}, "
              f"{len(slices)} slices")
        target(f"{name} at most {limit} ns", statistics.median(costs) <= limit)


# ---- the database

def written_rows(kontor):
    rows = kontor.sql("SELECT ROWS_CHANGED FROM information_schema.TABLE_STATISTICS WHERE TABLE_SCHEMA = 'kontor' "
                      "AND TABLE_NAME = 'id_slot'")
    return int(rows[0][0]) if rows else 0


def writes(kontor, unit):
    kontor.sql("SET GLOBAL userstat = 1")
    before = written_rows(kontor)
    load = finished(unit.load(64, WRITES_SECONDS))
    count = written_rows(kontor) - before
    held = int(kontor.sql("SELECT COUNT(*) FROM id_slot WHERE owner <> '' AND "
                          "lease_until_ms > UNIX_TIMESTAMP(NOW(3)) * 1000")[0][0])
    each = count / held / WRITES_SECONDS * 20
    print(f"database writes at full rate:\n    {load['requests']:,} requests in {WRITES_SECONDS} s, {load['errors']} "
          f"refused; {count} rows of id_slot written, {held} slots held: {each:.2f} a slot and 20 s")
    target("at most 1 a slot and 20 s", each <= 1 and load["errors"] == 0)


def frozen(kontor, unit):
    server = int((kontor.folder / "mariadbd.pid").read_text())
    load = unit.load(64, FROZEN_SECONDS + 6)
    time.sleep(3)
    os.kill(server, signal.SIGSTOP)
    time.sleep(FROZEN_SECONDS)
    os.kill(server, signal.SIGCONT)
    done = finished(load)
    print(f"database frozen for {FROZEN_SECONDS} s at full rate:\n    {done['requests']:,} requests, "
          f"{done['errors']} failed, the slowest took {done['slowest_ms']:.1f} ms")
    target("0 failed requests", done["errors"] == 0)


def after_start(kontor, unit):
    """The unit waits for its database, which then starts."""
    unit.stop()
    kontor.control("db-down")
    unit.start()
    time.sleep(1)
    starter = subprocess.Popen([pathlib.Path(__file__).parents[1] / "lib/instance", kontor.folder, "db-up"],
                               env=kontor.environment, stdout=subprocess.DEVNULL)
    first = subprocess.Popen([BUILD / "bench/id_requests", "first", unit.endpoint, str(2 * STARTED_SECONDS)],
                             stdout=subprocess.PIPE, text=True)
    at = server_answers(kontor.socket)
    starter.wait()
    return (finished(first)["at"] - at) * 1000


def after_freeze(kontor, unit):
    """The unit's windows ran out while the database was frozen."""
    server = int((kontor.folder / "mariadbd.pid").read_text())
    unit.first_id()
    os.kill(server, signal.SIGSTOP)
    time.sleep(SHORT_WINDOW_SECONDS + 3)
    at = time.monotonic()
    os.kill(server, signal.SIGCONT)
    return (unit.first_id() - at) * 1000


def first_ids(kontor, unit):
    delays = [after_start(kontor, unit) for _ in range(RETURNS)]
    print(f"first id after the database's greeting, the unit waiting for it to start:\n    {spread(delays, '.0f')} ms")
    target("at most 50 ms", statistics.median(delays) <= 50)
    unit.stop()
    (kontor.folder / "conf/conf.d/short.conf").write_text(f'plugin "idgen" {{ window = {SHORT_WINDOW_SECONDS}s }}\n')
    unit.start()
    delays = [after_freeze(kontor, unit) for _ in range(RETURNS)]
    print(f"first id after a frozen database goes on, all windows used up:\n    {spread(delays, '.0f')} ms")
    target("at most 50 ms", statistics.median(delays) <= 50)


def main():
    with Instance() as kontor:
        kontor.control("host-down")
        unit = IdgenUnit(kontor)
        unit.start()
        try:
            unit.first_id()
            print(f"load average at the start: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
            round_trips(unit)
            grants(unit)
            client()
            writes(kontor, unit)
            frozen(kontor, unit)
            memory = unit.resident_mib()
            print(f"memory of the unit after all that:\n    {memory:.1f} MiB resident")
            target("at most 15 MB", memory * 1.048576 <= 15)
            first_ids(kontor, unit)
        finally:
            unit.stop()
    print(f"{met.count(True)} of {len(met)} targets met")


if __name__ == "__main__":
    main()
