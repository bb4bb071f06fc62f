# SPDX-License-Identifier: Apache-2.0
"""What an operator is told when something is off: files that cannot be written, interrupted commands, the wrong upload."""
import os
import pty
import select
import signal
import stat
import subprocess
import time
import unittest

from scenario import BUILD, HEADER, Scenario, item

KONTOR = BUILD / "bin/kontor"
WEEK = ("--region", "SG", "--window", "2026-W45")
BAD = item(order="a/b")


class Operator(Scenario):
    def wait_for(self, what, seconds=60):
        deadline = time.monotonic() + seconds
        while not (found := what()):
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.01)
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
        self.assertIn(f"is dry_run: only one that is still receiving goes on; see: kontor upload show {upload_id}",
                      resume(path, "--dry-run"))

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


class EmptyReports(Operator):
    def test_no_reject_of_that_week_is_said(self):
        path = self.scratch / "empty.csv"
        code, output, error = self.kontor.run("report", "rejects", "--region", "SG", "--window", "2026-W02", "--out", path)
        self.assertEqual(code, 0)
        self.assertRegex(output, r"rows +0")
        self.assertIn("no row was rejected of an upload that began during 2026-W02", error)


if __name__ == "__main__":
    unittest.main(verbosity=2)
