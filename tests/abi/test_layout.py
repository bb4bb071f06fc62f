#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Functions and structs are those of the frozen ABI, as libabigail compares them: what was built for it runs with this library.
   test_layout.py --freeze writes the present ones to frozen/ (README.md says when)."""
import lzma
import os
import pathlib
import platform
import shutil
import subprocess
import sys
import tempfile
import unittest

from installation import C_COMPILER, INCLUDE, LIBRARY, SANITIZED, TOP, run

FROZEN = pathlib.Path(__file__).resolve().parent / "frozen"
# the library that programs link, and a plugin, whose entry leads to all that the host reads
OBJECTS = {"libkontor": LIBRARY.resolve(), "plugin": pathlib.Path(os.environ["KONTOR_HELLO"])}
ABI_CHANGE = 4  # of abidiff's exit code; 8 beside it: surely incompatible


def describe(file, include=INCLUDE):
    return run("abidw", "--headers-dir", include, "--drop-private-types", "--no-show-locs", "--no-corpus-path",
               "--no-comp-dir-path", "--type-id-style", "hash", file)


@unittest.skipIf(SANITIZED, "sanitizers change what is exported")
@unittest.skipUnless(platform.machine() == "x86_64", "the frozen descriptions are of x86_64")
@unittest.skipUnless(shutil.which("abidiff"), "abidiff (libabigail) is not installed")
class Layout(unittest.TestCase):
    def compare(self, name, file, include=INCLUDE):
        """abidiff's exit code and words for what is frozen under the name, and a shared object."""
        with tempfile.TemporaryDirectory() as folder:
            before, after = pathlib.Path(folder) / "frozen.abi", pathlib.Path(folder) / "present.abi"
            before.write_bytes(lzma.decompress((FROZEN / f"{name}-1.abi.xz").read_bytes()))
            after.write_text(describe(file, include))
            done = subprocess.run(["abidiff", "--no-added-syms", "--suppressions", FROZEN / "private.ini", before, after],
                                  text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120)
            return done.returncode, done.stdout

    def test_nothing_changed_that_others_rely_on(self):
        for name, file in OBJECTS.items():
            with self.subTest(name):
                code, said = self.compare(name, file)
                self.assertEqual(code, 0, f"{said}\nIf this is meant: tests/abi/README.md")

    def plugin_with(self, folder, header, before, after):
        """The example, built with a header in which something is another way."""
        include = pathlib.Path(folder) / "include"
        shutil.copytree(INCLUDE, include)
        text = (include / header).read_text()
        self.assertEqual(text.count(before), 1, before)
        (include / header).write_text(text.replace(before, after))
        plugin = pathlib.Path(folder) / "hello.so"
        run(C_COMPILER, "-g", "-w", "-fvisibility=hidden", "-shared", "-fPIC", f"-I{include}", "-o", plugin,
            TOP / "sdk/example/hello/hello.c")
        return self.compare("plugin", plugin, include)

    def test_a_change_is_seen(self):
        for header, before, after in (
                ("kontor/plugin.h", "const char *summary; ", "long inserted; const char *summary; "),
                ("kontor/plugin.h", "size_t methods_len;", "uint32_t methods_len;"),
                ("kontor/method.h", "KONTOR_PUBLIC", "KONTOR_BEFORE, KONTOR_PUBLIC"),
                ("kontor/plugin.h", "void (*stop)(void *self); ", "void (*stop)(void *self, int why); "),
                ("kontor/plugin.h", "void (*status)(void *self, kontor_writer *w);",
                 "void (*status)(void *self, kontor_writer *w); void (*more)(void *self);")):
            with self.subTest(after), tempfile.TemporaryDirectory() as folder:
                code, said = self.plugin_with(folder, header, before, after)
                self.assertTrue(code & ABI_CHANGE, said)

def freeze():
    for name, file in OBJECTS.items():
        (FROZEN / f"{name}-1.abi.xz").write_bytes(lzma.compress(describe(file).encode(), preset=9))
        print(f"frozen: {name}, {file}")


if __name__ == "__main__":
    if sys.argv[1:] == ["--freeze"]:
        freeze()
    else:
        unittest.main()
