/* SPDX-License-Identifier: Apache-2.0
 *
 * How a file comes in: pieces, broken-off uploads, the same bytes again.
 */
#include "fixture.h"

static const char ITEMS[] = "id,amount\n1,100\n2,250\n";
#define ITEMS_SIZE (sizeof(ITEMS) - 1)

static void test_a_broken_off_upload_goes_on_where_it_was(void **state)
{
	(void)state;
	struct answer begun = begin_kind("billing-items", ITEMS, ITEMS_SIZE, 0);
	assert_int_equal(begun.offset, 0);
	kontor_body *reply = call("piece", piece_arguments(begun.upload_id, 0, ITEMS, 7));
	assert_int_equal(kontor_get_int(kontor_body_map(reply), "offset", 0), 7);
	kontor_body_free(reply);

	struct answer again = begin_kind("billing-items", ITEMS, ITEMS_SIZE, 0);
	assert_int_equal(again.upload_id, begun.upload_id);
	assert_int_equal(again.offset, 7);
	assert_false(again.repeated);
	assert_int_not_equal(begin_kind("billing-items", ITEMS, ITEMS_SIZE, DRY_RUN).upload_id, begun.upload_id);
	assert_int_not_equal(begin_kind("billing-items", ITEMS, ITEMS_SIZE - 1, 0).upload_id, begun.upload_id);
}

static void test_a_piece_whose_acknowledgement_was_lost_may_come_again(void **state)
{
	(void)state;
	struct answer begun = begin_kind("billing-items", ITEMS, ITEMS_SIZE, 0);
	for (int i = 0; i < 2; i++) {
		kontor_body *reply = call("piece", piece_arguments(begun.upload_id, 0, ITEMS, 7));
		assert_int_equal(kontor_get_int(kontor_body_map(reply), "offset", 0), 7);
		kontor_body_free(reply);
	}
	assert_int_equal(query_int("SELECT COUNT(*) FROM upload_piece"), 1);
	assert_call_fails("alice", "piece", piece_arguments(begun.upload_id, 9, ITEMS + 9, 3), KONTOR_E_CONFLICT,
			  "offset 7");
	assert_call_fails("alice", "piece", piece_arguments(begun.upload_id, 5, ITEMS + 5, 4), KONTOR_E_CONFLICT,
			  "offset 7");
	assert_int_equal(query_int("SELECT received_bytes FROM upload"), 7);
}

static void test_finish_wants_every_byte_and_the_announced_hash(void **state)
{
	(void)state;
	struct answer begun = begin_kind("billing-items", ITEMS, ITEMS_SIZE, 0);
	send_pieces(begun.upload_id, ITEMS, 7, 7);
	assert_call_fails("alice", "finish", finish_arguments(begun.upload_id, ITEMS, ITEMS_SIZE), KONTOR_E_CONFLICT,
			  "go on at offset 7");
	assert_call_fails("alice", "finish", finish_arguments(begun.upload_id, ITEMS, 7), KONTOR_E_CONFLICT, "SHA-256");
	assert_int_equal(query_int("SELECT COUNT(*) FROM job"), 0);
}

static void test_finish_twice_starts_one_job(void **state)
{
	(void)state;
	struct answer sent = send_file(ITEMS);
	assert_string_equal(sent.state, "checking");
	struct answer again = answer_of(call("finish", finish_arguments(sent.upload_id, ITEMS, ITEMS_SIZE)));
	assert_int_equal(again.job_id, sent.job_id);
	assert_int_equal(query_int("SELECT COUNT(*) FROM job"), 1);
	assert_call_fails("alice", "piece", piece_arguments(sent.upload_id, ITEMS_SIZE, "x", 1), KONTOR_E_CONFLICT,
			  "checking");
}

static void test_the_same_bytes_again_are_the_first_upload(void **state)
{
	(void)state;
	struct answer first = send_file(ITEMS);
	for (int i = 0; i < 2; i++) { /* while it runs, and when it is accepted */
		struct answer again = begin_kind("billing-items", ITEMS, ITEMS_SIZE, 0);
		assert_true(again.repeated);
		assert_int_equal(again.upload_id, first.upload_id);
		assert_int_equal(again.job_id, first.job_id);
		run_to_the_end(first.job_id);
	}
	assert_state(first.upload_id, "accepted");
	assert_false(begin_kind("billing-items", ITEMS, ITEMS_SIZE, DRY_RUN).repeated);
	assert_false(begin_kind("billing-items", ITEMS, ITEMS_SIZE, AGAIN).repeated);
	assert_false(begin_kind("payees", ITEMS, ITEMS_SIZE, 0).repeated);
	struct answer anew = send_bytes(ITEMS, ITEMS_SIZE, PIECE_LIMIT, AGAIN);
	run_to_the_end(anew.job_id);
	assert_int_equal(verdict_rows(anew.upload_id, "already_exists"), 2);
}

