/* SPDX-License-Identifier: Apache-2.0
 *
 * Look-ups in the host's regions and currencies. There are a dozen of each, so they are searched from the front.
 */
#include <string.h>

#include "host_state.h"

const struct kontor_region *kontor_region_find(const kontor_host *host, const char *code)
{
	for (size_t i = 0; i < host->options.regions_len; i++)
		if (strcmp(host->options.regions[i].code, code) == 0)
			return &host->options.regions[i];
	return NULL;
}

size_t kontor_region_count(const kontor_host *host)
{
	return host->options.regions_len;
}

const struct kontor_region *kontor_region_at(const kontor_host *host, size_t index)
{
	return index < host->options.regions_len ? &host->options.regions[index] : NULL;
}

const struct kontor_currency *kontor_region_currency(const struct kontor_region *region, struct kontor_text code)
{
	for (size_t i = 0; i < region->currencies_len; i++)
		if (kontor_text_is(code, region->currencies[i]->code))
			return region->currencies[i];
	return NULL;
}

const struct kontor_currency *kontor_currency_find(const kontor_host *host, struct kontor_text code)
{
	for (size_t i = 0; i < host->options.currencies_len; i++)
		if (kontor_text_is(code, host->options.currencies[i].code))
			return &host->options.currencies[i];
	return NULL;
}
