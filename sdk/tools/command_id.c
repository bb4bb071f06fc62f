/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "cli.h"
#include "kontor/ids.h"
#include "kontor/text.h"

struct range {
	uint64_t base, count, stride;
};

static int take_range(struct cli *cli, const char *id_namespace, uint64_t count, struct range *ret)
{
	kontor_writer *args = new_args();
	kontor_body *reply = NULL;
	kontor_put_string(args, "namespace", id_namespace);
	kontor_put_uint(args, "count", count);
	kontor_write_end(args);
	int code = call_reading(cli, "idgen.next", args, &reply);
	kontor_writer_free(args);
	if (code == EXIT_DONE) {
		const msgpack_object *map = kontor_body_map(reply);
		*ret = (struct range){kontor_get_uint(map, "base", 0), kontor_get_uint(map, "count", 0),
				      kontor_get_uint(map, "stride", 0)};
	}
	kontor_body_free(reply);
	return code;
}

static void print_ids(const struct cli *cli, const struct range *range)
{
	for (uint64_t i = 0; i < range->count; i++)
		printf(cli->json ? "{\"id\":\"%llu\"}\n" : "%llu\n",
		       (unsigned long long)(range->base + i * range->stride));
}

/* The same for people and programs: a line that any tool can read. */
static void print_range(const struct range *range)
{
	printf("{\"base\":\"%llu\",\"count\":%llu,\"stride\":%llu}\n", (unsigned long long)range->base,
	       (unsigned long long)range->count, (unsigned long long)range->stride);
}

static int run_next(struct cli *cli, const struct command_line *line)
{
	uint64_t left = 1;
	const char *count = command_line_value(line, "COUNT");
	if (count)
		kontor_parse_uint(kontor_text_of(count), &left);
	while (left > 0) {
		struct range range = {0};
		uint64_t ask = left < KONTOR_ID_GRANT_LIMIT ? left : KONTOR_ID_GRANT_LIMIT;
		int code = take_range(cli, command_line_value(line, "NAMESPACE"), ask, &range);
		if (code != EXIT_DONE)
			return code;
		if (range.count == 0 || range.count > ask) {
			complain("idgen.next answered %llu ids instead of %llu", (unsigned long long)range.count,
				 (unsigned long long)ask);
			return EXIT_REFUSED;
		}
		if (command_line_flag(line, "--range"))
			print_range(&range);
		else
			print_ids(cli, &range);
		left -= range.count;
	}
	return EXIT_DONE;
}

static const struct command_arg next_args[] = {
	{"NAMESPACE", ARG_TEXT, true, NULL, "billing-item, payout, job, file or default"},
	{"COUNT", ARG_COUNT, false, NULL, "how many; 1 unless given"},
	{"--range", ARG_FLAG, false, NULL, "print {\"base\",\"count\",\"stride\"} lines instead of single ids"},
};

static const struct command_arg decode_args[] = {
	{"ID", ARG_ID, true, "id", "the id"},
	{"--namespace", ARG_TEXT, false, "namespace", "what it was issued for"},
};

static const struct command_arg claim_args[] = {
	{"--alone", ARG_FLAG, false, "alone", "no other database issues ids for this datacenter id"},
};

static const struct command commands[] = {
	{.words = "id next",
	 .help = "Prints new ids, one a line.",
	 .example = "kontor id next billing-item 3",
	 COMMAND_ARGS(next_args),
	 .run = run_next},
	{.words = "id decode",
	 .help = "Shows an id's time, datacenter, slot and sequence.",
	 COMMAND_ARGS(decode_args),
	 .run = run_object,
	 .method = "idgen.decode"},
	{.words = "id claim",
	 .help = "Binds this datacenter's id to its database cluster, once.",
	 COMMAND_ARGS(claim_args),
	 .run = run_object,
	 .method = "idgen.claim",
	 .changes = true},
};

const struct command_group id_commands = {commands, sizeof(commands) / sizeof(commands[0])};
