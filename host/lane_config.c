/* SPDX-License-Identifier: Apache-2.0
 *
 * Blocks `lane "NAME" { ... }`: how many threads and database sessions the jobs of a lane may use.
 */
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "kontor/job.h"
#include "unit_config.h"

/* Beside one for each thread: for looking whether a step was cancelled in the middle of a read. */
#define SPARE_SESSIONS 1

#define LANE(member) offsetof(struct lane_entry, member)
const char *const lane_names[LANES] = {KONTOR_LANE_INTERACTIVE, KONTOR_LANE_UPLOAD, KONTOR_LANE_SETTLE,
				       KONTOR_LANE_FILE,        KONTOR_LANE_REPORT, KONTOR_LANE_COMPARE,
				       KONTOR_LANE_REVIEW};

static const struct kontor_conf_row rows[] = {
	{"threads", KONTOR_CONF_INT, LANE(threads), "1", 1, 64, NULL,
	 "threads that run its jobs (upload: one for each core but one; interactive and settle: 2; the others: 1)",
	 false},
	{"connections", KONTOR_CONF_INT, LANE(connections), "0", 1, 256, NULL,
	 "database sessions that its threads hold together at most: one each; what is more they share, to look whether "
	 "a step was cancelled in the middle of a long read; 0: threads (upload), threads + 1 (the others)",
	 false},
	{"poll", KONTOR_CONF_DURATION, LANE(poll_ms), "500ms", 10, 600000, NULL,
	 "how often an idle thread looks for work that nobody told it of", false},
};
const struct config_table lane_table = {rows, sizeof(rows) / sizeof(rows[0])};

bool lane_known(const char *name)
{
	for (size_t i = 0; name && i < LANES; i++)
		if (strcmp(lane_names[i], name) == 0)
			return true;
	return false;
}

/* An upload keeps the server busy too, so one core is left for those who wait for an answer. */
static int upload_threads(void)
{
	cpu_set_t cores;
	int len = sched_getaffinity(0, sizeof(cores), &cores) ? 1 : CPU_COUNT(&cores);
	return len < 2 ? 1 : len > 64 ? 63 : len - 1;
}

static bool is_upload(const char *lane)
{
	return strcmp(lane, KONTOR_LANE_UPLOAD) == 0;
}

static const char *default_threads(struct config *config, const char *lane)
{
	char text[16];
	if (strcmp(lane, KONTOR_LANE_INTERACTIVE) == 0 || strcmp(lane, KONTOR_LANE_SETTLE) == 0)
		return "2";
	if (!is_upload(lane))
		return "1";
	snprintf(text, sizeof(text), "%d", upload_threads());
	return config_copy(config, text);
}

static void judge(struct config *config, const struct lane_entry *lane)
{
	if (lane->connections < lane->threads)
		CONFIG_PROBLEM_AT(config, "lane", lane->name, "connections",
				  "lane \"%s\": connections = %lld is too few for %lld threads, each of which needs "
				  "one: leave it out, write %lld or more, or give the lane fewer threads",
				  lane->name, (long long)lane->connections, (long long)lane->threads,
				  (long long)lane->threads);
}

static void read_lane(struct config *config, const char *name, struct lane_entry *lane)
{
	struct kontor_conf_row *own = config_alloc(config, sizeof(rows));
	memcpy(own, rows, sizeof(rows));
	own[0].default_text = default_threads(config, name);
	lane->name = name;
	lane->table = (struct config_table){own, lane_table.len};
	config_fill_block(config, "lane", name, &lane->table, lane);
	if (lane->connections == 0)
		lane->connections = lane->threads + (is_upload(name) ? 0 : SPARE_SESSIONS);
	judge(config, lane);
}

void lane_config_read(struct unit_config *unit)
{
	for (size_t i = 0; i < LANES; i++)
		read_lane(unit->config, lane_names[i], &unit->lanes[i]);
	for (const char **title = config_titles(unit->config, "lane"); *title; title++) {
		const char *nearest =
			lane_known(*title) ? NULL : kontor_text_nearest(kontor_text_of(*title), lane_names, LANES);
		if (!lane_known(*title))
			CONFIG_PROBLEM_AT(unit->config, "lane", *title, "", "unknown lane \"%s\"%s%s%s", *title,
					  nearest ? "; did you mean \"" : "", nearest ? nearest : "",
					  nearest ? "\"?" : "");
	}
}