static struct answer begin_unknown_bytes(void)
{
	kontor_writer *args = arguments();
	kontor_put_string(args, "kind", "billing-items");
	kontor_put_string(args, "region", "SG");
	return answer_of(call("begin", args));
}

static void test_of_two_uploads_of_the_same_stream_the_second_to_finish_repeats_the_first(void **state)
{
	(void)state;
	struct answer a = begin_unknown_bytes(), b = begin_unknown_bytes();
	assert_int_not_equal(a.upload_id, b.upload_id);
	send_pieces(a.upload_id, ITEMS, ITEMS_SIZE, 5);
	send_pieces(b.upload_id, ITEMS, ITEMS_SIZE, PIECE_LIMIT);
	struct answer first = answer_of(call("finish", finish_arguments(b.upload_id, ITEMS, ITEMS_SIZE)));
	struct answer second = answer_of(call("finish", finish_arguments(a.upload_id, ITEMS, ITEMS_SIZE)));
	assert_false(first.repeated);
	assert_true(second.repeated);
	assert_int_equal(second.upload_id, b.upload_id);
	assert_int_equal(second.job_id, first.job_id);
	assert_state(a.upload_id, "cancelled");
	assert_int_equal(query_int("SELECT COUNT(DISTINCT upload_id) FROM upload_piece"), 1);
}

struct finisher {
	pthread_t thread;
	uint64_t upload_id;
	kontor_conn *session;
	int rc;
	bool repeated;
};

static void *finish_in_thread(void *arg)
{
	struct finisher *finisher = arg;
	struct kontor_error e = KONTOR_ERROR_INIT;
	kontor_body *reply = NULL;
	finisher->rc = call_on(finisher->session, "alice", "finish",
			       finish_arguments(finisher->upload_id, ITEMS, ITEMS_SIZE), &reply, &e);
	finisher->repeated = kontor_get_bool(kontor_body_map(reply), "repeated", false);
	kontor_body_free(reply);
	return NULL;
}

struct first_finisher {
	uint64_t upload_id;
	struct finisher *second;
};

/* What upload.finish does for the first one; the second one comes before it commits. */
static int finish_slowly(kontor_conn *tx, void *arg, struct kontor_error *e)
{
	struct first_finisher *first = arg;
	uint8_t sha256[SHA256_SIZE];
	char hex[2 * SHA256_SIZE + 1], key[128];
	sha256_of(ITEMS, ITEMS_SIZE, sha256);
	snprintf(key, sizeof(key), "upload:SG:billing-items:%s", kontor_hex(sha256, SHA256_SIZE, hex));
	struct kontor_job_new job = {.job_id = 77,
				     .kind = "upload.billing-items",
				     .lane = KONTOR_LANE_UPLOAD,
				     .region = "SG",
				     .user = "alice",
				     .unique_key = key};
	int rc = kontor_job_submit(tx, &job, e);
	if (rc == 0)
		rc = kontor_db_exec(tx,
				    "UPDATE upload SET state = 'checking', sha256 = ?, job_id = 77 WHERE upload_id = ?",
				    KONTOR_PARAMS(P_BYTES(sha256, SHA256_SIZE), P_UINT(first->upload_id)), NULL, e);
	pthread_create(&first->second->thread, NULL, finish_in_thread, first->second);
	usleep(300000);
	return rc;
}

static void test_of_two_that_finish_at_the_same_moment_the_second_repeats_the_first(void **state)
{
	(void)state;
	struct finisher second = {0};
	ok(kontor_db_acquire(db, &second.session, &err));
	struct first_finisher first = {begin_unknown_bytes().upload_id, &second};
	second.upload_id = begin_unknown_bytes().upload_id;
	send_pieces(first.upload_id, ITEMS, ITEMS_SIZE, PIECE_LIMIT);
	send_pieces(second.upload_id, ITEMS, ITEMS_SIZE, PIECE_LIMIT);
	ok(kontor_db_transaction(conn, finish_slowly, &first, &err));
	pthread_join(second.thread, NULL);
	kontor_db_release(second.session);
	assert_int_equal(second.rc, 0);
	assert_true(second.repeated);
	assert_int_equal(query_int("SELECT COUNT(*) FROM job"), 1);
	assert_state(second.upload_id, "cancelled");
}

static int cancel_job_tx(kontor_conn *tx, void *arg, struct kontor_error *e)
{
	return kontor_job_cancel(tx, *(uint64_t *)arg, e);
}

static void test_an_upload_that_was_cancelled_is_not_remembered(void **state)
{
	(void)state;
	struct answer first = send_file(ITEMS);
	ok(kontor_db_transaction(conn, cancel_job_tx, &first.job_id, &err));
	assert_false(begin_kind("billing-items", ITEMS, ITEMS_SIZE, 0).repeated); /* while it is being cancelled */
	run_to_the_end(first.job_id);
	assert_state(first.upload_id, "cancelled");
	struct answer second = send_file(ITEMS);
	assert_false(second.repeated);
	run_to_the_end(second.job_id);
	assert_state(second.upload_id, "accepted");
}

