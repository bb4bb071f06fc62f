#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# proof: fuzz-host [COUNT [SEED]]   1,000,000 messages that are nearly requests, to a unit under ASan and UBSan; about 5 min
"""Half of them by an operator, half by a unit, who may call internal methods. A unit with all plugins answers a ping after every
200 of them, ends with 0, and no sanitizer has a word to say, of leaks neither.
--quick: 20,000, to the build that the tests use."""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

TOP = pathlib.Path(__file__).resolve().parents[2]


def sanitized_build():
    """Builds it, and says so to those who read the environment."""
    subprocess.run([TOP / "dev", "build", "asan"], check=True)
    os.environ["KONTOR_BUILD"] = str(TOP / "build/asan")


def send(kontor, build, who, count, seed):
    """What is wrong, of messages by a user of that kind."""
    start = time.monotonic()
    done = subprocess.run([build / "proof/fuzz_client", kontor.endpoint, str(seed), str(count)], stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        return [f"{who}: fuzz_client ended with {done.returncode}"]
    sums = json.loads(done.stdout)
    print(f"{who}: {sums['sent']:,} messages for {sums['methods']} methods and {sums['raw_connections']:,} broken connections in "
          f"{time.monotonic() - start:.0f} s: {sums['replies']:,} results, {sums['errors']:,} errors, "
          f"{sums['pings']:,} pings answered; seed {seed}", flush=True)
    if not sums["replies"] or sums["replies"] + sums["errors"] < count // 2:
        return [f"{who}: too few messages were answered: they do not reach what they are for"]
    return []


def become_unit(kontor):
    """Whoever runs this is a unit as well: internal methods are open to him, and whom he names as caller is believed."""
    users = kontor.folder / "conf/users.conf"
    text = users.read_text()
    users.write_text(text.replace('roles = {"operator", "approver", "admin"}', 'roles = {"operator", "approver", "admin", "unit"}', 1))
    until = time.monotonic() + 60
    while True:                                                     # what was sent last may still wait
        code, output, error = kontor.run("reload")
        if code == 0 or time.monotonic() > until:
            break
        time.sleep(0.2)
    return [] if code == 0 and users.read_text() != text else [f"the user did not become a unit: {output}{error}"]


def fuzz(reports, count, seed):
    sys.path.insert(0, str(TOP / "tests/lib"))
    from kontor_instance import BUILD, Instance                     # pylint: disable=import-outside-toplevel
    with Instance() as kontor:
        wrong = send(kontor, BUILD, "an operator", count // 2, seed) + become_unit(kontor)
        wrong += send(kontor, BUILD, "a unit", count - count // 2, seed + 1)
        try:
            print("counters:", {name: value for name, value in kontor.json("status")["counters"].items() if value})
            kontor.control("host-down")
        except Exception as failure:                                # pylint: disable=broad-except
            wrong.append(f"the unit does not answer or end: {failure}")
        log = (kontor.folder / "log/kontord.log").read_text()
        if "crashed" in log or "unit has stopped" not in log:
            wrong.append("the unit crashed or did not end in order; its log ends:\n" + "\n".join(log.splitlines()[-5:]))
    for report in sorted(reports.iterdir()):
        wrong.append(f"{report.name}:\n" + "\n".join(report.read_text().splitlines()[:40]))
    return wrong


def main():
    arguments = [argument for argument in sys.argv[1:] if argument != "--quick"]
    quick = "--quick" in sys.argv
    count = int(arguments[0]) if arguments else 20000 if quick else 1000000
    seed = int(arguments[1]) if len(arguments) > 1 else 1
    reports = pathlib.Path(tempfile.mkdtemp(prefix="kontor-fuzz-"))
    if not quick:
        sanitized_build()
        options = f"log_path={reports}/report:log_exe_name=1:allocator_may_return_null=1"
        os.environ["ASAN_OPTIONS"] = options + ":detect_leaks=1"
        os.environ["UBSAN_OPTIONS"] = options + ":print_stacktrace=1:halt_on_error=1"
    try:
        wrong = fuzz(reports, count, seed)
    finally:
        shutil.rmtree(reports, ignore_errors=True)
    for line in wrong:
        print("WRONG:", line)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
