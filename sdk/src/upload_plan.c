/* SPDX-License-Identifier: Apache-2.0
 *
 * Plan of an upload: one pass over the file. Refuses the file for its header, its hash or its size; finds the rows that
 * repeat each other; cuts the file into batches on the borders of records, and these into chunks. The step's thread
 * reads and hashes a block of rows while another one has the kind identify the block before.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "job_work.h"
#include "upload_plan.h"
#include "upload_row.h"
#include "upload_statements.h"

/* In one chunk all batches but the first are read while the one before is stored; a lane that runs out of chunks waits
 * for its last one. */
#define CHUNK_BATCHES 5
/* 12 bytes of memory a row: 600 MB, for which packaging/systemd leaves room. */
#define ROWS_LIMIT UINT64_C(50000000)
/* Of the rows of a block, 9 MiB at most, and of what identify() makes of them. */
#define BLOCK_MEMORY (256u << 20)

static void release(struct upload_plan *plan)
{
	upload_helper_free(plan->helper);
	for (size_t i = 0; i < 2; i++) {
		kontor_arena_free(plan->blocks[i].arena);
		free(plan->blocks[i].rows);
	}
	EVP_MD_CTX_free(plan->digest);
	kontor_upload_reader_free(plan->reader);
	upload_packed_free(plan->packed);
	free(plan->prints);
	free(plan->batches);
	free(plan->repeats.rows);
}

static int store_refusal(kontor_conn *tx, void *arg, struct kontor_error *err)
{
	struct upload_plan *plan = arg;
	return kontor_db_exec(tx, SQL_REFUSE,
			      KONTOR_PARAMS(P_INT(KONTOR_E_BAD_REQUEST), P_STRING(plan->file.error),
					    P_UINT(plan->file.upload.upload_id)),
			      NULL, err);
}

/* The file itself is wrong, no row of it counts: the upload ends `refused`, its job failed with the same words. */
static int __attribute__((format(printf, 3, 4)))
refuse(struct upload_plan *plan, struct kontor_error *err, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(plan->file.error, sizeof(plan->file.error), format, args);
	va_end(args);
	int rc = kontor_db_transaction(kontor_job_db(plan->job), store_refusal, plan, err);
	return rc ? rc : kontor_job_fail(plan->job, err, KONTOR_E_BAD_REQUEST, "%s", plan->file.error);
}

/* What has ended comes back to life only by upload_restart(). */
static int check_state(const struct upload_plan *plan, struct kontor_error *err)
{
	const struct upload_file *file = &plan->file;
	if (strcmp(file->state, "checking") == 0)
		return 0;
	return kontor_job_fail(plan->job, err, file->error_code ? file->error_code : KONTOR_E_CONFLICT,
			       "%s (this upload is %s for good: upload the file again)", file->error, file->state);
}

static bool make_blocks(struct upload_plan *plan)
{
	for (size_t i = 0; i < 2; i++) {
		struct upload_block *block = &plan->blocks[i];
		block->plan = plan;
		block->arena = kontor_arena_new(BLOCK_MEMORY);
		block->rows = calloc(UPLOAD_BLOCK_ROWS, sizeof(*block->rows));
		if (!block->arena || !block->rows)
			return false;
	}
	return true;
}

static int open_file(struct upload_plan *plan, struct kontor_error *err)
{
	plan->digest = EVP_MD_CTX_new();
	if (!make_blocks(plan) || !plan->helper || !plan->digest ||
	    !EVP_DigestInit_ex(plan->digest, EVP_sha256(), NULL))
		return kontor_fail(err, KONTOR_E_INTERNAL, "out of memory for checking an upload");
	kontor_conn *conn = kontor_job_db(plan->job);
	uint64_t upload_id = plan->file.upload.upload_id;
	int rc = upload_packed_detect(conn, upload_id, plan->file.bytes, &plan->packing, err);
	if (rc == 0 && plan->packing != KONTOR_UPLOAD_PLAIN) {
		struct upload_packed_options packed = {conn, upload_id, plan->file.bytes, plan->digest};
		rc = upload_packed_new(&packed, plan->packing, &plan->packed, err);
	}
	if (rc)
		return rc;
	uint64_t bytes = plan->packed ? UINT64_MAX : plan->file.bytes;
	struct kontor_upload_reader_options options = {.conn = conn,
						       .upload_id = upload_id,
						       .bytes = bytes,
						       .to = bytes,
						       .line = 1,
						       .digest = plan->packed ? NULL : plan->digest,
						       .packed = plan->packed};
	return kontor_upload_reader_new(&options, &plan->reader, err);
}

