#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A whole upload of billing items against what the bare database needs for the same rows, in the same run.

upload.py [ROWS]     1,000,000 rows, median of three rounds; with ROWS (10,000,000: about 45 minutes) one round of these as well

Kontor's time is from the start of the `kontor upload --follow` command to its end: receive, hash, parse, verdicts, duplicates of
the file and of the database, insert with all unique keys, rejects, checkpoints. The bare time is that of one LOAD DATA LOCAL
INFILE (and of two at once, of half the rows each) of the same columns in the same order into a table with the same keys."""
import collections
import hashlib
import os
import pathlib
import random
import statistics
import sys
import tempfile
import time

sys.path[:0] = [str(pathlib.Path(__file__).parents[1] / name) for name in ("lib", "demo")]
from bench_rig import met, spread, target                           # noqa: E402
from kontor_instance import Instance                                # noqa: E402
from make_input import HEADER, amount_text, shop_id                 # noqa: E402
from threads import at_once                                         # noqa: E402

REGION, WINDOW = "SG", 202645
FROM_MS = 1793548800000         # Monday 2026-11-02 00:00 in Singapore
WEEK_MS = 7 * 86_400_000
BASE_ROWS, BASE_ROUNDS = 1_000_000, 3
ROWS_OF_A_SHOP = 50
REJECTS_EVERY = 2_000           # by turns a bad row and a repeat of the row before
CURRENCIES = ("SGD", "SGD", "USD", "JPY")
QUIET_SECONDS = 120             # limit for the database to come to rest between two measurements
TABLES = ("billing_item", "item_batch", "upload", "upload_piece", "upload_reject", "upload_total", "job", "job_chunk")
# All columns of an item but the two that differ by nature: the upload's id, and the ids where Kontor issues them.
CONTENTS = ("SELECT COUNT(*), SUM(amount_minor), BIT_XOR(CRC32(CONCAT_WS('|', region, window_no, shop_user_id, order_id, item_type, "
            "amount_minor, currency, occurred_ms, IFNULL(note, '-'), late, line_no, HEX(fact_key){ids}))) FROM {table}")


def fact_key(*parts):
    """The hash of docs/architecture.md, "Identity of a billing item"."""
    return hashlib.sha256(b"".join(bytes([len(part)]) + part for part in parts)).digest()[:16]


class Input:
    """The same rows as a CSV for Kontor and, with the columns that Kontor derives, as one or two files for LOAD DATA."""

    def __init__(self, folder, rows, with_ids):
        self.rows, self.with_ids = rows, with_ids
        name = f"{rows}-{'ids' if with_ids else 'no-ids'}"
        self.csv = folder / f"{name}.csv"
        self.halves = [folder / f"{name}-{half}.tsv" for half in (1, 2)]
        self.whole = folder / f"{name}.tsv"
        self.rejects = collections.Counter()
        rng = random.Random(rows)
        with open(self.csv, "w") as csv, open(self.halves[0], "wb") as first, open(self.halves[1], "wb") as second:
            csv.write(HEADER + "\n")
            self.line = 1
            for number in range(rows):
                self.write_row(number, rng, csv, first if number < rows // 2 else second)
        with open(self.whole, "wb") as whole:
            for half in self.halves:
                with open(half, "rb") as part:
                    while block := part.read(1 << 20):
                        whole.write(block)

    def write_row(self, number, rng, csv, tsv):
        """Items in order of time and id, as a marketplace issues them; their shops at random."""
        shop = shop_id(rng.randrange(max(1, self.rows // ROWS_OF_A_SHOP)))
        currency, kind = rng.choice(CURRENCIES), 2 if rng.random() < 0.05 else 1
        minor = rng.randrange(100, 200_000) * (-1 if kind == 2 else 1)
        at_ms = FROM_MS + number * WEEK_MS // self.rows // 1000 * 1000
        at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at_ms // 1000))
        order, item = f"{number:06X}{rng.getrandbits(24):06X}", 7_000_000_000_000 + number if self.with_ids else 0
        row = f"{shop},{order},{('order', 'refund')[kind - 1]},{amount_text(minor, currency)},{currency},{at},{item or ''},\n"
        csv.write(row)
        self.line += 1
        key = (fact_key(b"i", b"%d" % shop, b"%d" % item) if item else
               fact_key(b"f", b"%d" % shop, order.encode(), b"%d" % kind, b"%d" % minor, currency.encode(), b"%d" % at_ms))
        tsv.write(f"{REGION}\t{WINDOW}\t{shop}\t{item or 7_000_000_000_000 + number}\t{order}\t{kind}\t{minor}\t{currency}\t{at_ms}"
                  f"\t\\N\t0\t1\t{self.line}\t{key.hex()}\n".encode())
        if number % REJECTS_EVERY == REJECTS_EVERY // 2:
            repeat = number // REJECTS_EVERY % 2
            csv.write(row if repeat else row.replace("Z,", "z?,"))
            self.line += 1
            self.rejects["duplicate_in_file" if repeat else "bad_row"] += 1


class Bench:
    """Each measurement answers its seconds, and leaves in `used` the processor seconds of the server and of kontord with its
    command: those stay comparable on a machine that has other work."""

    def __init__(self, kontor):
        self.kontor, self.used = kontor, {}
        self.settings = kontor.folder / "conf/conf.d/lanes.conf"
        kontor.sql("CREATE DATABASE bare")

    def quiet(self):
        """No purge and no page to be written is left of what ran before: a measurement pays for its own work."""
        self.kontor.sql("SET GLOBAL innodb_max_dirty_pages_pct = 0; SET GLOBAL innodb_max_dirty_pages_pct_lwm = 0")
        deadline = time.monotonic() + QUIET_SECONDS
        while time.monotonic() < deadline:
            state = dict(self.kontor.sql("SHOW GLOBAL STATUS WHERE Variable_name IN ('Innodb_buffer_pool_pages_dirty', "
                                         "'Innodb_history_list_length')"))
            if int(state["Innodb_buffer_pool_pages_dirty"]) < 100 and int(state["Innodb_history_list_length"]) < 3:
                break
            time.sleep(0.2)
        self.kontor.sql("SET GLOBAL innodb_max_dirty_pages_pct = 90")

    def processor_seconds(self):
        """Of the server, and of kontord and all commands that have ended."""
        def of(process):
            fields = pathlib.Path(f"/proc/{(self.kontor.folder / process).read_text().strip()}/stat").read_text().rsplit(")", 1)[1].split()
            return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        children = os.times()
        return of("mariadbd.pid"), of("kontord.pid") + children.children_user + children.children_system

    def timed(self, function):
        """The seconds of function(), and what it returned."""
        before, started = self.processor_seconds(), time.monotonic()
        answer = function()
        seconds, after = time.monotonic() - started, self.processor_seconds()
        self.used = {"server": after[0] - before[0], "client": after[1] - before[1]}
        return seconds, answer

    def bare(self, files):
        """Seconds of one LOAD DATA LOCAL INFILE for each file, all at once."""
        columns = [row[0] for row in self.kontor.sql("SELECT column_name FROM information_schema.columns WHERE table_schema = 'kontor' "
                                                     "AND table_name = 'billing_item' ORDER BY ordinal_position")]
        self.kontor.sql("DROP TABLE IF EXISTS bare.billing_item; CREATE TABLE bare.billing_item LIKE kontor.billing_item")
        self.quiet()
        seconds, _ = self.timed(lambda: at_once(self.kontor.sql, [
            f"SET time_zone = '+00:00'; LOAD DATA LOCAL INFILE '{path}' INTO TABLE bare.billing_item CHARACTER SET "
            f"binary ({', '.join(columns[:-1])}, @key) SET {columns[-1]} = UNHEX(@key)" for path in files]))
        return seconds

    def lane(self, threads):
        if threads != getattr(self, "threads", None):
            self.kontor.control("host-down")
            self.settings.write_text(f'lane "upload" {{ threads = {threads} }}\n')
            self.kontor.control("host-up")
            self.threads = threads

    def memory(self, name):
        pid = int((self.kontor.folder / "kontord.pid").read_text())
        return int(pathlib.Path(f"/proc/{pid}/status").read_text().split(name + ":")[1].split()[0]) / 1024

    def upload(self, data, threads):
        """Seconds of a whole upload, and by how many MB kontord's memory had grown at most. Checks what came of it."""
        self.lane(threads)
        self.kontor.sql("".join(f"TRUNCATE TABLE `{table}`;" for table in TABLES))
        self.quiet()
        pid = int((self.kontor.folder / "kontord.pid").read_text())
        pathlib.Path(f"/proc/{pid}/clear_refs").write_text("5")     # the peak starts anew
        before = self.memory("VmRSS")
        seconds, answer = self.timed(lambda: self.kontor.json("upload", data.csv, "--kind", "billing-items", "--region", REGION, "--follow",
                                                              timeout=7200))
        grown = (self.memory("VmHWM") - before) * 1.048576
        verdicts = {name: total["rows"] for name, total in answer["verdicts"].items() if total["rows"]}
        assert verdicts == {"ok": data.rows, **data.rejects}, verdicts
        return seconds, grown

    def same_rows(self, data):
        """The rows that are stored now are those of the bare load."""
        ids = ", billing_item_id" if data.with_ids else ""
        ours, bare = (self.kontor.sql(CONTENTS.format(ids=ids, table=table)) for table in ("kontor.billing_item", "bare.billing_item"))
        assert ours == bare, (ours, bare)


