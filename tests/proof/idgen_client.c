/* SPDX-License-Identifier: Apache-2.0
 *
 * idgen_client OPTION=VALUE...: takes ids until SIGTERM and writes down each one that it uses (idgen_records.h). Prints
 * its counts as one JSON object at its end.
 *
 *   mode=grants|ids        whole grants over a plain DEALER, or single ids through the SDK
 *   endpoint= second=      where idgen is; the second one when the first does not answer (ids only)
 *   namespace= layout= datacenter= records=FILE
 *   rate=                  grants a second, or ids a second
 *   most=                  grants: the largest; sizes are spread evenly over their logarithm
 *   strict=1               ids: no stock, each is allocated by the service after it was asked for
 *   fork_every=            ids: milliseconds between forks; parent and child both go on
 *   seed=
 */
#include "idgen_client.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kontor/ids.h"
#include "kontor/text.h"

#define RECORDS_CAPACITY (4u << 20)

static volatile sig_atomic_t ended;

static void end(int signal)
{
	(void)signal;
	ended = 1;
}

bool client_running(void)
{
	return !ended;
}

/* splitmix64 (Steele, Lea, Flood 2014) */
double client_random(uint64_t *state)
{
	uint64_t x = *state += UINT64_C(0x9e3779b97f4a7c15);
	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	x ^= x >> 31;
	return (double)(x >> 11) / (double)(UINT64_C(1) << 53);
}

static bool number(const char *value, uint64_t *ret)
{
	return kontor_parse_uint(kontor_text_of(value), ret);
}

static bool set_option(struct client_options *options, const char *name, const char *value, bool *ret_ids)
{
	uint64_t datacenter = 0;
	if (!strcmp(name, "mode"))
		*ret_ids = !strcmp(value, "ids");
	else if (!strcmp(name, "endpoint"))
		options->endpoint = value;
	else if (!strcmp(name, "second"))
		options->second_endpoint = value;
	else if (!strcmp(name, "namespace"))
		options->id_namespace = value;
	else if (!strcmp(name, "records"))
		options->records = value;
	else if (!strcmp(name, "layout"))
		return (options->layout = id_layout_named(value)) != ID_LAYOUTS;
	else if (!strcmp(name, "datacenter")) {
		bool fine = number(value, &datacenter);
		options->datacenter = (unsigned)datacenter;
		return fine;
	} else if (!strcmp(name, "rate"))
		return number(value, &options->rate) && options->rate > 0;
	else if (!strcmp(name, "most"))
		return number(value, &options->most) && options->most > 0 && options->most <= KONTOR_ID_GRANT_LIMIT;
	else if (!strcmp(name, "strict"))
		options->strict = !strcmp(value, "1");
	else if (!strcmp(name, "fork_every"))
		return number(value, &options->fork_every);
	else
		return !strcmp(name, "seed") && number(value, &options->seed);
	return true;
}

static bool read_options(int argc, char **argv, struct client_options *options, bool *ret_ids)
{
	for (int i = 1; i < argc; i++) {
		char *value = strchr(argv[i], '=');
		if (!value)
			return false;
		*value++ = '\0';
		if (!set_option(options, argv[i], value, ret_ids))
			return false;
	}
	return options->endpoint && options->id_namespace && options->records &&
	       strlen(options->id_namespace) < RECORDS_NAMESPACE_SIZE;
}

static void print(const struct client_counts *c)
{
	printf("{\"grants\": %" PRIu64 ", \"ids\": %" PRIu64 ", \"refused\": %" PRIu64 ", \"failed\": %" PRIu64
	       ", \"lost\": %" PRIu64 ", \"ignored\": %" PRIu64 ", \"forks\": %" PRIu64 ", \"forks_fine\": %" PRIu64
	       "}\n",
	       c->grants, c->ids, c->refused, c->failed, c->lost, c->ignored, c->forks, c->forks_fine);
}

int main(int argc, char **argv)
{
	struct client_options options = {.rate = 1000, .most = 1000, .datacenter = 1};
	bool ids = false;
	if (!read_options(argc, argv, &options, &ids)) {
		fprintf(stderr, "idgen_client: wrong usage; its options stand at the top of its source\n");
		return 2;
	}
	struct sigaction action = {.sa_handler = end};
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	struct records_header header = {.magic = RECORDS_MAGIC,
					.layout = (uint32_t)options.layout,
					.datacenter = options.datacenter,
					.consumed = ids,
					.pid = (uint32_t)getpid()};
	snprintf(header.id_namespace, sizeof(header.id_namespace), "%s", options.id_namespace);
	struct records_writer records;
	if (!records_create(&records, options.records, &header, RECORDS_CAPACITY)) {
		fprintf(stderr, "idgen_client: %s: %s\n", options.records, strerror(errno));
		return 1;
	}
	struct client_counts counts = {0};
	bool fine =
		ids ? client_take_ids(&options, &records, &counts) : client_take_grants(&options, &records, &counts);
	records_close(&records);
	print(&counts);
	return fine ? 0 : 1;
}