/* The reader's next record. What cannot be unpacked refuses the file. */
static int next_record(struct upload_plan *plan, struct kontor_csv_record *ret_record, uint64_t *ret_line,
		       struct kontor_error *err)
{
	struct kontor_error why = KONTOR_ERROR_INIT;
	int rc = kontor_upload_reader_next(plan->reader, ret_record, ret_line, &why);
	if (rc >= 0)
		return rc;
	return rc == KONTOR_E_BAD_REQUEST ? refuse(plan, err, "%s", why.message)
					  : kontor_fail(err, rc, "%s", why.message);
}

static int read_header(struct upload_plan *plan, struct kontor_error *err)
{
	struct kontor_csv_record record;
	struct kontor_error why = KONTOR_ERROR_INIT;
	uint64_t line = 0;
	int rc = next_record(plan, &record, &line, err);
	if (rc < 0)
		return rc;
	if (rc == 0)
		return refuse(plan, err, "the file is empty: its first line must name the columns");
	if (kontor_upload_header_check(plan->file.kind, &record, line, &plan->file.header, &why))
		return refuse(plan, err, "%s", why.message);
	for (size_t i = 0; i < plan->file.kind->columns_len; i++)
		plan->file.upload.has_column[i] = plan->file.header.positions[i] > 0;
	return 0;
}

static void *grow(void *rows, size_t *capacity, size_t size)
{
	size_t more = *capacity ? *capacity + *capacity / 2 : UPLOAD_BLOCK_ROWS;
	void *grown = reallocarray(rows, more, size);
	if (grown)
		*capacity = more;
	return grown;
}

static int keep_prints(struct upload_plan *plan, const struct upload_block *block, struct kontor_error *err)
{
	while (!plan->prints || plan->prints_capacity - plan->prints_len < block->prints_len) {
		void *grown = grow(plan->prints, &plan->prints_capacity, sizeof(*plan->prints));
		if (!grown)
			return kontor_fail(err, KONTOR_E_INTERNAL, "out of memory for the hashes of %zu rows",
					   plan->prints_len);
		plan->prints = grown;
	}
	memcpy(plan->prints + plan->prints_len, block->prints, block->prints_len * sizeof(*block->prints));
	plan->prints_len += block->prints_len;
	return 0;
}

static struct upload_range *add_batch(struct upload_plan *plan, uint64_t from, uint64_t line)
{
	if (!plan->batches || plan->batches_len == plan->batches_capacity) {
		void *grown = grow(plan->batches, &plan->batches_capacity, sizeof(*plan->batches));
		if (!grown)
			return NULL;
		plan->batches = grown;
	}
	struct upload_range *batch = &plan->batches[plan->batches_len++];
	*batch = (struct upload_range){.from = from, .line = line};
	return batch;
}

/* Counts the record that ends at the reader's position into the last batch, or into a new one that begins with it. */
static int count_into_batch(struct upload_plan *plan, uint64_t from, uint64_t from_line, struct kontor_error *err)
{
	struct upload_range *last = plan->batches_len ? &plan->batches[plan->batches_len - 1] : NULL;
	if (!last || last->rows == UPLOAD_BATCH_ROWS || last->to - last->from >= UPLOAD_BATCH_BYTES)
		last = add_batch(plan, from, from_line);
	if (!last)
		return kontor_fail(err, KONTOR_E_INTERNAL, "out of memory for %zu batches", plan->batches_len);
	last->to = kontor_upload_reader_position(plan->reader);
	last->rows++;
	return 0;
}

/* ---- identifying rows: any thread ---- */

int upload_plan_identify(const struct upload_plan *plan, struct kontor_row *row, kontor_arena *arena,
			 struct kontor_identity *ret_identity, struct kontor_error *err)
{
	const struct upload_file *file = &plan->file;
	if (row->verdict != KONTOR_VERDICT_OK)
		return 0;
	memset(ret_identity, 0, sizeof(*ret_identity));
	return file->kind->identify(file->self, &file->upload, row, arena, ret_identity, err);
}

int upload_plan_give_up(struct upload_plan *plan, int rc, const struct kontor_error *why, struct kontor_error *err)
{
	if (rc == KONTOR_E_BAD_REQUEST) /* not the row but the file is wrong: two columns of which one is needed */
		return refuse(plan, err, "%s", why->message);
	return kontor_fail(err, rc, "%s", why->message);
}

static int identify_block(void *arg, struct kontor_error *err)
{
	struct upload_block *block = arg;
	int rc = 0;
	block->prints_len = 0;
	for (size_t i = 0; i < block->rows_len && rc == 0; i++) {
		struct kontor_row *row = &block->rows[i];
		struct kontor_identity identity;
		rc = upload_plan_identify(block->plan, row, block->arena, &identity, err);
		if (rc == 0 && row->verdict == KONTOR_VERDICT_OK)
			block->prints[block->prints_len++] =
				kontor_upload_print_of(&identity, (uint32_t)(block->first + i));
	}
	return rc;
}

