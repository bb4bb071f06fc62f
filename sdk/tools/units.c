/* SPDX-License-Identifier: Apache-2.0 */
#include "units.h"

#include <dirent.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kontor/text.h"
#include "output.h"

#define SUFFIX ".sock"

static int add(struct unit_answers *units, const char *name, char *endpoint)
{
	struct unit_answer *all = reallocarray(units->all, units->len + 1, sizeof(*all));
	if (all)
		units->all = all;
	if (!all || !endpoint || !name) {
		free(endpoint);
		complain("out of memory");
		return EXIT_REFUSED;
	}
	all[units->len] = (struct unit_answer){.name = strdup(name), .endpoint = endpoint};
	if (!all[units->len++].name) {
		complain("out of memory");
		return EXIT_REFUSED;
	}
	return EXIT_DONE;
}

static char *endpoint_of(const struct cli *cli, const char *name)
{
	char *endpoint = NULL;
	return asprintf(&endpoint, "ipc://%s/%s" SUFFIX, cli->runtime_folder, name) < 0 ? NULL : endpoint;
}

static int is_socket(const struct dirent *entry)
{
	size_t length = strlen(entry->d_name), suffix = sizeof(SUFFIX) - 1;
	return length > suffix && strcmp(entry->d_name + length - suffix, SUFFIX) == 0;
}

static int find_all(const struct cli *cli, struct unit_answers *ret)
{
	struct dirent **entries = NULL;
	int count = scandir(cli->runtime_folder, &entries, is_socket, alphasort), code = EXIT_DONE;
	for (int i = 0; i < count; i++) {
		entries[i]->d_name[strlen(entries[i]->d_name) - (sizeof(SUFFIX) - 1)] = '\0';
		if (code == EXIT_DONE)
			code = add(ret, entries[i]->d_name, endpoint_of(cli, entries[i]->d_name));
		free(entries[i]);
	}
	free(entries);
	if (code == EXIT_DONE && ret->len == 0) {
		complain("no unit runs here: there is no socket in %s (--runtime FOLDER, or -e ENDPOINT for another "
			 "one)",
			 cli->runtime_folder);
		return EXIT_RETRY;
	}
	return code;
}

int units_find(const struct cli *cli, const char *const *names, struct unit_answers *ret)
{
	int code = EXIT_DONE;
	*ret = (struct unit_answers){NULL, 0};
	for (; names && *names && code == EXIT_DONE; names++) {
		if (!kontor_name_valid(kontor_text_of(*names))) {
			complain("UNIT must be the name of a unit, not \"%s\"", *names);
			code = EXIT_USAGE;
		} else {
			code = add(ret, *names, endpoint_of(cli, *names));
		}
	}
	if (ret->len || code != EXIT_DONE)
		return code;
	return cli->endpoint ? add(ret, cli->endpoint, strdup(cli->endpoint)) : find_all(cli, ret);
}

void units_find_again(const struct unit_answers *units, struct unit_answers *ret)
{
	*ret = (struct unit_answers){NULL, 0};
	for (size_t i = 0; i < units->len; i++)
		if (units->all[i].reply)
			add(ret, units->all[i].name, strdup(units->all[i].endpoint));
}

/* ---- asking ---- */

struct question {
	const struct cli *cli;
	const char *method;
	uint32_t timeout_ms;
	struct unit_answer *unit;
	pthread_t thread;
	bool asked;
};

static void *ask(void *arg)
{
	const struct question *question = arg;
	struct unit_answer *unit = question->unit;
	kontor_client *client = NULL;
	kontor_body *reply = NULL;
	const struct kontor_client_options options = {.endpoint = unit->endpoint,
						      .server_key = question->cli->server_key,
						      .key_file = question->cli->key_file,
						      .caller = question->cli->user};
	/* Patience 1: who is not there now is told as he is. */
	const struct kontor_call_options call = {.timeout_ms = question->timeout_ms, .patience_ms = 1};
	int rc = kontor_client_new(&options, &client, &unit->error);
	if (!rc)
		rc = kontor_call(client, question->method, NULL, &call, &reply, &unit->error);
	if (!rc)
		unit->reply = json_of("", kontor_body_map(reply));
	kontor_body_free(reply);
	kontor_client_free(client);
	return NULL;
}

void units_ask(const struct cli *cli, struct unit_answers *units, const char *method, uint32_t timeout_ms)
{
	struct question *questions = calloc(units->len, sizeof(*questions));
	for (size_t i = 0; questions && i < units->len; i++) {
		questions[i] = (struct question){cli, method, timeout_ms, &units->all[i], .asked = true};
		if (pthread_create(&questions[i].thread, NULL, ask, &questions[i])) {
			questions[i].asked = false;
			kontor_fail(&units->all[i].error, KONTOR_E_INTERNAL, "it was not asked: no thread");
		}
	}
	for (size_t i = 0; questions && i < units->len; i++)
		if (questions[i].asked)
			pthread_join(questions[i].thread, NULL);
	free(questions);
}

size_t units_answered(const struct unit_answers *units)
{
	size_t count = 0;
	for (size_t i = 0; i < units->len; i++)
		count += units->all[i].reply != NULL;
	return count;
}

void units_free(struct unit_answers *units)
{
	for (size_t i = 0; i < units->len; i++) {
		free(units->all[i].name);
		free(units->all[i].endpoint);
		json_decref(units->all[i].reply);
	}
	free(units->all);
	*units = (struct unit_answers){NULL, 0};
}
