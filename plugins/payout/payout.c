/* SPDX-License-Identifier: Apache-2.0
 *
 * The payout plugin: one payout per shop, currency and window. Entry, and the tables of what it offers.
 */
#include "payout.h"

#include "batch.h"
#include "control.h"
#include "list.h"
#include "payees.h"
#include "report_payouts.h"
#include "run.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

static const struct kontor_conf_row conf[] = {
	/* 250,000 items can bring as many payouts and carries, which still are one grant of ids. */
	{"chunk_items", KONTOR_CONF_INT, offsetof(struct payout, chunk_items), "50000", 1, 250000, NULL,
	 "billing items that a run reads, computes and stores in one transaction", false},
};

static const struct kontor_arg run_args[] = {
	{"region", KONTOR_ARG_REGION, true, 0, 0, "the window's region", NULL, 0},
	{"window", KONTOR_ARG_WINDOW, true, 0, 0, "a closed window", NULL, 0},
};

static const struct kontor_arg list_args[] = {
	{"region", KONTOR_ARG_REGION, false, 0, 0, "with window: its automatic run", NULL, 0},
	{"window", KONTOR_ARG_WINDOW, false, 0, 0, "with region: its automatic run", NULL, 0},
	{"run", KONTOR_ARG_ID, false, 0, 0, "a run, instead of region and window", NULL, 0},
	{"state", KONTOR_ARG_NAME, false, 0, 0, "only payouts in this state: ready, held, carried, zero, batched", NULL,
	 0},
	{"after", KONTOR_ARG_ID, false, 0, 0, "the page begins after this payout; `next` of the page before", NULL, 0},
	{"limit", KONTOR_ARG_INT, false, 1, 1000, "payouts of one page; 1000 unless given", NULL, 0},
};

static const struct kontor_arg get_args[] = {
	{"payout_id", KONTOR_ARG_ID, true, 0, 0, "the payout", NULL, 0},
};

static const struct kontor_arg control_args[] = {
	{"region", KONTOR_ARG_REGION, false, 0, 0, "with window: its automatic run", NULL, 0},
	{"window", KONTOR_ARG_WINDOW, false, 0, 0, "with region: its automatic run", NULL, 0},
	{"run", KONTOR_ARG_ID, false, 0, 0, "a run, instead of region and window", NULL, 0},
};

static const struct kontor_arg run_for_file_args[] = {
	{"region", KONTOR_ARG_REGION, false, 0, 0, "with window: its automatic run", NULL, 0},
	{"window", KONTOR_ARG_WINDOW, false, 0, 0, "with region: its automatic run", NULL, 0},
	{"run_id", KONTOR_ARG_ID, false, 0, 0, "a run, instead of region and window", NULL, 0},
};

static const struct kontor_arg payable_args[] = {
	{"run_id", KONTOR_ARG_ID, true, 0, 0, "the run", NULL, 0},
	{"safefile_id", KONTOR_ARG_ID, true, 0, 0, "the file that asks; what it holds already is listed too", NULL, 0},
	{"after", KONTOR_ARG_ID, false, 0, 0, "the page begins after this payout; `next` of the page before", NULL, 0},
	{"limit", KONTOR_ARG_INT, true, 1, PAYABLE_LIMIT, "payouts of one page", NULL, 0},
};

static const struct kontor_arg batch_args[] = {
	{"run_id", KONTOR_ARG_ID, true, 0, 0, "the run that all the payouts belong to", NULL, 0},
	{"safefile_id", KONTOR_ARG_ID, true, 0, 0, "the file that pays them", NULL, 0},
	{"payouts", KONTOR_ARG_IDS, true, 1, PAYABLE_LIMIT, "the payouts", NULL, 0},
};

static const struct kontor_arg unbatch_args[] = {
	{"safefile_id", KONTOR_ARG_ID, true, 0, 0, "the cancelled file", NULL, 0},
	{"limit", KONTOR_ARG_INT, true, 1, UNBATCH_LIMIT, "payouts of this call", NULL, 0},
};

