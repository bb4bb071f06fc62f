/* SPDX-License-Identifier: Apache-2.0
 *
 * Faults on purpose, for those who test what calls this unit: errors, delays, lost requests and lost replies, as blocks
 * `fault "NAME" { ... }` of the configuration say. They happen in the front, around the plugins, so that no plugin
 * needs code for tests. Without such a block there is no filter, and nothing is asked for a request.
 */
#ifndef KONTORD_FAULT_FILTER_H
#define KONTORD_FAULT_FILTER_H

#include "front.h"

struct fault_filter;

/* ---- fault_config.c ---- */

extern const struct config_table fault_table;
/* The blocks of the configuration; problems into it. */
void fault_config_read(struct unit_config *unit_config);
/* A warning for each block: whoever reads a log or runs --check has to see them. */
void fault_config_warn(const struct unit_config *unit_config);
/* The error code of a fault of kind "error". */
int fault_config_code(const struct fault_entry *entry);

/* ---- fault_filter.c; the front's thread but for the first two ---- */

/* front->faults: NULL when the configuration has no fault. */
int fault_filter_open(struct front *front, struct kontor_error *err);
void fault_filter_close(struct front *front); /* what is still delayed is dropped */
/* Whether a fault has answered or lost this request, which was admitted, or keeps it for later: then it is done with
 * here. It is front->inline_exchange, and stays that unless it is kept. */
bool fault_filter_takes(struct front *front, struct exchange *exchange);
/* Goes on with the requests whose delay is over. While the unit drains, with all. */
void fault_filter_resume(struct front *front);
/* Milliseconds until the next one is due, at most `longest`. */
int fault_filter_wait_ms(const struct front *front, int longest);
/* Array of {fault, method, kind, active, hits} under "faults"; nothing without a filter. */
void fault_filter_put(const struct front *front, kontor_writer *w);

#endif
