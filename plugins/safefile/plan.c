/* SPDX-License-Identifier: Apache-2.0
 *
 * Planning: which payouts are in the safefile, with which final values, in which order. Per page: ask payout what can
 * be paid -> one transaction (rows, checkpoint with the payouts that still have to be taken) -> payout.batch takes
 * them. The rows come first, so a page that is done again after a crash takes exactly the payouts that it has rows of,
 * even if a payee has changed in between.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "charset.h"
#include "payout_calls.h"
#include "resolve.h"
#include "safefile.h"
#include "statements.h"

struct planner {
	const struct safefile_plugin *plugin;
	kontor_job *job;
	kontor_chunk *chunk;
	const struct stored_file *file;
	struct resolver *resolver;
	kontor_bulk *payments, *unpayable; /* of one page */
	kontor_body *page;                 /* the last one: `after` points into it */

	/* position, kept in the checkpoint */
	const msgpack_object *after;
	bool end; /* the last page has been read */
	unsigned part_no, in_part, seq;
	char currency[4];
	uint64_t pending[PAYOUT_PAGE]; /* payouts that have rows and are to be taken */
	size_t pending_len;

	uint64_t rows; /* of the page */
	uint64_t payments_total;
};

/* ---- checkpoint ---- */

static void write_position(const struct planner *p, kontor_writer *w)
{
	kontor_write_map(w);
	if (p->after)
		kontor_put_object(w, "after", p->after);
	kontor_put_bool(w, "end", p->end);
	kontor_put_uint(w, "part", p->part_no);
	kontor_put_uint(w, "in_part", p->in_part);
	kontor_put_string(w, "currency", p->currency);
	kontor_put_uint(w, "seq", p->seq);
	kontor_put_array(w, "pending");
	for (size_t i = 0; i < p->pending_len; i++)
		kontor_write_uint(w, p->pending[i]);
	kontor_write_end(w);
	kontor_write_end(w);
}

static void read_position(struct planner *p)
{
	const msgpack_object *state = kontor_chunk_checkpoint_of(p->chunk);
	const msgpack_object *pending = kontor_get(state, "pending");
	p->after = kontor_get(state, "after");
	p->end = kontor_get_bool(state, "end", false);
	p->part_no = (unsigned)kontor_get_uint(state, "part", 1);
	p->in_part = (unsigned)kontor_get_uint(state, "in_part", 0);
	p->seq = (unsigned)kontor_get_uint(state, "seq", 0);
	kontor_get_string(state, "currency", p->currency, sizeof(p->currency));
	if (pending && pending->type == MSGPACK_OBJECT_ARRAY)
		for (uint32_t i = 0; i < pending->via.array.size && p->pending_len < PAYOUT_PAGE; i++)
			p->pending[p->pending_len++] = pending->via.array.ptr[i].via.u64;
}

static int checkpoint(kontor_conn *tx, const struct planner *p, struct kontor_error *err)
{
	const void *data;
	size_t size;
	kontor_writer *w = kontor_writer_new();
	if (!w)
		return kontor_fail(err, KONTOR_E_INTERNAL, "out of memory");
	write_position(p, w);
	int code = kontor_writer_finish(w, &data, &size, err);
	if (!code)
		code = kontor_chunk_checkpoint(tx, p->chunk, data, size, p->rows, err);
	kontor_writer_free(w);
	return code;
}

/* ---- one row of payout.payable ---- */

static int add_unpayable(struct planner *p, const struct payment *payment, const char *reason, struct kontor_error *err)
{
	return kontor_bulk_add(p->unpayable,
			       KONTOR_PARAMS(P_UINT(p->file->safefile_id), P_UINT(payment->payout_id),
					     P_UINT(payment->shop_user_id), P_STRING(reason)),
			       err);
}

