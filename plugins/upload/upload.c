/* SPDX-License-Identifier: Apache-2.0
 *
 * Receives operators' files and tells what became of them. What their rows mean is known to the plugin that registers
 * the kind; the job that judges the rows runs there (libkontor, upload_job.c).
 */
#include "retention.h"

static const struct kontor_conf_row conf[] = {
	{"kinds", KONTOR_CONF_LIST, offsetof(struct upload_plugin, kinds),
	 "{\"billing-items\", \"payees\", \"shop-rules\", \"manual-settlement\"}", 0, 0, NULL,
	 "upload kinds that are accepted; each must be registered by a plugin of some unit", false},
	{"upload_keep_days", KONTOR_CONF_INT, offsetof(struct upload_plugin, upload_keep_days), "7", 0, 3650, NULL,
	 "days that a file's bytes are kept after its upload ended; with them go the rejects of kinds that hold "
	 "accounts",
	 false},
	{"upload_abandon_days", KONTOR_CONF_INT, offsetof(struct upload_plugin, upload_abandon_days), "3", 1, 3650,
	 NULL, "days without a new piece after which an unfinished file is cancelled", false},
};

static const struct kontor_arg begin_args[] = {
	{"kind", KONTOR_ARG_NAME, true, 0, 0,
	 "what the rows are: billing-items, payees, shop-rules, manual-settlement ...", NULL, 0},
	{"region", KONTOR_ARG_REGION, true, 0, 0, "region that the rows belong to", NULL, 0},
	{"name", KONTOR_ARG_STRING, false, 0, 255, "file name, for people", NULL, 0},
	{"sha256", KONTOR_ARG_BYTES, false, 32, 64,
	 "SHA-256 of the whole file, 32 bytes or 64 hex digits: finds an upload of the same bytes", NULL, 0},
	{"bytes", KONTOR_ARG_INT, false, 0, FILE_LIMIT, "size of the whole file in bytes", NULL, 0},
	{"dry_run", KONTOR_ARG_BOOL, false, 0, 0, "give verdicts, store no row", NULL, 0},
	{"again", KONTOR_ARG_BOOL, false, 0, 0, "run even if the same bytes were uploaded before", NULL, 0},
};
static const struct kontor_arg piece_args[] = {
	{"upload_id", KONTOR_ARG_ID, true, 0, 0, "from upload.begin", NULL, 0},
	{"offset", KONTOR_ARG_INT, true, 0, FILE_LIMIT, "byte of the file that the data begins with", NULL, 0},
	{"data", KONTOR_ARG_BYTES, true, 1, PIECE_LIMIT, "the next bytes of the file, at most 1 MiB", NULL, 0},
};
static const struct kontor_arg finish_args[] = {
	{"upload_id", KONTOR_ARG_ID, true, 0, 0, "from upload.begin", NULL, 0},
	{"bytes", KONTOR_ARG_INT, true, 0, FILE_LIMIT, "size of the whole file in bytes", NULL, 0},
	{"sha256", KONTOR_ARG_BYTES, true, 32, 64, "SHA-256 of the whole file, 32 bytes or 64 hex digits", NULL, 0},
};
static const struct kontor_arg upload_args[] = {
	{"upload_id", KONTOR_ARG_ID, true, 0, 0, "from upload.begin", NULL, 0},
};
static const struct kontor_arg list_args[] = {
	{"region", KONTOR_ARG_REGION, false, 0, 0, "only uploads of this region", NULL, 0},
	{"after", KONTOR_ARG_ID, false, 0, 0, "`next` of the page before", NULL, 0},
	{"limit", KONTOR_ARG_INT, false, 1, 1000, "rows of a page; 100 unless given", NULL, 0},
};
static const struct kontor_arg rejects_args[] = {
	{"upload_id", KONTOR_ARG_ID, true, 0, 0, "from upload.begin", NULL, 0},
	{"after", KONTOR_ARG_INT, false, 0, INT64_MAX, "`next` of the page before, a line number", NULL, 0},
	{"limit", KONTOR_ARG_INT, false, 1, 1000, "rows of a page; 1000 unless given", NULL, 0},
};

