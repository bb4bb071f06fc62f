/* SPDX-License-Identifier: Apache-2.0
 *
 * Checks a request's arguments by the method's table. Every message names the method, the argument and the rule.
 */
#include "request_args.h"

#include <stdio.h>
#include <string.h>

#include "kontor/region.h"
#include "kontor/time.h"

#define PATH_SIZE 160
#define QUOTE_SIZE 64
#define MAX_ARGS 64

/* Where a value stands. Its path ("items[3].shop_user_id") is only written when it is refused. */
struct place {
	const struct kontor_arg_check *check;
	const struct kontor_arg *arg;
	const struct place *parent; /* the list or the element that it stands in; NULL at the top */
	bool is_element;            /* of the list `parent`, at `index` */
	uint32_t index;
	const msgpack_object *value;
};

static void write_path(const struct place *at, char *out, size_t size)
{
	size_t used = 0;
	out[0] = '\0';
	if (at->parent) {
		write_path(at->parent, out, size);
		used = strlen(out);
	}
	if (at->is_element)
		snprintf(out + used, size - used, "[%u]", (unsigned)at->index);
	else
		snprintf(out + used, size - used, "%s%s", at->parent ? "." : "", at->arg->name);
}

static struct kontor_text text_of_object(const msgpack_object *object)
{
	if (object->type == MSGPACK_OBJECT_STR)
		return (struct kontor_text){object->via.str.ptr, object->via.str.size};
	if (object->type == MSGPACK_OBJECT_BIN)
		return (struct kontor_text){object->via.bin.ptr, object->via.bin.size};
	return (struct kontor_text){0};
}

/* A text from outside, cut and made safe to print. */
static const char *quote_text(struct kontor_text text, char *buffer, size_t size)
{
	size_t n = 0;
	for (size_t i = 0; i < text.size && n + 1 < size; i++)
		buffer[n++] = text.data[i] >= ' ' && text.data[i] <= '~' ? text.data[i] : '?';
	buffer[n] = '\0';
	return buffer;
}

/* `, not "XX"`, for values that are short to say. */
static const char *quote_value(const msgpack_object *value, char *buffer, size_t size)
{
	char quoted[QUOTE_SIZE];
	buffer[0] = '\0';
	if (value && value->type == MSGPACK_OBJECT_STR)
		snprintf(buffer, size, ", not \"%s\"", quote_text(text_of_object(value), quoted, sizeof(quoted)));
	else if (value && value->type == MSGPACK_OBJECT_POSITIVE_INTEGER)
		snprintf(buffer, size, ", not %llu", (unsigned long long)value->via.u64);
	else if (value && value->type == MSGPACK_OBJECT_NEGATIVE_INTEGER)
		snprintf(buffer, size, ", not %lld", (long long)value->via.i64);
	return buffer;
}

static int refuse(const struct place *at, const char *rule)
{
	char path[PATH_SIZE], value[QUOTE_SIZE * 2];
	write_path(at, path, sizeof(path));
	return kontor_fail(at->check->err, KONTOR_E_BAD_REQUEST, "%s.%s: argument %s must be %s%s", at->check->service,
			   at->check->method->name, path, rule, quote_value(at->value, value, sizeof(value)));
}

static int refuse_range(const struct place *at, const char *what, int64_t min, int64_t max)
{
	char rule[QUOTE_SIZE * 2];
	snprintf(rule, sizeof(rule), "%s of %lld to %lld", what, (long long)min, (long long)max);
	return refuse(at, rule);
}

/* The limits of the row, or the type's own when the row names none. */
static bool within(const struct kontor_arg *arg, int64_t value, int64_t otherwise_min, int64_t otherwise_max,
		   int64_t *ret_min, int64_t *ret_max)
{
	bool none = arg->min == 0 && arg->max == 0;
	*ret_min = none ? otherwise_min : arg->min;
	*ret_max = none ? otherwise_max : arg->max;
	return value >= *ret_min && value <= *ret_max;
}

