# SPDX-License-Identifier: Apache-2.0
"""The SDK's client of ids and `kontor id` against two real units with idgen and their database: hosts and the database are
killed and stopped, a client forks. What one process took (its children too) is compared in ids_consumer.c."""
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import time
import unittest

from scenario import BUILD                                          # noqa: F401  sets the path of what follows
from idgen_site import Database, Host

PATIENCE_S = 60


class PlainHost(Host):
    """With the machine's own clock."""

    def environment(self):
        return dict(os.environ)


class Consumer:
    def __init__(self, endpoints, namespace="payout", threads=4, grant=0, max_age_ms=5000):
        self.process = subprocess.Popen([BUILD / "tests/ids_consumer", namespace, str(threads), str(grant), str(max_age_ms), *endpoints],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def say(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def await_ids(self, count):
        """Until it has taken so many more."""
        end, began = time.monotonic() + PATIENCE_S, self.say("state")["ids"]
        while self.say("state")["ids"] < began + count:
            if time.monotonic() > end:
                raise AssertionError(f"not {count} ids in {PATIENCE_S} s: {self.say('state')}")
            time.sleep(0.01)

    def end(self):
        output, _ = self.process.communicate(timeout=PATIENCE_S)
        return json.loads(output)


class Ids(unittest.TestCase):
    maxDiff = 4000

    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="kontor-ids-"))
        cls.hosts = []
        cls.database = Database(cls.folder / "d")
        try:
            cls.database.up()
            for name in ("a", "b"):
                cls.hosts.append(PlainHost(cls.folder / name, cls.database, 3))
            cls.hosts[0].migrate()
            for host in cls.hosts:
                host.start()
            for host in cls.hosts:
                host.await_ids(PATIENCE_S)
        except BaseException:
            cls.tearDownClass()
            raise

    @classmethod
    def tearDownClass(cls):
        for host in cls.hosts:
            host.stop()
        cls.database.remove()
        shutil.rmtree(cls.folder, ignore_errors=True)

    def consumer(self, *hosts, **options):
        consumer = Consumer([host.endpoint for host in hosts], **options)
        self.addCleanup(consumer.process.kill)
        return consumer

    def kontor(self, *arguments, code=0):
        """Exit code as expected; stdout, or stderr after a failure."""
        done = subprocess.run([BUILD / "bin/kontor", "id", *map(str, arguments), "-e", self.hosts[0].endpoint],
                              text=True, capture_output=True, stdin=subprocess.DEVNULL, timeout=PATIENCE_S)
        self.assertEqual(done.returncode, code, done.stderr + done.stdout)
        return done.stderr if code else done.stdout

    def kontor_rows(self, *arguments):
        return [json.loads(line) for line in self.kontor(*arguments, "--json").splitlines()]

    # ---- the client

    def test_a_killed_host_is_not_felt_when_there_is_another(self):
        first, second = self.hosts
        consumer = self.consumer(first, second, grant=1024)
        consumer.await_ids(500)
        first.kill()
        self.addCleanup(lambda: first.start().await_ids(PATIENCE_S))
        consumer.await_ids(10000)                                   # more than two grants, which is all there is in stock
        result = consumer.end()
        self.assertEqual((result["twice"], result["refused"], result["first_refusal"]), (0, 0, ""))
        self.assertEqual(result["slots"], 2)
        self.assertGreaterEqual(result["failovers"], 1)

    def test_a_host_that_stops_for_a_while_is_not_felt_at_all(self):
        host = self.hosts[0]
        consumer = self.consumer(host, threads=1, grant=20000, max_age_ms=600000)
        consumer.await_ids(10)
        waits = consumer.say("state")["waits"]
        host.pause()
        try:
            consumer.await_ids(1000)
            self.assertEqual(consumer.say("state")["waits"], waits)
        finally:
            host.resume()
        result = consumer.end()
        self.assertEqual((result["twice"], result["refused"], result["decreased"]), (0, 0, 0))

    def test_a_frozen_database_is_not_felt_at_all(self):
        consumer = self.consumer(self.hosts[0])
        consumer.await_ids(100)
        self.database.freeze()
        try:
            consumer.await_ids(10000)
        finally:
            self.database.thaw()
        result = consumer.end()
        self.assertEqual((result["twice"], result["refused"], result["first_refusal"]), (0, 0, ""))

    def test_children_take_ids_of_their_own(self):
        consumer = self.consumer(*self.hosts)
        for _ in range(5):
            consumer.await_ids(50)
            self.assertTrue(consumer.say("fork")["forked"])
        result = consumer.end()
        self.assertEqual((result["twice"], result["refused"], result["first_refusal"]), (0, 0, ""))
        self.assertGreater(result["ids"], 5 * 2 * 2000)

    def test_every_layout_serves_the_client(self):
        for layout in ("js53", "segment"):
            self.kontor("create", f"consumed-{layout}", "--layout", layout)
            self.hosts[0].await_ids(PATIENCE_S, f"consumed-{layout}")
            self.hosts[1].await_ids(PATIENCE_S, f"consumed-{layout}")
            consumer = self.consumer(*self.hosts, namespace=f"consumed-{layout}")
            consumer.await_ids(5000)
            result = consumer.end()
            self.assertEqual((result["twice"], result["refused"], result["first_refusal"]), (0, 0, ""), layout)

    def test_an_unknown_namespace_is_told_at_once(self):
        consumer = self.consumer(*self.hosts, namespace="nobody")
        time.sleep(1)                                               # its timeout is 30 s
        result = consumer.end()
        self.assertGreater(result["refused"], 0)
        self.assertIn("ids of nobody", result["first_refusal"])

    # ---- kontor id

    def test_ids_are_printed_and_read_in_both_formats(self):
        decimal = self.kontor("next", "payout", 3).split()
        self.assertEqual(len(set(decimal)), 3)
        text = self.kontor("next", "payout", "--format", "base32").strip()
        self.assertRegex(text, r"^[0-7][0-9A-HJKMNP-TV-Z]{12}[0-9A-HJKMNP-Z*~$=]$")
        for form in (text, text.lower(), f"{text[:5]}-{text[5:]}", decimal[0]):
            parts = self.kontor_rows("decode", form)[0]
            self.assertEqual(parts["datacenter"], 3)
        wrong = text[:-1] + ("0" if text[-1] != "0" else "1")
        self.assertIn("check symbol", self.kontor("decode", wrong, code=2))
        self.assertIn("1 or more", self.kontor("next", "payout", 0, code=2))
        self.assertIn("decimal or base32", self.kontor("next", "payout", "--format", "hex", code=2))
        self.kontor("next", "payout", "--format", "base32", "--range", code=2)

    def test_check_tells_what_can_have_been_issued(self):
        number = int(self.kontor("next", "payout"))
        text = self.kontor("next", "payout", "--format", "base32").strip()
        never = number + (1 << 22) * 1000 * 3600 * 24 * 365         # next year
        elsewhere = number ^ (3 << 6) | (5 << 6)
        rows = self.kontor_rows("check", number, text, never, elsewhere, number & ~0x3f)
        self.assertEqual([row["verdict"] for row in rows],
                         ["reserved", "reserved", "never_reserved", "other_datacenter", "malformed"])
        self.assertEqual(rows[0]["id"], str(number))
        self.assertIn("check symbol", self.kontor("check", number, "12x", code=2))

    def test_a_namespace_is_created_once_and_keeps_its_layout(self):
        first = self.kontor_rows("create", "invoices", "--layout", "segment", "--start", 1000)[0]
        self.assertEqual((first["namespace"], first["layout"]), ("invoices", "segment"))
        self.kontor("create", "invoices", "--layout", "segment", "--start", 1000)
        self.assertIn("segment", self.kontor("create", "invoices", "--layout", "js53", code=1))
        rows = {row["namespace"]: row["layout"] for row in self.kontor_rows("namespaces")}
        self.assertEqual((rows["payout"], rows["invoices"]), ("std63", "segment"))
        self.hosts[0].await_ids(PATIENCE_S, "invoices")
        number = self.kontor("next", "invoices").strip()
        parts = self.kontor_rows("decode", number, "--namespace", "invoices")[0]
        self.assertGreaterEqual(parts["number"], 1000)
        self.assertEqual(parts["datacenter"], 3)

    def test_slots_are_listed_evicted_and_fenced(self):
        def slot_now():
            return int(self.kontor("next", "payout")) & 0x3f

        def await_another(slot):
            end = time.monotonic() + PATIENCE_S
            while slot_now() == slot:
                self.assertLess(time.monotonic(), end, f"slot {slot} is still used")
                time.sleep(0.05)

        slot = slot_now()
        held = [row for row in self.kontor_rows("slots") if row["slot"] == slot and row["layout"] == "std63"]
        self.assertEqual((len(held), held[0]["leased"]), (1, True))
        self.assertIn("reserved_until", self.kontor("slots"))
        self.kontor("fence")
        await_another(slot)
        slot = slot_now()
        self.kontor("evict", slot)
        evicted = [row for row in self.kontor_rows("slots") if row["slot"] == slot and row["layout"] == "std63"]
        self.assertFalse(evicted[0]["leased"])
        self.assertIn("never used", self.kontor("evict", 61, code=1))


if __name__ == "__main__":
    unittest.main(verbosity=2)
