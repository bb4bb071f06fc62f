/* SPDX-License-Identifier: Apache-2.0
 *
 * Calling methods from a command, and saying what went wrong.
 */
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli.h"

/* One look whether anybody is there, so that a person is not kept waiting for the retries of a real call. */
#define FIRST_LOOK_MS 1600
/* Longer than any method takes. */
#define CALL_TIMEOUT_MS 60000
/* Before the command has done anything: a person hears within seconds that the database is away. A command that is
 * under way (an upload's pieces) waits for a restart instead of being begun again. */
#define PATIENCE_MS 4000

void complain(const char *format, ...)
{
	va_list args;
	fputs("kontor: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
}

int exit_code_of(int code)
{
	if (code == KONTOR_E_STORAGE) /* rolled back, mostly because the database went away */
		return EXIT_RETRY;
	if (code == KONTOR_E_BAD_REQUEST) /* an argument that no state of anything makes right */
		return EXIT_USAGE;
	switch (kontor_code_outcome(code)) {
	case KONTOR_OUTCOME_DONE:
		return EXIT_DONE;
	case KONTOR_OUTCOME_NOTHING:
		return EXIT_RETRY;
	case KONTOR_OUTCOME_UNKNOWN:
		return EXIT_UNKNOWN;
	default:
		return EXIT_REFUSED;
	}
}

int report_error(const struct cli *cli, const struct kontor_error *err)
{
	complain("%s", err->message);
	if (kontor_code_outcome(err->code) == KONTOR_OUTCOME_UNKNOWN)
		complain("%s", cli->when_unknown ? cli->when_unknown
						 : "the same command again finds out, and does nothing twice");
	return exit_code_of(err->code);
}

kontor_writer *new_args(void)
{
	kontor_writer *args = kontor_writer_new();
	if (!args) {
		complain("out of memory");
		exit(EXIT_REFUSED);
	}
	kontor_write_map(args);
	return args;
}

const char *readable_conf(const struct cli *cli)
{
	char path[PATH_MAX];
	snprintf(path, sizeof(path), "%s/kontord.conf", cli->conf_folder);
	return cli->conf_given || access(path, R_OK) == 0 ? cli->conf_folder : NULL;
}

static int connect_client(struct cli *cli, const char *service, struct kontor_error *err)
{
	if (cli->client)
		return 0;
	struct kontor_client_options options = {.endpoint = cli->endpoint,
						.server_key = cli->server_key,
						.key_file = cli->key_file,
						.caller = cli->user};
	struct kontor_call_options look = {.timeout_ms = FIRST_LOOK_MS, .service = service};
	if (!cli->endpoint) {
		options.conf_folder = readable_conf(cli);
		options.runtime_folder = cli->runtime_folder;
	}
	int rc = kontor_client_new(&options, &cli->client, err);
	if (!rc)
		rc = kontor_client_set_region(cli->client, cli->region, err);
	if (rc)
		return rc;
	rc = kontor_call(cli->client, "kontor.ping", NULL, &look, NULL, err);
	if (rc != KONTOR_E_UNAVAILABLE && rc != KONTOR_E_BAD_REQUEST)
		return 0; /* somebody is there: a refusal of the ping is told by the call itself */
	cli->client = kontor_client_free(cli->client);
	return rc;
}

int call_quietly(struct cli *cli, const char *method, kontor_writer *args, const char *key, uint32_t timeout_ms,
		 kontor_body **ret_reply, struct kontor_error *err)
{
	struct kontor_call_options options = {.timeout_ms = timeout_ms,
					      .patience_ms = cli->under_way ? 0 : PATIENCE_MS,
					      .key = key,
					      .service = cli->service};
	int rc = connect_client(cli, cli->service ? cli->service : method, err);
	if (!rc)
		rc = kontor_call(cli->client, method, args, &options, ret_reply, err);
	cli->under_way = cli->under_way || (key && rc == 0);
	return rc;
}

static int call(struct cli *cli, const char *method, kontor_writer *args, const char *key, kontor_body **ret_reply)
{
	struct kontor_error err = KONTOR_ERROR_INIT;
	int rc = call_quietly(cli, method, args, key, CALL_TIMEOUT_MS, ret_reply, &err);
	if (rc == 0)
		return EXIT_DONE;
	if (rc == KONTOR_E_UNKNOWN_OUTCOME && !key)
		err.code = KONTOR_E_UNAVAILABLE;
	return report_error(cli, &err);
}

int call_reading(struct cli *cli, const char *method, kontor_writer *args, kontor_body **ret_reply)
{
	return call(cli, method, args, NULL, ret_reply);
}

int call_changing(struct cli *cli, const char *method, kontor_writer *args, kontor_body **ret_reply)
{
	char key[KONTOR_KEY_SIZE];
	return call(cli, method, args, kontor_random_key(key), ret_reply);
}
