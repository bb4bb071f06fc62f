/* SPDX-License-Identifier: Apache-2.0
 *
 * kontor: every operator's tool. Finds the command in the tables and runs it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "kontor/text.h"

#define DEFAULT_CONF "/etc/kontor"
#define DEFAULT_RUNTIME "/run/kontor"
#define COMMANDS_LIMIT 64
#define WORDS_SIZE 128

/* In the order of --help. */
static const struct command_group *const groups[] = {
	&status_commands, &upload_commands,   &settlement_commands, &payout_commands, &safefile_commands,
	&jobs_commands,   &approval_commands, &id_commands,         &call_commands,   &db_commands,
	&keys_commands,   &reload_commands,   &doctor_commands,     &report_commands,
};
#define GROUPS (sizeof(groups) / sizeof(groups[0]))

/* Takes as many of the words as it can: "upload list" before "upload". *ret_words: how many it took. */
static const struct command *find_command(int argc, char **argv, int *ret_words)
{
	const struct command *found = NULL;
	for (size_t g = 0; g < GROUPS; g++) {
		for (size_t i = 0; i < groups[g]->len; i++) {
			const struct command *command = &groups[g]->commands[i];
			const char *second = strchr(command->words, ' ');
			size_t size = second ? (size_t)(second - command->words) : strlen(command->words);
			if (argc < 1 || strlen(argv[0]) != size || strncmp(argv[0], command->words, size) != 0)
				continue;
			if (second && argc > 1 && strcmp(argv[1], second + 1) == 0) {
				*ret_words = 2;
				return command;
			}
			if (!second) {
				*ret_words = 1;
				found = command;
			}
		}
	}
	return found;
}

static void print_help(void)
{
	puts("usage: kontor COMMAND [ARGUMENTS] [--json] [--as USER] [-e ENDPOINT]\n");
	for (size_t g = 0; g < GROUPS; g++) {
		for (size_t i = 0; i < groups[g]->len; i++)
			printf("  %-22s %s\n", groups[g]->commands[i].words, groups[g]->commands[i].help);
		putchar('\n');
	}
	puts("  --json            answers as JSON, one object a line; ids are strings of digits\n"
	     "  --as USER         acts for this user, where the configuration trusts that (approvals = trusted)\n"
	     "  -e ENDPOINT       the unit to talk to; else KONTOR_ENDPOINT, else where the configuration says\n"
	     "  --server-key KEY  of a tcp ENDPOINT: the public key of the unit there; else KONTOR_SERVER_KEY\n"
	     "  --key-file FILE   our own NAME.key_secret for tcp; else KONTOR_KEY_FILE\n"
	     "  --home REGION     asks that region's home datacenter; else that of the command's region, else this "
	     "one\n"
	     "  --conf FOLDER     the configuration; else KONTOR_CONF, else " DEFAULT_CONF "\n"
	     "  --runtime FOLDER  sockets of this machine's units; else KONTOR_RUNTIME, else " DEFAULT_RUNTIME "\n"
	     "  COMMAND --help    arguments and an example\n"
	     "  --describe        all commands as JSON\n\n"
	     "exit codes: 0 done, 1 refused or failed, 2 wrong usage, 3 nothing done and worth a retry, 4 outcome "
	     "unknown");
}

static void print_command_help(const struct command *command)
{
	printf("%s\n\n", command->help);
	command_print_synopsis(command);
	if (command->args_len > 0)
		putchar('\n');
	for (size_t i = 0; i < command->args_len; i++)
		printf("  %-14s %s\n", command->args[i].name, command->args[i].help);
	if (command->example)
		printf("\nexample: %s\n", command->example);
}

static bool wants_help(int argc, char **argv)
{
	for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++)
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
			return true;
	return false;
}

