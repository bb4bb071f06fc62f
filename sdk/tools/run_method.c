/* SPDX-License-Identifier: Apache-2.0
 *
 * Commands that are one method: its arguments come from the command's table, its answer is an object, a list or a job.
 */
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "output.h"

#define PAGE_ROWS 1000

static int call_method(struct cli *cli, const struct command_line *line, kontor_body **ret_reply)
{
	kontor_writer *args = new_args();
	command_line_put(line, args);
	kontor_write_end(args);
	int code = line->command->changes ? call_changing(cli, line->command->method, args, ret_reply)
					  : call_reading(cli, line->command->method, args, ret_reply);
	kontor_writer_free(args);
	return code;
}

/* Completes and prints the object, and frees it. */
static int print_complete(struct cli *cli, const struct command *command, json_t *object)
{
	int code = command->complete ? command->complete(cli, object) : EXIT_DONE;
	if (code == EXIT_DONE)
		print_answer(cli, object);
	else
		json_decref(object);
	return code;
}

int run_object(struct cli *cli, const struct command_line *line)
{
	kontor_body *reply = NULL;
	int code = call_method(cli, line, &reply);
	if (code == EXIT_DONE)
		code = print_complete(cli, line->command, json_of("", kontor_body_map(reply)));
	kontor_body_free(reply);
	return code;
}

static int print_rows(struct table *table, const char *method, const msgpack_object *map)
{
	const msgpack_object *rows = kontor_get(map, "rows");
	if (!rows || rows->type != MSGPACK_OBJECT_ARRAY) {
		complain("%s answered no rows", method);
		return EXIT_REFUSED;
	}
	table_page(table, rows);
	return EXIT_DONE;
}

int run_single_page(struct cli *cli, const struct command_line *line)
{
	struct table table;
	kontor_body *reply = NULL;
	int code = call_method(cli, line, &reply);
	if (code == EXIT_DONE) {
		table_begin(&table, cli, line->command->columns);
		code = print_rows(&table, line->command->method, kontor_body_map(reply));
		table_end(&table);
	}
	kontor_body_free(reply);
	return code;
}

/* One page; *page is the page before (NULL: none) and becomes this one. */
static int read_page(struct cli *cli, const char *method, const struct command_line *line, kontor_body **page)
{
	kontor_writer *args = new_args();
	kontor_body *reply = NULL;
	command_line_put(line, args);
	kontor_put_int(args, "limit", PAGE_ROWS);
	if (*page)
		kontor_put_object(args, "after", kontor_get(kontor_body_map(*page), "next"));
	kontor_write_end(args);
	int code = call_reading(cli, method, args, &reply);
	kontor_writer_free(args);
	if (code == EXIT_DONE) {
		kontor_body_free(*page);
		*page = reply;
	}
	return code;
}

int print_pages(struct cli *cli, const char *method, const struct command_line *line, const char *columns)
{
	struct table table;
	kontor_body *page = NULL;
	int code;
	table_begin(&table, cli, columns);
	do {
		code = read_page(cli, method, line, &page);
		if (code == EXIT_DONE)
			code = print_rows(&table, method, kontor_body_map(page));
	} while (code == EXIT_DONE && kontor_get(kontor_body_map(page), "next"));
	if (code == EXIT_DONE)
		table_end(&table);
	kontor_body_free(page);
	return code;
}

int run_list(struct cli *cli, const struct command_line *line)
{
	return print_pages(cli, line->command->method, line, line->command->columns);
}

/* ---- jobs ------------------------------------------------------------------------------------------------------- */

/* Calls the command's result_method with the id that the first answer named. */
static int read_result(struct cli *cli, const struct command *command, const msgpack_object *answer, kontor_body **ret)
{
	const msgpack_object *id = kontor_get(answer, command->result_arg);
	kontor_writer *args = new_args();
	if (id)
		kontor_put_object(args, command->result_arg, id);
	kontor_write_end(args);
	int code = call_reading(cli, command->result_method, args, ret);
	kontor_writer_free(args);
	return code;
}

/* The first answer (job_id in front), and over it the job's result, or the answer of result_method. */
static int print_end(struct cli *cli, const struct command *command, const msgpack_object *answer,
		     const msgpack_object *job)
{
	const msgpack_object *result = job ? kontor_get(job, "result") : NULL;
	json_t *object = json_object();
	kontor_body *shown = NULL;
	int code = EXIT_DONE;
	const msgpack_object *job_id = kontor_get(answer, "job_id");
	if (job_id)
		json_object_set_new(object, "job_id", json_of("job_id", job_id));
	json_object_update_new(object, json_of("", answer));
	if (command->result_method) {
		code = read_result(cli, command, answer, &shown);
		result = shown ? kontor_body_map(shown) : NULL;
	}
	if (result && result->type == MSGPACK_OBJECT_MAP)
		json_object_update_new(object, json_of("", result));
	if (job_id) /* of this command, not of the one that made the safefile */
		json_object_set_new(object, "job_id", json_of("job_id", job_id));
	if (code == EXIT_DONE)
		code = print_complete(cli, command, object);
	else
		json_decref(object);
	kontor_body_free(shown);
	return code;
}

int run_job(struct cli *cli, const struct command_line *line)
{
	kontor_body *reply = NULL, *job = NULL;
	int code = call_method(cli, line, &reply);
	if (code != EXIT_DONE)
		return code;
	const msgpack_object *answer = kontor_body_map(reply);
	struct follow follow = {.job_id = kontor_get_uint(answer, "job_id", 0), .what = line->command->words};
	bool follows = line->command->follows || command_line_flag(line, "--follow");
	if (follows && follow.job_id) /* without a job there was nothing to do */
		code = follow_job(cli, &follow, &job);
	if (code == EXIT_DONE && follows)
		code = print_end(cli, line->command, answer, job ? kontor_body_map(job) : NULL);
	else if (code == EXIT_DONE)
		code = print_complete(cli, line->command, json_of("", answer));
	kontor_body_free(job);
	kontor_body_free(reply);
	return code;
}
