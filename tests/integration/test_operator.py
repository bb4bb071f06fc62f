# SPDX-License-Identifier: Apache-2.0
"""What an operator is told when something is off: files that cannot be written, interrupted commands, the wrong upload."""
import contextlib
import os
import pty
import select
import signal
import stat
import subprocess
import time
import unittest

from scenario import BUILD, HEADER, Scenario, Service, item

KONTOR = BUILD / "bin/kontor"
WEEK = ("--region", "SG", "--window", "2026-W45")
BAD = item(order="a/b")


class Operator(Scenario):
    def wait_for(self, what, seconds=60, every=0.01):
        deadline = time.monotonic() + seconds
        while not (found := what()):
            self.assertLess(time.monotonic(), deadline)
            time.sleep(every)
        return found

    def start(self, *arguments, **options):
        return subprocess.Popen([KONTOR, *map(str, arguments)], env=self.kontor.environment, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True, **options)

    def long_file(self, letter, rows):
        return self.file("\n".join([HEADER] + [item(order=f"{letter}-{n}", shop=1 + n % 997) for n in range(rows)]) + "\n")


class OutFiles(Operator):
    """--out and --rejects: the file is there as a whole, its owner's alone, or what was there before is untouched."""

    def commands(self, path):
        return (("report", "rejects", *WEEK, "--out", path),
                ("upload", self.items_file(BAD), "--kind", "billing-items", "--region", "SG", "--rejects", path))

    def test_what_is_no_file_is_refused_before_anything_is_done(self):
        pipe, folder, link = self.scratch / "pipe", self.scratch / "folder", self.scratch / "link"
        os.mkfifo(pipe)
        folder.mkdir()
        link.symlink_to(pipe)
        for path, said in ((pipe, "name a file"), (folder, "name a file in it"), (link, "name a file"),
                           (self.scratch / "no" / "such", "No such file")):
            for command in self.commands(path):
                before = self.count("job")
                error = self.refused(*command)
                self.assertIn(said, error)
                self.assertRegex(error, "no report was asked for|nothing was uploaded")
                self.assertEqual(self.count("job"), before)
        self.assertTrue(stat.S_ISFIFO(os.stat(pipe).st_mode))
        self.assertEqual(list(folder.iterdir()), [])

    def test_a_file_of_that_name_is_replaced_also_behind_a_link(self):
        target, link = self.scratch / "target.csv", self.scratch / "link.csv"
        link.symlink_to(target)
        for command in self.commands(link):
            target.write_text("old")
            target.chmod(0o644)
            self.assertEqual(self.kontor.run(*command)[0], 0)
            self.assertTrue(link.is_symlink())
            self.assertRegex(target.read_text(), "line,column,verdict,reason")
            self.assertEqual(stat.S_IMODE(target.stat().st_mode), 0o600, command)     # a payee's reject has an account
        self.assertEqual(list(self.scratch.glob("target.csv?*")), [])

    def test_a_full_disk_leaves_the_old_file_and_says_what_to_do(self):
        """A limit on the size of files stands for the disk: Python ignores SIGXFSZ, and so do its children."""
        path = self.scratch / "limited.csv"
        path.write_text("old")
        limited = ["bash", "-c", 'ulimit -f 0; exec "$@"', "bash", KONTOR]
        self.upload(self.items_file(BAD))                                             # something to report
        for command, said in zip(self.commands(path), ("could not be written", "kontor upload rejects")):
            done = subprocess.run(limited + list(map(str, command)), env=self.kontor.environment, text=True,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, restore_signals=False, check=False)
            self.assertEqual(done.returncode, 1, done)
            self.assertIn(said, done.stderr)
            self.assertEqual(path.read_text(), "old")
        self.assertEqual(list(self.scratch.glob("limited.csv?*")), [])

    def test_rejected_rows_are_mentioned_to_people(self):
        path = self.items_file(BAD, item(order="good"))
        code, _, error = self.kontor.run("upload", path, "--kind", "billing-items", "--region", "SG", "--dry-run", "--follow")
        self.assertEqual(code, 0)
        self.assertIn("kontor upload rejects ", error)


