/* SPDX-License-Identifier: Apache-2.0
 *
 * A plugin for the proof of kill.py: an effect that can be counted, and a read that takes a moment. The table has no
 * key of its own, so a request that is done twice shows as two rows.
 */
#include <time.h>

#include "kontor/db.h"
#include "kontor/plugin.h"

struct tally {
	char nothing; /* it has no options */
};

static const struct kontor_arg add_args[] = {
	{"n", KONTOR_ARG_ID, .required = true, .help = "number of the request"},
	{"ms", KONTOR_ARG_INT, .required = true, .min = 0, .max = 1000, .help = "how long it takes"},
};

static void take_time(kontor_request *request)
{
	int64_t ms = kontor_arg_int(request, "ms");
	nanosleep(&(struct timespec){ms / 1000, (ms % 1000) * 1000000}, NULL);
}

static int add(void *self, kontor_request *request)
{
	(void)self;
	int rc =
		kontor_db_exec(kontor_request_db(request), "INSERT INTO tally (n) VALUES (?)",
			       KONTOR_PARAMS(P_UINT(kontor_arg_id(request, "n"))), NULL, kontor_request_error(request));
	take_time(request);
	return rc;
}

static int look(void *self, kontor_request *request)
{
	(void)self;
	take_time(request);
	return 0;
}

static const struct kontor_method methods[] = {
	{"add", KONTOR_METHOD_CHANGES, KONTOR_PUBLIC, KONTOR_ROLE_OPERATOR, add_args, 2, .help = "Adds a row.",
	 .handle = add},
	{"look", 0, KONTOR_PUBLIC, KONTOR_ROLE_VIEWER, add_args, 2, .help = "Does nothing for a while.",
	 .handle = look},
};

static const struct kontor_schema_step schema[] = {
	{"tally/001-tally#1",
	 "CREATE TABLE IF NOT EXISTS tally (row_id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, "
	 "n BIGINT UNSIGNED NOT NULL) ENGINE=InnoDB"},
};

static const struct kontor_plugin plugin = {
	KONTOR_PLUGIN_ABI,
	.name = "tally",
	.version = "1.0",
	.summary = "counts what was done, for a proof",
	.self_size = sizeof(struct tally),
	.methods = methods,
	.methods_len = sizeof(methods) / sizeof(methods[0]),
	.schema = schema,
	.schema_len = 1,
};
KONTOR_PLUGIN(plugin)
