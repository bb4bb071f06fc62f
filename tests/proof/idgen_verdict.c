/* SPDX-License-Identifier: Apache-2.0
 *
 * The judge.
 */
#include "idgen_verdict.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "idgen_bitmap.h"

#define SHOWN 10 /* findings of one kind that are printed */

struct interval {
	uint64_t space; /* layout, namespace where ids are unique only within it, and the low bits */
	uint64_t first, last;
	uint32_t file, record;
};

struct judge {
	const struct verdict_input *input;
	struct verdict verdict;
	uint64_t *file_spaces; /* without the low bits */
	struct interval *intervals;
	size_t len;
	struct bitmap *bitmap;
};

static const struct record *record_of(const struct judge *j, const struct interval *interval)
{
	return &j->input->files[interval->file].records[interval->record];
}

static void show(const struct judge *j, uint64_t earlier_findings, const char *what, const struct interval *a,
		 const struct interval *b)
{
	if (!j->input->out || earlier_findings >= SHOWN)
		return;
	const struct interval *both[] = {a, b};
	fprintf(j->input->out, "%s:\n", what);
	for (int i = 0; i < 2 && both[i]; i++) {
		const struct record *r = record_of(j, both[i]);
		fprintf(j->input->out,
			"  %s record %" PRIu32 ": base %" PRIu64 " stride %" PRIu64 " count %" PRIu64
			" request %" PRIu64 " received_ms %" PRId64 "\n",
			j->input->names[both[i]->file], both[i]->record, r->base, r->stride, r->count, r->request,
			r->received_ms);
	}
}

/* ---- each record on its own -------------------------------------------------------------------------------------- */

static bool in_layout(const struct id_layout_shape *shape, const struct record *r)
{
	uint64_t limit = UINT64_C(1) << shape->total_bits;
	if (r->stride != UINT64_C(1) << shape->low_bits || r->base == 0 || r->base >= limit)
		return false;
	return r->count - 1 <= (limit - 1 - r->base) / r->stride;
}

static bool disturbed(const struct verdict_input *input, unsigned datacenter, int64_t at_ms)
{
	for (size_t i = 0; i < input->disturbances_len; i++) {
		const struct verdict_disturbance *d = &input->disturbances[i];
		if (d->datacenter == datacenter && at_ms >= d->from_ms && at_ms <= d->to_ms)
			return true;
	}
	return false;
}

static void check_time(struct judge *j, const struct id_layout_shape *shape, const struct interval *at,
		       unsigned datacenter)
{
	const struct record *r = record_of(j, at);
	if (!shape->time_shift || disturbed(j->input, datacenter, r->received_ms))
		return;
	j->verdict.time_checked++;
	int64_t ahead_ms = id_layout_time_ms(shape, r->base) - r->received_ms;
	if (ahead_ms <= VERDICT_AHEAD_MS && ahead_ms >= -VERDICT_BEHIND_MS - (int64_t)shape->tick_ms)
		return;
	show(j, j->verdict.wrong_time++, "the time in the id is not that of its receipt", at, NULL);
}

static void check_record(struct judge *j, const struct interval *at)
{
	const struct records_header *header = j->input->files[at->file].header;
	const struct id_layout_shape *shape = &id_layouts[header->layout];
	const struct record *r = record_of(j, at);
	if (!in_layout(shape, r))
		show(j, j->verdict.out_of_layout++, "not of its layout", at, NULL);
	else if (j->input->any_datacenter)
		return;
	else if (id_layout_datacenter(shape, r->base) != header->datacenter)
		show(j, j->verdict.wrong_datacenter++, "of another datacenter", at, NULL);
	else
		check_time(j, shape, at, header->datacenter);
}

/* ---- all together ------------------------------------------------------------------------------------------------ */

/* Ids of a layout with a clock are unique across its namespaces; those of `segment` within each. */
static uint64_t space_of(const struct verdict_input *input, size_t file)
{
	const struct records_header *header = input->files[file].header;
	size_t same = 0; /* the first file of the same namespace */
	if (header->layout == ID_LAYOUT_SEGMENT)
		while (input->files[same].header->layout != ID_LAYOUT_SEGMENT ||
		       strcmp(input->files[same].header->id_namespace, header->id_namespace) != 0)
			same++;
	return ((uint64_t)header->layout << 32 | same) << 16;
}

static bool name_spaces(struct judge *j)
{
	j->file_spaces = calloc(j->input->files_len ? j->input->files_len : 1, sizeof(*j->file_spaces));
	for (size_t i = 0; j->file_spaces && i < j->input->files_len; i++)
		j->file_spaces[i] = space_of(j->input, i);
	return j->file_spaces != NULL;
}

