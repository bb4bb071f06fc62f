/* SPDX-License-Identifier: Apache-2.0
 *
 * What is deleted when, and who may see what holds accounts.
 */
#include "fixture.h"
#include "statements.h"

#define DAY INT64_C(86400000)

static const char ITEMS[] = "id,amount\n1,100\n2x,250\n";
#define ITEMS_SIZE (sizeof(ITEMS) - 1)

static void take_turn(void)
{
	plugin_self.upload_keep_days = 7;
	plugin_self.upload_abandon_days = 3;
	ok(retention_turn(&plugin_self, conn, NULL, &err));
}

#define OLDER(column) "UPDATE upload SET " column " = " column " - ?"

static void make_older(const char *sql, unsigned days)
{
	ok(kontor_db_exec(conn, sql, KONTOR_PARAMS(P_INT(days * DAY)), NULL, &err));
}

static void test_the_bytes_go_some_days_after_the_end_and_the_totals_stay(void **state)
{
	(void)state;
	struct answer sent = send_file(ITEMS);
	run_to_the_end(sent.job_id);
	assert_state(sent.upload_id, "accepted");
	/* More than one statement deletes. */
	execute("INSERT INTO upload_piece SELECT upload_id, seq, 'x' FROM upload, seq_1001_to_2200");
	execute("INSERT INTO upload_plain SELECT upload_id, file_offset, data FROM upload_piece");
	make_older(OLDER("ended_ms"), 6);
	take_turn();
	assert_int_equal(query_int("SELECT COUNT(*) FROM upload_piece"), 1201);
	make_older(OLDER("ended_ms"), 1);
	for (int i = 0; i < 2; i++) /* also twice */
		take_turn();
	assert_int_equal(query_int("SELECT COUNT(*) FROM upload_piece"), 0);
	assert_int_equal(query_int("SELECT COUNT(*) FROM upload_plain"), 0);
	assert_int_equal(query_int("SELECT bytes_kept FROM upload"), 0);
	assert_int_equal(query_int("SELECT COUNT(*) FROM upload_reject"), 1);
	assert_int_equal(query_int("SELECT SUM(row_count) FROM upload_total"), 2);
	assert_true(begin_kind("billing-items", ITEMS, ITEMS_SIZE, 0).repeated); /* it is still known */
}

static void test_an_upload_that_has_not_ended_keeps_its_bytes(void **state)
{
	(void)state;
	struct answer sent = send_file(ITEMS);
	execute("UPDATE upload SET created_ms = 1, received_ms = 1, checked_ms = 1");
	take_turn();
	assert_int_equal(query_int("SELECT COUNT(*) FROM upload_piece"), 1);
	run_to_the_end(sent.job_id);
	assert_state(sent.upload_id, "accepted");
}

static void test_a_file_that_nobody_goes_on_sending_is_cancelled(void **state)
{
	(void)state;
	struct answer begun = begin_kind("billing-items", ITEMS, ITEMS_SIZE, 0);
	send_pieces(begun.upload_id, ITEMS, 7, 7);
	make_older(OLDER("created_ms"), 30);
	make_older(OLDER("received_ms"), 2);
	take_turn();
	assert_state(begun.upload_id, "receiving"); /* a piece came two days ago */
	make_older(OLDER("received_ms"), 1);
	take_turn();
	assert_state(begun.upload_id, "cancelled");
	assert_int_equal(
		query_int("SELECT COUNT(*) FROM upload WHERE error = 'abandoned: no piece of it came for 3 days'"), 1);
	assert_call_fails("alice", "piece", piece_arguments(begun.upload_id, 7, ITEMS + 7, 3), KONTOR_E_CONFLICT,
			  "cancelled");
	assert_int_equal(query_int("SELECT COUNT(*) FROM upload_piece"), 0); /* of what is cancelled, nothing is kept */
}

static pthread_t turn;

static int receive_beside_a_turn(kontor_conn *tx, void *arg, struct kontor_error *e)
{
	int rc = kontor_db_exec(tx, SQL_COUNT_PIECE, KONTOR_PARAMS(P_UINT(1), P_UINT(*(uint64_t *)arg)), NULL, e);
	turn = begin_turn_beside(tx);
	return rc;
}

static void test_a_file_whose_next_piece_just_comes_is_not_cancelled(void **state)
{
	(void)state;
	struct answer begun = begin_kind("billing-items", ITEMS, ITEMS_SIZE, 0);
	send_pieces(begun.upload_id, ITEMS, 7, 7);
	make_older(OLDER("created_ms"), 30);
	make_older(OLDER("received_ms"), 30);
	plugin_self.upload_abandon_days = 3;
	ok(kontor_db_transaction(conn, receive_beside_a_turn, &begun.upload_id, &err));
	end_turn(turn);
	assert_state(begun.upload_id, "receiving");
}

static kontor_writer *upload_arguments(uint64_t upload_id)
{
	kontor_writer *args = arguments();
	kontor_put_uint(args, "upload_id", upload_id);
	return args;
}

static void test_rejects_that_hold_accounts_need_an_operator_and_go_with_the_bytes(void **state)
{
	(void)state;
	struct answer sent = send_file(ITEMS);
	run_to_the_end(sent.job_id);
	kontor_body *reply = NULL;
	ok(call_on(conn, "victor", "rejects", upload_arguments(sent.upload_id), &reply, &err)); /* no accounts */
	assert_int_equal(kontor_get_uint(kontor_body_map(reply), "judged", 0), 2);
	assert_int_equal(kontor_get_uint(kontor_body_map(reply), "total", 0), 2);
	kontor_body_free(reply);

	execute("UPDATE upload SET kind = 'payees'");
	assert_call_fails("victor", "rejects", upload_arguments(sent.upload_id), KONTOR_E_DENIED, "operator");
	kontor_body_free(call("rejects", upload_arguments(sent.upload_id)));
	make_older(OLDER("ended_ms"), 7);
	take_turn();
	assert_int_equal(query_int("SELECT COUNT(*) FROM upload_reject"), 0);
	assert_call_fails("alice", "rejects", upload_arguments(sent.upload_id), KONTOR_E_NOT_FOUND, "deleted");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_the_bytes_go_some_days_after_the_end_and_the_totals_stay, reset),
		cmocka_unit_test_setup(test_an_upload_that_has_not_ended_keeps_its_bytes, reset),
		cmocka_unit_test_setup(test_a_file_that_nobody_goes_on_sending_is_cancelled, reset),
		cmocka_unit_test_setup(test_a_file_whose_next_piece_just_comes_is_not_cancelled, reset),
		cmocka_unit_test_setup(test_rejects_that_hold_accounts_need_an_operator_and_go_with_the_bytes, reset),
	};
	return cmocka_run_group_tests(tests, start, stop);
}
