# SPDX-License-Identifier: Apache-2.0
"""Items are settled by hand, by several people at once and the same items by more than one of them, while kontord and mariadbd are
killed; then the books say whether each item was paid once."""
import collections
import json
import pathlib
import random
import string
import threading
import time

from kontor_instance import Instance

ENDS_WITHIN = 300               # seconds
WINDOWS = {"2026-W44": "2026-10-28T10:00:00Z", "2026-W45": "2026-11-03T10:00:00Z"}
CURRENCIES = ("SGD", "USD")
PEOPLE = ("alice", "bob")


class ManualRig:
    """items: of each region; claims: rows of each manual-settlement file. longest_pause: seconds between two kills."""

    def __init__(self, folder, items, claims, seed, longest_pause=1.0, report=lambda text: None):
        self.folder, self.items, self.claims, self.longest_pause = pathlib.Path(folder), items, claims, longest_pause
        self.random, self.report = random.Random(seed), report
        self.wrong, self.hits = [], {}
        self.disturbed = []                                         # (region, its items as store_items() gave them)
        self.typed_again = self.paid_by_hand = self.paid_by_windows = self.given_back = self.lost_races = 0
        self.kontor = Instance(self.folder / "instance")
        self.regions = [first + letter for letter in string.ascii_uppercase for first in "XZ"]
        for region in self.regions:
            self.kontor.add_region(region, first_window=next(iter(WINDOWS)), currencies=CURRENCIES)
        self.kontor.up()

    def close(self):
        self.kontor.control("remove", check=False)

    # ---- commands, typed again while they say that nothing is known or done yet

    def command(self, *arguments):
        """(exit code, the object it printed, what it said)"""
        deadline = time.monotonic() + ENDS_WITHIN
        while True:
            code, output, error = self.kontor.run(*arguments, "--json", timeout=ENDS_WITHIN)
            if code not in (3, 4):
                return code, json.loads(output.splitlines()[-1]) if output.strip() else None, error
            if time.monotonic() > deadline:
                raise AssertionError(f"kontor {' '.join(map(str, arguments))}: exit {code} for {ENDS_WITHIN} s: {error}")
            self.typed_again += 1
            time.sleep(0.1)

    def done(self, *arguments):
        code, answer, error = self.command(*arguments)
        if code != 0:
            raise AssertionError(f"kontor {' '.join(map(str, arguments))}: exit {code}: {error}")
        return answer

    def sql(self, statement):
        """Rows, from a database that may be starting again."""
        deadline = time.monotonic() + ENDS_WITHIN
        while True:
            try:
                return self.kontor.sql(statement)
            except RuntimeError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)

    # ---- the work of people

    def store_items(self, region):
        """The region's items as {id: (shop, currency, minor)}."""
        rng, made = random.Random(self.random.getrandbits(60)), {}
        path = self.folder / f"items-{region}.csv"
        with open(path, "w") as out:
            out.write("shop_user_id,order_id,item_type,amount,currency,occurred_at,billing_item_id\n")
            for number in range(1, self.items + 1):
                shop, currency, minor = rng.randrange(1, self.items // 4), rng.choice(CURRENCIES), rng.randrange(-20_000, 90_000)
                made[number] = (shop, currency, minor)
                sign = "-" if minor < 0 else ""
                out.write(f"{shop},M-{number},{'refund' if minor < 0 else 'order'},{sign}{abs(minor) // 100}.{abs(minor) % 100:02d},"
                          f"{currency},{rng.choice(list(WINDOWS.values()))},{number}\n")
        answer = self.done("upload", path, "--kind", "billing-items", "--region", region, "--follow")
        if answer["verdicts"]["ok"]["rows"] != self.items:
            raise AssertionError(f"{region}: the items: {answer}")
        return made

    def settle_by_hand(self, region, made, person, number):
        """One file from its first byte to its payouts. The person only waits for the run, or asks for it, too."""
        rng = random.Random(f"{region} {number}")
        chosen = rng.sample(range(1, self.items + 1), self.claims)
        path = self.folder / f"claims-{region}-{number}.csv"
        path.write_text("shop_user_id,billing_item_id\n" + "".join(f"{made[item][0]},{item}\n" for item in chosen))
        upload = self.done("upload", path, "--kind", "manual-settlement", "--region", region, "--follow", "--as", person)
        verdicts = {name: total["rows"] for name, total in upload["verdicts"].items() if total["rows"]}
        if sum(verdicts.values()) != self.claims or set(verdicts) - {"ok", "already_claimed", "already_settled"}:
            self.wrong.append(f"{region}: {self.claims} rows in file {number}, verdicts {verdicts}")
        self.lost_races += self.claims - verdicts.get("ok", 0)
        if upload["state"] != "waiting_approval":
            self.wrong.append(f"{region}: file {number} is {upload['state']}: {verdicts}")
            return
        give = rng.random() < 0.8
        self.vote(upload["upload_id"], "give" if give else "refuse", PEOPLE[1 - PEOPLE.index(person)])
        if give and rng.random() < 0.5:
            self.done("settlement", "manual", "--region", region, "--upload", upload["upload_id"], "--follow")

    def vote(self, upload_id, decision, person):
        approval = self.sql(f"SELECT approval_id FROM approval WHERE subject_kind = 'upload' AND subject_id = {upload_id}")[0][0]
        code, _, error = self.command("approval", decision, approval, "--as", person)
        if code != 0 and self.sql(f"SELECT state FROM approval WHERE approval_id = {approval}") == [["pending"]]:
            raise AssertionError(f"approval {decision} {approval}: exit {code}: {error}")

    # ---- kills

    def doing(self):
        """The job kinds and their stages that are under way."""
        rows = self.sql("SELECT DISTINCT kind, stage FROM job WHERE finished_ms = 0 AND owner <> '' UNION SELECT DISTINCT j.kind, j.stage "
                        "FROM job j JOIN job_chunk c ON c.job_id = j.job_id WHERE j.finished_ms = 0 AND c.state = 'running'")
        return {" ".join(row) for row in rows} or {"between jobs"}

    def kill_once(self, target):
        self.kontor.control(f"{target}-kill")
        if target == "db":
            self.kontor.control("db-up")                            # kontord lives on, and is to find it again by itself
        for what in self.doing():
            self.hits[target, what] = self.hits.get((target, what), 0) + 1
        self.kontor.control("up")

    def wait_for_run(self, over):
        """Until there is a run to hit: it is short beside the upload before it."""
        while not over.wait(0.01):
            if self.sql("SELECT 1 FROM job WHERE kind = 'payout.manual' AND finished_ms = 0 LIMIT 1"):
                over.wait(self.random.uniform(0, 0.1))
                return

    def kill(self, kills, over, failures):
        try:
            while kills and not over.wait(self.random.uniform(0.02, self.longest_pause)):
                if self.random.random() < 0.5:
                    self.wait_for_run(over)
                if over.is_set():
                    return
                self.kill_once(kills.pop())
        except Exception as failure:  # pylint: disable=broad-except
            failures.append(failure)

    def disturb(self, kills, files):
        """A region of its own: files by two people at once, until these kills are spent or the files are."""
        region = self.regions.pop(0)
        start, before = time.monotonic(), len(kills)
        made, over, failures = self.store_items(region), threading.Event(), []
        self.disturbed.append((region, made))

        def work(person, numbers):
            try:
                for number in numbers:
                    self.settle_by_hand(region, made, person, number)
            except Exception as failure:  # pylint: disable=broad-except
                failures.append(failure)
        workers = [threading.Thread(target=work, args=(person, range(n, files, len(PEOPLE)))) for n, person in enumerate(PEOPLE)]
        killer = threading.Thread(target=self.kill, args=(kills, over, failures))
        for thread in (*workers, killer):
            thread.start()
        for thread in workers:
            thread.join()
        over.set()
        killer.join()
        self.kontor.control("up")
        if failures:
            raise failures[0]
        self.wait_for_the_end(region)
        self.check_hand(region, made)
        self.check_windows(region, made)
        self.report(f"  {region}: {before - len(kills)} kills, {time.monotonic() - start:.1f} s")

    def wait_for_the_end(self, region):
        deadline = time.monotonic() + ENDS_WITHIN
        while True:
            rows = self.sql(f"SELECT job_id, kind, state, error FROM job WHERE region = '{region}' AND finished_ms = 0")
            if not rows:
                return
            if time.monotonic() > deadline:
                raise AssertionError(f"{region}: {ENDS_WITHIN} s after the last kill these have not ended: {rows}")
            time.sleep(0.05)

    # ---- the books

    def expect(self, region, what, here, expected):
        if here != expected:
            self.wrong.append(f"{region}: {what}: {here}, expected {expected}")

    def check_hand(self, region, made):
        """An accepted upload's claims are what its run paid; of the others nothing is left."""
        claims = collections.defaultdict(list)
        for upload_id, item in self.sql(f"SELECT upload_id, billing_item_id FROM claim WHERE region = '{region}'"):
            claims[upload_id].append(int(item))
        uploads = {row[0]: row[1:] for row in self.sql(
            f"SELECT u.upload_id, u.state, IFNULL(m.state, ''), IFNULL(m.run_id, 0), IFNULL(m.payouts, 0), (SELECT IFNULL(SUM(row_count), 0) "
            f"FROM upload_total t WHERE t.upload_id = u.upload_id AND t.verdict = 'ok') FROM upload u LEFT JOIN manual_settlement m "
            f"ON m.upload_id = u.upload_id WHERE u.region = '{region}' AND u.kind = 'manual-settlement'")}
        for upload_id, (state, settled, run_id, payouts, judged) in uploads.items():
            mine = claims.pop(upload_id, [])
            if state != "accepted":
                self.expect(region, f"{state} upload {upload_id}", (state, settled, len(mine)), ("refused", "", 0))
                self.given_back += int(judged)
                continue
            self.expect(region, f"claims of upload {upload_id}", len(mine), int(judged))
            self.expect(region, f"manual run of upload {upload_id}", settled, "settled")
            paid = self.check_run(region, run_id, [made[item] for item in mine])
            self.expect(region, f"payouts of upload {upload_id}", int(payouts), paid)
            self.paid_by_hand += len(mine)
        self.expect(region, "claims of uploads that are not there", dict(claims), {})
        self.expect(region, "batches of claims", self.sql(
            f"SELECT upload_id, SUM(claims), MIN(accepted) FROM claim_batch WHERE region = '{region}' GROUP BY upload_id ORDER BY upload_id"),
            self.sql(f"SELECT upload_id, COUNT(*), 1 FROM claim WHERE region = '{region}' GROUP BY upload_id ORDER BY upload_id"))

    def check_run(self, region, run_id, items):
        """The run has exactly these items; returns how many payouts it has."""
        expected = collections.defaultdict(lambda: [0, 0])
        for shop, currency, minor in items:
            expected[shop, currency][0] += 1
            expected[shop, currency][1] += minor
        here = {(int(shop), currency): [int(count), int(gross)] for shop, currency, count, gross in self.sql(
            f"SELECT shop_user_id, currency, items, gross_minor FROM payout WHERE run_id = {run_id} AND items > 0")}
        wrong = [key for key in {*here, *expected} if here.get(key) != expected.get(key)]
        if wrong:
            self.wrong.append(f"{region}: run {run_id}: {len(wrong)} payouts are not the sum of their items, the first one of {wrong[0]}: "
                              f"{here.get(wrong[0])}, expected {expected.get(wrong[0])}")
        self.expect(region, f"run {run_id}", self.sql(f"SELECT state, items FROM run WHERE run_id = {run_id}"), [["balanced", str(len(items))]])
        return len(here)

    def check_windows(self, region, made):
        """The windows' runs pay the rest, so that every item is paid once."""
        for window in WINDOWS:
            self.done("settlement", "close", "--region", region, "--window", window, "--early", "--follow")
            run = self.done("payout", "run", "--region", region, "--window", window, "--follow")
            if not run["balanced"]:
                self.wrong.append(f"{region}: the run of {window} is not balanced")
            self.paid_by_windows += int(run["items"])
        self.expect(region, "items and their sum in all runs", self.sql(
            f"SELECT SUM(items), SUM(gross_minor) FROM payout WHERE region = '{region}'")[0],
            [str(len(made)), str(sum(minor for _, _, minor in made.values()))])
        self.expect(region, "ledger transactions that do not balance", self.sql(
            "SELECT e.ledger_tx_id FROM ledger_entry e JOIN ledger_tx t ON t.ledger_tx_id = e.ledger_tx_id JOIN run r ON r.run_id = t.ref_run "
            f"WHERE r.region = '{region}' GROUP BY e.ledger_tx_id, e.currency HAVING SUM(debit_minor) <> SUM(credit_minor)"), [])

    def run(self, host, db, files=6):
        """So many kills of the two processes; returns what is wrong."""
        kills = ["host"] * host + ["db"] * db
        self.random.shuffle(kills)
        while kills and not self.wrong and self.regions:
            self.disturb(kills, files)
        return self.wrong

    def summary(self):
        names = {"host": "kontord", "db": "mariadbd"}
        for (target, what), count in sorted(self.hits.items()):
            yield f"  {names[target]} killed {count} times during: {what}"
        yield (f"  items paid by hand: {self.paid_by_hand:,}, by their window's run: {self.paid_by_windows:,}; given back by a refusal: "
               f"{self.given_back:,}; claimed or settled by another upload: {self.lost_races:,}")
        yield f"  commands that had to be typed again: {self.typed_again}"
