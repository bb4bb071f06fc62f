/* SPDX-License-Identifier: Apache-2.0 */
#include "windows.h"

#include <stdio.h>
#include <string.h>

#include "statements.h"

static void map_add(struct window_map *map, const struct window_bounds *bounds)
{
	if (map->len < WINDOW_MAP_SIZE) {
		map->entries[map->len++] = *bounds;
		return;
	}
	map->entries[map->next] = *bounds;
	map->next = (map->next + 1) % WINDOW_MAP_SIZE;
}

static const struct window_bounds *map_find(const struct window_map *map, uint32_t window)
{
	for (size_t i = 0; i < map->len; i++)
		if (map->entries[i].window == window)
			return &map->entries[i];
	return NULL;
}

/* The window's row if there is one, else bounds from the time zone, fitted to stored neighbours: after an update of the
 * time zone data windows must still neither overlap nor leave a gap. */
static int read_bounds(kontor_conn *conn, const struct kontor_region *region, uint32_t window,
		       struct window_bounds *ret_bounds, bool *ret_stored, struct kontor_error *err)
{
	uint32_t previous = kontor_window_previous(window), next = kontor_window_next(window);
	kontor_rows *rows = NULL;
	int rc = kontor_db_query(conn, KONTOR_READ_ALL, SQL_FIND_WINDOWS_AROUND,
				 KONTOR_PARAMS(P_STRING(region->code), P_UINT(previous), P_UINT(window), P_UINT(next)),
				 &rows, err);
	if (rc)
		return rc;
	struct window_bounds bounds = {window, 0, 0}, stored = {0, 0, 0};
	kontor_zone_window_bounds(region->zone, window, &bounds.from_ms, &bounds.to_ms);
	while ((rc = kontor_rows_next(rows, err)) > 0) {
		uint32_t found = (uint32_t)kontor_rows_uint(rows, 0);
		if (found == window)
			stored = (struct window_bounds){window, kontor_rows_int(rows, 1), kontor_rows_int(rows, 2)};
		else if (found == previous)
			bounds.from_ms = kontor_rows_int(rows, 2);
		else
			bounds.to_ms = kontor_rows_int(rows, 1);
	}
	kontor_rows_close(rows);
	if (rc < 0)
		return rc;
	*ret_stored = stored.window != 0;
	*ret_bounds = *ret_stored ? stored : bounds;
	return 0;
}

struct new_window {
	const struct kontor_region *region;
	struct window_bounds bounds;
};

static int add_window(kontor_conn *conn, void *arg, struct kontor_error *err)
{
	const struct new_window *new = arg;
	return kontor_db_exec(conn, SQL_ADD_WINDOW,
			      KONTOR_PARAMS(P_STRING(new->region->code), P_UINT(new->bounds.window),
					    P_INT(new->bounds.from_ms), P_INT(new->bounds.to_ms)),
			      NULL, err);
}

int window_find_bounds(kontor_conn *conn, const struct kontor_region *region, uint32_t window, bool store,
		       struct window_bounds *ret_bounds, struct kontor_error *err)
{
	bool stored;
	int rc = read_bounds(conn, region, window, ret_bounds, &stored, err);
	if (rc || stored || !store)
		return rc;
	struct new_window new = {region, *ret_bounds};
	if (kontor_db_in_transaction(conn))
		return kontor_db_step_aside(conn, add_window, &new, sizeof(new), err);
	rc = add_window(conn, &new, err);
	/* Somebody else may have stored it first: his bounds count. */
	return rc ? rc : read_bounds(conn, region, window, ret_bounds, &stored, err);
}

static int mapped_bounds(kontor_conn *conn, const struct kontor_region *region, struct window_map *map, uint32_t window,
			 bool store, struct window_bounds *ret_bounds, struct kontor_error *err)
{
	const struct window_bounds *known = map_find(map, window);
	if (known) {
		*ret_bounds = *known;
		return 0;
	}
	int rc = window_find_bounds(conn, region, window, store, ret_bounds, err);
	if (!rc)
		map_add(map, ret_bounds);
	return rc;
}

