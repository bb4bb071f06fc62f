/* SPDX-License-Identifier: Apache-2.0
 *
 * The safefile plugin: what its handlers and job steps share. docs/safefile.md says what a safefile is.
 */
#ifndef SAFEFILE_H
#define SAFEFILE_H

#include "kontor/host.h"
#include "kontor/plugin.h"
#include "stored.h"

#define SAFEFILE_SUBJECT "safefile" /* of approvals */
#define SAFEFILE_APPROVALS 2        /* different users, not the planner */

#define JOB_CREATE "safefile.create"
#define JOB_PUBLISH "safefile.publish"
#define JOB_CANCEL "safefile.cancel"

#define UNPAYABLE_SHOWN 1000 /* in one answer; safefile.unpayable turns pages of the others */

struct safefile_plugin {
	/* configuration */
	const char *key_file; /* "": nothing can be published */
	const char *folder;   /* "": STATE/safefiles */

	kontor_host *host;
	char base[512]; /* absolute path of the folder with a folder per profile */
};

/* ---- the job safefile.create ------------------------------------------------------------------------------------- */

int safefile_create(void *self, kontor_request *request);
int create_plan(void *self, kontor_job *job, struct kontor_error *err);
int create_chunk(void *self, kontor_job *job, kontor_chunk *chunk, struct kontor_error *err);
int create_finish(void *self, kontor_job *job, struct kontor_error *err);
int create_undo(void *self, kontor_job *job, struct kontor_error *err);

/* Asks payout for what can be paid, stores the final values and takes the payouts, page by page; ends in state
 * `planned` with every payment's attempt compared. Returns KONTOR_JOB_STOPPED at a checkpoint. */
int plan_payments(const struct safefile_plugin *plugin, kontor_job *job, kontor_chunk *chunk,
		  const struct stored_file *file, struct kontor_error *err);

/* Writes one data file from its rows, reads it back by the verifier and gives it its final name. conn: no transaction
 * open. CONFLICT when the verifier finds a difference. */
int produce_part(kontor_conn *conn, int folder_fd, const struct stored_file *file, const struct stored_part *part,
		 uint64_t *ret_bytes, uint8_t *ret_sha256, struct kontor_error *err);
/* Writes what is not yet written; ends with all parts on the disk and state `writing`. */
int produce_parts(kontor_job *job, kontor_chunk *chunk, const struct stored_file *file, struct kontor_error *err);

/* Loads the safefile that the job's parameters name. */
int job_file(kontor_job *job, struct stored_file *ret_file, struct kontor_error *err);
/* Opens (and makes) the profile's and the safefile's folder; profile_fd may be NULL. */
int safefile_folder_open(const struct stored_file *file, bool create, int *ret_profile_fd, int *ret_fd,
			 struct kontor_error *err);
int safefile_folder_remove(const struct stored_file *file, struct kontor_error *err);
/* The natural key of a safefile that is not failed or cancelled; 64 bytes are enough. */
void safefile_unique_run(const char *profile, uint64_t run_id, char *out, size_t size);
/* Submits a job of this safefile, in the caller's transaction; at most one of each kind runs. */
int safefile_submit(kontor_conn *tx, const char *kind, uint64_t job_id, const char *region, const char *user,
		    uint64_t safefile_id, uint64_t ready, struct kontor_error *err);

/* ---- the other methods and jobs ---- */

int safefile_publish(void *self, kontor_request *request);
int publish_plan(void *self, kontor_job *job, struct kontor_error *err);
int publish_finish(void *self, kontor_job *job, struct kontor_error *err);
int publish_undo(void *self, kontor_job *job, struct kontor_error *err);

int safefile_cancel(void *self, kontor_request *request);
int cancel_plan(void *self, kontor_job *job, struct kontor_error *err);
int cancel_finish(void *self, kontor_job *job, struct kontor_error *err);

int safefile_get(void *self, kontor_request *request);
int safefile_list(void *self, kontor_request *request);
int safefile_unpayable(void *self, kontor_request *request);
int safefile_approval(void *self, kontor_request *request);

/* Puts a safefile's entries (the JSON of `safefile show`) into the open map. job_id: the job to follow; 0: the one that
 * made it. `submitted`: that job was made just now, and `state` says "queued" like every answer to a long command. */
int safefile_put(kontor_conn *conn, kontor_arena *arena, kontor_writer *w, uint64_t safefile_id, uint64_t job_id,
		 bool submitted, struct kontor_error *err);

#endif
