/* SPDX-License-Identifier: Apache-2.0
 *
 * upload.begin, piece, finish, cancel: a file comes in pieces, each durable when it is acknowledged, and ends in a job.
 */
#include <stdio.h>
#include <string.h>

#include <zstd.h>

#include "statements.h"
#include "upload.h"

#define COMPRESSION_LEVEL 1 /* orders as CSV: 4:1 at 400 MB/s; higher levels cost more than they save */

/* Kinds whose rows are facts: the same bytes again can only be a mistake. Rules and payees may be set back to what they
 * were by the same file. */
static const char *const recognised_by_hash[] = {"billing-items", "manual-settlement"};

/* A row of table `upload`, locked. */
struct receiving {
	uint64_t upload_id, received_bytes, pieces, job_id;
	char region[3], kind[33], user[KONTOR_USER_SIZE], state[17];
	bool has_sha256, dry_run, again;
	uint8_t sha256[SHA256_SIZE];
};

/* An upload of the same bytes; upload_id 0 = none. */
struct same_bytes {
	uint64_t upload_id, job_id, bytes;
	char state[17];
};

static bool recognised(const char *kind)
{
	for (size_t i = 0; i < sizeof(recognised_by_hash) / sizeof(recognised_by_hash[0]); i++) {
		if (strcmp(kind, recognised_by_hash[i]) == 0)
			return true;
	}
	return false;
}

static int read_sha256(kontor_request *request, uint8_t ret_sha256[SHA256_SIZE])
{
	struct kontor_text given = kontor_arg_bytes(request, "sha256");
	if (given.size == SHA256_SIZE)
		memcpy(ret_sha256, given.data, SHA256_SIZE);
	else if (given.size != 2 * SHA256_SIZE || !kontor_unhex(given, ret_sha256, SHA256_SIZE))
		return kontor_request_fail(request, KONTOR_E_BAD_REQUEST,
					   "argument sha256 must be 32 bytes or 64 hex digits");
	return 0;
}

static int check_kind(const struct upload_plugin *self, kontor_request *request)
{
	const char *kind = kontor_arg_string(request, "kind");
	size_t count = 0;
	for (; self->kinds[count]; count++) {
		if (strcmp(self->kinds[count], kind) == 0)
			return 0;
	}
	char all[256] = "";
	size_t length = 0;
	for (size_t i = 0; i < count && length < sizeof(all); i++)
		length += (size_t)snprintf(all + length, sizeof(all) - length, "%s%s", i ? ", " : "", self->kinds[i]);
	return kontor_request_fail(request, KONTOR_E_BAD_REQUEST,
				   "there is no upload kind \"%s\"; there are: %s (`kinds` in upload.conf)", kind, all);
}

/* One that is being cancelled will not count: it does not stand in the way of a new one. */
static int drop_if_cancelling(kontor_request *request, struct same_bytes *found)
{
	if (found->upload_id == 0 || strcmp(found->state, "accepted") == 0)
		return 0;
	struct kontor_job_info info;
	int rc = kontor_job_get(kontor_request_db(request), found->job_id, &info, kontor_request_error(request));
	if (rc == 0 && info.cancelling)
		found->upload_id = 0;
	return rc;
}

static int find_same_bytes(kontor_request *request, const char *region, const char *kind, const uint8_t *sha256,
			   uint64_t other_than, struct same_bytes *ret_found)
{
	memset(ret_found, 0, sizeof(*ret_found));
	struct kontor_error *err = kontor_request_error(request);
	kontor_rows *rows = NULL;
	int rc = kontor_db_query(
		kontor_request_db(request), KONTOR_READ_ALL, SQL_FIND_SAME_BYTES,
		KONTOR_PARAMS(P_STRING(region), P_STRING(kind), P_BYTES(sha256, SHA256_SIZE), P_UINT(other_than)),
		&rows, err);
	if (rc == 0)
		rc = kontor_rows_next(rows, err);
	if (rc > 0) {
		ret_found->upload_id = kontor_rows_uint(rows, 0);
		ret_found->job_id = kontor_rows_uint(rows, 1);
		snprintf(ret_found->state, sizeof(ret_found->state), "%s", kontor_rows_string(rows, 2));
		ret_found->bytes = kontor_rows_uint(rows, 3);
		rc = 0;
	}
	kontor_rows_close(rows);
	return rc ? rc : drop_if_cancelling(request, ret_found);
}

