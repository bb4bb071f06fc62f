# SPDX-License-Identifier: Apache-2.0
"""The five-line clients of the README: they get ids, and a clear error for a wrong method."""
import re
import shutil
import subprocess
import unittest

import zmq

from scenario import TOP, Failure, Scenario, Service

CLIENTS = TOP / "sdk/example/clients"


class FiveLineClients(Scenario):
    def client(self, *command):
        return subprocess.run([*command], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60,
                              cwd=CLIENTS).stdout

    def test_python_with_req_gets_ids_and_a_clear_error(self):
        self.assertRegex(self.client("/usr/bin/python3", "ids.py", self.kontor.endpoint), r"'base': \d{10,}")
        answer = self.client("/usr/bin/python3", "ids.py", self.kontor.endpoint, "idgen.nxt")
        self.assertRegex(answer, r"error -2 NO_METHOD: .*idgen\.next")

    @unittest.skipUnless(shutil.which("node") and (CLIENTS / "node_modules").exists(), "needs npm ci in sdk/example/clients")
    def test_node_with_dealer_gets_ids_and_a_clear_error(self):
        self.assertRegex(self.client("node", "ids.mjs", self.kontor.endpoint), r"base: \d{10,}n")
        answer = self.client("node", "ids.mjs", self.kontor.endpoint, "idgen.nxt")
        self.assertRegex(answer, r"error -2n? NO_METHOD: .*idgen\.next")

    def test_req_and_dealer_get_the_same_kind_of_answer(self):
        for kind in (zmq.REQ, zmq.DEALER):
            service = Service(self.kontor.endpoint, kind)
            grant = service.call("idgen.next", namespace="payout", count=1000)
            self.assertEqual((grant["count"], grant["stride"]), (1000, 1024))
            for method, arguments, code, word in (
                    ("idgen.next", {"namespace": "nobody"}, (-1, -6), "nobody"),
                    ("idgen.next", {"namespace": "payout", "count": 0}, (-1,), "count"),
                    ("idgen.next", {"namespace": "payout", "cuont": 1}, (-1,), "count"),
                    ("idgen.next", {}, (-1,), "namespace"),
                    ("payuot.list", {}, (-2,), "payout"),
                    ("settlement.settle_begin", {"region": "SG", "window": "2026-W45", "run_id": 1}, (-3,), "")):
                with self.assertRaises(Failure) as failure:
                    service.call(method, key="k", **arguments)
                self.assertIn(failure.exception.code, code, failure.exception)
                self.assertIn(word, failure.exception.message)
            service.close()

    def test_ids_are_never_the_same(self):
        service = Service(self.kontor.endpoint)
        self.addCleanup(service.close)
        seen = set()
        for count in (1, 7, 1000, 50000, 1):
            grant = service.call("idgen.next", namespace="default", count=count)
            ids = range(grant["base"], grant["base"] + count * grant["stride"], grant["stride"])
            self.assertTrue(seen.isdisjoint(ids))
            seen.update(ids)
        for line in self.kontor.lines("id", "next", "default", 3):
            number = int(line["id"]) if isinstance(line, dict) else int(line)
            self.assertNotIn(number, seen)
            self.assertLess(number, 2 ** 63)

    def test_an_id_tells_where_it_comes_from(self):
        code, output, _ = self.kontor.run("id", "next", "billing-item")
        self.assertEqual(code, 0)
        parts = self.kontor.json("id", "decode", output.strip())
        self.assertEqual(parts["datacenter"], 1)
        self.assertTrue(re.match(r"20\d\d-\d\d-\d\dT", parts["time"]))


if __name__ == "__main__":
    unittest.main(verbosity=2)
