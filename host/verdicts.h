/* SPDX-License-Identifier: Apache-2.0
 *
 * What became of a reload: the main thread writes it, and those who asked for one by kontor.reload wait for it.
 */
#ifndef KONTORD_VERDICTS_H
#define KONTORD_VERDICTS_H

#include <stdbool.h>
#include <stdint.h>

#include "kontor/method.h"

struct verdicts;

struct verdicts *verdicts_new(void);                       /* NULL when out of memory */
struct verdicts *verdicts_free(struct verdicts *verdicts); /* NULL is fine; returns NULL */

/* ---- the main thread ---- */

enum verdict {
	VERDICT_TAKEN,   /* in force from now on */
	VERDICT_RESTART, /* differs from what runs, and needs a restart */
	VERDICT_FAILED,  /* could not be taken: the log says the same; a further reload tries again */
	VERDICT_REFUSED, /* a problem of the new configuration, of which nothing was taken */
};

/* A reload begins: it answers all who have asked until now. */
void verdicts_begin(struct verdicts *verdicts);
/* file may be NULL. */
void verdicts_add(struct verdicts *verdicts, enum verdict verdict, const char *file, unsigned line, const char *format,
		  ...) __attribute__((format(printf, 5, 6)));
void verdicts_end(struct verdicts *verdicts);
/* The unit stops: who waits is told DRAINING, and who asks from now on. */
void verdicts_close(struct verdicts *verdicts);

/* ---- a worker ---- */

/* Asks the main thread for a reload, waits for its end and puts {taken, rows: [{verdict, place, message}]}. DRAINING
 * when the unit stops meanwhile, DEADLINE when it takes longer than the request may; then it goes on alone. */
int verdicts_await(struct verdicts *verdicts, kontor_request *request);

#endif
