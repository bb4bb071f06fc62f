/* SPDX-License-Identifier: Apache-2.0
 *
 * A folder with the path of a journal, for each test.
 */
#ifndef IDGEN_JOURNAL_FIXTURE_H
#define IDGEN_JOURNAL_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "journal_file.h"

#define CLUSTER "0123456789abcdef0123456789abcdef"

/* TOP: the folder to work in, where there is one. */
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, folder_begin, folder_end)

static char folder[64], path[96];
static struct kontor_error err;

static int folder_begin(void **state)
{
	(void)state;
	snprintf(folder, sizeof(folder), "%s/kontor-journal-test.XXXXXX", access(TOP, W_OK) == 0 ? TOP : "/tmp");
	err = (struct kontor_error)KONTOR_ERROR_INIT;
	if (!mkdtemp(folder))
		return -1;
	snprintf(path, sizeof(path), "%s/ids.journal", folder);
	return 0;
}

static int folder_end(void **state)
{
	(void)state;
	char making[128];
	snprintf(making, sizeof(making), "%s.new", path);
	unlink(making);
	unlink(path);
	return rmdir(folder);
}

static void open_journal(struct journal *j)
{
	int code = journal_open(j, path, &err);
	if (code)
		fail_msg("%s", err.message);
}

static void mark(struct journal *j, const char *key, uint64_t epoch, uint64_t hwm)
{
	int code = journal_mark(j, key, epoch, hwm, &err);
	if (code)
		fail_msg("%s", err.message);
}

#endif
