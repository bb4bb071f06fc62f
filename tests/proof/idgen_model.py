#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# proof: idgen-model [--quick]   every state of the ids' protocol, and of protocols that fail; about 7 min
"""Searches every state of small worlds for a counter that is issued twice, and compares with what must come out: the protocol and
its guards have none; each protocol that lacks one of them, or that others use, has one, and the shortest way to it is printed."""
import argparse
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "lib"))
from id_lease_model import InstanceIndex, Lease                     # noqa: E402
from id_windows_model import Windows                                # noqa: E402
from state_search import search                                     # noqa: E402

NONE, DUPLICATE = "none", "duplicate"


class Row:
    """One world: what it is, and what must come out of it."""

    def __init__(self, name, expected, model, **settings):
        """settings: of the model; those in `full` instead, or None, in the full proof."""
        self.name, self.expected, self.model = name, expected, model
        self.full = settings.pop("full", {})
        self.settings = settings

    def run(self, quick):
        return search(self.model(**(self.settings if quick else self.settings | self.full)))

    def check_forgetting(self):
        """In a world small enough to visit all that is otherwise merged: does forgetting change what comes out?"""
        small = dict(self.settings)
        crowded = small.get("slots", 1) > 1 or small.get("units", 2) > 2 or len(small.get("datacenter_ids", (1,))) > 1
        small["counters"] = 6 if small.get("clock") == "none" else 3 if crowded else 4
        if "ticks" in small:
            small["ticks"] = 3
        with_it, without_it = (search(Windows(**small, forget=forget)) for forget in (True, False))
        return len(with_it.duplicate or []) == len(without_it.duplicate or []), with_it.states, without_it.states


# What is restored under a running server cuts no connection and has the same identity.
RESTORED = {"losses": 1, "failover": False}
# True time, for guards that wait: the windows reach 2 ticks ahead, and so long is a lease.
TIMED = {"clock": "near", "ticks": 3, "counters": 5, "losses": 1, "lease": "checked when used"}
LARGER_TIMED = {"clock_error": 1, "ticks": 5, "counters": 7, "quarantine": 4}