/* Gives the payment its place: (part, currency, seq). */
static int add_payment(struct planner *p, const struct payment *payment, struct kontor_error *err)
{
	if (p->in_part == p->file->profile.max_payments) {
		p->part_no++;
		p->in_part = p->seq = 0;
	}
	if (strcmp(p->currency, payment->currency) != 0) {
		memcpy(p->currency, payment->currency, sizeof(p->currency));
		p->seq = 0;
	}
	p->in_part++;
	p->seq++;
	p->pending[p->pending_len++] = payment->payout_id;
	return kontor_bulk_add(
		p->payments,
		KONTOR_PARAMS(P_UINT(p->file->safefile_id), P_UINT(p->part_no), P_STRING(payment->currency),
			      P_UINT(p->seq), P_UINT(payment->payout_id), P_UINT(payment->attempt),
			      P_STRING(payment->e2e_id), P_UINT(payment->shop_user_id), P_INT(payment->amount_minor),
			      P_STRING(payment->name), P_STRING(payment->country), P_STRING(payment->town),
			      P_STRING(payment->iban), P_STRING(payment->account), P_STRING(payment->bank_code),
			      P_STRING(payment->bic)),
		err);
}

static struct payee read_payee(const msgpack_object *map)
{
	return (struct payee){
		.name = kontor_get_text(map, "name"),
		.name_latin = kontor_get_text(map, "name_latin"),
		.country = kontor_get_text(map, "country"),
		.iban = kontor_get_text(map, "iban"),
		.account = kontor_get_text(map, "account"),
		.bank_code = kontor_get_text(map, "bank_code"),
		.bic = kontor_get_text(map, "bic"),
		.town = kontor_get_text(map, "town"),
	};
}

static int add_row(struct planner *p, const msgpack_object *row, struct kontor_error *err)
{
	char reason[RESOLVE_REASON_SIZE];
	struct payment payment = {
		.payout_id = kontor_get_uint(row, "payout_id", 0),
		.shop_user_id = kontor_get_uint(row, "shop_user_id", 0),
		.attempt = (uint32_t)kontor_get_uint(row, "attempt", 0),
		.amount_minor = kontor_get_int(row, "amount_minor", 0),
	};
	kontor_get_string(row, "currency", payment.currency, sizeof(payment.currency));
	kontor_get_string(row, "e2e_id", payment.e2e_id, sizeof(payment.e2e_id));
	if (!payment.payout_id || !payment.attempt || payment.amount_minor <= 0 || !*payment.e2e_id ||
	    !charset_epc217_valid(payment.e2e_id))
		return kontor_fail(
			err, KONTOR_E_INTERNAL,
			"payout.payable gave payout %llu without an attempt, an end-to-end id or a positive amount",
			(unsigned long long)payment.payout_id);
	const msgpack_object *payee_map = kontor_get(row, "payee");
	if (!profile_currency(&p->file->profile, payment.currency)) {
		snprintf(reason, sizeof(reason), "the region of this safefile does not pay %s", payment.currency);
		return add_unpayable(p, &payment, reason, err);
	}
	if (!payee_map) {
		snprintf(reason, sizeof(reason),
			 "no payee for %s is in force: upload one (--kind payees), or approve the change that waits",
			 payment.currency);
		return add_unpayable(p, &payment, reason, err);
	}
	struct payee payee = read_payee(payee_map);
	if (!resolve_payee(p->resolver, &p->file->profile, &payee, &payment, reason))
		return add_unpayable(p, &payment, reason, err);
	return add_payment(p, &payment, err);
}

/* ---- pages ---- */

static int take_pending(struct planner *p, struct kontor_error *err)
{
	if (p->pending_len == 0)
		return 0;
	return payout_batch(p->plugin->host, p->file->run_id, p->file->safefile_id, p->pending, p->pending_len, err);
}

static int store_page(kontor_conn *tx, void *arg, struct kontor_error *err)
{
	struct planner *p = arg;
	int code = kontor_bulk_exec(tx, SQL_INSERT_PAYMENT, p->payments, NULL, err);
	if (code == KONTOR_E_CONFLICT)
		return kontor_fail_in(err, "another safefile already has one of these payouts");
	if (!code)
		code = kontor_bulk_exec(tx, SQL_INSERT_UNPAYABLE, p->unpayable, NULL, err);
	return code ? code : checkpoint(tx, p, err);
}