/* ---- reading rows ---- */

static int move_to_upload_lane(kontor_conn *tx, void *arg, struct kontor_error *err)
{
	return job_move(tx, arg, KONTOR_LANE_UPLOAD, err);
}

/* Only unpacking shows that a small packed file is a big one, which has no place among clicks. */
static bool is_in_wrong_lane(const struct upload_plan *plan)
{
	return plan->packed && kontor_upload_reader_position(plan->reader) > KONTOR_UPLOAD_SMALL &&
	       strcmp(plan->job->registration->kind.lane, KONTOR_LANE_INTERACTIVE) == 0;
}

/* Between blocks: whether to go on. */
static int look_up(struct upload_plan *plan, struct kontor_error *err)
{
	if (kontor_job_stopping(plan->job))
		return KONTOR_JOB_STOPPED;
	if (!is_in_wrong_lane(plan))
		return 0;
	int rc = kontor_db_transaction(kontor_job_db(plan->job), move_to_upload_lane, plan->job, err);
	return rc ? rc : KONTOR_JOB_STOPPED;
}

static int take_record(struct upload_plan *plan, struct upload_block *block, struct kontor_csv_record *record,
		       uint64_t line, struct kontor_error *err)
{
	if (plan->rows == ROWS_LIMIT)
		return refuse(plan, err, "the file has more than %llu rows: split it", (unsigned long long)ROWS_LIMIT);
	if (!upload_record_keep(record, block->arena))
		return kontor_fail(err, KONTOR_E_INTERNAL, "out of memory for line %llu", (unsigned long long)line);
	upload_row_fill(&plan->file, record, line, &block->rows[block->rows_len++]);
	plan->rows++;
	return 0;
}

/* Reads rows into the block: 1, or 0 when these are the last ones of the file. */
static int read_block(struct upload_plan *plan, struct upload_block *block, struct kontor_error *err)
{
	struct kontor_csv_record record;
	uint64_t line, begin = kontor_upload_reader_position(plan->reader);
	kontor_arena_reset(block->arena);
	block->rows_len = 0;
	block->first = plan->rows;
	while (block->rows_len < UPLOAD_BLOCK_ROWS &&
	       kontor_upload_reader_position(plan->reader) - begin < UPLOAD_BATCH_BYTES) {
		uint64_t from = kontor_upload_reader_position(plan->reader);
		uint64_t from_line = kontor_upload_reader_line(plan->reader);
		int rc = next_record(plan, &record, &line, err);
		if (rc <= 0)
			return rc;
		rc = take_record(plan, block, &record, line, err);
		if (rc == 0)
			rc = count_into_batch(plan, from, from_line, err);
		if (rc)
			return rc;
	}
	return 1;
}

static int identify_and_keep(struct upload_plan *plan, struct upload_block *block, struct kontor_error *err)
{
	int rc = identify_block(block, err);
	return rc ? rc : keep_prints(plan, block, err);
}

static int take_and_keep(struct upload_plan *plan, const struct upload_block *given, struct kontor_error *err)
{
	int rc = upload_helper_take(plan->helper, err);
	return rc ? rc : keep_prints(plan, given, err);
}

/* Each block goes to the helper, or is identified here while that one is still busy with another. */
static int read_rows(struct upload_plan *plan, struct kontor_error *err)
{
	struct kontor_error why = KONTOR_ERROR_INIT;
	struct upload_block *block = &plan->blocks[0], *given = NULL;
	for (;;) {
		int rc = look_up(plan, err);
		int more = rc ? rc : read_block(plan, block, err);
		bool last = rc || more <= 0;
		int identified = 0;
		if (given && (last || !upload_helper_is_busy(plan->helper))) {
			identified = take_and_keep(plan, given, &why);
			given = NULL;
		}
		if (rc || more < 0)
			return more;
		if (identified == 0 && (given || last)) {
			identified = identify_and_keep(plan, block, &why);
		} else if (identified == 0) {
			upload_helper_give(plan->helper, identify_block, block);
			given = block;
			block = &plan->blocks[block == &plan->blocks[0]];
		}
		if (identified || last)
			return identified ? upload_plan_give_up(plan, identified, &why, err) : 0;
	}
}

static int check_digest(struct upload_plan *plan, struct kontor_error *err)
{
	uint8_t sha256[EVP_MAX_MD_SIZE];
	char received[2 * UPLOAD_SHA256_SIZE + 1], announced[2 * UPLOAD_SHA256_SIZE + 1];
	if (!EVP_DigestFinal_ex(plan->digest, sha256, NULL))
		return kontor_fail(err, KONTOR_E_INTERNAL, "SHA-256 failed");
	if (memcmp(sha256, plan->file.sha256, UPLOAD_SHA256_SIZE) == 0)
		return 0;
	return kontor_job_fail(plan->job, err, KONTOR_E_BAD_REQUEST,
			       "what was received has SHA-256 %s, but %s was announced: upload the file again",
			       kontor_hex(sha256, UPLOAD_SHA256_SIZE, received),
			       kontor_hex(plan->file.sha256, UPLOAD_SHA256_SIZE, announced));
}

