#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What the host costs: a unit with one light plugin, the example hello, against the bare sockets of the same run.

host.py [SLICES]: one-second slices of each comparison (default 21), synchronous round trips over ipc, in turns, client and
both servers pinned to one core. The bare servers answer with as many frames of the same sizes:
- kontor.ping, which the front answers itself, against a DEALER/ROUTER echo;
- the same by kontor_call(), against a DEALER of the same frames, the unit answering both;
- the same by tcp, both with CURVE;
- hello.greet, which a worker thread answers, against a ROUTER that hands all frames by inproc to a worker thread and back."""
import os
import pathlib
import socket
import statistics
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "lib"))
from bench_rig import STARTED_SECONDS, Unit, met, run_lines, server_answers, spread, target    # noqa: E402
from kontor_instance import BUILD, Instance                         # noqa: E402

SLICES = int(sys.argv[1]) if len(sys.argv) > 1 else 21
RETURNS = 5                     # times that the database comes back


def compare(unit, method, bare, what):
    slices = run_lines(BUILD / "bench/round_trip", unit.endpoint, method, 1, SLICES, "pinned", bare)
    ratios = [one["kontor_p50_us"] / one["echo_p50_us"] for one in slices]
    print(f"{method}, {what}, pinned:")
    for name in "p50", "p99":
        own, other = (statistics.median(one[f"{side}_{name}_us"] for one in slices) for side in ("kontor", "echo"))
        print(f"    {name} {own:.1f} µs, bare {other:.1f} µs; ratio "
              f"{spread([one[f'kontor_{name}_us'] / one[f'echo_{name}_us'] for one in slices])}, {SLICES} slices")
    target("p50 at most 1.3 times the bare one's", statistics.median(ratios) <= 1.3)


def compare_network(unit):
    """kontor.ping with CURVE against a bare CURVE DEALER/ROUTER echo."""
    for window, name, what in ((1, "p50", "synchronous"), (1000, None, "1000 in flight")):
        slices = run_lines(BUILD / "bench/round_trip", unit.tcp, "kontor.ping", window, SLICES, "pinned", "echo",
                           KONTOR_KEY_FILE=unit.key_file, KONTOR_SERVER_KEY=unit.public_key)
        rates = [one["kontor"] / one["echo"] for one in slices]
        print(f"kontor.ping by tcp with CURVE, {what}, against a DEALER/ROUTER echo with CURVE, pinned:")
        print(f"    {statistics.median(one['kontor'] for one in slices):,.0f}/s, bare "
              f"{statistics.median(one['echo'] for one in slices):,.0f}/s; ratio {spread(rates)}, {SLICES} slices")
        if name:    # what else the machine does is in the mean, and hardly in the median
            own, other = (statistics.median(one[f"{side}_{name}_us"] for one in slices) for side in ("kontor", "echo"))
            rates = [one[f"echo_{name}_us"] / one[f"kontor_{name}_us"] for one in slices]
            print(f"    {name} {own:.1f} µs, bare {other:.1f} µs; bare to own {spread(rates)}")
        target("at least 0.8 times as fast", statistics.median(rates) >= 0.8)


def after_start(kontor, unit):
    """Milliseconds from the database's greeting until the unit says READY=1; it waited for the database."""
    unit.stop()
    kontor.control("db-down")
    path = kontor.folder / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notified:
        notified.settimeout(STARTED_SECONDS)
        notified.bind(str(path))
        unit.start(NOTIFY_SOCKET=str(path))
        time.sleep(1)
        starter = subprocess.Popen([pathlib.Path(__file__).parents[1] / "lib/instance", kontor.folder, "db-up"],
                                   env=kontor.environment, stdout=subprocess.DEVNULL)
        at = server_answers(kontor.socket)
        while b"READY=1" not in notified.recv(4096):
            pass
        took_ms = (time.monotonic() - at) * 1000
        starter.wait()
    path.unlink()
    return took_ms


def main():
    with Instance() as kontor:
        kontor.control("host-down")
        (kontor.folder / "conf/units/hello.conf").write_text('plugins = {"hello"}\n')
        unit = Unit(kontor, "hello")
        try:
            delays = [after_start(kontor, unit) for _ in range(RETURNS)]
            unit.listen()
            after_start(kontor, unit)
            print(f"load average at the start: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
            unit.pin({0})
            compare(unit, "kontor.ping", "echo", "answered by the front, against a DEALER/ROUTER echo")
            compare(unit, "hello.greet", "relay", "answered by a worker, against a ROUTER with a worker thread by inproc")
            compare(unit, "kontor.ping", "call", "by kontor_call(), against a bare DEALER of the same frames")
            compare_network(unit)
            memory = unit.resident_mib()
            print(f"memory of the unit with the plugin hello after all that:\n    {memory:.1f} MiB resident")
            target("at most 15 MB", memory * 1.048576 <= 15)
            print(f"ready after the database's greeting, the unit waiting for it to start:\n    {spread(delays, '.0f')} ms")
            target("at most 50 ms", statistics.median(delays) <= 50)
        finally:
            unit.stop()
    print(f"{met.count(True)} of {len(met)} targets met")


if __name__ == "__main__":
    main()