static int reply(kontor_request *request, uint64_t upload_id, uint64_t job_id, uint64_t offset, const char *state,
		 bool repeated)
{
	kontor_writer *w = kontor_reply(request);
	kontor_put_uint(w, "upload_id", upload_id);
	if (job_id)
		kontor_put_uint(w, "job_id", job_id);
	kontor_put_uint(w, "offset", offset);
	kontor_put_string(w, "state", state);
	kontor_put_bool(w, "repeated", repeated);
	return 0;
}

static int reply_same_bytes(kontor_request *request, const struct same_bytes *same)
{
	return reply(request, same->upload_id, same->job_id, same->bytes, same->state, true);
}

/* The caller's own upload of the same file that was broken off. *ret_upload_id 0 = none. */
static int find_unfinished(kontor_request *request, const uint8_t *sha256, uint64_t *ret_upload_id,
			   uint64_t *ret_offset)
{
	struct kontor_error *err = kontor_request_error(request);
	kontor_rows *rows = NULL;
	*ret_upload_id = 0;
	int rc = kontor_db_query(
		kontor_request_db(request), KONTOR_READ_ALL, SQL_FIND_UNFINISHED,
		KONTOR_PARAMS(P_STRING(kontor_arg_string(request, "region")),
			      P_STRING(kontor_arg_string(request, "kind")), P_BYTES(sha256, SHA256_SIZE),
			      P_STRING(kontor_request_user(request)->name), P_INT(kontor_arg_bool(request, "dry_run")),
			      P_INT(kontor_arg_bool(request, "again"))),
		&rows, err);
	if (rc == 0)
		rc = kontor_rows_next(rows, err);
	if (rc > 0) {
		*ret_upload_id = kontor_rows_uint(rows, 0);
		*ret_offset = kontor_rows_uint(rows, 1);
		rc = 0;
	}
	kontor_rows_close(rows);
	return rc;
}

static int insert_upload(kontor_request *request, const uint8_t *sha256)
{
	struct kontor_error *err = kontor_request_error(request);
	uint64_t upload_id = 0;
	int rc = kontor_id_next(kontor_request_host(request), "file", &upload_id, err);
	if (rc == 0)
		rc = kontor_db_exec(kontor_request_db(request), SQL_INSERT_UPLOAD,
				    KONTOR_PARAMS(P_UINT(upload_id), P_STRING(kontor_arg_string(request, "region")),
						  P_STRING(kontor_arg_string(request, "kind")),
						  P_STRING(kontor_arg_string(request, "name")),
						  P_STRING(kontor_request_user(request)->name),
						  P_BYTES(sha256, SHA256_SIZE), P_INT(kontor_arg_int(request, "bytes")),
						  P_INT(kontor_arg_bool(request, "dry_run")),
						  P_INT(kontor_arg_bool(request, "again")), P_INT(kontor_now_ms())),
				    NULL, err);
	return rc ? rc : reply(request, upload_id, 0, 0, "receiving", false);
}

int upload_begin(void *self, kontor_request *request)
{
	const char *kind = kontor_arg_string(request, "kind");
	uint8_t sha256[SHA256_SIZE];
	int rc = check_kind(self, request);
	if (rc || !kontor_arg_given(request, "sha256"))
		return rc ? rc : insert_upload(request, NULL);

	rc = read_sha256(request, sha256);
	if (rc == 0 && recognised(kind) && !kontor_arg_bool(request, "again") && !kontor_arg_bool(request, "dry_run")) {
		struct same_bytes same;
		rc = find_same_bytes(request, kontor_arg_string(request, "region"), kind, sha256, 0, &same);
		if (rc == 0 && same.upload_id)
			return reply_same_bytes(request, &same);
	}
	uint64_t unfinished = 0, offset = 0;
	if (rc == 0)
		rc = find_unfinished(request, sha256, &unfinished, &offset);
	if (rc == 0 && unfinished)
		return reply(request, unfinished, 0, offset, "receiving", false);
	return rc ? rc : insert_upload(request, sha256);
}