class Interrupted(Operator):
    def on_terminal(self, *arguments):
        """The command, its stderr a terminal, and our end of it."""
        ours, theirs = pty.openpty()
        self.addCleanup(os.close, ours)
        command = subprocess.Popen([KONTOR, *map(str, arguments)], env=self.kontor.environment, stdout=subprocess.DEVNULL,
                                   stderr=theirs)
        os.close(theirs)
        return command, ours

    def read_until(self, terminal, words):
        seen = b""
        while words not in seen:
            self.assertTrue(select.select([terminal], [], [], 60)[0], seen)
            seen += os.read(terminal, 4096)
        return seen

    def test_ctrl_c_while_sending_says_how_to_go_on(self):
        path, rejects = self.long_file("S", 600_000), self.scratch / "s.rejects"
        command = self.start("upload", path, "--kind", "billing-items", "--region", "SG", "--dry-run", "--rejects", rejects)
        self.wait_for(lambda: self.count("upload", "region = 'SG' AND received_bytes > 0"))
        with self.kontor.session("BEGIN; SELECT 1 FROM upload WHERE region = 'SG' FOR UPDATE"):
            command.send_signal(signal.SIGINT)
            _, error = command.communicate()
        self.assertEqual(command.returncode, -signal.SIGINT)
        self.assertIn("the same command goes on there", error)
        self.assertEqual(list(self.scratch.glob("s.rejects*")), [])
        upload_id, state = self.kontor.sql("SELECT upload_id, state FROM upload WHERE region = 'SG'")[0]
        self.assertEqual(state, "receiving", "the upload was through before it could be interrupted")
        self.check_resume(upload_id, path)

    def check_resume(self, upload_id, path):
        """Another file, kind, region or purpose is told before a byte is sent; the right one goes on."""
        def resume(file, *options, kind="billing-items", region="SG", code=1):
            return self.refused("upload", file, "--kind", kind, "--region", region, "--resume", upload_id, *options, code=code)
        received = self.kontor.json("upload", "show", upload_id)["received_bytes"]
        changed = self.file(path.read_text().replace("S-599999", "S-599998"))
        self.assertIn("another file", resume(changed, "--dry-run"))
        self.assertIn("--region SG", resume(path, "--dry-run", region="MY"))
        self.assertIn("--kind billing-items", resume(path, "--dry-run", kind="payees"))
        self.assertIn("begun with --dry-run", resume(path))
        self.assertIn("is of user", resume(path, "--dry-run", "--as", "bob"))
        self.assertEqual(self.kontor.json("upload", "show", upload_id)["received_bytes"], received)
        self.assertVerdicts(self.upload(path, "--dry-run", "--resume", upload_id), ok=600_000)
        self.assertIn("another file", resume(changed, "--dry-run"))                 # nor is it told what became of this one

    def test_ctrl_c_while_following_says_that_the_job_goes_on(self):
        path = self.long_file("F", 200_000)
        command, terminal = self.on_terminal("upload", path, "--kind", "billing-items", "--region", "MY", "--dry-run", "--follow")
        self.read_until(terminal, b"] rows ")
        command.send_signal(signal.SIGINT)
        seen = self.read_until(terminal, b"jobs cancel ")
        self.assertEqual(command.wait(), -signal.SIGINT)
        job_id, = self.kontor.sql("SELECT job_id FROM job WHERE region = 'MY'")[0]
        self.assertIn(f"the job goes on; follow it with: kontor jobs follow {job_id}, stop it with".encode(), seen)
        self.assertEqual(self.kontor.json("jobs", "follow", job_id)["state"], "done")

    def test_a_job_that_is_cancelled_has_no_bar_and_no_time_left(self):
        path = self.long_file("C", 120_000)
        started = self.kontor.json("upload", path, "--kind", "billing-items", "--region", "TH")
        self.wait_for(lambda: self.count("item_batch", "region = 'TH'"))
        with self.kontor.session("BEGIN; SELECT 1 FROM item_batch WHERE region = 'TH' FOR UPDATE"):      # nothing can be taken back meanwhile
            self.kontor.json("jobs", "cancel", started["job_id"])
            follow, terminal = self.on_terminal("jobs", "follow", started["job_id"])
            seen = self.read_until(terminal, b"taken back")
        self.assertNotIn(b"left", seen)
        self.assertNotIn(b"##", seen)
        self.assertEqual(follow.wait(), 1)
        code, output, error = self.kontor.run("upload", "rejects", started["upload_id"])
        self.assertEqual((code, len(output.splitlines())), (0, 1))
        self.assertIn("no row of it counts", error)


