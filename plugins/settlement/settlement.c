/* SPDX-License-Identifier: Apache-2.0
 *
 * The settlement plugin: billing items, the weekly windows that count them, and their way to the payout run.
 */
#include "settlement.h"

#include "items.h"
#include "upload_kinds.h"
#include "writer.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct kontor_conf_row conf[] = {
	{"undo_rows", KONTOR_CONF_INT, offsetof(struct settlement, undo_rows), "10000", 100, 100000, NULL,
	 "items that one transaction removes when an upload is cancelled", false},
	{"close_retry", KONTOR_CONF_DURATION, offsetof(struct settlement, close_retry_ms), "1s", 100, 60000, NULL,
	 "after this time a close that waits for an upload looks again", false},
};

static const struct kontor_arg add_items_args[] = {
	{"region", KONTOR_ARG_REGION, true, 0, 0, "region that the items belong to", NULL, 0},
	{"items", KONTOR_ARG_LIST, true, 1, ADD_ITEMS_LIMIT,
	 "maps of shop_user_id, order_id, item_type, amount_minor, currency, occurred_at (RFC 3339) or occurred_ms, "
	 "and "
	 "perhaps billing_item_id and note; each gets a verdict",
	 NULL, 0},
};

static const struct kontor_arg close_args[] = {
	{"region", KONTOR_ARG_REGION, true, 0, 0, "region of the window", NULL, 0},
	{"window", KONTOR_ARG_WINDOW, false, 0, 0,
	 "window to close; without it the oldest open one that has ended and holds items", NULL, 0},
	{"early", KONTOR_ARG_BOOL, false, 0, 0, "close a window that has begun and not ended", NULL, 0},
	{"wait", KONTOR_ARG_BOOL, false, 0, 0,
	 "wait for uploads that hold items of the window and are not accepted yet", NULL, 0},
};

static const struct kontor_arg windows_args[] = {
	{"region", KONTOR_ARG_REGION, true, 0, 0, "region whose windows are listed", NULL, 0},
	{"after", KONTOR_ARG_WINDOW, false, 0, 0, "the `next` of the page before", NULL, 0},
	{"limit", KONTOR_ARG_INT, false, 1, 1000, "rows of a page, 1000 unless given", NULL, 0},
};

static const struct kontor_arg find_args[] = {
	{"region", KONTOR_ARG_REGION, true, 0, 0, "region to search", NULL, 0},
	{"item", KONTOR_ARG_ID, false, 0, 0, "billing_item_id", NULL, 0},
	{"shop", KONTOR_ARG_ID, false, 0, 0, "shop_user_id", NULL, 0},
	{"order", KONTOR_ARG_STRING, false, 1, 32,
	 "order_id; without a shop every window is scanned, newest first, about 5 s a page", NULL, 0},
	{"after", KONTOR_ARG_STRING, false, 0, 63, "the `next` of the page before", NULL, 0},
	{"limit", KONTOR_ARG_INT, false, 1, 1000, "rows of a page, 100 unless given", NULL, 0},
};

static const struct kontor_arg window_get_args[] = {
	{"region", KONTOR_ARG_REGION, true, 0, 0, "region of the window", NULL, 0},
	{"window", KONTOR_ARG_WINDOW, true, 0, 0, "window to describe", NULL, 0},
};

static const struct kontor_arg settle_args[] = {
	{"region", KONTOR_ARG_REGION, true, 0, 0, "region of the window", NULL, 0},
	{"window", KONTOR_ARG_WINDOW, true, 0, 0, "window that the run settles", NULL, 0},
	{"run_id", KONTOR_ARG_ID, true, 0, 0, "the automatic run of the window", NULL, 0},
};

static const struct kontor_arg hold_args[] = {
	{"region", KONTOR_ARG_REGION, true, 0, 0, "region of the shop's items", NULL, 0},
	{"shop", KONTOR_ARG_ID, true, 0, 0, "shop_user_id", NULL, 0},
};

static const struct kontor_arg manual_args[] = {
	{"region", KONTOR_ARG_REGION, true, 0, 0, "region of the upload", NULL, 0},
	{"upload", KONTOR_ARG_ID, true, 0, 0, "upload_id of an accepted upload of kind manual-settlement", NULL, 0},
};

static const struct kontor_arg manual_end_args[] = {
	{"region", KONTOR_ARG_REGION, true, 0, 0, "region of the upload", NULL, 0},
	{"upload", KONTOR_ARG_ID, true, 0, 0, "the manual-settlement upload that the run pays", NULL, 0},
	{"run_id", KONTOR_ARG_ID, true, 0, 0, "the manual run", NULL, 0},
	{"payouts", KONTOR_ARG_INT, true, 0, INT64_MAX, "payouts that it made", NULL, 0},
};

