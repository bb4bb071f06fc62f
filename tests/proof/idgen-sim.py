#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# proof: idgen-sim [SEEDS]   the id generator's code in 10,000,000 simulated runs full of faults; about 1.5 h on 2 processors
"""Deterministic simulation of the plugin's code as it is: see plugins/idgen/tests/simulation/world.h."""
import os
import pathlib
import sys
import time

top = pathlib.Path(__file__).parents[2]
sys.path.insert(0, str(top / "plugins/idgen/tests/simulation"))
from simulate import report, simulate                               # noqa: E402


def main():
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000_000
    program = pathlib.Path(os.environ["KONTOR_BUILD"]) / "tests/idgen_simulation"
    begin, told = time.monotonic(), [0]

    def progress(done):
        if done - told[0] >= seeds / 100:
            told[0] = done
            print(f"{done:>12,} runs, {time.monotonic() - begin:,.0f} s", file=sys.stderr)

    # other seeds than the tests have
    counts, wrong = simulate(str(program), seeds, first=1_000_000_000, progress=progress)
    return report(counts, wrong, seeds, time.monotonic() - begin)


if __name__ == "__main__":
    sys.exit(main())
