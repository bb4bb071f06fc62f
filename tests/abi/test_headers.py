#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Each installed header compiles alone, twice included, without a warning, in each language that a user of the SDK may have."""
import pathlib
import shutil
import subprocess
import unittest

from installation import C_COMPILER, INCLUDE

HEADERS = sorted(header.relative_to(INCLUDE) for header in (INCLUDE / "kontor").glob("*.h"))
WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Wundef", "-Werror"]
# the headers of msgpack-c are not ours to judge
LANGUAGES = [(C_COMPILER, "c", "c11"), (C_COMPILER, "c", "c17"), ("c++", "c++", "c++17"), ("c++", "c++", "c++20")]


def complaints(compiler, language, standard, source):
    done = subprocess.run([compiler, f"-x{language}", f"-std={standard}", *WARNINGS, "-fsyntax-only", f"-I{INCLUDE}", "-"],
                          input=source, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)
    return done.stdout if done.returncode else ""


class Headers(unittest.TestCase):
    def test_the_compilers_are_here(self):
        self.assertTrue(HEADERS)
        for compiler, *_ in LANGUAGES:
            self.assertTrue(shutil.which(compiler) or pathlib.Path(compiler).exists(), compiler)

    def test_each_compiles_alone(self):
        for compiler, language, standard in LANGUAGES:
            for header in HEADERS:
                with self.subTest(standard=standard, header=str(header)):
                    source = f"#include <{header}>\n#include <{header}>\nint anything;\n"
                    self.assertEqual(complaints(compiler, language, standard, source), "")

    def test_a_fault_would_be_seen(self):
        for compiler, language, standard in LANGUAGES:
            source = "#include <kontor/plugin.h>\nint f(void) { int x; int y = sizeof(struct kontor_plugin); { int y = 1; return y; } }\n"
            self.assertIn("unused variable", complaints(compiler, language, standard, source))


if __name__ == "__main__":
    unittest.main()
