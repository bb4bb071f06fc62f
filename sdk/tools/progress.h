/* SPDX-License-Identifier: Apache-2.0
 *
 * Progress on stderr: a bar with rate and time left on a terminal, a plain line every few seconds elsewhere.
 */
#ifndef KONTOR_PROGRESS_H
#define KONTOR_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct progress {
	const char *what, *unit; /* "sending", "B"; unit "" for rows, payouts ... */
	bool terminal, drawn;
	int64_t shown_ms;
	/* Two looks, ten seconds apart: the speed is that since the older one, so it is never that of long ago. */
	struct progress_look {
		int64_t ms;
		uint64_t done;
	} older, newer;
	bool has_looked;
	uint64_t rate; /* per second, of who knows better than these looks; 0: nobody does */
};

void progress_begin(struct progress *p, const char *what, const char *unit);
/* total 0: not known yet. note: what it waits for, or NULL. */
void progress_show(struct progress *p, uint64_t done, uint64_t total, const char *note);
/* Clears the bar, so that messages begin on a line of their own. */
void progress_end(struct progress *p);

/* "12.3 MB", "4711"; unit "" for rows, payouts ... */
void progress_count(double value, const char *unit, char *out, size_t size);
/* "1:02:03", "0:42" */
void progress_duration(double seconds, char *out, size_t size);

#endif
