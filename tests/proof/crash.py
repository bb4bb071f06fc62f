#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# proof: crash [KILLS] [SEED]   kontord and mariadbd killed (-9) at random moments of the demo's steps, 40 times; about 2 min
"""The same final totals, nothing twice, and the payment file byte for byte what was approved."""
import pathlib
import random
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "lib"))
import proof                                                        # noqa: E402
from crash_rig import CrashRig                                      # noqa: E402


def main():
    kills = proof.number(1, 40)
    seed = proof.number(2, random.randrange(10 ** 6))
    done, runs = 0, 0
    while done < kills:
        proof.say(f"run {runs + 1}, seed {seed + runs}: {done} of {kills} kills so far")
        with tempfile.TemporaryDirectory(prefix="kontor-crash-") as folder:
            rig = CrashRig(orders=400_000, shops=5_000, kills=kills - done, seed=seed + runs, longest_pause=2.0,
                           report=proof.say)
            wrong = rig.run(folder)
        if wrong:
            return proof.end(wrong)
        done += rig.killed
        runs += 1
    print(f"{done} kills in {runs} runs: every row, payout, ledger entry and payment is that of an undisturbed run")
    return 0


if __name__ == "__main__":
    sys.exit(main())
