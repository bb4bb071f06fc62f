/* SPDX-License-Identifier: Apache-2.0
 *
 * Methods: what a plugin answers. Arguments are data: the host validates them, the command line and the gateway
 * convert by them, help and manual are made from them.
 */
#ifndef KONTOR_METHOD_H
#define KONTOR_METHOD_H

#include "kontor/arena.h"
#include "kontor/db.h"
#include "kontor/message.h"
#include "kontor/user.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

typedef struct kontor_host kontor_host;
typedef struct kontor_request kontor_request;

enum kontor_arg_type {
	KONTOR_ARG_INT, /* int64; min..max */
	KONTOR_ARG_ID,  /* 1 .. 2^63-1; a decimal string is converted too */
	KONTOR_ARG_BOOL,
	KONTOR_ARG_STRING, /* valid UTF-8 without NUL; min..max bytes */
	KONTOR_ARG_BYTES,  /* bin (or str); min..max bytes */
	KONTOR_ARG_REGION, /* [A-Z]{2}, configured here. Named "region", as no other argument is: callers send it to the
			    * region's home datacenter, and units elsewhere refuse it. */
	KONTOR_ARG_WINDOW, /* "2026-W45" */
	KONTOR_ARG_NAME,   /* [a-z0-9][a-z0-9-]{0,31} */
	KONTOR_ARG_TIME,   /* RFC 3339 */
	KONTOR_ARG_LIST,   /* array of maps, described by `fields`; min..max elements. Element fields are NOT
			    * validated by the host when fields == NULL: the plugin gives a verdict per element. */
	KONTOR_ARG_IDS,    /* array of ids; min..max elements */
};

struct kontor_arg {
	const char *name;
	enum kontor_arg_type type;
	bool required;
	int64_t min, max; /* both 0: the type's own limits */
	const char *help; /* one sentence with unit */
	const struct kontor_arg *fields;
	size_t fields_len;
};

enum kontor_method_flag {
	KONTOR_METHOD_CHANGES = 1,  /* needs an idempotency key; runs in ONE transaction together with its key, result
				     * and audit row: the host opens and commits it, and may run the handler again
				     * after a deadlock. The handler therefore has no effect but in that transaction. */
	KONTOR_METHOD_INLINE = 2,   /* runs in the front thread: must not block, has no database */
	KONTOR_METHOD_NO_AUDIT = 4, /* a change that is not worth an audit row of its own (a piece of an upload) */
	KONTOR_METHOD_NO_DATABASE = 8, /* reads nothing there: is answered by a worker also while it is away */
};

enum kontor_visibility {
	KONTOR_PUBLIC,   /* services and people */
	KONTOR_OPERATOR, /* people: command line and web */
	KONTOR_INTERNAL, /* units of Kontor only */
};

struct kontor_method {
	const char *name; /* "close"; on the wire "settlement.close" */
	unsigned flags;   /* enum kontor_method_flag */
	enum kontor_visibility visibility;
	enum kontor_role role; /* the least role that may call it */
	const struct kontor_arg *args;
	size_t args_len;
	const char *help; /* one sentence */
	/* Returns 0 after writing the reply's entries with kontor_reply(), or fails with kontor_request_fail(). */
	int (*handle)(void *self, kontor_request *request);
	uint32_t default_ms; /* deadline when the caller names none; 0 = 30 s */
};

/* ---- inside a handler; everything returned is borrowed until the handler returns ----------------------------- */

/* Arguments by name. The name must be in the method's table (a wrong one is a bug and aborts). Validated before the
 * handler runs; absent optional ones give 0, false, "" or NULL. */
bool kontor_arg_given(const kontor_request *request, const char *name);
int64_t kontor_arg_int(const kontor_request *request, const char *name);
uint64_t kontor_arg_id(const kontor_request *request, const char *name);
bool kontor_arg_bool(const kontor_request *request, const char *name);
const char *kontor_arg_string(const kontor_request *request, const char *name); /* STRING, NAME, REGION: never NULL */
struct kontor_text kontor_arg_bytes(const kontor_request *request, const char *name);
uint32_t kontor_arg_window(const kontor_request *request, const char *name);
int64_t kontor_arg_time(const kontor_request *request, const char *name);                     /* ms */
const msgpack_object_array *kontor_arg_list(const kontor_request *request, const char *name); /* LIST, IDS */

/* The reply's map is open: put entries, do not close it. */
kontor_writer *kontor_reply(kontor_request *request);
/* return kontor_request_fail(request, KONTOR_E_NOT_FOUND, "there is no upload %llu", id); */
int kontor_request_fail(kontor_request *request, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* The error to hand to SDK calls; a handler that gets a failure from one returns its code as it is. */
struct kontor_error *kontor_request_error(kontor_request *request);

/* The worker's connection; inside the transaction for a method that changes something. NULL for inline methods and
 * those with KONTOR_METHOD_NO_DATABASE. */
kontor_conn *kontor_request_db(kontor_request *request);
kontor_arena *kontor_request_arena(kontor_request *request);
const struct kontor_user *kontor_request_user(const kontor_request *request);
kontor_host *kontor_request_host(const kontor_request *request);
const char *kontor_request_key(const kontor_request *request);     /* idempotency key, "" if none */
int64_t kontor_request_deadline_ms(const kontor_request *request); /* kontor_monotonic_ms() at its end */
/* True when nobody waits for the answer any more: the caller cancelled, or the deadline has passed. A handler that
 * works or waits for long looks from time to time, and returns; what it returns is not sent after a cancel. Cheap. */
bool kontor_request_cancelled(const kontor_request *request);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