static int refuse_command(int argc, char **argv)
{
	const char *names[COMMANDS_LIMIT];
	char words[WORDS_SIZE];
	size_t len = 0, size = strlen(argv[0]);
	bool known_group = false;
	for (size_t g = 0; g < GROUPS; g++) {
		for (size_t i = 0; i < groups[g]->len && len < COMMANDS_LIMIT; i++) {
			const char *name = groups[g]->commands[i].words;
			known_group = known_group || (strncmp(name, argv[0], size) == 0 && name[size] == ' ');
			names[len++] = name;
		}
	}
	bool two = argc > 1 && argv[1][0] != '-';
	snprintf(words, sizeof(words), "%s%s%s", argv[0], two ? " " : "", two ? argv[1] : "");
	if (known_group && !two) {
		complain("%s what? There are:", argv[0]);
		for (size_t i = 0; i < len; i++)
			if (strncmp(names[i], argv[0], size) == 0 && names[i][size] == ' ')
				fprintf(stderr, "  kontor %s\n", names[i]);
		return EXIT_USAGE;
	}
	const char *nearest = kontor_text_nearest(kontor_text_of(words), names, len);
	if (!nearest)
		nearest = kontor_text_nearest(kontor_text_of(argv[0]), names, len);
	complain("there is no command \"%s\"%s%s; all of them: kontor --help", words, nearest ? "; did you mean " : "",
		 nearest ? nearest : "");
	return EXIT_USAGE;
}

/* How many words before the command are options that every command takes. */
static int count_leading_options(int argc, char **argv)
{
	int count = 0;
	while (count < argc && argv[count][0] == '-') {
		bool takes_next = command_line_takes_value(argv[count]);
		if (!takes_next && strcmp(argv[count], "--json") != 0 && !strchr(argv[count], '='))
			break;
		count += takes_next ? 2 : 1;
	}
	return count < argc ? count : argc;
}

/* All calls of a command about a region go to that region's home, also those that name only an id. */
static void take_region(struct cli *cli, const struct command_line *line)
{
	for (size_t i = 0; i < line->command->args_len && !cli->region; i++)
		if (line->values[i] && strcmp(line->command->args[i].name, "--region") == 0 &&
		    kontor_region_valid(kontor_text_of(line->values[i])))
			cli->region = line->values[i];
	for (size_t i = 0; i < line->rest_len && !cli->region; i++)
		if (strncmp(line->rest[i], "region=", 7) == 0 && kontor_region_valid(kontor_text_of(line->rest[i] + 7)))
			cli->region = line->rest[i] + 7;
}

/* The command's words are taken out; leading options go in front of its arguments, where one parser takes them all. */
static int run(struct cli *cli, const struct command *command, int argc, char **argv, int leading, int words)
{
	struct command_line line;
	memmove(argv + words, argv, (size_t)leading * sizeof(*argv));
	int code = command_line_parse(cli, command, argc - words, argv + words, &line);
	if (cli->endpoint && !cli->endpoint[0])
		cli->endpoint = NULL;
	cli->conf_given = cli->conf_folder && cli->conf_folder[0];
	if (!cli->conf_given)
		cli->conf_folder = DEFAULT_CONF;
	if (!cli->runtime_folder || !cli->runtime_folder[0])
		cli->runtime_folder = DEFAULT_RUNTIME;
	if (code == EXIT_DONE) {
		take_region(cli, &line);
		cli->when_unknown = command->when_unknown;
		code = command->run(cli, &line);
	}
	command_line_free(&line);
	kontor_client_free(cli->client);
	if (fflush(stdout) || ferror(stdout)) {
		complain("the output could not be written");
		return EXIT_REFUSED;
	}
	return code;
}

int main(int argc, char **argv)
{
	struct cli cli = {.endpoint = getenv("KONTOR_ENDPOINT"),
			  .server_key = getenv("KONTOR_SERVER_KEY"),
			  .key_file = getenv("KONTOR_KEY_FILE"),
			  .conf_folder = getenv("KONTOR_CONF"),
			  .runtime_folder = getenv("KONTOR_RUNTIME")};
	int words = 0;
	argc--;
	argv++;
	int leading = count_leading_options(argc, argv);
	if (leading == argc || (argv[leading][0] == '-' && wants_help(argc, argv)) ||
	    strcmp(argv[leading], "help") == 0) {
		print_help();
		return argc > leading ? EXIT_DONE : EXIT_USAGE;
	}
	if (strcmp(argv[leading], "--describe") == 0)
		return describe_commands(groups, GROUPS);
	const struct command *command = find_command(argc - leading, argv + leading, &words);
	if (!command)
		return refuse_command(argc - leading, argv + leading);
	if (!command->passes_through && wants_help(argc, argv)) {
		print_command_help(command);
		return EXIT_DONE;
	}
	return run(&cli, command, argc, argv, leading, words);
}
