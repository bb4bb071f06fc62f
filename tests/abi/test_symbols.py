#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""libkontor exports what its headers declare, each name with the version that its map gives it; a plugin exports its entry alone."""
import os
import re
import unittest

from installation import BUILD, INCLUDE, LIBRARY, SANITIZED, TOP, exported, run

MAP = TOP / "sdk/src/libkontor.map"
PRIVATE = "KONTOR_PRIVATE"
PLUGINS = [*sorted((BUILD / "plugins").glob("*.so")), os.environ["KONTOR_HELLO"]]


def versions():
    """{name: node} as the map says."""
    found = {}
    for node, body in re.findall(r"^(KONTOR_\w+(?:\.\d+)?) \{(.*?)^\}", MAP.read_text(), re.DOTALL | re.MULTILINE):
        for name in re.findall(r"\bkontor_\w+(?=;)", body):
            assert name not in found, f"{name} stands in {found[name]} and in {node}"
            found[name] = node
    return found


def declared(folder):
    """Names that the headers of a folder declare."""
    text = "\n".join(header.read_text() for header in sorted(folder.glob("*.h")))
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    text = re.sub(r"^#define.*?(?<!\\)$", "", text, flags=re.DOTALL | re.MULTILINE)
    text = re.sub(r"^static inline.*?^\}", "", text, flags=re.DOTALL | re.MULTILINE)
    return set(re.findall(r"\b(kontor_\w+)\(", text)) | set(re.findall(r"^extern [^;(]*?\b(kontor_\w+)(?:\[\])?;", text, re.MULTILINE))


@unittest.skipIf(SANITIZED, "sanitizers export symbols of their own")
class Symbols(unittest.TestCase):
    def test_the_map_names_each_symbol_and_no_other_is_exported(self):
        self.assertNotIn("*", MAP.read_text().replace("\t*;\n", ""), "a pattern gives new functions the version of old ones")
        expected = {f"{name}@@{node}" for name, node in versions().items()}
        actual = {name for name in exported(LIBRARY) if not name.startswith("KONTOR_")}
        self.assertEqual(sorted(actual - expected), [], "add them to the newest node of libkontor.map")
        self.assertEqual(sorted(expected - actual), [], "in the map, and not in the library: gone?")

    def test_what_is_exported_is_declared(self):
        public, private = declared(INCLUDE / "kontor"), declared(TOP / "sdk/src")
        nodes = versions()
        self.assertEqual(sorted(name for name in nodes if nodes[name] != PRIVATE and name not in public), [],
                         "exported for everybody, and in no header that is installed")
        self.assertEqual(sorted(name for name in nodes if nodes[name] == PRIVATE and name not in private - public), [],
                         f"of {PRIVATE}, and not in the headers of sdk/src alone")

    def test_no_plugin_uses_what_is_private(self):
        for plugin in PLUGINS:
            self.assertNotIn(PRIVATE, run("objdump", "-p", plugin), plugin)

    def test_a_plugin_exports_its_entry_alone(self):
        self.assertGreaterEqual(len(PLUGINS), 6)
        for plugin in PLUGINS:
            self.assertEqual(exported(plugin), {"kontor_plugin_entry"}, plugin)


if __name__ == "__main__":
    unittest.main()
