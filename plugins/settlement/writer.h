/* SPDX-License-Identifier: Apache-2.0
 *
 * The fence of close, seen from those who insert items. Each thread owns one row of `window_writer` per region. Its
 * transactions begin by updating that row `WHERE epoch = ?`; a close moves the region's epoch, then every writer's row.
 * A transaction of the old epoch therefore has committed before its row moved, or can never commit.
 */
#ifndef SETTLEMENT_WRITER_H
#define SETTLEMENT_WRITER_H

#include "windows.h"

struct writer {
	const struct settlement *owner;
	char region[3];
	uint64_t number; /* 1, 2, ...: far below any id from idgen */
	uint64_t epoch;
	unsigned registrations;    /* since items passed the fence */
	struct window_map windows; /* of this epoch */
};

/* The first statement on the items' tables in tx, which begins again when the writer has to be registered first
 * (kontor_db_step_aside). Afterwards ret_writer's open_from holds until tx ends. `items`: how
 * many are offered. The writer is this thread's, borrowed until the thread ends. */
int writer_enter(struct settlement *self, kontor_conn *tx, const struct kontor_region *region, uint64_t items,
		 struct writer **ret_writer, struct kontor_error *err);
/* Forgets this thread's writers; their rows are deleted by a later close. */
void writer_thread_end(void);

#endif