static const struct kontor_method methods[] = {
	{"add_items", KONTOR_METHOD_CHANGES, KONTOR_PUBLIC, KONTOR_ROLE_OPERATOR, add_items_args, COUNT(add_items_args),
	 "Stores up to 5000 billing items and answers a verdict, window and id for each, in order.", handle_add_items,
	 0},
	{"find", 0, KONTOR_PUBLIC, KONTOR_ROLE_VIEWER, find_args, COUNT(find_args),
	 "Finds billing items that count, by item, shop or order.", handle_find, 0},
	{"report_items", KONTOR_METHOD_CHANGES, KONTOR_OPERATOR, KONTOR_ROLE_OPERATOR, window_get_args,
	 COUNT(window_get_args),
	 "Starts a report of a window's items that count; jobs.output has it when the job is done.",
	 handle_report_items, 0},
	{"windows", 0, KONTOR_OPERATOR, KONTOR_ROLE_VIEWER, windows_args, COUNT(windows_args),
	 "Lists a region's windows; items counts those of accepted uploads and of services.", handle_windows, 0},
	{"close", KONTOR_METHOD_CHANGES, KONTOR_OPERATOR, KONTOR_ROLE_OPERATOR, close_args, COUNT(close_args),
	 "Closes a window and the empty ones before it; later items of them count in the next one.", handle_close, 0},
	{"hold", KONTOR_METHOD_CHANGES, KONTOR_OPERATOR, KONTOR_ROLE_OPERATOR, hold_args, COUNT(hold_args),
	 "Payouts of later runs to this shop are held: a new version of its rule hold, in every currency.", handle_hold,
	 0},
	{"release", KONTOR_METHOD_CHANGES, KONTOR_OPERATOR, KONTOR_ROLE_OPERATOR, hold_args, COUNT(hold_args),
	 "Payouts of later runs to this shop are no longer held; those that are held already stay held.",
	 handle_release, 0},
	{"manual", KONTOR_METHOD_CHANGES, KONTOR_OPERATOR, KONTOR_ROLE_OPERATOR, manual_args, COUNT(manual_args),
	 "The run that pays what a manual-settlement upload claims; it goes on if its job had ended too early.",
	 handle_manual, 0},
	{"window_get", 0, KONTOR_INTERNAL, KONTOR_ROLE_UNIT, window_get_args, COUNT(window_get_args),
	 "State, bounds and frozen totals of a window.", handle_window_get, 0},
	{"settle_begin", KONTOR_METHOD_CHANGES, KONTOR_INTERNAL, KONTOR_ROLE_UNIT, settle_args, COUNT(settle_args),
	 "A closed window is settled by this run from now on.", handle_settle_begin, 0},
	{"settle_end", KONTOR_METHOD_CHANGES, KONTOR_INTERNAL, KONTOR_ROLE_UNIT, settle_args, COUNT(settle_args),
	 "The run balanced: its window is settled.", handle_settle_end, 0},
	{"manual_end", KONTOR_METHOD_CHANGES, KONTOR_INTERNAL, KONTOR_ROLE_UNIT, manual_end_args,
	 COUNT(manual_end_args), "The manual run balanced: the items that its upload claims are settled.",
	 handle_manual_end, 0},
};

static int start(void *self, kontor_host *host, struct kontor_error *err)
{
	(void)err;
	((struct settlement *)self)->host = host;
	return 0;
}

static void worker_stop(void *self)
{
	(void)self;
	writer_thread_end();
	item_thread_end();
}

static const char *const calls[] = {"idgen", NULL};

static struct kontor_plugin plugin = {
	KONTOR_PLUGIN_ABI,
	.name = "settlement",
	.version = KONTOR_VERSION,
	.summary = "Billing items and the weekly windows that count them.",
	.calls = calls,
	.self_size = sizeof(struct settlement),
	.conf = conf,
	.conf_len = COUNT(conf),
	.methods = methods,
	.methods_len = COUNT(methods),
	.job_kinds = close_job_kind,
	.job_kinds_len = SETTLEMENT_JOB_KINDS,
	.upload_kinds = upload_kinds,
	.upload_kinds_len = UPLOAD_KINDS,
	.start = start,
	.worker_stop = worker_stop,
};

KONTOR_PLUGIN_WITH_SCHEMA(plugin, settlement_schema)
