/* SPDX-License-Identifier: Apache-2.0
 *
 * What becomes of an uploaded file: every row its verdict, all of it or nothing.
 */
#include "fixture.h"

/* ---- files ------------------------------------------------------------------------------------------------------- */

struct text {
	char *data;
	size_t size, capacity;
};

static void append(struct text *text, const void *data, size_t size)
{
	if (text->size + size > text->capacity) {
		text->capacity = (text->size + size) * 2;
		text->data = realloc(text->data, text->capacity);
		assert_non_null(text->data);
	}
	memcpy(text->data + text->size, data, size);
	text->size += size;
}

static void append_line(struct text *text, const char *line)
{
	append(text, line, strlen(line));
}

/* "id,amount,note" and `rows` good rows with amount 1. */
static struct text many_rows(unsigned rows)
{
	struct text text = {0};
	char line[64];
	append_line(&text, "id,amount,note\n");
	for (unsigned i = 1; i <= rows; i++) {
		snprintf(line, sizeof(line), "%u,1,note %u of this file\n", i, i * 7919u);
		append_line(&text, line);
	}
	return text;
}

struct reject {
	uint64_t line;
	const char *column, *verdict, *reason, *raw;
	size_t raw_size; /* 0: length of raw */
};

static void assert_text(const msgpack_object *map, const char *key, const char *expected, size_t size)
{
	struct kontor_text text = kontor_get_text(map, key);
	assert_non_null(text.data);
	if (text.size != size || memcmp(text.data, expected, size) != 0)
		fail_msg("%s is \"%.*s\", not \"%s\"", key, (int)text.size, text.data, expected);
}

static void assert_rejects(uint64_t upload_id, const struct reject *expected, size_t len)
{
	kontor_writer *args = arguments();
	kontor_put_uint(args, "upload_id", upload_id);
	kontor_body *page = call("rejects", args);
	const msgpack_object *rows = kontor_get(kontor_body_map(page), "rows");
	for (size_t i = 0; i < rows->via.array.size && i < len; i++) {
		const msgpack_object *row = &rows->via.array.ptr[i];
		assert_int_equal(kontor_get_uint(row, "line", 0), expected[i].line);
		assert_text(row, "column", expected[i].column, strlen(expected[i].column));
		assert_text(row, "verdict", expected[i].verdict, strlen(expected[i].verdict));
		char reason[300];
		if (!strstr(kontor_get_string(row, "reason", reason, sizeof(reason)), expected[i].reason))
			fail_msg("line %llu: \"%s\" should say \"%s\"", (unsigned long long)expected[i].line, reason,
				 expected[i].reason);
		assert_text(row, "raw", expected[i].raw,
			    expected[i].raw_size ? expected[i].raw_size : strlen(expected[i].raw));
	}
	assert_int_equal(rows->via.array.size, len);
	kontor_body_free(page);
}

/* ---- verdicts ---------------------------------------------------------------------------------------------------- */

