/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kontor/money.h"
#include "upload_statements.h"
#include "upload_totals.h"

static struct upload_total *cell_of(struct upload_totals *totals, enum kontor_verdict verdict, const char *currency)
{
	for (size_t i = 0; i < totals->len; i++) {
		struct upload_total *cell = &totals->cells[i];
		if (cell->verdict == verdict && strcmp(cell->currency, currency) == 0)
			return cell;
	}
	if (totals->len == UPLOAD_TOTALS_LIMIT)
		return NULL;
	struct upload_total *cell = &totals->cells[totals->len++];
	*cell = (struct upload_total){.verdict = verdict};
	snprintf(cell->currency, sizeof(cell->currency), "%s", currency);
	return cell;
}

int upload_totals_add(struct upload_totals *totals, const struct upload_total *more, struct kontor_error *err)
{
	struct upload_total *cell = cell_of(totals, more->verdict, more->currency);
	if (!cell)
		return kontor_fail(err, KONTOR_E_INTERNAL,
				   "an upload with more than %d currencies: a region has no more",
				   KONTOR_REGION_CURRENCIES);
	if (!kontor_amount_add(&cell->amount_minor, more->amount_minor))
		return kontor_fail(
			err, KONTOR_E_TOO_BIG,
			"the amounts in %s with verdict %s add up to more than 2^63 minor units: split the file",
			cell->currency, kontor_verdict_name(cell->verdict));
	cell->rows += more->rows;
	return 0;
}

static int by_verdict_and_currency(const void *left, const void *right)
{
	const struct upload_total *a = left, *b = right;
	if (a->verdict != b->verdict)
		return a->verdict < b->verdict ? -1 : 1;
	return strcmp(a->currency, b->currency);
}

static enum kontor_verdict verdict_of(struct kontor_text name)
{
	enum kontor_verdict verdict = 0;
	while (verdict < KONTOR_VERDICT_COUNT && !kontor_text_is(name, kontor_verdict_name(verdict)))
		verdict++;
	return verdict;
}

static int add_stored(struct upload_totals *totals, const kontor_rows *rows, struct kontor_error *err)
{
	struct upload_total total = {.verdict = verdict_of(kontor_rows_text(rows, 0)),
				     .rows = kontor_rows_uint(rows, 2),
				     .amount_minor = kontor_rows_int(rows, 3)};
	snprintf(total.currency, sizeof(total.currency), "%s", kontor_rows_string(rows, 1));
	if (total.verdict == KONTOR_VERDICT_COUNT)
		return kontor_fail(err, KONTOR_E_INTERNAL,
				   "upload_total holds the unknown verdict \"%s\": was it written by a newer Kontor?",
				   kontor_rows_string(rows, 0));
	return upload_totals_add(totals, &total, err);
}

int upload_totals_load(kontor_conn *conn, uint64_t upload_id, struct upload_totals *ret_totals,
		       struct kontor_error *err)
{
	memset(ret_totals, 0, sizeof(*ret_totals));
	kontor_rows *rows = NULL;
	int rc = kontor_db_query(conn, KONTOR_READ_ALL, SQL_LOAD_TOTALS, KONTOR_PARAMS(P_UINT(upload_id)), &rows, err);
	while (rc == 0 && (rc = kontor_rows_next(rows, err)) > 0)
		rc = add_stored(ret_totals, rows, err);
	kontor_rows_close(rows);
	qsort(ret_totals->cells, ret_totals->len, sizeof(ret_totals->cells[0]), by_verdict_and_currency);
	return rc;
}

int upload_totals_store(kontor_conn *tx, const struct upload_totals_place *place, const struct upload_totals *totals,
			struct kontor_error *err)
{
	kontor_bulk *bulk = kontor_bulk_new("uuussui");
	int rc = bulk ? 0 : kontor_fail(err, KONTOR_E_INTERNAL, "out of memory for the totals of a batch");
	for (size_t i = 0; i < totals->len && rc == 0; i++) {
		const struct upload_total *cell = &totals->cells[i];
		rc = kontor_bulk_add(
			bulk,
			KONTOR_PARAMS(P_UINT(place->upload_id), P_UINT(place->chunk_no), P_UINT(place->batch_no),
				      P_STRING(kontor_verdict_name(cell->verdict)), P_STRING(cell->currency),
				      P_UINT(cell->rows), P_INT(cell->amount_minor)),
			err);
	}
	if (rc == 0)
		rc = kontor_bulk_exec(tx, SQL_INSERT_TOTAL, bulk, NULL, err);
	kontor_bulk_free(bulk);
	return rc;
}

uint64_t upload_totals_rows(const struct upload_totals *totals)
{
	uint64_t rows = 0;
	for (size_t i = 0; i < totals->len; i++)
		rows += totals->cells[i].rows;
	return rows;
}

void upload_totals_counts(const struct upload_totals *totals, uint64_t ret_counts[KONTOR_VERDICT_COUNT])
{
	memset(ret_counts, 0, KONTOR_VERDICT_COUNT * sizeof(ret_counts[0]));
	for (size_t i = 0; i < totals->len; i++)
		ret_counts[totals->cells[i].verdict] += totals->cells[i].rows;
}
