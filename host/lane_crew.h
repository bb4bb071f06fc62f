/* SPDX-License-Identifier: Apache-2.0
 *
 * The threads that work on a lane with one set of job kinds. Main thread, but for the threads themselves.
 */
#ifndef KONTORD_LANE_CREW_H
#define KONTORD_LANE_CREW_H

#include <pthread.h>

#include "job_runner.h"
#include "start_barrier.h"
#include "unit.h"

struct lane {
	const char *name;
	int64_t threads, connections;
	unsigned poll_ms;
	struct kontor_session_quota *sessions; /* of all its threads together */
	_Atomic unsigned busy;
	struct lane_crew *crew; /* NULL: no plugin has a kind for it */
};

struct lane_crew {
	struct lane_crew *next;
	struct unit *unit;
	struct lane *lane;
	struct kontor_job_registration *kinds;
	struct loaded_plugin **plugins; /* of each kind */
	size_t kinds_len;
	struct kontor_upload_context *contexts; /* of its upload kinds */
	char (*context_names)[64];
	size_t contexts_len;
	struct start_barrier started;
	pthread_t *threads;
	unsigned running;
	_Atomic bool ended;
	_Atomic unsigned working;
};

/* *ret_crew has the kinds of the unit's plugins for the lane, but of those that leave; NULL when there are none. */
int lane_crew_new(struct unit *unit, struct lane *lane, struct lane_crew **ret_crew, struct kontor_error *err);
/* Makes the threads; some may be there even after a failure. */
int lane_crew_start(struct lane_crew *crew, struct kontor_error *err);
/* Waits until each has run its plugins' worker_start. */
int lane_crew_await(struct lane_crew *crew, struct kontor_error *err);
/* They end after the step in hand; that of a plugin which leaves ends at its next checkpoint. */
void lane_crew_end(struct lane_crew *crew);
bool lane_crew_works(const struct lane_crew *crew); /* a thread of it has not ended */
void lane_crew_join(struct lane_crew *crew);
struct lane_crew *lane_crew_free(struct lane_crew *crew); /* joins before; NULL is fine; returns NULL */

#endif
