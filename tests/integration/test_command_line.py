# SPDX-License-Identifier: Apache-2.0
"""The kontor command: exit codes, help, packed files and stdin, an upload that goes on where it was, answers for programs."""
import ctypes
import gzip
import json
import os
import re
import signal
import subprocess
import time
import unittest

from scenario import BUILD, HEADER, Scenario, item

KONTOR = BUILD / "bin/kontor"


def zstd_frames(data):
    """Two frames, by the library itself: Python 3.11 has no module for zstd."""
    zstd, packed = ctypes.CDLL("libzstd.so.1"), b""
    zstd.ZSTD_compress.restype = ctypes.c_size_t
    for part in (data[:700_000], data[700_000:]):
        out = ctypes.create_string_buffer(len(part) + 1000)
        size = zstd.ZSTD_compress(out, ctypes.c_size_t(len(out)), part, ctypes.c_size_t(len(part)), 1)
        packed += out.raw[:size]
    return packed


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
                (("upload", self.items_file(), "--kind", "nope", "--region", "SG"), "billing-items, payees, shop-rules"),
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
        self.assertRegex(output, r"(?m)^verdicts\n +amount_minor +rows\n +ok +SGD 1300 +2$")

    def test_help_needs_no_unit(self):
        for arguments in (("--help",), ("help",), ("upload", "--help"), ("settlement", "close", "-h")):
            done = subprocess.run([KONTOR, *arguments], env={"KONTOR_ENDPOINT": "ipc:///nowhere"}, text=True,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=True)
            self.assertIn("upload" if "upload" in arguments else "settlement close", done.stdout)

    def test_nobody_there_is_3_within_2_seconds_and_says_what_to_do(self):
        started = time.monotonic()
        error = self.refused("-e", "ipc:///tmp/kontor-nobody.sock", "status", code=3)
        self.assertLess(time.monotonic() - started, 2.5)
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

    def test_packed_files_and_stdin_are_the_same_upload(self):
        data = "\n".join([HEADER] + [item(order=f"P-{n}", note="x" * 50) for n in range(40_000)]).encode() + b"\n"
        plain = self.file(data)
        packed = self.file(gzip.compress(data[:1_000_000]) + gzip.compress(data[1_000_000:]))
        first = self.upload(plain, region="MY")
        self.assertVerdicts(first, ok=40_000)
        repeats = [self.upload(path, region="MY") for path in (packed, self.file(zstd_frames(data)))]
        with open(plain, "rb") as file:
            done = subprocess.run([KONTOR, "upload", "-", "--kind", "billing-items", "--region", "MY", "--follow", "--json"],
                                  env=self.kontor.environment, stdin=file, stdout=subprocess.PIPE, check=True)
        repeats.append(json.loads(done.stdout))
        for repeat in repeats:
            self.assertEqual((repeat["upload_id"], repeat["repeated"]), (first["upload_id"], True))
            self.assertEqual(repeat["sha256"], first["sha256"])

    def test_a_broken_packed_file_is_refused_before_its_job(self):
        data = gzip.compress(("\n".join([HEADER] + [item(order=f"Q-{n}") for n in range(1000)])).encode())
        self.assertIn("damaged or cut off", self.refused("upload", self.file(data[:-20]), "--kind", "billing-items",
                                                         "--region", "BR"))
        self.assertIn("damaged or cut off", self.refused("upload", self.file(data[:200] + b"\0" * 50 + data[250:]), "--kind",
                                                         "billing-items", "--region", "BR"))

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
            started = time.monotonic()
            error = self.refused(*arguments, code=3)
            self.assertLess(time.monotonic() - started, 10, arguments)
            self.assertIn("is the server running?", error)


if __name__ == "__main__":
    unittest.main(verbosity=2)
