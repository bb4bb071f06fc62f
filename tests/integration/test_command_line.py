# SPDX-License-Identifier: Apache-2.0
"""The kontor command: exit codes, help, packed files and stdin, an upload that goes on where it was, answers for programs."""
import gzip
import hashlib
import json
import os
import re
import signal
import subprocess
import time
import unittest

from scenario import BUILD, HEADER, Scenario, item
from promptness import promptly
from upload_input import zstd_frames

KONTOR = BUILD / "bin/kontor"


class CommandLine(Scenario):
    def test_wrong_usage_is_2_and_names_the_nearest(self):
        for arguments, word in (
                (("uplaod", "list"), "did you mean upload list"), (("settlement", "cloes"), "settlement close"),
                (("settlement",), "settlement find"), (("payout", "run", "--regoin", "SG"), "did you mean --region"),
                (("payout", "run", "--region"), "--region needs a value"), (("payout", "run", "--region", "SG"), "--window"),
                (("jobs", "show", "12x"), "must be an id"), (("jobs", "show", "1", "2"), "one word too many"),
                (("jobs", "show", "--json", "--json=1", "7"), "has no option --json=1"),
                (("id", "next", "default", "-5"), "has no option -5"), (("call", "idgen.nxt"), "did you mean idgen.next"),
                (("call", "idgen.next", "cuont=1"), "did you mean count"), (("call", "idgen.next", "count=x"), "whole number")):
            self.assertIn(word, self.refused(*arguments, code=2), arguments)

    def test_a_value_that_can_never_be_right_is_2(self):
        for arguments, word in (
                (("settlement", "close", "--region", "SG", "--window", "2026-W60"), "of a week that exists"),
                (("settlement", "windows", "--region", "sg"), "two capital letters"), (("payout", "list"), "give either run"),
                (("call", "idgen.next", "namespace=file", "count=0"), "1 to 1048576"),
                (("upload", self.items_file(), "--kind", "nope", "--region", "SG"), "billing-items, payees, shop-rules, manual-settlement"),
                (("upload", self.items_file(), "--kind", "", "--region", "SG"), "--kind is empty"),
                (("status", "--as", ""), "--as is empty"), (("call", "idgen.next", "@/nowhere"), "unable to open /nowhere")):
            error = self.refused(*arguments, code=2)
            self.assertIn(word, error, arguments)
            self.assertNotIn(":-1", error)

    def test_rejects_that_cannot_be_written_are_told_before_the_upload(self):
        before = self.count("upload")
        error = self.refused("upload", self.items_file(item(order="W-1")), "--kind", "billing-items", "--region", "SG", "--rejects",
                             "/nowhere/rejects.csv")
        self.assertIn("nothing was uploaded", error)
        self.assertEqual(self.count("upload"), before)

    def test_a_person_sees_the_id_window_and_sums_without_json(self):
        code, output, _ = self.kontor.run("status")
        self.assertEqual(code, 0)
        self.assertRegex(output, r"(?m)^idgen\n( .*\n)* +window_left_ms +\d+$")
        self.assertIn("upload.billing-items, upload.shop-rules", output)
        code, output, _ = self.kontor.run("upload", self.items_file(item(order="Y-1"), item(order="Y-2", amount="3")), "--kind",
                                          "billing-items", "--region", "SG", "--follow")
        self.assertRegex(output, r"(?m)^  verdict +rows +amount\n  ok +2   SGD +13\.00\n  all rows +2$")

    def test_help_needs_no_unit(self):
        for arguments in (("--help",), ("help",), ("upload", "--help"), ("settlement", "close", "-h")):
            done = subprocess.run([KONTOR, *arguments], env={"KONTOR_ENDPOINT": "ipc:///nowhere"}, text=True,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=True)
            self.assertIn("upload" if "upload" in arguments else "settlement close", done.stdout)

    def test_nobody_there_is_3_within_2_seconds_and_says_what_to_do(self):
        error = promptly(2.5, lambda: self.refused("-e", "ipc:///tmp/kontor-nobody.sock", "status", code=3))
        self.assertIn("no kontord answers at ipc:///tmp/kontor-nobody.sock", error)
        self.assertIn("./dev up", error)

    def test_every_listed_method_can_be_called_by_its_table(self):
        methods = self.kontor.json("call", "kontor.methods")["rows"]
        self.assertGreater(len(methods), 20)
        self.assertEqual(self.kontor.json("call", "idgen.next", "namespace=file", "count=2")["count"], 2)
        arguments = self.file(json.dumps({"namespace": "file", "count": 3}), "arguments.json")
        self.assertEqual(self.kontor.json("call", "idgen.next", f"@{arguments}")["count"], 3)
        fraction = self.file('{"namespace": "file", "count": 1.5}', "fraction.json")
        self.assertIn("fraction", self.refused("call", "idgen.next", f"@{fraction}", code=2))

    def test_ids_are_strings_and_amounts_are_numbers(self):
        self.upload(self.items_file(item(order="J-1", shop=2 ** 62, id=str(2 ** 62 + 1), amount="12.34")), region="TW")
        found = self.kontor.json("settlement", "find", "--region", "TW", "--item", 2 ** 62 + 1)
        self.assertEqual((found["billing_item_id"], found["shop_user_id"]), (str(2 ** 62 + 1), str(2 ** 62)))
        self.assertEqual(found["amount_minor"], 1234)
        self.assertRegex(found["occurred_at"], r"^2026-11-03T10:00:00Z$")

    def test_strict_makes_a_rejected_row_a_failure(self):
        path = self.items_file(item(order="T-1"), item(order="T-2", amount="1e5"))
        code, output, error = self.kontor.run("upload", path, "--kind", "billing-items", "--region", "TH", "--strict", "--json")
        self.assertEqual(code, 1)
        self.assertEqual(json.loads(output)["verdicts"]["bad_row"]["rows"], 1)
        self.assertIn("1 rows were rejected", error)

    def test_packed_files_have_the_rows_of_the_plain_one(self):
        data = "\n".join([HEADER] + [item(order=f"P-{n}", note="x" * 50) for n in range(40_000)] + [item(order="P-7", note="x" * 50)]
                         ).encode() + b"\n"
        first = self.upload(self.file(data), region="MY")
        self.assertVerdicts(first, ok=40_000, duplicate_in_file=1)
        self.assertEqual(self.kontor.json("upload", "show", first["upload_id"])["packing"], "")
        for name, packed in (("gzip", gzip.compress(data[:1_000_000]) + gzip.compress(data[1_000_000:])),
                             ("zstd", zstd_frames(data))):
            path = self.file(packed)
            answer = self.upload(path, region="MY")
            self.assertVerdicts(answer, already_exists=40_000, duplicate_in_file=1)
            self.assertEqual(answer["sha256"], hashlib.sha256(packed).hexdigest())  # of the file as it is
            self.assertEqual(self.kontor.json("upload", "show", answer["upload_id"])["packing"], name)
            self.assertEqual(self.upload(path, region="MY")["upload_id"], answer["upload_id"])
            self.assertVerdicts(self.upload(path, "--dry-run", region="TW"), ok=40_000, duplicate_in_file=1)

    def test_stdin_may_be_a_file_or_a_packed_stream(self):
        data = "\n".join([HEADER] + [item(order=f"S-{n}") for n in range(3000)]).encode()
        path = self.file(data)
        arguments = [KONTOR, "upload", "-", "--kind", "billing-items", "--region", "SG", "--follow", "--json"]
        first = self.upload(path, region="SG")
        with open(path, "rb") as file:
            done = subprocess.run(arguments, env=self.kontor.environment, stdin=file, stdout=subprocess.PIPE, check=True)
        self.assertEqual((json.loads(done.stdout)["upload_id"], json.loads(done.stdout)["repeated"]), (first["upload_id"], True))
        for packed in (data, gzip.compress(data)):                # by a pipe: its hash is known at the end only
            done = subprocess.run(arguments, env=self.kontor.environment, input=packed, stdout=subprocess.PIPE, check=True)
            answer = json.loads(done.stdout)
            self.assertEqual(answer["sha256"], hashlib.sha256(packed).hexdigest())
            if packed == data:
                self.assertEqual((answer["upload_id"], answer["repeated"]), (first["upload_id"], True))
            else:
                self.assertVerdicts(answer, already_exists=3000)

    def test_a_broken_packed_file_is_refused(self):
        rows = "\n".join([HEADER] + [item(order=f"Q-{n}") for n in range(1000)]).encode()
        data = gzip.compress(rows)
        for broken, words in ((data[:-20], "cut off: it ends after byte"),
                              (data[:200] + b"\0" * 50 + data[250:], "is damaged near its byte"),
                              (data + b"end", "what follows the packed data"),
                              (zstd_frames(rows)[:-40], "zstd data is cut off")):
            path = self.file(broken)
            self.assertIn(words, self.refused("upload", path, "--kind", "billing-items", "--region", "TH", "--follow"))
            upload_id, state = self.kontor.sql(f"SELECT upload_id, state FROM upload WHERE name = '{path.name}'")[0]
            self.assertEqual(state, "refused")
            self.assertEqual(self.count("upload_plain", f"upload_id = {upload_id}"), 0)
        self.assertEqual(self.count("billing_item", "order_id LIKE 'Q-%'"), 0)

    def test_a_small_file_waits_in_the_lane_of_clicks_even_if_it_is_packed(self):
        rows = [item(order=f"T-{n}", shop=7, note="x" * 200) for n in range(10_000)]
        for name, data, lane in (("small", "\n".join([HEADER] + rows[:10]).encode(), "interactive"),
                                 ("big", "\n".join([HEADER] + rows).encode(), "upload"),
                                 ("small, packed", gzip.compress("\n".join([HEADER] + rows[10:20]).encode()), "interactive"),
                                 ("big, packed small", gzip.compress("\n".join([HEADER] + rows).encode()), "upload")):
            answer = self.upload(self.file(data), "--dry-run", region="TH")
            self.assertEqual(self.kontor.json("jobs", "show", answer["job_id"])["lane"], lane, name)
            self.assertVerdicts(answer, ok=data.count(b"T-") or (10 if "packed" == name[-6:] else 10_000))

    def test_a_stream_that_was_broken_off_goes_on(self):
        data = "\n".join([HEADER] + [item(order=f"R-{n}", shop=3, note="z" * 90) for n in range(40_000)]).encode()
        arguments = [KONTOR, "upload", "-", "--kind", "billing-items", "--region", "TW", "--json"]
        first = subprocess.Popen(arguments, env=self.kontor.environment, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        first.stdin.write(data[:4_000_000])
        first.stdin.flush()
        deadline = time.monotonic() + 60
        while not self.kontor.sql("SELECT 1 FROM upload WHERE region = 'TW' AND state = 'receiving' AND received_bytes >= 3145728"):
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.02)
        first.kill()
        first.communicate()
        upload_id = self.kontor.sql("SELECT upload_id FROM upload WHERE region = 'TW' AND state = 'receiving'")[0][0]

        def resume(stream):
            return subprocess.run(arguments + ["--resume", upload_id, "--follow"], env=self.kontor.environment, input=stream,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
        self.assertIn(b"it is another one", resume(data[:1_000_000]).stderr)
        done = resume(data)
        self.assertEqual(done.returncode, 0, done.stderr)
        answer = json.loads(done.stdout)
        self.assertEqual((answer["upload_id"], answer["sha256"]), (upload_id, hashlib.sha256(data).hexdigest()))
        self.assertVerdicts(answer, ok=40_000)
        self.assertEqual(self.kontor.sql(f"SELECT pieces FROM upload WHERE upload_id = {upload_id}")[0][0],
                         str(-(-len(data) // 2 ** 20)))            # no piece came twice
        again = resume(data)                                        # it is through: what became of it is told, nothing is sent
        self.assertEqual(again.returncode, 0, again.stderr)
        told = json.loads(again.stdout)
        self.assertEqual((told["upload_id"], told["state"], told["repeated"]), (upload_id, "accepted", True))

    def test_a_killed_upload_goes_on_where_it_was(self):
        data = HEADER.encode() + b"\n" + b"".join(
            item(order=f"K-{n}", shop=1 + n % 500, note="y" * 200).encode() + b"\n" for n in range(150_000))
        path = self.file(data)
        arguments = [KONTOR, "upload", path, "--kind", "billing-items", "--region", "BR", "--dry-run", "--follow", "--json"]
        first = subprocess.Popen(arguments, env=self.kontor.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while not self.kontor.sql("SELECT 1 FROM upload WHERE region = 'BR' AND received_bytes > 3000000"):
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.005)
        first.send_signal(signal.SIGKILL)
        first.wait()
        before, = self.kontor.sql("SELECT upload_id, received_bytes, state FROM upload WHERE region = 'BR'")
        self.assertEqual(before[2], "receiving", "the upload was through before it could be killed")
        pieces = int(self.kontor.sql(f"SELECT pieces FROM upload WHERE upload_id = {before[0]}")[0][0])
        again = self.upload(path, "--dry-run", region="BR")
        self.assertEqual(again["upload_id"], before[0])
        self.assertVerdicts(again, ok=150_000)
        after = int(self.kontor.sql(f"SELECT pieces FROM upload WHERE upload_id = {before[0]}")[0][0])
        self.assertGreaterEqual(after, pieces)
        self.assertLessEqual(after, 1 + len(data) // 2 ** 20 + 1)      # no piece was sent twice

    def test_lists_turn_all_pages(self):
        rows = [item(order=f"L-{n}", shop=77) for n in range(2500)]
        self.upload(self.items_file(*rows, *rows), region="SG")
        found = self.kontor.lines("settlement", "find", "--region", "SG", "--shop", 77)
        self.assertEqual(len({row["billing_item_id"] for row in found}), 2500)
        upload = self.kontor.lines("upload", "list", "--region", "SG")[0]
        rejects = self.kontor.lines("upload", "rejects", upload["upload_id"])
        self.assertEqual([int(row["line"]) for row in rejects], list(range(2502, 5002)))
        code, output, _ = self.kontor.run("upload", "rejects", upload["upload_id"])
        self.assertEqual((code, output.count("\n")), (0, 2501))

    def test_a_job_that_does_not_exist_is_refused(self):
        for command in ("show", "follow", "cancel", "retry"):
            self.assertIn("77", self.refused("jobs", command, 77))

    def test_progress_is_not_in_the_answer(self):
        code, output, error = self.kontor.run("upload", self.items_file(item(order="O-1")), "--kind", "billing-items", "--region",
                                              "SG", "--follow", "--json")
        self.assertEqual((code, error), (0, ""))
        self.assertEqual(len(output.splitlines()), 1)
        self.assertTrue(re.fullmatch(r"\d+", json.loads(output)["job_id"]))

    def test_an_endpoint_may_stand_anywhere(self):
        environment = {name: value for name, value in os.environ.items() if name != "KONTOR_ENDPOINT"}
        for arguments in (("-e", self.kontor.endpoint, "id", "next", "default"),
                          ("id", "next", "-e", self.kontor.endpoint, "default"),
                          ("--json", "id", "next", "default", f"--endpoint={self.kontor.endpoint}")):
            subprocess.run([KONTOR, *arguments], env=environment, stdout=subprocess.DEVNULL, check=True)


class DatabaseAway(Scenario):
    def test_a_command_says_so_within_seconds_and_ends_with_3(self):
        self.kontor.control("db-kill")
        for arguments in (("upload", "list"), ("settlement", "close", "--region", "SG"), ("jobs", "follow", "7")):
            error = promptly(10, lambda words=arguments: self.refused(*words, code=3))
            self.assertIn("is the server running?", error)


if __name__ == "__main__":
    unittest.main(verbosity=2)
