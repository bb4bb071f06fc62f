/* SPDX-License-Identifier: Apache-2.0 */
#ifndef UPLOAD_H
#define UPLOAD_H

#include "kontor/plugin.h"

struct retention;

struct upload_plugin {
	const char *const *kinds; /* NULL-terminated */
	int64_t upload_keep_days, upload_abandon_days;
	struct retention *retention; /* retention.c */
};

#define SHA256_SIZE 32
#define PIECE_LIMIT (1 << 20)                   /* bytes of a file in one message */
#define FILE_LIMIT (INT64_C(8) << 30)           /* CONTRACT: 8 GiB unpacked */
#define PIECES_LIMIT (FILE_LIMIT / (128 << 10)) /* of a file: pieces must hold 128 KiB on average */

/* receive.c */
int upload_begin(void *self, kontor_request *request);
int upload_piece(void *self, kontor_request *request);
int upload_finish(void *self, kontor_request *request);
int upload_cancel(void *self, kontor_request *request);
/* report.c */
int upload_get(void *self, kontor_request *request);
int upload_list(void *self, kontor_request *request);
int upload_rejects(void *self, kontor_request *request);
/* report_rejects.c */
#define UPLOAD_REPORT_KIND "upload.report_rejects"
int upload_report(void *self, kontor_request *request);
int upload_report_plan(void *self, kontor_job *job, struct kontor_error *err);
int upload_report_chunk(void *self, kontor_job *job, kontor_chunk *chunk, struct kontor_error *err);
int upload_report_finish(void *self, kontor_job *job, struct kontor_error *err);

#endif
