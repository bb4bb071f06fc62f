# SPDX-License-Identifier: Apache-2.0
"""Uploads one file again and again, each time into a region of its own, while kontord and mariadbd are killed; and compares
every table with those of a first upload that nobody disturbed."""
import json
import pathlib
import random
import string
import subprocess
import threading
import time

import zmq

from kontor_instance import BUILD, Instance
from service import Failure, Service
from upload_input import OWN_ID_LIMIT, billing_items

ENDS_WITHIN = 600               # seconds, or more where an undisturbed upload takes long
POLL_SECONDS = 0.05
EPOCH_BITS = 32                 # claims of a chunk under one plan are the low bits of its epoch
# What may differ from one run to the next: numbers that are issued, times, and who had which lease how often.
VOLATILE = {"upload_id", "job_id", "region", "unique_key", "unique_name", "params", "result", "epoch", "owner", "instance",
            "attempts", "losses", "begun_done", "wakes", "run_at_ms", "lease_until_ms", "source"}


class Progress(threading.Thread):
    """Polls a job as a dashboard does; remembers by how much its progress ever fell."""

    def __init__(self, endpoint, job_id):
        super().__init__(daemon=True)
        self.endpoint, self.job_id = endpoint, job_id
        self.fell, self.answers, self.states, self.stopping = 0, 0, set(), False
        self.marks = []                                             # (when, rows done), each time that more are done

    def run(self):
        service = Service(self.endpoint, timeout=0.5)
        while not self.stopping:
            try:
                self.look(service.call("jobs.get", job_id=self.job_id))
            except Failure:                                         # without its database
                pass
            except zmq.Again:                                       # it is down: the next socket meets the next process
                service.close()
                service = Service(self.endpoint, timeout=0.5)
            time.sleep(POLL_SECONDS)
        service.close()

    def look(self, job):
        self.answers += 1
        self.states.add(job["state"])
        highest = self.marks[-1][1] if self.marks else 0
        self.fell = max(self.fell, highest - job["done"])
        if job["done"] > highest:
            self.marks.append((time.monotonic(), job["done"]))


