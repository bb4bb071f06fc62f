#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# proof: lanes [ROWS]   small uploads, rules, reports and questions while 10 M rows are uploaded, and while they are loaded bare; 15 min
"""A big upload makes nobody wait: p99 of each call against its limit, and against the same calls beside a bare LOAD DATA."""
import pathlib
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "lib"))
import proof                                                        # noqa: E402
from bench_rig import met, target                                   # noqa: E402
from kontor_instance import Instance                                # noqa: E402
from lane_calls import LaneCalls, percentile                        # noqa: E402
from upload_input import billing_items                              # noqa: E402

BIG_REGION = "SG"
LEAST_CALLS = 20                # of each kind, in each of the phases
IDLE_SECONDS = 20
COLUMNS = ("SELECT GROUP_CONCAT(column_name ORDER BY ordinal_position) FROM information_schema.columns "
           "WHERE table_schema = 'kontor' AND table_name = 'billing_item'")


def show(text, seconds):
    print(f"\n{text}")
    for name, values in seconds.items():
        print(f"  {name:<28} {len(values):>5} calls   p50 {percentile(values, 0.5) * 1000:>6.0f} ms   "
              f"p99 {percentile(values, 0.99) * 1000:>6.0f} ms   max {max(values) * 1000:>6.0f} ms", flush=True)


def bare_load(kontor, folder):
    """Writes the rows that were uploaded as LOAD DATA takes them, in the order of the file; returns the load."""
    columns, path = kontor.sql(COLUMNS)[0][0], folder / "bare.tsv"
    kontor.sql("CREATE DATABASE bare; CREATE TABLE bare.billing_item LIKE kontor.billing_item")
    kontor.sql(f"SELECT {columns} INTO OUTFILE '{path}' CHARACTER SET binary FROM billing_item WHERE region = '{BIG_REGION}' "
               "ORDER BY line_no")
    return lambda: kontor.sql(f"LOAD DATA LOCAL INFILE '{path}' INTO TABLE bare.billing_item CHARACTER SET binary ({columns})")


def main():
    rows = proof.number(1, 10_000_000)
    with tempfile.TemporaryDirectory(prefix="kontor-lanes-") as name, Instance(pool=None) as kontor:
        folder = pathlib.Path(name)
        file = folder / "big.csv"
        proof.say(f"writing a file of {rows:,} rows")
        expected = billing_items(file, rows, seed=1)
        calls = LaneCalls(kontor, folder)
        _, idle = calls.during(lambda: time.sleep(IDLE_SECONDS), LEAST_CALLS)
        show("with nothing beside them", idle)
        answers = []
        took, ours = calls.during(lambda: answers.append(kontor.json(
            "upload", file, "--kind", "billing-items", "--region", BIG_REGION, "--follow", timeout=7200)), LEAST_CALLS)
        verdicts = {verdict: total["rows"] for verdict, total in answers[0]["verdicts"].items() if total["rows"]}
        assert verdicts == expected, (verdicts, expected)
        show(f"while {rows:,} rows are uploaded ({took:.0f} s)", ours)
        took, bare = calls.during(bare_load(kontor, folder), LEAST_CALLS)
        show(f"while the same rows are loaded by a bare LOAD DATA ({took:.0f} s)", bare)
        print()
        for call, limit in calls.limits.items():
            p99, beside_bare = percentile(ours[call], 0.99), percentile(bare[call], 0.99)
            target(f"{call}: p99 ≤ {limit * 1000:.0f} ms: {p99 * 1000:.0f} ms", p99 <= limit)
            target(f"{call}: p99 ≤ 3 times that beside the bare load: {p99 / beside_bare:.2f} times", p99 <= 3 * beside_bare)
    print(f"{sum(met)} of {len(met)} targets met")
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
