#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# proof: idgen [--minutes M] [--seed S] [--quick]   no id twice: 2 datacenters x 2 hosts x 8 clients under faults; about 20 min
"""Every id that any client was given, checked against all others; and two schemes that are known to be wrong, which must
show their duplicates in the same rig."""
import argparse
import pathlib
import random
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "lib"))
from idgen_faults import Faults                                     # noqa: E402
from idgen_rig import Rig                                           # noqa: E402


def say(text):
    print(text, flush=True)


def main_run(folder, seed, seconds, windows, freeze_s, kinds):
    """(verdict, what is wrong)"""
    with Rig(folder, seed, windows, report=say) as rig:
        rig.say(f"both datacenters give ids; {seconds:.0f} s of faults, seed {seed}")
        rig.add_clients()
        faults = [Faults(rig, datacenter, seed * 10 + datacenter.number, kinds[datacenter.number - 1], freeze_s=freeze_s)
                  for datacenter in rig.datacenters]
        for thread in faults:
            thread.start()
        end = time.monotonic() + seconds
        while time.monotonic() < end and all(thread.is_alive() for thread in faults):
            time.sleep(0.5)
        for thread in faults:
            thread.end(120)
        counts, proxied = rig.stop_clients()
        rig.say("the clients have ended; judging")
        verdict, text = rig.judge()
        rig.say("faults: " + ", ".join(f"{kind} {sum(thread.done.get(kind, 0) for thread in faults)}"
                                       for kind in sorted({kind for thread in faults for kind in thread.done})))
        rig.say(f"clients: {counts}; frames: {proxied}")
        return verdict, rig.findings + text.splitlines()


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--minutes", type=float, default=14)
    options.add_argument("--seed", type=int, default=None)
    options.add_argument("--quick", action="store_true")
    args = options.parse_args()
    seed = random.randrange(10 ** 6) if args.seed is None else args.seed
    seconds = 25 if args.quick else args.minutes * 60
    with tempfile.TemporaryDirectory(prefix="kontor-idgen-") as folder:
        verdict, wrong = main_run(pathlib.Path(folder) / "r", seed, seconds, (5, 20), 3 if args.quick else 15, (None, None))
    say(f"{verdict['granted']:,} ids granted, {verdict['consumed']:,} of them used one by one: {verdict}")
    if wrong:
        say("wrong:\n  " + "\n  ".join(wrong[:60]))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
