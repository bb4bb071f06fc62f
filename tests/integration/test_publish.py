# SPDX-License-Identifier: Apache-2.0
"""The chain of a profile: one safefile after the other, and never on top of a state that is older than what was published."""
import json
import pathlib
import unittest

from scenario import REGION, WINDOW, Scenario, item
from threads import at_once

REGIONS = ("SG", "MY", "TH", "TW")
NEXT_WINDOW = "2026-W46"
SHOP = 880000000001
PAYEE = f"shop_user_id,name,country,currency,iban,account,bank_code,bic,town\n{SHOP},Shop,SG,SGD,,000000000001,7171,DBSSSGSGXXX,Singapore\n"


class Publish(Scenario):
    """unittest runs the tests in the order of their names."""

    def approved(self, region, window=WINDOW, at="2026-11-03T10:00:00Z"):
        """A safefile of one payment with both approvals."""
        self.upload(self.items_file(item(shop=SHOP, order=f"{region}-{window}", amount="1000.00", at=at)), region=region)
        self.pay(region, window)
        safefile = self.kontor.json("safefile", "create", "--region", region, "--window", window, "--profile", "pain001",
                                    "--follow")["safefile_id"]
        for user in ("alice", "bob"):
            self.kontor.json("safefile", "approve", safefile, "--as", user)
        return safefile

    def publish(self, safefile):
        return self.kontor.json("safefile", "publish", safefile, "--follow")

    def test_1_publishing_at_once_makes_one_chain(self):
        for region in REGIONS:
            self.upload(self.file(PAYEE), kind="payees", region=region)
        safefiles = [self.approved(region) for region in REGIONS]
        published = sorted(at_once(self.publish, safefiles), key=lambda one: one["sequence"])
        self.assertEqual([one["sequence"] for one in published], [1, 2, 3, 4])
        previous = None
        for one in published:
            manifest = json.loads(pathlib.Path(one["path"], "manifest.json").read_text())
            self.assertEqual(manifest["previous_manifest_sha256"], previous)
            previous = self.kontor.sql("SELECT LOWER(HEX(manifest_sha256)) FROM safefile WHERE safefile_id = "
                                       f"{one['safefile_id']}")[0][0]
        self.assertEqual(self.chain(), ["4", previous])

    def chain(self):
        return self.kontor.sql("SELECT sequence, LOWER(HEX(manifest_sha256)) FROM profile_chain")[0]

    def test_2_a_database_older_than_what_was_published_publishes_nothing(self):
        safefile = self.approved(REGION, NEXT_WINDOW, "2026-11-10T10:00:00Z")
        newest = self.chain()
        self.kontor.sql("UPDATE profile_chain SET sequence = 3, manifest_sha256 = (SELECT manifest_sha256 FROM safefile "
                        "WHERE sequence = 3)")
        error = self.refused("safefile", "publish", safefile, "--follow")
        self.assertIn("older than what was published", error)
        shown = self.kontor.json("safefile", "show", safefile)
        self.assertEqual(shown["state"], "approved")
        self.assertFalse(pathlib.Path(shown["path"], "manifest.json").exists())
        self.kontor.sql(f"UPDATE profile_chain SET sequence = {newest[0]}, manifest_sha256 = UNHEX('{newest[1]}')")
        self.assertEqual(self.publish(safefile)["sequence"], 5)

    def test_3_who_approves_what_was_cancelled_is_told(self):
        self.upload(self.items_file(item(shop=SHOP, order="MY-late", amount="1000.00", at="2026-11-10T10:00:00Z")), region="MY")
        self.pay("MY", NEXT_WINDOW)
        safefile = self.kontor.json("safefile", "create", "--region", "MY", "--window", NEXT_WINDOW, "--profile", "pain001",
                                    "--follow")["safefile_id"]
        approval = self.kontor.sql(f"SELECT approval_id FROM approval WHERE subject_id = {safefile}")[0][0]
        self.kontor.json("safefile", "cancel", safefile)
        self.refused("safefile", "approve", safefile, "--as", "alice")
        self.assertIn("taken back", self.refused("approval", "give", approval, "--as", "alice"))
        self.assertEqual(self.count("approval", "state = 'pending'"), 0)


if __name__ == "__main__":
    unittest.main(verbosity=2, failfast=True)
