/* SPDX-License-Identifier: Apache-2.0 */
#include "settlement_calls.h"

#include <stdio.h>

#include "kontor/time.h"
#include "payout.h"

/* run_id 0: the method takes none. */
static int call(kontor_host *host, const char *method, const char *region, uint32_t window_no, uint64_t run_id,
		const char *key, kontor_body **ret_reply, struct kontor_error *err)
{
	kontor_writer *args = kontor_writer_new();
	if (!args)
		return kontor_fail(err, KONTOR_E_INTERNAL, "%s: out of memory", method);
	char window[KONTOR_WINDOW_SIZE];
	kontor_write_map(args);
	kontor_put_string(args, "region", region);
	kontor_put_string(args, "window", kontor_window_format(window_no, window));
	if (run_id)
		kontor_put_uint(args, "run_id", run_id);
	kontor_write_end(args);
	int code = kontor_call(kontor_host_client(host), method, args, &(struct kontor_call_options){.key = key},
			       ret_reply, err);
	kontor_writer_free(args);
	return code;
}

static int read_totals(const msgpack_object *totals, struct control_totals *ret, struct kontor_error *err)
{
	*ret = (struct control_totals){0};
	if (!totals || totals->type != MSGPACK_OBJECT_ARRAY)
		return kontor_fail(err, KONTOR_E_INTERNAL, "settlement.window_get: the reply has no totals");
	for (uint32_t i = 0; i < totals->via.array.size; i++) {
		const msgpack_object *total = &totals->via.array.ptr[i];
		char currency[4];
		struct control_line *line =
			control_line_of(ret, kontor_get_string(total, "currency", currency, sizeof(currency)));
		if (!line)
			return kontor_fail(err, PAYOUT_E_RANGE, "the window has items in more than %d currencies",
					   CONTROL_CURRENCIES);
		line->items = kontor_get_int(total, "items", 0);
		line->items_minor = kontor_get_int(total, "amount_minor", 0);
	}
	return 0;
}

int settlement_window_get(kontor_host *host, const char *region, uint32_t window_no, struct settlement_window *ret,
			  struct kontor_error *err)
{
	kontor_body *reply = NULL;
	int code = call(host, "settlement.window_get", region, window_no, 0, NULL, &reply, err);
	if (code)
		return code;
	const msgpack_object *map = kontor_body_map(reply);
	struct settlement_window window = {
		.to_ms = kontor_get_int(map, "to_ms", 0),
		.run_id = kontor_get_uint(map, "run_id", 0),
		.items = kontor_get_uint(map, "items", 0),
		.open_claims = kontor_get_uint(map, "open_claims", 0),
	};
	kontor_get_string(map, "state", window.state, sizeof(window.state));
	kontor_get_string(map, "older_unsettled", window.older_unsettled, sizeof(window.older_unsettled));
	code = read_totals(kontor_get(map, "totals"), &window.totals, err);
	if (!code)
		*ret = window;
	kontor_body_free(reply);
	return code;
}

/* The key is the same each time, so a retry of unknown outcome is the same call. */
static int settle(kontor_host *host, const char *method, const char *what, const char *region, uint32_t window_no,
		  uint64_t run_id, struct kontor_error *err)
{
	char key[KONTOR_KEY_SIZE];
	snprintf(key, sizeof(key), "payout-run-%llu-%s", (unsigned long long)run_id, what);
	return call(host, method, region, window_no, run_id, key, NULL, err);
}

int settlement_settle_begin(kontor_host *host, const char *region, uint32_t window_no, uint64_t run_id,
			    struct kontor_error *err)
{
	return settle(host, "settlement.settle_begin", "begin", region, window_no, run_id, err);
}

int settlement_settle_end(kontor_host *host, const char *region, uint32_t window_no, uint64_t run_id,
			  struct kontor_error *err)
{
	return settle(host, "settlement.settle_end", "end", region, window_no, run_id, err);
}

int settlement_manual_end(kontor_host *host, const char *region, uint64_t upload_id, uint64_t run_id, uint64_t payouts,
			  struct kontor_error *err)
{
	char key[KONTOR_KEY_SIZE];
	kontor_writer *args = kontor_writer_new();
	if (!args)
		return kontor_fail(err, KONTOR_E_INTERNAL, "settlement.manual_end: out of memory");
	snprintf(key, sizeof(key), "payout-run-%llu-end", (unsigned long long)run_id);
	kontor_write_map(args);
	kontor_put_string(args, "region", region);
	kontor_put_uint(args, "upload", upload_id);
	kontor_put_uint(args, "run_id", run_id);
	kontor_put_uint(args, "payouts", payouts);
	kontor_write_end(args);
	int code = kontor_call(kontor_host_client(host), "settlement.manual_end", args,
			       &(struct kontor_call_options){.key = key}, NULL, err);
	kontor_writer_free(args);
	return code;
}
