# SPDX-License-Identifier: Apache-2.0
"""idgen as operators and services see it: layouts, namespaces, slots, eviction, fencing, the journal, a database that is away."""
import os
import pathlib
import signal
import subprocess
import time
import unittest

from scenario import Failure, Scenario, Service

DATACENTER = 1


def wait_for(what, seconds=60):
    end = time.monotonic() + seconds
    while not (found := what()):
        if time.monotonic() > end:
            raise AssertionError("waited in vain")
        time.sleep(0.05)
    return found


class Ids(Scenario):
    def create(self, name, layout, **options):
        return self.kontor.json("call", "idgen.namespace_create", f"namespace={name}", f"layout={layout}",
                                *(f"{key}={value}" for key, value in options.items()))

    def next(self, name, count=1):
        with Service(self.kontor.endpoint) as service:
            def ask():
                try:
                    return service.call("idgen.next", namespace=name, count=count)
                except Failure as failure:
                    if failure.name not in ("UNAVAILABLE", "BUSY", "NOT_FOUND"):
                        raise
            return wait_for(ask)

    def slot(self):
        return next(a for a in self.kontor.json("call", "idgen.stats")["allocators"] if a["layout"] == "std63")["slot"]

    def test_js53_ids_are_exact_in_a_double(self):
        self.create("web", "js53")
        grant = self.next("web", 1000)
        last = grant["base"] + 999 * grant["stride"]
        self.assertLess(last, 2**53)
        self.assertEqual(int(float(last)), last)
        parts = self.kontor.json("call", "idgen.decode", f"id={last}", "namespace=web")
        self.assertEqual((parts["layout"], parts["datacenter"]), ("js53", DATACENTER))
        self.assertLess(abs(parts["time_ms"] / 1000 - time.time()), 30)
        with Service(self.kontor.endpoint) as service, self.assertRaises(Failure) as refused:
            service.call("idgen.next", namespace="web", count=65537)
        self.assertEqual(refused.exception.name, "BAD_REQUEST")
        self.assertIn("at most 65536", refused.exception.message)

    def test_numbers_are_dense_from_a_start(self):
        self.create("ticket", "segment", start=5000)
        numbers = []
        for count in (1, 7, 100, 1, 5000):
            grant = self.next("ticket", count)
            self.assertEqual(grant["stride"], 16)
            numbers += [(grant["base"] >> 4) + i for i in range(count)]
            self.assertEqual(grant["base"] & 15, DATACENTER)
        self.assertEqual(numbers[0], 5000)
        self.assertEqual(sorted(set(numbers)), numbers)
        parts = self.kontor.json("call", "idgen.decode", f"id={grant['base']}", "namespace=ticket")
        self.assertEqual(parts["number"], numbers[-5000])

    def test_a_layout_never_changes(self):
        first = self.create("order", "js53")
        self.assertFalse(first["repeated"])
        self.assertTrue(self.create("order", "js53")["repeated"])
        self.assertIn("layout never changes", self.refused("call", "idgen.namespace_create", "namespace=order", "layout=std63"))
        for arguments, word in ((("namespace=x", "layout=uuid"), "there are std63, js53, segment"),
                                (("namespace=x", "layout=std63", "start=5"), "only layout segment"),
                                (("namespace=X", "layout=std63"), "namespace"), (("namespace=x",), "layout")):
            self.assertIn(word, self.refused("call", "idgen.namespace_create", *arguments, code=2))
        rows = {row["namespace"]: row for row in self.kontor.json("call", "idgen.namespaces")["rows"]}
        self.assertEqual(rows["order"]["layout"], "js53")
        self.assertEqual(rows["billing-item"]["layout"], "std63")

    def test_check_tells_what_can_have_been_issued(self):
        grant = self.next("payout", 10)
        far = grant["base"] + (1 << 40)
        elsewhere = grant["base"] ^ (DATACENTER << 6) | 9 << 6
        with Service(self.kontor.endpoint) as service:
            rows = service.call("idgen.check", ids=[grant["base"], far, elsewhere, 5])["rows"]
        self.assertEqual([row["verdict"] for row in rows], ["reserved", "never_reserved", "other_datacenter", "malformed"])

    def test_eviction_and_fencing_move_the_unit_to_another_slot(self):
        slot = self.slot()
        self.assertTrue(self.kontor.json("call", "idgen.evict", f"slot={slot}")["evicted"])
        second = wait_for(lambda: self.slot() not in (0, slot) and self.slot())
        self.assertTrue(self.kontor.json("call", "idgen.fence")["fenced"])
        third = wait_for(lambda: self.slot() not in (0, slot, second) and self.slot())
        rows = {row["slot"]: row for row in self.kontor.json("call", "idgen.slots")["rows"] if row["layout"] == "std63"}
        self.assertTrue(rows[third]["leased"])
        self.assertFalse(rows[slot]["leased"])
        self.assertIn("never used", self.refused("call", "idgen.evict", "slot=60"))
        self.assertIn("slots 1 to 14", self.refused("call", "idgen.evict", "slot=15", "layout=js53", code=2))

    def test_a_frozen_database_is_not_felt(self):
        pid = int((self.kontor.folder / "mariadbd.pid").read_text())
        os.kill(pid, signal.SIGSTOP)
        try:
            with Service(self.kontor.endpoint) as service:
                end = time.monotonic() + 5
                seen = set()
                while time.monotonic() < end:
                    seen.add(service.call("idgen.next", namespace="default")["base"])
            self.assertGreater(len(seen), 100)
        finally:
            os.kill(pid, signal.SIGCONT)

    def test_who_has_to_wait_for_the_database_is_told_so(self):
        self.create("later", "segment")
        wait_for(lambda: "later" in [row["namespace"] for row in self.kontor.json("call", "idgen.namespaces")["rows"]])
        time.sleep(2.5)                                             # all units know it by now; no number is reserved yet
        pid = int((self.kontor.folder / "mariadbd.pid").read_text())
        os.kill(pid, signal.SIGSTOP)
        try:
            def answer():
                with Service(self.kontor.endpoint) as service, self.assertRaises(Failure) as refused:
                    service.call("idgen.next", namespace="later")
                self.assertEqual(refused.exception.name, "UNAVAILABLE")
                return "the database has not answered for" in refused.exception.message
            wait_for(answer, 20)
        finally:
            os.kill(pid, signal.SIGCONT)
        self.assertEqual(self.next("later")["base"] >> 4, 1)

    def test_a_second_unit_with_the_same_journal_is_refused(self):
        journal = self.kontor.folder / "state" / "all.idgen.journal"
        self.assertTrue(journal.exists())
        self.assertEqual(journal.stat().st_mode & 0o777, 0o600)

    def test_stats_show_windows_and_clocks(self):
        stats = self.kontor.json("call", "idgen.stats")
        std63 = next(a for a in stats["allocators"] if a["layout"] == "std63")
        self.assertGreater(std63["window_left_ms"], 20000)
        self.assertGreater(std63["days_left"], 60 * 365)
        self.assertLess(abs(stats["clock_ahead_ms"]), 5000)
        self.assertEqual(stats["quarantine_left_ms"], 0)


