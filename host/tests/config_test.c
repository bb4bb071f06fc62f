/* SPDX-License-Identifier: Apache-2.0 */
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "unit.h"

/* A configuration folder of its own for each test: one region, one currency, datacenter dev, unit `one`. */
struct fixture {
	char folder[64];
	struct unit unit;
	struct args args;
	char *report; /* what --check would print */
};

static void write_file(const struct fixture *fixture, const char *name, const char *text)
{
	char path[256];
	snprintf(path, sizeof(path), "%s/%s", fixture->folder, name);
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
}

static void make_folder(const struct fixture *fixture, const char *name)
{
	char path[256];
	snprintf(path, sizeof(path), "%s/%s", fixture->folder, name);
	assert_int_equal(mkdir(path, 0700), 0);
}

static int set_up(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	snprintf(fixture->folder, sizeof(fixture->folder), "/tmp/kontord-config-XXXXXX");
	if (!mkdtemp(fixture->folder))
		return -1;
	make_folder(fixture, "units");
	make_folder(fixture, "conf.d");
	make_folder(fixture, "datacenters");
	make_folder(fixture, "regions");
	write_file(fixture, "kontord.conf", "datacenter = \"dev\"\n");
	write_file(fixture, "currencies.conf", "currency \"SGD\" { exponent = 2 }\n");
	write_file(fixture, "datacenters/dev.conf", "datacenter \"dev\" { id = 3 }\n");
	write_file(fixture, "regions/SG.conf",
		   "region \"SG\" {\n\tzone = \"Asia/Singapore\"\n\tfirst_window = \"2026-W01\"\n\thome = \"dev\"\n"
		   "\tcurrencies = {SGD}\n}\n");
	write_file(fixture, "units/one.conf", "plugins = {\"probe\"}\n");
	fixture->args = (struct args){.mode = MODE_CHECK,
				      .unit = "one",
				      .conf_folder = fixture->folder,
				      .runtime_folder = "/tmp/kontord-no-such-folder",
				      .state_folder = "/tmp/kontord-no-such-folder",
				      .plugin_folder = TEST_PLUGINS};
	*state = fixture;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;
	char command[128];
	unit_unconfigure(&fixture->unit);
	free(fixture->report);
	snprintf(command, sizeof(command), "rm -rf %s", fixture->folder);
	int rc = system(command);
	free(fixture);
	return rc;
}

/* Number of problems; their text is in fixture->report. */
static size_t check(struct fixture *fixture)
{
	unit_unconfigure(&fixture->unit);
	free(fixture->report);
	size_t size;
	FILE *out = open_memstream(&fixture->report, &size);
	size_t problems = unit_configure(&fixture->unit, &fixture->args);
	const struct unit_config *config = fixture->unit.config;
	config_print_problems(config->config, out);
	fclose(out);
	return problems;
}

static void assert_reported(const struct fixture *fixture, const char *text)
{
	if (!strstr(fixture->report, text))
		fail_msg("missing: %s\nreport:\n%s", text, fixture->report);
}

static void test_a_sound_configuration_is_filled_with_types(void **state)
{
	struct fixture *fixture = *state;
	write_file(
		fixture, "units/one.conf",
		"plugins = {\"probe\"} # a comment\nplugin \"probe\" { workers = 7 limit = 9 list = {x, \"y z\"} }\n");
	assert_int_equal(check(fixture), 0);
	const struct unit_config *config = fixture->unit.config;
	const struct loaded_plugin *probe = unit_plugin(&fixture->unit, "probe");
	assert_int_equal(probe->options.workers, 7);
	assert_int_equal(probe->options.queue_bytes, 32u << 20);
	assert_int_equal(config->here.id, 3);
	assert_int_equal(config->regions_len, 1);
	assert_true(config->regions[0].home_here);
	assert_string_equal(config->regions[0].currencies[0]->code, "SGD");
	const struct {
		const char *word;
		int64_t limit;
		const char *secret;
		const char *const *list;
	} *self = probe->self;
	assert_string_equal(self->word, "built-in");
	assert_int_equal(self->limit, 9);
	assert_string_equal(self->list[1], "y z");
	assert_null(self->list[2]);
}

