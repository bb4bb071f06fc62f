#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# proof: verdicts [SEEDS] [FIRST SEED]   random files of rows of every verdict, whole, twice, in parts, interrupted; 100 seeds: about an hour
"""Each row's verdict is the one that a model in Python gives it, so the verdicts always add up to the rows of the file."""
import contextlib
import pathlib
import random
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "lib"))
import proof                                                        # noqa: E402
from verdict_rig import VerdictRig                                  # noqa: E402

REGIONS = 26                            # of one instance
SEVERAL_BATCHES, SEVERAL_CHUNKS = 25_000, 60_000


def main():
    seeds, first = proof.number(1, 100), proof.number(2, random.randrange(10 ** 6))
    proof.say(f"seeds {first} to {first + seeds - 1}")
    files = rows = done = 0
    gave_up, counts, wrong, typed_again = 0, {}, [], []
    while done < seeds and not wrong:
        with tempfile.TemporaryDirectory(prefix="kontor-verdicts-") as folder, contextlib.closing(
                VerdictRig(folder, report=proof.say if seeds < 4 else lambda text: None)) as rig:
            for _ in range(min(REGIONS, seeds - done)):
                big = SEVERAL_BATCHES if done % 8 else SEVERAL_CHUNKS       # whose two lane threads judge them side by side
                wrong = rig.run(first + done, sizes=(50, 400, 1200, 300, 700, 20), big=big)
                done += 1
                proof.say(f"  seed {first + done - 1}: {rig.files:,} files, {rig.rows:,} rows of this instance")
                if wrong:
                    break
        files, rows, typed_again = files + rig.files, rows + rig.rows, typed_again + rig.typed_again
        gave_up += rig.gave_up
        for verdict, count in rig.counts.items():
            counts[verdict] = counts.get(verdict, 0) + count
    print(f"{done} seeds, {files:,} files, {rows:,} rows")
    print("verdicts:", ", ".join(f"{verdict} {count:,}" for verdict, count in sorted(counts.items())))
    print(f"commands that had to be typed again: {len(typed_again)}", *typed_again[:3], sep="\n  ")
    print(f"uploads that gave up, as they and another one waited for each other: {gave_up}")
    return proof.end(wrong, "every row has the verdict of the model")


if __name__ == "__main__":
    sys.exit(main())
