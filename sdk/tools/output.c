/* SPDX-License-Identifier: Apache-2.0 */
#include "output.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COLUMN_WIDTH_LIMIT 48
#define NEST_INDENT 2

/* ---- msgpack and JSON ---- */

/* Ids exceed 2^53, which JSON readers round: they are strings of digits. */
static bool is_id(const char *key)
{
	static const char *const others[] = {"id", "base", "instance", "supersedes"};
	size_t size = strlen(key);
	if (size > 3 && strcmp(key + size - 3, "_id") == 0)
		return true;
	if (size > 4 && strcmp(key + size - 4, "_ids") == 0)
		return true;
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (strcmp(key, others[i]) == 0)
			return true;
	return false;
}

static json_t *json_of_integer(const char *key, const msgpack_object *value)
{
	char digits[24];
	bool negative = value->type == MSGPACK_OBJECT_NEGATIVE_INTEGER;
	if (!is_id(key) && (negative || value->via.u64 <= INT64_MAX))
		return json_integer(value->via.i64);
	if (negative)
		snprintf(digits, sizeof(digits), "%lld", (long long)value->via.i64);
	else
		snprintf(digits, sizeof(digits), "%llu", (unsigned long long)value->via.u64);
	return json_string(digits);
}

/* Text that is not UTF-8 (a raw line of a file, say) keeps its ASCII; every other byte becomes U+FFFD. */
static json_t *json_of_text(const char *data, size_t size)
{
	json_t *text = json_stringn(data, size);
	if (text)
		return text;
	char *safe = malloc(3 * size + 1), *out = safe;
	for (size_t i = 0; safe && i < size; i++) {
		if ((unsigned char)data[i] < 0x80)
			*out++ = data[i];
		else
			out = (char *)memcpy(out, "\xef\xbf\xbd", 3) + 3;
	}
	text = safe ? json_stringn(safe, (size_t)(out - safe)) : NULL;
	free(safe);
	return text ? text : json_null();
}

static json_t *json_of_map(const msgpack_object_map *map)
{
	json_t *object = json_object();
	for (uint32_t i = 0; i < map->size; i++) {
		char key[256] = "";
		const msgpack_object *name = &map->ptr[i].key;
		if (name->type == MSGPACK_OBJECT_STR)
			snprintf(key, sizeof(key), "%.*s", (int)name->via.str.size, name->via.str.ptr);
		json_object_set_new(object, key, json_of(key, &map->ptr[i].val));
	}
	return object;
}

json_t *json_of(const char *key, const msgpack_object *value)
{
	switch (value->type) {
	case MSGPACK_OBJECT_BOOLEAN:
		return json_boolean(value->via.boolean);
	case MSGPACK_OBJECT_POSITIVE_INTEGER:
	case MSGPACK_OBJECT_NEGATIVE_INTEGER:
		return json_of_integer(key, value);
	case MSGPACK_OBJECT_FLOAT32:
	case MSGPACK_OBJECT_FLOAT64:
		return json_real(value->via.f64);
	case MSGPACK_OBJECT_STR:
		return json_of_text(value->via.str.ptr, value->via.str.size);
	case MSGPACK_OBJECT_BIN: {
		char *hex = malloc(2 * (size_t)value->via.bin.size + 1);
		json_t *text =
			hex ? json_string(kontor_hex(value->via.bin.ptr, value->via.bin.size, hex)) : json_null();
		free(hex);
		return text;
	}
	case MSGPACK_OBJECT_ARRAY: {
		json_t *array = json_array();
		for (uint32_t i = 0; i < value->via.array.size; i++)
			json_array_append_new(array, json_of(key, &value->via.array.ptr[i]));
		return array;
	}
	case MSGPACK_OBJECT_MAP:
		return json_of_map(&value->via.map);
	default:
		return json_null();
	}
}

