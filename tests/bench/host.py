#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Synchronous round trips over ipc: kontor.ping and idgen.next against a bare DEALER/ROUTER echo of frames
of the same number and sizes."""
import json
import os
import pathlib
import statistics
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "lib"))
from kontor_instance import BUILD, Instance                         # noqa: E402

SLICES = 11


def main():
    with Instance() as kontor:
        pid = int((kontor.folder / "kontord.pid").read_text())
        for task in pathlib.Path(f"/proc/{pid}/task").iterdir():    # all on one core, as the echo
            os.sched_setaffinity(int(task.name), {0})
        for method in ("kontor.ping", "idgen.next"):
            done = subprocess.run([BUILD / "bench/round_trip", kontor.endpoint, method, "1", str(SLICES)], text=True,
                                  stdout=subprocess.PIPE, check=True)
            slices = [json.loads(line) for line in done.stdout.splitlines()]
            ratios = sorted(s["kontor"] / s["echo"] for s in slices)
            print(f"{method}: {statistics.median(s['kontor'] for s in slices):,.0f} round trips/s, "
                  f"bare echo {statistics.median(s['echo'] for s in slices):,.0f}/s, "
                  f"ratio {statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f}, {SLICES} slices)")


if __name__ == "__main__":
    main()
