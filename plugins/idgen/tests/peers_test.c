/* SPDX-License-Identifier: Apache-2.0
 *
 * What is concluded from the reports of other units, and reports on the wire. Times are made up.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kontor/host.h"
#include "peers.h"
#include "request.h"

#define OURS "0123456789abcdef0123456789abcdef"
#define OTHER "fedcba9876543210fedcba9876543210"
#define THIRD "aaaaaaaaaaaaaaaabbbbbbbbbbbbbbbb"
#define NORTH "ipc:///run/north.sock"
#define SOUTH "ipc:///run/south.sock"
#define WALL_MS INT64_C(1795000000000)

static struct peers *book;
static struct peer_report report, read_back;
static struct kontor_error err;

static int book_begin(void **state)
{
	(void)state;
	err = (struct kontor_error)KONTOR_ERROR_INIT;
	book = peers_new(3);
	return book ? 0 : -1;
}

static int book_end(void **state)
{
	(void)state;
	book = peers_free(book);
	return 0;
}

/* What a unit says that has no marks. */
static void set_report(const char *unit, unsigned datacenter, const char *cluster_uuid)
{
	memset(&report, 0, sizeof(report));
	report.datacenter = datacenter;
	report.process = 7;
	report.wall_ms = WALL_MS;
	snprintf(report.unit, sizeof(report.unit), "%s", unit);
	snprintf(report.cluster_uuid, sizeof(report.cluster_uuid), "%s", cluster_uuid);
}

static void add_mark(const char *key, uint64_t epoch, uint64_t hwm, bool held)
{
	struct peer_mark *mark = &report.marks[report.marks_len++];
	snprintf(mark->key, sizeof(mark->key), "%s", key);
	mark->epoch = epoch;
	mark->hwm = hwm;
	mark->held = held;
}

static void note(const char *endpoint, int64_t monotonic_ms)
{
	assert_int_equal(peers_note(book, endpoint, &report, WALL_MS, monotonic_ms, &err), 0);
}

static void say(const char *endpoint, const char *unit, unsigned datacenter, const char *cluster_uuid)
{
	set_report(unit, datacenter, cluster_uuid);
	note(endpoint, 1000);
}

/* ---- conflicts -------------------------------------------------------------------------------------------------- */

static void assert_conflict(const char *words)
{
	err = (struct kontor_error)KONTOR_ERROR_INIT;
	assert_int_equal(peers_conflict(book, OURS, &err), KONTOR_E_CONFLICT);
	if (!strstr(err.message, words))
		fail_msg("not \"%s\": %s", words, err.message);
}

static void assert_no_conflict(void)
{
	int code = peers_conflict(book, OURS, &err);
	if (code)
		fail_msg("%s", err.message);
}

static void test_two_databases_of_one_datacenter_id_are_a_conflict(void **state)
{
	(void)state;
	say(NORTH, "all@north", 4, OTHER);
	say(NULL, "all@near", 3, OURS);
	say(NULL, "all@new", 3, "");
	assert_no_conflict();
	say(SOUTH, "all@south", 3, OTHER);
	assert_conflict("Ours is cluster 01234567");
	assert_conflict("the other is fedcba98");
	assert_conflict("unit all@south at " SOUTH);
	assert_conflict("datacenter id 3");
	assert_conflict("restart the units of both");
}

/* Each of the two finds it out, whoever asks whom. */
static void test_the_one_that_is_asked_notices_it_too(void **state)
{
	(void)state;
	say(NULL, "all@south", 3, OTHER);
	assert_conflict("the other is fedcba98, of unit all@south");
}

static void test_a_conflict_goes_away_when_that_unit_agrees(void **state)
{
	(void)state;
	say(SOUTH, "all@south", 3, OTHER);
	say(NORTH, "all@north", 4, THIRD); /* others do not matter */
	say(NULL, "all@east", 3, OURS);
	peers_note_problem(book, SOUTH, "nobody answers"); /* nor does its silence */
	note(NORTH, INT64_C(1) << 40);                     /* nor time */
	assert_conflict("all@south");
	say(SOUTH, "all@south", 5, OTHER); /* another datacenter id */
	assert_no_conflict();
	say(SOUTH, "all@south", 3, THIRD);
	assert_conflict("aaaaaaaa");
	say(SOUTH, "all@south", 3, OURS); /* our database */
	assert_no_conflict();
}