static void read_receiving(const kontor_rows *rows, struct receiving *ret)
{
	snprintf(ret->region, sizeof(ret->region), "%s", kontor_rows_string(rows, 0));
	snprintf(ret->kind, sizeof(ret->kind), "%s", kontor_rows_string(rows, 1));
	snprintf(ret->user, sizeof(ret->user), "%s", kontor_rows_string(rows, 2));
	snprintf(ret->state, sizeof(ret->state), "%s", kontor_rows_string(rows, 3));
	struct kontor_text sha256 = kontor_rows_text(rows, 4);
	ret->has_sha256 = sha256.size == SHA256_SIZE;
	if (ret->has_sha256)
		memcpy(ret->sha256, sha256.data, SHA256_SIZE);
	ret->received_bytes = kontor_rows_uint(rows, 5);
	ret->pieces = kontor_rows_uint(rows, 6);
	ret->dry_run = kontor_rows_int(rows, 7) != 0;
	ret->again = kontor_rows_int(rows, 8) != 0;
	ret->job_id = kontor_rows_uint(rows, 9);
}

/* The upload that the request names, locked for its transaction; only its own user and admins may change it. */
static int lock_upload(kontor_request *request, struct receiving *ret)
{
	struct kontor_error *err = kontor_request_error(request);
	const struct kontor_user *user = kontor_request_user(request);
	kontor_rows *rows = NULL;
	memset(ret, 0, sizeof(*ret));
	ret->upload_id = kontor_arg_id(request, "upload_id");
	int rc = kontor_db_query(kontor_request_db(request), KONTOR_READ_ALL, SQL_LOCK_UPLOAD,
				 KONTOR_PARAMS(P_UINT(ret->upload_id)), &rows, err);
	if (rc == 0)
		rc = kontor_rows_next(rows, err);
	if (rc > 0)
		read_receiving(rows, ret);
	kontor_rows_close(rows);
	if (rc < 0)
		return rc;
	if (rc == 0)
		return kontor_request_fail(request, KONTOR_E_NOT_FOUND, "there is no upload %llu",
					   (unsigned long long)ret->upload_id);
	if (strcmp(ret->user, user->name) != 0 && !kontor_user_may(user, KONTOR_ROLE_ADMIN))
		return kontor_request_fail(request, KONTOR_E_DENIED, "upload %llu is of user %s",
					   (unsigned long long)ret->upload_id, ret->user);
	return 0;
}

static int not_receiving(kontor_request *request, const struct receiving *upload)
{
	return kontor_request_fail(request, KONTOR_E_CONFLICT, "upload %llu is %s: it takes no more bytes",
				   (unsigned long long)upload->upload_id, upload->state);
}

static int store_piece(kontor_request *request, const struct receiving *upload, struct kontor_text data)
{
	struct kontor_error *err = kontor_request_error(request);
	kontor_conn *tx = kontor_request_db(request);
	size_t bound = ZSTD_compressBound(data.size);
	void *packed = kontor_arena_alloc(kontor_request_arena(request), bound);
	size_t size = packed ? ZSTD_compress(packed, bound, data.data, data.size, COMPRESSION_LEVEL) : 0;
	if (!packed || ZSTD_isError(size))
		return kontor_request_fail(request, KONTOR_E_INTERNAL, "cannot compress a piece of %zu bytes",
					   data.size);
	int rc = kontor_db_exec(
		tx, SQL_INSERT_PIECE,
		KONTOR_PARAMS(P_UINT(upload->upload_id), P_UINT(upload->received_bytes), P_BYTES(packed, size)), NULL,
		err);
	if (rc == 0)
		rc = kontor_db_exec(tx, SQL_COUNT_PIECE, KONTOR_PARAMS(P_UINT(data.size), P_UINT(upload->upload_id)),
				    NULL, err);
	return rc;
}

