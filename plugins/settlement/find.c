/* SPDX-License-Identifier: Apache-2.0
 *
 * settlement.find: items by id, by shop or by order. There is no index by order: with a shop it is fast, without one
 * each window is scanned, newest first, and a page ends after SCAN_BUDGET_MS.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "items.h"
#include "statements.h"
#include "windows.h"

#define DEFAULT_LIMIT 100
#define SCAN_BUDGET_MS 5000 /* a page that searched this long is returned with what it has */
#define CURSOR_SIZE 64

/* Where the last page ended: rows of this window up to (shop, item) were given. */
struct cursor {
	uint64_t window, shop, item;
};

struct search {
	kontor_request *request;
	const char *region;
	struct cursor at;
	int64_t left; /* rows that still fit into the page */
	uint64_t shop, item;
	const char *order; /* "" none */
};

static bool next_number(const char **at, uint64_t *ret_number)
{
	size_t size = strcspn(*at, ":");
	if (!kontor_parse_uint((struct kontor_text){*at, size}, ret_number))
		return false;
	*at += size + ((*at)[size] == ':');
	return true;
}

static int read_cursor(kontor_request *request, struct cursor *ret_cursor)
{
	const char *at = kontor_arg_string(request, "after");
	*ret_cursor = (struct cursor){UINT32_MAX, 0, 0};
	if (!*at || (next_number(&at, &ret_cursor->window) && next_number(&at, &ret_cursor->shop) &&
		     next_number(&at, &ret_cursor->item) && !*at))
		return 0;
	return kontor_request_fail(request, KONTOR_E_BAD_REQUEST,
				   "after must be the `next` of the page before, not \"%s\"",
				   kontor_arg_string(request, "after"));
}

static void put_row(kontor_writer *w, const kontor_rows *rows)
{
	char window[KONTOR_WINDOW_SIZE];
	kontor_write_map(w);
	kontor_put_uint(w, "billing_item_id", kontor_rows_uint(rows, 0));
	kontor_put_uint(w, "shop_user_id", kontor_rows_uint(rows, 1));
	kontor_put_text(w, "order_id", kontor_rows_text(rows, 2));
	kontor_put_string(w, "item_type", item_type_name((unsigned)kontor_rows_uint(rows, 3)));
	kontor_put_int(w, "amount_minor", kontor_rows_int(rows, 4));
	kontor_put_text(w, "currency", kontor_rows_text(rows, 5));
	kontor_put_time(w, "occurred_at", kontor_rows_int(rows, 6));
	kontor_put_string(w, "window", kontor_window_format((uint32_t)kontor_rows_uint(rows, 7), window));
	kontor_put_text(w, "state", kontor_rows_text(rows, 8));
	kontor_put_bool(w, "late", kontor_rows_int(rows, 9) != 0);
	kontor_put_uint(w, "upload_id", kontor_rows_uint(rows, 10));
	kontor_put_uint(w, "line", kontor_rows_uint(rows, 11));
	if (kontor_rows_uint(rows, 12))
		kontor_put_uint(w, "run_id", kontor_rows_uint(rows, 12));
	if (!kontor_rows_null(rows, 13))
		kontor_put_text(w, "note", kontor_rows_text(rows, 13));
	if (!kontor_rows_null(rows, 14)) /* an upload of kind manual-settlement */
		kontor_put_uint(w, "claimed_by", kontor_rows_uint(rows, 14));
	kontor_write_end(w);
}

/* Puts the rows of one statement and moves the cursor behind them. */
static int put_rows(struct search *search, const char *sql, const struct kontor_param *params)
{
	struct kontor_error *err = kontor_request_error(search->request);
	kontor_rows *rows = NULL;
	int rc = kontor_db_query(kontor_request_db(search->request), KONTOR_READ_ALL, sql, params, &rows, err);
	if (rc)
		return rc;
	while ((rc = kontor_rows_next(rows, err)) > 0) {
		put_row(kontor_reply(search->request), rows);
		search->at.shop = kontor_rows_uint(rows, 1);
		search->at.item = kontor_rows_uint(rows, 0);
		search->left--;
	}
	kontor_rows_close(rows);
	return rc;
}