class UploadRig:
    """threads: of the lane, and so the workers that a kill of kontord hits; workers: those of all units. longest_pause: seconds
    between two kills; without it a third of what an undisturbed upload takes, so that each one gets on however slow the machine."""

    def __init__(self, folder, rows, seed, longest_pause=None, report=lambda text: None, pool="256M", redo="128M", threads=2, workers=2,
                 with_ids=0.25):
        self.threads, self.workers = threads, workers
        self.folder, self.rows, self.report, self.longest_pause = pathlib.Path(folder), rows, report, longest_pause
        self.random, self.ends_within = random.Random(seed), ENDS_WITHIN
        self.wrong, self.disturbed = [], []
        self.hits = {}                                              # (process, what the upload was doing) -> kills
        self.fell = self.redone = self.plans_redone = self.typed_again = self.polls = 0
        self.file = self.folder / "items.csv"
        self.expected = billing_items(self.file, rows, seed, with_ids)
        self.kontor = Instance(self.folder / "instance", pool=pool, redo=redo)
        self.regions = [first + letter for letter in string.ascii_uppercase for first in "XZ"]
        for region in self.regions:
            self.kontor.add_region(region)
        self.kontor.set_options(f'lane "upload" {{ threads = {self.threads} }}\n')
        self.kontor.up()
        self.columns = self.comparable_columns()

    def close(self):
        self.kontor.control("remove", check=False)

    # ---- comparing

    def comparable_columns(self):
        """{table: (key column, expressions)} of all tables that know an upload or a job."""
        rows = self.kontor.sql("SELECT table_name, column_name, data_type FROM information_schema.columns "
                               "WHERE table_schema = 'kontor' ORDER BY table_name, ordinal_position")
        tables = {}
        for table, column, kind in rows:
            tables.setdefault(table, []).append((column, kind))
        found = {}
        for table, columns in tables.items():
            names = [name for name, _ in columns]
            key = "job_id" if table in ("job", "job_chunk", "job_output") else "upload_id"
            if key not in names or table == "idempotency":
                continue
            parts = []
            for name, kind in columns:
                if name in VOLATILE or (name.endswith("_ms") and name != "occurred_ms") or "timestamp" in kind:
                    continue
                text = f"IFNULL(HEX(`{name}`), '~')"
                if name == "billing_item_id":
                    text = f"IF(`{name}` < {OWN_ID_LIMIT}, `{name}`, 'issued')"
                parts.append(text)
            found[table] = (key, parts)
        return found

    def fingerprint(self, region):
        """{table: (rows, hash of all of them in any order)} of what an upload into this region left."""
        upload_id, job_id = self.kontor.sql(f"SELECT upload_id, job_id FROM upload WHERE region = '{region}' "
                                            "AND state = 'accepted'")[0]
        keys = {"upload_id": upload_id, "job_id": job_id}
        result = {}
        for table, (key, parts) in self.columns.items():
            row = f"MD5(CONCAT_WS(0x1f, {', '.join(parts)}))"
            rows, *halves = self.kontor.sql(
                f"SELECT COUNT(*), BIT_XOR(CONV(LEFT(h, 16), 16, 10)), BIT_XOR(CONV(RIGHT(h, 16), 16, 10)) "
                f"FROM (SELECT {row} AS h FROM `{table}` WHERE {key} = {keys[key]}) AS rows_of_it")[0]
            result[table] = (int(rows), *halves)
        return result

    # ---- one upload

    def type_command(self, region):
        return subprocess.Popen([BUILD / "bin/kontor", "upload", self.file, "--kind", "billing-items", "--region", region,
                                 "--follow", "--json"], env=self.kontor.environment, text=True, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def upload(self, region, killer=None):
        """Types the command, again when it says that nothing is done yet. Returns the answer."""
        deadline = time.monotonic() + self.ends_within
        thread = threading.Thread(target=killer, args=(region,)) if killer else None
        self.finished = False
        if thread:
            thread.start()
        try:
            while True:
                command = self.type_command(region)
                output, error = command.communicate(timeout=self.ends_within)
                if command.returncode not in (3, 4) or time.monotonic() > deadline:
                    break
                self.typed_again += 1
                time.sleep(0.2)
        finally:
            self.finished = True
            if thread:
                thread.join()
        if command.returncode != 0:
            raise AssertionError(f"the upload into {region} ended with {command.returncode}: {error}")
        return json.loads(output.splitlines()[-1])

    def check_answer(self, region, answer):
        verdicts = {name: total["rows"] for name, total in answer["verdicts"].items() if total["rows"]}
        if answer["state"] != "accepted" or verdicts != self.expected or answer["rows"] != sum(verdicts.values()):
            self.wrong.append(f"{region}: {answer['state']}, {answer['rows']} rows, {verdicts}, expected {self.expected}")

    def undisturbed(self):
        self.reference_region = self.regions.pop(0)
        start = time.monotonic()
        self.check_answer(self.reference_region, self.upload(self.reference_region))
        took = time.monotonic() - start
        self.report(f"  undisturbed: {took:.1f} s")
        self.longest_pause = self.longest_pause or took / 3
        self.ends_within = max(ENDS_WITHIN, took * 20)
        self.reference = self.fingerprint(self.reference_region)
        self.chunks = self.reference["job_chunk"][0]
        self.chunk_rows = int(self.kontor.sql("SELECT MAX(done) FROM job_chunk")[0][0])

    # ---- kills

    def standing(self, region):
        """What the upload is doing, and how many chunks somebody works on."""
        rows = self.kontor.sql(f"SELECT u.state, IFNULL(j.stage, ''), IFNULL(j.finished_ms, 0), (SELECT COUNT(*) FROM job_chunk c "
                               f"WHERE c.job_id = j.job_id AND c.state = 'running') FROM upload u LEFT JOIN job j "
                               f"ON j.job_id = u.job_id WHERE u.region = '{region}' ORDER BY u.upload_id DESC LIMIT 1")
        if not rows:
            return "beginning", 0
        state, stage, finished, running = rows[0]
        return "ended" if finished != "0" else stage or state, int(running)

    def pause(self, region):
        """Until the next kill."""
        del region
        time.sleep(self.random.uniform(0.02, self.longest_pause))

    def kill_once(self, region, target):
        self.kontor.control(f"{target}-kill")
        if target == "db":
            self.kontor.control("db-up")                            # kontord lives on, and is to find it again by itself
        doing, running = self.standing(region)
        if running > self.workers:
            self.wrong.append(f"{region}: {running} chunks were under way, with {self.workers} workers")
        self.hits[target, doing] = self.hits.get((target, doing), 0) + 1
        if doing == "chunks":
            self.chunk_kills += 1
        self.kontor.control("up")
        return doing

    def disturb(self, kills):
        """One upload with as many of the kills (a list of "host" and "db", which it empties) as it lives through."""
        region = self.regions.pop(0)
        self.disturbed.append(region)
        before, self.chunk_kills, self.progress = len(kills), 0, None
        failures = []

        def killer(region):
            try:
                while kills and not self.finished:
                    self.pause(region)
                    self.watch(region)
                    if self.finished:
                        return
                    if self.kill_once(region, kills[-1]) == "ended":
                        return                                      # it does not count as one of the upload's
                    kills.pop()
                while not self.finished:
                    time.sleep(0.05)
                    self.watch(region)
            except Exception as failure:  # pylint: disable=broad-except
                failures.append(failure)
        start = time.monotonic()
        answer = self.upload(region, killer)
        self.kontor.control("up")
        if failures:
            raise failures[0]
        if self.progress:
            self.progress.stopping = True
            self.progress.join()
        self.check_answer(region, answer)
        self.check_tables(region)
        self.check_steps(region)
        self.report(f"  {region}: {before - len(kills)} kills, {time.monotonic() - start:.1f} s")

    def watch(self, region):
        if self.progress:
            return
        rows = self.kontor.sql(f"SELECT job_id FROM upload WHERE region = '{region}' AND job_id > 0")
        if rows:
            self.progress = Progress(self.kontor.endpoint, int(rows[0][0]))
            self.progress.start()

    def check_tables(self, region):
        here = self.fingerprint(region)
        for table, expected in self.reference.items():
            if here[table] != expected:
                self.wrong.append(f"{region}: {table}: {here[table]}, undisturbed {expected}")

    def check_steps(self, region):
        claims, chunks, plans = map(int, self.kontor.sql(
            f"SELECT SUM(c.epoch & {2 ** EPOCH_BITS - 1}), COUNT(*), MAX(j.epoch) FROM upload u "
            f"JOIN job j ON j.job_id = u.job_id JOIN job_chunk c ON c.job_id = j.job_id WHERE u.region = '{region}'")[0])
        redone = claims - chunks
        self.redone += redone
        self.plans_redone += plans - 2                              # plan and finish, once each
        if redone > self.chunk_kills * self.threads:
            self.wrong.append(f"{region}: {redone} chunks were begun again after {self.chunk_kills} kills of {self.threads} workers")
        if not self.progress:
            return
        self.fell = max(self.fell, self.progress.fell)
        self.polls += self.progress.answers
        if self.progress.fell > self.chunk_rows:
            self.wrong.append(f"{region}: progress fell by {self.progress.fell} rows; a chunk has {self.chunk_rows}")
        if self.progress.states - {"queued", "running", "waiting", "done"}:
            self.wrong.append(f"{region}: the job was {sorted(self.progress.states)}")

    # ---- all of it

    def run(self, **kills_of):
        """kills_of: how many of each process: host=, db=. Returns what is wrong."""
        self.undisturbed()
        return self.disturb_all(**kills_of)

    def disturb_all(self, **kills_of):
        kills = [target for target, count in kills_of.items() for _ in range(count)]
        self.random.shuffle(kills)
        while kills and not self.wrong and self.regions:
            self.disturb(kills)
        if kills and not self.wrong:
            self.wrong.append(f"{len(kills)} kills are left, but no region")
        return self.wrong

    def summary(self):
        names = {"host": "kontord", "db": "mariadbd", "second": "the second kontord"}
        yield f"{self.rows:,} rows in {self.chunks} chunks, {self.workers} workers"
        for (target, doing), count in sorted(self.hits.items()):
            yield f"  {names[target]} killed {count} times while the upload was in: {doing}"
        yield f"  chunks begun again: {self.redone}; plan or end begun again: {self.plans_redone}"
        yield f"  progress fell by at most {self.fell} rows, in {self.polls:,} looks; a chunk has {self.chunk_rows:,}"
        yield f"  commands that had to be typed again: {self.typed_again}"
