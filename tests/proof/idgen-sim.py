#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# proof: idgen-sim [SEEDS [FIRST]]   the id generator's code in 10,000,000 simulated runs full of faults; about half an hour on 2 idle processors
"""Deterministic simulation of the plugin's code as it is: see plugins/idgen/tests/simulation/world.h.

Each run is a function of its seed, so a proof can be done in parts: an interrupt ends it after the runs under way, and
tells with which FIRST to go on.
"""
import os
import pathlib
import sys
import time

top = pathlib.Path(__file__).parents[2]
sys.path.insert(0, str(top / "plugins/idgen/tests/simulation"))
from simulate import report, simulate                               # noqa: E402

FIRST = 1_000_000_000  # other seeds than the tests have
TELL_EVERY_S = 60


def main():
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000_000
    first = int(sys.argv[2]) if len(sys.argv) > 2 else FIRST
    program = pathlib.Path(os.environ["KONTOR_BUILD"]) / "tests/idgen_simulation"
    begin, told = time.monotonic(), [time.monotonic()]

    def progress(done):
        now = time.monotonic()
        if now - told[0] >= TELL_EVERY_S:
            told[0] = now
            rate = done / (now - begin)
            print(f"{done:>12,} of {seeds:,} runs, {rate:,.0f} a second, {(seeds - done) / rate / 60:,.0f} min left",
                  file=sys.stderr, flush=True)

    counts, wrong, done = simulate(str(program), seeds, first=first, progress=progress)
    code = report(counts, wrong, done, time.monotonic() - begin)
    print(f"seeds {first} to {first + done - 1}")
    if done < seeds and not wrong:
        print(f"not all of them; to go on: ./dev proof idgen-sim {seeds - done} {first + done}")
        return 1
    return code


if __name__ == "__main__":
    sys.exit(main())
