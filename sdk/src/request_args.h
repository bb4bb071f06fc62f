/* SPDX-License-Identifier: Apache-2.0
 *
 * Arguments of one request, checked and converted by the method's table. Not installed.
 */
#ifndef KONTOR_REQUEST_ARGS_H
#define KONTOR_REQUEST_ARGS_H

#include "kontor/method.h"

/* The value of one row of the method's table, at the same index. */
struct kontor_arg_value {
	bool given;
	int64_t number;               /* INT, ID, BOOL, WINDOW, TIME */
	struct kontor_text text;      /* STRING, NAME, REGION (NUL-terminated), BYTES */
	const msgpack_object *object; /* LIST, IDS */
};

struct kontor_arg_check {
	const kontor_host *host;
	const char *service;
	const struct kontor_method *method;
	kontor_arena *arena;
	struct kontor_error *err;
};

/* Fills values[method->args_len]. Ids inside lists that came as decimal strings are made integers in place. */
int kontor_args_check(const struct kontor_arg_check *check, const msgpack_object *map, struct kontor_arg_value *values);

#endif