def measure(bench, data, rounds):
    times, used, grown = collections.defaultdict(list), collections.defaultdict(list), []

    def keep(name, seconds):
        times[name].append(seconds)
        used[name].append(bench.used)
    for number in range(rounds):
        keep("two bare streams", bench.bare(data.halves))
        keep("bare", bench.bare([data.whole]))
        for threads in (1, 2):
            seconds, megabytes = bench.upload(data, threads)
            keep(threads, seconds)
            grown.append(megabytes)
            if number == 0:
                bench.same_rows(data)
    bare = statistics.median(times["bare"])
    print(f"\n{data.rows:,} rows, {'ids in the file' if data.with_ids else 'ids issued'}, {rounds} round(s), seconds: median (least to "
          f"most)", flush=True)
    for name, text in (("bare", "bare LOAD DATA, one stream"), ("two bare streams", "bare LOAD DATA, two streams"),
                       (1, "Kontor, one lane thread"), (2, "Kontor, two lane threads")):
        ratios = [one / other for one, other in zip(times[name], times["bare"])]
        print(f"  {text:<28} {spread(times[name]):<26} {data.rows / statistics.median(times[name]):>9,.0f} rows/s   ratio "
              f"{spread(ratios)}   processor: server {statistics.median(one['server'] for one in used[name]):.2f} s, client "
              f"{statistics.median(one['client'] for one in used[name]):.2f} s", flush=True)
    ratios = {threads: statistics.median(one / other for one, other in zip(times[threads], times["bare"])) for threads in (1, 2)}
    return {"bare": data.rows / bare, "grown": max(grown), "ratios": ratios,
            "rate": {threads: data.rows / statistics.median(times[threads]) for threads in (1, 2)}}


