/* SPDX-License-Identifier: Apache-2.0
 *
 * The row of table `upload` that a job works for, and what every step does with it. Not installed.
 */
#ifndef KONTOR_UPLOAD_FILE_H
#define KONTOR_UPLOAD_FILE_H

#include "upload_header.h"

#define UPLOAD_SHA256_SIZE 32

struct upload_file {
	struct kontor_upload upload; /* as the kind's callbacks see it; points into this struct */
	const struct kontor_upload_kind *kind;
	void *self;                         /* of the plugin that owns the kind */
	struct kontor_upload_header header; /* from the state `importing` on */
	uint64_t bytes;                     /* as it was sent */
	bool unpacked;                      /* it came packed: the rows are in the unpacked one, known after the plan */
	uint64_t plain_bytes;               /* of the unpacked one; of a plain file the same as `bytes` */
	uint64_t rows;                      /* known after the plan */
	uint8_t sha256[UPLOAD_SHA256_SIZE];
	int error_code;
	char user[64], name[256], state[17], error[512];
};

/* Of the job's parameter upload_id. NOT_FOUND, or UNAVAILABLE when its region is not configured here. */
int upload_file_load(const struct kontor_upload_context *context, kontor_job *job, struct upload_file *ret_file,
		     struct kontor_error *err);

/* Runs a bounded DELETE of upload_id until nothing is left; each run is a transaction of its own. */
int upload_file_delete(kontor_conn *conn, const char *sql, uint64_t upload_id, struct kontor_error *err);

/* The names of a header as one line, as kept in upload.header. */
void upload_header_write(const struct upload_file *file, char *buffer, size_t size);

/* Deletes the bytes of the file: it has ended. */
int upload_file_delete_bytes(kontor_conn *conn, uint64_t upload_id, struct kontor_error *err);

/* If the job works for an upload: that one, which is dead, is to be checked anew, from the bytes that were kept. In the
 * transaction that starts the job again: its new epoch fences whoever still works on the life before. CONFLICT: the
 * upload ended for good, or its bytes are gone. */
int upload_restart(kontor_conn *tx, uint64_t job_id, const char *job_kind, struct kontor_error *err);

/* The steps of the job; self is a struct kontor_upload_context. */
int upload_plan(void *self, kontor_job *job, struct kontor_error *err);
int upload_chunk(void *self, kontor_job *job, kontor_chunk *chunk, struct kontor_error *err);
int upload_finish(void *self, kontor_job *job, struct kontor_error *err);
int upload_undo(void *self, kontor_job *job, struct kontor_error *err);

#endif
