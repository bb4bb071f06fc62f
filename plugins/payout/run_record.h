/* SPDX-License-Identifier: Apache-2.0
 *
 * Rows of the table `run`: finding the one that somebody means.
 */
#ifndef PAYOUT_RUN_RECORD_H
#define PAYOUT_RUN_RECORD_H

#include "kontor/db.h"
#include "kontor/method.h"

#define RUN_PLANNING "planning"
#define RUN_RUNNING "running"
#define RUN_BALANCED "balanced"
#define RUN_FAILED_CONTROL "failed_control"

#define RUN_UNIQUE_SIZE 16

struct run_record {
	uint64_t run_id, job_id;
	uint64_t upload_id; /* of a manual run: whose claims it pays; 0: an automatic one */
	char region[3];
	uint32_t window_no;
	char kind[17], state[17];
	uint64_t payouts, items;
	uint32_t generation;
};

bool run_is(const struct run_record *run, const char *state);

/* "SG202645": a window has one automatic run. out >= RUN_UNIQUE_SIZE; returns out. */
char *run_unique_window(const char *region, uint32_t window_no, char *out);

/* NOT_FOUND with a message. */
int run_by_id(kontor_conn *conn, uint64_t run_id, struct run_record *ret, struct kontor_error *err);
/* The automatic run; NOT_FOUND with a message that says how to make it. */
int run_by_window(kontor_conn *conn, const char *region, uint32_t window_no, struct run_record *ret,
		  struct kontor_error *err);
/* By the arguments region and window, or `run_argument`; BAD_REQUEST unless exactly one of both ways is given. */
int run_of_request(kontor_request *request, const char *run_argument, struct run_record *ret);
/* 0 when the run's payouts may be seen, else CONFLICT with the state and what to do. */
int run_require_balanced(const struct run_record *run, struct kontor_error *err);

#endif
