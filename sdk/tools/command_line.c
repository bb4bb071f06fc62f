/* SPDX-License-Identifier: Apache-2.0
 *
 * What was typed, checked against the command's table.
 */
#include <ctype.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "kontor/ids.h"
#include "kontor/text.h"

/* What every command takes, and where it goes. */
static const struct {
	const char *name;
	size_t offset; /* in struct cli */
} with_value[] = {
	{"--as", offsetof(struct cli, user)},           {"-e", offsetof(struct cli, endpoint)},
	{"--endpoint", offsetof(struct cli, endpoint)}, {"--server-key", offsetof(struct cli, server_key)},
	{"--key-file", offsetof(struct cli, key_file)}, {"--home", offsetof(struct cli, region)},
	{"--conf", offsetof(struct cli, conf_folder)},  {"--runtime", offsetof(struct cli, runtime_folder)},
};
#define WITH_VALUE (sizeof(with_value) / sizeof(with_value[0]))

static bool is_option(const struct command_arg *arg)
{
	return arg->name[0] == '-';
}

/* An option's value is named after it: --region REGION. */
static void print_placeholder(const struct command_arg *arg)
{
	for (const char *c = arg->name + strspn(arg->name, "-"); *c; c++)
		putchar(*c == '-' ? '-' : toupper((unsigned char)*c));
}

void command_print_synopsis(const struct command *command)
{
	printf("kontor %s", command->words);
	for (size_t i = 0; i < command->args_len; i++) {
		const struct command_arg *arg = &command->args[i];
		fputs(arg->required ? " " : " [", stdout);
		fputs(arg->name, stdout);
		if (is_option(arg) && arg->type != ARG_FLAG) {
			putchar(' ');
			print_placeholder(arg);
		}
		if (!arg->required)
			putchar(']');
	}
	puts(command->passes_through || command->more_operands ? " ..." : "");
}

static int usage(const struct command *command)
{
	fprintf(stderr, "kontor: usage: kontor %s --help\n", command->words);
	return EXIT_USAGE;
}

static int refuse_option(const struct command *command, const char *name)
{
	const char *names[COMMAND_ARGS_LIMIT + 1 + WITH_VALUE] = {"--json"};
	size_t len = 1;
	for (size_t i = 0; i < WITH_VALUE; i++)
		names[len++] = with_value[i].name;
	for (size_t i = 0; i < command->args_len; i++)
		if (is_option(&command->args[i]))
			names[len++] = command->args[i].name;
	const char *nearest = kontor_text_nearest(kontor_text_of(name), names, len);
	complain("%s has no option %s%s%s", command->words, name, nearest ? "; did you mean " : "",
		 nearest ? nearest : "");
	return usage(command);
}

bool command_parse_id(const char *text, uint64_t *ret_id)
{
	return kontor_parse_id(kontor_text_of(text), ret_id) || kontor_id_parse(kontor_text_of(text), ret_id);
}

static bool value_valid(const struct command_arg *arg, const char *value)
{
	uint64_t number;
	if (arg->type == ARG_ID)
		return kontor_parse_id(kontor_text_of(value), &number);
	if (arg->type == ARG_ANY_ID)
		return command_parse_id(value, &number);
	if (arg->type == ARG_COUNT)
		return kontor_parse_uint(kontor_text_of(value), &number) && number <= INT64_MAX;
	return true;
}

static const char *type_in_words(enum command_arg_type type)
{
	switch (type) {
	case ARG_ID:
		return "an id (decimal digits)";
	case ARG_ANY_ID:
		return "an id (decimal digits, or base32 with its check symbol)";
	default:
		return "a whole number";
	}
}

static int set_value(struct command_line *line, size_t index, const char *value)
{
	const struct command_arg *arg = &line->command->args[index];
	if (line->values[index]) {
		complain("%s is given twice", arg->name);
		return usage(line->command);
	}
	if (!value[0]) { /* mostly a shell's variable that is not set */
		complain("%s is empty", arg->name);
		return usage(line->command);
	}
	if (!value_valid(arg, value)) {
		complain("%s must be %s, not \"%s\"", arg->name, type_in_words(arg->type), value);
		return usage(line->command);
	}
	line->values[index] = value;
	return EXIT_DONE;
}

bool command_line_takes_value(const char *word)
{
	for (size_t i = 0; i < WITH_VALUE; i++)
		if (strcmp(word, with_value[i].name) == 0)
			return true;
	return false;
}

