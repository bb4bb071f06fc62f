/* SPDX-License-Identifier: Apache-2.0 */
#include "units.h"

#include <dirent.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "datacenter.h"
#include "kontor/text.h"
#include "output.h"

#define SUFFIX ".sock"

static void free_unit(struct unit_answer *unit)
{
	free(unit->name);
	free(unit->endpoint);
	free(unit->server_key);
	json_decref(unit->reply);
}

/* Takes `endpoint`, which is allocated; NULL: it could not be. */
static int add(struct unit_answers *units, const char *name, char *endpoint, const char *server_key)
{
	struct unit_answer *all = reallocarray(units->all, units->len + 1, sizeof(*all));
	struct unit_answer unit = {.name = strdup(name), .endpoint = endpoint};
	unit.server_key = server_key ? strdup(server_key) : NULL;
	if (all)
		units->all = all;
	if (!all || !endpoint || !unit.name || (server_key && !unit.server_key)) {
		free_unit(&unit);
		complain("out of memory");
		return EXIT_REFUSED;
	}
	all[units->len++] = unit;
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
			code = add(ret, entries[i]->d_name, endpoint_of(cli, entries[i]->d_name), NULL);
		free(entries[i]);
	}
	free(entries);
	return code;
}

static int check_found(const struct cli *cli, const struct unit_answers *units, int code)
{
	if (code != EXIT_DONE || units->len)
		return code;
	complain("no unit runs here: there is no socket in %s (--runtime FOLDER, or -e ENDPOINT for another one)",
		 cli->runtime_folder);
	return EXIT_RETRY;
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
			code = add(ret, *names, endpoint_of(cli, *names), NULL);
		}
	}
	if (ret->len || code != EXIT_DONE)
		return code;
	return cli->endpoint ? add(ret, cli->endpoint, strdup(cli->endpoint), NULL)
			     : check_found(cli, ret, find_all(cli, ret));
}

/* ---- by the datacenter's file ---- */

static bool is_found(const struct unit_answers *units, const char *endpoint)
{
	for (size_t i = 0; i < units->len; i++)
		if (strcmp(units->all[i].endpoint, endpoint) == 0)
			return true;
	return false;
}

static int add_services(struct config *config, const struct datacenter *here, struct unit_answers *ret)
{
	const struct datacenter nobody = {.name = NULL};
	struct kontor_route route;
	int code = EXIT_DONE;
	for (size_t i = 0; i < here->services_len; i++) {
		const struct service_entry *entry = &here->services[i];
		struct service_entry placed = *entry;
		struct datacenter one = {.name = "", .services = &placed, .services_len = 1};
		placed.enabled = true; /* switched off for callers; its unit may run all the same */
		if (!entry->endpoints || !entry->endpoints[0])
			continue;
		if (!datacenter_route(config->arena, &one, &nobody, entry->name, NULL, NULL, &route))
			return EXIT_REFUSED;
		for (size_t k = 0; k < route.endpoints_len && code == EXIT_DONE; k++)
			if (!is_found(ret, route.endpoints[k].endpoint))
				code = add(ret, route.endpoints[k].endpoint, strdup(route.endpoints[k].endpoint),
					   route.endpoints[k].server_key);
	}
	return code;
}

static int find_elsewhere(const struct cli *cli, struct unit_answers *ret)
{
	const char *folder = readable_conf(cli);
	struct datacenter here = {.name = ""};
	int code = EXIT_DONE;
	if (!folder)
		return code;
	struct config *config = config_new();
	config_read_site(config, folder);
	datacenter_read_services(config, &here);
	datacenter_check_services(config, &here);
	const struct config_problem *problem = config->problems;
	if (config->problems_len)
		complain("%s:%u: %s; units elsewhere are not looked at", problem->file ? problem->file : folder,
			 problem->line, problem->message);
	else
		code = add_services(config, &here, ret);
	config_free(config);
	return code;
}

int units_find_everywhere(const struct cli *cli, struct unit_answers *ret)
{
	*ret = (struct unit_answers){NULL, 0};
	if (cli->endpoint)
		return units_find(cli, NULL, ret);
	int code = find_all(cli, ret);
	if (code == EXIT_DONE)
		code = find_elsewhere(cli, ret);
	return check_found(cli, ret, code);
}

/* Two endpoints of one process: a number that each start draws tells. */
static bool is_same(const struct unit_answer *a, const struct unit_answer *b)
{
	const json_t *number = json_object_get(a->reply, "instance");
	return number && json_equal(number, json_object_get(b->reply, "instance"));
}

void units_drop_doubles(struct unit_answers *units)
{
	size_t kept = 0;
	for (size_t i = 0; i < units->len; i++) {
		bool is_double = false;
		for (size_t k = 0; k < kept; k++)
			is_double = is_double || is_same(&units->all[k], &units->all[i]);
		if (is_double)
			free_unit(&units->all[i]);
		else
			units->all[kept++] = units->all[i];
	}
	units->len = kept;
}

void units_find_again(const struct unit_answers *units, struct unit_answers *ret)
{
	*ret = (struct unit_answers){NULL, 0};
	for (size_t i = 0; i < units->len; i++)
		if (units->all[i].reply)
			add(ret, units->all[i].name, strdup(units->all[i].endpoint), units->all[i].server_key);
}

/* ---- asking ---- */

struct question {
	const char *method;
	uint32_t timeout_ms;
	struct unit_answer *unit;
	kontor_client *client; /* NULL: it could not be made */
	pthread_t thread;
	bool asked;
};

static void *ask(void *arg)
{
	const struct question *question = arg;
	struct unit_answer *unit = question->unit;
	kontor_body *reply = NULL;
	/* Patience 1: who is not there now is told as he is. */
	const struct kontor_call_options call = {.timeout_ms = question->timeout_ms, .patience_ms = 1};
	if (kontor_call(question->client, question->method, NULL, &call, &reply, &unit->error) == 0)
		unit->reply = json_of("", kontor_body_map(reply));
	kontor_body_free(reply);
	return NULL;
}

/* The clients are made and freed by the calling thread alone: libzmq 4.3.4 starts and ends libpgm with its contexts,
 * and that does so for one thread at a time only. */
static void begin(struct question *question, const struct cli *cli)
{
	struct unit_answer *unit = question->unit;
	const struct kontor_client_options options = {.endpoint = unit->endpoint,
						      .server_key =
							      unit->server_key ? unit->server_key : cli->server_key,
						      .key_file = cli->key_file,
						      .caller = cli->user};
	if (kontor_client_new(&options, &question->client, &unit->error))
		return;
	question->asked = pthread_create(&question->thread, NULL, ask, question) == 0;
	if (!question->asked)
		kontor_fail(&unit->error, KONTOR_E_INTERNAL, "it was not asked: no thread");
}

void units_ask(const struct cli *cli, struct unit_answers *units, const char *method, uint32_t timeout_ms)
{
	struct question *questions = calloc(units->len, sizeof(*questions));
	for (size_t i = 0; questions && i < units->len; i++) {
		questions[i] = (struct question){.method = method, .timeout_ms = timeout_ms, .unit = &units->all[i]};
		begin(&questions[i], cli);
	}
	for (size_t i = 0; questions && i < units->len; i++)
		if (questions[i].asked)
			pthread_join(questions[i].thread, NULL);
	for (size_t i = 0; questions && i < units->len; i++)
		kontor_client_free(questions[i].client);
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
	for (size_t i = 0; i < units->len; i++)
		free_unit(&units->all[i]);
	free(units->all);
	*units = (struct unit_answers){NULL, 0};
}