static void check_every_verdict(size_t piece)
{
	struct text file = {0};
	append_line(&file, "\xef\xbb\xbf"
			   "amount,note,id\r\n"         /* columns in another order, after a BOM */
			   "100,plain,1\n"              /* 2 */
			   "200,\"two\r\nlines\",2\r\n" /* 3 and 4 */
			   "\r\n"                       /* 5: an empty line is no row */
			   "1e5,,3\n"                   /* 6 */
			   "5,,x\n"                     /* 7 */
			   "5,4\n"                      /* 8 */
			   "5,,4,4\n"                   /* 9 */
			   "5,caf\xe9,5\n"              /* 10 */
			   "5,a\"b,6\n");               /* 11 */
	append(&file, "5,a\0b,7\n", 8);                 /* 12 */
	append_line(&file, "100,plain,1\n"              /* 13: line 2 again */
			   "7,,8\n"                     /* 14: contradicts 15 */
			   "9,,8\n"                     /* 15 */
			   "11,\"never closed,9\n"      /* 16 */
			   "12,,10");                   /* 17: no line end */
	struct answer sent = send_bytes(file.data, file.size, piece, 0);
	run_to_the_end(sent.job_id);
	assert_state(sent.upload_id, "accepted");
	static const struct reject expected[] = {
		{6, "amount", "bad_row", "not an amount", "1e5,,3", 0},
		{7, "id", "bad_row", "not an id", "5,,x", 0},
		{8, "", "bad_row", "2 fields, but the header has 3", "5,4", 0},
		{9, "", "bad_row", "4 fields, but the header has 3", "5,,4,4", 0},
		{10, "note", "bad_row", "UTF-8", "5,caf\xe9,5", 0},
		{11, "note", "bad_row", "quote inside", "5,a\"b,6", 0},
		{12, "note", "bad_row", "NUL", "5,a\0b,7", 7},
		{13, "", "duplicate_in_file", "line 2", "100,plain,1", 0},
		{14, "", "conflict", "line 15", "7,,8", 0},
		{15, "", "conflict", "line 14", "9,,8", 0},
		{16, "note", "bad_row", "not closed", "11,\"never closed,9", 0},
	};
	assert_rejects(sent.upload_id, expected, sizeof(expected) / sizeof(expected[0]));
	assert_int_equal(verdict_rows(sent.upload_id, "ok"), 3);
	assert_int_equal(query_int("SELECT COUNT(*) FROM test_item WHERE id IN (1, 2, 10) AND accepted = 1"), 3);
	assert_int_equal(query_int("SELECT COUNT(*) FROM test_item"), 3);
	assert_int_equal(query_int("SELECT rows_total FROM upload"), 14);

	kontor_body *upload = get_upload(sent.upload_id);
	const msgpack_object *ok_rows = kontor_get(kontor_get(kontor_body_map(upload), "verdicts"), "ok");
	assert_int_equal(kontor_get_int(kontor_get(ok_rows, "amount_minor"), "SGD", 0), 312);
	kontor_body_free(upload);
	free(file.data);
}

static void test_every_row_has_a_verdict_and_bad_ones_come_back(void **state)
{
	check_every_verdict(PIECE_LIMIT);
	reset(state);
	check_every_verdict(5);
}

static void test_a_file_of_many_chunks_in_small_pieces_is_stored_whole(void **state)
{
	(void)state;
	struct text file = many_rows(65000);
	append_line(&file, "17,1,again\n");    /* 65002 repeats line 18, a chunk before */
	append_line(&file, "12345,2,other\n"); /* 65003 contradicts line 12346 */
	struct answer sent = send_bytes(file.data, file.size, 40000, 0);
	run_to_the_end(sent.job_id);
	assert_state(sent.upload_id, "accepted");
	assert_int_equal(query_int("SELECT COUNT(*) FROM job_chunk"), 2);
	assert_int_equal(query_int("SELECT COUNT(DISTINCT chunk_no, batch_no) FROM upload_total"), 7);
	assert_int_equal(verdict_rows(sent.upload_id, "ok"), 64999);
	assert_int_equal(verdict_rows(sent.upload_id, "duplicate_in_file"), 1);
	assert_int_equal(verdict_rows(sent.upload_id, "conflict"), 2);
	assert_int_equal(query_int("SELECT COUNT(*) FROM test_item"), 64999);
	assert_int_equal(query_int("SELECT SUM(line_no) FROM upload_reject"), 65002 + 65003 + 12346);
	free(file.data);
}

static void test_a_line_of_any_length_costs_only_itself(void **state)
{
	(void)state;
	struct text file = {0};
	char *line = malloc(3 << 20);
	memset(line, 'x', 3 << 20);
	append_line(&file, "id,amount,note\n1,1,");
	append(&file, line, 100000);
	append_line(&file, "\n2,1,fine\n3,1,");
	append(&file, line, 3 << 20);
	append_line(&file, "\n4,1,fine\n");
	struct answer sent = send_bytes(file.data, file.size, PIECE_LIMIT, 0);
	run_to_the_end(sent.job_id);
	assert_state(sent.upload_id, "accepted");
	assert_int_equal(verdict_rows(sent.upload_id, "ok"), 2);
	assert_int_equal(query_int("SELECT COUNT(*) FROM upload_reject WHERE reason LIKE '%64 KiB%'"), 2);
	assert_int_equal(query_int("SELECT LENGTH(raw) FROM upload_reject WHERE line_no = 2"), 100004);
	assert_int_equal(query_int("SELECT LENGTH(raw) FROM upload_reject WHERE line_no = 4"), 65536);
	assert_int_equal(query_int("SELECT SUM(id) FROM test_item"), 6);
	free(line);
	free(file.data);
}

