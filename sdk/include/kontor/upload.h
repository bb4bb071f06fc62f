/* SPDX-License-Identifier: Apache-2.0
 *
 * Upload kinds. The `upload` plugin receives a file in pieces; the plugin that owns the table registers the kind and
 * gives each row its verdict. The work is a job (sdk/src/upload_job.c, the same for all kinds) in the owner's unit, so
 * that effect, rejects and checkpoint are one transaction:
 *
 *   plan    reads the pieces once: SHA-256, header, record borders, and identify() of each row: finds the rows of this
 *           file that repeat or contradict each other; makes chunks of some batches, a batch of about 10,000 rows
 *   chunk   parses its rows again and calls apply() for each batch, in one transaction with the checkpoint
 *   finish  accept() in one transaction; or, when needs_approval() says so, first waits for another user
 *   undo    undo(): a cancelled or failed upload leaves no row
 */
#ifndef KONTOR_UPLOAD_H
#define KONTOR_UPLOAD_H

#include "kontor/csv.h"
#include "kontor/db.h"
#include "kontor/job.h"
#include "kontor/region.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* Verdicts of CONTRACT.md. */
enum kontor_verdict {
	KONTOR_VERDICT_OK,
	KONTOR_VERDICT_LATE,
	KONTOR_VERDICT_UNCHANGED,
	KONTOR_VERDICT_NEEDS_APPROVAL,
	KONTOR_VERDICT_BAD_ROW,
	KONTOR_VERDICT_DUPLICATE_IN_FILE,
	KONTOR_VERDICT_ALREADY_EXISTS,
	KONTOR_VERDICT_CONFLICT,
	KONTOR_VERDICT_NOT_FOUND,
	KONTOR_VERDICT_OTHER_SHOP,
	KONTOR_VERDICT_ALREADY_CLAIMED,
	KONTOR_VERDICT_ALREADY_SETTLED,
	KONTOR_VERDICT_HELD,
	KONTOR_VERDICT_COUNT,
};
const char *kontor_verdict_name(enum kontor_verdict verdict); /* "already_exists" */
/* Whether rows with it come back in the rejects file: all but ok, late, unchanged and needs_approval. */
bool kontor_verdict_rejects(enum kontor_verdict verdict);

struct kontor_column {
	const char *name;
	bool required; /* the column must be in the header; the kind itself says what an empty field means */
	const char *help;
};

/* The upload that a callback works for. */
struct kontor_upload {
	uint64_t upload_id;
	const char *kind;
	const struct kontor_region *region;
	const char *user;
	/* The database's clock when the check of the file began, ms since 1970: "now" for the rows' rules, the same in
	 * all calls for one upload, so that a row is judged alike in plan and chunk. */
	int64_t checked_ms;
	bool dry_run;
	bool has_column[KONTOR_CSV_FIELDS]; /* by index in the kind's columns: the header names it */
	/* identify() must fill the identity's facts: rows of the same identity are compared. Else it may leave them. */
	bool wants_facts;
};

/* One row. A column that the header does not have is absent (data NULL); an empty field has size 0. */
struct kontor_row {
	uint64_t line;          /* 1-based physical line of its first byte; the header is line 1 */
	struct kontor_text raw; /* as it stands in the file */
	struct kontor_text fields[KONTOR_CSV_FIELDS]; /* in the order of the kind's columns */
	/* Decided before the kind sees the row in apply(): OK, or BAD_ROW, DUPLICATE_IN_FILE, CONFLICT with
	 * column and reason filled. The kind judges only rows that are OK here. */
	enum kontor_verdict verdict;
	unsigned column; /* 1-based position in the FILE's header of the field to blame; 0 = the row */
	char reason[256];
	/* For the totals per verdict and currency; currency "" = none. Filled by the kind. */
	int64_t amount_minor;
	char currency[4];
	void *parsed; /* the kind's own, in the batch's arena: set by identify(), there again in apply() */
	/* By index in the kind's columns: 1-based position in the file's header, 0 = not there. NULL: as in the kind.
	 */
	const unsigned *positions;
};

