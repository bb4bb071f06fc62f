/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "kontor/ids.h"
#include "kontor/text.h"
#include "output.h"

/* What is asked for at once: every layout grants that much. */
#define GRANT_COUNT 65536

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

static void print_ids(const struct cli *cli, const struct range *range, bool base32)
{
	for (uint64_t i = 0; i < range->count; i++) {
		char text[24];
		if (base32)
			kontor_id_format(range->base + i * range->stride, text);
		else
			snprintf(text, sizeof(text), "%llu", (unsigned long long)(range->base + i * range->stride));
		printf(cli->json ? "{\"id\":\"%s\"}\n" : "%s\n", text);
	}
}

/* The same for people and programs: a line that any tool can read. */
static void print_range(const struct range *range)
{
	printf("{\"base\":\"%llu\",\"count\":%llu,\"stride\":%llu}\n", (unsigned long long)range->base,
	       (unsigned long long)range->count, (unsigned long long)range->stride);
}

/* How ids shall be printed. */
static int read_format(const struct command_line *line, bool *ret_base32)
{
	const char *format = command_line_value(line, "--format");
	*ret_base32 = format && strcmp(format, "base32") == 0;
	if (format && !*ret_base32 && strcmp(format, "decimal") != 0) {
		complain("--format must be decimal or base32, not \"%s\"", format);
		return EXIT_USAGE;
	}
	if (*ret_base32 && command_line_flag(line, "--range")) {
		complain("--range prints numbers; base32 is a format of single ids");
		return EXIT_USAGE;
	}
	return EXIT_DONE;
}

static int read_count(const struct command_line *line, uint64_t *ret_count)
{
	const char *count = command_line_value(line, "COUNT");
	*ret_count = 1;
	if (count)
		kontor_parse_uint(kontor_text_of(count), ret_count);
	if (*ret_count > 0)
		return EXIT_DONE;
	complain("COUNT must be 1 or more");
	return EXIT_USAGE;
}

static int run_next(struct cli *cli, const struct command_line *line)
{
	uint64_t left = 1;
	bool base32 = false;
	int code = read_count(line, &left);
	if (code == EXIT_DONE)
		code = read_format(line, &base32);
	while (code == EXIT_DONE && left > 0) {
		struct range range = {0};
		uint64_t ask = left < GRANT_COUNT ? left : GRANT_COUNT;
		code = take_range(cli, command_line_value(line, "NAMESPACE"), ask, &range);
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
			print_ids(cli, &range, base32);
		left -= range.count;
	}
	return code;
}

static void put_id(kontor_writer *args, const char *text)
{
	uint64_t id = 0;
	if (command_parse_id(text, &id))
		kontor_write_uint(args, id);
}

/* Rows of the answer, all of one page. */
static int print_checked(struct cli *cli, const struct command *command, kontor_writer *args)
{
	struct table table;
	kontor_body *reply = NULL;
	int code = call_reading(cli, command->method, args, &reply);
	const msgpack_object *rows = code == EXIT_DONE ? kontor_get(kontor_body_map(reply), "rows") : NULL;
	if (rows) {
		table_begin(&table, cli, command->columns);
		table_page(&table, rows);
		table_end(&table);
	}
	kontor_body_free(reply);
	return code;
}

static int run_check(struct cli *cli, const struct command_line *line)
{
	uint64_t id;
	for (size_t i = 0; i < line->rest_len; i++) {
		if (!command_parse_id(line->rest[i], &id)) {
			complain("ID must be an id (decimal digits, or base32 with its check symbol), not \"%s\"",
				 line->rest[i]);
			return EXIT_USAGE;
		}
	}
	kontor_writer *args = new_args();
	command_line_put(line, args);
	kontor_put_array(args, "ids");
	put_id(args, command_line_value(line, "ID"));
	for (size_t i = 0; i < line->rest_len; i++)
		put_id(args, line->rest[i]);
	kontor_write_end(args);
	kontor_write_end(args);
	int code = print_checked(cli, line->command, args);
	kontor_writer_free(args);
	return code;
}

