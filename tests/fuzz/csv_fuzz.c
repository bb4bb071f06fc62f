/* SPDX-License-Identifier: Apache-2.0
 *
 * CSV records: the first byte says how large the pieces are. Records found piecewise must be those found in one go,
 * they must not overlap, and all lines must be counted.
 */
#include <stdlib.h>
#include <string.h>

#include "kontor/csv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct summary {
	size_t records, lines, faults, raw_bytes;
};

static struct summary whole(kontor_csv *csv, struct kontor_text text)
{
	struct summary s = {0};
	struct kontor_csv_record record;
	size_t skipped, used;
	while ((used = kontor_csv_next(csv, text, true, true, &record, &skipped))) {
		if (used > text.size)
			abort();
		s.records++;
		s.lines += skipped + record.lines;
		s.faults += record.fault != KONTOR_CSV_OK;
		s.raw_bytes += record.raw.size;
		text.data += used;
		text.size -= used;
	}
	return s;
}

static struct summary piecewise(kontor_csv *csv, struct kontor_text text, size_t piece)
{
	struct summary s = {0};
	struct kontor_csv_record record;
	size_t skipped, used, window = piece;
	while (text.size) {
		if (window > text.size)
			window = text.size;
		bool at_end = window == text.size;
		used = kontor_csv_next(csv, (struct kontor_text){text.data, window}, at_end, false, &record, &skipped);
		if (!used) {
			if (at_end)
				break;
			window += piece;
			continue;
		}
		s.records++;
		s.lines += skipped + record.lines;
		s.raw_bytes += record.raw.size;
		text.data += used;
		text.size -= used;
		window = piece;
	}
	return s;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 1)
		return 0;
	struct kontor_text text = {(const char *)data + 1, size - 1};
	kontor_csv *csv = kontor_csv_new();
	struct summary a = whole(csv, text), b = piecewise(csv, text, data[0] + 1u);
	if (a.records != b.records || a.lines != b.lines || a.raw_bytes != b.raw_bytes)
		abort();
	kontor_csv_free(csv);
	return 0;
}
