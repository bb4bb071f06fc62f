/* SPDX-License-Identifier: Apache-2.0
 *
 * settlement.add_items: items from services, with the rules and the duplicate handling of an uploaded file.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "store.h"
#include "windows.h"

enum { STRING = 1, INTEGER = 2 };

static const struct service_field {
	const char *name;
	enum item_column column;
	unsigned types;
} service_fields[] = {
	{"shop_user_id", ITEM_SHOP, INTEGER | STRING},
	{"order_id", ITEM_ORDER, STRING},
	{"item_type", ITEM_TYPE, STRING},
	{"amount_minor", ITEM_AMOUNT, INTEGER},
	{"currency", ITEM_CURRENCY, STRING},
	{"occurred_at", ITEM_OCCURRED, STRING},
	{"occurred_ms", ITEM_OCCURRED, INTEGER},
	{"billing_item_id", ITEM_ID, INTEGER | STRING},
	{"note", ITEM_NOTE, STRING},
};
#define SERVICE_FIELDS (sizeof(service_fields) / sizeof(service_fields[0]))

static const char *const service_names[ITEM_COLUMNS] = {
	[ITEM_SHOP] = "shop_user_id",   [ITEM_ORDER] = "order_id",    [ITEM_TYPE] = "item_type",
	[ITEM_AMOUNT] = "amount_minor", [ITEM_CURRENCY] = "currency", [ITEM_OCCURRED] = "occurred_at",
	[ITEM_ID] = "billing_item_id",  [ITEM_NOTE] = "note",
};

static unsigned type_of(const msgpack_object *value)
{
	switch (value->type) {
	case MSGPACK_OBJECT_STR:
		return STRING;
	case MSGPACK_OBJECT_POSITIVE_INTEGER:
	case MSGPACK_OBJECT_NEGATIVE_INTEGER:
		return INTEGER;
	default:
		return 0;
	}
}

static struct kontor_text text_of(const msgpack_object *value, kontor_arena *arena)
{
	if (value->type == MSGPACK_OBJECT_STR)
		return (struct kontor_text){value->via.str.ptr, value->via.str.size};
	return kontor_text_of(value->type == MSGPACK_OBJECT_POSITIVE_INTEGER
				      ? kontor_arena_format(arena, "%" PRIu64, value->via.u64)
				      : kontor_arena_format(arena, "%" PRId64, value->via.i64));
}

static const struct service_field *find_field(struct kontor_text name)
{
	for (size_t i = 0; i < SERVICE_FIELDS; i++)
		if (kontor_text_is(name, service_fields[i].name))
			return &service_fields[i];
	return NULL;
}

static void refuse_unknown(struct item *item, struct kontor_text name)
{
	const char *known[SERVICE_FIELDS];
	for (size_t i = 0; i < SERVICE_FIELDS; i++)
		known[i] = service_fields[i].name;
	const char *nearest = kontor_text_nearest(name, known, SERVICE_FIELDS);
	int shown = name.size < ITEM_ORDER_SIZE && kontor_text_utf8(name) ? (int)name.size : 0;
	item_decide(item, KONTOR_VERDICT_BAD_ROW, ITEM_NO_COLUMN, "the field \"%.*s\" is unknown%s%s", shown,
		    shown ? name.data : "", nearest ? "; the nearest is " : "", nearest ? nearest : "");
}

/* One entry of an item's map; false: the item is decided. */
static bool take_entry(struct item *item, const msgpack_object_kv *entry, struct item_fields *fields,
		       kontor_arena *arena)
{
	struct kontor_text name = {"", 0};
	if (entry->key.type == MSGPACK_OBJECT_STR)
		name = (struct kontor_text){entry->key.via.str.ptr, entry->key.via.str.size};
	const struct service_field *field = find_field(name);
	if (!field) {
		refuse_unknown(item, name);
		return false;
	}
	if (entry->val.type == MSGPACK_OBJECT_NIL)
		return true;
	if (!(type_of(&entry->val) & field->types)) {
		item_decide(item, KONTOR_VERDICT_BAD_ROW, (int)field->column, "%s must be %s", field->name,
			    field->types == STRING    ? "a string"
			    : field->types == INTEGER ? "an integer"
						      : "an integer or a string of digits");
		return false;
	}
	if (fields->text[field->column].data) {
		item_decide(item, KONTOR_VERDICT_BAD_ROW, (int)field->column,
			    "%s is given twice (of occurred_at and occurred_ms only one is allowed)", field->name);
		return false;
	}
	fields->text[field->column] = text_of(&entry->val, arena);
	if (strcmp(field->name, "occurred_ms") == 0)
		fields->milliseconds = true;
	return true;
}

