/* SPDX-License-Identifier: Apache-2.0 */
#include "manifest.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static json_t *hash_json(const uint8_t *sha256)
{
	char hex[2 * SHA256_SIZE + 1];
	return json_string(kontor_hex(sha256, SHA256_SIZE, hex));
}

/* Ids are strings: JSON readers round numbers beyond 2^53. */
static json_t *id_json(uint64_t id)
{
	char text[24];
	snprintf(text, sizeof(text), "%llu", (unsigned long long)id);
	return id ? json_string(text) : json_null();
}

static json_t *time_json(int64_t ms)
{
	char text[KONTOR_TIME_SIZE];
	return json_string(kontor_time_format(ms, text));
}

static json_t *sums_json(const struct currency_total *totals, size_t len)
{
	json_t *sums = json_object();
	for (size_t i = 0; i < len; i++)
		json_object_set_new(sums, totals[i].currency, json_integer(totals[i].amount_minor));
	return sums;
}

static json_t *part_json(const struct stored_part *part)
{
	json_t *json = json_object();
	json_object_set_new(json, "name", json_string(part->file_name));
	json_object_set_new(json, "bytes", json_integer((json_int_t)part->bytes));
	json_object_set_new(json, "sha256", hash_json(part->sha256));
	json_object_set_new(json, "payments", json_integer((json_int_t)part->payments));
	json_object_set_new(json, "control_sums", sums_json(part->totals, part->totals_len));
	return json;
}

static json_t *manifest_json(const struct stored_file *file, const struct stored_part *parts, size_t len)
{
	char window[KONTOR_WINDOW_SIZE];
	struct currency_total totals[KONTOR_REGION_CURRENCIES];
	json_t *json = json_object(), *files = json_array();
	json_object_set_new(json, "format", json_string(MANIFEST_FORMAT));
	json_object_set_new(json, "safefile_id", id_json(file->safefile_id));
	json_object_set_new(json, "region", json_string(file->region));
	json_object_set_new(json, "window", json_string(kontor_window_format(file->window, window)));
	json_object_set_new(json, "run_id", id_json(file->run_id));
	json_object_set_new(json, "profile", json_string(file->profile.name));
	json_object_set_new(json, "sequence", json_integer((json_int_t)file->sequence));
	json_object_set_new(json, "supersedes", id_json(file->supersedes));
	json_object_set_new(json, "previous_manifest_sha256",
			    file->has_previous ? hash_json(file->previous_manifest) : json_null());
	json_object_set_new(json, "created", time_json(file->created_ms));
	json_object_set_new(json, "published", time_json(file->published_ms));
	json_object_set_new(json, "execution_date", json_string(file->execution_date));
	for (size_t i = 0; i < len; i++)
		json_array_append_new(files, part_json(&parts[i]));
	json_object_set_new(json, "files", files);
	json_object_set_new(json, "payments", json_integer((json_int_t)file->payments));
	json_object_set_new(json, "control_sums", sums_json(totals, stored_totals(parts, len, totals)));
	return json;
}

int manifest_make(const struct stored_file *file, const struct stored_part *parts, size_t len, kontor_arena *arena,
		  const char **ret_text, size_t *ret_size, struct kontor_error *err)
{
	/* Keys in the order of insertion, two blanks of indent, one newline at the end. */
	json_t *json = manifest_json(file, parts, len);
	char *dumped = json_dumps(json, JSON_INDENT(2) | JSON_ENSURE_ASCII);
	json_decref(json);
	char *text = dumped && strlen(dumped) < MANIFEST_LIMIT ? kontor_arena_format(arena, "%s\n", dumped) : NULL;
	free(dumped);
	if (!text)
		return kontor_fail(err, KONTOR_E_INTERNAL, "the manifest of safefile %llu does not fit %u bytes",
				   (unsigned long long)file->safefile_id, MANIFEST_LIMIT);
	*ret_text = text;
	*ret_size = strlen(text);
	return 0;
}
