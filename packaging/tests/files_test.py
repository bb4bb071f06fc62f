#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What packages are made of, without making them: the spec, the systemd unit with its drop-ins, account, folders.
`./dev rpm` makes and tries the packages. Argument: the unit file as the build configured it."""
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

TOP = pathlib.Path(__file__).resolve().parents[2]
PACKAGING = TOP / "packaging"
SPEC = (PACKAGING / "rpm/kontor.spec").read_text()
UNIT_FILE = pathlib.Path(sys.argv.pop(1))
PLUGINS = sorted(folder.name for folder in (TOP / "plugins").iterdir() if (folder / "CMakeLists.txt").exists())


def one(pattern, text):
    found = re.findall(pattern, text, re.MULTILINE)
    assert len(found) == 1, f"{pattern}: {found}"
    return found[0]


def run(*command, **options):
    return subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60, **options)


def needs(program):
    return unittest.skipUnless(shutil.which(program), f"{program} is not installed")


class Spec(unittest.TestCase):
    def test_it_has_the_versions_of_the_sources(self):
        cmake, header = (TOP / "CMakeLists.txt").read_text(), (TOP / "sdk/include/kontor/plugin.h").read_text()
        self.assertEqual(one(r"^Version: +(\S+)", SPEC), one(r"project\(kontor VERSION ([0-9.]+)", cmake))
        abi = [one(rf"^#define KONTOR_ABI_{part} (\d+)", header) for part in ("MAJOR", "MINOR")]
        self.assertEqual(one(r"^%global plugin_abi (\S+)", SPEC), ".".join(abi))

    def test_every_plugin_is_a_package_of_its_own_and_part_of_all(self):
        self.assertEqual(sorted(one(r"^%global plugins (.+)", SPEC).split()), PLUGINS)
        self.assertEqual(sorted(re.findall(r"^%plugin_package (\S+)$", SPEC, re.MULTILINE)), PLUGINS)
        self.assertEqual(sorted(re.findall(r"^Requires: +kontor-plugin-([a-z]+)", SPEC, re.MULTILINE)), PLUGINS)

    @needs("rpmspec")
    def test_rpm_understands_it(self):
        done = run("rpmspec", "--query", "--queryformat", "%{name} %{summary}\n", PACKAGING / "rpm/kontor.spec")
        self.assertEqual(done.returncode, 0, done.stdout)
        names = {"kontor", "kontor-all", "kontor-devel", "libkontor", *(f"kontor-plugin-{name}" for name in PLUGINS)}
        self.assertEqual({line.split()[0] for line in done.stdout.splitlines() if "-debug" not in line}, names, done.stdout)
        self.assertNotIn("%", done.stdout)


class Requirements(unittest.TestCase):
    GENERATOR = PACKAGING / "rpm/kontor.req"

    def required(self, files, major, minor):
        with tempfile.NamedTemporaryFile("w") as header:
            header.write(f"#define KONTOR_ABI_MAJOR {major}\n#define KONTOR_ABI_MINOR {minor}\n")
            header.flush()
            done = run(self.GENERATOR, header.name, input=files)
            self.assertEqual(done.returncode, 0, done.stdout)
            return done.stdout.splitlines()

    def test_a_plugin_requires_its_minor_or_a_later_one_of_its_major(self):
        self.assertEqual(self.required("/b/usr/lib64/kontor/plugins/x.so\n", 1, 3), ["kontor(abi) >= 1.3", "kontor(abi) < 2"])

    def test_what_is_no_plugin_requires_nothing(self):
        self.assertEqual(self.required("/b/usr/lib64/libkontor.so.1\n/b/usr/sbin/kontord\n", 1, 0), [])

    def test_a_header_without_an_abi_stops_the_build(self):
        self.assertNotEqual(run(self.GENERATOR, "/dev/null", input="/usr/lib64/kontor/plugins/x.so\n").returncode, 0)


class Systemd(unittest.TestCase):
    def test_every_unit_that_is_shipped_has_limits(self):
        for file in (TOP / "conf/units").glob("*.conf"):
            drop_ins = list((PACKAGING / f"systemd/kontord@{file.stem}.service.d").glob("*.conf"))
            self.assertIn("MemoryMax=", "".join(drop_in.read_text() for drop_in in drop_ins), file.name)

    def test_callers_keep_their_uids_and_libzmq_gets_the_system_calls_without_which_it_aborts(self):
        settings = UNIT_FILE.read_text()
        self.assertNotRegex(settings, r"(?m)^PrivateUsers=(yes|true|1)")
        self.assertIn("AF_NETLINK", one(r"^RestrictAddressFamilies=(.+)", settings).split())
        self.assertNotIn("@resources", " ".join(re.findall(r"^SystemCallFilter=(~.+)", settings, re.MULTILINE)))
        self.assertEqual(one(r"^RuntimeDirectoryPreserve=(.+)", settings), "yes")

    def test_a_stop_is_given_longer_than_the_shipped_drain(self):
        drain = int(one(r"^drain_timeout = (\d+)s", (TOP / "conf/kontord.conf").read_text()))
        self.assertGreater(int(one(r"^TimeoutStopSec=(\d+)$", UNIT_FILE.read_text())), drain + 10)

    @needs("systemd-analyze")
    def test_systemd_understands_the_unit_and_its_drop_ins(self):
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            # the programs are not installed yet: only their place is taken
            text = re.sub(r"=(/\S+)/sbin/kontord ", "=/bin/true ", UNIT_FILE.read_text())
            (folder / "kontord@.service").write_text(text)
            for drop_in in (PACKAGING / "systemd").glob("*.service.d"):
                shutil.copytree(drop_in, folder / drop_in.name)
            for unit in ("all", *PLUGINS):
                done = run("systemd-analyze", "verify", "--recursive-errors=no", "--man=no", folder / f"kontord@{unit}.service",
                           env={"PATH": "/usr/bin:/bin", "SYSTEMD_UNIT_PATH": f"{folder}:"})
                said = [line for line in done.stdout.splitlines() if "kontord@" in line]
                self.assertEqual((done.returncode, said), (0, []), done.stdout)

    @needs("systemd-sysusers")
    def test_account_and_folders_can_be_made(self):
        with tempfile.TemporaryDirectory() as root:
            pathlib.Path(root, "etc").mkdir()
            done = run("systemd-sysusers", f"--root={root}", PACKAGING / "sysusers.d/kontor.conf")
            self.assertEqual(done.returncode, 0, done.stdout)
            account = one(r"^kontor:.*$", pathlib.Path(root, "etc/passwd").read_text())
            self.assertEqual(account.split(":")[5:], ["/var/lib/kontor", "/usr/sbin/nologin"])


if __name__ == "__main__":
    unittest.main()
