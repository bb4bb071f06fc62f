/* SPDX-License-Identifier: Apache-2.0 */
#include "payout_calls.h"

/* An open map of arguments; NULL when out of memory. */
static kontor_writer *new_arguments(struct kontor_error *err)
{
	kontor_writer *args = kontor_writer_new();
	if (args)
		kontor_write_map(args);
	else
		kontor_fail(err, KONTOR_E_INTERNAL, "out of memory");
	return args;
}

/* Closes and frees args. A change gets a key of its own each time: the methods are idempotent by their natural keys,
 * and a key that was used before would give back an answer from before an undo. */
static int call(kontor_host *host, const char *method, kontor_writer *args, bool changes, kontor_body **ret_reply,
		struct kontor_error *err)
{
	char key[33];
	struct kontor_call_options options = {.key = changes ? kontor_random_key(key) : NULL};
	kontor_write_end(args);
	int code = kontor_call(kontor_host_client(host), method, args, &options, ret_reply, err);
	kontor_writer_free(args);
	return code;
}

int payout_run_for_file(kontor_host *host, uint64_t run_id, const char *region, uint32_t window,
			struct payout_run *ret_run, struct kontor_error *err)
{
	char name[KONTOR_WINDOW_SIZE];
	kontor_body *reply = NULL;
	kontor_writer *args = new_arguments(err);
	if (!args)
		return KONTOR_E_INTERNAL;
	if (run_id) {
		kontor_put_uint(args, "run_id", run_id);
	} else {
		kontor_put_string(args, "region", region);
		kontor_put_string(args, "window", kontor_window_format(window, name));
	}
	int code = call(host, "payout.run_for_file", args, false, &reply, err);
	if (code)
		return code;
	const msgpack_object *map = kontor_body_map(reply);
	struct payout_run run = {.run_id = kontor_get_uint(map, "run_id", 0),
				 .ready = kontor_get_uint(map, "ready", 0)};
	kontor_get_string(map, "region", run.region, sizeof(run.region));
	bool fine = kontor_window_parse(kontor_get_text(map, "window"), &run.window) && run.run_id;
	kontor_body_free(reply);
	if (!fine)
		return kontor_fail(err, KONTOR_E_INTERNAL, "payout.run_for_file names no run and window");
	*ret_run = run;
	return 0;
}

int payout_payable(kontor_host *host, uint64_t run_id, uint64_t safefile_id, const msgpack_object *after,
		   kontor_body **ret_page, struct kontor_error *err)
{
	kontor_writer *args = new_arguments(err);
	if (!args)
		return KONTOR_E_INTERNAL;
	kontor_put_uint(args, "run_id", run_id);
	kontor_put_uint(args, "safefile_id", safefile_id);
	kontor_put_uint(args, "limit", PAYOUT_PAGE);
	if (after)
		kontor_put_object(args, "after", after);
	return call(host, "payout.payable", args, false, ret_page, err);
}

int payout_batch(kontor_host *host, uint64_t run_id, uint64_t safefile_id, const uint64_t *payouts, size_t len,
		 struct kontor_error *err)
{
	kontor_writer *args = new_arguments(err);
	if (!args)
		return KONTOR_E_INTERNAL;
	kontor_put_uint(args, "run_id", run_id);
	kontor_put_uint(args, "safefile_id", safefile_id);
	kontor_put_array(args, "payouts");
	for (size_t i = 0; i < len; i++)
		kontor_write_uint(args, payouts[i]);
	kontor_write_end(args);
	return call(host, "payout.batch", args, true, NULL, err);
}

int payout_unbatch(kontor_host *host, uint64_t safefile_id, struct kontor_error *err)
{
	bool more = true;
	int code = 0;
	while (more && !code) {
		kontor_body *reply = NULL;
		kontor_writer *args = new_arguments(err);
		if (!args)
			return KONTOR_E_INTERNAL;
		kontor_put_uint(args, "safefile_id", safefile_id);
		kontor_put_uint(args, "limit", PAYOUT_UNBATCH_PAGE);
		code = call(host, "payout.unbatch", args, true, &reply, err);
		more = !code && kontor_get_bool(kontor_body_map(reply), "more", false);
		kontor_body_free(reply);
	}
	return code;
}