/* An option that every command has. Returns how many words it took; 0: it is none; -1: its value is missing. */
static int take_global(struct cli *cli, int left, char **argv)
{
	if (strcmp(argv[0], "--json") == 0) {
		cli->json = true;
		return 1;
	}
	for (size_t i = 0; i < WITH_VALUE; i++) {
		size_t size = strlen(with_value[i].name);
		const char *value = argv[1];
		int words = 2;
		if (strncmp(argv[0], with_value[i].name, size) != 0)
			continue;
		if (argv[0][size] == '=') {
			value = argv[0] + size + 1;
			words = 1;
		} else if (argv[0][size])
			continue;
		else if (left < 2) {
			complain("%s needs a value", argv[0]);
			return -1;
		}
		if (!value[0]) {
			complain("%s is empty", with_value[i].name);
			return -1;
		}
		memcpy((char *)cli + with_value[i].offset, &value, sizeof(value));
		return words;
	}
	return 0;
}

/* Returns how many words it took, or -1. */
static int take_option(struct command_line *line, int left, char **argv)
{
	size_t size = strcspn(argv[0], "=");
	for (size_t i = 0; i < line->command->args_len; i++) {
		const struct command_arg *arg = &line->command->args[i];
		if (!is_option(arg) || strlen(arg->name) != size || strncmp(arg->name, argv[0], size) != 0)
			continue;
		bool attached = argv[0][size] == '=';
		if (arg->type == ARG_FLAG && attached) {
			complain("%s takes no value", arg->name);
			return -1;
		}
		if (arg->type == ARG_FLAG)
			return set_value(line, i, "yes") ? -1 : 1;
		if (!attached && left < 2) {
			complain("%s needs a value", arg->name);
			return -1;
		}
		return set_value(line, i, attached ? argv[0] + size + 1 : argv[1]) ? -1 : attached ? 1 : 2;
	}
	refuse_option(line->command, argv[0]);
	return -1;
}

static int take_operand(struct command_line *line, char *word)
{
	for (size_t i = 0; i < line->command->args_len; i++)
		if (!is_option(&line->command->args[i]) && !line->values[i])
			return set_value(line, i, word);
	if (line->command->more_operands) {
		line->rest[line->rest_len++] = word;
		return EXIT_DONE;
	}
	complain("%s: \"%s\" is one word too many", line->command->words, word);
	return usage(line->command);
}

static int check_required(const struct command_line *line)
{
	for (size_t i = 0; i < line->command->args_len; i++) {
		const struct command_arg *arg = &line->command->args[i];
		if (arg->required && !line->values[i]) {
			complain("%s needs %s: %s", line->command->words, arg->name, arg->help);
			return usage(line->command);
		}
	}
	return EXIT_DONE;
}

int command_line_parse(struct cli *cli, const struct command *command, int argc, char **argv, struct command_line *ret)
{
	bool options_end = false;
	*ret = (struct command_line){.command = command, .rest = calloc((size_t)argc + 1, sizeof(char *))};
	if (!ret->rest) {
		complain("out of memory");
		return EXIT_REFUSED;
	}
	for (int i = 0; i < argc;) {
		char *word = argv[i];
		int taken = 1;
		if (command->passes_through)
			ret->rest[ret->rest_len++] = word;
		else if (!options_end && strcmp(word, "--") == 0)
			options_end = true;
		else if (options_end || word[0] != '-' || !word[1])
			taken = take_operand(ret, word) ? -1 : 1;
		else if ((taken = take_global(cli, argc - i, argv + i)) == 0)
			taken = take_option(ret, argc - i, argv + i);
		if (taken < 0)
			return EXIT_USAGE;
		i += taken;
	}
	return check_required(ret);
}

void command_line_free(struct command_line *line)
{
	free(line->rest);
	line->rest = NULL;
}

const char *command_line_value(const struct command_line *line, const char *name)
{
	for (size_t i = 0; i < line->command->args_len; i++)
		if (strcmp(line->command->args[i].name, name) == 0)
			return line->values[i];
	fprintf(stderr, "kontor: bug: %s has no argument %s\n", line->command->words, name);
	abort();
}

bool command_line_flag(const struct command_line *line, const char *name)
{
	return command_line_value(line, name) != NULL;
}

void command_line_put(const struct command_line *line, kontor_writer *args)
{
	for (size_t i = 0; i < line->command->args_len; i++) {
		const struct command_arg *arg = &line->command->args[i];
		uint64_t number = 0;
		if (!arg->sends || !line->values[i])
			continue;
		if (arg->type == ARG_FLAG)
			kontor_put_bool(args, arg->sends, true);
		else if (arg->type == ARG_TEXT)
			kontor_put_string(args, arg->sends, line->values[i]);
		else if (arg->type == ARG_ANY_ID ? command_parse_id(line->values[i], &number)
						 : kontor_parse_uint(kontor_text_of(line->values[i]), &number))
			kontor_put_uint(args, arg->sends, number);
	}
}
