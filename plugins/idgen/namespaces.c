/* SPDX-License-Identifier: Apache-2.0
 *
 * The set of namespaces.
 */
#include <stdio.h>
#include <string.h>

#include "namespaces.h"
#include "statements.h"

static int read_rows(struct namespaces *set, kontor_rows *rows, struct kontor_error *err)
{
	size_t len = 0;
	int more;
	while ((more = kontor_rows_next(rows, err)) == 1) {
		const char *name = kontor_rows_string(rows, 0);
		if (!kontor_text_is(kontor_rows_text(rows, 1), "std63"))
			return kontor_fail(
				err, KONTOR_E_INTERNAL,
				"table id_namespace: layout \"%s\" of namespace \"%s\" is not known to this version",
				kontor_rows_string(rows, 1), name);
		if (len == NAMESPACE_LIMIT)
			return kontor_fail(err, KONTOR_E_INTERNAL, "table id_namespace has more than %u rows",
					   NAMESPACE_LIMIT);
		snprintf(set->names[len++], NAMESPACE_NAME_SIZE, "%s", name);
	}
	if (more < 0)
		return more;
	if (len == 0)
		return kontor_fail(err, KONTOR_E_INTERNAL, "table id_namespace is empty: run `kontor db migrate`");
	atomic_store_explicit(&set->len, len, memory_order_release);
	return 0;
}

int namespaces_read(struct namespaces *set, kontor_conn *conn, struct kontor_error *err)
{
	if (atomic_load_explicit(&set->len, memory_order_acquire))
		return 0;
	kontor_rows *rows = NULL;
	int code = kontor_db_query(conn, KONTOR_READ_ALL, SQL_LIST_NAMESPACES, KONTOR_NO_PARAMS, &rows, err);
	if (!code)
		code = read_rows(set, rows, err);
	kontor_rows_close(rows);
	return code;
}

bool namespaces_known(const struct namespaces *set, const char *name)
{
	size_t len = atomic_load_explicit(&set->len, memory_order_acquire);
	for (size_t i = 0; i < len; i++)
		if (strcmp(set->names[i], name) == 0)
			return true;
	return false;
}

char *namespaces_join(const struct namespaces *set, char *buffer, size_t size)
{
	size_t len = atomic_load_explicit(&set->len, memory_order_acquire), used = 0;
	buffer[0] = '\0';
	for (size_t i = 0; i < len && used < size; i++)
		used += (size_t)snprintf(buffer + used, size - used, "%s%s", i ? ", " : "", set->names[i]);
	return buffer;
}