class DeadLetters(Operator):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.kontor.control("host-down")                             # who mends things here needs no ten minutes
        cls.kontor.set_options("job_patience = 0\n")
        cls.kontor.control("host-up")

    def test_a_dead_upload_says_what_to_do_and_that_works(self):
        rows = 60_000
        path = self.long_file("D", rows)
        self.kontor.sql(f"ALTER TABLE billing_item ADD CONSTRAINT obstacle CHECK (order_id <> 'D-{rows - 1}')")
        started = self.kontor.json("upload", path, "--kind", "billing-items", "--region", "SG")
        error = self.refused("jobs", "follow", started["job_id"])
        self.kontor.sql("ALTER TABLE billing_item DROP CONSTRAINT obstacle")
        self.assertRegex(error, "ended as dead: chunk [0-9]+ failed [0-9]+ times in a row, at last with: .*obstacle")
        self.assertIn(f"then: kontor jobs retry {started['job_id']}", error)
        self.assertEqual(self.count("billing_item", "region = 'SG'"), 0)
        log = (self.kontor.folder / "log" / "kontord.log").read_text()
        self.assertRegex(log, f'level=error .*event="a job is dead" job_id={started["job_id"]} kind=upload.billing-items')
        self.kontor.json("jobs", "retry", started["job_id"])
        self.assertEqual(self.kontor.json("jobs", "follow", started["job_id"])["state"], "done")
        shown = self.kontor.json("upload", "show", started["upload_id"])
        self.assertEqual(shown["state"], "accepted")
        self.assertVerdicts(shown, ok=rows)
        self.assertEqual(self.count("billing_item", f"region = 'SG' AND upload_id = {started['upload_id']}"), rows)
        self.assertEqual(self.count("item_batch", "region = 'SG' AND accepted = 0"), 0)
        self.assertTrue(self.kontor.json("upload", path, "--kind", "billing-items", "--region", "SG")["repeated"])

    def test_a_refused_upload_is_not_tried_again(self):
        started = self.kontor.json("upload", self.file("shop,order\n1,2\n"), "--kind", "billing-items", "--region", "SG")
        self.refused("jobs", "follow", started["job_id"])
        self.assertIn("refused for good", self.refused("jobs", "retry", started["job_id"]))


    def test_a_retry_beside_the_same_file_counts_nothing_twice(self):
        """Each kind: the upload is dead, the operator uploads the file again, which is accepted, and somebody retries the dead one."""
        tables, region, approver = ("billing_item", "payee", "shop_rule", "claim"), "TH", ("--as", "bob")
        items = self.upload(self.items_file(*(item(order=f"R-{n}", id=70 + n) for n in range(4))), region=region)
        files = {"billing-items": self.items_file(*(item(order=f"R-{n}") for n in range(4, 9))),
                 "payees": self.file("shop_user_id,name,country,currency,iban\n7,Ann,DE,THB,DE89370400440532013000\n"),
                 "shop-rules": self.file("shop_user_id,rule,value\n7,hold,yes\n8,hold,no\n"),
                 "manual-settlement": self.file("shop_user_id,billing_item_id\n880000000001,71\n880000000001,72\n")}
        for table in tables:
            self.kontor.sql(f"ALTER TABLE {table} ADD CONSTRAINT obstacle CHECK (region <> '{region}' OR upload_id <= {items['upload_id']})")
        items_again = None
        dead = {kind: self.kontor.json("upload", path, "--kind", kind, "--region", region) for kind, path in files.items()}
        for upload in dead.values():
            self.wait_for(lambda job_id=upload["job_id"]: self.kontor.sql("UPDATE job_chunk SET run_at_ms = 0 WHERE state = 'queued'")
                          or self.kontor.json("jobs", "show", job_id)["state"] == "dead")
        for table in tables:
            self.kontor.sql(f"ALTER TABLE {table} DROP CONSTRAINT obstacle")
        for kind, path in files.items():
            again = self.upload(path, kind=kind, region=region)
            items_again = again if kind == "billing-items" else items_again
            if kind == "manual-settlement":
                approval, = [row for row in self.kontor.lines("approval", "list", "--state", "pending")
                             if row["subject_id"] == again["upload_id"]]
                self.kontor.json("approval", "give", approval["approval_id"], *approver)
                self.kontor.json("jobs", "follow", again["job_id"])
        before = self.what_counts(tables, region)
        self.kontor.sql(f"UPDATE job SET unique_key = unique_name WHERE job_id = {items_again['job_id']}")  # as if it still ran
        self.assertIn(f"job {items_again['job_id']} is for the same thing and has not ended yet",
                      self.refused("jobs", "retry", dead["billing-items"]["job_id"]))
        self.kontor.sql(f"UPDATE job SET unique_key = NULL WHERE job_id = {items_again['job_id']}")
        for kind, verdicts in (("billing-items", {"already_exists": 5}), ("payees", {"unchanged": 1}), ("shop-rules", {"unchanged": 2}),
                               ("manual-settlement", {"already_claimed": 2})):
            self.kontor.json("jobs", "retry", dead[kind]["job_id"])
            self.assertEqual(self.kontor.json("jobs", "follow", dead[kind]["job_id"])["state"], "done")
            shown = self.kontor.json("upload", "show", dead[kind]["upload_id"])
            self.assertEqual(shown["state"], "accepted")
            if "already_settled" in shown["verdicts"]:              # its manual run was faster
                verdicts = {"already_settled": 2}
            self.assertVerdicts(shown, **verdicts)
        self.assertEqual(self.what_counts(tables, region), before)

    def what_counts(self, tables, region):
        """All rows, by the upload that they are of."""
        return [self.kontor.sql(f"SELECT '{table}', upload_id, COUNT(*) FROM {table} WHERE region = '{region}' GROUP BY upload_id")
                for table in tables]