int upload_piece(void *self, kontor_request *request)
{
	(void)self;
	uint64_t offset = (uint64_t)kontor_arg_int(request, "offset");
	struct kontor_text data = kontor_arg_bytes(request, "data");
	struct receiving upload;
	int rc = lock_upload(request, &upload);
	if (rc)
		return rc;
	if (strcmp(upload.state, "receiving") != 0)
		return not_receiving(request, &upload);
	if (offset + data.size > FILE_LIMIT || upload.pieces >= PIECES_LIMIT)
		return kontor_request_fail(request, KONTOR_E_TOO_BIG,
					   "a file may have 8 GiB in %lld pieces: send pieces of 1 MiB, or split it",
					   (long long)PIECES_LIMIT);
	if (offset == upload.received_bytes) {
		rc = store_piece(request, &upload, data);
		upload.received_bytes += data.size;
	} else if (offset + data.size > upload.received_bytes) {
		/* A repeat of what is there already is fine: its acknowledgement was lost. */
		return kontor_request_fail(request, KONTOR_E_CONFLICT, "upload %llu goes on at offset %llu, not %llu",
					   (unsigned long long)upload.upload_id,
					   (unsigned long long)upload.received_bytes, (unsigned long long)offset);
	}
	if (rc == 0)
		kontor_put_uint(kontor_reply(request), "offset", upload.received_bytes);
	return rc;
}

/* The file turns out to be one that is known: its bytes are dropped and the other one answers for it. */
static int end_as_repeat(kontor_request *request, const struct receiving *upload, const struct same_bytes *same)
{
	kontor_conn *tx = kontor_request_db(request);
	struct kontor_error *err = kontor_request_error(request);
	const char *why = kontor_arena_format(kontor_request_arena(request), "has the same bytes as upload %llu",
					      (unsigned long long)same->upload_id);
	int rc = kontor_db_exec(tx, SQL_CANCEL_UPLOAD, KONTOR_PARAMS(P_STRING(why), P_UINT(upload->upload_id)), NULL,
				err);
	if (rc == 0)
		rc = kontor_db_exec(tx, SQL_DELETE_SOME_PIECES, KONTOR_PARAMS(P_UINT(upload->upload_id)), NULL, err);
	return rc ? rc : reply_same_bytes(request, same);
}

static int submit_job(kontor_request *request, const struct receiving *upload, const uint8_t *sha256, bool unique,
		      uint64_t *ret_job_id)
{
	struct kontor_error *err = kontor_request_error(request);
	kontor_arena *arena = kontor_request_arena(request);
	char hex[2 * SHA256_SIZE + 1];
	bool small = upload->received_bytes <= KONTOR_UPLOAD_SMALL;
	struct kontor_job_new job = {.lane = small ? KONTOR_LANE_INTERACTIVE : KONTOR_LANE_UPLOAD,
				     .region = upload->region,
				     .user = upload->user};
	int rc = kontor_id_next(kontor_request_host(request), "job", &job.job_id, err);
	if (rc)
		return rc;
	job.kind = kontor_arena_format(arena, KONTOR_UPLOAD_JOB_PREFIX "%s", upload->kind);
	/* Two uploads of the same bytes that finish at the same moment: one job gets the key. */
	job.unique_key = unique ? kontor_arena_format(arena, "upload:%s:%s:%s", upload->region, upload->kind,
						      kontor_hex(sha256, SHA256_SIZE, hex))
				: kontor_arena_format(arena, "upload:%llu", (unsigned long long)upload->upload_id);
	kontor_writer *params = kontor_writer_new();
	if (!params || !job.kind || !job.unique_key) {
		kontor_writer_free(params);
		return kontor_request_fail(request, KONTOR_E_INTERNAL, "out of memory for a job");
	}
	kontor_write_map(params);
	kontor_put_uint(params, "upload_id", upload->upload_id);
	kontor_write_end(params);
	rc = kontor_writer_finish(params, &job.params, &job.params_size, err);
	if (rc == 0)
		rc = kontor_job_submit(kontor_request_db(request), &job, err);
	kontor_writer_free(params);
	*ret_job_id = job.job_id;
	return rc;
}

