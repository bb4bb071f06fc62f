/* SPDX-License-Identifier: Apache-2.0
 *
 * The names that ids can be asked for, read from id_namespace once. All are of layout std63 and share one counter; the
 * name is checked so that a typing error is an error, and so that a namespace can get a layout of its own later.
 */
#ifndef IDGEN_NAMESPACES_H
#define IDGEN_NAMESPACES_H

#include <stdatomic.h>

#include "kontor/db.h"

#define NAMESPACE_LIMIT 32u
#define NAMESPACE_NAME_SIZE 33u

struct namespaces {
	char names[NAMESPACE_LIMIT][NAMESPACE_NAME_SIZE];
	_Atomic size_t len; /* 0 until they were read; written once, after the names */
};

/* Does nothing when they were read before. INTERNAL for a layout that this version does not know. */
int namespaces_read(struct namespaces *set, kontor_conn *conn, struct kontor_error *err);
/* Any thread, no lock. */
bool namespaces_known(const struct namespaces *set, const char *name);
/* "billing-item, default, ..." into buffer; returns buffer. */
char *namespaces_join(const struct namespaces *set, char *buffer, size_t size);

#endif
