/* SPDX-License-Identifier: Apache-2.0
 *
 * Arguments are checked and converted by the method's table; roles and keys are checked before the handler runs.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kontor/host.h"
#include "kontor/time.h"
#include "request.h"

static const struct kontor_arg item_fields[] = {
	{.name = "shop_user_id", .type = KONTOR_ARG_ID, .required = true},
	{.name = "note", .type = KONTOR_ARG_STRING, .max = 5},
};
static const struct kontor_arg args[] = {
	{.name = "number", .type = KONTOR_ARG_INT, .min = -5, .max = 1000},
	{.name = "shop_user_id", .type = KONTOR_ARG_ID},
	{.name = "early", .type = KONTOR_ARG_BOOL},
	{.name = "text", .type = KONTOR_ARG_STRING, .min = 1, .max = 10},
	{.name = "data", .type = KONTOR_ARG_BYTES, .max = 4},
	{.name = "region", .type = KONTOR_ARG_REGION},
	{.name = "window", .type = KONTOR_ARG_WINDOW},
	{.name = "profile", .type = KONTOR_ARG_NAME},
	{.name = "since", .type = KONTOR_ARG_TIME},
	{.name = "items", .type = KONTOR_ARG_LIST, .max = 2, .fields = item_fields, .fields_len = 2},
	{.name = "loose", .type = KONTOR_ARG_LIST},
	{.name = "payouts", .type = KONTOR_ARG_IDS, .min = 1, .max = 3},
};
static const struct kontor_arg required_args[] = {
	{.name = "region", .type = KONTOR_ARG_REGION, .required = true, .help = "the region whose windows are listed"},
};

static int handled;

static int count_handler(void *self, kontor_request *request)
{
	(void)self;
	handled++;
	kontor_put_int(kontor_reply(request), "handled", handled);
	return 0;
}

static int failing_handler(void *self, kontor_request *request)
{
	(void)self;
	return kontor_request_fail(request, KONTOR_E_NOT_FOUND, "there is no upload %d", 17);
}

#define ARGS(list) .args = (list), .args_len = sizeof(list) / sizeof((list)[0])
static const struct kontor_method all = {
	.name = "all", .role = KONTOR_ROLE_VIEWER, .handle = count_handler, ARGS(args)};
static const struct kontor_method windows = {
	.name = "windows", .role = KONTOR_ROLE_VIEWER, .handle = count_handler, ARGS(required_args)};
static const struct kontor_method none = {.name = "none", .role = KONTOR_ROLE_ADMIN, .handle = count_handler};
static const struct kontor_method internal = {
	.name = "internal", .visibility = KONTOR_INTERNAL, .role = KONTOR_ROLE_UNIT, .handle = count_handler};
static const struct kontor_method changing = {
	.name = "changing", .flags = KONTOR_METHOD_CHANGES, .role = KONTOR_ROLE_OPERATOR, .handle = count_handler};
static const struct kontor_method failing = {.name = "failing", .role = KONTOR_ROLE_VIEWER, .handle = failing_handler};

static kontor_host *host;
static kontor_writer *w; /* the body under test */
static kontor_request *request;
static struct kontor_error err;

static struct kontor_request_options options_for(const struct kontor_method *method, unsigned roles)
{
	struct kontor_request_options options = {.host = host, .service = "test", .method = method, .key = ""};
	snprintf(options.user.name, sizeof(options.user.name), "%s", "alice");
	options.user.roles = roles;
	return options;
}

static int begin(const struct kontor_method *method)
{
	struct kontor_request_options options = options_for(method, KONTOR_ROLE_VIEWER);
	assert_int_equal(kontor_writer_finish(w, &options.body, &options.body_size, &err), 0);
	return kontor_request_begin(&request, &options, &err);
}

static void open_body(void)
{
	kontor_writer_reset(w);
	kontor_write_map(w);
}

static int check_all(void)
{
	kontor_write_end(w);
	return begin(&all);
}

static void assert_refused(int rc, const char *words)
{
	assert_int_equal(rc, KONTOR_E_BAD_REQUEST);
	if (!strstr(err.message, words))
		fail_msg("\"%s\" does not say \"%s\"", err.message, words);
}