static int read_page(struct planner *p, struct kontor_error *err)
{
	kontor_body *page = NULL;
	int code = payout_payable(p->plugin->host, p->file->run_id, p->file->safefile_id, p->after, &page, err);
	if (code)
		return code;
	kontor_body_free(p->page);
	p->page = page;
	const msgpack_object *rows = kontor_get(kontor_body_map(page), "rows");
	p->after = kontor_get(kontor_body_map(page), "next");
	p->end = !p->after;
	p->rows = 0;
	p->pending_len = 0;
	kontor_bulk_clear(p->payments);
	kontor_bulk_clear(p->unpayable);
	if (!rows || rows->type != MSGPACK_OBJECT_ARRAY || rows->via.array.size > PAYOUT_PAGE)
		return kontor_fail(err, KONTOR_E_INTERNAL, "payout.payable gave no rows, or more than %d", PAYOUT_PAGE);
	for (uint32_t i = 0; i < rows->via.array.size && !code; i++)
		code = add_row(p, &rows->via.array.ptr[i], err);
	p->rows = rows->via.array.size;
	return code;
}

static int plan_pages(struct planner *p, struct kontor_error *err)
{
	int code = take_pending(p, err); /* of the page before a crash */
	while (!code && !p->end) {
		if (kontor_job_stopping(p->job))
			return KONTOR_JOB_STOPPED;
		code = read_page(p, err);
		if (!code)
			code = kontor_db_transaction(kontor_job_db(p->job), store_page, p, err);
		if (!code)
			code = take_pending(p, err);
	}
	return code;
}

/* ---- the end of planning ---- */

static int insert_part(kontor_conn *tx, const struct stored_file *file, unsigned part_no, uint64_t payments,
		       struct kontor_error *err)
{
	char name[FILE_NAME_LIMIT], id[PAIN001_ID_LIMIT + 1], window[KONTOR_WINDOW_SIZE];
	snprintf(name, sizeof(name), "%s-%s-%s-%03u.xml", file->region, kontor_window_format(file->window, window),
		 file->profile.name, part_no);
	pain001_message_id(file->region, file->safefile_id, part_no, id);
	return kontor_db_exec(tx, SQL_INSERT_PART,
			      KONTOR_PARAMS(P_UINT(file->safefile_id), P_UINT(part_no), P_STRING(name), P_STRING(id),
					    P_UINT(payments)),
			      NULL, err);
}

static int insert_parts(kontor_conn *tx, struct planner *p, struct kontor_error *err)
{
	kontor_rows *rows;
	p->payments_total = 0;
	int code = kontor_db_query(tx, KONTOR_READ_ALL, SQL_PART_COUNTS, KONTOR_PARAMS(P_UINT(p->file->safefile_id)),
				   &rows, err);
	if (code)
		return code;
	while (!code && (code = kontor_rows_next(rows, err)) > 0) {
		uint64_t payments = kontor_rows_uint(rows, 1);
		p->payments_total += payments;
		code = insert_part(tx, p->file, (unsigned)kontor_rows_uint(rows, 0), payments, err);
	}
	kontor_rows_close(rows);
	return code;
}

/* Parts and totals are made of the rows, by SQL: the first of the counts that the verifier compares. */
static int seal_plan(kontor_conn *tx, void *arg, struct kontor_error *err)
{
	struct planner *p = arg;
	uint64_t id = p->file->safefile_id, changed;
	int code = kontor_db_exec(tx, SQL_FORGET_PARTS, KONTOR_PARAMS(P_UINT(id)), NULL, err);
	if (!code)
		code = kontor_db_exec(tx, SQL_FORGET_TOTALS, KONTOR_PARAMS(P_UINT(id)), NULL, err);
	if (!code)
		code = kontor_db_exec(tx, SQL_INSERT_TOTALS, KONTOR_PARAMS(P_UINT(id)), NULL, err);
	if (!code)
		code = insert_parts(tx, p, err);
	if (!code)
		code = kontor_db_exec(tx, SQL_SET_PLANNED, KONTOR_PARAMS(P_UINT(p->payments_total), P_UINT(id)),
				      &changed, err);
	if (!code && changed == 0)
		code = kontor_fail(err, KONTOR_E_CONFLICT, "safefile %llu is not being planned any more",
				   (unsigned long long)id);
	p->rows = 0;
	p->pending_len = 0;
	return code ? code : checkpoint(tx, p, err);
}

