#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Tries the packages that `./dev rpm` made: what they require and provide, installed together into an empty root, and that
the tree there starts and answers.   try_packages.py FOLDER, with a MariaDB server's socket in KONTOR_TEST_SOCKET"""
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

TOP = pathlib.Path(__file__).resolve().parents[2]
# rpm changes its root, which takes root's rights; those of a user namespace serve as well
AS_ROOT = [] if os.geteuid() == 0 else ["unshare", "--map-root-user"]
START_SECONDS = 120


def run(*command, code=0, **options):
    done = subprocess.run([str(word) for word in command], text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=300, **options)
    if code is not None and done.returncode != code:
        sys.exit(f"{' '.join(map(str, command))}: exit {done.returncode} instead of {code}\n{done.stdout}")
    return done.stdout


def say(text):
    print(f"  {text}", flush=True)


def must(true, text, details=""):
    if not true:
        sys.exit(f"not so: {text}\n{details}")
    say(text)


def check_requirements(packages):
    """Each plugin asks for a host of its ABI and for the library's version of the symbols that it uses."""
    abi = re.findall(r"^kontor\(abi\) = (\d+)\.(\d+)$", run("rpm", "-qp", "--provides", packages["kontor"]), re.MULTILINE)
    must(len(abi) == 1, f"kontor provides kontor(abi) = {'.'.join(abi[0])}")
    major, minor = abi[0]
    provided = run("rpm", "-qp", "--provides", packages["libkontor"]).splitlines()
    for name in sorted(name for name in packages if name.startswith("kontor-plugin-")):
        required = run("rpm", "-qp", "--requires", packages[name]).splitlines()
        symbols = [line for line in required if re.match(r"libkontor\.so\.1\(KONTOR_1\.\d+\)", line)]
        wanted = {f"kontor(abi) >= {major}.{minor}", f"kontor(abi) < {int(major) + 1}"}
        must(wanted <= set(required) and symbols and set(symbols) <= set(provided),
             f"{name} requires {', '.join(sorted(wanted))}, {', '.join(symbols)}", "\n".join(required))


class Root:
    """An empty root with its own package database."""

    def __init__(self, folder):
        self.folder = folder

    def rpm(self, *arguments, **options):
        return run(*AS_ROOT, "rpm", "--root", self.folder, "--nosignature", *arguments, **options)

    def path(self, name):
        return self.folder / name.lstrip("/")


def check_installation(root, packages):
    files = [str(package) for name, package in sorted(packages.items()) if "-debug" not in name]
    alone = root.rpm("-i", "--test", packages["kontor-plugin-idgen"], code=None)
    must("kontor(abi) >= " in alone and "libkontor.so.1(KONTOR_1.0)" in alone,
         "a plugin alone is refused: host ABI and library are missing", alone)
    root.rpm("-i", "--nodeps", "--noscripts", *files)
    installed = root.rpm("-qa", "--queryformat", "%{name} ").split()
    must(len(installed) == len(files), f"{len(files)} packages are installed together into an empty root")
    for package, what in (("kontor", "kontor(abi)"), ("libkontor", "libkontor.so.1(KONTOR_1.0)")):
        said = root.rpm("-e", "--test", package, code=None)
        must(re.search(rf"{re.escape(what)}.* is needed by \(installed\) kontor-plugin-payout", said),
             f"{package} cannot be removed while a plugin needs its {what}", said)
    check_configuration_survives(root, packages)


def check_configuration_survives(root, packages):
    unit, users = root.path("/etc/kontor/units/payout.conf"), root.path("/etc/kontor/users.conf")
    before = {file: file.read_text() for file in (unit, users)}
    for file, text in before.items():
        file.write_text(text + "# the site's own\n")
    root.rpm("-U", "--force", "--nodeps", "--noscripts", packages["kontor"], packages["kontor-plugin-payout"])
    must(all(file.read_text().endswith("# the site's own\n") for file in before), "an update keeps changed configuration")
    for file, text in before.items():
        file.write_text(text)


def check_systemd(root):
    if not shutil.which("systemd-analyze"):
        say("systemd is not here: account, folders and sandbox are not tried")
        return
    run(*AS_ROOT, "systemd-sysusers", f"--root={root.folder}")
    run(*AS_ROOT, "systemd-tmpfiles", f"--root={root.folder}", "--create", "--prefix=/run/kontor", "--prefix=/var/lib/kontor")
    account = re.search(r"^kontor:.*$", root.path("/etc/passwd").read_text(), re.MULTILINE)
    folders = [root.path(name) for name in ("/run/kontor", "/var/lib/kontor")]
    must(account and all(folder.stat().st_mode & 0o777 == 0o750 for folder in folders), f"account and folders: {account[0]}")
    for unit in ("idgen", "payout"):
        said = run("systemd-analyze", "security", "--offline=true", f"--root={root.folder}", f"kontord@{unit}.service",
                   code=None)
        level = re.search(r"Overall exposure level for .*: (\d+\.\d+)", said)
        must(level and float(level[1]) < 2.5, f"systemd's exposure level of kontord@{unit}: {level and level[1]}", said)


