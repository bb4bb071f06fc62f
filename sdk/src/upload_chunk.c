/* SPDX-License-Identifier: Apache-2.0
 *
 * One chunk of an upload: batch by batch, the kind judges the rows and stores the good ones; verdicts, rejects and the
 * checkpoint are one transaction a batch. While the database works on a batch, the next one is read beside.
 */
#include <string.h>

#include "job_work.h"
#include "upload_batch.h"
#include "upload_helper.h"
#include "upload_statements.h"
#include "upload_totals.h"

struct chunk_work {
	kontor_job *job;
	kontor_chunk *chunk;
	struct upload_file file;
	const msgpack_object_array *entries; /* of the chunk's input, one for each batch */
	uint32_t entry;                      /* of `now` */
	struct upload_batch batches[2];
	struct upload_batch *now, *ahead; /* what is stored, and what is read beside it */
	upload_helper *helper;
};

static int open_chunk(const struct kontor_upload_context *context, struct chunk_work *work, struct kontor_error *err)
{
	const msgpack_object *entries = kontor_get(kontor_chunk_input(work->chunk), "batches");
	const msgpack_object *checkpoint = kontor_chunk_checkpoint_of(work->chunk);
	uint64_t stored = checkpoint ? kontor_get_uint(checkpoint, "batches", 0) : 0;
	if (!entries || entries->type != MSGPACK_OBJECT_ARRAY || stored >= entries->via.array.size)
		return kontor_fail(err, KONTOR_E_INTERNAL, "the plan of upload %llu has no batch %llu in this chunk",
				   (unsigned long long)work->file.upload.upload_id, (unsigned long long)stored);
	work->entries = &entries->via.array;
	work->entry = (uint32_t)stored;
	work->now = &work->batches[0];
	work->ahead = &work->batches[1];
	int rc = upload_batch_init(work->now, &work->file, err);
	if (rc || work->entry + 1 == work->entries->size)
		return rc;
	work->helper = upload_helper_new(context, work->job->registration->plugin);
	if (!work->helper)
		return kontor_fail(err, KONTOR_E_INTERNAL, "out of memory for a thread that reads rows");
	return upload_batch_init(work->ahead, &work->file, err);
}

static void release(struct chunk_work *work)
{
	upload_helper_free(work->helper);
	upload_batch_release(&work->batches[0]);
	upload_batch_release(&work->batches[1]);
}

/* ---- storing a batch ---- */

static int store_rejects(kontor_conn *tx, const struct chunk_work *work, struct kontor_error *err)
{
	kontor_bulk *bulk = kontor_bulk_new("uuusssb");
	int rc = bulk ? 0 : kontor_fail(err, KONTOR_E_INTERNAL, "out of memory for the rejects of a batch");
	for (size_t i = 0; i < work->now->rows_len && rc == 0; i++) {
		const struct kontor_row *row = &work->now->rows[i];
		if (!kontor_verdict_rejects(row->verdict))
			continue;
		const char *column = kontor_upload_header_name(&work->file.header, work->file.kind, row->column);
		rc = kontor_bulk_add(bulk,
				     KONTOR_PARAMS(P_UINT(work->file.upload.upload_id), P_UINT(row->line),
						   P_UINT(row->column), P_STRING(column),
						   P_STRING(kontor_verdict_name(row->verdict)), P_STRING(row->reason),
						   P_BYTES(row->raw.data, row->raw.size)),
				     err);
	}
	if (rc == 0)
		rc = kontor_bulk_exec(tx, SQL_INSERT_REJECT, bulk, NULL, err);
	kontor_bulk_free(bulk);
	return rc;
}

static int store_totals(kontor_conn *tx, const struct chunk_work *work, struct kontor_error *err)
{
	struct upload_totals totals = {0};
	for (size_t i = 0; i < work->now->rows_len; i++) {
		const struct kontor_row *row = &work->now->rows[i];
		struct upload_total one = {.verdict = row->verdict, .rows = 1};
		if (row->currency[0]) {
			memcpy(one.currency, row->currency, sizeof(one.currency));
			one.amount_minor = row->amount_minor;
		}
		int rc = upload_totals_add(&totals, &one, err);
		if (rc)
			return rc;
	}
	const struct upload_totals_place place = {work->file.upload.upload_id, kontor_chunk_no(work->chunk),
						  work->entry};
	return upload_totals_store(tx, &place, &totals, err);
}

