#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# proof: close [WRITERS]   1,000 writers add items while three windows are closed under them; about 1 min
"""Every item that was acknowledged is in exactly one window, and a closed window's total is that of its rows."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "lib"))
import proof                                                        # noqa: E402
from close_rig import CloseRig                                      # noqa: E402
from kontor_instance import Instance                                # noqa: E402


def main():
    writers = proof.number(1, 1000)
    with Instance() as kontor:
        rig = CloseRig(kontor, "SG", writers=writers, windows=["2026-W45", "2026-W46", "2026-W47"], batch=5, threads=20)
        wrong = rig.run()
        print(f"{writers} writers, {rig.calls:,} calls, {len(rig.accepted):,} items, 3 windows closed meanwhile")
    return proof.end(wrong, "every item is in exactly one window")


if __name__ == "__main__":
    sys.exit(main())
