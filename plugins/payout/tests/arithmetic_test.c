/* SPDX-License-Identifier: Apache-2.0
 *
 * CONTRACT, "Arithmetic": by a table of cases, and as an equation on random sums.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "arithmetic.h"
#include "control_totals.h"
#include "shop_table.h"

struct payout_case {
	const char *what;
	int64_t gross, commissionable, carry_in;
	struct shop_terms terms;
	uint32_t unit;
	int64_t fees, net, carry_out;
	enum payout_state state;
	const char *reason;
};

static const struct payout_case cases[] = {
	{"a plain sum is paid", 12345, 12345, 0, {0}, 1, 0, 12345, 0, PAYOUT_READY, ""},
	{"one yen", 1, 1, 0, {0}, 1, 0, 1, 0, PAYOUT_READY, ""},
	{"fils stay whole", 1234567, 1234567, 0, {0}, 1, 0, 1234567, 0, PAYOUT_READY, ""},
	{"TWD is paid in whole dollars", 12399, 12399, 0, {0}, 100, 0, 12300, 99, PAYOUT_READY, ""},
	{"a carry completes a dollar", 50, 50, 50, {0}, 100, 0, 100, 0, PAYOUT_READY, ""},
	{"less than the unit rounds to nothing", 99, 99, 0, {0}, 100, 0, 0, 99, PAYOUT_READY, "below_payment_unit"},
	{"zero", 0, 0, 0, {0}, 1, 0, 0, 0, PAYOUT_ZERO, ""},
	{"a debt is carried", -500, -500, 0, {0}, 1, 0, 0, -500, PAYOUT_CARRIED, "negative"},
	{"a debt is not rounded to the unit", -550, -550, 0, {0}, 100, 0, 0, -550, PAYOUT_CARRIED, "negative"},
	{"a debt is paid off", 300, 300, -200, {0}, 1, 0, 100, 0, PAYOUT_READY, ""},
	{"a debt is paid off to the last cent", 200, 200, -200, {0}, 1, 0, 0, 0, PAYOUT_ZERO, ""},
	{"a debt grows", -100, -100, -200, {0}, 1, 0, 0, -300, PAYOUT_CARRIED, "negative"},
	{"only a carry", 0, 0, 700, {0}, 1, 0, 700, 0, PAYOUT_READY, ""},
	{"commission of 2.5 %", 1000, 1000, 0, {25000, 0, false}, 1, 25, 975, 0, PAYOUT_READY, ""},
	{"half a cent of commission rounds up", 100, 100, 0, {5000, 0, false}, 1, 1, 99, 0, PAYOUT_READY, ""},
	{"below half rounds down", 98, 98, 0, {5000, 0, false}, 1, 0, 98, 0, PAYOUT_READY, ""},
	{"four decimals of a percent", 1000000, 1000000, 0, {1, 0, false}, 1, 1, 999999, 0, PAYOUT_READY, ""},
	{"all of it", 777, 777, 0, {1000000, 0, false}, 1, 777, 0, 0, PAYOUT_ZERO, ""},
	{"commission only of orders and refunds", 1500, 1000, 0, {100000, 0, false}, 1, 100, 1400, 0, PAYOUT_READY, ""},
	{"more refunds than orders: no commission",
	 -100,
	 -400,
	 0,
	 {100000, 0, false},
	 1,
	 0,
	 0,
	 -100,
	 PAYOUT_CARRIED,
	 "negative"},
	{"commission makes a debt", 50, 1000, 0, {100000, 0, false}, 1, 100, 0, -50, PAYOUT_CARRIED, "negative"},
	{"just below the minimum", 999, 999, 0, {0, 1000, false}, 1, 0, 0, 999, PAYOUT_CARRIED, "below_minimum"},
	{"the minimum itself", 1000, 1000, 0, {0, 1000, false}, 1, 0, 1000, 0, PAYOUT_READY, ""},
	{"a carry reaches the minimum", 600, 600, 400, {0, 1000, false}, 1, 0, 1000, 0, PAYOUT_READY, ""},
	{"on hold", 1050, 1050, 0, {0, 0, true}, 100, 0, 1000, 50, PAYOUT_HELD, "hold"},
	{"on hold and in debt", -10, -10, 0, {0, 0, true}, 1, 0, 0, -10, PAYOUT_CARRIED, "negative"},
	{"the largest sum", INT64_MAX, 0, 0, {0}, 1, 0, INT64_MAX, 0, PAYOUT_READY, ""},
};

static void test_every_case_of_the_contract(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct payout_case *c = &cases[i];
		struct shop_sums sums = {1, c->gross, c->commissionable, c->carry_in};
		struct payout_figures got;
		print_message("%s\n", c->what);
		assert_true(payout_compute(&sums, &c->terms, c->unit, &got));
		assert_int_equal(got.gross_minor, c->gross);
		assert_int_equal(got.carry_in_minor, c->carry_in);
		assert_int_equal(got.fees_minor, c->fees);
		assert_int_equal(got.net_minor, c->net);
		assert_int_equal(got.carry_out_minor, c->carry_out);
		assert_int_equal(got.state, c->state);
		assert_string_equal(got.reason, c->reason);
	}
}

static void test_a_sum_beyond_63_bits_is_refused(void **state)
{
	(void)state;
	struct shop_terms none = {0};
	struct payout_figures got = {.net_minor = 42};
	struct shop_sums sums = {2, (__int128)INT64_MAX + 1, 0, 0};
	assert_false(payout_compute(&sums, &none, 1, &got));
	sums = (struct shop_sums){2, INT64_MAX, 0, 1};
	assert_false(payout_compute(&sums, &none, 1, &got));
	sums = (struct shop_sums){2, INT64_MIN, 0, -1};
	assert_false(payout_compute(&sums, &none, 1, &got));
	assert_int_equal(got.net_minor, 42);
}

static int64_t random_amount(void)
{
	int64_t limit = (int64_t[]){10, 1000, 1000000, INT64_C(10000000000000)}[rand() % 4];
	return ((int64_t)rand() << 31 | rand()) % limit * (rand() % 3 ? 1 : -1);
}

static void test_no_money_is_lost_or_made(void **state)
{
	(void)state;
	srand(20261122);
	struct control_totals totals = {0};
	struct control_line *line = control_line_of(&totals, "SGD");
	for (int i = 0; i < 200000; i++) {
		struct shop_sums sums = {1, random_amount(), random_amount(), random_amount()};
		struct shop_terms terms = {(uint32_t)(rand() % (COMMISSION_SCALE + 1)), rand() % 2 ? rand() % 5000 : 0,
					   rand() % 4 == 0};
		uint32_t unit = rand() % 2 ? 1 : 100;
		struct payout_figures got;
		assert_true(payout_compute(&sums, &terms, unit, &got));
		assert_true((__int128)got.gross_minor + got.carry_in_minor ==
			    (__int128)got.net_minor + got.carry_out_minor + got.fees_minor);
		assert_true(got.net_minor >= 0 && got.net_minor % unit == 0);
		assert_true(got.state == PAYOUT_READY || got.state == PAYOUT_HELD || got.net_minor == 0);
		assert_true(got.net_minor == 0 || got.carry_out_minor < unit);
		assert_true(control_add_payout(line, 1, &got));
	}
	assert_int_equal(line->items, 200000);
	assert_true(control_line_balanced(line));
	line->payouts_minor++;
	assert_false(control_line_balanced(line));
}

static const struct shop_entry *find(const struct shop_table *table, uint64_t shop, const char *currency)
{
	for (size_t i = 0; i < table->len; i++)
		if (table->entries[i].shop_user_id == shop && !strcmp(table->entries[i].currency, currency))
			return &table->entries[i];
	fail_msg("shop %llu has no %s", (unsigned long long)shop, currency);
	return NULL;
}

static void test_items_and_carries_meet_in_one_entry_per_shop_and_currency(void **state)
{
	(void)state;
	struct shop_table table = {0};
	for (uint64_t shop = 1; shop <= 3000; shop++) {
		assert_true(shop_table_add_item(&table, shop, KONTOR_TEXT("SGD"), ITEM_TYPE_ORDER, 100));
		assert_true(shop_table_add_item(&table, shop, KONTOR_TEXT("JPY"), 4, -7));
		assert_true(shop_table_add_item(&table, shop, KONTOR_TEXT("SGD"), ITEM_TYPE_REFUND, -30));
		assert_true(shop_table_add_item(&table, shop, KONTOR_TEXT("SGD"), 3, 5));
	}
	assert_true(shop_table_add_carry(&table, 7, KONTOR_TEXT("SGD"), -20));
	assert_true(shop_table_add_carry(&table, 7, KONTOR_TEXT("SGD"), -3));
	assert_true(shop_table_add_carry(&table, 5000, KONTOR_TEXT("USD"), 9));
	shop_table_finish(&table);
	assert_int_equal(table.len, 2 * 3000 + 1);
	const struct shop_entry *entry = find(&table, 7, "SGD");
	assert_int_equal(entry->sums.items, 3);
	assert_int_equal((int64_t)entry->sums.gross, 75);
	assert_int_equal((int64_t)entry->sums.commissionable, 70);
	assert_int_equal((int64_t)entry->sums.carry_in, -23);
	assert_int_equal((int64_t)find(&table, 7, "JPY")->sums.gross, -7);
	entry = find(&table, 5000, "USD");
	assert_int_equal(entry->sums.items, 0);
	assert_int_equal((int64_t)entry->sums.carry_in, 9);
	shop_table_free(&table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_case_of_the_contract),
		cmocka_unit_test(test_a_sum_beyond_63_bits_is_refused),
		cmocka_unit_test(test_no_money_is_lost_or_made),
		cmocka_unit_test(test_items_and_carries_meet_in_one_entry_per_shop_and_currency),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
