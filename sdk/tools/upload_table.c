/* SPDX-License-Identifier: Apache-2.0 */
#include "upload_table.h"

#include <string.h>

#include "kontor/upload.h"

#define CELL 48

/* "-1234567.89" -> "-1,234,567.89" */
static const char *group_digits(struct kontor_text number, char out[CELL])
{
	size_t sign = number.size > 0 && number.data[0] == '-';
	const char *point = number.size ? memchr(number.data, '.', number.size) : NULL;
	size_t whole = point ? (size_t)(point - number.data) : number.size, used = 0;
	for (size_t i = 0; i < number.size && used + 2 < CELL; i++) {
		if (i > sign && i < whole && (whole - i) % 3 == 0)
			out[used++] = ',';
		out[used++] = number.data[i];
	}
	out[used] = '\0';
	return out;
}

static const char *count_text(uint64_t count, char out[CELL])
{
	char digits[24];
	int size = snprintf(digits, sizeof(digits), "%llu", (unsigned long long)count);
	return group_digits((struct kontor_text){digits, (size_t)size}, out);
}

static void print_line(FILE *out, const char *verdict, const char *rows, const char *currency, const char *amount)
{
	fprintf(out, currency ? "  %-18s %13s   %-3s %22s\n" : "  %-18s %13s\n", verdict, rows, currency, amount);
}

static void print_verdict(FILE *out, const char *name, const msgpack_object *verdict)
{
	char rows[CELL], amount[CELL];
	const msgpack_object *amounts = kontor_get(verdict, "amount");
	uint32_t len = amounts && amounts->type == MSGPACK_OBJECT_MAP ? amounts->via.map.size : 0;
	count_text(kontor_get_uint(verdict, "rows", 0), rows);
	if (len == 0)
		print_line(out, name, rows, NULL, NULL);
	for (uint32_t i = 0; i < len; i++) {
		const msgpack_object_kv *entry = &amounts->via.map.ptr[i];
		char currency[8];
		snprintf(currency, sizeof(currency), "%.*s", (int)entry->key.via.str.size, entry->key.via.str.ptr);
		group_digits((struct kontor_text){entry->val.via.str.ptr, entry->val.via.str.size}, amount);
		print_line(out, i ? "" : name, i ? "" : rows, currency, amount);
	}
}

void upload_table_print(FILE *out, const msgpack_object *verdicts)
{
	uint64_t sum = 0;
	char rows[CELL];
	print_line(out, "verdict", "rows", "", "amount");
	for (int v = 0; v < KONTOR_VERDICT_COUNT; v++) {
		const char *name = kontor_verdict_name((enum kontor_verdict)v);
		const msgpack_object *verdict = kontor_get(verdicts, name);
		if (!verdict)
			continue;
		sum += kontor_get_uint(verdict, "rows", 0);
		print_verdict(out, name, verdict);
	}
	print_line(out, "all rows", count_text(sum, rows), NULL, NULL);
}
