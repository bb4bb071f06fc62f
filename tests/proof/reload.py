#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# proof: reload [ROUNDS]   a plugin switched, moved to another unit, machine and datacenter under load; 5 rounds in about 2 min
"""By files and `kontor reload` alone. Where another place exists no call fails; where none does, calls are answered DISABLED at
once. Control: the same callers do see failures when the service is off."""
import contextlib
import pathlib
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "lib"))
import proof                                                        # noqa: E402
from reload_rig import ReloadRig                                    # noqa: E402


def main():
    quick = sys.argv[1:2] == ["--quick"]
    rounds = 1 if quick else proof.number(1, 5)
    with tempfile.TemporaryDirectory(prefix="kontor-reload-") as folder, contextlib.closing(
            ReloadRig(folder, seconds=0.2 if quick else 1.5, report=proof.say)) as rig:
        wrong = rig.run(rounds, calls=50 if quick else 1000)
    return proof.end(wrong)


if __name__ == "__main__":
    sys.exit(main())
