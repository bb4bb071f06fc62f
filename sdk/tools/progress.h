/* SPDX-License-Identifier: Apache-2.0
 *
 * Progress on stderr: a bar with rate and time left on a terminal, a plain line every few seconds elsewhere.
 */
#ifndef KONTOR_PROGRESS_H
#define KONTOR_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
	const char *what, *unit; /* "sending", "B"; unit "" for rows, payouts ... */
	bool terminal, drawn;
	int64_t began_ms, shown_ms;
	uint64_t first_done;
	bool has_first;
};

void progress_begin(struct progress *p, const char *what, const char *unit);
/* total 0: not known yet. note: what it waits for, or NULL. */
void progress_show(struct progress *p, uint64_t done, uint64_t total, const char *note);
/* Clears the bar, so that messages begin on a line of their own. */
void progress_end(struct progress *p);

#endif
