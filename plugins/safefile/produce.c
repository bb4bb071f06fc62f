/* SPDX-License-Identifier: Apache-2.0
 *
 * Data files from rows: write under a temporary name, read back by the verifier, then give the file its name. A file
 * that is made a second time must have the same bytes.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check_pain001.h"
#include "kontor/log.h"
#include "safefile.h"
#include "statements.h"

/* ---- one data file ----------------------------------------------------------------------------------------------- */

static int write_part(kontor_conn *conn, struct data_file *out, const struct stored_file *file,
		      const struct stored_part *part, struct kontor_error *err)
{
	struct stored_payments payments;
	struct pain001_message message = stored_message(file, part);
	int code = stored_payments_open(&payments, conn, file->safefile_id, part->part_no, err);
	if (code)
		return code;
	code = pain001_write(out, &message, &payments.source, err);
	stored_payments_close(&payments);
	return code;
}

static int verify_part(kontor_conn *conn, const struct data_file *written, const struct stored_file *file,
		       const struct stored_part *part, struct kontor_error *err)
{
	struct stored_payments payments;
	struct pain001_message message = stored_message(file, part);
	int fd = openat(written->folder_fd, written->temporary, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return kontor_fail(err, KONTOR_E_STORAGE, "cannot read %s back: %s", part->file_name, strerror(errno));
	int code = stored_payments_open(&payments, conn, file->safefile_id, part->part_no, err);
	if (!code) {
		code = pain001_check(fd, part->file_name, &message, &payments.source, err);
		stored_payments_close(&payments);
	}
	close(fd);
	return code;
}

int produce_part(kontor_conn *conn, int folder_fd, const struct stored_file *file, const struct stored_part *part,
		 uint64_t *ret_bytes, uint8_t *ret_sha256, struct kontor_error *err)
{
	struct data_file *out = malloc(sizeof(*out)); /* its buffer is large */
	if (!out)
		return kontor_fail(err, KONTOR_E_INTERNAL, "out of memory");
	int code = data_file_create(out, folder_fd, part->file_name, err);
	if (code) {
		free(out);
		return code;
	}
	code = write_part(conn, out, file, part, err);
	if (!code)
		code = data_file_seal(out, ret_bytes, ret_sha256, err);
	if (!code)
		code = verify_part(conn, out, file, part, err);
	if (!code)
		code = data_file_publish(out, err);
	data_file_discard(out);
	free(out);
	return code;
}

/* ---- all of a safefile ---- */

struct producer {
	kontor_chunk *chunk;
	const struct stored_file *file;
	const struct stored_part *part;
	uint64_t bytes;
	uint8_t sha256[SHA256_SIZE];
};

static int checkpoint(kontor_conn *tx, struct producer *p, struct kontor_error *err)
{
	static const unsigned char empty_map[] = {0x80}; /* what is written stands in safefile_part */
	return kontor_chunk_checkpoint(tx, p->chunk, empty_map, sizeof(empty_map), 0, err);
}

static int set_writing(kontor_conn *tx, void *arg, struct kontor_error *err)
{
	struct producer *p = arg;
	uint64_t changed;
	int code = kontor_db_exec(tx, SQL_SET_WRITING, KONTOR_PARAMS(P_UINT(p->file->safefile_id)), &changed, err);
	if (!code && changed == 0)
		code = kontor_fail(err, KONTOR_E_CONFLICT, "safefile %llu is %s: its files are not written now",
				   (unsigned long long)p->file->safefile_id, p->file->state);
	return code ? code : checkpoint(tx, p, err);
}

static int set_part_written(kontor_conn *tx, void *arg, struct kontor_error *err)
{
	struct producer *p = arg;
	uint64_t changed;
	int code = kontor_db_exec(tx, SQL_SET_PART_WRITTEN,
				  KONTOR_PARAMS(P_UINT(p->bytes), P_BYTES(p->sha256, SHA256_SIZE),
						P_UINT(p->file->safefile_id), P_UINT(p->part->part_no),
						P_BYTES(p->sha256, SHA256_SIZE), P_UINT(p->bytes)),
				  &changed, err);
	if (!code && changed == 0)
		code = kontor_fail(err, KONTOR_E_CONFLICT,
				   "%s was written again from its rows and has other bytes than before",
				   p->part->file_name);
	return code ? code : checkpoint(tx, p, err);
}

static bool on_disk(int folder_fd, const struct stored_part *part)
{
	uint64_t bytes;
	uint8_t sha256[SHA256_SIZE];
	struct kontor_error ignored = KONTOR_ERROR_INIT;
	return part->written && file_hash(folder_fd, part->file_name, &bytes, sha256, &ignored) == 0 &&
	       bytes == part->bytes && memcmp(sha256, part->sha256, SHA256_SIZE) == 0;
}

static int write_missing(kontor_job *job, int folder_fd, struct producer *p, const struct stored_part *parts,
			 size_t len, struct kontor_error *err)
{
	kontor_conn *conn = kontor_job_db(job);
	int code = kontor_db_transaction(conn, set_writing, p, err);
	for (size_t i = 0; i < len && !code; i++) {
		if (kontor_job_stopping(job))
			return KONTOR_JOB_STOPPED;
		if (on_disk(folder_fd, &parts[i]))
			continue;
		p->part = &parts[i];
		code = produce_part(conn, folder_fd, p->file, p->part, &p->bytes, p->sha256, err);
		if (!code)
			code = kontor_db_transaction(conn, set_part_written, p, err);
		if (!code)
			kontor_log(KONTOR_LOG_INFO, "data file written",
				   "safefile=%llu file=%s payments=%llu bytes=%llu",
				   (unsigned long long)p->file->safefile_id, p->part->file_name,
				   (unsigned long long)p->part->payments, (unsigned long long)p->bytes);
	}
	return code;
}

int produce_parts(kontor_job *job, kontor_chunk *chunk, const struct stored_file *file, struct kontor_error *err)
{
	struct stored_part *parts;
	size_t len;
	int folder_fd;
	struct producer producer = {.chunk = chunk, .file = file};
	int code = stored_parts_load(kontor_job_db(job), file->safefile_id, kontor_job_arena(job), &parts, &len, err);
	if (!code)
		code = safefile_folder_open(file, true, NULL, &folder_fd, err);
	if (code)
		return code;
	code = folder_remove_temporary(folder_fd, err);
	if (!code)
		code = write_missing(job, folder_fd, &producer, parts, len, err);
	close(folder_fd);
	return code;
}
