/* SPDX-License-Identifier: Apache-2.0
 *
 * Configuration as a table: one row is parser, default, range, help, --dump-config and man page.
 */
#ifndef KONTOR_CONF_H
#define KONTOR_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

enum kontor_conf_type {
	KONTOR_CONF_INT,      /* int64_t */
	KONTOR_CONF_BOOL,     /* bool: yes/no, true/false */
	KONTOR_CONF_STRING,   /* const char * (lives as long as the configuration) */
	KONTOR_CONF_NAME,     /* const char *, [a-z0-9][a-z0-9-]{0,31} */
	KONTOR_CONF_FILE,     /* const char *, absolute path of a file that must be readable when it is used */
	KONTOR_CONF_SECRET,   /* const char *, absolute path of a file that holds a secret; dumped as <set> */
	KONTOR_CONF_FOLDER,   /* const char *, absolute path */
	KONTOR_CONF_DURATION, /* int64_t milliseconds, written "30s" */
	KONTOR_CONF_SIZE,     /* uint64_t bytes, written "4MiB" */
	KONTOR_CONF_LIST,     /* const char *const * (NULL-terminated) */
	KONTOR_CONF_ENUM,     /* const char *, one of `choices` */
};

struct kontor_conf_row {
	const char *key;
	enum kontor_conf_type type;
	size_t offset;            /* of the value in the struct that the table fills */
	const char *default_text; /* as it would be written; NULL: required */
	int64_t min, max;         /* INT, DURATION (ms), SIZE (bytes); both 0: no limit */
	const char *choices;      /* ENUM: "untrusted|trusted" */
	const char *help;         /* one sentence, with unit */
	bool reloadable;          /* SIGHUP takes it; else a restart is needed */
};

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