class UnknownOutcomes(Operator):
    """The unit is killed while it does what was asked, and stays away: exit 4, with what finds out."""
    RULES = "shop_user_id,rule,value\n7,hold,yes\n"
    KIND = ("--kind", "shop-rules", "--region", "SG")

    def killed_in(self, *commands):
        """What each says on stderr. A command: the rows that it comes to wait for, how that statement begins, its arguments."""
        with contextlib.ExitStack() as stack:
            for rows, _, _ in commands:
                stack.enter_context(self.kontor.session(f"BEGIN; SELECT 1 FROM {rows} FOR UPDATE"))
            started = [self.start(*arguments) for _, _, arguments in commands]
            for _, statement, _ in commands:
                # the server renews this table only when nobody has read it for 0.1 s
                self.wait_for(lambda begin=statement: self.kontor.sql("SELECT 1 FROM information_schema.innodb_trx WHERE "
                                                                      f"trx_state = 'LOCK WAIT' AND trx_query LIKE '{begin}%'"),
                              every=0.15)
            self.kontor.control("host-kill")
            said = [command.communicate()[1] for command in started]        # each tries for a minute
        self.kontor.control("host-up")
        self.assertEqual([command.returncode for command in started], [4] * len(commands), said)
        return said

    def test_what_finds_out_is_said_and_does(self):
        with Service(self.kontor.endpoint) as service:
            upload_id = str(service.call("upload.begin", "b", kind="shop-rules", region="SG")["upload_id"])
            service.call("upload.piece", "p", upload_id=int(upload_id), offset=0, data=self.RULES.encode())
        self.kontor.json("payout", "hold", 8, "--region", "TW")
        self.upload(self.items_file(item(order="U-1")), region="TH")
        path, out, hold = self.file(self.RULES), self.scratch / "unknown.csv", ("payout", "hold", 9, "--region", "TW")
        upload, report, held = self.killed_in(
            (f"upload WHERE upload_id = {upload_id}", "SELECT region, kind, user", ("upload", path, *self.KIND, "--resume", upload_id)),
            ("job", "INSERT INTO job ", ("report", "rejects", *WEEK, "--out", out)),
            ("shop_rule_revision WHERE region = 'TW'", "%shop_rule_revision", hold))
        self.assertIn(f"the same command with --resume {upload_id} finds out what became of it, and does nothing twice", upload)
        self.assertNotIn("the same command again", upload)
        self.assertIn("the same command again makes another one", report)
        self.assertNotIn("nothing twice", report)
        self.assertEqual(list(self.scratch.glob("unknown*")), [])
        self.assertIn("the same command again finds out, and does nothing twice", held)
        self.kontor.json(*hold)
        self.assertFalse(self.kontor.json(*hold)["changed"])
        self.check_resume(upload_id, path)

    def check_resume(self, upload_id, path):
        for repeated in False, True, True:
            answer = self.upload(path, "--resume", upload_id, kind="shop-rules")
            self.assertEqual((answer["upload_id"], answer["state"], answer["repeated"]), (upload_id, "accepted", repeated))
            self.assertVerdicts(answer, ok=1)
        stream, other = ("upload", "-", *self.KIND, "--resume", upload_id), self.RULES.replace("7", "8")
        self.assertEqual(self.kontor.json(*stream, input=self.RULES)["upload_id"], upload_id)
        self.assertIn("another file", self.refused("upload", self.file(other), *self.KIND, "--resume", upload_id))
        code, _, error = self.kontor.run(*stream, input=other)
        self.assertEqual(code, 1)
        self.assertIn("another file", error)
        self.assertEqual(self.count("upload", "region = 'SG'"), 1)

    def test_one_of_which_nothing_counts_says_so(self):
        started = self.kontor.json("upload", self.file("shop,rule\n1,2\n"), "--kind", "shop-rules", "--region", "MY")
        self.refused("jobs", "follow", started["job_id"])
        error = self.refused("upload", self.file("shop,rule\n1,2\n"), "--kind", "shop-rules", "--region", "MY", "--resume",
                             started["upload_id"])
        self.assertRegex(error, f"upload {started['upload_id']} is refused, no row of it counts .*: .*unknown column")


class EmptyReports(Operator):
    def test_no_reject_of_that_week_is_said(self):
        path = self.scratch / "empty.csv"
        code, output, error = self.kontor.run("report", "rejects", "--region", "SG", "--window", "2026-W02", "--out", path)
        self.assertEqual(code, 0)
        self.assertRegex(output, r"rows +0")
        self.assertIn("no row was rejected of an upload that began during 2026-W02", error)


if __name__ == "__main__":
    unittest.main(verbosity=2)
