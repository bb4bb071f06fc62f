# SPDX-License-Identifier: Apache-2.0
"""Uploads random files, whole, again, in two parts and interrupted, and compares each row's verdict with the model's."""
import copy
import json
import pathlib
import random
import string
import subprocess
import threading
import time

import verdict_files
import verdict_model
from kontor_instance import BUILD, Instance
from verdict_pairs import Pairs

ZONES = ("Asia/Singapore", "America/Sao_Paulo", "Asia/Kathmandu", "UTC", "America/New_York")
ENDS_WITHIN = 300               # seconds
CROSSED_ROWS = 20_000           # of a big file, for two that are crossed: several batches of 10,000 each, and time for both
EMPTY_WEEK, LATER_WEEK = 202605, 202632     # closed while nothing is in them, and with whatever is in them


class VerdictRig(Pairs):
    """A Kontor with 26 pairs of regions, one for each seed."""

    def __init__(self, folder, report=lambda text: None):
        self.folder, self.report = pathlib.Path(folder), report
        self.wrong, self.typed_again, self.files, self.rows, self.counts = [], [], 0, 0, {}
        self.gave_up = 0                                            # of two uploads that waited for each other
        self.waiting = []                                           # (world, rows, answer) of uploads that nobody decided on yet
        self.kontor = Instance(self.folder / "instance")
        # two threads also where there are two cores; and uploads that wait for each other give up at once
        self.kontor.set_options('job_patience = 0\nlane "upload" { threads = 2 }\n')
        self.regions = [("X" + letter, "Z" + letter, ZONES[number % len(ZONES)]) for number, letter in enumerate(string.ascii_uppercase)]
        for *pair, zone in self.regions:
            for region in pair:
                self.kontor.add_region(region, zone, currencies=verdict_model.EXPONENT)
        self.kontor.up()

    def close(self):
        self.kontor.control("remove", check=False)

    # ---- one file

    def command(self, world, path, *options):
        return [BUILD / "bin/kontor", "upload", path, "--kind", world.kind, "--region", world.region, "--follow", "--json", *options]

    def answer(self, command):
        """Types the command until it is through. None: it ended as cancelled, refused or failed."""
        deadline = time.monotonic() + ENDS_WITHIN
        while True:
            done = subprocess.run(command, env=self.kontor.environment, text=True, stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=ENDS_WITHIN, check=False)
            if done.returncode not in (3, 4) or time.monotonic() > deadline:
                break
            self.typed_again.append(f"exit {done.returncode}: {done.stderr.strip()}")
            time.sleep(0.1)
            begun = self.begun(command)
            if begun:                                               # payees and rules typed again would be another upload
                return self.settled(begun)
        if done.returncode not in (0, 1):
            raise AssertionError(f"{command}: exit {done.returncode}: {done.stderr}")
        return json.loads(done.stdout.splitlines()[-1]) if done.stdout.strip() else None

    def begun(self, command):
        """The upload of this command's file that has all of its bytes, if there is one. Waits for the transactions of a process that
        was killed: one that is just committed would be overlooked."""
        found = self.kontor.sql(f"SELECT upload_id FROM upload WHERE name = '{command[2].name}' AND job_id > 0 AND state <> 'cancelled' "
                                f"AND dry_run = {int('--dry-run' in command)} ORDER BY created_ms DESC LIMIT 1 LOCK IN SHARE MODE")
        return found[0][0] if found else None

    def settled(self, upload_id):
        """What `upload show` says once nothing is under way any more."""
        deadline = time.monotonic() + ENDS_WITHIN
        while True:
            answer = self.kontor.json("upload", "show", upload_id)
            if answer["state"] not in ("checking", "importing") or time.monotonic() > deadline:
                return answer
            time.sleep(0.05)

    def compare(self, world, what, answer, rows):
        """Totals, amounts, and the lines that come back."""
        expected = verdict_model.totals(rows)
        here = {name: (total["rows"], total["amount_minor"] if name in getattr(world, "amount_verdicts", [name]) else {})
                for name, total in answer["verdicts"].items() if total["rows"]}
        if answer["rows"] != len(rows) or sum(count for count, _ in here.values()) != len(rows):
            self.wrong.append(f"{what}: {len(rows)} rows in the file, {answer['rows']} counted, verdicts for {here}")
        lines = {int(row["line"]): row["verdict"] for row in self.kontor.lines("upload", "rejects", answer["upload_id"])}
        wanted = {row.line: row.verdict for row in rows if row.verdict in verdict_model.REJECTED}
        by_line = {row.line: row for row in rows}
        for line in sorted(set(lines) | set(wanted)):
            if lines.get(line) != wanted.get(line):
                row = by_line.get(line)
                self.wrong.append(f"{what}: line {line}: {lines.get(line)}, expected {wanted.get(line)}: "
                                  f"{row.data[:200] if row else 'no row begins there'}")
        if here != expected:
            self.wrong.append(f"{what}: {here}, expected {expected}")
        for verdict, (count, _) in expected.items():
            self.counts[verdict] = self.counts.get(verdict, 0) + count

    def decide(self, world, rows, answer):
        """What waits for approval is given or refused by another user, or taken back by its own."""
        upload_id, chance = answer["upload_id"], self.random.random()
        what = f"seed {self.seed}, upload {upload_id} ({world.kind})"
        if chance < 0.15:
            wanted = "cancelled"
            self.kontor.json("jobs", "cancel", answer["job_id"])
        else:
            wanted = "refused" if chance < 0.35 else "failed" if world.overtaken(rows) else "accepted"
            approval = [entry for entry in self.kontor.lines("approval", "list")
                        if entry["state"] == "pending" and str(entry["subject_id"]) == str(upload_id)][0]
            self.kontor.json("approval", "refuse" if wanted == "refused" else "give", approval["approval_id"], "--as", "bob")
        self.kontor.run("jobs", "follow", answer["job_id"])
        state = self.kontor.json("upload", "show", upload_id)["state"]
        if state != wanted:
            self.wrong.append(f"{what}: {state}, expected {wanted}")
        while self.kontor.sql("SELECT COUNT(*) FROM job WHERE finished_ms = 0 AND kind = 'payout.manual'")[0][0] != "0":
            time.sleep(0.05)                                        # the run that pays what was claimed by hand
        if state == "accepted":
            world.commit(rows)
            return
        world.drop(rows)
        if state == "cancelled":
            self.check_gone(what, answer)

    def decide_some(self, most):
        """So many of the uploads that wait, in any order."""
        self.random.shuffle(self.waiting)
        for _ in range(min(most, len(self.waiting))):
            self.decide(*self.waiting.pop())

    def write(self, rows):
        self.files, self.rows = self.files + 1, self.rows + len(rows)
        path = self.folder / f"{self.seed}-{self.files}.csv"
        path.write_bytes(self.writer.file(rows))
        return path

    def upload(self, world, rows, how):
        """Writes the rows as a file and uploads it as `how` says."""
        rows = [copy.copy(row) for row in rows]                     # they may be in another file that waits
        path = self.write(rows)
        what = f"seed {self.seed}, file {self.files} ({world.kind}, {len(rows)} rows, {how})"
        self.report(f"  {what}")
        world.now_ms = time.time() * 1000
        verdict_model.judge(world, rows)
        command = self.command(world, path)
        if how == "dry run first":
            answer = self.answer([*command, "--dry-run"])
            if answer["state"] != "dry_run":
                self.wrong.append(f"{what}: {answer['state']}")
            self.compare(world, what + ", dry", answer, rows)
        if how in ("killed", "cancelled"):
            answer = self.interrupted(command, how)
        else:
            answer = self.answer(command)
        if answer["state"] == "cancelled" and how == "cancelled":
            self.check_gone(what, answer)
            answer = self.answer(command)                           # and once more, to its end
        if answer["state"] not in ("accepted", "waiting_approval"):
            self.wrong.append(f"{what}: {answer['state']}: {answer.get('error')}")
            return
        self.compare(world, what, answer, rows)
        self.take(world, what, answer, rows)
        if how == "again" and world.kind == "billing-items":
            self.again(world, command, answer, rows, what)

    def take(self, world, what, answer, rows):
        """The file counts, or waits; the files after it may meet its rows in either state."""
        if (answer["state"] == "waiting_approval") != world.needs_approval(rows):
            self.wrong.append(f"{what}: {answer['state']}")
        if answer["state"] == "accepted":
            world.commit(rows)
        elif answer["state"] == "waiting_approval":
            world.wait(rows)
            self.waiting.append((world, rows, answer))
            self.decide_some(self.random.choice((0, 0, 1, 2)))

    def again(self, world, command, first, rows, what):
        answer = self.answer(command)
        if not answer["repeated"] or answer["upload_id"] != first["upload_id"]:
            self.wrong.append(f"{what}: the same bytes again: {answer}")
        verdict_model.judge(world, rows)
        self.compare(world, what + ", --again", self.answer([*command, "--again"]), rows)

    def interrupted(self, command, how):
        """Kills kontord, or cancels the job, somewhere between the first byte and the end."""
        answers = []
        thread = threading.Thread(target=lambda: answers.append(self.answer(command)))
        before = int(self.kontor.sql("SELECT COUNT(*) FROM upload")[0][0])
        thread.start()
        while thread.is_alive() and int(self.kontor.sql("SELECT COUNT(*) FROM upload")[0][0]) == before:
            time.sleep(0.005)
        time.sleep(self.random.uniform(0, 0.3))
        if how == "killed":
            self.kontor.control("host-kill")
            self.kontor.control("up")
        else:
            begun = self.begun(command)
            if begun:
                job_id = self.kontor.sql(f"SELECT job_id FROM upload WHERE upload_id = {begun}")[0][0]
                if self.kontor.run("jobs", "cancel", job_id)[0] == 0:    # refused when it has ended
                    self.kontor.run("jobs", "follow", job_id)
        thread.join()
        upload_id = self.kontor.sql(f"SELECT upload_id FROM upload WHERE name = '{command[2].name}' AND dry_run = 0 "
                                    "ORDER BY created_ms DESC LIMIT 1")[0][0]
        return self.kontor.json("upload", "show", upload_id)

    def check_gone(self, what, answer):
        for table in ("billing_item", "payee", "shop_rule", "claim", "item_batch", "upload_reject", "upload_total"):
            left = self.kontor.sql(f"SELECT COUNT(*) FROM {table} WHERE upload_id = {answer['upload_id']}")[0][0]
            if left != "0":
                self.wrong.append(f"{what}: {left} rows of the cancelled upload are left in {table}")

    # ---- one region

    def close_week(self, world, week):
        text = f"{week // 100}-W{week % 100:02d}"
        self.kontor.json("settlement", "close", "--region", self.region, "--window", text, "--follow")
        world.open_from = week + 1

    def files_of(self, world, facts, sizes):
        """Some files in turn; each is written by a header of its own."""
        ways = ["whole", "again", "two parts", "killed", "cancelled", "dry run first"]
        self.random.shuffle(ways)
        for number, size in enumerate(sizes):
            self.writer = verdict_files.Writer(world, self.random)
            rows = [self.writer.row(facts.fields()) for _ in range(size)]
            how = ways[number % len(ways)]
            if how == "two parts":
                # the same rows once more in the other part: what the first took the second finds there
                parts = rows[:size // 2], rows[size // 3:]
                for part in parts:
                    self.random.shuffle(part)
                    self.upload(world, part, how)
            else:
                self.upload(world, rows, how)
                if self.random.random() < 0.3:
                    self.random.shuffle(rows)
                    self.upload(world, rows, "shuffled")
        self.decide_some(len(self.waiting))

    def run(self, seed, sizes, big=0):
        """All files of one seed, in a region of its own. big: rows of one more file of billing items; from CROSSED_ROWS on there may be two
        at once as well."""
        self.seed, self.random = seed, random.Random(seed)
        self.region, neighbour, zone = self.regions.pop(0)
        items, payees, elsewhere = verdict_model.BillingItems(zone), verdict_model.Payees(), verdict_model.BillingItems(zone)
        rules = verdict_model.ShopRules(next(iter(verdict_model.EXPONENT)))
        manual = verdict_model.ManualSettlement(items, rules)
        for world, region in ((items, self.region), (payees, self.region), (rules, self.region), (manual, self.region), (elsewhere, neighbour)):
            world.region = region
        item_facts = verdict_files.ItemFacts(items, self.random)
        if self.random.random() < 0.7:
            self.close_week(items, EMPTY_WEEK)
        half = len(sizes) // 2
        self.files_of(items, item_facts, sizes[:half])
        if min(items.items_of_window, default=LATER_WEEK) >= LATER_WEEK:
            self.close_week(items, LATER_WEEK)
        self.files_of(items, item_facts, [*sizes[half:], *([big] if big else [])])
        payee_facts = verdict_files.PayeeFacts(payees, self.random)
        self.files_of(payees, payee_facts, sizes[:half + 1])
        # one batch each: the verdict (not the effect) of a row of shop-rules that repeats what is stored is that of its batch
        self.files_of(rules, verdict_files.RuleFacts(item_facts.shops, self.random), sizes[:half + 1])
        manual_facts = verdict_files.ManualFacts(manual, self.random)
        self.files_of(manual, manual_facts, sizes[:half + 1])
        size = max(sizes[:half + 1])
        for world, facts in ((items, item_facts), (manual, manual_facts)):
            self.two_at_once(world, self.write_rows(world, (facts.fields() for _ in range(size))))
        if big >= CROSSED_ROWS and self.random.random() < 0.3:         # it takes long: they are patient with each other
            self.two_at_once(items, self.write_rows(items, verdict_files.fresh_items(CROSSED_ROWS * 2)), crossed=True)
        self.many_at_once(((items, item_facts), (payees, payee_facts), (elsewhere, item_facts)), size)
        self.decide_some(len(self.waiting))
        for world in (items, elsewhere):
            self.check_items(world)
        return self.wrong
