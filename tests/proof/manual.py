#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# proof: manual [KILLS] [SEED]   kontord (5 of 6) and mariadbd (1 of 6) killed -9 120 times while items are settled by hand; about 5 min
"""Each item is paid once, by hand or by its window's run; no claim is left over, and each run ends by itself."""
import contextlib
import pathlib
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "lib"))
import proof                                                        # noqa: E402
from manual_rig import ManualRig                                    # noqa: E402


def main():
    kills = proof.number(1, 120)
    with tempfile.TemporaryDirectory(prefix="kontor-manual-") as folder, contextlib.closing(
            ManualRig(folder, items=60_000, claims=8_000, seed=proof.seed(2), report=proof.say)) as rig:
        wrong = rig.run(host=kills - kills // 6, db=kills // 6)
    print(*rig.summary(), sep="\n")
    return proof.end(wrong, "each item was paid once, by hand or by its window's run, and no claim is left over")


if __name__ == "__main__":
    sys.exit(main())