static int search_window(struct search *search)
{
	const struct cursor *at = &search->at;
	struct kontor_param region = P_STRING(search->region), window = P_UINT(at->window), limit = P_INT(search->left);
	if (search->shop && search->order[0])
		return put_rows(search, SQL_FIND_ORDER_OF_SHOP,
				KONTOR_PARAMS(region, window, P_UINT(search->shop), P_UINT(at->item),
					      P_STRING(search->order), limit));
	if (search->shop)
		return put_rows(search, SQL_FIND_SHOP,
				KONTOR_PARAMS(region, window, P_UINT(search->shop), P_UINT(at->item), limit));
	return put_rows(search, SQL_FIND_ORDER,
			KONTOR_PARAMS(region, window, P_UINT(at->shop), P_UINT(at->shop), P_UINT(at->item),
				      P_STRING(search->order), limit));
}

/* From the cursor's window to older ones until the page is full, its time is up or nothing is left. */
static int search_windows(struct search *search, bool *ret_more)
{
	struct kontor_error *err = kontor_request_error(search->request);
	int64_t until = kontor_monotonic_ms() + SCAN_BUDGET_MS;
	kontor_rows *windows = NULL;
	int rc = kontor_db_query(kontor_request_db(search->request), KONTOR_READ_ALL, SQL_LIST_WINDOWS_BACK,
				 KONTOR_PARAMS(P_STRING(search->region), P_UINT(search->at.window)), &windows, err);
	if (rc)
		return rc;
	*ret_more = false;
	while ((rc = kontor_rows_next(windows, err)) > 0) {
		uint64_t window = kontor_rows_uint(windows, 0);
		if (window != search->at.window)
			search->at = (struct cursor){window, 0, 0};
		*ret_more = search->left <= 0 || kontor_monotonic_ms() >= until;
		if (*ret_more) {
			rc = 0;
			break;
		}
		rc = search_window(search);
		if (rc)
			break;
		*ret_more = search->left <= 0;
		if (*ret_more)
			break;
	}
	kontor_rows_close(windows);
	return rc;
}

static int search_item(struct search *search, bool *ret_more)
{
	int rc = put_rows(search, SQL_FIND_ITEM,
			  KONTOR_PARAMS(P_STRING(search->region), P_UINT(search->item), P_UINT(search->at.shop),
					P_INT(search->left)));
	*ret_more = search->left <= 0;
	return rc;
}

int handle_find(void *self, kontor_request *request)
{
	(void)self;
	struct search search = {.request = request,
				.region = kontor_arg_string(request, "region"),
				.left = kontor_arg_given(request, "limit") ? kontor_arg_int(request, "limit")
									   : DEFAULT_LIMIT,
				.shop = kontor_arg_id(request, "shop"),
				.item = kontor_arg_id(request, "item"),
				.order = kontor_arg_string(request, "order")};
	int rc = read_cursor(request, &search.at);
	if (rc)
		return rc;
	if (!search.item && !search.shop && !search.order[0])
		return kontor_request_fail(
			request, KONTOR_E_BAD_REQUEST,
			"settlement.find needs one of item, shop, order (an order is found faster together "
			"with its shop)");
	bool more = false;
	kontor_writer *w = kontor_reply(request);
	kontor_put_array(w, "rows");
	rc = search.item ? search_item(&search, &more) : search_windows(&search, &more);
	kontor_write_end(w);
	if (rc || !more)
		return rc;
	char next[CURSOR_SIZE];
	snprintf(next, sizeof(next), "%" PRIu64 ":%" PRIu64 ":%" PRIu64, search.at.window, search.at.shop,
		 search.at.item);
	kontor_put_string(w, "next", next);
	return 0;
}
