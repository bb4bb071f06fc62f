/* SPDX-License-Identifier: Apache-2.0
 *
 * A safefile as the database has it: its row, its parts and their totals, its payments one after the other.
 */
#ifndef SAFEFILE_STORED_H
#define SAFEFILE_STORED_H

#include "kontor/arena.h"
#include "kontor/db.h"
#include "kontor/time.h"
#include "pain001.h"

/* planning -> planned -> writing -> verified -> publishing -> published; cancelling -> cancelled; failed.
 * `approved` is shown for a verified one that has its approvals. */
#define STATE_PLANNING "planning"
#define STATE_PLANNED "planned"
#define STATE_WRITING "writing"
#define STATE_VERIFIED "verified"
#define STATE_APPROVED "approved"
#define STATE_PUBLISHING "publishing"
#define STATE_UNPUBLISHING "unpublishing"
#define STATE_PUBLISHED "published"
#define STATE_CANCELLING "cancelling"
#define STATE_CANCELLED "cancelled"
#define STATE_FAILED "failed"

#define PATH_LIMIT 1024

struct stored_file {
	uint64_t safefile_id, run_id, job_id, publish_job_id, supersedes;
	char region[3];
	uint32_t window;
	char state[17];
	char user[65];
	char path[PATH_LIMIT]; /* of the folder */
	char execution_date[11];
	struct profile profile;
	uint64_t payments;
	uint64_t sequence; /* 0 until it is being published */
	int64_t created_ms, published_ms;
	bool has_digest, has_previous, has_manifest;
	uint8_t digest[SHA256_SIZE], previous_manifest[SHA256_SIZE], manifest_sha256[SHA256_SIZE];
};

struct stored_part {
	unsigned part_no;
	char file_name[FILE_NAME_LIMIT];
	char message_id[PAIN001_ID_LIMIT + 1];
	uint64_t payments, bytes;
	bool written; /* bytes and sha256 are known: written and verified once */
	uint8_t sha256[SHA256_SIZE];
	size_t totals_len;
	struct currency_total totals[KONTOR_REGION_CURRENCIES];
};

/* NOT_FOUND naming the id. */
int stored_file_load(kontor_conn *conn, uint64_t safefile_id, struct stored_file *ret_file, struct kontor_error *err);
/* In order of part_no, in arena. */
int stored_parts_load(kontor_conn *conn, uint64_t safefile_id, kontor_arena *arena, struct stored_part **ret_parts,
		      size_t *ret_len, struct kontor_error *err);
struct pain001_message stored_message(const struct stored_file *file, const struct stored_part *part);

/* Sums per currency over all parts, in order of currency; totals has KONTOR_REGION_CURRENCIES elements. */
size_t stored_totals(const struct stored_part *parts, size_t len, struct currency_total *totals);

/* What people approve: SHA-256 over the hashes, counts and sums of all parts. INTERNAL while a part is not written. */
int stored_digest(const struct stored_file *file, const struct stored_part *parts, size_t len, uint8_t *ret_digest,
		  struct kontor_error *err);

/* The payments of one part, streamed: nothing else may run on conn until it is closed. */
struct stored_payments {
	kontor_rows *rows;
	struct payment payment;
	struct payment_source source;
};
int stored_payments_open(struct stored_payments *payments, kontor_conn *conn, uint64_t safefile_id, unsigned part_no,
			 struct kontor_error *err);
void stored_payments_close(struct stored_payments *payments);

#endif