static const struct lane_entry *lane_of(const struct fixture *fixture, const char *name)
{
	for (size_t i = 0; i < LANES; i++)
		if (strcmp(fixture->unit.config->lanes[i].name, name) == 0)
			return &fixture->unit.config->lanes[i];
	fail_msg("there is no lane %s", name);
	return NULL;
}

static void test_a_lane_has_a_session_for_each_thread_and_one_more(void **state)
{
	struct fixture *fixture = *state;
	write_file(fixture, "units/one.conf",
		   "plugins = {\"probe\"}\nlane \"settle\" { threads = 5 }\nlane \"file\" { connections = 7 }\n");
	assert_int_equal(check(fixture), 0);
	assert_int_equal(lane_of(fixture, "settle")->threads, 5);
	assert_int_equal(lane_of(fixture, "settle")->connections, 6);
	assert_int_equal(lane_of(fixture, "file")->threads, 1);
	assert_int_equal(lane_of(fixture, "file")->connections, 7);
	assert_int_equal(lane_of(fixture, "interactive")->threads, 2);
}

/* This process may use only so many of its cores. */
static void test_uploads_leave_a_core_to_the_others(void **state)
{
	struct fixture *fixture = *state;
	cpu_set_t all, some;
	assert_int_equal(sched_getaffinity(0, sizeof(all), &all), 0);
	CPU_ZERO(&some);
	write_file(fixture, "units/one.conf", "plugins = {\"probe\"}\n");
	int cores = 0, rc = 0;
	for (int core = 0; core < CPU_SETSIZE && rc == 0; core++) {
		if (!CPU_ISSET(core, &all))
			continue;
		CPU_SET(core, &some);
		cores++;
		assert_int_equal(sched_setaffinity(0, sizeof(some), &some), 0);
		rc = check(fixture);
		if (rc == 0)
			assert_int_equal(lane_of(fixture, "upload")->threads, cores == 1   ? 1
									      : cores > 64 ? 63
											   : cores - 1);
	}
	assert_int_equal(sched_setaffinity(0, sizeof(all), &all), 0);
	assert_int_equal(rc, 0);
}

static void test_later_layers_win_and_the_dump_says_where_from(void **state)
{
	struct fixture *fixture = *state;
	write_file(fixture, "kontord.conf",
		   "datacenter = \"dev\"\nlog_level = \"error\"\nplugin \"probe\" { word = \"base\" }\n");
	write_file(fixture, "conf.d/20-b.conf", "plugin \"probe\" { word = \"twenty\" limit = 2 }\n");
	char text_a[256];
	snprintf(text_a, sizeof(text_a), "plugin \"probe\" { word = \"ten\" secret = \"%s/key\" }\n", fixture->folder);
	mode_t mask = umask(077);
	write_file(fixture, "key", "a secret\n");
	umask(mask);
	write_file(fixture, "conf.d/10-a.conf", text_a);
	write_file(fixture, "datacenters/dev.conf",
		   "datacenter \"dev\" { id = 3 }\nplugin \"probe\" {\n\tlimit = 3\n}\n");
	assert_int_equal(check(fixture), 0);
	const struct unit_config *config = fixture->unit.config;
	assert_string_equal(config_value(config->config, "plugin", "probe", "word"), "twenty");
	assert_string_equal(config_value(config->config, "plugin", "probe", "limit"), "3");
	const struct loaded_plugin *probe = unit_plugin(&fixture->unit, "probe");
	const struct config_table table = {probe->api.conf, probe->api.conf_len};
	char *text;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	config_dump_block(config->config, "plugin", "probe", &table, 1, out);
	fclose(out);
	assert_non_null(strstr(text, "conf.d/20-b.conf:1"));
	assert_non_null(strstr(text, "limit = \"3\" # "));
	assert_non_null(strstr(text, "datacenters/dev.conf:3"));
	assert_non_null(strstr(text, "list = {\"a\", \"b\"} # built-in"));
	assert_non_null(strstr(text, "secret = \"<set>\""));
	assert_null(strstr(text, "/key"));
	free(text);
}