static int read_item(struct item *item, const struct kontor_region *region, const msgpack_object *element,
		     int64_t now_ms, kontor_arena *arena, struct kontor_error *err)
{
	struct item_fields fields = {.names = service_names, .minor_units = true, .now_ms = now_ms};
	item_reset(item);
	if (element->type != MSGPACK_OBJECT_MAP) {
		item_decide(item, KONTOR_VERDICT_BAD_ROW, ITEM_NO_COLUMN, "an item must be a map");
		return 0;
	}
	for (uint32_t i = 0; i < element->via.map.size; i++)
		if (!take_entry(item, &element->via.map.ptr[i], &fields, arena))
			return 0;
	return item_read(item, region, &fields, arena, err);
}

/* ---- repeats inside one call: as in a file ---- */

static int by_identity_and_line(const void *a, const void *b)
{
	const struct item *x = *(struct item *const *)a, *y = *(struct item *const *)b;
	int order = memcmp(x->identity.key, y->identity.key, KONTOR_IDENTITY_SIZE);
	return order ? order : (x->line > y->line) - (x->line < y->line);
}

static void judge_repeats(struct item **group, size_t len)
{
	bool contradiction = false;
	for (size_t i = 1; i < len; i++)
		contradiction |= memcmp(group[i]->identity.facts, group[0]->identity.facts, KONTOR_IDENTITY_SIZE) != 0;
	for (size_t i = contradiction ? 0 : 1; i < len; i++) {
		if (contradiction)
			item_decide(group[i], KONTOR_VERDICT_CONFLICT, ITEM_ID,
				    "items %" PRIu64 " and %" PRIu64 " of this call have one id and different facts",
				    group[0]->line, group[i ? i : 1]->line);
		else
			item_decide(group[i], KONTOR_VERDICT_DUPLICATE_IN_FILE, ITEM_NO_COLUMN,
				    "repeats item %" PRIu64 " of this call", group[0]->line);
	}
}

/* Keeps the undecided ones in chosen[0..return). */
static size_t drop_repeats(struct item **chosen, size_t len)
{
	qsort(chosen, len, sizeof(*chosen), by_identity_and_line);
	for (size_t from = 0, to; from < len; from = to) {
		for (to = from + 1; to < len && memcmp(chosen[to]->identity.key, chosen[from]->identity.key,
						       KONTOR_IDENTITY_SIZE) == 0;)
			to++;
		judge_repeats(chosen + from, to - from);
	}
	size_t kept = 0;
	for (size_t i = 0; i < len; i++)
		if (chosen[i]->verdict == KONTOR_VERDICT_OK)
			chosen[kept++] = chosen[i];
	return kept;
}

static void put_item(kontor_writer *w, const struct item *item)
{
	kontor_write_map(w);
	kontor_put_string(w, "verdict", kontor_verdict_name(item->verdict));
	bool stored = !kontor_verdict_rejects(item->verdict) || item->verdict == KONTOR_VERDICT_ALREADY_EXISTS;
	if (stored) {
		char window[KONTOR_WINDOW_SIZE];
		kontor_put_string(w, "window", kontor_window_format(item->window, window));
		kontor_put_uint(w, "billing_item_id", item->billing_item_id);
	}
	if (kontor_verdict_rejects(item->verdict)) {
		if (item->column != ITEM_NO_COLUMN)
			kontor_put_string(w, "column", service_names[item->column]);
		kontor_put_string(w, "reason", item->reason);
	}
	kontor_write_end(w);
}

int handle_add_items(void *self, kontor_request *request)
{
	struct kontor_error *err = kontor_request_error(request);
	kontor_arena *arena = kontor_request_arena(request);
	const msgpack_object_array *list = kontor_arg_list(request, "items");
	const struct kontor_region *region =
		kontor_region_find(kontor_request_host(request), kontor_arg_string(request, "region"));
	struct item *items = kontor_arena_alloc(arena, list->size * sizeof(*items));
	struct item **chosen = kontor_arena_alloc(arena, list->size * sizeof(*chosen));
	if (!items || !chosen)
		return kontor_request_fail(request, KONTOR_E_INTERNAL, "out of memory for %u items", list->size);
	size_t len = 0;
	int64_t now_ms;
	int rc = database_now_ms(kontor_request_db(request), &now_ms, err);
	if (rc)
		return rc;
	for (uint32_t i = 0; i < list->size; i++) {
		items[i].line = i + 1;
		rc = read_item(&items[i], region, &list->ptr[i], now_ms, arena, err);
		if (rc)
			return rc;
		if (items[i].verdict == KONTOR_VERDICT_OK)
			chosen[len++] = &items[i];
	}
	len = drop_repeats(chosen, len);
	struct item_batch batch = {region, 0, false};
	rc = store_items(self, kontor_request_db(request), &batch, chosen, len, err);
	if (rc)
		return rc;
	kontor_writer *w = kontor_reply(request);
	kontor_put_array(w, "items");
	for (uint32_t i = 0; i < list->size; i++)
		put_item(w, &items[i]);
	kontor_write_end(w);
	return 0;
}
