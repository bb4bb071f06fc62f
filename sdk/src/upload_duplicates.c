/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "upload_duplicates.h"

static int by_identity_and_line(const void *left, const void *right)
{
	const struct kontor_upload_identified *a = left, *b = right;
	int order = memcmp(a->identity.key, b->identity.key, KONTOR_IDENTITY_SIZE);
	return order ? order : (a->line > b->line) - (a->line < b->line);
}

static int by_line(const void *left, const void *right)
{
	const struct kontor_upload_repeat *a = left, *b = right;
	return (a->line > b->line) - (a->line < b->line);
}

static bool same_facts(const struct kontor_upload_identified *a, const struct kontor_upload_identified *b)
{
	return memcmp(a->identity.facts, b->identity.facts, KONTOR_IDENTITY_SIZE) == 0;
}

static int add(struct kontor_upload_repeats *repeats, uint64_t line, uint64_t other_line,
	       enum kontor_upload_repeat_kind kind, struct kontor_error *err)
{
	if (repeats->len == repeats->capacity) {
		size_t capacity = repeats->capacity ? repeats->capacity * 2 : 256;
		void *grown = realloc(repeats->rows, capacity * sizeof(*repeats->rows));
		if (!grown)
			return kontor_fail(err, KONTOR_E_INTERNAL, "out of memory for %zu repeated rows", capacity);
		repeats->rows = grown;
		repeats->capacity = capacity;
	}
	repeats->rows[repeats->len++] = (struct kontor_upload_repeat){line, other_line, kind};
	return 0;
}

/* One identity: its rows in order of lines, at least two. */
static int judge(const struct kontor_upload_identified *group, size_t len, enum kontor_verdict contradictions,
		 struct kontor_upload_repeats *repeats, struct kontor_error *err)
{
	size_t other = 1; /* the first row whose facts are not those of the first */
	while (other < len && same_facts(&group[0], &group[other]))
		other++;
	int rc = 0;
	if (other < len && contradictions == KONTOR_VERDICT_CONFLICT) {
		for (size_t i = 0; i < len && rc == 0; i++) {
			const struct kontor_upload_identified *against =
				same_facts(&group[0], &group[i]) ? &group[other] : &group[0];
			rc = add(repeats, group[i].line, against->line, KONTOR_UPLOAD_CONTRADICTION, err);
		}
		return rc;
	}
	for (size_t i = 1; i < len && rc == 0; i++)
		rc = add(repeats, group[i].line, group[0].line,
			 same_facts(&group[0], &group[i]) ? KONTOR_UPLOAD_SAME_ROW : KONTOR_UPLOAD_SAME_IDENTITY, err);
	return rc;
}

int kontor_upload_find_repeats(struct kontor_upload_identified *rows, size_t rows_len,
			       enum kontor_verdict contradictions, struct kontor_upload_repeats *repeats,
			       struct kontor_error *err)
{
	if (rows_len > 1)
		qsort(rows, rows_len, sizeof(*rows), by_identity_and_line);
	for (size_t from = 0, to; from < rows_len; from = to) {
		for (to = from + 1; to < rows_len; to++) {
			if (memcmp(rows[from].identity.key, rows[to].identity.key, KONTOR_IDENTITY_SIZE) != 0)
				break;
		}
		int rc = to - from > 1 ? judge(rows + from, to - from, contradictions, repeats, err) : 0;
		if (rc)
			return rc;
	}
	return 0;
}

void kontor_upload_sort_repeats(struct kontor_upload_repeats *repeats)
{
	if (repeats->len > 1)
		qsort(repeats->rows, repeats->len, sizeof(*repeats->rows), by_line);
}
