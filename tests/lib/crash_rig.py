# SPDX-License-Identifier: Apache-2.0
"""Runs the demo's steps while kontord or mariadbd is killed at random moments, each command again until it is through, and
checks that the end is that of an undisturbed run: nothing lost, nothing twice."""
import json
import pathlib
import random
import subprocess
import sys
import threading
import time

sys.path[:0] = [str(pathlib.Path(__file__).parent), str(pathlib.Path(__file__).parents[1] / "demo")]
import check                                                        # noqa: E402
import make_input                                                   # noqa: E402
from kontor_instance import BUILD, Instance                         # noqa: E402


class Killer(threading.Thread):
    """Kills one of the two processes after each of `pauses` seconds and starts it again."""

    def __init__(self, kontor, rng, kills, longest, report):
        super().__init__(daemon=True)
        self.kontor, self.report = kontor, report
        self.plan = [(rng.choice(("host", "db")), rng.uniform(0.05, longest)) for _ in range(kills)]
        self.done = 0
        self.stopping = False
        self.failure = None

    def run(self):
        try:
            for target, pause in self.plan:
                time.sleep(pause)
                if self.stopping:
                    return
                self.kontor.control(f"{target}-kill")
                self.done += 1
                self.report(f"    killed {'kontord' if target == 'host' else 'mariadbd'} ({self.done})")
                self.kontor.control("up")
        except Exception as failure:  # pylint: disable=broad-except
            self.failure = failure


class CrashRig:
    def __init__(self, orders, shops, kills, seed, longest_pause, report=lambda text: None):
        self.orders, self.shops, self.kills, self.seed = orders, shops, kills, seed
        self.longest_pause, self.report = longest_pause, report
        self.repeated = 0

    def again_until_done(self, kontor, *arguments):
        """The same command until it is through, as a person would; a definite refusal is a failure of the rig."""
        deadline = time.monotonic() + 300
        while True:
            done = subprocess.run([BUILD / "bin/kontor", *map(str, arguments), "--json"], env=kontor.environment, text=True,
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            if done.returncode == 0:
                return [json.loads(line) for line in done.stdout.splitlines()]
            if done.returncode not in (3, 4) or time.monotonic() > deadline:
                raise AssertionError(f"kontor {' '.join(map(str, arguments))}: exit {done.returncode}\n{done.stderr}")
            self.repeated += 1
            time.sleep(0.2)

    def run(self, folder):
        """Returns a list of what is wrong."""
        folder = pathlib.Path(folder)
        expected = make_input.make(folder / "input", self.orders, self.shops)
        region, window = make_input.REGION, make_input.WINDOW
        steps = (
            ("payees", "upload", folder / "input/payees.csv", "--kind", "payees", "--region", region, "--follow"),
            ("items", "upload", folder / "input/billing-items.csv", "--kind", "billing-items", "--region", region,
             "--rejects", folder / "rejects.csv", "--follow"),
            ("close", "settlement", "close", "--region", region, "--window", window, "--follow"),
            ("run", "payout", "run", "--region", region, "--window", window, "--follow"),
            ("create", "safefile", "create", "--region", region, "--window", window, "--profile", "pain001", "--follow"),
        )
        with Instance(folder / "instance") as kontor:
            killer = Killer(kontor, random.Random(self.seed), self.kills, self.longest_pause, self.report)
            killer.start()
            answers = {}
            for name, *arguments in steps:
                self.report(f"  {name}")
                answers[name] = self.again_until_done(kontor, *arguments)[-1]
            safefile = answers["create"]["safefile_id"]
            hashes = dict(answers["create"]["sha256"])
            for user in ("alice", "bob"):
                self.approve(kontor, safefile, user)
            self.report("  publish")
            published = self.again_until_done(kontor, "safefile", "publish", safefile, "--follow")[-1]
            killer.stopping = True
            killer.join()
            if killer.failure:
                raise killer.failure
            kontor.control("up")
            wrong = self.check(kontor, folder, expected, published)
            for name, sha256 in hashes.items():
                if published["sha256"].get(name) != sha256:
                    wrong.append(f"{name}: SHA-256 {published['sha256'].get(name)}, was {sha256} when it was approved")
            wrong += self.rewritten(kontor, published)
            self.report(f"  {killer.done} kills, {self.repeated} commands typed again")
            self.killed = killer.done
        kontor.control("remove")    # its folder of sockets too
        return wrong

    def approve(self, kontor, safefile, user):
        """A vote whose answer was lost is there: the second attempt then says so."""
        while True:
            done = subprocess.run([BUILD / "bin/kontor", "safefile", "approve", safefile, "--as", user, "--json"],
                                  env=kontor.environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            if done.returncode == 0 or (done.returncode == 1 and "already" in done.stderr):
                return
            if done.returncode not in (3, 4):
                raise AssertionError(done.stderr)
            time.sleep(0.2)

    @staticmethod
    def check(kontor, folder, expected, published):
        region, window = make_input.REGION, make_input.WINDOW
        payouts = kontor.lines("payout", "list", "--region", region, "--window", window)
        control = kontor.lines("payout", "control", "--region", region, "--window", window)
        return (check.check_rejects(expected, folder / "rejects.csv") + check.check_items(expected, kontor) +
                check.check_payouts(expected, payouts) + check.check_control(expected, control) +
                check.check_ledger(kontor) + check.check_safefile(expected, payouts, published["path"]))

    @staticmethod
    def rewritten(kontor, published):
        """The bytes are a function of the rows: the stored hashes are those of the files on disk."""
        stored = dict(kontor.sql("SELECT file_name, LOWER(HEX(sha256)) FROM safefile_part WHERE safefile_id = "
                                 f"{published['safefile_id']}"))
        return [f"{name}: {sha256} in the database, {published['sha256'].get(name)} published"
                for name, sha256 in stored.items() if published["sha256"].get(name) != sha256]