/* It got a new database, and called us before we asked it again. */
static void test_the_calls_of_a_cured_unit_leave_no_conflict(void **state)
{
	(void)state;
	say(NULL, "all@south", 3, OTHER);
	say(SOUTH, "all@south", 3, OTHER);
	assert_conflict("all@south");
	say(NULL, "all@south", 5, THIRD);
	assert_conflict("all@south");
	say(SOUTH, "all@south", 5, THIRD);
	assert_no_conflict();
	say(SOUTH, "all@south", 3, OTHER);
	say(NULL, "all@south", 5, OTHER);
	assert_no_conflict();
}

/* What it said when it called, and what it says when it is asked, are the same unit's words. */
static void test_a_unit_that_calls_and_is_asked_is_one(void **state)
{
	(void)state;
	say(NULL, "all@south", 3, THIRD);
	say(SOUTH, "all@south", 3, OTHER);
	say(SOUTH, "all@south", 3, THIRD);
	assert_conflict("the other is aaaaaaaa, of unit all@south at " SOUTH);
	say(SOUTH, "all@south", 3, OURS);
	assert_no_conflict();
}

static void test_another_unit_at_the_endpoint_takes_nothing_back(void **state)
{
	(void)state;
	say(SOUTH, "all@south", 3, OTHER);
	say(SOUTH, "ids@south", 4, THIRD);
	assert_conflict("of unit all@south");
	say(NULL, "all@south", 3, OURS); /* a machine of the same name */
	assert_conflict("of unit all@south");
}

static void test_without_a_bound_database_any_bound_one_conflicts(void **state)
{
	(void)state;
	say(NORTH, "all@north", 4, OTHER);
	assert_int_equal(peers_conflict(book, "", &err), 0);
	say(SOUTH, "all@south", 3, OTHER);
	assert_int_equal(peers_conflict(book, "", &err), KONTOR_E_CONFLICT);
	assert_non_null(strstr(err.message, "Ours is cluster unbound"));
}

static void test_a_unit_is_no_peer_of_itself(void **state)
{
	(void)state;
	int64_t offset_ms = 5;
	set_report("all@here", 3, OTHER);
	report.process = peers_process(book);
	add_mark("std63/1", 1, 100, true);
	note(SOUTH, 1000);
	assert_no_conflict();
	assert_int_equal(peers_hwm(book, OTHER, "std63/1", 1000, NULL, NULL), 0);
	assert_int_equal(peers_clock_offset(book, 1000, &offset_ms), 0);
	assert_int_equal(offset_ms, 5);
}

static void test_many_peers_come_and_go(void **state)
{
	(void)state;
	char unit[32];
	int64_t offset_ms;
	for (int i = 0; i < 500; i++) {
		snprintf(unit, sizeof(unit), "all@pod-%d", i);
		set_report(unit, 3, OURS);
		note(i % 2 ? SOUTH : NULL, INT64_C(1000) * i);
	}
	assert_int_equal(peers_clock_offset(book, 499000, &offset_ms), 1 + PEERS_RECENT_MS / 1000);
	say(NULL, "all@south", 3, OTHER);
	assert_conflict("all@south");
}

/* ---- high-water marks ------------------------------------------------------------------------------------------- */

static void test_the_largest_mark_of_our_cluster_counts(void **state)
{
	(void)state;
	uint64_t epoch = 9;
	bool held = true;
	assert_int_equal(peers_hwm(book, OURS, "std63/7", 1000, &epoch, &held), 0);
	assert_true(epoch == 0 && !held);
	set_report("all@near", 3, OURS);
	add_mark("std63/7", 4, 500, true);
	add_mark("segment/tickets", 1, 70, false);
	note(NULL, 1000);
	set_report("all@far", 3, OURS);
	add_mark("std63/7", 5, 400, false);
	note(NORTH, 2000);
	set_report("all@far", 3, OTHER);
	add_mark("std63/7", 90, 9000, true);
	note(NORTH, 2000);
	set_report("all@elsewhere", 4, OURS); /* cannot be; whatever it is, it is not about our slots */
	add_mark("std63/7", 90, 9000, true);
	note(SOUTH, 2000);
	assert_int_equal(peers_hwm(book, OURS, "std63/7", 2000, &epoch, &held), 500);
	assert_true(epoch == 5 && held);
	assert_int_equal(peers_hwm(book, OURS, "segment/tickets", 2000, &epoch, &held), 70);
	assert_true(epoch == 1 && !held);
	assert_int_equal(peers_hwm(book, OTHER, "std63/7", 2000, NULL, NULL), 9000);
}

