/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of counters: name, help, value.
 */
#include "counters.h"

#include <stdatomic.h>

static const struct {
	const char *name, *help;
} rows[COUNTERS] = {
	[COUNTER_REQUESTS] = {"requests", "method calls received"},
	[COUNTER_REPLIES] = {"replies", "calls answered with a result"},
	[COUNTER_ERRORS] = {"errors", "calls answered with an error of any kind"},
	[COUNTER_BUSY] = {"busy", "calls answered BUSY because too many waited for their plugin already"},
	[COUNTER_REFUSED] = {"refused", "calls refused while starting or stopping"},
	[COUNTER_EXPIRED] = {"expired", "calls whose deadline passed while they waited for a worker"},
	[COUNTER_CANCELLED] = {"cancelled", "calls that their caller cancelled"},
	[COUNTER_PINGS] = {"pings", "pings answered"},
	[COUNTER_BAD_MESSAGES] = {"bad_messages", "messages that were no request"},
	[COUNTER_FAULTS] = {"faults", "calls that a fault of the configuration hit"},
	[COUNTER_REPLIES_DROPPED] = {"replies_dropped", "replies whose caller had gone or did not read"},
	[COUNTER_CONNECTIONS] = {"connections", "connections by tcp that were opened"},
	[COUNTER_ADMITTED] = {"admitted", "connections by tcp that showed a key of a user and got in"},
	[COUNTER_KEYS_REFUSED] = {"keys_refused", "connections by tcp whose key nobody has, or is revoked"},
	[COUNTER_JOB_STEPS] = {"job_steps", "steps of jobs that this unit ran"},
	[COUNTER_JOB_FAULTS] = {"job_faults", "times that a lane could not reach the database"},
	[COUNTER_CONNECTIONS_CUT] = {"connections_cut", "connections closed for the memory that they took"},
};

_Atomic uint64_t counter_values[COUNTERS];

uint64_t counter_read(enum counter counter)
{
	return atomic_load_explicit(&counter_values[counter], memory_order_relaxed);
}

void counters_put(kontor_writer *w, int with_help)
{
	kontor_put_map(w, "counters");
	for (int i = 0; i < COUNTERS; i++)
		kontor_put_uint(w, rows[i].name, counter_read((enum counter)i));
	kontor_write_end(w);
	if (!with_help)
		return;
	kontor_put_map(w, "counters_help");
	for (int i = 0; i < COUNTERS; i++)
		kontor_put_string(w, rows[i].name, rows[i].help);
	kontor_write_end(w);
}