static const struct kontor_method methods[] = {
	{"run", KONTOR_METHOD_CHANGES, KONTOR_OPERATOR, KONTOR_ROLE_OPERATOR, run_args, LENGTH(run_args),
	 "computes the payouts of a closed window; the run that a window has already is the answer", payout_run, 0},
	{"report_payouts", KONTOR_METHOD_CHANGES, KONTOR_OPERATOR, KONTOR_ROLE_OPERATOR, run_args, LENGTH(run_args),
	 "starts a report of all payouts of a window's balanced run; jobs.output has it when the job is done",
	 payout_report, 0},
	{"list", 0, KONTOR_PUBLIC, KONTOR_ROLE_VIEWER, list_args, LENGTH(list_args),
	 "payouts of a balanced run, in order of currency and shop", payout_list, 0},
	{"get", 0, KONTOR_PUBLIC, KONTOR_ROLE_VIEWER, get_args, LENGTH(get_args),
	 "one payout with its attempts and events", payout_get, 0},
	{"control", 0, KONTOR_OPERATOR, KONTOR_ROLE_VIEWER, control_args, LENGTH(control_args),
	 "control totals of a run per currency, compared with what the window held", payout_control, 0},
	{"run_for_file", 0, KONTOR_INTERNAL, KONTOR_ROLE_UNIT, run_for_file_args, LENGTH(run_for_file_args),
	 "the balanced run that a payment file is made of", payout_run_for_file, 0},
	{"payable", 0, KONTOR_INTERNAL, KONTOR_ROLE_UNIT, payable_args, LENGTH(payable_args),
	 "payouts that are ready or in this payment file, with their payees", payout_payable, 0},
	{"batch", KONTOR_METHOD_CHANGES, KONTOR_INTERNAL, KONTOR_ROLE_UNIT, batch_args, LENGTH(batch_args),
	 "moves ready payouts into a payment file, all or none", payout_batch, 0},
	{"unbatch", KONTOR_METHOD_CHANGES, KONTOR_INTERNAL, KONTOR_ROLE_UNIT, unbatch_args, LENGTH(unbatch_args),
	 "makes payouts of a cancelled payment file ready again", payout_unbatch, 0},
};

static const struct kontor_job_kind job_kinds[] = {
	{.name = PAYOUT_REPORT_KIND,
	 .lane = KONTOR_LANE_REPORT,
	 .help = "writes the payouts of a window's run as CSV",
	 .plan = payout_report_plan,
	 .chunk = payout_report_chunk,
	 .finish = payout_report_finish},
	{.name = RUN_JOB_KIND,
	 .lane = KONTOR_LANE_SETTLE,
	 .help = "computes the payouts of a closed window and proves that they balance",
	 .plan = run_plan,
	 .chunk = run_chunk,
	 .finish = run_finish,
	 .undo = run_undo},
	{.name = RUN_MANUAL_JOB_KIND,
	 .lane = KONTOR_LANE_SETTLE,
	 .help = "computes the payouts of the items that a manual-settlement upload claims",
	 .plan = run_manual_plan,
	 .chunk = run_chunk,
	 .finish = run_finish,
	 .undo = run_undo},
};

static const char *const calls[] = {"settlement", "idgen", NULL};

static int start(void *self, kontor_host *host, struct kontor_error *err)
{
	(void)err;
	struct payout *payout = self;
	payout->host = host;
	return 0;
}

static struct kontor_plugin plugin = {
	KONTOR_PLUGIN_ABI,
	.name = "payout",
	.version = KONTOR_VERSION,
	.summary = "one payout per shop, currency and window, proven by control totals",
	.calls = calls,
	.self_size = sizeof(struct payout),
	.conf = conf,
	.conf_len = LENGTH(conf),
	.methods = methods,
	.methods_len = LENGTH(methods),
	.job_kinds = job_kinds,
	.job_kinds_len = LENGTH(job_kinds),
	.upload_kinds = &payees_kind,
	.upload_kinds_len = 1,
	.start = start,
};

KONTOR_PLUGIN_WITH_SCHEMA(plugin, payout_schema)
