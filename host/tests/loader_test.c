/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "loader.h"

static void assert_refused(const char *file, const char *first, const char *second)
{
	struct loaded_plugin *plugin = NULL;
	struct kontor_error err = KONTOR_ERROR_INIT;
	assert_int_equal(loader_open(file, &plugin, &err), KONTOR_E_UNAVAILABLE);
	assert_null(plugin);
	if (!strstr(err.message, first) || !strstr(err.message, second))
		fail_msg("message: %s", err.message);
}

static void test_a_plugin_of_this_abi_is_loaded_with_its_tables(void **state)
{
	(void)state;
	struct loaded_plugin *plugin = NULL;
	struct kontor_error err = KONTOR_ERROR_INIT;
	assert_int_equal(loader_open(TEST_PLUGINS "/probe.so", &plugin, &err), 0);
	assert_string_equal(plugin->api.name, "probe");
	assert_string_equal(plugin->api.methods[0].name, "wait");
	assert_string_equal(plugin->api.job_kinds[0].name, "probe.count");
	assert_non_null(plugin->self);
	loader_close(plugin);
}

static void test_a_plugin_of_a_later_minor_runs_with_the_members_known_here(void **state)
{
	(void)state;
	struct loaded_plugin *plugin = NULL;
	struct kontor_error err = KONTOR_ERROR_INIT;
	assert_int_equal(loader_open(TEST_PLUGINS "/next-minor.so", &plugin, &err), 0);
	assert_int_equal(plugin->api.methods_len, 2);
	assert_string_equal(plugin->api.methods[1].name, "second");
	assert_ptr_equal(plugin->api.methods[0].handle, plugin->api.methods[1].handle);
	loader_close(plugin);
}

static void test_another_major_is_refused_with_file_both_versions_and_the_cure(void **state)
{
	(void)state;
	assert_refused(TEST_PLUGINS "/old-major.so", "old-major.so was built for plugin ABI 9.0, this kontord has 1.",
		       "rebuild the plugin");
}

static void test_a_file_that_is_no_plugin_of_its_name_is_refused(void **state)
{
	(void)state;
	assert_refused(TEST_PLUGINS "/other-name.so", "'somebody-else'", "rename the file to somebody-else.so");
	assert_refused(TEST_PLUGINS "/no-entry.so", "no-entry.so is no Kontor plugin", "kontor_plugin_entry");
	assert_refused(TEST_PLUGINS "/garbled.so", "garbled.so: its table of methods", "garbled");
	assert_refused(TEST_PLUGINS "/nowhere.so", "cannot be loaded", "nowhere.so");
}

static void test_an_argument_that_names_a_region_is_the_one_that_callers_look_at(void **state)
{
	(void)state;
	assert_refused(TEST_PLUGINS "/market.so", "argument market of method first", "is named 'region'");
	assert_refused(TEST_PLUGINS "/no-region.so", "argument region of method first", "and no other one");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_plugin_of_this_abi_is_loaded_with_its_tables),
		cmocka_unit_test(test_a_plugin_of_a_later_minor_runs_with_the_members_known_here),
		cmocka_unit_test(test_another_major_is_refused_with_file_both_versions_and_the_cure),
		cmocka_unit_test(test_a_file_that_is_no_plugin_of_its_name_is_refused),
		cmocka_unit_test(test_an_argument_that_names_a_region_is_the_one_that_callers_look_at),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