static void test_a_mark_stays_but_holding_it_ends(void **state)
{
	(void)state;
	bool held;
	uint64_t epoch;
	set_report("all@near", 3, OURS);
	add_mark("std63/7", 4, 500, true);
	note(NULL, 1000);
	report.marks[0] = (struct peer_mark){.key = "std63/7", .epoch = 1, .hwm = 1};
	note(NULL, 20000);
	assert_int_equal(peers_hwm(book, OURS, "std63/7", 1000 + PEERS_RECENT_MS, &epoch, &held), 500);
	assert_true(held && epoch == 4);
	assert_int_equal(peers_hwm(book, OURS, "std63/7", 1001 + PEERS_RECENT_MS, NULL, &held), 500);
	assert_false(held);
}

/* More of them than a hash keeps apart by itself. */
static void test_the_same_key_of_many_clusters_is_kept_apart(void **state)
{
	(void)state;
	char cluster_uuid[CLUSTER_UUID_SIZE];
	for (uint64_t i = 1; i <= 500; i++) {
		snprintf(cluster_uuid, sizeof(cluster_uuid), "%032d", (int)i);
		set_report("all@near", 3, cluster_uuid);
		add_mark("std63/7", 1, i, false);
		note(NULL, 1000);
	}
	for (uint64_t i = 1; i <= 500; i++) {
		snprintf(cluster_uuid, sizeof(cluster_uuid), "%032d", (int)i);
		assert_int_equal(peers_hwm(book, cluster_uuid, "std63/7", 1000, NULL, NULL), i);
	}
}

static void test_too_many_keys_are_said(void **state)
{
	(void)state;
	int code = 0, refused_at = 0;
	set_report("all@near", 3, OURS);
	add_mark("", 1, 0, false);
	for (int i = 1; i <= PEERS_KEYS + 1; i++) {
		snprintf(report.marks[0].key, sizeof(report.marks[0].key), "segment/%d", i);
		report.marks[0].hwm = (uint64_t)i;
		code = peers_note(book, NULL, &report, WALL_MS, 1000, &err);
		refused_at = code && !refused_at ? i : refused_at;
	}
	assert_int_equal(refused_at, PEERS_KEYS + 1);
	assert_int_equal(code, KONTOR_E_TOO_BIG);
	assert_int_equal(peers_hwm(book, OURS, "segment/768", 1000, NULL, NULL), 768);
	assert_int_equal(peers_hwm(book, OURS, "segment/769", 1000, NULL, NULL), 0);
}

/* ---- clocks ----------------------------------------------------------------------------------------------------- */

static void say_clock(const char *unit, int64_t offset_ms, int64_t monotonic_ms)
{
	set_report(unit, 4, OTHER);
	report.wall_ms = WALL_MS + offset_ms;
	note(NULL, monotonic_ms);
}

static void test_a_report_of_unknown_age_says_nothing_of_the_clock(void **state)
{
	(void)state;
	int64_t offset_ms = 7;
	say_clock("a", -52000, 1000);
	set_report("b", 4, OTHER);
	report.wall_ms = WALL_MS - 52000;
	assert_int_equal(peers_note(book, NULL, &report, PEERS_NO_CLOCK, 1000, &err), 0);
	assert_int_equal(peers_clock_offset(book, 1000, &offset_ms), 1);
	set_report("a", 4, OTHER);
	assert_int_equal(peers_note(book, NULL, &report, PEERS_NO_CLOCK, 2000 + PEERS_RECENT_MS, &err), 0);
	assert_int_equal(peers_clock_offset(book, 2000 + PEERS_RECENT_MS, &offset_ms), 0); /* heard, but not compared */
}

