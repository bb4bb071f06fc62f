#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# proof: upload [KILLS] [ROWS] [SEED]   kontord (5 of 6) and mariadbd (1 of 6) killed -9 120 times in uploads of 1 M rows; about 15 min
"""Each upload ends by itself, with the tables of an undisturbed one; at most one chunk per worker is done again."""
import contextlib
import pathlib
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "lib"))
import proof                                                        # noqa: E402
from upload_rig import UploadRig                                    # noqa: E402


def main():
    kills, rows = proof.number(1, 120), proof.number(2, 1_000_000)
    with tempfile.TemporaryDirectory(prefix="kontor-upload-") as folder, contextlib.closing(
            UploadRig(folder, rows, proof.seed(3), report=proof.say, pool="1G", redo="512M")) as rig:
        wrong = rig.run(host=kills - kills // 6, db=kills // 6)
    print(*rig.summary(), sep="\n")
    return proof.end(wrong, "every upload ended by itself, and its tables are those of an undisturbed one but for issued ids and times")


if __name__ == "__main__":
    sys.exit(main())