static int check_int(const struct place *at, const msgpack_object *object, struct kontor_arg_value *ret)
{
	int64_t min, max;
	if (object->type == MSGPACK_OBJECT_POSITIVE_INTEGER && object->via.u64 <= INT64_MAX)
		ret->number = (int64_t)object->via.u64;
	else if (object->type == MSGPACK_OBJECT_NEGATIVE_INTEGER)
		ret->number = object->via.i64;
	else
		return refuse(at, "a whole number that fits 64 bits");
	if (!within(at->arg, ret->number, INT64_MIN, INT64_MAX, &min, &max))
		return refuse_range(at, "a whole number", min, max);
	return 0;
}

static int check_id(const struct place *at, const msgpack_object *object, struct kontor_arg_value *ret)
{
	uint64_t id = 0;
	if (object->type == MSGPACK_OBJECT_POSITIVE_INTEGER)
		id = object->via.u64;
	else if (object->type != MSGPACK_OBJECT_STR || !kontor_parse_id(text_of_object(object), &id))
		id = 0;
	if (id == 0 || id > INT64_MAX)
		return refuse(at, "an id: 1 to 9223372036854775807, as a number or as decimal digits");
	ret->number = (int64_t)id;
	return 0;
}

/* The handler gets a copy that ends with NUL. */
static int keep_text(const struct place *at, struct kontor_text text, struct kontor_arg_value *ret)
{
	ret->text.data = kontor_arena_copy(at->check->arena, text.data, text.size);
	ret->text.size = text.size;
	if (!ret->text.data)
		return kontor_fail(at->check->err, KONTOR_E_INTERNAL, "%s: out of memory for the arguments",
				   at->check->service);
	return 0;
}

static int check_string(const struct place *at, const msgpack_object *object, struct kontor_arg_value *ret)
{
	int64_t min, max;
	struct kontor_text text = text_of_object(object);
	if (object->type != MSGPACK_OBJECT_STR || !kontor_text_utf8(text) || memchr(text.data, 0, text.size))
		return refuse(at, "a string of UTF-8 without NUL");
	if (!within(at->arg, (int64_t)text.size, 0, KONTOR_FRAME_LIMIT, &min, &max))
		return refuse_range(at, "a string", min, max);
	return keep_text(at, text, ret);
}

static int check_bytes(const struct place *at, const msgpack_object *object, struct kontor_arg_value *ret)
{
	int64_t min, max;
	ret->text = text_of_object(object);
	if (!ret->text.data)
		return refuse(at, "bytes");
	if (!within(at->arg, (int64_t)ret->text.size, 0, KONTOR_FRAME_LIMIT, &min, &max))
		return refuse_range(at, "bytes, with a length", min, max);
	return 0;
}

static int check_region(const struct place *at, const msgpack_object *object, struct kontor_arg_value *ret)
{
	if (object->type != MSGPACK_OBJECT_STR || !kontor_region_valid(text_of_object(object)))
		return refuse(at, "a region: two capital letters, as SG");
	int rc = check_string(at, object, ret);
	if (rc)
		return rc;
	const struct kontor_region *region = kontor_region_find(at->check->host, ret->text.data);
	if (!region)
		return refuse(at, "a region that is configured here (conf/regions/)");
	if (!region->home_here)
		return kontor_fail(at->check->err, KONTOR_E_UNAVAILABLE,
				   "%s.%s: region %s has its home in datacenter %s; call it there", at->check->service,
				   at->check->method->name, region->code, region->home ? region->home : "(not named)");
	return 0;
}

static int check_window(const struct place *at, const msgpack_object *object, struct kontor_arg_value *ret)
{
	uint32_t window = 0;
	if (object->type != MSGPACK_OBJECT_STR || !kontor_window_parse(text_of_object(object), &window))
		return refuse(at, "a settlement window, as 2026-W45, of a week that exists");
	ret->number = window;
	return 0;
}

static int check_name(const struct place *at, const msgpack_object *object, struct kontor_arg_value *ret)
{
	if (object->type != MSGPACK_OBJECT_STR || !kontor_name_valid(text_of_object(object)))
		return refuse(at, "a name: [a-z0-9][a-z0-9-]*, at most 32 characters");
	return keep_text(at, text_of_object(object), ret);
}

