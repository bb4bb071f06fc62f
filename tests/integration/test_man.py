# SPDX-License-Identifier: Apache-2.0
"""Manual pages: every option, method, kind and command stands in its page, every failure that a page explains is one that the code
can say, and every page can be formatted without a warning."""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "lib"))
from kontor_instance import BUILD, TOP    # noqa: E402

PLUGINS = sorted(folder.parent.name for folder in TOP.glob("plugins/*/CMakeLists.txt"))
BLOCKS = {"kontord.conf.5": ["", "database", "lane", "service", "plugin", "fault"], "kontor-datacenters.5": ["datacenter", "service"],
          "kontor-regions.5": ["region"], "kontor-currencies.5": ["currency"], "kontor-users.5": ["user"],
          "kontor-profiles.5": ["profile"], "kontor-units.5": []}
PAGES = {*BLOCKS, "kontord.8", "kontor.1", *(f"kontor-{name}.7" for name in PLUGINS)}


def output(*command):
    return subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, text=True, check=True).stdout


def page(name):
    return (BUILD / "man" / name).read_text().replace("\\-", "-").replace("\\(dq", '"').replace("\\e", "\\").replace('"', "")


def literals(folders):
    """All C string literals as one text, neighbours joined as the compiler does, conversions as blanks."""
    text = " ".join(file.read_text() for folder in folders for file in sorted((TOP / folder).glob("*.[ch]")))
    text = re.sub(r'"\s*\n\s*"', "", text)
    return re.sub(r"%[-+.0-9*a-z]*", " ", "\n".join(re.findall(r'"((?:[^"\\]|\\.)*)"', text)).replace('\\"', '"'))


class Manual(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        if re.search(r"^KONTOR_SANITIZE:STRING=.+", (BUILD / "CMakeCache.txt").read_text(), re.MULTILINE):
            raise unittest.SkipTest("a sanitized build makes no manual pages")

    def test_everything_has_a_page(self):
        self.assertEqual({file.name for file in (BUILD / "man").iterdir()}, PAGES)

    def test_what_a_plugin_offers_stands_in_its_page(self):
        for name in PLUGINS:
            text = page(f"kontor-{name}.7")
            for line in output(BUILD / "bin/kontord", "--dump-plugin", BUILD / f"plugins/{name}.so").splitlines():
                kind, _, rest = line.partition("=")[0].partition(".")
                if kind in ("conf", "method", "job", "upload"):
                    self.assertRegex(text, rf"(?m)^\.It Ic {re.escape(rest)}( |$)", f"{name}: {line}")

    def test_every_option_of_kontord_stands_in_its_page(self):
        text = page("kontord.8")
        options = re.findall(r"^  (--[a-z-]+)", output(BUILD / "bin/kontord", "--help"), re.MULTILINE)
        self.assertGreater(len(options), 10)
        for option in options:
            self.assertRegex(text, rf"(?m)^\.It Fl {option[1:]}( |$)")
        for method in ("kontor.status", "jobs.get", "approval.give"):
            self.assertIn(f".It Ic {method}\n", text)

    def test_every_command_of_kontor_stands_in_its_page_with_all_it_takes(self):
        text = page("kontor.1")
        commands = re.findall(r"^  ([a-z]+(?: [a-z]+)*)  +\S", output(BUILD / "bin/kontor", "--help"), re.MULTILINE)
        self.assertGreater(len(commands), 30)
        for words in commands:
            entry = re.search(rf"(?ms)^\.It Ic kontor {words}( Ar \.\.\.)?\n(.*?)(?=^\.It Ic |^\.Ss |^\.Sh )", text)
            self.assertTrue(entry, words)
            if words.startswith("db "):
                continue    # everything behind the words, --help too, goes to kontord
            for option in re.findall(r"^  (--[a-z0-9-]+)", output(BUILD / "bin/kontor", *words.split(), "--help"), re.MULTILINE):
                self.assertRegex(entry.group(2), rf"(?m)^\.It Fl {option[1:]}( |$)", words)

    def test_every_option_of_the_configuration_stands_in_its_page(self):
        blocks = json.loads(output(BUILD / "bin/kontord", "--describe"))["blocks"]
        self.assertEqual(set(blocks), {block for own in BLOCKS.values() for block in own})
        for name, own in BLOCKS.items():
            for key in (row["key"] for block in own for row in blocks[block]):
                self.assertRegex(page(name), rf"(?m)^\.It Ic {key} Li = ", name)

    def test_the_failures_that_are_explained_are_those_that_the_code_says(self):
        for name in sorted(PAGES):
            own = re.match(r"kontor-(.*)\.7", name)
            source = literals(["host", "sdk/src", "sdk/config", *([f"plugins/{own.group(1)}"] if own else ["plugins/safefile"])])
            phrases = re.findall(r"^\.It Dq (.*)", page(name), re.MULTILINE)
            for phrase in phrases:
                for part in re.split(r" ?\.\.\.[:,]? ?| \d+ ", phrase):
                    with self.subTest(phrase):
                        self.assertTrue(part in source, f"{name}: {phrase}: the code has no message with: {part}")
            self.assertTrue(phrases or name == "kontor.1", name)

    def test_every_page_is_formatted_without_a_warning(self):
        checked = 0
        for name in sorted(PAGES):
            if shutil.which("mandoc"):
                done = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", BUILD / "man" / name], stdout=subprocess.PIPE,
                                      stderr=subprocess.STDOUT, text=True)
                self.assertEqual((done.returncode, done.stdout), (0, ""))
                checked += 1
            if shutil.which("man"):
                done = subprocess.run(["man", "--warnings", "-l", BUILD / "man" / name], stdout=subprocess.PIPE,
                                      stderr=subprocess.PIPE, text=True, env=dict(os.environ, MANWIDTH="100", LC_ALL="C.UTF-8"))
                self.assertEqual((done.returncode, done.stderr), (0, ""))
                self.assertIn("NAME", done.stdout)
                checked += 1
        if not checked:
            self.skipTest("neither mandoc nor man is installed")


if __name__ == "__main__":
    unittest.main()
