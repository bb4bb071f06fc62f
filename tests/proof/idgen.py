#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# proof: idgen [--minutes M] [--seed S] [--quick]   no id twice: 2 datacenters x 2 hosts x 8 clients under faults; about 20 min
"""Every id that any client was given, checked against all others; and two schemes that are known to be wrong, which must
show their duplicates in the same rig."""
import argparse
import pathlib
import random
import signal
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "lib"))
from idgen_faults import Faults                                     # noqa: E402
from idgen_controls import CONTROLS, run_control                    # noqa: E402
from idgen_rig import Rig                                           # noqa: E402
from idgen_site import Database                                     # noqa: E402
from idgen_twin import same_datacenter_twice                        # noqa: E402


def say(text):
    print(text, flush=True)


def make_template(folder):
    """The files of an empty server, which the databases start from."""
    database = Database(folder / "server").up()
    database.control("db-down")
    (folder / "server/db").rename(folder / "files")
    database.remove()
    return folder / "files"


def main_run(folder, seed, plan, template):
    """(verdict, what is wrong)"""
    with Rig(folder, seed, plan["windows"], template=template, report=say) as rig:
        rig.say(f"both datacenters give ids, faults begin; seed {seed}")
        rig.add_clients()
        faults = [Faults(rig, datacenter, seed * 10 + datacenter.number, kinds, **plan["faults"])
                  for datacenter, kinds in zip(rig.datacenters, plan["kinds"])]
        for thread in faults:
            thread.start()
        end = time.monotonic() + plan["seconds"]
        while time.monotonic() < end and any(thread.is_alive() for thread in faults):
            time.sleep(0.2)
        for thread in faults:
            thread.end(180)
        counts, proxied = rig.stop_clients()
        rig.findings += same_datacenter_twice(rig)
        rig.say("the clients have ended; judging")
        verdict, text = rig.judge()
        done = {}
        for thread in faults:
            for kind, times in thread.done.items():
                done[kind] = done.get(kind, 0) + times
        rig.say("faults: " + ", ".join(f"{kind} {times}" for kind, times in sorted(done.items())))
        rig.say(f"clients: {counts}; frames: {proxied}")
        rig.findings += [f"the fault {kind} never happened" for kinds in plan["kinds"] for kind in kinds if kind not in done]
        rig.findings += [f"no {what}: the run proves less than it says" for what, happened in (
            ("frame was duplicated", proxied["duplicated"]), ("frame was delayed", proxied["delayed"]),
            ("superfluous reply came", counts["ignored"]), ("child of a fork used ids", counts["forks_fine"]),
            ("time was checked", verdict["time_checked"])) if not happened]
        for what in ("granted", "consumed"):
            if verdict[what] < plan[what]:
                rig.findings.append(f"only {verdict[what]:,} ids were {what}, {plan[what]:,} are to be")
        return verdict, rig.findings + text.splitlines()


def full_plan(minutes):
    return {"windows": (6, 40), "seconds": minutes * 60, "faults": {"freeze_s": 15}, "kinds": (Faults.ALL, Faults.ALL),
            "granted": int(10 ** 10 * min(1, minutes / 14)), "consumed": int(10 ** 8 * min(1, minutes / 14))}


def quick_plan():
    """Each kind of fault once, in one of the datacenters."""
    return {"windows": (6, 10), "seconds": 600, "faults": {"freeze_s": 2, "rounds": 1, "pause": (0.1, 1)},
            "kinds": (("host_killed", "dump_restored", "clock_back_1h", "clock_back_1ms", "client_killed"),
                      ("database_killed", "database_frozen", "host_stopped", "host_fenced", "clock_ahead_1h", "clock_back_5s")),
            "granted": 10 ** 6, "consumed": 10 ** 5}


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--minutes", type=float, default=14, help="of faults")
    options.add_argument("--seed", type=int, default=None)
    options.add_argument("--quick", action="store_true", help="each fault once; about a minute")
    args = options.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))         # so that no process is left behind
    seed = random.randrange(10 ** 6) if args.seed is None else args.seed
    wrong = []
    with tempfile.TemporaryDirectory(prefix="kontor-idgen-") as folder:
        folder = pathlib.Path(folder)
        template = make_template(folder / "template")
        for name in CONTROLS:
            wrong += run_control(name, folder / name, seed, template, say)[1]
        verdict, found = main_run(folder / "main", seed, quick_plan() if args.quick else full_plan(args.minutes), template)
        wrong += found
    say(f"{verdict['granted']:,} ids granted, {verdict['consumed']:,} of them used one by one, "
        f"{verdict['duplicates'] + verdict['consumed_twice']} twice; {verdict}")
    if wrong:
        say(f"{len(wrong)} things are wrong (seed {seed}):\n  " + "\n  ".join(wrong[:60]))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
