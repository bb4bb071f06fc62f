/* SPDX-License-Identifier: Apache-2.0
 *
 * End-to-end id of a payment (EndToEndId of ISO 20022): says what it pays, is safe for banks that cut at 30 characters
 * or drop all but [A-Z0-9], and a mistyped one is noticed.
 */
#ifndef PAYOUT_END_TO_END_H
#define PAYOUT_END_TO_END_H

#include <stdbool.h>
#include <stdint.h>

#define END_TO_END_LENGTH 22
#define END_TO_END_ATTEMPTS 99 /* two digits */

/* <RG><YYWW><payout id, Crockford base32, 13><attempt, 2 digits><check>. region: "SG"; window_no: 202645; payout_id
 * <= 2^63-1; attempt: 1 .. END_TO_END_ATTEMPTS. out has room for END_TO_END_LENGTH + 1; returns out. */
char *end_to_end_format(const char *region, uint32_t window_no, uint64_t payout_id, unsigned attempt, char *out);
/* Whether the check digit fits: for ids that come back from banks and people. */
bool end_to_end_valid(const char *id);

#endif
