/* SPDX-License-Identifier: Apache-2.0 */
#include "ids_stock.h"

static void drop_first(struct id_stock *stock)
{
	stock->grants[0] = stock->grants[1];
	stock->len--;
}

void kontor_id_stock_put(struct id_stock *stock, const struct id_grant *grant)
{
	if (stock->len == ID_STOCK_GRANTS)
		drop_first(stock);
	stock->grants[stock->len++] = *grant;
}

struct id_grant kontor_id_grant_cut(struct id_grant *grant, uint32_t most)
{
	struct id_grant piece = *grant;
	if (piece.range.count > most)
		piece.range.count = most;
	grant->range.count -= piece.range.count;
	grant->range.base += piece.range.count * grant->range.stride;
	return piece;
}

void kontor_id_stock_expire(struct id_stock *stock, int64_t oldest_ms)
{
	while (stock->len > 0 && stock->grants[0].asked_ms <= oldest_ms)
		drop_first(stock);
}

bool kontor_id_stock_cut(struct id_stock *stock, uint32_t least, uint32_t most, int64_t oldest_ms,
			 struct id_grant *ret_piece)
{
	kontor_id_stock_expire(stock, oldest_ms);
	while (stock->len > 0 && stock->grants[0].range.count < least)
		drop_first(stock);
	if (stock->len == 0)
		return false;
	*ret_piece = kontor_id_grant_cut(&stock->grants[0], most);
	return true;
}

uint64_t kontor_id_stock_left(const struct id_stock *stock)
{
	uint64_t left = 0;
	for (size_t i = 0; i < stock->len; i++)
		left += stock->grants[i].range.count;
	return left;
}
