# SPDX-License-Identifier: Apache-2.0
"""From two files to a signed payment file, recomputed apart from Kontor's code; approvals and what `verify` finds."""
import json
import os
import pathlib
import shutil
import unittest

from scenario import Scenario, check, item, make_input

XSD = os.environ.get("KONTOR_XSD") or None


class PaymentFile(Scenario):
    """One small demo, step by step; unittest runs the tests in the order of their names."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.expected = make_input.make(cls.scratch / "input", orders=30_000, shops=600)

    def key(self):
        return self.kontor.folder / "keys/safefile.pub"

    def test_1_uploads_have_a_verdict_for_every_row(self):
        payees = self.upload(self.scratch / "input/payees.csv", kind="payees")
        self.assertVerdicts(payees, ok=len(self.expected["payees"]))
        rejects = self.scratch / "rejects.csv"
        answer = self.upload(self.scratch / "input/billing-items.csv", "--rejects", rejects)
        self.assertEqual(answer["rows"], self.expected["rows"])
        self.assertVerdicts(answer, **self.expected["verdicts"])
        self.assertEqual(check.check_rejects(self.expected, rejects), [])
        self.assertEqual(check.check_items(self.expected, self.kontor), [])

    def test_2_a_run_needs_a_closed_window(self):
        error = self.refused("payout", "run", "--region", "SG", "--window", "2026-W45", "--follow")
        self.assertIn("close", error)
        error = self.refused("settlement", "close", "--region", "SG", "--window", "2027-W45", "--follow")
        self.assertIn("--early", error)

    def test_3_payouts_are_what_python_computes(self):
        run = self.pay("SG")
        self.assertTrue(run["balanced"])
        self.assertEqual(run["state"], "balanced")
        payouts = self.kontor.lines("payout", "list", "--region", "SG", "--window", "2026-W45")
        self.assertEqual(check.check_payouts(self.expected, payouts), [])
        control = self.kontor.lines("payout", "control", "--region", "SG", "--window", "2026-W45")
        self.assertEqual(check.check_control(self.expected, control), [])
        self.assertEqual(check.check_ledger(self.kontor), [])
        again = self.kontor.json("payout", "run", "--region", "SG", "--window", "2026-W45", "--follow")
        self.assertEqual(again["run_id"], run["run_id"])
        one = self.kontor.json("payout", "show", payouts[0]["payout_id"])
        self.assertEqual(one["net_minor"], payouts[0]["net_minor"])

    def test_4_two_different_people_approve_what_they_were_shown(self):
        created = self.kontor.json("safefile", "create", "--region", "SG", "--window", "2026-W45", "--profile", "pain001",
                                   "--follow", "--as", "alice")
        self.assertEqual(created["state"], "verified")
        type(self).safefile = created["safefile_id"]
        again = self.kontor.json("safefile", "create", "--region", "SG", "--window", "2026-W45", "--profile", "pain001",
                                 "--follow")
        self.assertEqual(again["safefile_id"], self.safefile)
        self.assertIn("2", self.refused("safefile", "publish", self.safefile, "--follow"))
        self.assertIn("alice", self.refused("safefile", "approve", self.safefile, "--as", "alice"))    # its planner
        self.assertIn("approver", self.refused("safefile", "approve", self.safefile, "--as", "carol"))  # a viewer
        self.kontor.json("safefile", "approve", self.safefile, "--as", "bob")
        self.assertIn("bob", self.refused("safefile", "approve", self.safefile, "--as", "bob"))        # twice
        self.assertIn("1", self.refused("safefile", "publish", self.safefile, "--follow"))
        self.assertEqual(self.kontor.json("safefile", "show", self.safefile)["state"], "verified")

    def test_5_what_changed_after_the_approval_is_not_published(self):
        folder = pathlib.Path(self.kontor.json("safefile", "show", self.safefile)["path"])
        part = next(folder.glob("*.xml"))
        good = part.read_bytes()
        owner = self.kontor.json("safefile", "approve", self.safefile)          # the second one: the process's own user
        self.assertEqual(len(owner["approvals"] if "approvals" in owner else owner["votes"]), 2)
        self.kontor.sql(f"UPDATE safefile_payment SET amount_minor = amount_minor + 1 WHERE safefile_id = {self.safefile} "
                        "ORDER BY seq LIMIT 1")
        part.write_bytes(good.replace(b"<Nm>", b"<Nm>X", 1))
        error = self.refused("safefile", "publish", self.safefile, "--follow")
        self.assertIn(part.name, error)
        self.assertFalse((folder / "manifest.json").exists())
        self.kontor.sql(f"UPDATE safefile_payment SET amount_minor = amount_minor - 1 WHERE safefile_id = {self.safefile} "
                        "ORDER BY seq LIMIT 1")
        part.unlink()                                       # lost before it was published: written again from the rows
        published = self.kontor.json("safefile", "publish", self.safefile, "--follow")
        self.assertEqual(published["state"], "published")
        self.assertEqual(part.read_bytes(), good)
        again = self.kontor.json("safefile", "publish", self.safefile, "--follow")
        self.assertEqual((again["path"], again["job_id"]), (published["path"], published["job_id"]))
        self.assertEqual(self.kontor.json("jobs", "show", published["job_id"])["kind"], "safefile.publish")

    def test_6_the_file_pays_exactly_the_payouts(self):
        published = self.kontor.json("safefile", "show", self.safefile)
        payouts = self.kontor.lines("payout", "list", "--region", "SG", "--window", "2026-W45")
        self.assertEqual(check.check_safefile(self.expected, payouts, published["path"], XSD), [])
        payable = check.expected_payouts(self.expected)
        unpaid = {(shop, currency) for shop, currency in map(tuple, self.expected["no_payee"])
                  if payable[shop, currency][3] == "ready" and payable[shop, currency][1]}
        self.assertEqual(len(published["unpayable"]), len(unpaid))
        self.assertEqual(self.kontor.json("safefile", "verify", published["path"], "--public-key", self.key()).get("state"),
                         "valid")
        modes = {oct(path.stat().st_mode & 0o777) for path in pathlib.Path(published["path"]).iterdir()}
        self.assertEqual(modes, {"0o600"})
        self.assertEqual(oct(pathlib.Path(published["path"]).stat().st_mode & 0o777), "0o700")

    def test_7_a_flipped_byte_is_named(self):
        path = pathlib.Path(self.kontor.json("safefile", "show", self.safefile)["path"])
        manifest = json.loads((path / "manifest.json").read_text())
        for name in (manifest["files"][0]["name"], "manifest.json", "manifest.json.sig"):
            copy = self.scratch / f"copy-{name}"
            shutil.copytree(path, copy)
            data = bytearray((copy / name).read_bytes())
            data[len(data) // 2] ^= 1
            (copy / name).write_bytes(data)
            self.assertIn(name, self.refused("safefile", "verify", copy, "--public-key", self.key()), name)
            (copy / name).unlink()
            self.assertIn(name, self.refused("safefile", "verify", copy, "--public-key", self.key()), name)
        copy = self.scratch / "extra"
        shutil.copytree(path, copy)
        (copy / "more.xml").write_text("<x/>")
        self.assertIn("more.xml", self.refused("safefile", "verify", copy, "--public-key", self.key()))

    def test_8_what_was_carried_is_in_the_next_run(self):
        carried = {(int(p["shop_user_id"]), p["currency"]): p["carry_out_minor"]
                   for p in self.kontor.lines("payout", "list", "--region", "SG", "--window", "2026-W45") if p["carry_out_minor"]}
        self.assertGreater(len(carried), 0)
        self.upload(self.items_file(item(order="N-1", shop=make_input.shop_id(99), amount="100000.00", at="2026-11-10T00:00:00Z")))
        run = self.pay("SG", "2026-W46")
        self.assertTrue(run["balanced"])
        payouts = {(int(p["shop_user_id"]), p["currency"]): p
                   for p in self.kontor.lines("payout", "list", "--region", "SG", "--window", "2026-W46")}
        shop = make_input.shop_id(99), "SGD"
        self.assertEqual(set(payouts), set(carried) | {shop})
        for key, amount in carried.items():
            self.assertEqual(payouts[key]["carry_in_minor"], amount)
        self.assertEqual(payouts[shop]["net_minor"], 10_000_000 + carried.get(shop, 0))

    def test_9_a_cancelled_file_gives_its_payouts_back(self):
        created = self.kontor.json("safefile", "create", "--region", "SG", "--window", "2026-W46", "--profile", "pain001",
                                   "--follow")
        self.assertEqual(created["payments"], 1)
        self.kontor.json("safefile", "cancel", created["safefile_id"])
        queued = self.kontor.json("safefile", "create", "--region", "SG", "--window", "2026-W46", "--profile", "pain001")
        self.assertEqual(queued["state"], "queued")
        again = self.kontor.json("safefile", "create", "--region", "SG", "--window", "2026-W46", "--profile", "pain001",
                                 "--follow")
        self.assertEqual((again["job_id"], again["state"]), (queued["job_id"], "verified"))
        self.assertNotEqual(again["safefile_id"], created["safefile_id"])
        self.assertEqual(again["payments"], 1)
        self.assertEqual(self.kontor.sql("SELECT COUNT(*), COUNT(DISTINCT e2e_id) FROM payout_attempt WHERE safefile_id IN "
                                         f"({created['safefile_id']}, {again['safefile_id']})"), [["2", "2"]])
        self.assertIn("published", self.refused("safefile", "cancel", self.safefile))


if __name__ == "__main__":
    unittest.main(verbosity=2, failfast=True)