bool write_json(kontor_writer *w, const json_t *value)
{
	const char *key;
	const json_t *element;
	size_t i;
	bool ok = true;
	switch (json_typeof(value)) {
	case JSON_OBJECT:
		kontor_write_map(w);
		json_object_foreach((json_t *)value, key, element)
		{
			kontor_write_string(w, key);
			ok = write_json(w, element) && ok;
		}
		kontor_write_end(w);
		break;
	case JSON_ARRAY:
		kontor_write_array(w);
		json_array_foreach((json_t *)value, i, element) ok = write_json(w, element) && ok;
		kontor_write_end(w);
		break;
	case JSON_STRING:
		kontor_write_text(w, (struct kontor_text){json_string_value(value), json_string_length(value)});
		break;
	case JSON_INTEGER:
		kontor_write_int(w, json_integer_value(value));
		break;
	case JSON_TRUE:
	case JSON_FALSE:
		kontor_write_bool(w, json_is_true(value));
		break;
	default:
		kontor_write_nil(w);
		return json_is_null(value);
	}
	return ok;
}

/* ---- answers ---- */

static void print_json_line(const json_t *value)
{
	char *text = json_dumps(value, JSON_COMPACT);
	if (text)
		puts(text);
	free(text);
}

static char *cell_text(const json_t *value);

/* "JPY 70, SGD 650" of a map, "a, b" of a list; of maps in a list their names. */
static char *cell_text_of_many(const json_t *value)
{
	char *text = NULL;
	size_t size = 0, i;
	const char *key;
	json_t *element;
	FILE *out = open_memstream(&text, &size);
	if (!out)
		return NULL;
	json_object_foreach((json_t *)value, key, element)
	{
		char *cell = cell_text(element);
		fprintf(out, "%s%s %s", ftell(out) > 0 ? ", " : "", key, cell ? cell : "");
		free(cell);
	}
	json_array_foreach((json_t *)value, i, element)
	{
		const json_t *name = json_object_get(element, "name");
		char *cell = cell_text(name ? name : element);
		fprintf(out, "%s%s", i ? ", " : "", cell ? cell : "");
		free(cell);
	}
	fclose(out);
	return text;
}

/* A value in one cell; the caller frees it. Strings stand as they are, but for control characters. */
static char *cell_text(const json_t *value)
{
	char *text;
	if (!value || json_is_null(value))
		return strdup("");
	if (json_is_object(value) || json_is_array(value))
		return cell_text_of_many(value);
	if (json_is_true(value) || json_is_false(value))
		return strdup(json_is_true(value) ? "yes" : "no");
	if (json_is_string(value)) {
		text = strdup(json_string_value(value));
		for (char *c = text; c && *c; c++)
			if ((unsigned char)*c < ' ' || *c == 127)
				*c = ' ';
		return text;
	}
	return json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
}

/* Characters, not bytes; wide ones count as one, which is near enough for alignment. */
static int text_width(const char *text)
{
	int width = 0;
	for (; *text; text++)
		width += ((unsigned char)*text & 0xc0) != 0x80;
	return width;
}

static void print_padded(const char *text, int width, bool right)
{
	int blanks = width - text_width(text);
	if (right && blanks > 0)
		printf("%*s", blanks, "");
	fputs(text, stdout);
	if (!right && blanks > 0)
		printf("%*s", blanks, "");
}

/* ---- tables ---- */

void table_begin(struct table *table, const struct cli *cli, const char *columns)
{
	*table = (struct table){.json = cli->json, .columns = columns};
}

static void add_column(struct table *table, const char *name, size_t size)
{
	if (table->columns_len == sizeof(table->column) / sizeof(table->column[0]))
		return;
	struct table_column *column = &table->column[table->columns_len++];
	snprintf(column->name, sizeof(column->name), "%.*s", (int)size, name);
	column->width = text_width(column->name);
}

/* Numbers stand on the right, and their column's name above them. */
static void turn_right(struct table *table, const json_t *row)
{
	for (size_t c = 0; c < table->columns_len; c++)
		table->column[c].right = json_is_integer(json_object_get(row, table->column[c].name));
}