static void test_every_type_is_converted(void **state)
{
	(void)state;
	open_body();
	kontor_put_int(w, "number", -5);
	kontor_put_string(w, "shop_user_id", "9223372036854775807");
	kontor_put_bool(w, "early", true);
	kontor_put_string(w, "text", "Zürich");
	kontor_put_bytes(w, "data", "\0\1", 2);
	kontor_put_string(w, "region", "SG");
	kontor_put_string(w, "window", "2026-W53");
	kontor_put_string(w, "profile", "pain001");
	kontor_put_string(w, "since", "2026-11-22T10:00:00+08:00");
	kontor_put_array(w, "payouts");
	kontor_write_uint(w, 5);
	kontor_write_string(w, "6");
	kontor_write_end(w);
	kontor_put_array(w, "items");
	kontor_write_map(w);
	kontor_put_string(w, "shop_user_id", "77");
	kontor_write_end(w);
	kontor_write_end(w);
	assert_int_equal(check_all(), 0);
	assert_int_equal(kontor_arg_int(request, "number"), -5);
	assert_int_equal(kontor_arg_id(request, "shop_user_id"), INT64_MAX);
	assert_true(kontor_arg_bool(request, "early"));
	assert_string_equal(kontor_arg_string(request, "text"), "Zürich");
	assert_int_equal(kontor_arg_bytes(request, "data").size, 2);
	assert_string_equal(kontor_arg_string(request, "region"), "SG");
	assert_int_equal(kontor_arg_window(request, "window"), 202653);
	assert_string_equal(kontor_arg_string(request, "profile"), "pain001");
	int64_t since = 0;
	assert_int_equal(kontor_time_parse(KONTOR_TEXT("2026-11-22T02:00:00Z"), &since), KONTOR_TIME_OK);
	assert_int_equal(kontor_arg_time(request, "since"), since);
	assert_int_equal(kontor_arg_list(request, "payouts")->ptr[1].via.u64, 6);
	assert_int_equal(kontor_get_uint(&kontor_arg_list(request, "items")->ptr[0], "shop_user_id", 0), 77);
	assert_true(kontor_arg_given(request, "items"));
	assert_false(kontor_arg_given(request, "loose"));
}

static int begin_with(const struct kontor_method *method, const char *text, int number)
{
	open_body();
	if (text)
		kontor_put_string(w, "text", text);
	kontor_put_int(w, "number", number);
	kontor_write_end(w);
	struct kontor_request_options options = options_for(method, KONTOR_ROLE_VIEWER);
	const void *data;
	char bytes[64]; /* gone when the next request is read */
	assert_int_equal(kontor_writer_finish(w, &data, &options.body_size, &err), 0);
	assert_in_range(options.body_size, 1, sizeof(bytes));
	options.body = memcpy(bytes, data, options.body_size);
	int rc = kontor_request_begin(&request, &options, &err);
	memset(bytes, 'X', sizeof(bytes));
	return rc;
}

static void test_a_repeated_request_has_its_own_arguments(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++) {
		assert_int_equal(begin_with(&all, "first", 1), 0);
		memset(kontor_arena_alloc(kontor_request_arena(request), 3000), 'Y', 3000);
		assert_int_equal(begin_with(&all, "first", 1), 0);
		memset(kontor_arena_alloc(kontor_request_arena(request), 3000), 'Z', 3000);
		assert_string_equal(kontor_arg_string(request, "text"), "first");
		assert_int_equal(kontor_arg_int(request, "number"), 1);
		assert_int_equal(begin_with(&all, "other", 2), 0);
		assert_string_equal(kontor_arg_string(request, "text"), "other");
		assert_int_equal(kontor_arg_int(request, "number"), 2);
		assert_int_equal(begin_with(&windows, "other", 2), KONTOR_E_BAD_REQUEST);
		assert_int_equal(begin_with(&all, "other", 1001), KONTOR_E_BAD_REQUEST);
		assert_int_equal(begin_with(&all, "other", 1001), KONTOR_E_BAD_REQUEST);
		assert_int_equal(begin_with(&all, NULL, 2), 0);
		assert_string_equal(kontor_arg_string(request, "text"), "");
	}
}

