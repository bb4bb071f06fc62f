/* SPDX-License-Identifier: Apache-2.0
 *
 * The verdicts of an upload as a table for people.
 */
#ifndef KONTOR_UPLOAD_TABLE_H
#define KONTOR_UPLOAD_TABLE_H

#include <stdio.h>

#include "kontor/message.h"

/* verdicts: of upload.get. One line for each verdict and currency, and the sum of the rows. */
void upload_table_print(FILE *out, const msgpack_object *verdicts);

#endif
