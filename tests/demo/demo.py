#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""./dev demo: from two CSV files to a signed payment file, through the real host, database and command line; then checks the
result with code of its own."""
import argparse
import json
import os
import pathlib
import shlex
import shutil
import subprocess
import sys
import time

sys.path[:0] = [str(pathlib.Path(__file__).parent), str(pathlib.Path(__file__).parents[1] / "lib")]
import check                                                        # noqa: E402
import make_input                                                   # noqa: E402
from kontor_instance import BUILD, Instance                         # noqa: E402

BOLD, RED, GREEN, PLAIN = ("\033[1m", "\033[31m", "\033[32m", "\033[0m") if sys.stdout.isatty() else ("",) * 4


class Demo:
    def __init__(self, options):
        self.options = options
        self.folder = pathlib.Path(options.folder)
        self.kontor = Instance(self.folder / "instance", pool=None)
        self.seconds = {}

    def step(self, title, *arguments):
        """One command of the command line, as a person would type it; returns its JSON objects."""
        print(f"{BOLD}» {title}{PLAIN}\n  kontor {' '.join(map(str, arguments))}", flush=True)
        started = time.monotonic()
        done = subprocess.run([BUILD / "bin/kontor", *map(str, arguments), "--json"], env=self.kontor.environment,
                              text=True, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
        self.seconds[title] = time.monotonic() - started
        if done.returncode != 0:
            sys.exit(f"{RED}«kontor {arguments[0]}» ended with {done.returncode}{PLAIN}; kontord's log: "
                     f"{self.kontor.folder}/log/kontord.log")
        return [json.loads(line) for line in done.stdout.splitlines()]

    def run(self):
        kontor, region, window = self.kontor, make_input.REGION, make_input.WINDOW
        print(f"{BOLD}» input{PLAIN}: {self.options.orders:,} orders of {self.options.shops:,} shops in {window} of {region}",
              flush=True)
        expected, made = make_input.cached(self.folder / "input", self.options.orders, self.options.shops)
        print(f"  {self.folder / 'input'} ({'written now' if made else 'there already'})", flush=True)
        kontor.control("remove", check=False)
        shutil.rmtree(kontor.folder, ignore_errors=True)
        started = time.monotonic()
        kontor.up()
        self.seconds["start database and host"] = time.monotonic() - started

        rejects = self.folder / "rejects.csv"
        payees, = self.step("payees", "upload", self.folder / "input/payees.csv", "--kind", "payees",
                            "--region", region, "--follow")
        upload, = self.step("billing items", "upload", self.folder / "input/billing-items.csv", "--kind", "billing-items",
                            "--region", region, "--rejects", rejects, "--follow")
        self.step("close the window", "settlement", "close", "--region", region, "--window", window, "--follow")
        run, = self.step("payout run", "payout", "run", "--region", region, "--window", window, "--follow")
        control = self.step("control totals", "payout", "control", "--region", region, "--window", window)
        safefile, = self.step("payment file", "safefile", "create", "--region", region, "--window", window,
                              "--profile", "pain001", "--follow")
        for user in ("alice", "bob"):
            self.step(f"approval by {user}", "safefile", "approve", safefile["safefile_id"], "--as", user)
        published, = self.step("publish", "safefile", "publish", safefile["safefile_id"], "--follow")
        key = kontor.folder / "keys/safefile.pub"
        self.step("verify offline", "safefile", "verify", published["path"], "--public-key", key)

        print(f"{BOLD}» checking with code apart from Kontor's{PLAIN}", flush=True)
        started = time.monotonic()
        payouts = kontor.lines("payout", "list", "--region", region, "--window", window)
        checks = {
            "every row of the file has its verdict": [] if upload["rows"] == expected["rows"] and {
                name: total["rows"] for name, total in upload["verdicts"].items() if total["rows"]} == expected["verdicts"]
            else [f"verdicts {upload['verdicts']}, expected {expected['verdicts']}"],
            "every rejected line is back with its reason": check.check_rejects(expected, rejects),
            "items in the database, by SQL": check.check_items(expected, kontor),
            "every payout, recomputed in Python": check.check_payouts(expected, payouts),
            "the control equation per currency": check.check_control(expected, control),
            "debit = credit in the ledger, by SQL": check.check_ledger(kontor),
            "payment file: schema, counts, sums, ids, names": check.check_safefile(
                expected, payouts, published["path"], os.environ.get("KONTOR_XSD")),
            "shops without a payee are named": [] if len(published["unpayable"]) == len(
                self.unpaid(expected)) else [f"{len(published['unpayable'])} named, {len(self.unpaid(expected))} expected"],
        }
        self.seconds["independent checks"] = time.monotonic() - started
        self.report(expected, payees, upload, run, control, published, rejects, checks)
        if self.options.down:
            kontor.control("down")
        wrong = [name for name, findings in checks.items() if findings]
        print(f"\n{RED}NOT BALANCED: {', '.join(wrong)}{PLAIN}" if wrong else
              f"\n{GREEN}Balanced: {len(checks)} of {len(checks)} checks are right.{PLAIN}")
        return 1 if wrong else 0

    @staticmethod
    def unpaid(expected):
        payouts = check.expected_payouts(expected)
        return [pair for pair in expected["no_payee"] if payouts[tuple(pair)][3] == "ready" and payouts[tuple(pair)][1]]

    def report(self, expected, payees, upload, run, control, published, rejects, checks):
        def line(name, value):
            print(f"  {name:<46} {value}")
        print(f"\n{BOLD}Result{PLAIN}")
        line("rows uploaded", f"{upload['rows']:,}")
        for verdict, total in sorted(upload["verdicts"].items()):
            if total["rows"]:
                line(f"  {verdict}", f"{total['rows']:,}")
        line("payees", f"{payees['rows']:,}")
        line("payouts", f"{run['payouts']:,}")
        line("payments in the file", f"{published['payments']:,}")
        line("ready but without a payee (named)", f"{len(published['unpayable']):,}")
        print(f"\n{BOLD}Control equation, minor units: items + carry-in = payouts + held + carried + fees + reserve{PLAIN}")
        for row in control:
            out = (f"{row['payouts_minor']:>15,} + {row['held_minor']} + {row['carried_minor']:>12,} + "
                   f"{row['fees_minor']} + {row['reserve_minor']}")
            line(row["currency"], f"{row['items_minor']:>15,} + {row['carry_in_minor']} = {out}   "
                 f"{'balanced' if row['balanced'] else 'NOT BALANCED'}")
        print(f"\n{BOLD}Checks{PLAIN}")
        for name, wrong in checks.items():
            line(name, f"{RED}{len(wrong)} wrong, e.g. {wrong[0]}{PLAIN}" if wrong else f"{GREEN}right{PLAIN}")
        if not os.environ.get("KONTOR_XSD"):
            print("  (the official schema was not to be had: xmllint did not run)")
        print(f"\n{BOLD}Seconds{PLAIN}")
        for name, seconds in self.seconds.items():
            line(name, f"{seconds:8.2f}")
        print(f"\n{BOLD}Where things lie{PLAIN}")
        line("input", self.folder / "input")
        line("rejected rows", rejects)
        line("payment file", published["path"])
        line("kontord's log", self.kontor.folder / "log/kontord.log")
        if self.options.down:
            return
        print(f"\n{BOLD}To look around{PLAIN} (the instance still runs; ./dev demo begins anew)")
        program = shlex.quote(f"{BUILD}/bin/kontor")
        control = shlex.join([str(pathlib.Path(__file__).parents[1] / "lib/instance"), str(self.kontor.folder)])
        print(f"  export KONTOR_ENDPOINT={self.kontor.endpoint}")
        for command in ("status", "jobs list", f"upload rejects {upload['upload_id']}",
                        f"settlement windows --region {expected['region']}", f"safefile show {published['safefile_id']}"):
            print(f"  {program} {command}")
        print(f"  {control} down     # stops it")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", required=True)
    parser.add_argument("--orders", type=int, default=1_000_000)
    parser.add_argument("--shops", type=int, default=20_000)
    parser.add_argument("--down", action="store_true", help="stop the instance at the end")
    try:
        return Demo(parser.parse_args()).run()
    except RuntimeError as failure:     # the instance says what is wrong
        sys.exit(f"{RED}the demo stopped{PLAIN}: {failure}")
    except KeyboardInterrupt:
        sys.exit("\nstopped; ./dev demo begins anew")


if __name__ == "__main__":
    sys.exit(main())