static const struct kontor_arg report_args[] = {
	{"region", KONTOR_ARG_REGION, true, 0, 0, "region of the uploads", NULL, 0},
	{"window", KONTOR_ARG_WINDOW, true, 0, 0, "the week in which they began, in the region's own time", NULL, 0},
};

#define ARGS(table) .args = (table), .args_len = sizeof(table) / sizeof((table)[0])

static const struct kontor_method methods[] = {
	{.name = "begin",
	 .flags = KONTOR_METHOD_CHANGES,
	 .visibility = KONTOR_PUBLIC,
	 .role = KONTOR_ROLE_OPERATOR,
	 ARGS(begin_args),
	 .handle = upload_begin,
	 .help = "announces a file; answers where to go on with an unfinished one, or that its bytes are known"},
	{.name = "piece",
	 .flags = KONTOR_METHOD_CHANGES | KONTOR_METHOD_NO_AUDIT,
	 .visibility = KONTOR_PUBLIC,
	 .role = KONTOR_ROLE_OPERATOR,
	 ARGS(piece_args),
	 .handle = upload_piece,
	 .help = "appends to the file; what is acknowledged is durable"},
	{.name = "finish",
	 .flags = KONTOR_METHOD_CHANGES,
	 .visibility = KONTOR_PUBLIC,
	 .role = KONTOR_ROLE_OPERATOR,
	 ARGS(finish_args),
	 .handle = upload_finish,
	 .help = "ends the file and starts the job that judges its rows"},
	{.name = "cancel",
	 .flags = KONTOR_METHOD_CHANGES,
	 .visibility = KONTOR_OPERATOR,
	 .role = KONTOR_ROLE_OPERATOR,
	 ARGS(upload_args),
	 .handle = upload_cancel,
	 .help = "drops a file that is not finished; once it has a job, use jobs.cancel"},
	{.name = "get",
	 .visibility = KONTOR_PUBLIC,
	 .role = KONTOR_ROLE_VIEWER,
	 ARGS(upload_args),
	 .handle = upload_get,
	 .help = "state, rows and amounts per verdict of an upload"},
	{.name = "list",
	 .visibility = KONTOR_OPERATOR,
	 .role = KONTOR_ROLE_VIEWER,
	 ARGS(list_args),
	 .handle = upload_list,
	 .help = "uploads, newest first"},
	{.name = "rejects",
	 .visibility = KONTOR_OPERATOR,
	 .role = KONTOR_ROLE_VIEWER,
	 ARGS(rejects_args),
	 .handle = upload_rejects,
	 .help = "rejected rows with line, column, verdict and reason, in order of lines"},
	{.name = "report_rejects",
	 .flags = KONTOR_METHOD_CHANGES,
	 .visibility = KONTOR_OPERATOR,
	 .role = KONTOR_ROLE_OPERATOR,
	 ARGS(report_args),
	 .handle = upload_report,
	 .help = "starts a report of all rejected rows of the uploads that began during a window; jobs.output has it "
		 "when the job is done"},
};

static const struct kontor_job_kind job_kinds[] = {
	{.name = UPLOAD_REPORT_KIND,
	 .lane = KONTOR_LANE_REPORT,
	 .help = "writes what was rejected of the uploads of a window as CSV",
	 .plan = upload_report_plan,
	 .chunk = upload_report_chunk,
	 .finish = upload_report_finish},
};

static int start(void *self, kontor_host *host, struct kontor_error *err)
{
	return retention_start(self, host, err);
}

static void drain(void *self)
{
	retention_stop_soon(self);
}

static void stop(void *self)
{
	retention_stop(self);
}

static struct kontor_plugin plugin = {
	KONTOR_PLUGIN_ABI,
	.name = "upload",
	.version = KONTOR_VERSION,
	.summary = "operators' files, received in pieces and judged row by row",
	.self_size = sizeof(struct upload_plugin),
	.conf = conf,
	.conf_len = sizeof(conf) / sizeof(conf[0]),
	.methods = methods,
	.methods_len = sizeof(methods) / sizeof(methods[0]),
	.job_kinds = job_kinds,
	.job_kinds_len = sizeof(job_kinds) / sizeof(job_kinds[0]),
	.start = start,
	.drain = drain,
	.stop = stop,
};

KONTOR_PLUGIN_WITH_SCHEMA(plugin, upload_schema)