static void test_rejects_come_in_pages_that_fit_a_frame(void **state)
{
	(void)state;
	struct text file = {0};
	uint64_t after = 0, seen = 0;
	unsigned pages = 0;
	char long_line[60000];
	memset(long_line, 'x', sizeof(long_line));
	append_line(&file, "id,amount\n");
	for (int i = 0; i < 2400; i++)
		append_line(&file, "bad,1\n");
	for (int i = 0; i < 100; i++) {
		append(&file, long_line, sizeof(long_line));
		append_line(&file, "\n");
	}
	struct answer sent = send_bytes(file.data, file.size, PIECE_LIMIT, 0);
	run_to_the_end(sent.job_id);
	do {
		kontor_writer *args = arguments();
		kontor_put_uint(args, "upload_id", sent.upload_id);
		kontor_put_uint(args, "after", after);
		kontor_body *page = call("rejects", args);
		const msgpack_object *columns = kontor_get(kontor_body_map(page), "columns");
		assert_int_equal(columns->via.array.size, 2);
		pages++;
		seen += kontor_get(kontor_body_map(page), "rows")->via.array.size;
		after = kontor_get_uint(kontor_body_map(page), "next", 0);
		kontor_body_free(page);
	} while (after);
	assert_int_equal(seen, 2500);
	assert_int_equal(pages, 5); /* by 1000 rows, then by bytes */
	free(file.data);
}

/* ---- refused and failed ------------------------------------------------------------------------------------------ */

static int retry_job_tx(kontor_conn *tx, void *arg, struct kontor_error *e)
{
	return kontor_job_retry(tx, *(uint64_t *)arg, e);
}

static void assert_refused(const char *text, const char *word)
{
	char error[512];
	struct answer sent = send_file(text);
	run_to_the_end(sent.job_id);
	assert_state(sent.upload_id, "refused");
	kontor_body *upload = get_upload(sent.upload_id);
	if (!strstr(kontor_get_string(kontor_body_map(upload), "error", error, sizeof(error)), word))
		fail_msg("\"%s\" should name \"%s\"", error, word);
	kontor_body_free(upload);
	struct kontor_job_info info;
	ok(kontor_job_get(conn, sent.job_id, &info, &err));
	assert_string_equal(info.state, "failed");
	assert_int_equal(info.error_code, KONTOR_E_BAD_REQUEST);
	assert_string_equal(info.error, error);
	assert_int_equal(kontor_db_transaction(conn, retry_job_tx, &sent.job_id, &err), KONTOR_E_CONFLICT);
	if (!strstr(err.message, "refused for good"))
		fail_msg("\"%s\" should say that there is no retry", err.message);
}

static void test_a_file_with_a_wrong_header_is_refused_before_any_row(void **state)
{
	(void)state;
	assert_refused("", "empty");
	assert_refused("\n\r\n", "empty");
	assert_refused("id,amount\n", "no rows");
	assert_refused("id,amount\n\n\n", "no rows");
	assert_refused("id,amout\n1,2\n", "\"amount\"");
	assert_refused("id,amount,id\n1,2,1\n", "twice");
	assert_refused("id,note\n1,2\n", "\"amount\" is missing");
	assert_refused("1,2\n3,4\n", "unknown column \"1\"");
	assert_int_equal(test_kind.applied, 0);
	assert_int_equal(query_int("SELECT COUNT(*) FROM test_item"), 0);
	assert_int_equal(query_int("SELECT COUNT(*) FROM upload_piece"), 0);
}

