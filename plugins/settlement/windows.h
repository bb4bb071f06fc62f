/* SPDX-License-Identifier: Apache-2.0
 *
 * Which window an instant belongs to, and the rows of `window`.
 */
#ifndef SETTLEMENT_WINDOWS_H
#define SETTLEMENT_WINDOWS_H

#include "settlement.h"

struct window_bounds {
	uint32_t window;
	int64_t from_ms, to_ms;
};

/* The bounds that a thread has seen. They never change once stored; a full map forgets the oldest entry. */
#define WINDOW_MAP_SIZE 16

struct window_map {
	uint32_t open_from; /* the oldest open window */
	size_t len, next;   /* next: the entry to replace when full */
	struct window_bounds entries[WINDOW_MAP_SIZE];
};

/* The window that counts an item of this instant: its own, or the oldest open one (*ret_late) when its own is closed or
 * lies before the region's first. With `store` its row is made when it is missing, and committed before the caller's
 * transaction, which begins again (kontor_db_step_aside): a row of an open window is no effect (it says nothing but its
 * bounds), and that transaction should hold no lock on it. */
int window_of_instant(kontor_conn *conn, const struct kontor_region *region, struct window_map *map, int64_t ms,
		      bool store, uint32_t *ret_window, bool *ret_late, struct kontor_error *err);

/* Stored bounds; those that storing would give when there is no row and `store` is false. */
int window_find_bounds(kontor_conn *conn, const struct kontor_region *region, uint32_t window, bool store,
		       struct window_bounds *ret_bounds, struct kontor_error *err);

struct window_row {
	char state[16];
	int64_t from_ms, to_ms;
	uint64_t run_id, items, close_job;
};

/* NOT_FOUND (no message) when there is no row. lock: FOR UPDATE. */
int window_get(kontor_conn *conn, const char *region, uint32_t window, bool lock, struct window_row *ret_row,
	       struct kontor_error *err);
/* `closed` or later. */
bool window_is_closed(const struct window_row *row);
/* The oldest open window of the region, its first one as long as nobody wrote to it; epoch 0 then. */
int window_open_from(kontor_conn *conn, const struct kontor_region *region, uint64_t *ret_epoch,
		     uint32_t *ret_open_from, struct kontor_error *err);
int database_now_ms(kontor_conn *conn, int64_t *ret_ms, struct kontor_error *err);
/* Puts {currency: amount_minor} of a closed window as `items_minor`. */
int window_put_items_minor(kontor_conn *conn, const char *region, uint32_t window, kontor_writer *w,
			   struct kontor_error *err);

#endif