static void test_absent_and_nil_arguments_are_empty(void **state)
{
	(void)state;
	open_body();
	kontor_put_string(w, "text", NULL);
	assert_int_equal(check_all(), 0);
	assert_false(kontor_arg_given(request, "text"));
	assert_string_equal(kontor_arg_string(request, "text"), "");
	assert_string_equal(kontor_arg_string(request, "region"), "");
	assert_int_equal(kontor_arg_id(request, "shop_user_id"), 0);
	assert_null(kontor_arg_list(request, "payouts"));
	assert_null(kontor_arg_bytes(request, "data").data);
}

static void refuse_string(const char *name, const char *value, const char *words)
{
	open_body();
	kontor_put_string(w, name, value);
	assert_refused(check_all(), words);
}

static void refuse_int(const char *name, int64_t value, const char *words)
{
	open_body();
	kontor_put_int(w, name, value);
	assert_refused(check_all(), words);
}

static void test_a_wrong_value_names_argument_and_rule(void **state)
{
	(void)state;
	refuse_int("number", 1001, "test.all: argument number must be a whole number of -5 to 1000, not 1001");
	refuse_int("number", -6, "argument number");
	refuse_string("number", "5", "argument number must be a whole number");
	refuse_int("shop_user_id", 0, "argument shop_user_id must be an id");
	refuse_int("shop_user_id", -1, "argument shop_user_id");
	refuse_string("shop_user_id", "007", "argument shop_user_id");
	refuse_string("shop_user_id", "9223372036854775808", "argument shop_user_id");
	refuse_int("early", 1, "argument early must be true or false");
	refuse_string("text", "", "argument text must be a string of 1 to 10");
	refuse_string("text", "12345678901", "argument text");
	refuse_string("text", "\xc3\x28", "argument text must be a string of UTF-8");
	refuse_string("data", "12345", "argument data must be bytes");
	refuse_string("region", "sg", "argument region must be a region: two capital letters");
	refuse_string("region", "XX",
		      "argument region must be a region that is configured here (conf/regions/), not \"XX\"");
	refuse_string("window", "2027-W53", "argument window must be a settlement window");
	refuse_string("window", "2026-45", "argument window");
	refuse_string("profile", "../etc", "argument profile must be a name");
	refuse_string("since", "2026-02-30T00:00:00Z", "argument since must be a time");
	refuse_string("since", "2026-02-20T00:00:00", "argument since must be a time");
	refuse_string("items", "x", "argument items must be a list");
	refuse_int("payouts", 5, "argument payouts must be a list");
}

static void test_a_region_of_another_datacenter_is_not_served_here(void **state)
{
	(void)state;
	open_body();
	kontor_put_string(w, "region", "BR");
	assert_int_equal(check_all(), KONTOR_E_UNAVAILABLE);
	assert_non_null(strstr(err.message, "datacenter sao"));
}

static void test_list_elements_are_named_by_their_place(void **state)
{
	(void)state;
	open_body();
	kontor_put_array(w, "items");
	kontor_write_map(w);
	kontor_put_uint(w, "shop_user_id", 1);
	kontor_write_end(w);
	kontor_write_map(w);
	kontor_put_uint(w, "shop_user_id", 2);
	kontor_put_string(w, "note", "too long");
	kontor_write_end(w);
	kontor_write_end(w);
	assert_refused(check_all(), "argument items[1].note must be a string of 0 to 5");

	open_body();
	kontor_put_array(w, "items");
	kontor_write_map(w);
	kontor_write_end(w);
	kontor_write_end(w);
	assert_refused(check_all(), "argument items[0].shop_user_id is missing");

	open_body();
	kontor_put_array(w, "items");
	kontor_write_map(w);
	kontor_put_int(w, "shop_userid", 1);
	kontor_write_end(w);
	kontor_write_end(w);
	assert_refused(check_all(), "no argument \"items[0].shop_userid\"; did you mean shop_user_id");

	open_body();
	kontor_put_array(w, "payouts");
	kontor_write_string(w, "12x");
	kontor_write_end(w);
	assert_refused(check_all(), "argument payouts[0] must be an id");

	open_body();
	kontor_put_array(w, "payouts");
	kontor_write_end(w);
	assert_refused(check_all(), "argument payouts must be a list, with a length of 1 to 3");

	open_body(); /* without a table of fields anything goes: the plugin judges element by element */
	kontor_put_array(w, "loose");
	kontor_write_int(w, -1);
	kontor_write_end(w);
	assert_int_equal(check_all(), 0);
}

