/* SPDX-License-Identifier: Apache-2.0
 *
 * What kontord and a plugin offer, as one JSON object.
 */
#ifndef KONTORD_DESCRIBE_H
#define KONTORD_DESCRIBE_H

#include <stdio.h>

#include "loader.h"

/* {version, arguments: of the command line, blocks: {kind of block, "" = top level: options}, services: built in} */
void describe_host(FILE *out);
/* {name, version, summary, calls, options, methods, jobs, uploads} */
void describe_plugin(const struct kontor_plugin *api, FILE *out);

#endif