/* Every payment is exactly one attempt that payout has stored for this safefile, and the other way round. */
static int compare_attempts(struct planner *p, struct kontor_error *err)
{
	kontor_conn *conn = kontor_job_db(p->job);
	uint64_t id = p->file->safefile_id;
	int64_t without = 0, attempts = 0, payments = 0;
	int code = kontor_db_query_int(conn, SQL_COUNT_WITHOUT_ATTEMPT, KONTOR_PARAMS(P_UINT(id)), &without, err);
	if (!code)
		code = kontor_db_query_int(conn, SQL_COUNT_ATTEMPTS, KONTOR_PARAMS(P_UINT(id)), &attempts, err);
	if (!code)
		code = kontor_db_query_int(conn, SQL_COUNT_PAYMENTS, KONTOR_PARAMS(P_UINT(id)), &payments, err);
	if (!code && (without || attempts != payments))
		return kontor_job_fail(
			p->job, err, KONTOR_E_CONFLICT,
			"safefile %llu has %lld payments and %lld payout attempts; %lld payments have no "
			"equal attempt: create it again",
			(unsigned long long)id, (long long)payments, (long long)attempts, (long long)without);
	return code;
}

static int refuse_empty(struct planner *p, struct kontor_error *err)
{
	kontor_conn *conn = kontor_job_db(p->job);
	int64_t payments = 0, unpayable = 0;
	int code = kontor_db_query_int(conn, SQL_COUNT_PAYMENTS, KONTOR_PARAMS(P_UINT(p->file->safefile_id)), &payments,
				       err);
	if (!code)
		code = kontor_db_query_int(conn, SQL_COUNT_UNPAYABLE, KONTOR_PARAMS(P_UINT(p->file->safefile_id)),
					   &unpayable, err);
	if (!code && payments == 0)
		return kontor_job_fail(
			p->job, err, KONTOR_E_CONFLICT,
			"run %llu has nothing to pay: no payout is ready, but for %lld that cannot be paid "
			"(kontor safefile show %llu)",
			(unsigned long long)p->file->run_id, (long long)unpayable,
			(unsigned long long)p->file->safefile_id);
	return code;
}

int plan_payments(const struct safefile_plugin *plugin, kontor_job *job, kontor_chunk *chunk,
		  const struct stored_file *file, struct kontor_error *err)
{
	struct planner *p = calloc(1, sizeof(*p));
	if (!p)
		return kontor_fail(err, KONTOR_E_INTERNAL, "out of memory");
	p->plugin = plugin;
	p->job = job;
	p->chunk = chunk;
	p->file = file;
	p->payments = kontor_bulk_new(COLUMNS_PAYMENT);
	p->unpayable = kontor_bulk_new(COLUMNS_UNPAYABLE);
	int code = p->payments && p->unpayable ? resolver_new(&p->resolver, err)
					       : kontor_fail(err, KONTOR_E_INTERNAL, "out of memory");
	if (!code) {
		read_position(p);
		code = plan_pages(p, err);
	}
	if (!code)
		code = refuse_empty(p, err);
	if (!code)
		code = compare_attempts(p, err);
	if (!code)
		code = kontor_db_transaction(kontor_job_db(job), seal_plan, p, err);
	kontor_bulk_free(p->payments);
	kontor_bulk_free(p->unpayable);
	resolver_free(p->resolver);
	kontor_body_free(p->page);
	free(p);
	return code;
}
