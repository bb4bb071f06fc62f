/* SPDX-License-Identifier: Apache-2.0
 *
 * The set of namespaces.
 */
#include "namespaces.h"

#include <stdio.h>
#include <string.h>

#include "statements.h"

static int append(struct namespaces *set, const char *name, const char *layout_name, struct kontor_error *err)
{
	size_t len = atomic_load_explicit(&set->len, memory_order_relaxed);
	const struct layout *layout = layout_named(layout_name);
	if (namespaces_find(set, name) || !layout)
		return 0;
	if (len == NAMESPACE_LIMIT)
		return kontor_fail(err, KONTOR_E_INTERNAL, "table id_namespace has more than %u rows", NAMESPACE_LIMIT);
	struct namespace *entry = &set->entries[len];
	snprintf(entry->name, sizeof(entry->name), "%s", name);
	entry->layout = layout;
	entry->allocator = set->find_allocator(set->arg, layout, entry->name);
	atomic_store_explicit(&set->len, len + 1, memory_order_release);
	return 0;
}

int namespaces_read(struct namespaces *set, kontor_conn *conn, struct kontor_error *err)
{
	kontor_rows *rows = NULL;
	int code = kontor_db_query(conn, KONTOR_READ_ALL, SQL_LIST_NAMESPACES, KONTOR_NO_PARAMS, &rows, err);
	while (!code && (code = kontor_rows_next(rows, err)) == 1) {
		char name[NAMESPACE_NAME_SIZE];
		snprintf(name, sizeof(name), "%s", kontor_rows_string(rows, 0));
		code = append(set, name, kontor_rows_string(rows, 1), err);
	}
	kontor_rows_close(rows);
	return code;
}

const struct namespace *namespaces_find(const struct namespaces *set, const char *name)
{
	size_t len = atomic_load_explicit(&set->len, memory_order_acquire);
	for (size_t i = 0; i < len; i++)
		if (set->entries[i].name[0] == name[0] && strcmp(set->entries[i].name, name) == 0)
			return &set->entries[i];
	return NULL;
}

char *namespaces_join(const struct namespaces *set, char *buffer, size_t size)
{
	size_t len = atomic_load_explicit(&set->len, memory_order_acquire), used = 0;
	buffer[0] = '\0';
	for (size_t i = 0; i < len && used < size; i++)
		used += (size_t)snprintf(buffer + used, size - used, "%s%s", i ? ", " : "", set->entries[i].name);
	return buffer;
}