static void test_the_median_of_the_clocks_heard_lately(void **state)
{
	(void)state;
	int64_t offset_ms = 1;
	assert_int_equal(peers_clock_offset(book, 0, &offset_ms), 0);
	say_clock("a", -100, 1000);
	assert_int_equal(peers_clock_offset(book, 1000, &offset_ms), 1);
	assert_int_equal(offset_ms, -100);
	say_clock("b", 300, 2000);
	assert_int_equal(peers_clock_offset(book, 2000, &offset_ms), 2);
	assert_int_equal(offset_ms, 300); /* not half-way to a clock that may be the wrong one */
	say_clock("c", 86400000, 2000);   /* one wrong clock moves nothing */
	assert_int_equal(peers_clock_offset(book, 2000, &offset_ms), 3);
	assert_int_equal(offset_ms, 300);
	assert_int_equal(peers_clock_offset(book, 1001 + PEERS_RECENT_MS, &offset_ms), 2);
	assert_int_equal(peers_clock_offset(book, 2001 + PEERS_RECENT_MS, &offset_ms), 0);
}

/* ---- for people ------------------------------------------------------------------------------------------------- */

static kontor_body *put_book(kontor_writer *w)
{
	const void *data;
	size_t size;
	kontor_body *body = NULL;
	kontor_write_map(w);
	peers_put(book, OURS, 5000, w);
	kontor_write_end(w);
	assert_int_equal(kontor_writer_finish(w, &data, &size, &err), 0);
	assert_int_equal(kontor_body_parse(data, size, &body, &err), 0);
	return body;
}

static void assert_entry(const msgpack_object *list, uint32_t i, const char *key, const char *value)
{
	char text[256];
	assert_true(i < list->via.array.size);
	assert_string_equal(kontor_get_string(&list->via.array.ptr[i], key, text, sizeof(text)), value);
}

static void test_peers_are_shown_with_their_problems(void **state)
{
	(void)state;
	kontor_writer *w = kontor_writer_new();
	say(NORTH, "all@north", 4, OTHER);
	peers_note_problem(book, NORTH, "nobody answers");
	peers_note_problem(book, "ipc:///run/west.sock", "uid 5 is no user here");
	set_report("all@here", 3, OURS);
	report.process = peers_process(book);
	note("ipc:///run/here.sock", 1000);
	say(NULL, "all@south", 3, OTHER);
	kontor_body *body = put_book(w);
	const msgpack_object *list = kontor_get(kontor_body_map(body), "peers");
	assert_int_equal(list->via.array.size, 4);
	assert_entry(list, 0, "endpoint", NORTH);
	assert_entry(list, 0, "unit", "all@north");
	assert_entry(list, 0, "problem", "nobody answers");
	assert_int_equal(kontor_get_int(&list->via.array.ptr[0], "heard_ms_ago", 0), 4000);
	assert_entry(list, 1, "endpoint", "ipc:///run/west.sock");
	assert_entry(list, 1, "problem", "uid 5 is no user here");
	assert_entry(list, 2, "unit", "this one");
	assert_entry(list, 2, "problem", "");
	assert_entry(list, 3, "unit", "all@south");
	assert_entry(list, 3, "problem", "it has our datacenter id and another database");
	kontor_body_free(body);
	say(NORTH, "all@north", 4, OTHER); /* it answers again */
	kontor_writer_reset(w);
	body = put_book(w);
	assert_entry(kontor_get(kontor_body_map(body), "peers"), 0, "problem", "");
	kontor_body_free(body);
	kontor_writer_free(w);
}

/* ---- reports on the wire ---------------------------------------------------------------------------------------- */

static void fill_report(void)
{
	char key[JOURNAL_KEY_SIZE];
	set_report("all@north", 15, OTHER);
	report.process = INT64_MAX;
	report.wall_ms = -5;
	for (int i = 0; i < PEER_MARKS; i++) {
		snprintf(key, sizeof(key), "segment/%039d", i);
		add_mark(key, (uint64_t)i, UINT64_MAX - (uint64_t)i, i % 3 == 0);
	}
}

static kontor_body *body_of_report(void)
{
	const void *data;
	size_t size;
	kontor_body *body = NULL;
	kontor_writer *w = kontor_writer_new();
	kontor_write_map(w);
	peer_report_put(&report, w);
	kontor_write_end(w);
	assert_int_equal(kontor_writer_finish(w, &data, &size, &err), 0);
	assert_int_equal(kontor_body_parse(data, size, &body, &err), 0);
	kontor_writer_free(w);
	return body;
}