static void test_only_the_uploader_may_add_to_his_file(void **state)
{
	(void)state;
	struct answer begun = begin_kind("billing-items", ITEMS, ITEMS_SIZE, 0);
	assert_call_fails("bob", "piece", piece_arguments(begun.upload_id, 0, ITEMS, 7), KONTOR_E_DENIED, "alice");
	assert_call_fails("bob", "finish", finish_arguments(begun.upload_id, ITEMS, ITEMS_SIZE), KONTOR_E_DENIED,
			  "alice");
	assert_call_fails("alice", "piece", piece_arguments(999, 0, ITEMS, 7), KONTOR_E_NOT_FOUND, "999");
}

static kontor_writer *begin_arguments(const char *kind, const char *region)
{
	kontor_writer *args = arguments();
	kontor_put_string(args, "kind", kind);
	kontor_put_string(args, "region", region);
	return args;
}

static void test_unknown_kinds_and_foreign_regions_are_refused(void **state)
{
	(void)state;
	assert_call_fails("alice", "begin", begin_arguments("billing-item", "SG"), KONTOR_E_BAD_REQUEST,
			  "there are: billing-items, payees");
	assert_call_fails("alice", "begin", begin_arguments("zzz", "SG"), KONTOR_E_BAD_REQUEST, "zzz");
	assert_call_fails("alice", "begin", begin_arguments("payees", "MY"), KONTOR_E_UNAVAILABLE, "kl");
	assert_int_equal(query_int("SELECT COUNT(*) FROM upload"), 0);
}

static kontor_writer *upload_arguments(uint64_t upload_id)
{
	kontor_writer *args = arguments();
	kontor_put_uint(args, "upload_id", upload_id);
	return args;
}

static void test_an_unfinished_upload_can_be_cancelled(void **state)
{
	(void)state;
	struct answer begun = begin_kind("billing-items", ITEMS, ITEMS_SIZE, 0);
	send_pieces(begun.upload_id, ITEMS, 7, 3);
	kontor_body_free(call("cancel", upload_arguments(begun.upload_id)));
	kontor_body_free(call("cancel", upload_arguments(begun.upload_id)));
	assert_state(begun.upload_id, "cancelled");
	assert_int_equal(query_int("SELECT COUNT(*) FROM upload_piece"), 0);
	struct answer sent = send_file(ITEMS);
	assert_int_not_equal(sent.upload_id, begun.upload_id);
	assert_call_fails("alice", "cancel", upload_arguments(sent.upload_id), KONTOR_E_CONFLICT, "jobs cancel");
}

static void test_uploads_are_listed_newest_first_in_pages(void **state)
{
	(void)state;
	uint64_t ids[3], next = 0;
	for (int i = 0; i < 3; i++)
		ids[i] = begin_unknown_bytes().upload_id;
	for (int i = 2; i >= 0; i--) {
		kontor_writer *args = arguments();
		kontor_put_string(args, "region", "SG");
		kontor_put_uint(args, "limit", 1);
		if (next)
			kontor_put_uint(args, "after", next);
		kontor_body *page = call("list", args);
		const msgpack_object *rows = kontor_get(kontor_body_map(page), "rows");
		assert_int_equal(rows->via.array.size, 1);
		assert_int_equal(kontor_get_uint(&rows->via.array.ptr[0], "upload_id", 0), ids[i]);
		next = kontor_get_uint(kontor_body_map(page), "next", 0);
		kontor_body_free(page);
	}
	kontor_body *all = call("list", arguments());
	assert_int_equal(kontor_get(kontor_body_map(all), "rows")->via.array.size, 3);
	assert_null(kontor_get(kontor_body_map(all), "next"));
	kontor_body_free(all);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_a_broken_off_upload_goes_on_where_it_was, reset),
		cmocka_unit_test_setup(test_a_piece_whose_acknowledgement_was_lost_may_come_again, reset),
		cmocka_unit_test_setup(test_finish_wants_every_byte_and_the_announced_hash, reset),
		cmocka_unit_test_setup(test_finish_twice_starts_one_job, reset),
		cmocka_unit_test_setup(test_the_same_bytes_again_are_the_first_upload, reset),
		cmocka_unit_test_setup(test_of_two_uploads_of_the_same_stream_the_second_to_finish_repeats_the_first,
				       reset),
		cmocka_unit_test_setup(test_of_two_that_finish_at_the_same_moment_the_second_repeats_the_first, reset),
		cmocka_unit_test_setup(test_an_upload_that_was_cancelled_is_not_remembered, reset),
		cmocka_unit_test_setup(test_only_the_uploader_may_add_to_his_file, reset),
		cmocka_unit_test_setup(test_unknown_kinds_and_foreign_regions_are_refused, reset),
		cmocka_unit_test_setup(test_an_unfinished_upload_can_be_cancelled, reset),
		cmocka_unit_test_setup(test_uploads_are_listed_newest_first_in_pages, reset),
	};
	return cmocka_run_group_tests(tests, start, stop);
}