static void test_bytes_that_are_not_the_announced_ones_fail(void **state)
{
	(void)state;
	char error[512];
	static const char sent_text[] = "id,amount\n1,100\n", announced[] = "id,amount\n1,900\n";
	struct answer begun = begin_kind("billing-items", announced, sizeof(announced) - 1, 0);
	send_pieces(begun.upload_id, sent_text, sizeof(sent_text) - 1, PIECE_LIMIT);
	struct answer sent =
		answer_of(call("finish", finish_arguments(begun.upload_id, announced, sizeof(announced) - 1)));
	run_to_the_end(sent.job_id);
	assert_state(sent.upload_id, "failed");
	kontor_body *upload = get_upload(sent.upload_id);
	kontor_get_string(kontor_body_map(upload), "error", error, sizeof(error));
	kontor_body_free(upload);
	for (int i = 0; i < 2; i++) {
		uint8_t sha256[SHA256_SIZE];
		char hex[2 * SHA256_SIZE + 1];
		sha256_of(i ? sent_text : announced, sizeof(sent_text) - 1, sha256);
		assert_non_null(strstr(error, kontor_hex(sha256, SHA256_SIZE, hex)));
	}
	assert_int_equal(query_int("SELECT COUNT(*) FROM test_item"), 0);
}

static void fail_third_apply(void)
{
	if (test_kind.applied < 3) {
		test_kind.interrupt = fail_third_apply;
		return;
	}
	test_kind.failure = KONTOR_E_CONFLICT;
	test_kind.failures = 1;
}

static void test_a_failed_upload_leaves_no_row_and_stays_failed(void **state)
{
	(void)state;
	struct text file = many_rows(25000);
	append_line(&file, "x,1,bad\n");
	test_kind.interrupt = fail_third_apply;
	struct answer sent = send_bytes(file.data, file.size, PIECE_LIMIT, 0);
	run_to_the_end(sent.job_id);
	assert_state(sent.upload_id, "failed");
	assert_int_equal(query_int("SELECT COUNT(*) FROM test_item"), 0);
	assert_int_equal(query_int("SELECT COUNT(*) FROM upload_piece"), 0);
	assert_int_equal(kontor_db_transaction(conn, retry_job_tx, &sent.job_id, &err), KONTOR_E_CONFLICT);
	assert_non_null(strstr(err.message, "upload the file again"));
	assert_state(sent.upload_id, "failed");
	struct answer anew = send_bytes(file.data, file.size, PIECE_LIMIT, 0);
	assert_false(anew.repeated);
	run_to_the_end(anew.job_id);
	assert_int_equal(verdict_rows(anew.upload_id, "ok"), 25000);
	free(file.data);
}

static uint64_t job_to_cancel;

static int cancel_job_tx(kontor_conn *tx, void *arg, struct kontor_error *e)
{
	return kontor_job_cancel(tx, *(uint64_t *)arg, e);
}

static void cancel_at_second_apply(void)
{
	if (test_kind.applied < 2)
		test_kind.interrupt = cancel_at_second_apply;
	else
		ok(kontor_db_transaction(conn, cancel_job_tx, &job_to_cancel, &err));
}

static void test_a_cancelled_upload_leaves_no_row(void **state)
{
	(void)state;
	struct text file = many_rows(45000);
	append_line(&file, "x,1,bad\n");
	test_kind.interrupt = cancel_at_second_apply;
	struct answer sent = send_bytes(file.data, file.size, PIECE_LIMIT, 0);
	job_to_cancel = sent.job_id;
	run_to_the_end(sent.job_id);
	assert_state(sent.upload_id, "cancelled");
	assert_int_equal(query_int("SELECT COUNT(*) FROM test_item"), 0);
	assert_int_equal(query_int("SELECT COUNT(*) FROM upload_piece"), 0);
	assert_int_equal(query_int("SELECT COUNT(*) FROM upload_total"), 0);
	assert_int_equal(query_int("SELECT COUNT(*) FROM upload_reject"), 0);
	free(file.data);
}