static void test_a_report_arrives_as_it_was_sent(void **state)
{
	(void)state;
	fill_report();
	kontor_body *body = body_of_report();
	memset(&read_back, 0xff, sizeof(read_back));
	assert_int_equal(peer_report_read(kontor_body_map(body), &read_back, &err), 0);
	assert_memory_equal(&read_back, &report, sizeof(report));
	kontor_body_free(body);
}

static void assert_not_read(const char *name)
{
	kontor_body *body = body_of_report();
	err = (struct kontor_error)KONTOR_ERROR_INIT;
	assert_int_equal(peer_report_read(kontor_body_map(body), &read_back, &err), KONTOR_E_BAD_REQUEST);
	if (!strstr(err.message, name))
		fail_msg("not %s: %s", name, err.message);
	kontor_body_free(body);
}

static void test_a_report_that_makes_no_sense_is_refused(void **state)
{
	(void)state;
	kontor_body *empty = NULL;
	assert_int_equal(kontor_body_parse("\x80", 1, &empty, &err), 0);
	assert_int_equal(peer_report_read(kontor_body_map(empty), &read_back, &err), KONTOR_E_BAD_REQUEST);
	kontor_body_free(empty);
	set_report("all@north", 0, OTHER);
	assert_not_read("datacenter");
	set_report("all@north", 16, OTHER);
	assert_not_read("datacenter");
	set_report("", 3, OTHER);
	assert_not_read("unit");
	set_report("all@north\nlevel=error", 3, OTHER);
	assert_not_read("unit");
	set_report("all@north", 3, "\x1b[2J");
	assert_not_read("cluster");
	set_report("all@north", 3, OTHER);
	add_mark("", 1, 1, true);
	assert_not_read("key");
}

/* Bytes instead of a report: no element is taken for granted. */
static void test_elements_of_other_types_are_refused(void **state)
{
	(void)state;
	static const char *const names[] = {"datacenter", "cluster", "unit", "process", "wall_ms", "marks"};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		set_report("all@north", 3, OTHER);
		kontor_body *body = body_of_report();
		msgpack_object_map map = kontor_body_map(body)->via.map;
		map.ptr[i].val = (msgpack_object){.type = MSGPACK_OBJECT_BOOLEAN, .via.boolean = true};
		msgpack_object broken = {.type = MSGPACK_OBJECT_MAP, .via.map = map};
		assert_int_equal(peer_report_read(&broken, &read_back, &err), KONTOR_E_BAD_REQUEST);
		assert_non_null(strstr(err.message, names[i]));
		kontor_body_free(body);
	}
	fill_report();
	report.marks_len = 1;
	for (uint32_t i = 0; i < 3; i++) {
		kontor_body *body = body_of_report();
		const msgpack_object *marks = kontor_get(kontor_body_map(body), "marks");
		marks->via.array.ptr[0].via.map.ptr[i].val.type = MSGPACK_OBJECT_BOOLEAN;
		assert_int_equal(peer_report_read(kontor_body_map(body), &read_back, &err), KONTOR_E_BAD_REQUEST);
		kontor_body_free(body);
	}
}

static void test_more_marks_than_there_is_room_for_are_refused(void **state)
{
	(void)state;
	const void *data;
	size_t size;
	kontor_body *body = NULL;
	kontor_writer *w = kontor_writer_new();
	set_report("all@north", 3, OTHER);
	kontor_write_map(w);
	kontor_put_array(w, "marks");
	for (int i = 0; i <= PEER_MARKS; i++) {
		kontor_write_map(w);
		kontor_put_string(w, "key", "std63/1");
		kontor_put_uint(w, "epoch", 1);
		kontor_put_uint(w, "hwm", 1);
		kontor_write_end(w);
	}
	kontor_write_end(w);
	peer_report_put(&report, w); /* its marks are the second ones, and not looked at */
	kontor_write_end(w);
	assert_int_equal(kontor_writer_finish(w, &data, &size, &err), 0);
	assert_int_equal(kontor_body_parse(data, size, &body, &err), 0);
	assert_int_equal(peer_report_read(kontor_body_map(body), &read_back, &err), KONTOR_E_BAD_REQUEST);
	assert_non_null(strstr(err.message, "\"marks\""));
	kontor_body_free(body);
	kontor_writer_free(w);
}

