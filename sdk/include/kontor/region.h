/* SPDX-License-Identifier: Apache-2.0
 *
 * Regions and currencies as configured in conf/regions/ and conf/currencies.conf. Fixed while the process runs.
 */
#ifndef KONTOR_REGION_H
#define KONTOR_REGION_H

#include "kontor/money.h"
#include "kontor/time.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

typedef struct kontor_host kontor_host;

#define KONTOR_REGION_CURRENCIES 16

struct kontor_region {
	char code[3]; /* "SG" */
	const char *zone_name;
	const kontor_zone *zone;
	uint32_t first_window; /* 202601 */
	const char *home;      /* datacenter that owns the region's money */
	bool home_here;
	size_t currencies_len;
	const struct kontor_currency *currencies[KONTOR_REGION_CURRENCIES]; /* the first is the region's own */
};

/* NULL when the region is not configured here. Borrowed for the life of the process. */
const struct kontor_region *kontor_region_find(const kontor_host *host, const char *code);
size_t kontor_region_count(const kontor_host *host);
const struct kontor_region *kontor_region_at(const kontor_host *host, size_t index);
/* NULL when the region does not accept that currency. */
const struct kontor_currency *kontor_region_currency(const struct kontor_region *region, struct kontor_text code);
/* Any currency of currencies.conf; NULL when unknown. */
const struct kontor_currency *kontor_currency_find(const kontor_host *host, struct kontor_text code);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
