/* SPDX-License-Identifier: Apache-2.0
 *
 * A configured region for tests: SG as in conf/, from 2026-W01.
 */
#ifndef TEST_REGION_H
#define TEST_REGION_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kontor/host.h"

static const struct kontor_currency test_currencies[] = {
	{"SGD", 2, 1}, {"MYR", 2, 1}, {"JPY", 0, 1}, {"KWD", 3, 1}, {"TWD", 2, 100}, {"VND", 0, 1},
};
#define TEST_CURRENCIES (sizeof(test_currencies) / sizeof(test_currencies[0]))

static struct kontor_region test_region;

/* SG accepts all but the last currency. */
static kontor_host *test_host_new(kontor_db *db, kontor_client *client)
{
	struct kontor_error err = KONTOR_ERROR_INIT;
	test_region = (struct kontor_region){
		.code = "SG", .zone_name = "Asia/Singapore", .first_window = 202601, .home = "dev", .home_here = true};
	if (kontor_zone_open(test_region.zone_name, &test_region.zone, &err))
		fail_msg("%s", err.message);
	test_region.currencies_len = TEST_CURRENCIES - 1;
	for (size_t i = 0; i < TEST_CURRENCIES - 1; i++)
		test_region.currencies[i] = &test_currencies[i];
	struct kontor_host_options options = {.client = client,
					      .db = db,
					      .unit = "test",
					      .datacenter = "dev",
					      .datacenter_id = 1,
					      .currencies = test_currencies,
					      .currencies_len = TEST_CURRENCIES,
					      .regions = &test_region,
					      .regions_len = 1};
	return kontor_host_new(&options);
}

#endif
