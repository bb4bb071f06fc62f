#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# proof: kill [MINUTES] [SEED]   one of two instances stopped (SIGTERM) and killed (-9) under load, again and again; 5 min
"""SIGTERM: no call fails. SIGKILL: only calls without a key that were sent to the killed unit and not answered, as UNKNOWN_OUTCOME,
long before their own time is over; calls with a key succeed, with one effect each. Control: callers that know one place each, and do not try again, do see failures."""
import pathlib
import random
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "lib"))
from kill_rig import KillRig                                        # noqa: E402


def control(rig):
    failures = rig.stop_one_by_one(2, "alone")
    if not failures:
        rig.wrong.append("the control shows nothing: callers without another place saw no failure either")


def scene(rig, rounds):
    for failure in rig.stop_one_by_one(rounds):
        rig.wrong.append(f"SIGTERM: a call failed: {failure}")
    rig.kill_one_by_one(rounds)


def main():
    quick = sys.argv[1:2] == ["--quick"]
    minutes = 0 if quick else float(sys.argv[1]) if len(sys.argv) > 1 else 5
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else random.randrange(10 ** 6)
    until = time.monotonic() + minutes * 60
    print(f"seed {seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="kontor-kill-") as folder:
        rig = KillRig(folder, seed, report=lambda text: print(text, flush=True))
        try:
            control(rig)
            scene(rig, 4 if quick else 12)
            while time.monotonic() < until and not rig.wrong:
                scene(rig, 12)
        finally:
            rig.close()
    if rig.wrong:
        print(f"{len(rig.wrong)} things are wrong; the first ones:", *rig.wrong[:20], sep="\n  ")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
