/* SPDX-License-Identifier: Apache-2.0
 *
 * What the methods of idgen share.
 */
#ifndef IDGEN_H
#define IDGEN_H

#include "kontor/plugin.h"
#include "reserver.h"

struct idgen {
	const char *claim; /* configuration: "manual" or "auto" */
	struct allocator allocator;
	struct namespaces namespaces;
	struct reserver reserver;
};

/* methods.c */
int idgen_next(void *self, kontor_request *request);
int idgen_decode(void *self, kontor_request *request);
int idgen_claim(void *self, kontor_request *request);
int idgen_stats(void *self, kontor_request *request);

#endif
