/* SPDX-License-Identifier: Apache-2.0
 *
 * Rows and amounts of an upload per verdict and currency. Not installed.
 */
#ifndef KONTOR_UPLOAD_TOTALS_H
#define KONTOR_UPLOAD_TOTALS_H

#include "kontor/upload.h"

/* Every verdict with every currency of a region, and with none. */
#define UPLOAD_TOTALS_LIMIT ((size_t)KONTOR_VERDICT_COUNT * (KONTOR_REGION_CURRENCIES + 1))

struct upload_total {
	enum kontor_verdict verdict;
	char currency[4]; /* "": rows without one */
	uint64_t rows;
	int64_t amount_minor;
};

struct upload_totals {
	size_t len;
	struct upload_total cells[UPLOAD_TOTALS_LIMIT];
};

/* TOO_BIG when a sum leaves int64: nothing may be accepted that cannot be added up. */
int upload_totals_add(struct upload_totals *totals, const struct upload_total *more, struct kontor_error *err);
/* Of all batches, in order of verdict and currency. */
int upload_totals_load(kontor_conn *conn, uint64_t upload_id, struct upload_totals *ret_totals,
		       struct kontor_error *err);
struct upload_totals_place {
	uint64_t upload_id;
	uint32_t chunk_no, batch_no; /* both from 0 */
};
/* One batch's rows of upload_total. */
int upload_totals_store(kontor_conn *tx, const struct upload_totals_place *place, const struct upload_totals *totals,
			struct kontor_error *err);
uint64_t upload_totals_rows(const struct upload_totals *totals);
void upload_totals_counts(const struct upload_totals *totals, uint64_t ret_counts[KONTOR_VERDICT_COUNT]);

#endif