static int start_check(kontor_request *request, const struct receiving *upload, const uint8_t *sha256)
{
	bool unique = recognised(upload->kind) && !upload->again && !upload->dry_run;
	struct same_bytes same = {0};
	uint64_t job_id = 0;
	int rc = 0;
	if (unique)
		rc = find_same_bytes(request, upload->region, upload->kind, sha256, upload->upload_id, &same);
	if (rc == 0 && same.upload_id)
		return end_as_repeat(request, upload, &same);
	if (rc == 0)
		rc = submit_job(request, upload, sha256, unique, &job_id);
	if (rc == KONTOR_E_CONFLICT && unique) {
		rc = find_same_bytes(request, upload->region, upload->kind, sha256, upload->upload_id, &same);
		if (rc == 0 && same.upload_id)
			return end_as_repeat(request, upload, &same);
		return rc ? rc
			  : kontor_request_fail(request, KONTOR_E_BUSY,
						"an upload of the same bytes is just being taken back: try again");
	}
	if (rc == 0)
		rc = kontor_db_exec(kontor_request_db(request), SQL_START_CHECK,
				    KONTOR_PARAMS(P_UINT(upload->received_bytes), P_BYTES(sha256, SHA256_SIZE),
						  P_UINT(job_id), P_UINT(upload->upload_id)),
				    NULL, kontor_request_error(request));
	return rc ? rc : reply(request, upload->upload_id, job_id, upload->received_bytes, "checking", false);
}

int upload_finish(void *self, kontor_request *request)
{
	(void)self;
	uint64_t bytes = (uint64_t)kontor_arg_int(request, "bytes");
	uint8_t sha256[SHA256_SIZE];
	struct receiving upload;
	int rc = read_sha256(request, sha256);
	if (rc == 0)
		rc = lock_upload(request, &upload);
	if (rc)
		return rc;
	unsigned long long upload_id = upload.upload_id;
	if (upload.has_sha256 && memcmp(upload.sha256, sha256, SHA256_SIZE) != 0)
		return kontor_request_fail(request, KONTOR_E_CONFLICT,
					   "upload %llu was begun for a file with another SHA-256: begin anew",
					   upload_id);
	if (strcmp(upload.state, "receiving") != 0 && upload.job_id)
		return reply(request, upload_id, upload.job_id, upload.received_bytes, upload.state, false);
	if (strcmp(upload.state, "receiving") != 0)
		return not_receiving(request, &upload);
	if (bytes != upload.received_bytes)
		return kontor_request_fail(request, KONTOR_E_CONFLICT,
					   "upload %llu has %llu of %llu bytes: go on at offset %llu", upload_id,
					   (unsigned long long)upload.received_bytes, (unsigned long long)bytes,
					   (unsigned long long)upload.received_bytes);
	return start_check(request, &upload, sha256);
}

int upload_cancel(void *self, kontor_request *request)
{
	(void)self;
	kontor_conn *tx = kontor_request_db(request);
	struct kontor_error *err = kontor_request_error(request);
	struct receiving upload;
	int rc = lock_upload(request, &upload);
	if (rc)
		return rc;
	if (upload.job_id)
		return kontor_request_fail(request, KONTOR_E_CONFLICT, "upload %llu is %s: kontor jobs cancel %llu",
					   (unsigned long long)upload.upload_id, upload.state,
					   (unsigned long long)upload.job_id);
	rc = kontor_db_exec(tx, SQL_CANCEL_UPLOAD, KONTOR_PARAMS(P_STRING("cancelled"), P_UINT(upload.upload_id)), NULL,
			    err);
	if (rc == 0)
		rc = kontor_db_exec(tx, SQL_DELETE_SOME_PIECES, KONTOR_PARAMS(P_UINT(upload.upload_id)), NULL, err);
	return rc ? rc : reply(request, upload.upload_id, 0, 0, "cancelled", false);
}