ROWS = [
    ("Windows reserved before use; any clocks, pauses, kill -9, lost and late statements", [
        Row("as it is", NONE, Windows, late_statements=1, full={"counters": 8, "late_statements": 2}),
        Row("three units", NONE, Windows, units=3, counters=5, full={"counters": 6, "late_statements": 1}),
        Row("two slots", NONE, Windows, slots=2, counters=4, full={"counters": 5, "late_statements": 1}),
        Row("without the test of epoch (the test of hwm is the fence)", NONE, Windows, check_epoch=False, late_statements=1,
            full={"counters": 8, "late_statements": 2}),
        Row("without the test of hwm", DUPLICATE, Windows, check_hwm=False, counters=4),
        Row("issued before the commit", DUPLICATE, Windows, wait_for_commit=False),
        Row("look again after 0 rows, without a clone", NONE, Windows, after_no_row="look again", counters=4,
            full={"counters": 6}),
    ]),
    ("Leases, as others use them", [
        Row("nobody checks (CosId style), perfect clocks", DUPLICATE, Lease, issue="never check"),
        Row("check, then read the clock, perfect clocks", DUPLICATE, Lease, issue="check, then read the clock"),
        Row("read the clock, then check, perfect clocks", NONE, Lease, issue="read the clock, then check", ticks=4, full={"ticks": 7}),
        Row("the same, one clock behind by one tick", DUPLICATE, Lease, issue="read the clock, then check", skews=(0, -1)),
    ]),
    ("The database loses commits that units have heard of", [
        Row("no guard", DUPLICATE, Windows, losses=1, counters=4),
        Row("a failover that loses only commits nobody heard of", NONE, Windows, losses=1, loses="unheard commit",
            late_statements=1, counters=4, full={"counters": 6}),
        Row("quarantine and lease", NONE, Windows, **TIMED, quarantine=2, full=LARGER_TIMED),
        Row("quarantine without a lease: an owner that was replaced renews", DUPLICATE, Windows, **TIMED | {"lease": ""},
            quarantine=2),
        Row("quarantine, and the lease is looked at before asking only", DUPLICATE, Windows,
            **TIMED | {"lease": "checked when asked"}, quarantine=2),
        Row("quarantine of one window, clocks off by one tick", DUPLICATE, Windows, **TIMED, clock_error=1, quarantine=2),
        Row("quarantine, clocks far off", DUPLICATE, Windows, **TIMED | {"clock": "any", "counters": 4}, quarantine=2),
        Row("each unit's journal alone", DUPLICATE, Windows, losses=1, marks="own", counters=4),
        Row("journals and peers, any clocks", NONE, Windows, losses=1, marks="all", counters=5,
            full={"counters": 6, "late_statements": 1}),
        Row("journals and peers, an old dump", NONE, Windows, losses=1, marks="all", loses="everything", counters=5,
            full={"counters": 6}),
        Row("journals and peers, restored under the running server", NONE, Windows, **RESTORED, marks="all", counters=5,
            full={"late_statements": 1}),
        Row("the same, marks looked at before asking only", DUPLICATE, Windows, **RESTORED, marks="all",
            marks_used="when asking", counters=4),
        Row("the same, and the peers hear of the marks later", DUPLICATE, Windows, **RESTORED, marks="heard later",
            counters=4),
    ]),
    ("A unit's memory is cloned", [
        Row("no guard", DUPLICATE, Windows, clones=1),
        Row("generation checked with each grant", NONE, Windows, clones=1, generation="checked", late_statements=1,
            counters=5, full={"counters": 7}),
        Row("cloned between the check and the grant", DUPLICATE, Windows, clones=1, generation="checked before"),
        Row("cloned when all of its windows are used up, no guard", NONE, Windows, clones=1, clone_when="between windows",
            late_statements=1, full={"counters": 7}),
        Row("the same, and it looks again after 0 rows", DUPLICATE, Windows, clones=1, clone_when="between windows",
            after_no_row="look again", counters=4),
    ]),
    ("Two datacenters", [
        Row("instance index from 0 in both: the old accident", DUPLICATE, InstanceIndex),
        Row("the same with a datacenter id in the ids", NONE, InstanceIndex, datacenter_ids=(1, 2), units=4, ticks=2,
            full={"ticks": 3}),
        Row("windows, two databases with one datacenter id", DUPLICATE, Windows, datacenter_ids=(1, 1)),
        Row("windows, two databases, two datacenter ids", NONE, Windows, datacenter_ids=(1, 2), counters=4,
            full={"counters": 5, "late_statements": 1}),
    ]),
    ("Segments: dense, without time", [
        Row("as it is", NONE, Windows, clock="none", counters=8, late_statements=1, full={"counters": 10, "units": 3}),
        Row("a commit that was heard of is lost", DUPLICATE, Windows, clock="none", counters=8, losses=1),
        Row("the same, and numbers are skipped on another server", NONE, Windows, clock="none", counters=8, losses=1, skip=2,
            full={"counters": 10, "late_statements": 1}),
        Row("the same with journals and peers, restored under the running server", NONE, Windows, **RESTORED, clock="none",
            counters=8, marks="all", full={"late_statements": 1}),
    ]),
    ("All of it: as the units do it", [
        Row("lease, quarantine, journals, peers, generation; a failover, a clone", NONE, Windows, **TIMED,
            quarantine=2, marks="all", told_again=True, clones=1, generation="checked",
            full={"late_statements": 1}),
        Row("the same, restored under the running server", NONE, Windows, **TIMED | {"failover": False},
            quarantine=2, marks="all", told_again=True, clones=1, generation="checked", full={"ticks": 4, "counters": 6}),
    ]),
]


def check_forgetting(options):
    print("\nEach of the windows' worlds, made small, with and without merging what can make no difference any more")
    wrong = []
    for title, rows in ROWS:
        for row in rows:
            if row.model is Windows and options.only in row.name:
                same, merged, all_states = row.check_forgetting()
                print(f"  {row.name:<88} {merged:>9,} of {all_states:>9,} states  {'same' if same else 'DIFFERENT'}", flush=True)
                if not same:
                    wrong.append(f"{title}: {row.name}: merging states changes what comes out")
    return wrong


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--quick", action="store_true", help="smaller worlds, as complete")
    arguments.add_argument("--only", metavar="WORDS", default="", help="rows with these words in their name")
    options = arguments.parse_args()
    begun, states, wrong = time.monotonic(), 0, []
    for title, rows in ROWS:
        print(f"\n{title}")
        for row in rows:
            if options.only not in row.name:
                continue
            row_begun = time.monotonic()
            result = row.run(options.quick)
            states += result.states
            found = DUPLICATE if result.duplicate else NONE
            outcome = f"duplicate in {len(result.duplicate)} steps" if result.duplicate else "none"
            print(f"  {row.name:<88} {result.states:>9,} states {time.monotonic() - row_begun:6.1f} s  {outcome}", flush=True)
            for number, sentence in enumerate(result.duplicate or [], 1):
                print(f"      {number:2} {sentence}")
            if found != row.expected:
                wrong.append(f"{title}: {row.name}: expected {row.expected}, found {found}")
    if not options.quick:
        wrong += check_forgetting(options)
    print(f"\n{states:,} states in {time.monotonic() - begun:.0f} s; each search is complete or ended at its shortest duplicate")
    if wrong:
        print("WRONG:", *wrong, sep="\n  ")
    else:
        print("every row is as it must be")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