static bool set_each_bit(struct judge *j, const struct interval *interval, unsigned low_bits)
{
	const struct record *r = record_of(j, interval);
	uint64_t low_mask = (UINT64_C(1) << low_bits) - 1, space = j->file_spaces[interval->file];
	for (uint64_t n = 0; n < r->count; n++) {
		uint64_t id = r->base + n * r->stride;
		bool was_set = false;
		if (!bitmap_set(j->bitmap, space | (id & low_mask), id >> low_bits, &was_set))
			return false;
		if (was_set)
			show(j, j->verdict.consumed_twice++, "an id of this record was used before", interval, NULL);
		j->verdict.consumed++;
	}
	return true;
}

static bool add_record(struct judge *j, uint32_t file, uint32_t record)
{
	const struct records_file *f = &j->input->files[file];
	const struct record *r = &f->records[record];
	unsigned low_bits = id_layouts[f->header->layout].low_bits;
	struct interval *interval = &j->intervals[j->len++];
	*interval = (struct interval){.space = j->file_spaces[file] | (r->base & ((UINT64_C(1) << low_bits) - 1)),
				      .first = r->base >> low_bits,
				      .last = (r->base >> low_bits) + r->count - 1,
				      .file = file,
				      .record = record};
	j->verdict.records++;
	j->verdict.granted += r->count;
	check_record(j, interval);
	return !f->header->consumed || set_each_bit(j, interval, low_bits);
}

/* Within one file, per space: the records stand in the order in which they were used. */
static bool check_increasing(struct judge *j, const struct interval *intervals, size_t len)
{
	struct bitmap *seen = bitmap_new(); /* of (space): place of its last interval */
	bool fine = seen != NULL;
	for (size_t i = 0; i < len && fine; i++) {
		uint64_t *last = bitmap_word(seen, intervals[i].space);
		fine = last != NULL;
		if (!fine)
			break;
		if (*last && intervals[*last - 1].last >= intervals[i].first)
			show(j, j->verdict.not_increasing++, "not above what the same caller got before",
			     &intervals[*last - 1], &intervals[i]);
		*last = i + 1;
	}
	bitmap_free(seen);
	return fine;
}

static int by_place(const void *left, const void *right)
{
	const struct interval *a = left, *b = right;
	if (a->space != b->space)
		return a->space < b->space ? -1 : 1;
	if (a->first != b->first)
		return a->first < b->first ? -1 : 1;
	if (a->file != b->file)
		return a->file < b->file ? -1 : 1;
	return a->record < b->record ? -1 : a->record > b->record;
}

static uint64_t smaller(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static void find_overlaps(struct judge *j)
{
	qsort(j->intervals, j->len, sizeof(*j->intervals), by_place);
	const struct interval *furthest = NULL; /* the one before that reaches furthest */
	for (size_t i = 0; i < j->len; i++) {
		const struct interval *at = &j->intervals[i];
		if (furthest && furthest->space == at->space && furthest->last >= at->first) {
			show(j, j->verdict.duplicate_intervals++, "given twice", furthest, at);
			j->verdict.duplicates += smaller(furthest->last, at->last) - at->first + 1;
		}
		if (!furthest || furthest->space != at->space || at->last > furthest->last)
			furthest = at;
	}
}

static bool judge(struct judge *j)
{
	const struct verdict_input *input = j->input;
	size_t records = 0;
	for (size_t i = 0; i < input->files_len; i++)
		records += input->files[i].len;
	j->bitmap = bitmap_new();
	j->intervals = calloc(records ? records : 1, sizeof(*j->intervals));
	if (!j->bitmap || !j->intervals || !name_spaces(j))
		return false;
	for (uint32_t file = 0; file < input->files_len; file++) {
		size_t start = j->len;
		for (uint32_t record = 0; record < input->files[file].len; record++)
			if (!add_record(j, file, record))
				return false;
		if (input->files[file].header->consumed && !check_increasing(j, j->intervals + start, j->len - start))
			return false;
	}
	find_overlaps(j);
	return true;
}

bool verdict_judge(const struct verdict_input *input, struct verdict *ret_verdict)
{
	struct judge j = {.input = input};
	bool done = judge(&j);
	bitmap_free(j.bitmap);
	free(j.intervals);
	free(j.file_spaces);
	if (done)
		*ret_verdict = j.verdict;
	return done;
}

uint64_t verdict_findings(const struct verdict *v)
{
	return v->duplicates + v->consumed_twice + v->out_of_layout + v->wrong_datacenter + v->wrong_time +
	       v->not_increasing;
}
