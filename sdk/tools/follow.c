/* SPDX-License-Identifier: Apache-2.0
 *
 * Following a job: a long poll on jobs.get, patient with a unit that is being restarted.
 */
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "interrupt.h"
#include "kontor/time.h"
#include "progress.h"

#define POLL_MS 1000
#define CALL_TIMEOUT_MS 15000
/* A database that is away for a minute, and its recovery, take less. */
#define PATIENCE_MS 150000

static int read_job(struct cli *cli, uint64_t job_id, uint64_t seen_done, kontor_body **ret_job,
		    struct kontor_error *err)
{
	kontor_writer *args = new_args();
	kontor_put_uint(args, "job_id", job_id);
	kontor_put_int(args, "wait_ms", POLL_MS);
	kontor_put_uint(args, "seen_done", seen_done);
	kontor_write_end(args);
	int rc = call_quietly(cli, "jobs.get", args, NULL, CALL_TIMEOUT_MS, ret_job, err);
	kontor_writer_free(args);
	return rc;
}

static bool has_ended(const char *state)
{
	static const char *const ends[] = {"done", "failed", "cancelled", "dead"};
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
		if (strcmp(state, ends[i]) == 0)
			return true;
	return false;
}

/* The exit code of a job's end. */
static int report_end(const msgpack_object *job, const char *state)
{
	char message[512];
	int code = (int)kontor_get_int(job, "error_code", 0);
	if (strcmp(state, "done") == 0)
		return EXIT_DONE;
	kontor_get_string(job, "error", message, sizeof(message));
	complain("job %llu ended as %s%s%s", (unsigned long long)kontor_get_uint(job, "job_id", 0), state,
		 message[0] ? ": " : "", message);
	return kontor_code_outcome(code) == KONTOR_OUTCOME_NOTHING ? EXIT_RETRY : EXIT_REFUSED;
}

static int report_lost(const struct cli *cli, uint64_t job_id, bool begun, const struct kontor_error *err)
{
	int code = report_error(cli, err);
	if (begun)
		complain("the job goes on; follow it with: kontor jobs follow %llu", (unsigned long long)job_id);
	return code == EXIT_UNKNOWN ? EXIT_RETRY : code;
}

/* What the job waits for, or what else its bar does not show; NULL: it just goes on. */
static const char *note_of(const msgpack_object *job, const char *state, char *buffer, size_t size)
{
	kontor_get_string(job, "error", buffer, size);
	if (strcmp(state, "running") == 0)
		return NULL;
	return buffer[0] ? buffer : state;
}

static void show(struct progress *progress, const msgpack_object *job, const char *state)
{
	char note[512];
	/* Taking back is not counted: the bar of the work would stand still, with a time left that means nothing. */
	if (kontor_get_bool(job, "cancelling", false)) {
		progress->rate = 0;
		progress_show(progress, 0, 0, "being cancelled: what it did is taken back");
		return;
	}
	progress->rate = kontor_get_uint(job, "rate", 0);
	progress_show(progress, kontor_get_uint(job, "done", 0), kontor_get_uint(job, "total", 0),
		      note_of(job, state, note, sizeof(note)));
}

static int follow_to_end(struct cli *cli, const struct follow *follow, kontor_body **ret_job)
{
	struct progress progress;
	uint64_t seen_done = 0;
	int64_t read_ms = kontor_monotonic_ms();
	*ret_job = NULL;
	progress_begin(&progress, follow->what, "");
	for (;;) {
		struct kontor_error err = KONTOR_ERROR_INIT;
		char state[24];
		kontor_body *body = NULL;
		int rc = read_job(cli, follow->job_id, seen_done, &body, &err);
		bool final = rc && (exit_code_of(rc) == EXIT_REFUSED || exit_code_of(rc) == EXIT_USAGE);
		bool begun = cli->under_way || *ret_job; /* else nobody has seen this job yet */
		if (rc && begun && !final && kontor_monotonic_ms() - read_ms < PATIENCE_MS) {
			progress_show(&progress, seen_done, 0, err.message);
			continue;
		}
		if (rc) {
			progress_end(&progress);
			return report_lost(cli, follow->job_id, begun, &err);
		}
		const msgpack_object *job = kontor_body_map(body);
		kontor_body_free(*ret_job);
		*ret_job = body;
		read_ms = kontor_monotonic_ms();
		seen_done = kontor_get_uint(job, "done", 0);
		kontor_get_string(job, "state", state, sizeof(state));
		if (has_ended(state)) {
			progress_end(&progress);
			return report_end(job, state);
		}
		if (strcmp(state, "waiting") == 0 && follow->enough && follow->enough(cli, follow->arg)) {
			progress_end(&progress);
			return EXIT_DONE;
		}
		show(&progress, job, state);
	}
}

int follow_job(struct cli *cli, const struct follow *follow, kontor_body **ret_job)
{
	unsigned long long job_id = follow->job_id;
	interrupt_says("\nkontor: the job goes on; follow it with: kontor jobs follow %llu, stop it with: kontor jobs "
		       "cancel %llu\n",
		       job_id, job_id);
	int code = follow_to_end(cli, follow, ret_job);
	interrupt_says(NULL);
	return code;
}