static void test_an_accepted_upload_cannot_be_cancelled(void **state)
{
	(void)state;
	struct answer sent = send_file("id,amount\n1,1\n");
	run_to_the_end(sent.job_id);
	assert_int_equal(kontor_db_transaction(conn, cancel_job_tx, &sent.job_id, &err), KONTOR_E_CONFLICT);
	assert_state(sent.upload_id, "accepted");
}

static void test_a_chunk_that_runs_again_counts_once(void **state)
{
	(void)state;
	struct text file = many_rows(100);
	append_line(&file, "x,1,bad\n");
	test_kind.lost_sessions = 1;
	struct answer sent = send_bytes(file.data, file.size, PIECE_LIMIT, 0);
	run_to_the_end(sent.job_id);
	assert_state(sent.upload_id, "accepted");
	assert_int_equal(test_kind.applied, 2);
	assert_int_equal(verdict_rows(sent.upload_id, "ok"), 100);
	assert_int_equal(verdict_rows(sent.upload_id, "already_exists"), 0);
	assert_int_equal(query_int("SELECT SUM(row_count) FROM upload_total"), 101);
	free(file.data);
}

static void test_a_busy_kind_makes_the_upload_wait_and_not_fail(void **state)
{
	(void)state;
	struct kontor_job_info info;
	test_kind.failure = KONTOR_E_BUSY;
	test_kind.failures = 1;
	struct answer sent = send_file("id,amount\n1,1\n");
	run_jobs();
	ok(kontor_job_get(conn, sent.job_id, &info, &err));
	assert_string_equal(info.state, "waiting");
	assert_non_null(strstr(info.error, "on purpose"));
	assert_int_equal(query_int("SELECT MAX(attempts) FROM job_chunk"), 0); /* it may last longer than retries */
	run_to_the_end(sent.job_id);
	assert_state(sent.upload_id, "accepted");
}

static void lose_a_verdict(void)
{
	execute("INSERT INTO upload_total (upload_id, chunk_no, verdict, currency, row_count, amount_minor) "
		"SELECT upload_id, 99, 'ok', 'SGD', 1, 0 FROM upload");
}

static void test_verdicts_that_do_not_add_up_are_never_accepted(void **state)
{
	(void)state;
	test_kind.interrupt = lose_a_verdict;
	struct answer sent = send_file("id,amount\n1,1\n2,1\n");
	run_to_the_end(sent.job_id);
	assert_state(sent.upload_id, "failed");
	assert_int_equal(query_int("SELECT COUNT(*) FROM test_item"), 0);
	assert_int_equal(query_int("SELECT error_code FROM job"), KONTOR_E_INTERNAL);
}

static void test_a_dry_run_gives_verdicts_and_stores_nothing(void **state)
{
	(void)state;
	static const char text[] = "id,amount\n1,1\nx,1\n1,1\n";
	struct answer sent = send_bytes(text, sizeof(text) - 1, PIECE_LIMIT, DRY_RUN);
	run_to_the_end(sent.job_id);
	assert_state(sent.upload_id, "dry_run");
	assert_int_equal(verdict_rows(sent.upload_id, "ok"), 1);
	assert_int_equal(verdict_rows(sent.upload_id, "bad_row"), 1);
	assert_int_equal(verdict_rows(sent.upload_id, "duplicate_in_file"), 1);
	assert_int_equal(query_int("SELECT COUNT(*) FROM test_item"), 0);
	assert_int_equal(query_int("SELECT COUNT(*) FROM upload_piece"), 0);
}

/* ---- approval ---------------------------------------------------------------------------------------------------- */

struct decision {
	uint64_t approval_id;
	struct kontor_user user;
	bool give;
};

static int decide_tx(kontor_conn *tx, void *arg, struct kontor_error *e)
{
	struct decision *decision = arg;
	return kontor_approval_decide(tx, decision->approval_id, &decision->user, decision->give, e);
}

static int decide(uint64_t upload_id, const char *user, bool give)
{
	struct decision decision = {.give = give};
	snprintf(decision.user.name, sizeof(decision.user.name), "%s", user);
	decision.user.roles = KONTOR_ROLE_APPROVER | KONTOR_ROLE_OPERATOR;
	ok(kontor_approval_find(conn, "upload", upload_id, &decision.approval_id, &err));
	return kontor_db_transaction(conn, decide_tx, &decision, &err);
}

