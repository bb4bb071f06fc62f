#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# proof: upload [KILLS] [ROWS] [SEED]   kontord (5 of 6) and mariadbd (1 of 6) killed -9 120 times in uploads of 1 M rows; about 15 min
"""Each upload ends by itself, with the tables of an undisturbed one; at most one chunk per worker is done again."""
import pathlib
import random
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "lib"))
from upload_rig import UploadRig                                    # noqa: E402


def main():
    kills = int(sys.argv[1]) if len(sys.argv) > 1 else 120
    rows = int(sys.argv[2]) if len(sys.argv) > 2 else 1_000_000
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else random.randrange(10 ** 6)
    print(f"seed {seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="kontor-upload-") as folder:
        rig = UploadRig(folder, rows, seed, report=lambda text: print(text, flush=True), pool="1G", redo="512M")
        try:
            wrong = rig.run(host=kills - kills // 6, db=kills // 6)
        finally:
            rig.close()
    print(*rig.summary(), sep="\n")
    if wrong:
        print(f"{len(wrong)} things are wrong; the first ones:", *wrong[:20], sep="\n  ")
        return 1
    print("every upload ended by itself, and its tables are those of an undisturbed one but for issued ids and times")
    return 0


if __name__ == "__main__":
    sys.exit(main())