static int check_time(const struct place *at, const msgpack_object *object, struct kontor_arg_value *ret)
{
	if (object->type != MSGPACK_OBJECT_STR)
		return refuse(at, "a time as RFC 3339 text, as 2026-11-22T10:00:00Z");
	enum kontor_time_fault fault = kontor_time_parse(text_of_object(object), &ret->number);
	if (fault == KONTOR_TIME_OK)
		return 0;
	char rule[QUOTE_SIZE * 4];
	snprintf(rule, sizeof(rule), "a time as 2026-11-22T10:00:00Z (%s)", kontor_time_explain(fault));
	return refuse(at, rule);
}

/* The rows of a table: the method's own, or the fields of a list's element. */
struct table {
	const struct kontor_arg_check *check;
	const struct kontor_arg *args;
	size_t args_len;
	const struct place *parent; /* NULL for the method's own */
};

static int check_map(const struct table *table, const msgpack_object *map, struct kontor_arg_value *values);
static int check_value(const struct place *at, const msgpack_object *object, struct kontor_arg_value *ret);

/* An element of a list of maps. Ids that are strings become integers, so that the handler finds one type. */
static int check_element(const struct place *at, msgpack_object *element)
{
	struct kontor_arg_value values[MAX_ARGS] = {0};
	if (element->type != MSGPACK_OBJECT_MAP)
		return refuse(at, "a map");
	struct table table = {at->check, at->arg->fields, at->arg->fields_len, at};
	int rc = check_map(&table, element, values);
	for (size_t i = 0; rc == 0 && i < at->arg->fields_len; i++) {
		if (at->arg->fields[i].type != KONTOR_ARG_ID || !values[i].given)
			continue;
		msgpack_object *id = (msgpack_object *)kontor_get(element, at->arg->fields[i].name);
		id->type = MSGPACK_OBJECT_POSITIVE_INTEGER;
		id->via.u64 = (uint64_t)values[i].number;
	}
	return rc;
}

static int check_list(const struct place *at, const msgpack_object *object, struct kontor_arg_value *ret)
{
	int64_t min, max;
	if (object->type != MSGPACK_OBJECT_ARRAY)
		return refuse(at, "a list");
	if (!within(at->arg, object->via.array.size, 0, KONTOR_FRAME_LIMIT, &min, &max))
		return refuse_range(at, "a list, with a length", min, max);
	ret->object = object;
	if (at->arg->type == KONTOR_ARG_LIST && !at->arg->fields)
		return 0;
	for (uint32_t i = 0; i < object->via.array.size; i++) {
		msgpack_object *value = &object->via.array.ptr[i];
		struct place element = {at->check, at->arg, at, true, i, value};
		int rc;
		if (at->arg->type == KONTOR_ARG_LIST)
			rc = check_element(&element, value);
		else {
			struct kontor_arg_value id = {0};
			rc = check_id(&element, value, &id);
			if (rc == 0) {
				value->type = MSGPACK_OBJECT_POSITIVE_INTEGER;
				value->via.u64 = (uint64_t)id.number;
			}
		}
		if (rc)
			return rc;
	}
	return 0;
}

static int check_value(const struct place *at, const msgpack_object *object, struct kontor_arg_value *ret)
{
	switch (at->arg->type) {
	case KONTOR_ARG_INT:
		return check_int(at, object, ret);
	case KONTOR_ARG_ID:
		return check_id(at, object, ret);
	case KONTOR_ARG_BOOL:
		ret->number = object->type == MSGPACK_OBJECT_BOOLEAN && object->via.boolean;
		return object->type == MSGPACK_OBJECT_BOOLEAN ? 0 : refuse(at, "true or false");
	case KONTOR_ARG_STRING:
		return check_string(at, object, ret);
	case KONTOR_ARG_BYTES:
		return check_bytes(at, object, ret);
	case KONTOR_ARG_REGION:
		return check_region(at, object, ret);
	case KONTOR_ARG_WINDOW:
		return check_window(at, object, ret);
	case KONTOR_ARG_NAME:
		return check_name(at, object, ret);
	case KONTOR_ARG_TIME:
		return check_time(at, object, ret);
	case KONTOR_ARG_LIST:
	case KONTOR_ARG_IDS:
		return check_list(at, object, ret);
	}
	return refuse(at, "of a type that this version of Kontor knows");
}