static struct answer send_for_approval(void)
{
	test_kind.approval = true;
	struct answer sent = send_file("id,amount\n1,1\n");
	run_jobs();
	assert_state(sent.upload_id, "waiting_approval");
	assert_int_equal(query_int("SELECT COUNT(*) FROM test_item WHERE accepted = 1"), 0);
	return sent;
}

static void test_an_upload_that_needs_approval_waits_for_another_user(void **state)
{
	(void)state;
	struct answer sent = send_for_approval();
	run_jobs();
	assert_int_equal(query_int("SELECT COUNT(*) FROM approval"), 1);
	assert_int_equal(decide(sent.upload_id, "alice", true), KONTOR_E_DENIED);
	assert_state(sent.upload_id, "waiting_approval");
	ok(decide(sent.upload_id, "bob", true));
	run_to_the_end(sent.job_id);
	assert_state(sent.upload_id, "accepted");
	assert_int_equal(query_int("SELECT COUNT(*) FROM test_item WHERE accepted = 1"), 1);
}

static void test_a_refused_approval_takes_the_upload_back(void **state)
{
	(void)state;
	struct answer sent = send_for_approval();
	ok(decide(sent.upload_id, "bob", false));
	run_to_the_end(sent.job_id);
	assert_state(sent.upload_id, "refused");
	assert_int_equal(query_int("SELECT COUNT(*) FROM test_item"), 0);
}

static void test_an_upload_cancelled_while_it_waits_can_no_longer_be_approved(void **state)
{
	(void)state;
	struct answer sent = send_for_approval();
	struct decision late = {.user = {.name = "bob", .roles = KONTOR_ROLE_APPROVER}, .give = true};
	ok(kontor_approval_find(conn, "upload", sent.upload_id, &late.approval_id, &err));
	ok(kontor_db_transaction(conn, cancel_job_tx, &sent.job_id, &err));
	run_jobs();
	assert_state(sent.upload_id, "cancelled");
	assert_int_equal(kontor_db_transaction(conn, decide_tx, &late, &err), KONTOR_E_DENIED);
	assert_int_equal(query_int("SELECT COUNT(*) FROM approval WHERE state <> 'void'"), 0);
	assert_int_equal(query_int("SELECT COUNT(*) FROM test_item"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_every_row_has_a_verdict_and_bad_ones_come_back, reset),
		cmocka_unit_test_setup(test_a_file_of_many_chunks_in_small_pieces_is_stored_whole, reset),
		cmocka_unit_test_setup(test_a_line_of_any_length_costs_only_itself, reset),
		cmocka_unit_test_setup(test_rejects_come_in_pages_that_fit_a_frame, reset),
		cmocka_unit_test_setup(test_a_file_with_a_wrong_header_is_refused_before_any_row, reset),
		cmocka_unit_test_setup(test_bytes_that_are_not_the_announced_ones_fail, reset),
		cmocka_unit_test_setup(test_a_failed_upload_leaves_no_row_and_stays_failed, reset),
		cmocka_unit_test_setup(test_a_cancelled_upload_leaves_no_row, reset),
		cmocka_unit_test_setup(test_an_accepted_upload_cannot_be_cancelled, reset),
		cmocka_unit_test_setup(test_a_chunk_that_runs_again_counts_once, reset),
		cmocka_unit_test_setup(test_a_busy_kind_makes_the_upload_wait_and_not_fail, reset),
		cmocka_unit_test_setup(test_verdicts_that_do_not_add_up_are_never_accepted, reset),
		cmocka_unit_test_setup(test_a_dry_run_gives_verdicts_and_stores_nothing, reset),
		cmocka_unit_test_setup(test_an_upload_that_needs_approval_waits_for_another_user, reset),
		cmocka_unit_test_setup(test_an_upload_cancelled_while_it_waits_can_no_longer_be_approved, reset),
		cmocka_unit_test_setup(test_a_refused_approval_takes_the_upload_back, reset),
	};
	return cmocka_run_group_tests(tests, start, stop);
}
