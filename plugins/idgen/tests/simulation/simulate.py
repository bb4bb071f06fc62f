#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""simulate.py PROGRAM SEEDS [OPTION]...: that many runs of the simulation, on all processors, and whether all went well.

Each run is a function of its seed. A wrong one prints its seed; `PROGRAM --seed N --trace` shows what happened in it. The
faults are counted over all runs: one that never happened has proven nothing, and is an error too.
"""
import os
import signal
import subprocess
import sys
import time

SLICE = 2000  # seeds a process: so that all processors end at about the same time, and progress can be told
NEVER = {"old server back after a fail-over", "snapshot resumed and nobody told it"}  # residual risks, see --residual


class Counts(dict):
    def add(self, output):
        for line in output.splitlines():
            name, _, number = line.rpartition(" ")
            if number.isdigit():
                self[name] = self.get(name, 0) + int(number)


def simulate(program, seeds, first=1, options=(), progress=None):
    """Runs seeds first ... first+seeds-1; returns (counts, what went wrong: a list of lines, how many runs were done). An
    interrupt (Ctrl-C) ends it after the runs that are under way, so that what was done counts."""
    counts, wrong, running = Counts(), [], []
    slices = [(at, min(at + SLICE, first + seeds) - 1) for at in range(first, first + seeds, SLICE)]
    done, interrupted = 0, []
    before = signal.signal(signal.SIGINT, lambda *_: interrupted.append(True))
    while slices or running:
        while slices and len(running) < len(os.sched_getaffinity(0)) and not wrong and not interrupted:
            begin, end = slices.pop(0)
            running.append((end - begin + 1, subprocess.Popen(
                [program, "--seeds", f"{begin}-{end}", *options], text=True, stdout=subprocess.PIPE,
                start_new_session=True)))
        if not running:
            break
        size, process = running.pop(0)
        output = process.communicate()[0]
        if process.returncode:
            wrong += [line for line in output.splitlines() if line.startswith("seed ")] or \
                [f"the simulation ended with {process.returncode}"]
        counts.add("\n".join(line for line in output.splitlines() if not line.startswith("seed")))
        done += size
        if progress:
            progress(done)
    signal.signal(signal.SIGINT, before)
    return counts, wrong, done


def report(counts, wrong, seeds, took_s):
    for name, number in counts.items():
        print(f"{number:>20,}  {name}")
    print(f"{seeds:,} runs in {took_s:.0f} s")
    never = [] if wrong else [name for name, number in counts.items() if not number and name not in NEVER]
    wrong = wrong + [f"this never happened: {name}" for name in never]
    if wrong:
        print("WRONG:", *wrong, sep="\n  ")
    else:
        print("no id was issued twice")
    return 1 if wrong else 0


def main():
    program, seeds = sys.argv[1], int(sys.argv[2])
    begin = time.monotonic()
    counts, wrong, done = simulate(program, seeds, options=sys.argv[3:])
    return report(counts, wrong, done, time.monotonic() - begin)


if __name__ == "__main__":
    sys.exit(main())