static int refuse_unknown(const struct table *table, struct kontor_text name)
{
	const struct kontor_arg_check *check = table->check;
	const char *names[MAX_ARGS];
	char quoted[QUOTE_SIZE], path[PATH_SIZE] = "";
	for (size_t i = 0; i < table->args_len; i++)
		names[i] = table->args[i].name;
	const char *nearest = kontor_text_nearest(name, names, table->args_len);
	quote_text(name, quoted, sizeof(quoted));
	if (table->parent)
		write_path(table->parent, path, sizeof(path));
	if (table->args_len == 0)
		return kontor_fail(check->err, KONTOR_E_BAD_REQUEST, "%s.%s: takes no argument, but got \"%s\"",
				   check->service, check->method->name, quoted);
	return kontor_fail(check->err, KONTOR_E_BAD_REQUEST, "%s.%s: has no argument \"%s%s%s\"; %s %s", check->service,
			   check->method->name, path, path[0] ? "." : "", quoted,
			   nearest ? "did you mean" : "its first is", nearest ? nearest : names[0]);
}

static size_t find_arg(const struct table *table, struct kontor_text name)
{
	for (size_t i = 0; i < table->args_len; i++)
		if (strlen(table->args[i].name) == name.size && !memcmp(table->args[i].name, name.data, name.size))
			return i;
	return table->args_len;
}

static int check_entry(const struct table *table, const msgpack_object_kv *entry, struct kontor_arg_value *values)
{
	struct kontor_text name = text_of_object(&entry->key);
	if (entry->key.type != MSGPACK_OBJECT_STR)
		return kontor_fail(table->check->err, KONTOR_E_BAD_REQUEST,
				   "%s.%s: the names of arguments must be strings", table->check->service,
				   table->check->method->name);
	size_t index = find_arg(table, name);
	if (index == table->args_len)
		return refuse_unknown(table, name);
	if (entry->val.type == MSGPACK_OBJECT_NIL)
		return 0;
	struct place at = {table->check, &table->args[index], table->parent, false, 0, &entry->val};
	if (values[index].given)
		return refuse(&at, "given only once");
	values[index].given = true;
	return check_value(&at, &entry->val, &values[index]);
}

static int refuse_missing(const struct table *table, const struct kontor_arg *arg)
{
	char path[PATH_SIZE];
	struct place at = {table->check, arg, table->parent, false, 0, NULL};
	write_path(&at, path, sizeof(path));
	return kontor_fail(table->check->err, KONTOR_E_BAD_REQUEST, "%s.%s: argument %s is missing%s%s",
			   table->check->service, table->check->method->name, path, arg->help ? ": " : "",
			   arg->help ? arg->help : "");
}

static int check_map(const struct table *table, const msgpack_object *map, struct kontor_arg_value *values)
{
	if (table->args_len > MAX_ARGS)
		return kontor_fail(table->check->err, KONTOR_E_INTERNAL, "%s.%s: its table has more than %d arguments",
				   table->check->service, table->check->method->name, MAX_ARGS);
	for (uint32_t i = 0; i < map->via.map.size; i++) {
		int rc = check_entry(table, &map->via.map.ptr[i], values);
		if (rc)
			return rc;
	}
	for (size_t i = 0; i < table->args_len; i++)
		if (table->args[i].required && !values[i].given)
			return refuse_missing(table, &table->args[i]);
	return 0;
}

int kontor_args_check(const struct kontor_arg_check *check, const msgpack_object *map, struct kontor_arg_value *values)
{
	struct table table = {check, check->method->args, check->method->args_len, NULL};
	return check_map(&table, map, values);
}