class Journal(Scenario):
    """At a start: it remembers which database it belongs to, and makes itself whole."""

    def test_a_replaced_database_is_refused_at_the_start(self):
        self.kontor.json("id", "next", "default")
        self.kontor.control("host-down")
        self.kontor.sql("UPDATE id_cluster SET cluster_uuid = REVERSE(cluster_uuid)")
        done = subprocess.run([pathlib.Path(__file__).parents[1] / "lib/instance", self.kontor.folder, "host-up"], text=True,
                              env=self.kontor.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("idgen.journal", done.stdout)
        self.kontor.sql("UPDATE id_cluster SET cluster_uuid = REVERSE(cluster_uuid)")
        self.kontor.control("host-up")
        self.kontor.json("id", "next", "default")

    def test_a_torn_copy_is_repaired_and_said(self):
        self.kontor.json("id", "next", "default")
        self.kontor.control("host-down")
        journal, = self.kontor.folder.glob("state/*.idgen.journal")
        with open(journal, "r+b") as file:
            file.write(b"torn")  # the first copy of the record that names the cluster
        self.kontor.control("host-up")
        self.kontor.json("id", "next", "default")
        log = (self.kontor.folder / "log/kontord.log").read_text()
        self.assertIn("the id journal was repaired from its second copies", log)
        self.assertIn("copies=1 unreadable=0", log)


if __name__ == "__main__":
    unittest.main()
