#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What stands in a DESTDIR installation is enough to build a plugin (CMake package, pkg-config, C and C++) and a client, and
the host of that installation takes the plugin."""
import os
import pathlib
import shutil
import tempfile
import unittest

from installation import C_COMPILER, SANITIZED, TOP, exported, install, run

PLUGIN_IN_CXX = """
#include <kontor/plugin.h>
static int greet(void *, kontor_request *request)
{
	kontor_put_string(kontor_reply(request), "text", "Hello from C++");
	return 0;
}
static const kontor_method methods[] = {
	{.name = "greet", .visibility = KONTOR_PUBLIC, .role = KONTOR_ROLE_VIEWER, .help = "Greets.", .handle = greet}};
static const kontor_plugin plugin = {KONTOR_PLUGIN_ABI, .name = "modern", .version = "1.0", .summary = "greets people",
				     .methods = methods, .methods_len = 1};
KONTOR_PLUGIN(plugin)
"""
CLIENT = """
#include <kontor/client.h>
#include <stdio.h>
int main(int argc, char **argv)
{
	kontor_client *client = NULL;
	struct kontor_error err = KONTOR_ERROR_INIT;
	struct kontor_client_options options = {.endpoint = argc > 1 ? argv[1] : NULL};
	struct kontor_call_options call = {.timeout_ms = 200};
	int rc = kontor_client_new(&options, &client, &err);
	if (!rc)
		rc = kontor_call(client, "kontor.ping", NULL, &call, NULL, &err);
	printf("%d %s\\n", rc, err.message);
	kontor_client_free(client);
	return 0;
}
"""


@unittest.skipIf(SANITIZED, "what a sanitizer built is not for others")
class OutOfTree(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="kontor-abi-"))
        cls.prefix = install(cls.folder / "root")
        cls.lib = next(cls.prefix.rglob("libkontor.so.1")).parent

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.folder)

    def flags(self, *what):
        environment = dict(os.environ, PKG_CONFIG_PATH=str(self.lib / "pkgconfig"))
        return run("pkg-config", *what, "libkontor", env=environment).split()

    def assert_is_taken(self, plugin):
        self.assertEqual(exported(plugin), {"kontor_plugin_entry"})
        self.assertIn("KONTOR_1.", run("objdump", "-p", plugin))
        said = run(self.prefix / "sbin/kontord", "--dump-plugin", plugin)
        self.assertIn("greet", said)
        self.assertIn("1.0", said)

    def test_the_example_builds_by_the_cmake_package(self):
        shutil.copytree(TOP / "sdk/example/hello", self.folder / "hello")
        run("cmake", "-S", self.folder / "hello", "-B", self.folder / "build", f"-DCMAKE_PREFIX_PATH={self.prefix}",
            f"-DCMAKE_C_COMPILER={C_COMPILER}")
        run("cmake", "--build", self.folder / "build")
        self.assert_is_taken(self.folder / "build/plugins/hello.so")

    def test_the_example_builds_by_pkg_config(self):
        run(C_COMPILER, "-std=c11", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o", self.folder / "hello.so",
            TOP / "sdk/example/hello/hello.c", *self.flags("--cflags", "--libs"))
        self.assert_is_taken(self.folder / "hello.so")

    def test_a_plugin_in_cxx(self):
        (self.folder / "modern.cpp").write_text(PLUGIN_IN_CXX)
        run("c++", "-std=c++20", "-Wall", "-Werror", "-Wno-missing-field-initializers", "-shared", "-fPIC", "-fvisibility=hidden",
            "-o", self.folder / "modern.so", self.folder / "modern.cpp", *self.flags("--cflags", "--libs"))
        self.assert_is_taken(self.folder / "modern.so")

    def test_a_client(self):
        (self.folder / "client.c").write_text(CLIENT)
        run(C_COMPILER, "-std=c11", "-Wall", "-Werror", "-o", self.folder / "client", self.folder / "client.c",
            *self.flags("--cflags", "--libs"), f"-Wl,-rpath,{self.lib}")
        said = run(self.folder / "client", f"ipc://{self.folder}/nobody")
        self.assertTrue(said.startswith("-12 "), said)  # UNAVAILABLE
        self.assertIn("nobody", said)

    def test_pkg_config_tells_where_plugins_belong(self):
        self.assertEqual([pathlib.Path(*self.flags("--variable=plugindir")).resolve()],
                         [(self.lib / "kontor/plugins").resolve()])
        self.assertEqual(self.flags("--variable=abi"), ["1.0"])


if __name__ == "__main__":
    unittest.main()