static int take_report(void *self, kontor_request *request)
{
	(void)self;
	return peer_report_take(request, &read_back);
}

/* As the host does it: the table's checks, then the handler. */
static int handle_report(kontor_host *host)
{
	struct kontor_method method = {.name = "peer",
				       .visibility = KONTOR_INTERNAL,
				       .role = KONTOR_ROLE_UNIT,
				       .args = peer_report_args,
				       .args_len = PEER_REPORT_ARGS,
				       .handle = take_report};
	struct kontor_request_options options = {.host = host, .service = "idgen", .method = &method, .key = ""};
	kontor_request *request = NULL;
	kontor_writer *w = kontor_writer_new();
	const void *data;
	size_t size;
	snprintf(options.user.name, sizeof(options.user.name), "all");
	options.user.roles = KONTOR_ROLE_UNIT;
	kontor_write_map(w);
	peer_report_put(&report, w);
	kontor_write_end(w);
	assert_int_equal(kontor_writer_finish(w, &options.body, &options.body_size, &err), 0);
	int code = kontor_request_begin(&request, &options, &err);
	if (!code)
		code = kontor_request_run(request, &data, &size, &err);
	kontor_request_free(request);
	kontor_writer_free(w);
	return code;
}

static void test_a_request_is_read_like_a_reply(void **state)
{
	(void)state;
	kontor_host *host = kontor_host_new(&(struct kontor_host_options){.unit = "all", .datacenter = "here"});
	fill_report();
	for (size_t i = 0; i < report.marks_len; i++)
		report.marks[i].hwm >>= 1;
	assert_int_equal(handle_report(host), 0);
	assert_memory_equal(&read_back, &report, sizeof(report));
	set_report("all@north", 3, "");
	assert_int_equal(handle_report(host), 0);
	assert_memory_equal(&read_back, &report, sizeof(report));
	set_report("all north", 3, OTHER);
	assert_int_equal(handle_report(host), KONTOR_E_BAD_REQUEST);
	set_report("all@north", 16, OTHER);
	assert_int_equal(handle_report(host), KONTOR_E_BAD_REQUEST);
	set_report("all@north", 3, OTHER);
	add_mark("std63/\x7f", 1, 1, false);
	assert_int_equal(handle_report(host), KONTOR_E_BAD_REQUEST);
	kontor_host_free(host);
}

int main(void)
{
#define WITH_BOOK(test) cmocka_unit_test_setup_teardown(test, book_begin, book_end)
	const struct CMUnitTest tests[] = {
		WITH_BOOK(test_two_databases_of_one_datacenter_id_are_a_conflict),
		WITH_BOOK(test_the_one_that_is_asked_notices_it_too),
		WITH_BOOK(test_a_conflict_goes_away_when_that_unit_agrees),
		WITH_BOOK(test_the_calls_of_a_cured_unit_leave_no_conflict),
		WITH_BOOK(test_a_unit_that_calls_and_is_asked_is_one),
		WITH_BOOK(test_another_unit_at_the_endpoint_takes_nothing_back),
		WITH_BOOK(test_without_a_bound_database_any_bound_one_conflicts),
		WITH_BOOK(test_a_unit_is_no_peer_of_itself),
		WITH_BOOK(test_many_peers_come_and_go),
		WITH_BOOK(test_the_largest_mark_of_our_cluster_counts),
		WITH_BOOK(test_a_mark_stays_but_holding_it_ends),
		WITH_BOOK(test_the_same_key_of_many_clusters_is_kept_apart),
		WITH_BOOK(test_too_many_keys_are_said),
		WITH_BOOK(test_a_report_of_unknown_age_says_nothing_of_the_clock),
		WITH_BOOK(test_the_median_of_the_clocks_heard_lately),
		WITH_BOOK(test_peers_are_shown_with_their_problems),
		cmocka_unit_test(test_a_report_arrives_as_it_was_sent),
		cmocka_unit_test(test_a_report_that_makes_no_sense_is_refused),
		cmocka_unit_test(test_elements_of_other_types_are_refused),
		cmocka_unit_test(test_more_marks_than_there_is_room_for_are_refused),
		cmocka_unit_test(test_a_request_is_read_like_a_reply),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
