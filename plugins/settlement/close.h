/* SPDX-License-Identifier: Apache-2.0
 *
 * Closing a window: what stands against it, and the fence that ends all writing to it.
 */
#ifndef SETTLEMENT_CLOSE_H
#define SETTLEMENT_CLOSE_H

#include "windows.h"

/* Why a window cannot be closed now. */
struct obstacle {
	int code; /* 0: nothing stands against it; CONFLICT: somebody must act; BUSY: waiting helps */
	char message[400];
};
/* What somebody wants to close. */
struct close_wish {
	const struct kontor_region *region;
	uint32_t window;
	bool early;
	int64_t asked_ms; /* the database's clock when he asked: uploads that begin later are not waited for */
};
int close_find_obstacle(kontor_conn *conn, const struct close_wish *wish, struct obstacle *ret_obstacle,
			struct kontor_error *err);

/* In the caller's transaction: the window and the open ones before it are `closing`, the region has a new epoch, and
 * new items go to the window after it. Their rows must exist. */
int close_raise_fence(kontor_conn *tx, const struct kontor_region *region, uint32_t window, uint64_t job_id,
		      uint64_t *ret_epoch, struct kontor_error *err);
/* In the caller's transaction: what this job has in state `closing` is open again, under a new epoch. */
int close_reopen(kontor_conn *tx, const struct kontor_region *region, uint64_t job_id, struct kontor_error *err);
/* Takes every writer to the region's epoch, one transaction each, which waits for the writer's running one. When it
 * returns 0, no transaction of an older epoch can commit any more. */
int close_move_writers(kontor_conn *conn, const struct kontor_region *region, struct kontor_error *err);

#endif
