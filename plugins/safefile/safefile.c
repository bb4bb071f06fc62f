/* SPDX-License-Identifier: Apache-2.0
 *
 * The payment file for the bank: entry of the plugin, its tables of configuration, methods and jobs.
 */
#include "safefile.h"

#include <libxml/parser.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sign.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

static const struct kontor_conf_row conf[] = {
	{.key = "key_file",
	 .type = KONTOR_CONF_SECRET,
	 .offset = offsetof(struct safefile_plugin, key_file),
	 .default_text = "",
	 .help = "Ed25519 private key (PEM, mode 0600) that signs manifests; without it nothing is published."},
	{.key = "folder",
	 .type = KONTOR_CONF_FOLDER,
	 .offset = offsetof(struct safefile_plugin, folder),
	 .default_text = "",
	 .help = "Folder of the safefiles, one folder per profile in it; empty: safefiles in the state folder."},
};

/* ---- methods ---- */

static const struct kontor_arg create_args[] = {
	{.name = "region", .type = KONTOR_ARG_REGION, .help = "Region of the run; needed with window."},
	{.name = "window", .type = KONTOR_ARG_WINDOW, .help = "Window whose automatic run is paid."},
	{.name = "run_id", .type = KONTOR_ARG_ID, .help = "The run itself, instead of region and window."},
	{.name = "profile",
	 .type = KONTOR_ARG_NAME,
	 .required = true,
	 .help = "The bank's profile, conf/profiles/NAME.conf."},
};
static const struct kontor_arg one_args[] = {
	{.name = "safefile_id", .type = KONTOR_ARG_ID, .required = true, .help = "The safefile."},
};
static const struct kontor_arg list_args[] = {
	{.name = "region", .type = KONTOR_ARG_REGION, .help = "Only of this region."},
	{.name = "window", .type = KONTOR_ARG_WINDOW, .help = "Only of this window."},
	{.name = "profile", .type = KONTOR_ARG_NAME, .help = "Only of this profile."},
	{.name = "after", .type = KONTOR_ARG_ID, .help = "Only those after this one: `next` of the page before."},
	{.name = "limit",
	 .type = KONTOR_ARG_INT,
	 .min = 1,
	 .max = 1000,
	 .help = "Rows of a page, at most 20 are given."},
};
static const struct kontor_arg unpayable_args[] = {
	{.name = "safefile_id", .type = KONTOR_ARG_ID, .required = true, .help = "The safefile."},
	{.name = "after", .type = KONTOR_ARG_ID, .help = "Only payouts after this one: `next` of the page before."},
	{.name = "limit", .type = KONTOR_ARG_INT, .min = 1, .max = UNPAYABLE_SHOWN, .help = "Rows of a page."},
};

static const struct kontor_method methods[] = {
	{.name = "create",
	 .flags = KONTOR_METHOD_CHANGES,
	 .visibility = KONTOR_OPERATOR,
	 .role = KONTOR_ROLE_OPERATOR,
	 .args = create_args,
	 .args_len = LENGTH(create_args),
	 .help = "Makes the payment file of a balanced run; again for the same run and profile: the same one.",
	 .handle = safefile_create},
	{.name = "get",
	 .visibility = KONTOR_OPERATOR,
	 .role = KONTOR_ROLE_VIEWER,
	 .args = one_args,
	 .args_len = LENGTH(one_args),
	 .help = "One safefile with its files, sums, approvals, and what could not be paid.",
	 .handle = safefile_get},
	{.name = "list",
	 .visibility = KONTOR_OPERATOR,
	 .role = KONTOR_ROLE_VIEWER,
	 .args = list_args,
	 .args_len = LENGTH(list_args),
	 .help = "Safefiles in the order in which they were made.",
	 .handle = safefile_list},
	{.name = "unpayable",
	 .visibility = KONTOR_OPERATOR,
	 .role = KONTOR_ROLE_VIEWER,
	 .args = unpayable_args,
	 .args_len = LENGTH(unpayable_args),
	 .help = "The payouts that a safefile leaves out, with the reasons.",
	 .handle = safefile_unpayable},
	{.name = "approval",
	 .visibility = KONTOR_OPERATOR,
	 .role = KONTOR_ROLE_VIEWER,
	 .args = one_args,
	 .args_len = LENGTH(one_args),
	 .help = "The open approval of a safefile, for approval.give and approval.refuse.",
	 .handle = safefile_approval},
	{.name = "publish",
	 .flags = KONTOR_METHOD_CHANGES,
	 .visibility = KONTOR_OPERATOR,
	 .role = KONTOR_ROLE_OPERATOR,
	 .args = one_args,
	 .args_len = LENGTH(one_args),
	 .help = "Signs and publishes a safefile that two users have approved.",
	 .handle = safefile_publish},
	{.name = "cancel",
	 .flags = KONTOR_METHOD_CHANGES,
	 .visibility = KONTOR_OPERATOR,
	 .role = KONTOR_ROLE_OPERATOR,
	 .args = one_args,
	 .args_len = LENGTH(one_args),
	 .help = "Takes back a safefile before it is published; its payouts are ready again.",
	 .handle = safefile_cancel},
};

