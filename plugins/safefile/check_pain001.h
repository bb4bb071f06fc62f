/* SPDX-License-Identifier: Apache-2.0
 *
 * Reads a pain.001.001.09 file back by another code path than the one that wrote it (libxml2's SAX parser, its own
 * grammar, its own sums) and compares it with the database's rows. An XSD accepts wrong counts and sums, equal
 * end-to-end ids, wrong IBANs, Thai letters and yen with three decimals; this does not.
 */
#ifndef SAFEFILE_CHECK_PAIN001_H
#define SAFEFILE_CHECK_PAIN001_H

#include "pain001.h"

/* Reads from the descriptor's current position to its end. `name` is for messages. 0 when the file is exactly what
 * message and payments (in this order) say; CONFLICT with file, line and payment for the first difference. Does not
 * touch the network, refuses a DOCTYPE before the parser sees it. Any thread. */
int pain001_check(int fd, const char *name, const struct pain001_message *message, struct payment_source *payments,
		  struct kontor_error *err);

#endif