int window_of_instant(kontor_conn *conn, const struct kontor_region *region, struct window_map *map, int64_t ms,
		      bool store, uint32_t *ret_window, bool *ret_late, struct kontor_error *err)
{
	for (size_t i = 0; i < map->len; i++) {
		const struct window_bounds *known = &map->entries[i];
		if (known->from_ms <= ms && ms < known->to_ms && known->window >= map->open_from) {
			*ret_window = known->window;
			*ret_late = false;
			return 0;
		}
	}
	struct window_bounds bounds = {kontor_zone_window(region->zone, ms), 0, 0};
	/* A stored border may differ from today's zone data by hours, never by a week: one step at most. */
	if (kontor_window_next(bounds.window) >= map->open_from) {
		uint32_t window = bounds.window;
		int rc = mapped_bounds(conn, region, map, window, store && window >= map->open_from, &bounds, err);
		if (rc)
			return rc;
		if (ms < bounds.from_ms)
			bounds.window = kontor_window_previous(window);
		else if (ms >= bounds.to_ms)
			bounds.window = kontor_window_next(window);
	}
	*ret_late = bounds.window < map->open_from;
	*ret_window = *ret_late ? map->open_from : bounds.window;
	return mapped_bounds(conn, region, map, *ret_window, store, &bounds, err);
}

int window_get(kontor_conn *conn, const char *region, uint32_t window, bool lock, struct window_row *ret_row,
	       struct kontor_error *err)
{
	kontor_rows *rows = NULL;
	int rc = kontor_db_query(conn, KONTOR_READ_ALL, lock ? SQL_LOCK_WINDOW : SQL_GET_WINDOW,
				 KONTOR_PARAMS(P_STRING(region), P_UINT(window)), &rows, err);
	if (rc)
		return rc;
	rc = kontor_rows_next(rows, err);
	if (rc > 0) {
		struct window_row row = {"",
					 kontor_rows_int(rows, 1),
					 kontor_rows_int(rows, 2),
					 kontor_rows_uint(rows, 3),
					 kontor_rows_uint(rows, 4),
					 kontor_rows_uint(rows, 5)};
		snprintf(row.state, sizeof(row.state), "%s", kontor_rows_string(rows, 0));
		*ret_row = row;
		rc = 0;
	} else if (rc == 0) {
		rc = KONTOR_E_NOT_FOUND;
	}
	kontor_rows_close(rows);
	return rc;
}

bool window_is_closed(const struct window_row *row)
{
	return strcmp(row->state, "open") != 0 && strcmp(row->state, "closing") != 0;
}

int window_open_from(kontor_conn *conn, const struct kontor_region *region, uint64_t *ret_epoch,
		     uint32_t *ret_open_from, struct kontor_error *err)
{
	kontor_rows *rows = NULL;
	int rc = kontor_db_query(conn, KONTOR_READ_ALL, SQL_GET_REGION, KONTOR_PARAMS(P_STRING(region->code)), &rows,
				 err);
	if (rc)
		return rc;
	rc = kontor_rows_next(rows, err);
	if (rc >= 0) {
		*ret_epoch = rc ? kontor_rows_uint(rows, 0) : 0;
		*ret_open_from = rc ? (uint32_t)kontor_rows_uint(rows, 1) : region->first_window;
		rc = 0;
	}
	kontor_rows_close(rows);
	return rc;
}

int database_now_ms(kontor_conn *conn, int64_t *ret_ms, struct kontor_error *err)
{
	return kontor_db_query_int(conn, SQL_NOW_MS, KONTOR_NO_PARAMS, ret_ms, err);
}

int window_put_items_minor(kontor_conn *conn, const char *region, uint32_t window, kontor_writer *w,
			   struct kontor_error *err)
{
	kontor_rows *rows = NULL;
	int rc = kontor_db_query(conn, KONTOR_READ_ALL, SQL_LIST_WINDOW_TOTALS,
				 KONTOR_PARAMS(P_STRING(region), P_UINT(window)), &rows, err);
	if (rc)
		return rc;
	kontor_put_map(w, "items_minor");
	while ((rc = kontor_rows_next(rows, err)) > 0)
		kontor_put_int(w, kontor_rows_string(rows, 0), kontor_rows_int(rows, 2));
	kontor_write_end(w);
	kontor_rows_close(rows);
	return rc;
}
