/* SPDX-License-Identifier: Apache-2.0
 *
 * The names that ids can be asked for. A namespace's layout never changes and a namespace is never removed, so what was
 * read once stays true; new ones appear behind the others.
 */
#ifndef IDGEN_NAMESPACES_H
#define IDGEN_NAMESPACES_H

#include <stdatomic.h>

#include "allocator.h"
#include "kontor/db.h"

#define NAMESPACE_LIMIT 32u
#define NAMESPACE_NAME_SIZE 33u

struct namespace
{
	char name[NAMESPACE_NAME_SIZE];
	const struct layout *layout;
	struct allocator *allocator; /* NULL: this datacenter's id does not fit into the layout */
};

struct namespaces {
	struct namespace entries[NAMESPACE_LIMIT];
	_Atomic size_t len; /* 0 until they were read; grows after an entry was written */
	/* Gives the allocator of a new namespace; NULL is fine. In the thread that reads. */
	struct allocator *(*find_allocator)(void *arg, const struct layout *layout, const char *name);
	void *arg;
};

/* Finds what is new. Namespaces of layouts that this version does not know are left out. One thread. */
int namespaces_read(struct namespaces *set, kontor_conn *conn, struct kontor_error *err);
/* NULL: not known. Any thread, no lock. */
const struct namespace *namespaces_find(const struct namespaces *set, const char *name);
/* "billing-item, default, ..." into buffer; returns buffer. */
char *namespaces_join(const struct namespaces *set, char *buffer, size_t size);

#endif