static const struct command_arg next_args[] = {
	{"NAMESPACE", ARG_TEXT, true, NULL, "billing-item, payout, job, file, default, or one of kontor id namespaces"},
	{"COUNT", ARG_COUNT, false, NULL, "how many; 1 unless given"},
	{"--range", ARG_FLAG, false, NULL, "print {\"base\",\"count\",\"stride\"} lines instead of single ids"},
	{"--format", ARG_TEXT, false, NULL, "decimal (unless given), or base32: 13 digits and a check symbol"},
};

static const struct command_arg decode_args[] = {
	{"ID", ARG_ANY_ID, true, "id", "the id, decimal or base32"},
	{"--namespace", ARG_TEXT, false, "namespace", "what it was issued for; layout std63 unless given"},
};

static const struct command_arg check_args[] = {
	{"ID", ARG_ANY_ID, true, NULL, "the ids, decimal or base32"},
	{"--namespace", ARG_TEXT, false, "namespace", "what they were issued for; layout std63 unless given"},
};

static const struct command_arg claim_args[] = {
	{"--alone", ARG_FLAG, false, "alone", "no other database issues ids for this datacenter id"},
};

static const struct command_arg evict_args[] = {
	{"SLOT", ARG_COUNT, true, "slot", "its number, as kontor id slots shows it"},
	{"--layout", ARG_TEXT, false, "layout", "std63 unless given, or js53"},
};

static const struct command_arg create_args[] = {
	{"NAMESPACE", ARG_TEXT, true, "namespace", "its name"},
	{"--layout", ARG_TEXT, true, "layout", "std63, js53 (exact in JavaScript's numbers) or segment (dense)"},
	{"--start", ARG_COUNT, false, "start", "the first number, of layout segment; 1 unless given"},
};

static const struct command commands[] = {
	{.words = "id next",
	 .help = "Prints new ids, one a line.",
	 .example = "kontor id next billing-item 3 --format base32",
	 COMMAND_ARGS(next_args),
	 .run = run_next},
	{.words = "id decode",
	 .help = "Shows an id's time, datacenter, slot and sequence.",
	 .example = "kontor id decode $(kontor id next payout)",
	 COMMAND_ARGS(decode_args),
	 .run = run_object,
	 .method = "idgen.decode"},
	{.words = "id check",
	 .help = "Tells whether ids can have been issued here.",
	 .example = "kontor id check 117412345678901249 --namespace payout",
	 COMMAND_ARGS(check_args),
	 .run = run_check,
	 .method = "idgen.check",
	 .columns = "id verdict time datacenter slot sequence number",
	 .more_operands = true},
	{.words = "id claim",
	 .help = "Binds this datacenter's id to its database cluster, once.",
	 .example = "kontor id claim --alone",
	 COMMAND_ARGS(claim_args),
	 .run = run_object,
	 .method = "idgen.claim",
	 .changes = true},
	{.words = "id stats",
	 .help = "Shows this unit's windows, clocks, database and peers.",
	 .run = run_object,
	 .method = "idgen.stats"},
	{.words = "id slots",
	 .help = "Lists the slots that were ever used, and who holds them.",
	 .run = run_single_page,
	 .method = "idgen.slots",
	 .columns = "layout slot epoch owner leased lease_until reserved_until"},
	{.words = "id evict",
	 .help = "Takes a slot away from its unit, which takes another one.",
	 .example = "kontor id evict 7 --layout js53",
	 COMMAND_ARGS(evict_args),
	 .run = run_object,
	 .method = "idgen.evict",
	 .changes = true,
	 .when_unknown = "kontor id slots tells; the same command again would take the slot away from whoever has it "
			 "by then"},
	{.words = "id fence",
	 .help = "Makes the unit drop what it has reserved: after its machine was copied.",
	 .example = "kontor id fence -e ipc:///run/kontor/ids-a.sock",
	 .run = run_object,
	 .method = "idgen.fence"},
	{.words = "id namespaces",
	 .help = "Lists the namespaces and their layouts.",
	 .run = run_single_page,
	 .method = "idgen.namespaces",
	 .columns = "namespace layout reserved_until_number created_at created_by"},
	{.words = "id create",
	 .help = "Adds a namespace, for good; its layout never changes.",
	 .example = "kontor id create tickets --layout segment --start 1000",
	 COMMAND_ARGS(create_args),
	 .run = run_object,
	 .method = "idgen.namespace_create",
	 .changes = true},
};

const struct command_group id_commands = {commands, sizeof(commands) / sizeof(commands[0])};
