/* SPDX-License-Identifier: Apache-2.0
 *
 * Intervals, sorted.
 */
#include "grants.h"

#include <stdio.h>
#include <stdlib.h>

void grants_add(struct grants *all, unsigned kind, struct kontor_id_range range, unsigned process, int64_t at_ms)
{
	struct grant grant = {.kind = kind,
			      .remainder = range.base % range.stride,
			      .first = range.base / range.stride,
			      .last = range.base / range.stride + range.count - 1,
			      .process = process,
			      .at_ms = at_ms};
	all->ids += range.count;
	for (size_t i = all->len; i > 0 && i + 4 > all->len; i--) {
		struct grant *before = &all->grants[i - 1];
		if (before->kind == kind && before->remainder == grant.remainder && before->process == process &&
		    before->last + 1 == grant.first) {
			before->last = grant.last;
			return;
		}
	}
	if (all->len == GRANTS_LIMIT) {
		fprintf(stderr, "simulation: more than %u grants in a run\n", GRANTS_LIMIT);
		exit(3);
	}
	all->grants[all->len++] = grant;
}

static int compare(const void *a, const void *b)
{
	const struct grant *one = a, *other = b;
	if (one->kind != other->kind)
		return one->kind < other->kind ? -1 : 1;
	if (one->remainder != other->remainder)
		return one->remainder < other->remainder ? -1 : 1;
	return one->first < other->first ? -1 : one->first > other->first;
}

bool grants_are_disjoint(struct grants *all, struct grant *ret_one, struct grant *ret_other)
{
	qsort(all->grants, all->len, sizeof(all->grants[0]), compare);
	for (size_t i = 1; i < all->len; i++) {
		const struct grant *before = &all->grants[i - 1], *grant = &all->grants[i];
		if (before->kind == grant->kind && before->remainder == grant->remainder &&
		    grant->first <= before->last) {
			*ret_one = *before;
			*ret_other = *grant;
			return false;
		}
	}
	return true;
}
