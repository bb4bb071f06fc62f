#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The demo's long steps on 1,000,000 rows against what the bare database needs for the same rows, in the same run:
upload      a one-stream LOAD DATA LOCAL INFILE into a table with the same keys
payout run  INSERT ... SELECT ... GROUP BY shop, currency"""
import pathlib
import sys
import tempfile
import time

sys.path[:0] = [str(pathlib.Path(__file__).parents[1] / name) for name in ("lib", "demo")]
import make_input                                                   # noqa: E402
from kontor_instance import Instance                                # noqa: E402

ORDERS = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000


def timed(function, *arguments, **options):
    started = time.monotonic()
    function(*arguments, **options)
    return time.monotonic() - started


def bare_load(kontor, folder):
    kontor.sql("CREATE DATABASE IF NOT EXISTS bare; CREATE TABLE bare.billing_item LIKE kontor.billing_item")
    path = pathlib.Path(folder) / "bare.tsv"
    kontor.sql(f"SELECT * INTO OUTFILE '{path}' CHARACTER SET binary FROM billing_item ORDER BY upload_id, line_no")
    return timed(kontor.sql, f"LOAD DATA LOCAL INFILE '{path}' INTO TABLE bare.billing_item CHARACTER SET binary")


def main():
    region, window = make_input.REGION, make_input.WINDOW
    with tempfile.TemporaryDirectory(prefix="kontor-bench-") as folder, Instance(pool=None) as kontor:
        expected = make_input.make(pathlib.Path(folder) / "input", ORDERS)
        upload = timed(kontor.json, "upload", f"{folder}/input/billing-items.csv", "--kind", "billing-items", "--region",
                       region, "--follow")
        load = bare_load(kontor, folder)
        print(f"upload of {expected['rows']:,} rows: {upload:.2f} s; bare LOAD DATA of {ORDERS:,}: {load:.2f} s; "
              f"ratio {upload / load:.2f}")
        close = timed(kontor.json, "settlement", "close", "--region", region, "--window", window, "--follow")
        scan = timed(kontor.sql, "SELECT currency, COUNT(*), SUM(amount_minor) FROM billing_item FORCE INDEX(PRIMARY) "
                                 "GROUP BY currency")
        print(f"close: {close:.2f} s; bare scan {scan:.2f} s; ratio {close / scan:.2f}")
        run = timed(kontor.json, "payout", "run", "--region", region, "--window", window, "--follow")
        group = timed(kontor.sql, "CREATE TABLE bare.payout (shop_user_id BIGINT UNSIGNED, currency CHAR(3) CHARACTER SET "
                                  "ascii, items BIGINT, net BIGINT, PRIMARY KEY (shop_user_id, currency)); "
                                  "INSERT INTO bare.payout SELECT shop_user_id, currency, COUNT(*), SUM(amount_minor) FROM "
                                  "billing_item FORCE INDEX(PRIMARY) GROUP BY shop_user_id, currency")
        print(f"payout run: {run:.2f} s; bare INSERT..SELECT..GROUP BY {group:.2f} s; ratio {run / group:.2f}")


if __name__ == "__main__":
    main()
