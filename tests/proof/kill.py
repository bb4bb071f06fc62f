#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# proof: kill [MINUTES] [SEED]   one of two instances stopped (SIGTERM) and killed (-9) under load, again and again; 5 min
"""SIGTERM: no call fails. SIGKILL: only calls without a key that were sent to the killed unit and not answered, as UNKNOWN_OUTCOME,
long before their own time is over; calls with a key succeed, with one effect each. Control: callers that know one place each, and do not try again, do see failures."""
import contextlib
import pathlib
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "lib"))
import proof                                                        # noqa: E402
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
    until = time.monotonic() + minutes * 60
    with tempfile.TemporaryDirectory(prefix="kontor-kill-") as folder, contextlib.closing(
            KillRig(folder, proof.seed(2), report=proof.say)) as rig:
        control(rig)
        scene(rig, 4 if quick else 12)
        while time.monotonic() < until and not rig.wrong:
            scene(rig, 12)
    return proof.end(rig.wrong)


if __name__ == "__main__":
    sys.exit(main())
