/* SPDX-License-Identifier: Apache-2.0
 *
 * The step that a lane thread works on. job_claim.c fills it in, job_step.c is what the kind's functions see of it,
 * job_settle.c writes down how it ended.
 */
#ifndef KONTOR_JOB_WORK_H
#define KONTOR_JOB_WORK_H

#include <stdatomic.h>

#include "job_runner.h"

#define JOB_KIND_SIZE 65
#define JOB_LANE_SIZE 33
#define JOB_USER_SIZE 65
#define JOB_REGION_SIZE 3
#define JOB_STAGE_SIZE 9
#define JOB_TEXT_SIZE 512 /* reasons and errors, with the NUL */
#define JOB_OWNER_SIZE 129
#define JOB_PARAMS_LIMIT (1u << 20)

enum job_stage { STAGE_PLAN, STAGE_CHUNKS, STAGE_FINISH, STAGE_UNDO };
const char *job_stage_name(enum job_stage stage);
bool job_stage_parse(const char *name, enum job_stage *ret_stage);

/* A lease that this process holds; kept in one list, for the thread that renews them. */
struct job_lease {
	uint64_t job_id;
	bool is_chunk;
	uint32_t chunk_no;
	uint64_t epoch;
	uint32_t lease_ms;
	atomic_bool lost;
	struct job_lease *next;
};
void job_lease_hold(struct job_lease *lease);
void job_lease_drop(struct job_lease *lease);

struct kontor_chunk {
	kontor_job *job;
	kontor_body *input, *checkpoint; /* NULL: none */
};

struct kontor_job {
	const struct kontor_job_registration *registration;
	kontor_host *host;
	const char *lane;
	kontor_conn *conn;
	kontor_arena *arena;
	char region[JOB_REGION_SIZE], user[JOB_USER_SIZE];
	kontor_body *params;
	enum job_stage stage;
	uint64_t wakes; /* as they were before the step looked at anything */
	unsigned attempts, losses;
	int64_t patience_ms; /* as in the runner's options */
	bool dead;           /* what its undo ends in */
	int undo_code;
	char undo_reason[JOB_TEXT_SIZE];
	kontor_chunk chunk; /* in stage chunks */
	struct job_lease lease;

	/* what the step said */
	bool concluded; /* kontor_job_planned, kontor_chunk_done or kontor_job_done was called */
	bool failed;    /* kontor_job_fail was called */
	bool worn_out;  /* the process died in this step too often: it is not even tried */
	bool gives_up;  /* no further try is of use now: it is dead, with what to do as the reason */
	uint32_t wait_ms;
	char wait_reason[JOB_TEXT_SIZE];

	/* kontor_job_stopping() */
	int64_t looked_ms;
	bool stopping;
};

struct kontor_job_runner {
	struct kontor_job_runner_options options;
	char lane[JOB_LANE_SIZE], owner[JOB_OWNER_SIZE];
	char *sql_find[2]; /* the users behind the one that was served last, and the others */
	struct kontor_param *find_params;
	char served_user[JOB_USER_SIZE]; /* that find_params mean */
	kontor_arena *arena;
	kontor_job job;
	bool claim_in_doubt; /* of job.lease: the session was lost before the answer */

	/* A step whose end could not be written down, because the database was away. */
	bool unsettled;
	int step_rc;
	struct kontor_error step_err;
};

/* Claims a step into runner->job. 1: claimed; 0: nothing to do; negative: the database failed, perhaps with a claim in
 * doubt. */
int job_claim(kontor_job_runner *runner, kontor_conn *conn, struct kontor_error *err);
/* Takes back the claim in doubt, so that nobody waits for the end of a lease that nobody knows of. */
int job_unclaim(kontor_job_runner *runner, kontor_conn *conn, struct kontor_error *err);
/* Forgets what the job's fields point to. */
void job_unload(kontor_job *job);

/* ---- job_lane.c: whose turn it is among the users of a lane, for all threads of this process ---- */

/* A look for work begins: who was served last, "" = nobody yet; ret_user has JOB_USER_SIZE bytes. */
void job_lane_look(const char *lane, char *ret_user);
void job_lane_serve(const char *lane, const char *user);

/* Fences the transactions that the step makes on its session (kontor_conn.before_commit); arg is the job. */
int job_fence(kontor_conn *tx, void *arg, struct kontor_error *err);

/* The job goes on in another lane, its steps so far stay done. In a transaction of its plan, which then returns
 * KONTOR_JOB_STOPPED. The kind must be registered there too. */
int job_move(kontor_conn *tx, kontor_job *job, const char *lane, struct kontor_error *err);

/* Writes down how the step ended: `rc` and `failure` are what its function returned. */
int job_settle(kontor_job *job, kontor_conn *conn, int rc, const struct kontor_error *failure,
	       struct kontor_error *err);

#endif
