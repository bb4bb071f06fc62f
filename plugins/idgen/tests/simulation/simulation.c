/* SPDX-License-Identifier: Apache-2.0
 *
 * idgen_simulation [--seeds FIRST-LAST] [--losses] [--bad-disks] [--residual NAME]... [--failures N] [--quiet]: runs of
 * the plugin's real code, each a function of its seed. Exit 0: no id was issued twice. 1: one was; the seed is printed.
 * --reference: each statement is answered by SQLite, too, and the two answers have to be the same.
 * idgen_simulation --seed N --trace shows what happened in it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "world.h"

struct arguments {
	uint64_t first, last;
	unsigned long long failures; /* to stop after */
	bool quiet;
};

static int usage(void)
{
	fprintf(stderr, "usage: idgen_simulation [--seed N | --seeds FIRST-LAST] [--trace] [--losses] [--bad-disks] "
			"[--residual NAME]... [--failures N] [--quiet]\n");
	return 2;
}

static bool add_residual(const char *name)
{
	for (enum residual residual = 0; residual < RESIDUALS; residual++)
		if (strcmp(name, residual_names[residual]) == 0) {
			world.residual |= 1u << residual;
			return true;
		}
	return false;
}

static bool parse(int argc, char **argv, struct arguments *ret)
{
	for (int i = 1; i < argc; i++) {
		unsigned long long first, last;
		if (strcmp(argv[i], "--trace") == 0)
			world.tracing = true;
		else if (strcmp(argv[i], "--losses") == 0)
			world.loses_only = true;
		else if (strcmp(argv[i], "--bad-disks") == 0)
			world.bad_disks = true;
		else if (strcmp(argv[i], "--reference") == 0)
			world.reference = true;
		else if (strcmp(argv[i], "--quiet") == 0)
			ret->quiet = true;
		else if (i + 1 < argc && strcmp(argv[i], "--residual") == 0 && add_residual(argv[i + 1]))
			i++;
		else if (i + 1 < argc && strcmp(argv[i], "--failures") == 0 &&
			 sscanf(argv[i + 1], "%llu", &ret->failures) == 1)
			i++;
		else if (i + 1 < argc && strcmp(argv[i], "--seed") == 0 && sscanf(argv[i + 1], "%llu", &first) == 1)
			ret->first = ret->last = first, i++;
		else if (i + 1 < argc && strcmp(argv[i], "--seeds") == 0 &&
			 sscanf(argv[i + 1], "%llu-%llu", &first, &last) == 2)
			ret->first = first, ret->last = last, i++;
		else
			return false;
	}
	return true;
}

static void print_counts(void)
{
	printf("ids %llu\ngrants %llu\nstatements %llu\nrefusals %llu\npeer reports %llu\n",
	       (unsigned long long)world.grants.ids, (unsigned long long)world.grants_made,
	       (unsigned long long)world.statements, (unsigned long long)world.refusals,
	       (unsigned long long)world.exchanges);
	for (enum fault fault = 0; fault < FAULTS; fault++)
		printf("%s %llu\n", fault_names[fault], (unsigned long long)world.happened[fault]);
}

int main(int argc, char **argv)
{
	struct arguments arguments = {.first = 1, .last = 1000, .failures = 1};
	if (!parse(argc, argv, &arguments))
		return usage();
	world_open();
	int code = 0;
	unsigned long long failed = 0;
	for (uint64_t seed = arguments.first; seed <= arguments.last; seed++) {
		if (world_run(seed))
			continue;
		printf("seed %llu: %s\n", (unsigned long long)seed, world.violation);
		code = 1;
		if (++failed == arguments.failures)
			break;
	}
	if (!arguments.quiet)
		print_counts();
	world_close();
	return code;
}
