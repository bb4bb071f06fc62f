#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# proof: units [ROWS] [KILLS] [SEED]   two units share the uploads of 1 M rows, and are killed -9 20 times; about 10 min
"""Two units with one lane thread each against one, beside two bare LOAD DATA streams against one; a killed one loses nothing."""
import contextlib
import pathlib
import statistics
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "lib"))
import proof                                                        # noqa: E402
from bench_rig import met, spread, target                           # noqa: E402
from units_rig import UnitsRig                                      # noqa: E402

ROUNDS = 3


def measure(rig):
    """{name: seconds or rows/s of the rounds}; one and two take turns, so that whatever else runs here meets both."""
    figures = {name: [] for name in ("one", "two", "one rate", "two rate", "bare one", "bare two")}
    rig.bare_files()
    for _ in range(ROUNDS):
        figures["bare one"].append(rig.bare_load("all"))
        figures["bare two"].append(rig.bare_load("first", "second"))
        for name in ("one", "two"):
            if name == "two":
                rig.start_second()
            seconds, rate = rig.measured_upload()
            rig.second.stop()
            figures[name].append(seconds)
            figures[name + " rate"].append(rate)
    return figures


def show(figures):
    ratio = {name: statistics.median(one / two for one, two in zip(figures[one_name], figures[two_name])) for name, one_name, two_name
             in (("whole", "one", "two"), ("bare", "bare one", "bare two"), ("chunks", "two rate", "one rate"))}
    print(f"\nseconds, median (least to most) of {ROUNDS}")
    print(f"  bare LOAD DATA, one stream {spread(figures['bare one'])}, two streams {spread(figures['bare two'])}: the ceiling is "
          f"{ratio['bare']:.2f} times as fast")
    print(f"  whole upload, one unit {spread(figures['one'])}, two units {spread(figures['two'])}: {ratio['whole']:.2f} times as fast")
    print(f"  its chunks alone, rows/s: one unit {spread(figures['one rate'], ',.0f')}, two units {spread(figures['two rate'], ',.0f')}: "
          f"{ratio['chunks']:.2f} times as fast")
    target(f"two units ≥ 1.3 times one, the whole upload: {ratio['whole']:.2f}", ratio["whole"] >= 1.3)


def main():
    rows, kills = proof.number(1, 1_000_000), proof.number(2, 20)
    with tempfile.TemporaryDirectory(prefix="kontor-units-") as folder:
        pathlib.Path(folder).chmod(0o755)
        with contextlib.closing(UnitsRig(folder, rows, proof.seed(3), report=proof.say, pool="1G", redo="512M")) as rig:
            rig.undisturbed()
            show(measure(rig))
            rig.start_second()
            wrong = rig.disturb_all(host=kills - kills // 2, second=kills // 2)
    print(*rig.summary(), sep="\n")
    return proof.end(wrong, "no kill lost or doubled a row") or (0 if all(met) else 1)


if __name__ == "__main__":
    sys.exit(main())
