/* SPDX-License-Identifier: Apache-2.0
 *
 * kontor --describe: all commands as JSON, which the manual page is made from.
 */
#include <stdio.h>

#include "cli.h"

static json_t *describe_arg(const struct command_arg *arg)
{
	static const char *const types[] = {"text", "id", "id", "count", "flag"};
	return json_pack("{s:s, s:s, s:b, s:s}", "name", arg->name, "type", types[arg->type], "required", arg->required,
			 "help", arg->help ? arg->help : "");
}

static json_t *describe_command(const struct command *command)
{
	json_t *args = json_array();
	for (size_t i = 0; i < command->args_len; i++)
		json_array_append_new(args, describe_arg(&command->args[i]));
	return json_pack("{s:s, s:s, s:s?, s:o, s:b, s:s?}", "words", command->words, "help", command->help, "example",
			 command->example, "arguments", args, "more", command->passes_through || command->more_operands,
			 "method", command->method);
}

int describe_commands(const struct command_group *const *groups, size_t len)
{
	json_t *all = json_array();
	for (size_t g = 0; g < len; g++) {
		json_t *commands = json_array();
		for (size_t i = 0; i < groups[g]->len; i++)
			json_array_append_new(commands, describe_command(&groups[g]->commands[i]));
		json_array_append_new(all, commands);
	}
	bool written = json_dumpf(all, stdout, JSON_INDENT(1)) == 0 && putchar('\n') != EOF;
	json_decref(all);
	return written ? EXIT_DONE : EXIT_REFUSED;
}