static void test_unknown_missing_and_double_arguments(void **state)
{
	(void)state;
	open_body();
	kontor_put_string(w, "widnow", "2026-W45");
	assert_refused(check_all(), "no argument \"widnow\"; did you mean window");
	open_body();
	kontor_put_bool(w, "early", true);
	kontor_put_bool(w, "early", true);
	assert_refused(check_all(), "argument early must be given only once");
	open_body();
	kontor_write_end(w);
	assert_refused(begin(&windows), "argument region is missing: the region whose windows are listed");
	open_body();
	kontor_put_int(w, "x", 1);
	kontor_write_end(w);
	assert_refused(begin(&none), "takes no argument");
}

/* ---- running ------------------------------------------------------------------------------------------------- */

static int run(const struct kontor_method *method, unsigned roles, const char *key, int64_t deadline_ms)
{
	struct kontor_request_options options = options_for(method, roles);
	const void *data = NULL;
	size_t size = 0;
	options.key = key;
	options.deadline_ms = deadline_ms;
	err = (struct kontor_error)KONTOR_ERROR_INIT;
	assert_int_equal(kontor_request_begin(&request, &options, &err), 0);
	int rc = kontor_request_run(request, &data, &size, &err);
	assert_int_equal(rc, err.code);
	return rc;
}

static void test_roles_keys_and_deadlines_are_checked_before_the_handler_runs(void **state)
{
	(void)state;
	handled = 0;
	assert_int_equal(run(&none, KONTOR_ROLE_OPERATOR, "", 0), KONTOR_E_DENIED);
	assert_non_null(strstr(err.message, "needs the role admin"));
	assert_int_equal(run(&internal, KONTOR_ROLE_ADMIN, "", 0), KONTOR_E_DENIED);
	assert_int_equal(run(&changing, KONTOR_ROLE_VIEWER, "k", 0), KONTOR_E_DENIED);
	assert_int_equal(run(&changing, KONTOR_ROLE_OPERATOR, "", 0), KONTOR_E_BAD_REQUEST);
	assert_non_null(strstr(err.message, "needs an idempotency key"));
	assert_int_equal(run(&all, KONTOR_ROLE_VIEWER, "", kontor_monotonic_ms() - 1), KONTOR_E_DEADLINE);
	assert_int_equal(handled, 0);
	assert_int_equal(run(&all, KONTOR_ROLE_APPROVER, "", kontor_monotonic_ms() + 1000), 0);
	assert_int_equal(run(&internal, KONTOR_ROLE_UNIT, "", 0), 0);
	assert_int_equal(run(&none, KONTOR_ROLE_ADMIN, "", 0), 0);
	assert_int_equal(handled, 3);
}

static void test_a_handlers_failure_is_the_answer(void **state)
{
	(void)state;
	assert_int_equal(run(&failing, KONTOR_ROLE_VIEWER, "", 0), KONTOR_E_NOT_FOUND);
	assert_string_equal(err.message, "there is no upload 17");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_type_is_converted),
		cmocka_unit_test(test_a_repeated_request_has_its_own_arguments),
		cmocka_unit_test(test_absent_and_nil_arguments_are_empty),
		cmocka_unit_test(test_a_wrong_value_names_argument_and_rule),
		cmocka_unit_test(test_a_region_of_another_datacenter_is_not_served_here),
		cmocka_unit_test(test_list_elements_are_named_by_their_place),
		cmocka_unit_test(test_unknown_missing_and_double_arguments),
		cmocka_unit_test(test_roles_keys_and_deadlines_are_checked_before_the_handler_runs),
		cmocka_unit_test(test_a_handlers_failure_is_the_answer),
	};
	static const struct kontor_region regions[] = {{.code = "SG", .home = "dev", .home_here = true},
						       {.code = "BR", .home = "sao"}};
	struct kontor_host_options options = {.unit = "test", .regions = regions, .regions_len = 2};
	host = kontor_host_new(&options);
	w = kontor_writer_new();
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	kontor_request_free(request);
	kontor_writer_free(w);
	kontor_host_free(host);
	return failed;
}
