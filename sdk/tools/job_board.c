/* SPDX-License-Identifier: Apache-2.0 */
#include "job_board.h"

#include <stdio.h>
#include <string.h>

#include "kontor/time.h"
#include "output.h"
#include "progress.h"
#include "units.h"

#define PAGE_ROWS 1000
#define NEWEST_ENDED 20
#define BAR_WIDTH 10
#define STATUS_TIMEOUT_MS 1000
#define COLUMNS "job_id kind lane region state progress rate left age user error"

static long long number(const json_t *object, const char *key)
{
	return (long long)json_integer_value(json_object_get(object, key));
}

static const char *text(const json_t *object, const char *key)
{
	const char *value = json_string_value(json_object_get(object, key));
	return value ? value : "";
}

/* ---- lanes ---- */

/* Threads of the lane, and how many are at work, over all units that answered. */
static void add_threads(json_t *lane, const struct unit_answers *units)
{
	size_t i;
	json_t *row;
	long long threads = 0, busy = 0;
	for (size_t u = 0; u < units->len; u++) {
		json_array_foreach(json_object_get(units->all[u].reply, "lanes"), i, row)
		{
			if (strcmp(text(row, "lane"), text(lane, "lane")) != 0)
				continue;
			threads += number(row, "threads");
			busy += number(row, "busy");
		}
	}
	if (threads)
		json_object_set_new(lane, "threads", json_sprintf("%lld of %lld at work", busy, threads));
}

static int print_lanes(struct cli *cli)
{
	struct table table;
	kontor_body *reply = NULL;
	struct unit_answers units = {NULL, 0};
	size_t i;
	json_t *lane;
	int code = call_reading(cli, "jobs.lanes", NULL, &reply);
	if (code != EXIT_DONE)
		return code;
	if (units_find(cli, NULL, &units) == EXIT_DONE)
		units_ask(cli, &units, "kontor.status", STATUS_TIMEOUT_MS);
	json_t *rows = json_of("", kontor_get(kontor_body_map(reply), "rows"));
	json_array_foreach(rows, i, lane) add_threads(lane, &units);
	table_begin(&table, cli, "lane running queued waiting dead threads");
	table_rows(&table, rows);
	table_end(&table);
	json_decref(rows);
	units_free(&units);
	kontor_body_free(reply);
	return EXIT_DONE;
}

/* ---- jobs ---- */

/* "#####.....  52%" */
static json_t *bar(long long done, long long total)
{
	char cells[BAR_WIDTH + 1];
	if (total <= 0)
		return json_string("");
	double share = done >= total ? 1 : (double)done / (double)total;
	memset(cells, '.', BAR_WIDTH);
	memset(cells, '#', (size_t)(share * BAR_WIDTH));
	cells[BAR_WIDTH] = '\0';
	return json_sprintf("%s %3d%%", cells, (int)(share * 100));
}

/* "3 d", "5 h", "7 min", "9 s" since an instant. */
static json_t *age(const char *since)
{
	static const struct {
		const char *unit;
		int64_t ms;
	} units[] = {{"d", 86400000}, {"h", 3600000}, {"min", 60000}, {"s", 1000}};
	int64_t ms = 0;
	if (kontor_time_parse(kontor_text_of(since), &ms))
		return json_string("");
	int64_t age_ms = kontor_now_ms() - ms;
	size_t i = 0;
	while (i + 1 < sizeof(units) / sizeof(units[0]) && age_ms < 2 * units[i].ms)
		i++;
	return json_sprintf("%lld %s", (long long)(age_ms > 0 ? age_ms / units[i].ms : 0), units[i].unit);
}

/* What people see of a job. */
static void make_readable(json_t *job)
{
	char count[32], per_second[40], left[32];
	long long rate = number(job, "rate"), eta_s = number(job, "eta_s");
	const char *since = json_is_string(json_object_get(job, "finished")) ? "finished" : "created";
	progress_count((double)rate, "", count, sizeof(count));
	snprintf(per_second, sizeof(per_second), "%s/s", count);
	progress_duration((double)eta_s, left, sizeof(left));
	json_object_set_new(job, "progress", bar(number(job, "done"), number(job, "total")));
	json_object_set_new(job, "rate", json_string(rate > 0 ? per_second : ""));
	json_object_set_new(job, "left", json_string(eta_s > 0 ? left : ""));
	json_object_set_new(job, "age", age(text(job, since)));
	if (json_is_true(json_object_get(job, "cancelling")))
		json_object_set_new(job, "state", json_string("cancelling"));
}

struct listing {
	struct cli *cli;
	const struct command_line *line;
	json_t *rows;
};

static int read_page(const struct listing *listing, bool has_ended, unsigned limit, const kontor_body *before,
		     kontor_body **ret_page)
{
	kontor_writer *args = new_args();
	command_line_put(listing->line, args);
	kontor_put_bool(args, "ended", has_ended);
	kontor_put_int(args, "limit", limit);
	if (before)
		kontor_put_object(args, "after", kontor_get(kontor_body_map(before), "next"));
	kontor_write_end(args);
	int code = call_reading(listing->cli, "jobs.list", args, ret_page);
	kontor_writer_free(args);
	return code;
}

static void add_page(struct listing *listing, const kontor_body *page)
{
	size_t i;
	json_t *job;
	json_t *rows = json_of("", kontor_get(kontor_body_map(page), "rows"));
	json_array_foreach(rows, i, job) make_readable(job);
	json_array_extend(listing->rows, rows);
	json_decref(rows);
}

/* Those that have ended, or the others; all of them, or the newest. */
static int add_half(struct listing *listing, bool has_ended, unsigned newest)
{
	kontor_body *page = NULL;
	int code;
	do {
		kontor_body *next = NULL;
		code = read_page(listing, has_ended, newest ? newest : PAGE_ROWS, page, &next);
		kontor_body_free(page);
		page = next;
		if (code == EXIT_DONE)
			add_page(listing, page);
	} while (code == EXIT_DONE && !newest && kontor_get(kontor_body_map(page), "next"));
	kontor_body_free(page);
	return code;
}

int run_board(struct cli *cli, const struct command_line *line)
{
	if (cli->json)
		return run_list(cli, line);
	struct table table;
	struct listing listing = {.cli = cli, .line = line, .rows = json_array()};
	bool all = command_line_flag(line, "--all") || command_line_value(line, "--state");
	int code = add_half(&listing, false, 0);
	if (code == EXIT_DONE)
		code = add_half(&listing, true, all ? 0 : NEWEST_ENDED);
	if (code == EXIT_DONE)
		code = print_lanes(cli);
	if (code == EXIT_DONE) {
		putchar('\n');
		table_begin(&table, cli, COLUMNS);
		table_rows(&table, listing.rows);
		table_end(&table);
	}
	json_decref(listing.rows);
	return code;
}