static void test_each_error_has_its_file_and_line(void **state)
{
	struct fixture *fixture = *state;
	static const struct {
		const char *text, *expected;
		size_t problems; /* 0: just this one */
	} cases[] = {
		{"plugins = {\"probe\"}\n# a comment\n\nlog_levl = info\n",
		 ":4: unknown option 'log_levl'; did you mean 'log_level'?"},
		{"plugins = {\"probe\"}\nplugn \"probe\" {\n}\n", ":2: unknown block 'plugn'; did you mean 'plugin'?"},
		{"plugins = {\"prob\"}\n", ":1: there is no plugin 'prob'"},
		{"plugins = {\"probe\", \"probe\"}\n", ":1: plugin 'probe' is listed twice"},
		{"plugins = {\"jobs\"}\n", ":1: plugin 'jobs' is built in"},
		{"plugins = {\"../x\"}\n", ":1: '../x' is no name of a plugin"},
		{"plugins = {\"probe\"}\nplugin \"probe\" {\n\twurd = x\n}\n",
		 ":3: unknown option 'wurd' in plugin \"probe\"; did you mean 'word'?"},
		{"plugins = {\"probe\"}\nplugin \"probe\" {\n\tlimit = 11\n}\n",
		 ":3: limit = \"11\": must be between 1 and 10"},
		{"plugins = {\"probe\"}\nplugin \"probe\" {\n\tlimit = x\n}\n",
		 ":3: limit = \"x\": must be a whole number"},
		{"plugins = {\"probe\"}\nplugin \"probe\" {\n\tlimit = 99999999999999999999\n}\n", ":3: limit ="},
		{"plugins = {\"probe\"}\nplugin \"probe\" {\n\tlimit = {1, 2}\n}\n", ":3: limit takes one value"},
		{"plugins = {\"probe\"}\nplugin \"probe\" {\n\tlimit = 1\n\tlimit = 2\n}\n",
		 ":4: 'limit' is set twice in this file, first in line 3"},
		{"plugins = {\"probe\"}\nplugin \"probe\" {\n\tsecret = \"key\"\n}\n",
		 ":3: secret = \"key\": must be an absolute path"},
		{"plugins = {\"probe\"}\nplugin \"probe\" {\n\tword = \"refused\"\n}\n",
		 ":4: plugin \"probe\": this word is refused"},
		{"plugins = {\"probe\"}\nplugin \"prob\" { }\n",
		 ":2: plugin \"prob\" is not there; did you mean \"probe\"?"},
		{"plugins = {\"probe\"}\nplugin \"probe\" { queue_bytes = 1XB }\n",
		 ":2: queue_bytes = \"1XB\": must be a size"},
		{"plugins = {\"probe\"}\ndrain_timeout = 5\n",
		 ":2: drain_timeout = \"5\": must be a duration with its unit"},
		{"plugins = {\"probe\"}\napprovals = \"maybe\"\n",
		 ":2: approvals = \"maybe\": must be one of untrusted|trusted"},
		{"plugins = {\"probe\"}\nservice \"x\" { enabled = perhaps }\n",
		 ":2: enabled = \"perhaps\": must be yes or no"},
		{"plugins = {\"probe\"}\nlane \"setle\" { threads = 1 }\n",
		 ":2: unknown lane \"setle\"; did you mean \"settle\"?"},
		{"plugins = {\"probe\"}\nlane \"settle\" { threads = 0 }\n",
		 ":2: threads = \"0\": must be between 1 and 64"},
		{"plugins = {\"probe\"}\nlane \"compare\" { threads = 3\nconnections = 2 }\n",
		 ":3: lane \"compare\": connections = 2 is too few for 3 threads"},
		{"plugins = {\"probe\"}\nlane \"review\" { poll = 1ms }\n", ":2: poll = \"1ms\": must be between"},
		{"plugins = {\"probe\"}\nplugin { word = x }\n", ":2: a block 'plugin' needs a name"},
		{"plugins = {\"probe\"}\nplugin \"probe\" { word = a }\nplugin \"probe\" { word = b }\n",
		 ":3: a block \"probe\" stands in this file already"},
		{"plugins = {\"probe\"}\nplugin \"probe\" {\n\tword = a\n",
		 ": the block plugin \"probe\" is still open at the end of the file"},
		{"plugins = {\"probe\"\n", ": the file ends in the middle of something"},
		{"plugins = {\"probe\"}\n/* never closed\n\n", ":2: the comment that begins here is not closed"},
		{"plugins = {\"probe\"}\n\nlog_level = \"info\n\n", ":3: the string that begins here is not closed"},
		{"plugins = {\"probe\"}\nlog_level \"info\"\n", ":2: 'log_level' needs '= value'"},
		{"plugins = {\"probe\"}\n}\n", ":2: this '}' closes no block"},
		{"plugins = {\"probe\"}\nlog_level = \"${HOME}\"\n", ":2: '${...}' is not replaced"},
		{"plugins = {\"probe\"}\nbind = {\"tcp://127.0.0.1:7\"}\n",
		 ":2: bind tcp://127.0.0.1:7: tcp needs the unit's own key"},
		{"plugins = {\"probe\"}\nbind = {\"ipc://relative\"}\n",
		 ":2: bind ipc://relative: must be ipc:// and an absolute path"},
		{"plugins = {\"probe\"}\napprovals = trusted\nbind = {\"tcp://0.0.0.0:7\"}\n",
		 ":3: approvals = trusted believes whoever", 2},
		{"plugins = {\"probe\"}\nregion \"Sg\" { zone = \"Asia/Singapore\" first_window = \"2026-W01\" home = "
		 "dev currencies = {SGD} }\n",
		 ":2: 'Sg' is no region"},
		{"plugins = {\"probe\"}\nregion \"MY\" { zone = \"Asia/Nowhere\" first_window = \"2026-W01\" home = "
		 "dev currencies = {SGD} }\n",
		 ":2: region \"MY\": time zone \"Asia/Nowhere\""},
		{"plugins = {\"probe\"}\nregion \"MY\" { zone = \"Asia/Singapore\" first_window = \"2027-W53\" home = "
		 "dev currencies = {SGD} }\n",
		 ":2: region \"MY\": first_window = \"2027-W53\""},
		{"plugins = {\"probe\"}\nregion \"MY\" {\n\tzone = \"Asia/Singapore\" first_window = "
		 "\"2026-W01\"\n\thome = \"def\" currencies = {SGD}\n}\n",
		 ":4: region \"MY\": its home 'def' is no datacenter"},
		{"plugins = {\"probe\"}\nregion \"MY\" { zone = \"Asia/Singapore\" first_window = \"2026-W01\" home = "
		 "dev\ncurrencies = {SGD, MYR} }\n",
		 ":3: region \"MY\" accepts 'MYR'"},
		{"plugins = {\"probe\"}\nregion \"MY\" {\n\thome = dev\n}\n", ":4: region \"MY\" needs 'zone'", 3},
		{"plugins = {\"probe\"}\ncurrency \"EURO\" { exponent = 2 }\n", ":2: 'EURO' is no currency"},
		{"plugins = {\"probe\"}\ncurrency \"EUR\" { }\n", ":2: currency \"EUR\" needs 'exponent'"},
		{"plugins = {\"probe\"}\nuser \"a\" { uid = 5 roles = {boss} }\n", ":2: user \"a\": 'boss' is no role"},
		{"plugins = {\"probe\"}\nuser \"a\" { uid = 5 roles = {viewer} }\nuser \"b\" { uid = 5 roles = "
		 "{viewer} }\n",
		 ":3: users \"a\" and \"b\" have the same uid 5"},
		{"plugins = {\"probe\"}\nuser \"a\" { uid = 5 login = root roles = {viewer} }\n",
		 ":2: user \"a\" has a login and a uid: keep one of the two"},
		{"plugins = {\"probe\"}\nuser \"a\" { login = root roles = {viewer} }\nuser \"b\" { uid = 0 roles = "
		 "{viewer} }\n",
		 ":3: users \"a\" and \"b\" have the same uid 0"},
		{"plugins = {\"probe\"}\ndatabase \"main\" { name = \"a;b\" }\n", ":2: database name 'a;b'"},
		{"plugins = {\"probe\"}\ndatabase \"other\" { name = \"x\" }\n", ":2: unknown database \"other\""},
		{"log_level = \"info\"\n", "'plugins' is not set"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char expected[300];
		bool with_file = cases[i].expected[0] == ':' && cases[i].expected[1] != ' ';
		snprintf(expected, sizeof(expected), "%s%s", with_file ? "units/one.conf" : "", cases[i].expected);
		write_file(fixture, "units/one.conf", cases[i].text);
		size_t problems = check(fixture);
		if (problems != (cases[i].problems ? cases[i].problems : 1))
			fail_msg("%zu problems for:\n%s\nreport:\n%s", problems, cases[i].text, fixture->report);
		assert_reported(fixture, expected);
	}
}

static void test_every_error_is_reported_not_only_the_first(void **state)
{
	struct fixture *fixture = *state;
	write_file(fixture, "kontord.conf", "datacenter = \"dev\"\nfirst = 1\n");
	write_file(fixture, "units/one.conf",
		   "plugins = {\"probe\", \"nobody\"}\nsecond = 2\nplugin \"probe\" {\n\tthird = 3\n\tlimit = 0\n}\n");
	write_file(fixture, "conf.d/broken.conf", "log_level = \"info\"\n\nfourth {\n");
	assert_int_equal(check(fixture), 7);
	assert_reported(fixture, "kontord.conf:2: unknown option 'first'");
	assert_reported(fixture, "units/one.conf:1: there is no plugin 'nobody'");
	assert_reported(fixture, "units/one.conf:2: unknown option 'second'");
	assert_reported(fixture, "units/one.conf:4: unknown option 'third'");
	assert_reported(fixture, "units/one.conf:5: limit = \"0\"");
	assert_reported(fixture, "conf.d/broken.conf:3: unknown block 'fourth'");
	assert_reported(fixture, "conf.d/broken.conf:3: the block fourth is still open");
}

static void test_plugins_that_call_in_a_circle_are_refused_also_across_units(void **state)
{
	struct fixture *fixture = *state;
	write_file(fixture, "units/one.conf", "plugins = {\"circle-b\"}\n");
	assert_int_equal(check(fixture), 1);
	assert_reported(fixture, "circle-b -> circle-c -> circle-a -> circle-b");
}

static void test_a_circle_in_another_unit_of_the_datacenter_is_refused_at_its_place(void **state)
{
	struct fixture *fixture = *state;
	write_file(fixture, "units/two.conf", "\nplugins = {\"circle-c\"}\n");
	assert_int_equal(check(fixture), 1);
	assert_reported(fixture, "units/two.conf:2: plugins call each other in a circle: circle-c -> circle-a -> "
				 "circle-b -> circle-c");
	write_file(fixture, "units/two.conf", "datacenter = \"far\"\nplugins = {\"circle-c\"}\n");
	assert_int_equal(check(fixture), 0);
	write_file(fixture, "units/two.conf", "plugins = {\"circle-c\"}\n");
	fixture->args.mode = MODE_RUN; /* a start does not load the plugins of other units */
	assert_int_equal(check(fixture), 0);
}

static void test_a_socket_path_that_is_too_long_is_refused(void **state)
{
	struct fixture *fixture = *state;
	char folder[120];
	memset(folder, 'x', sizeof(folder));
	folder[0] = '/';
	size_t longest = 107 - strlen("/one.sock");
	folder[longest] = '\0';
	fixture->args.runtime_folder = folder;
	assert_int_equal(check(fixture), 0);
	folder[longest] = 'x';
	folder[longest + 1] = '\0';
	assert_int_equal(check(fixture), 1);
	assert_reported(fixture, "has 108 bytes, at most 107");
}

static void test_a_datacenter_is_needed_and_has_no_default_id(void **state)
{
	struct fixture *fixture = *state;
	write_file(fixture, "kontord.conf", "log_level = \"info\"\n");
	assert_int_equal(check(fixture), 1);
	assert_reported(fixture, "'datacenter' is not set");
	write_file(fixture, "kontord.conf", "datacenter = \"def\"\n");
	assert_int_equal(check(fixture), 1);
	assert_reported(fixture, "kontord.conf:1: there is no datacenter 'def'; there are: dev");
	write_file(fixture, "kontord.conf", "datacenter = \"dev\"\n");
	write_file(fixture, "datacenters/dev.conf", "datacenter \"dev\" {\n}\n");
	assert_int_equal(check(fixture), 1);
	assert_reported(fixture, "datacenters/dev.conf:2: datacenter \"dev\" needs 'id'");
}

static void test_an_unknown_unit_names_those_that_exist(void **state)
{
	struct fixture *fixture = *state;
	fixture->args.unit = "two";
	assert_int_equal(check(fixture), 1);
	assert_reported(fixture, "there is no unit 'two'; there are: one");
	fixture->args.unit = "../one";
	assert_int_equal(check(fixture), 1);
	assert_reported(fixture, "'../one' is no name of a unit");
}

static void test_a_login_gives_the_uid_of_its_account_and_one_without_account_none(void **state)
{
	struct fixture *fixture = *state;
	write_file(fixture, "conf.d/users.conf",
		   "user \"boss\" { login = \"root\" roles = {admin} }\n"
		   "user \"gone\" { login = \"no account has this name\" roles = {viewer} }\n");
	assert_int_equal(check(fixture), 0);
	const struct unit_config *config = fixture->unit.config;
	assert_int_equal(unit_config_user(config, "boss")->uid, 0);
	assert_int_equal(unit_config_user(config, "gone")->uid, -1);
}

static void test_a_check_makes_nothing(void **state)
{
	struct fixture *fixture = *state;
	assert_int_equal(check(fixture), 0);
	assert_int_equal(access(fixture->args.runtime_folder, F_OK), -1);
}

/* The files that are installed; the plugins that they name may not be built here. */
static void test_the_shipped_configuration_has_no_problem(void **state)
{
	struct fixture *fixture = *state;
	char command[1024];
	snprintf(command, sizeof(command), "rm -rf %s && cp -r '" SHIPPED_CONF "' %s", fixture->folder,
		 fixture->folder);
	assert_int_equal(system(command), 0);
	write_file(fixture, "units/one.conf", "plugins = {\"probe\"}\n");
	write_file(fixture, "conf.d/site.conf", "datacenter = \"dev\"\n");
	if (check(fixture))
		fail_msg("%s", fixture->report);
	const struct unit_config *config = fixture->unit.config;
	assert_int_equal(config->regions_len, 5);
	for (size_t i = 0; i < config->regions_len; i++)
		assert_int_equal(config->regions[i].currencies_len, 9);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_sound_configuration_is_filled_with_types),
		TEST(test_a_lane_has_a_session_for_each_thread_and_one_more),
		TEST(test_uploads_leave_a_core_to_the_others),
		TEST(test_later_layers_win_and_the_dump_says_where_from),
		TEST(test_each_error_has_its_file_and_line),
		TEST(test_every_error_is_reported_not_only_the_first),
		TEST(test_plugins_that_call_in_a_circle_are_refused_also_across_units),
		TEST(test_a_circle_in_another_unit_of_the_datacenter_is_refused_at_its_place),
		TEST(test_a_socket_path_that_is_too_long_is_refused),
		TEST(test_a_datacenter_is_needed_and_has_no_default_id),
		TEST(test_an_unknown_unit_names_those_that_exist),
		TEST(test_a_login_gives_the_uid_of_its_account_and_one_without_account_none),
		TEST(test_a_check_makes_nothing),
		TEST(test_the_shipped_configuration_has_no_problem),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
