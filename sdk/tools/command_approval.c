/* SPDX-License-Identifier: Apache-2.0 */
#include "cli.h"

static const struct command_arg list_args[] = {
	{"--state", ARG_TEXT, false, "state", "only approvals in this state: pending, given, refused, void"},
};

static const struct command_arg one_args[] = {
	{"ID", ARG_ID, true, "approval_id", "the approval, as approval list shows it"},
};

static const struct command commands[] = {
	{.words = "approval list",
	 .help = "Lists what waits for people's approval, and what they decided.",
	 .example = "kontor approval list --state pending",
	 COMMAND_ARGS(list_args),
	 .run = run_list,
	 .method = "approval.list",
	 .columns = "approval_id subject_kind subject_id state given needed summary"},
	{.words = "approval show",
	 .help = "Shows what is to be approved, its digest, and the votes.",
	 COMMAND_ARGS(one_args),
	 .run = run_object,
	 .method = "approval.get"},
	{.words = "approval give",
	 .help = "Approves. Nobody approves his own work, or twice.",
	 .example = "kontor approval give 38685362216961 --as alice",
	 COMMAND_ARGS(one_args),
	 .run = run_object,
	 .method = "approval.give",
	 .changes = true},
	{.words = "approval refuse",
	 .help = "Refuses; one refusal decides.",
	 COMMAND_ARGS(one_args),
	 .run = run_object,
	 .method = "approval.refuse",
	 .changes = true},
};

const struct command_group approval_commands = {commands, sizeof(commands) / sizeof(commands[0])};