static const struct kontor_job_kind job_kinds[] = {
	{.name = JOB_CREATE,
	 .lane = KONTOR_LANE_FILE,
	 .help = "Plans, writes and verifies the payment file of a run.",
	 .plan = create_plan,
	 .chunk = create_chunk,
	 .finish = create_finish,
	 .undo = create_undo},
	{.name = JOB_PUBLISH,
	 .lane = KONTOR_LANE_FILE,
	 .help = "Signs and publishes an approved safefile.",
	 .plan = publish_plan,
	 .finish = publish_finish,
	 .undo = publish_undo},
	{.name = JOB_CANCEL,
	 .lane = KONTOR_LANE_FILE,
	 .help = "Gives the payouts of a safefile back and removes its files.",
	 .plan = cancel_plan,
	 .finish = cancel_finish},
};

/* ---- life ---- */

static int start(void *self, kontor_host *host, struct kontor_error *err)
{
	struct safefile_plugin *plugin = self;
	plugin->host = host;
	xmlInitParser();
	char state[PATH_MAX];
	const char *folder = plugin->folder && *plugin->folder ? plugin->folder : NULL;
	if (!folder && !realpath(kontor_host_state_folder(host), state))
		return kontor_fail(err, KONTOR_E_STORAGE, "there is no state folder %s",
				   kontor_host_state_folder(host));
	int length = folder ? snprintf(plugin->base, sizeof(plugin->base), "%s", folder)
			    : snprintf(plugin->base, sizeof(plugin->base), "%s/safefiles", state);
	if (length < 0 || (size_t)length >= sizeof(plugin->base))
		return kontor_fail(err, KONTOR_E_CONFLICT,
				   "the folder of the safefiles has a path longer than %zu bytes",
				   sizeof(plugin->base) - 1);
	if (!plugin->key_file)
		plugin->key_file = "";
	/* A key that cannot be used is found now and not when a payment file is due. */
	return *plugin->key_file ? manifest_sign(plugin->key_file, NULL, 0, NULL, err) : 0;
}

static const char *const calls[] = {"payout", "idgen", NULL};

static struct kontor_plugin plugin = {
	KONTOR_PLUGIN_ABI,
	.name = "safefile",
	.version = KONTOR_VERSION,
	.summary = "The payment file for the bank: planned, verified, approved, signed, published.",
	.calls = calls,
	.self_size = sizeof(struct safefile_plugin),
	.conf = conf,
	.conf_len = LENGTH(conf),
	.methods = methods,
	.methods_len = LENGTH(methods),
	.job_kinds = job_kinds,
	.job_kinds_len = LENGTH(job_kinds),
	.start = start,
};

KONTOR_PLUGIN_WITH_SCHEMA(plugin, safefile_schema)