/* Repeats are in order of lines, so each batch takes its own from the front. */
static void write_repeats(const struct upload_plan *plan, size_t batch, size_t *next, kontor_writer *w)
{
	uint64_t end = batch + 1 < plan->batches_len ? plan->batches[batch + 1].line : UINT64_MAX;
	kontor_put_array(w, "repeats");
	for (; *next < plan->repeats.len && plan->repeats.rows[*next].line < end; (*next)++) {
		kontor_write_array(w);
		kontor_write_uint(w, plan->repeats.rows[*next].line);
		kontor_write_uint(w, plan->repeats.rows[*next].kind);
		kontor_write_uint(w, plan->repeats.rows[*next].other_line);
		kontor_write_end(w);
	}
	kontor_write_end(w);
}

/* The chunk that begins with this batch. */
static void write_chunk(const struct upload_plan *plan, size_t batch, size_t *next_repeat, kontor_writer *w)
{
	size_t end = batch + CHUNK_BATCHES < plan->batches_len ? batch + CHUNK_BATCHES : plan->batches_len;
	kontor_writer_reset(w);
	kontor_write_map(w);
	kontor_put_array(w, "batches");
	for (; batch < end; batch++) {
		kontor_write_map(w);
		upload_range_write(&plan->batches[batch], w);
		write_repeats(plan, batch, next_repeat, w);
		kontor_write_end(w);
	}
	kontor_write_end(w);
	kontor_write_end(w);
}

static int add_chunks(kontor_conn *tx, struct upload_plan *plan, kontor_writer *w, struct kontor_error *err)
{
	int rc = 0;
	size_t next_repeat = 0;
	uint32_t chunk_no = 0;
	for (size_t batch = 0; batch < plan->batches_len && rc == 0; batch += CHUNK_BATCHES) {
		const void *input;
		size_t size;
		write_chunk(plan, batch, &next_repeat, w);
		rc = kontor_writer_finish(w, &input, &size, err);
		if (rc == 0)
			rc = kontor_job_add_chunk(tx, plan->job, chunk_no++, input, size, err);
	}
	return rc;
}

static int store_plan(kontor_conn *tx, void *arg, struct kontor_error *err)
{
	struct upload_plan *plan = arg;
	char header[4096];
	uint64_t found = 0, upload_id = plan->file.upload.upload_id;
	upload_header_write(&plan->file, header, sizeof(header));
	int rc = kontor_db_exec(tx, SQL_BEGIN_IMPORT,
				KONTOR_PARAMS(P_STRING(header), P_UINT(plan->rows),
					      P_STRING(kontor_upload_packing_name(plan->packing)),
					      P_UINT(plan->packed ? plan->file.plain_bytes : 0), P_UINT(upload_id)),
				&found, err);
	if (rc == 0 && found == 0)
		rc = kontor_fail(err, KONTOR_E_CONFLICT, "upload %llu is not being checked any more",
				 (unsigned long long)upload_id);
	if (rc)
		return rc;
	kontor_writer *w = kontor_writer_new();
	rc = w ? add_chunks(tx, plan, w, err) : kontor_fail(err, KONTOR_E_INTERNAL, "out of memory for a plan");
	kontor_writer_free(w);
	return rc ? rc : kontor_job_planned(tx, plan->job, plan->rows, err);
}

static int make_plan(struct upload_plan *plan, struct kontor_error *err)
{
	int rc = check_state(plan, err);
	if (rc == 0)
		rc = open_file(plan, err);
	if (rc == 0)
		rc = read_header(plan, err);
	if (rc == 0)
		rc = read_rows(plan, err);
	if (rc == 0)
		rc = check_digest(plan, err);
	if (rc)
		return rc;
	if (plan->rows == 0)
		return refuse(plan, err, "the file has a header but no rows");
	if (plan->packed) {
		plan->file.unpacked = true;
		plan->file.plain_bytes = kontor_upload_reader_position(plan->reader);
	}
	rc = upload_plan_find_repeats(plan, err);
	return rc ? rc : kontor_db_transaction(kontor_job_db(plan->job), store_plan, plan, err);
}

int upload_plan(void *self, kontor_job *job, struct kontor_error *err)
{
	struct upload_plan plan = {.job = job, .helper = upload_helper_new(self, job->registration->plugin)};
	int rc = upload_file_load(self, job, &plan.file, err);
	if (rc == 0)
		rc = make_plan(&plan, err);
	release(&plan);
	return rc;
}