static int store_checkpoint(kontor_conn *tx, const struct chunk_work *work, struct kontor_error *err)
{
	if (work->entry + 1 == work->entries->size)
		return kontor_chunk_done(tx, work->chunk, NULL, 0, work->now->rows_len, err);
	const void *state;
	size_t size;
	kontor_writer *w = kontor_writer_new();
	if (!w)
		return kontor_fail(err, KONTOR_E_INTERNAL, "out of memory for a checkpoint");
	kontor_write_map(w);
	kontor_put_uint(w, "batches", work->entry + 1);
	kontor_write_end(w);
	int rc = kontor_writer_finish(w, &state, &size, err);
	if (rc == 0)
		rc = kontor_chunk_checkpoint(tx, work->chunk, state, size, work->now->rows_len, err);
	kontor_writer_free(w);
	return rc;
}

/* May run again on the same rows: what the kind decided the last time is forgotten. */
static int judge_and_store(kontor_conn *tx, void *arg, struct kontor_error *err)
{
	struct chunk_work *work = arg;
	struct upload_batch *now = work->now;
	for (size_t i = 0; i < now->rows_len; i++) {
		if (now->open[i]) {
			now->rows[i].verdict = KONTOR_VERDICT_OK;
			now->rows[i].column = 0;
			now->rows[i].reason[0] = '\0';
		}
	}
	int rc = work->file.kind->apply(work->file.self, tx, &work->file.upload, now->rows, now->rows_len, err);
	if (rc == 0)
		rc = store_rejects(tx, work, err);
	if (rc == 0)
		rc = store_totals(tx, work, err);
	return rc ? rc : store_checkpoint(tx, work, err);
}

/* ---- batch by batch ---- */

/* The batch `now`. BUSY from apply() means that a row has to wait, perhaps for another upload's approval: the job waits
 * and comes back. */
static int store_now(struct chunk_work *work, struct kontor_error *err)
{
	return kontor_db_transaction(kontor_job_db(work->job), judge_and_store, work, err);
}

static int store_and_read_ahead(struct chunk_work *work, struct kontor_error *err)
{
	int rc = upload_batch_load(work->ahead, kontor_job_db(work->job), &work->entries->ptr[work->entry + 1], err);
	if (rc)
		return rc;
	bool beside = upload_batch_is_loaded(work->ahead);
	if (beside)
		upload_helper_give(work->helper, upload_batch_read, work->ahead);
	rc = store_now(work, err);
	struct kontor_error why = KONTOR_ERROR_INIT;
	int read = beside ? upload_helper_take(work->helper, &why) : 0;
	if (rc == 0 && !beside)
		read = upload_batch_read(work->ahead, &why);
	return rc || read == 0 ? rc : kontor_fail(err, read, "%s", why.message);
}

static int store_batches(struct chunk_work *work, struct kontor_error *err)
{
	int rc = upload_batch_load(work->now, kontor_job_db(work->job), &work->entries->ptr[work->entry], err);
	if (rc == 0)
		rc = upload_batch_read(work->now, err);
	while (rc == 0 && work->entry + 1 < work->entries->size) {
		rc = store_and_read_ahead(work, err);
		if (rc)
			return rc;
		struct upload_batch *stored = work->now;
		work->now = work->ahead;
		work->ahead = stored;
		work->entry++;
		if (kontor_job_stopping(work->job))
			return KONTOR_JOB_STOPPED;
	}
	return rc ? rc : store_now(work, err);
}

int upload_chunk(void *self, kontor_job *job, kontor_chunk *chunk, struct kontor_error *err)
{
	struct chunk_work work = {.job = job, .chunk = chunk};
	int rc = upload_file_load(self, job, &work.file, err);
	if (rc == 0)
		rc = open_chunk(self, &work, err);
	if (rc == 0)
		rc = store_batches(&work, err);
	release(&work);
	return rc;
}
