/* SPDX-License-Identifier: Apache-2.0
 *
 * A client of the id proof: options and counts that its two kinds share.
 */
#ifndef IDGEN_CLIENT_H
#define IDGEN_CLIENT_H

#include "idgen_records.h"

struct client_options {
	const char *endpoint, *second_endpoint; /* second: NULL or where to go on when the first one is away */
	const char *id_namespace, *records;
	enum id_layout layout;
	unsigned datacenter;
	uint64_t rate;       /* requests a second; of single ids: ids a second */
	uint64_t most;       /* largest grant (whole grants only) */
	uint64_t fork_every; /* ms between forks; 0: never */
	bool strict;         /* single ids: each allocated after it was asked for */
	uint64_t seed;
};

struct client_counts {
	uint64_t grants;  /* accepted */
	uint64_t ids;     /* granted, or used one by one */
	uint64_t refused; /* answers BUSY, UNAVAILABLE, DRAINING: nothing was done */
	uint64_t failed;  /* any other error */
	uint64_t lost;    /* requests without an answer in time */
	uint64_t ignored; /* replies of requests that were answered already, or given up */
	uint64_t forks;
	uint64_t forks_fine; /* children that used ids and ended by themselves */
};

/* True as long as the client is to go on. */
bool client_running(void);
/* [0, 1) */
double client_random(uint64_t *state);

/* Grants of any size over a plain DEALER. False, with the reason printed, when it cannot go on. */
bool client_take_grants(const struct client_options *options, struct records_writer *records,
			struct client_counts *counts);
/* Ids one by one through the SDK. */
bool client_take_ids(const struct client_options *options, struct records_writer *records,
		     struct client_counts *counts);

#endif