class Tree:
    """The programs, plugins and configuration of a root, run in place."""

    def __init__(self, root, scratch, socket):
        self.root, self.scratch, self.running = root, scratch, []
        library = next(root.folder.glob("usr/lib*/libkontor.so.1")).parent
        self.environment = dict(os.environ, LD_LIBRARY_PATH=str(library))
        self.options = ["--conf", root.path("/etc/kontor"), "--plugins", library / "kontor/plugins",
                        "--runtime", scratch / "run", "--state", scratch / "state"]
        root.path("/etc/kontor/conf.d/90-try.conf").write_text(
            f'datacenter = "dev"\ndatabase "main" {{ socket = "{socket}" user = "root" name = "kontor_rpm" }}\n'
            f'plugin "idgen" {{ claim = "auto" }}\nuser "try" {{ uid = {os.getuid()} roles = {{"admin"}} }}\n')

    def kontord(self, unit, *arguments):
        return [str(word) for word in (self.root.path("/usr/sbin/kontord"), "--unit", unit, *self.options, *arguments)]

    def kontor(self, unit, *arguments, code=0):
        return run(self.root.path("/usr/bin/kontor"), "-e", f"ipc://{self.scratch}/run/{unit}.sock", *arguments, code=code,
                   env=self.environment)

    def start(self, unit):
        log = self.scratch / f"{unit}.log"
        with log.open("w") as out:
            process = subprocess.Popen(self.kontord(unit), stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                       env=self.environment)
        self.running.append(process)
        end = time.monotonic() + START_SECONDS
        while '"unit is ready"' not in log.read_text():
            if process.poll() is not None or time.monotonic() > end:
                sys.exit(f"unit {unit} does not start:\n{log.read_text()}")
            time.sleep(0.05)
        resident = re.search(r"VmRSS:\s+(\d+) kB", pathlib.Path(f"/proc/{process.pid}/status").read_text())
        say(f"unit {unit} is ready, {int(resident[1]) / 1024:.1f} MB resident")

    def stop(self):
        for process in self.running:
            process.send_signal(signal.SIGTERM)
        codes = [process.wait(timeout=60) for process in self.running]
        self.running = []
        return codes


def check_tree(tree):
    units = run(tree.root.path("/usr/sbin/kontord"), "--list-units", *tree.options, env=tree.environment).split()
    for unit in units:
        run(*tree.kontord(unit, "--check"), env=tree.environment)
    must(units, f"kontord --check: the configuration of {', '.join(units)} is fine")
    run(*tree.kontord("all", "--migrate"), env=tree.environment)
    for unit in ("idgen", "all"):
        tree.start(unit)
    status = json.loads(tree.kontor("all", "status", "--json"))
    must(status, f"kontor status answers: {json.dumps(status)[:100]}…")
    ids = [int(word) for unit in ("idgen", "all") for word in
           re.findall(r"\b\d{10,19}\b", tree.kontor(unit, "id", "next", "billing-item", "3"))]
    must(len(set(ids)) == 6, f"ids of two units, all different: {ids}")
    codes = tree.stop()
    must(codes == [0, 0], "both units stop when they are told to, with exit code 0")


def main():
    packages = {}
    for package in pathlib.Path(sys.argv[1]).rglob("*.rpm"):
        packages[run("rpm", "-qp", "--nosignature", "--queryformat", "%{name}", package)] = package
    must("kontor" in packages and "libkontor" in packages, f"{len(packages)} packages: {', '.join(sorted(packages))}")
    scratch = pathlib.Path(tempfile.mkdtemp(prefix="kontor-rpm-"))
    tree = None
    try:
        root = Root(scratch / "root")
        (root.folder / "etc").mkdir(parents=True)
        check_requirements(packages)
        root.rpm("--initdb")
        check_installation(root, packages)
        check_systemd(root)
        tree = Tree(root, scratch, os.environ["KONTOR_TEST_SOCKET"])
        check_tree(tree)
    finally:
        if tree:
            tree.stop()
        shutil.rmtree(scratch, ignore_errors=True)


if __name__ == "__main__":
    main()
