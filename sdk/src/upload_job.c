/* SPDX-License-Identifier: Apache-2.0
 *
 * The job behind each upload, the same for all kinds: upload_plan.c, upload_chunk.c, upload_finish.c. This file: the
 * job kind, and the upload's row in the database.
 */
#include <stdio.h>
#include <string.h>

#include "upload_file.h"
#include "upload_statements.h"

#define NO_SUCH_TABLE 1146

struct kontor_job_kind kontor_upload_job_kind(const char *job_kind_name)
{
	return (struct kontor_job_kind){
		.name = job_kind_name,
		.lane = KONTOR_LANE_UPLOAD,
		.help = "gives each row of an uploaded file its verdict and stores the good ones",
		.plan = upload_plan,
		.chunk = upload_chunk,
		.finish = upload_finish,
		.undo = upload_undo,
	};
}

/* upload.header is kept as the plan found it, so that no chunk has to read the file's first piece again. */
static int read_header(struct upload_file *file, struct kontor_text text, struct kontor_error *err)
{
	kontor_csv *csv = kontor_csv_new();
	if (!csv)
		return kontor_fail(err, KONTOR_E_INTERNAL, "out of memory for reading a header");
	struct kontor_csv_record record;
	size_t skipped;
	int rc = 0;
	if (text.size && kontor_csv_next(csv, text, true, true, &record, &skipped))
		rc = kontor_upload_header_check(file->kind, &record, 1, &file->header, err);
	kontor_csv_free(csv);
	for (size_t i = 0; i < file->kind->columns_len; i++)
		file->upload.has_column[i] = file->header.positions[i] > 0;
	return rc;
}

static int read_row(struct upload_file *file, const kontor_job *job, const kontor_rows *rows, struct kontor_error *err)
{
	const char *region = kontor_rows_string(rows, 0);
	struct kontor_text sha256 = kontor_rows_text(rows, 5);
	snprintf(file->name, sizeof(file->name), "%s", kontor_rows_string(rows, 2));
	snprintf(file->user, sizeof(file->user), "%s", kontor_rows_string(rows, 3));
	snprintf(file->state, sizeof(file->state), "%s", kontor_rows_string(rows, 4));
	if (sha256.size == UPLOAD_SHA256_SIZE)
		memcpy(file->sha256, sha256.data, UPLOAD_SHA256_SIZE);
	file->bytes = kontor_rows_uint(rows, 6);
	file->rows = kontor_rows_uint(rows, 9);
	file->error_code = (int)kontor_rows_int(rows, 10);
	snprintf(file->error, sizeof(file->error), "%s", kontor_rows_string(rows, 11));
	file->upload.checked_ms = kontor_rows_int(rows, 12);
	file->unpacked = kontor_rows_uint(rows, 13) > 0;
	file->plain_bytes = file->unpacked ? kontor_rows_uint(rows, 13) : file->bytes;
	file->upload.kind = file->kind->name;
	file->upload.user = file->user;
	file->upload.dry_run = kontor_rows_int(rows, 7) != 0;
	file->upload.region = kontor_region_find(kontor_job_host(job), region);
	if (!file->upload.region)
		return kontor_fail(err, KONTOR_E_UNAVAILABLE, "region %s of upload %llu is not configured in this unit",
				   region, (unsigned long long)file->upload.upload_id);
	return read_header(file, kontor_rows_text(rows, 8), err);
}

int upload_file_load(const struct kontor_upload_context *context, kontor_job *job, struct upload_file *ret_file,
		     struct kontor_error *err)
{
	memset(ret_file, 0, sizeof(*ret_file));
	ret_file->kind = context->kind;
	ret_file->self = context->self;
	ret_file->upload.upload_id = kontor_get_uint(kontor_job_params(job), "upload_id", 0);
	kontor_rows *rows = NULL;
	int rc = kontor_db_query(kontor_job_db(job), KONTOR_READ_ALL, SQL_LOAD_UPLOAD,
				 KONTOR_PARAMS(P_UINT(ret_file->upload.upload_id)), &rows, err);
	if (rc)
		return rc;
	rc = kontor_rows_next(rows, err);
	if (rc == 0)
		rc = kontor_fail(err, KONTOR_E_NOT_FOUND, "there is no upload %llu",
				 (unsigned long long)ret_file->upload.upload_id);
	else if (rc > 0)
		rc = read_row(ret_file, job, rows, err);
	kontor_rows_close(rows);
	return rc;
}

int kontor_upload_find_active(kontor_conn *conn, const char *kind, const char *region, int64_t until_ms,
			      uint64_t *ret_upload_id, struct kontor_error *err)
{
	int64_t upload_id = 0;
	int rc = kontor_db_query_int(conn, SQL_FIND_ACTIVE,
				     KONTOR_PARAMS(P_STRING(region), P_STRING(kind), P_INT(until_ms)), &upload_id, err);
	if (rc == 0)
		*ret_upload_id = (uint64_t)upload_id;
	return kontor_db_errno(conn) == NO_SUCH_TABLE ? KONTOR_E_NOT_FOUND : rc;
}

int upload_file_delete(kontor_conn *conn, const char *sql, uint64_t upload_id, struct kontor_error *err)
{
	uint64_t deleted = 0;
	int rc;
	do
		rc = kontor_db_exec(conn, sql, KONTOR_PARAMS(P_UINT(upload_id)), &deleted, err);
	while (rc == 0 && deleted > 0);
	return rc;
}

int upload_file_delete_bytes(kontor_conn *conn, uint64_t upload_id, struct kontor_error *err)
{
	int rc = upload_file_delete(conn, SQL_DELETE_PIECES, upload_id, err);
	return rc ? rc : upload_file_delete(conn, SQL_DELETE_PLAIN, upload_id, err);
}

void upload_header_write(const struct upload_file *file, char *buffer, size_t size)
{
	size_t length = 0;
	buffer[0] = '\0';
	for (unsigned position = 1; position <= file->header.columns_len; position++) {
		int added = snprintf(buffer + length, size - length, "%s%s", position > 1 ? "," : "",
				     kontor_upload_header_name(&file->header, file->kind, position));
		if (added < 0 || (size_t)added >= size - length)
			break;
		length += (size_t)added;
	}
}
