/* SPDX-License-Identifier: Apache-2.0 */
#include "rule_store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "statements.h"

/* A change with what is stored under its key. */
struct candidate {
	struct rule_change *change;
	uint64_t last_version;
	bool same; /* of the rules in force at any of its instants, the one that decides is the same as this */
};

static int by_key_and_line(const void *left, const void *right)
{
	const struct rule_change *a = left, *b = right;
	int order = rule_compare_key(a->rule, b->rule);
	return order ? order : (a->line > b->line) - (a->line < b->line);
}

static void read_rule(const kontor_rows *rows, struct rule *ret_rule)
{
	*ret_rule = (struct rule){
		.shop_user_id = kontor_rows_uint(rows, 0),
		.kind = rule_kind_of(kontor_rows_text(rows, 1)),
		.from_ms = kontor_rows_int(rows, 4),
		.until_ms = kontor_rows_null(rows, 5) ? RULE_FOREVER : kontor_rows_int(rows, 5),
		.number = kontor_rows_int(rows, 3),
	};
	snprintf(ret_rule->currency, sizeof(ret_rule->currency), "%s", kontor_rows_string(rows, 2));
}

static size_t first_of_key(const struct candidate *candidates, size_t len, const struct rule *rule)
{
	size_t low = 0, high = len;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (rule_compare_key(candidates[middle].change->rule, rule) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Versions come in the order of their revisions. One without a revision belongs to an upload that may be cancelled: it
 * only takes up its number. */
static void take_version(struct candidate *candidates, size_t len, const kontor_rows *rows)
{
	struct rule stored;
	read_rule(rows, &stored);
	uint64_t version = kontor_rows_uint(rows, 6);
	bool counts = kontor_rows_uint(rows, 7) > 0;
	for (size_t i = first_of_key(candidates, len, &stored); i < len; i++) {
		struct candidate *candidate = &candidates[i];
		if (rule_compare_key(candidate->change->rule, &stored) != 0)
			break;
		if (version > candidate->last_version)
			candidate->last_version = version;
		if (counts && rule_same(candidate->change->rule, &stored))
			candidate->same = true;
		else if (counts && rule_overlaps(candidate->change->rule, &stored))
			candidate->same = false;
	}
}

/* Looks up the shops of candidates that begin with `from`; *ret_next: the first one that had no room. */
static int look_up(kontor_conn *tx, const char *region, struct candidate *candidates, size_t len, size_t from,
		   size_t *ret_next, struct kontor_error *err)
{
	struct kontor_param params[1 + LOOKUP_KEYS + 1] = {P_STRING(region)};
	size_t shops = 0, next = from;
	for (; next < len; next++) {
		uint64_t shop = candidates[next].change->rule->shop_user_id;
		if (shops && params[shops].u == shop)
			continue;
		if (shops == LOOKUP_KEYS)
			break;
		params[1 + shops++] = P_UINT(shop);
	}
	for (size_t i = shops; i < LOOKUP_KEYS; i++) /* a short list is filled up with its last shop */
		params[1 + i] = params[shops];
	params[1 + LOOKUP_KEYS].type = KONTOR_P_END;
	*ret_next = next;
	kontor_rows *rows = NULL;
	int rc = kontor_db_query(tx, KONTOR_READ_STREAM, SQL_LIST_RULES, params, &rows, err);
	if (rc)
		return rc;
	while ((rc = kontor_rows_next(rows, err)) > 0)
		take_version(candidates + from, next - from, rows);
	kontor_rows_close(rows);
	return rc;
}

/* A line further down goes before one further up, so it is no repetition of what is stored when the upper one differs.
 */
static void judge(struct candidate *candidates, size_t len)
{
	for (size_t from = 0, i = 0; i < len; i++) {
		struct rule_change *change = candidates[i].change;
		if (rule_compare_key(candidates[from].change->rule, change->rule) != 0)
			from = i;
		for (size_t k = from; k < i && candidates[i].same; k++)
			if (!candidates[k].change->unchanged && rule_overlaps(candidates[k].change->rule, change->rule))
				candidates[i].same = false;
		change->unchanged = candidates[i].same;
	}
}

static int add_version(kontor_bulk *bulk, const struct rule_source *source, const struct candidate *candidate,
		       uint64_t version, uint64_t judged_at, struct kontor_error *err)
{
	const struct rule *rule = candidate->change->rule;
	return kontor_bulk_add(bulk,
			       KONTOR_PARAMS(P_STRING(source->region), P_UINT(rule->shop_user_id),
					     P_STRING(rule_kind_name(rule->kind)), P_STRING(rule->currency),
					     P_UINT(version), P_STRING(rule->value), P_INT(rule->number),
					     P_INT(rule->from_ms),
					     rule->until_ms == RULE_FOREVER ? P_NULL : P_INT(rule->until_ms),
					     P_UINT(source->upload_id), P_UINT(candidate->change->line),
					     candidate->change->unchanged ? P_UINT(judged_at) : P_NULL),
			       err);
}

/* What is unchanged is kept, too, until the upload is accepted: a line of another batch or another upload may overrule
 * what is in force now. A command has its region's revision locked already: nothing can. */
static int insert(kontor_conn *tx, const struct rule_source *source, const struct candidate *candidates, size_t len,
		  uint64_t judged_at, struct kontor_error *err)
{
	kontor_bulk *bulk = kontor_bulk_new(ADD_RULE_COLUMNS);
	int rc = bulk ? 0 : kontor_fail(err, KONTOR_E_INTERNAL, "out of memory for a batch of shop rules");
	uint64_t version = 0;
	for (size_t i = 0; i < len && !rc; i++) {
		bool first = i == 0 || rule_compare_key(candidates[i - 1].change->rule, candidates[i].change->rule);
		if (first)
			version = candidates[i].last_version;
		if (source->upload_id || !candidates[i].change->unchanged)
			rc = add_version(bulk, source, &candidates[i], ++version, judged_at, err);
	}
	if (!rc)
		rc = kontor_bulk_exec(tx, SQL_ADD_RULE, bulk, NULL, err);
	if (rc == KONTOR_E_CONFLICT)
		rc = kontor_fail(err, KONTOR_E_BUSY, "somebody else changes rules of the same shops at this moment");
	kontor_bulk_free(bulk);
	return rc;
}

/* 0: the region has no rules yet. */
static int read_revision(kontor_conn *tx, const char *region, uint64_t *ret_revision, struct kontor_error *err)
{
	int64_t revision = 0;
	int rc = kontor_db_query_int(tx, SQL_RULE_REVISION, KONTOR_PARAMS(P_STRING(region)), &revision, err);
	*ret_revision = (uint64_t)revision;
	return rc == KONTOR_E_NOT_FOUND ? 0 : rc;
}

int rule_store(kontor_conn *tx, const struct rule_source *source, struct rule_change *changes, size_t len,
	       struct kontor_error *err)
{
	struct candidate *candidates = calloc(len + 1, sizeof(*candidates));
	if (!candidates)
		return kontor_fail(err, KONTOR_E_INTERNAL, "out of memory for %zu shop rules", len);
	if (len > 1)
		qsort(changes, len, sizeof(*changes), by_key_and_line);
	for (size_t i = 0; i < len; i++)
		candidates[i].change = &changes[i];
	uint64_t judged_at = 0; /* before the look-up: whatever is accepted later has a higher one */
	int rc = read_revision(tx, source->region, &judged_at, err);
	for (size_t next = 0; next < len && !rc;)
		rc = look_up(tx, source->region, candidates, len, next, &next, err);
	if (!rc)
		judge(candidates, len);
	if (!rc && !source->dry_run)
		rc = insert(tx, source, candidates, len, judged_at, err);
	free(candidates);
	return rc;
}

int rule_begin_revision(kontor_conn *tx, const char *region, struct kontor_error *err)
{
	return kontor_db_exec(tx, SQL_NEXT_RULE_REVISION, KONTOR_PARAMS(P_STRING(region)), NULL, err);
}

int rule_give_revision(kontor_conn *tx, const struct rule_source *source, struct kontor_error *err)
{
	int rc = kontor_db_exec(tx, SQL_DROP_SAME_RULES,
				KONTOR_PARAMS(P_STRING(source->region), P_UINT(source->upload_id)), NULL, err);
	if (rc)
		return rc;
	return kontor_db_exec(
		tx, SQL_GIVE_RULE_REVISION,
		KONTOR_PARAMS(P_STRING(source->region), P_STRING(source->region), P_UINT(source->upload_id)), NULL,
		err);
}

/* ---- who is on hold ---- */

static int by_shop(const void *left, const void *right)
{
	const struct hold_question *a = left, *b = right;
	return (a->shop_user_id > b->shop_user_id) - (a->shop_user_id < b->shop_user_id);
}

/* Rows come by shop, currency ("" before all others), revision: each overrules the one before. */
static void answer_holds(struct hold_question *questions, size_t len, uint64_t shop, const char *currency, bool held)
{
	struct hold_question wanted = {.shop_user_id = shop};
	struct hold_question *found = bsearch(&wanted, questions, len, sizeof(wanted), by_shop);
	if (!found)
		return;
	while (found > questions && found[-1].shop_user_id == shop)
		found--;
	for (; found < questions + len && found->shop_user_id == shop; found++)
		if (!currency[0] || strcmp(found->currency, currency) == 0)
			found->held = held;
}

static int find_holds(kontor_conn *conn, const char *region, int64_t at_ms, struct hold_question *questions, size_t len,
		      struct kontor_error *err)
{
	struct kontor_param params[1 + LOOKUP_KEYS + 3] = {P_STRING(region)};
	for (size_t i = 0; i < LOOKUP_KEYS; i++)
		params[1 + i] = P_UINT(questions[i < len ? i : len - 1].shop_user_id);
	params[1 + LOOKUP_KEYS] = P_INT(at_ms);
	params[2 + LOOKUP_KEYS] = P_INT(at_ms);
	params[3 + LOOKUP_KEYS].type = KONTOR_P_END;
	kontor_rows *rows = NULL;
	int rc = kontor_db_query(conn, KONTOR_READ_STREAM, SQL_FIND_HOLDS, params, &rows, err);
	if (rc)
		return rc;
	while ((rc = kontor_rows_next(rows, err)) > 0)
		answer_holds(questions, len, kontor_rows_uint(rows, 0), kontor_rows_string(rows, 1),
			     kontor_rows_int(rows, 2) != 0);
	kontor_rows_close(rows);
	return rc;
}

int rule_find_holds(kontor_conn *conn, const char *region, int64_t at_ms, struct hold_question *questions, size_t len,
		    struct kontor_error *err)
{
	if (len > 1)
		qsort(questions, len, sizeof(*questions), by_shop);
	int rc = 0;
	for (size_t from = 0, size; from < len && !rc; from += size) {
		size = len - from < LOOKUP_KEYS ? len - from : LOOKUP_KEYS;
		rc = find_holds(conn, region, at_ms, questions + from, size, err);
	}
	return rc;
}
