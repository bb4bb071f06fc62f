/* SPDX-License-Identifier: Apache-2.0
 *
 * Errors are values: an int that is 0 or one of the negative codes below, and a message for the person
 * who has to act on it. A message says what failed, where (file:line, argument, row, peer) and what to do.
 */
#ifndef KONTOR_ERROR_H
#define KONTOR_ERROR_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* Codes of the wire protocol (docs/protocol.md). Codes <= -100 belong to the plugin that returns them. */
enum kontor_code {
	KONTOR_OK = 0,

	/* final: the caller must not retry */
	KONTOR_E_BAD_REQUEST = -1,
	KONTOR_E_NO_METHOD = -2,
	KONTOR_E_DENIED = -3,
	KONTOR_E_TOO_BIG = -4,
	KONTOR_E_CONFLICT = -5,
	KONTOR_E_NOT_FOUND = -6,
	KONTOR_E_DISABLED = -13,

	/* nothing was done: retry freely, elsewhere first */
	KONTOR_E_BUSY = -10,
	KONTOR_E_DRAINING = -11,
	KONTOR_E_UNAVAILABLE = -12,
	KONTOR_E_DEADLINE = -14,

	/* perhaps done: retry only with the same idempotency key, against the same cluster */
	KONTOR_E_UNKNOWN_OUTCOME = -20,

	/* rolled back: retry with the key */
	KONTOR_E_INTERNAL = -30,
	KONTOR_E_STORAGE = -32,
};

/* What the caller of a failed call may do; decides retries, job back-off and exit codes. */
enum kontor_outcome {
	KONTOR_OUTCOME_DONE,        /* code >= 0 */
	KONTOR_OUTCOME_FINAL,       /* refused for good */
	KONTOR_OUTCOME_NOTHING,     /* nothing was done, worth a retry */
	KONTOR_OUTCOME_UNKNOWN,     /* perhaps done */
	KONTOR_OUTCOME_ROLLED_BACK, /* failed and undone */
};

struct kontor_error {
	int code;                /* one of enum kontor_code, or <= -100 */
	uint32_t retry_after_ms; /* with BUSY, DRAINING, UNAVAILABLE: when to come back; 0 = no advice */
	char message[512];       /* UTF-8, NUL-terminated */
};

#define KONTOR_ERROR_INIT                                                                                              \
	{                                                                                                              \
		0, 0, ""                                                                                               \
	}

/* As KONTOR_ERROR_INIT, for an error that is used again: its text is not written over byte by byte. */
static inline void kontor_error_clear(struct kontor_error *err)
{
	err->code = 0;
	err->retry_after_ms = 0;
	err->message[0] = '\0';
}

/* Fills *err (NULL is fine) and returns code, so that a failing function ends with `return kontor_fail(...)`.
 * Overlong messages are cut at a UTF-8 border. Any thread. */
int kontor_fail(struct kontor_error *err, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Puts "context: " in front of the message that err already carries; returns err->code. */
int kontor_fail_in(struct kontor_error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* "BUSY" for -10; "PLUGIN" for codes <= -100; "OK" for 0; never NULL. */
const char *kontor_code_name(int code);

enum kontor_outcome kontor_code_outcome(int code);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