/* Fills verdict, column (of kind column index `kind_column`, or -1) and reason of a row. */
void kontor_row_reject(struct kontor_row *row, enum kontor_verdict verdict, int kind_column, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

#define KONTOR_IDENTITY_SIZE 16

struct kontor_identity {
	uint8_t key[KONTOR_IDENTITY_SIZE];   /* equal keys: the same identity */
	uint8_t facts[KONTOR_IDENTITY_SIZE]; /* equal identity and other facts: a contradiction */
};

/* For apply(): what becomes of a row depends on a line of another upload, which may still be cancelled. Returns a code
 * that apply() has to return at once: its transaction rolls back, and the job comes back by itself until that upload
 * has ended. Where uploads wait for each other in a circle, the job of the youngest is dead instead: it takes back what
 * it did, so that the others go on, and can be tried again. Never 0. */
int kontor_upload_wait(kontor_conn *tx, uint64_t upload_id, uint64_t other_id, uint64_t other_line,
		       struct kontor_error *err);

struct kontor_upload_kind {
	const char *name; /* "billing-items" */
	const struct kontor_column *columns;
	size_t columns_len;
	const char *help;

	/* Parses the row's fields into row->parsed (allocated in arena) and fills amount, currency and the identity, or
	 * rejects it with BAD_ROW. Pure: the same row of an upload always gets the same answer. Called in plan and
	 * again before apply, by the lane's thread and by another one beside it (which has worker_start and worker_stop
	 * like a worker). Returns 0 (also for a bad row); BAD_REQUEST: not the row but the file is wrong, which is
	 * refused; other values fail the step. */
	int (*identify)(void *self, const struct kontor_upload *upload, struct kontor_row *row, kontor_arena *arena,
			struct kontor_identity *ret_identity, struct kontor_error *err);
	/* Of rows with the same identity and the same facts the first line is ok and the others duplicate_in_file.
	 * Of rows with the same identity and different facts: CONFLICT = all of them are `conflict`;
	 * DUPLICATE_IN_FILE = the first line is ok, the others duplicate_in_file. */
	enum kontor_verdict contradictions;

	/* Gives the rows of one batch their verdicts and stores what is to be stored, inside tx. May run again (other
	 * transaction) on the same rows: verdict and reason are reset before. In a dry run nothing may be stored, the
	 * verdicts are the same. */
	int (*apply)(void *self, kontor_conn *tx, const struct kontor_upload *upload, struct kontor_row *rows,
		     size_t rows_len, struct kontor_error *err);

	/* After all batches: whether another user must approve; NULL = never. */
	bool (*needs_approval)(void *self, const struct kontor_upload *upload,
			       const uint64_t counts[KONTOR_VERDICT_COUNT]);
	/* The upload counts from now on. In the transaction that makes the upload `accepted`. NULL: nothing to do. */
	int (*accept)(void *self, kontor_conn *tx, const struct kontor_upload *upload, struct kontor_error *err);
	/* Removes what apply() stored; any number of transactions of its own on conn; safe to repeat. */
	int (*undo)(void *self, kontor_conn *conn, const struct kontor_upload *upload, struct kontor_error *err);
};

/* The oldest upload of this kind and region that may still store rows: its check began at until_ms (ms since 1970, the
 * database's clock) or before, it is no dry run and has neither ended nor been stored whole. NOT_FOUND (no message)
 * when there is none, also where the upload plugin has no tables. For who must not go on over a half-done upload. */
int kontor_upload_find_active(kontor_conn *conn, const char *kind, const char *region, int64_t until_ms,
			      uint64_t *ret_upload_id, struct kontor_error *err);

/* The job that runs uploads of a kind is named KONTOR_UPLOAD_JOB_PREFIX + kind and runs in lane "upload"; that of a
 * file of at most KONTOR_UPLOAD_SMALL bytes runs in lane "interactive", and moves to "upload" when the file unpacks to
 * more. The host registers it in both for each upload kind of its plugins; `context` is made from the plugin's self and
 * its kind. */
#define KONTOR_UPLOAD_JOB_PREFIX "upload."
#define KONTOR_UPLOAD_SMALL (UINT64_C(1) << 20)
struct kontor_upload_context {
	void *self;
	const struct kontor_upload_kind *kind;
	/* Of the plugin, for the threads that call identify() beside the lane's own. NULL: none. */
	int (*worker_start)(void *self, struct kontor_error *err);
	void (*worker_stop)(void *self);
};
/* The job kind with `name` filled for this upload kind; its callbacks take a struct kontor_upload_context as self. */
struct kontor_job_kind kontor_upload_job_kind(const char *job_kind_name);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