def judge(result, rows):
    target(f"one lane thread ≤ 1.3 times the bare load: {result['ratios'][1]:.2f}", result["ratios"][1] <= 1.3)
    target(f"two ≤ 0.85 times: {result['ratios'][2]:.2f}", result["ratios"][2] <= 0.85)
    target(f"memory of kontord grows by ≤ 200 MB: {result['grown']:.0f} MB at {rows:,} rows", result["grown"] <= 200)


def judge_fall(small, large, rows):
    for threads in (1, 2):
        kept, bare_kept = large["rate"][threads] / small["rate"][threads], large["bare"] / small["bare"]
        target(f"rows/s with {threads} lane thread(s), {BASE_ROWS:,} to {rows:,} rows: {1 - kept:+.0%} lost, the bare load lost "
               f"{1 - bare_kept:+.0%}; ≤ 15 % beyond it", kept >= bare_kept * 0.85)


def main():
    rows = int(sys.argv[1].replace(",", "")) if len(sys.argv) > 1 else BASE_ROWS
    sizes = [(BASE_ROWS, BASE_ROUNDS)] if rows >= BASE_ROWS else []
    if rows != BASE_ROWS:
        sizes.append((rows, 1))
    results = {}
    with tempfile.TemporaryDirectory(prefix="kontor-bench-") as folder, Instance(pool=None) as kontor:
        bench = Bench(kontor)
        for with_ids in (True, False):
            for size, rounds in sizes:
                data = Input(pathlib.Path(folder), size, with_ids)
                results[size, with_ids] = measure(bench, data, rounds if with_ids else 1)
                print(f"  memory of kontord grew by at most {results[size, with_ids]['grown']:.0f} MB", flush=True)
                if with_ids:
                    judge(results[size, True], size)
                for path in (data.csv, data.whole, *data.halves):
                    path.unlink()
            if with_ids and len(sizes) == 2:
                judge_fall(results[BASE_ROWS, True], results[rows, True], rows)
    print(f"{sum(met)} of {len(met)} targets met")


if __name__ == "__main__":
    main()