static void name_columns(struct table *table, json_t *first_row)
{
	const char *key;
	json_t *value;
	for (const char *name = table->columns; name && *name;) {
		size_t size = strcspn(name, " ");
		add_column(table, name, size);
		name += size + (name[size] == ' ');
	}
	if (!table->columns)
		json_object_foreach(first_row, key, value) add_column(table, key, strlen(key));
}

static void widen_columns(struct table *table, const json_t *rows)
{
	size_t i;
	const json_t *row;
	json_array_foreach(rows, i, row)
	{
		for (size_t c = 0; c < table->columns_len; c++) {
			char *text = cell_text(json_object_get(row, table->column[c].name));
			int width = text ? text_width(text) : 0;
			if (width > COLUMN_WIDTH_LIMIT)
				width = COLUMN_WIDTH_LIMIT;
			if (width > table->column[c].width)
				table->column[c].width = width;
			free(text);
		}
	}
}

static void print_row(const struct table *table, const json_t *row)
{
	printf("%*s", table->indent, "");
	for (size_t c = 0; c < table->columns_len; c++) {
		const struct table_column *column = &table->column[c];
		const json_t *value = row ? json_object_get(row, column->name) : NULL;
		char *text = row ? cell_text(value) : strdup(column->name);
		bool last = c + 1 == table->columns_len;
		print_padded(text ? text : "", last && !column->right ? 0 : column->width, column->right);
		fputs(last ? "\n" : "  ", stdout);
		free(text);
	}
}

void table_rows(struct table *table, const json_t *rows)
{
	size_t i;
	const json_t *row;
	if (!table->json && !table->begun && json_array_size(rows) > 0) {
		name_columns(table, json_array_get(rows, 0));
		turn_right(table, json_array_get(rows, 0));
		widen_columns(table, rows);
		print_row(table, NULL);
		table->begun = true;
	}
	json_array_foreach(rows, i, row)
	{
		if (table->json)
			print_json_line(row);
		else
			print_row(table, row);
	}
}

void table_page(struct table *table, const msgpack_object *rows)
{
	json_t *page = json_of("", rows);
	table_rows(table, page);
	json_decref(page);
}

void table_end(struct table *table)
{
	if (!table->json && !table->begun)
		puts("(none)");
}

/* ---- one object ---- */

static void print_for_people(const json_t *object, int indent);

/* {"ok": {"rows": 3}, ...} is a table whose first column has no name: [{"": "ok", "rows": 3}, ...]. NULL: it is none.
 */
static json_t *rows_of_maps(const json_t *object)
{
	const char *key;
	json_t *value;
	json_t *rows = json_array();
	json_object_foreach((json_t *)object, key, value)
	{
		if (!json_is_object(value)) {
			json_decref(rows);
			return NULL;
		}
		json_t *row = json_object();
		json_object_set_new(row, "", json_string(key));
		json_object_update(row, value);
		json_array_append_new(rows, row);
	}
	return rows;
}

static void print_entry(const char *key, json_t *value, int width, int indent)
{
	bool is_map = json_is_object(value) && json_object_size(value) > 0;
	json_t *rows = is_map ? rows_of_maps(value) : json_incref(value);
	printf("%*s", indent, "");
	if (json_is_object(json_array_get(rows, 0))) {
		struct table table = {.indent = indent + NEST_INDENT};
		puts(key);
		table_rows(&table, rows);
		json_decref(rows);
		return;
	}
	json_decref(rows);
	if (is_map) {
		puts(key);
		print_for_people(value, indent + NEST_INDENT);
		return;
	}
	char *text = cell_text(value);
	print_padded(key, width, false);
	printf("  %s\n", text ? text : "");
	free(text);
}

/* "name  value" lines; what nests stands below its name. */
static void print_for_people(const json_t *object, int indent)
{
	const char *key;
	json_t *value;
	int width = 0;
	json_object_foreach((json_t *)object, key, value)
	{
		if (text_width(key) > width)
			width = text_width(key);
	}
	json_object_foreach((json_t *)object, key, value) print_entry(key, value, width, indent);
}

void print_answer(const struct cli *cli, json_t *object)
{
	if (cli->json)
		print_json_line(object);
	else
		print_for_people(object, 0);
	json_decref(object);
}
