/* SPDX-License-Identifier: Apache-2.0
 *
 * idgen_check [--any-datacenter] [--disturbed FILE] RECORDS...: judges the files of records of one run of the id proof.
 * One JSON object to stdout, the first findings of each kind to stderr. Exit 0 when nothing was found, 1 when something
 * was, 2 when the files cannot be judged. FILE has a line "DATACENTER FROM_MS TO_MS" for each time that clocks were
 * disturbed.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "idgen_verdict.h"
#include "kontor/text.h"

static int fail(const char *problem)
{
	fprintf(stderr, "idgen_check: %s\n", problem);
	return 2;
}

static bool add_disturbance(struct verdict_input *input, const struct verdict_disturbance *d)
{
	struct verdict_disturbance *more =
		realloc((void *)(uintptr_t)input->disturbances, (input->disturbances_len + 1) * sizeof(*more));
	if (!more)
		return false;
	more[input->disturbances_len++] = *d;
	input->disturbances = more;
	return true;
}

static bool read_disturbances(struct verdict_input *input, const char *path)
{
	FILE *file = fopen(path, "re");
	bool fine = file != NULL;
	char line[128];
	while (fine && fgets(line, sizeof(line), file)) {
		uint64_t numbers[3];
		char *rest = line, *word;
		size_t len = 0;
		while ((word = strsep(&rest, " \n")) && fine && len < 3)
			fine = kontor_parse_uint(kontor_text_of(word), &numbers[len++]);
		struct verdict_disturbance d = {(unsigned)numbers[0], (int64_t)numbers[1], (int64_t)numbers[2]};
		fine = fine && len == 3 && add_disturbance(input, &d);
	}
	if (file)
		fclose(file);
	return fine;
}

static void print(const struct verdict *v)
{
	printf("{\"records\": %" PRIu64 ", \"granted\": %" PRIu64 ", \"consumed\": %" PRIu64
	       ", \"duplicates\": %" PRIu64 ", \"duplicate_intervals\": %" PRIu64 ", \"consumed_twice\": %" PRIu64
	       ", \"out_of_layout\": %" PRIu64 ", \"wrong_datacenter\": %" PRIu64 ", \"wrong_time\": %" PRIu64
	       ", \"time_checked\": %" PRIu64 ", \"not_increasing\": %" PRIu64 "}\n",
	       v->records, v->granted, v->consumed, v->duplicates, v->duplicate_intervals, v->consumed_twice,
	       v->out_of_layout, v->wrong_datacenter, v->wrong_time, v->time_checked, v->not_increasing);
}

static int judge_files(struct verdict_input *input, char **paths, size_t len)
{
	struct records_file *files = calloc(len ? len : 1, sizeof(*files));
	struct verdict verdict;
	char problem[512];
	bool fine = files != NULL;
	for (size_t i = 0; i < len && fine; i++)
		fine = records_open(&files[i], paths[i], problem, sizeof(problem));
	input->files = files;
	input->names = (const char *const *)paths;
	input->files_len = len;
	int code;
	if (!fine)
		code = fail(files ? problem : "out of memory");
	else if (!verdict_judge(input, &verdict))
		code = fail("out of memory");
	else {
		print(&verdict);
		code = verdict_findings(&verdict) ? 1 : 0;
	}
	free(files);
	return code;
}

int main(int argc, char **argv)
{
	struct verdict_input input = {.out = stderr};
	int first = 1;
	for (; first < argc && strncmp(argv[first], "--", 2) == 0; first++) {
		if (strcmp(argv[first], "--any-datacenter") == 0)
			input.any_datacenter = true;
		else if (strcmp(argv[first], "--disturbed") != 0 || ++first == argc ||
			 !read_disturbances(&input, argv[first]))
			return fail("usage: idgen_check [--any-datacenter] [--disturbed FILE] RECORDS...");
	}
	return judge_files(&input, argv + first, (size_t)(argc - first));
}
