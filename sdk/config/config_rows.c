/* SPDX-License-Identifier: Apache-2.0
 *
 * Conf rows: text of the files -> typed values in a struct, and back for --dump-config.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "kontor/text.h"

#define LIST_SYNTAX "{}\", "
#define KEYS_LIMIT 256u /* rows of all tables of one block that an unknown key is compared with */

/* Where a value is being judged. */
struct place {
	struct config *config;
	const struct kontor_conf_row *row;
	const char *file;
	unsigned line;
	bool built_in;
};

static void refuse(const struct place *place, const char *value, const char *rule)
{
	config_problem(place->config, place->file, place->line, "%s = \"%s\": %s", place->row->key, value, rule);
}

static bool in_range(const struct place *place, int64_t number)
{
	const struct kontor_conf_row *row = place->row;
	return place->built_in || (!row->min && !row->max) || (number >= row->min && number <= row->max);
}

static void refuse_range(const struct place *place, const char *value, const char *unit)
{
	config_problem(place->config, place->file, place->line,
		       "%s = \"%s\": must be between %" PRId64 "%s and %" PRId64 "%s", place->row->key, value,
		       place->row->min, unit, place->row->max, unit);
}

static void fill_bool(const struct place *place, const char *value, bool *slot)
{
	if (strcmp(value, "yes") == 0 || strcmp(value, "true") == 0)
		*slot = true;
	else if (strcmp(value, "no") == 0 || strcmp(value, "false") == 0)
		*slot = false;
	else
		refuse(place, value, "must be yes or no");
}

static void fill_enum(const struct place *place, const char *value, const char **slot)
{
	size_t length = strlen(value);
	for (const char *choice = place->row->choices; choice && *choice;) {
		size_t size = strcspn(choice, "|");
		if (size == length && memcmp(choice, value, size) == 0) {
			*slot = value;
			return;
		}
		choice += size + (choice[size] == '|');
	}
	config_problem(place->config, place->file, place->line, "%s = \"%s\": must be one of %s", place->row->key,
		       value, place->row->choices);
}

/* Whether a file that a running unit will open is there, by its inode alone: a check opens nothing that it names. */
static bool file_sound(const struct place *place, const char *value)
{
	struct stat st;
	bool secret = place->row->type == KONTOR_CONF_SECRET;
	if (stat(value, &st) != 0) {
		if (errno == EACCES)
			return true; /* who checks may not look there; the unit's user will */
		config_problem(place->config, place->file, place->line,
			       "%s = \"%s\": %s: put the file there, or correct the path", place->row->key, value,
			       strerror(errno));
	} else if (!S_ISREG(st.st_mode)) {
		refuse(place, value, "must be a regular file");
	} else if (secret && (st.st_mode & S_IRWXO)) {
		config_problem(place->config, place->file, place->line,
			       "%s = \"%s\": every user of the machine may open this secret (mode %04o): chmod 600 %s",
			       place->row->key, value, st.st_mode & 07777, value);
	} else {
		return true;
	}
	return false;
}

static void fill_path(const struct place *place, const char *value, const char **slot)
{
	bool is_file = place->row->type != KONTOR_CONF_FOLDER;
	if (value[0] && value[0] != '/')
		refuse(place, value, "must be an absolute path");
	else if (!value[0] || place->built_in || !is_file || file_sound(place, value))
		*slot = value;
}

static void fill_one(const struct place *place, const char *value, void *slot)
{
	struct kontor_text text = kontor_text_of(value);
	int64_t number = 0;
	uint64_t bytes = 0;
	switch (place->row->type) {
	case KONTOR_CONF_INT:
		if (!kontor_parse_int(text, &number))
			refuse(place, value, "must be a whole number");
		else if (!in_range(place, number))
			refuse_range(place, value, "");
		else
			*(int64_t *)slot = number;
		break;
	case KONTOR_CONF_DURATION:
		if (!kontor_parse_duration(text, &number))
			refuse(place, value, "must be a duration with its unit, like 500ms, 30s, 2m, 12h or 7d");
		else if (!in_range(place, number))
			refuse_range(place, value, "ms");
		else
			*(int64_t *)slot = number;
		break;
	case KONTOR_CONF_SIZE:
		if (!kontor_parse_size(text, &bytes))
			refuse(place, value, "must be a size, like 512, 64KiB, 4MiB or 1GiB");
		else if (bytes > INT64_MAX || !in_range(place, (int64_t)bytes))
			refuse_range(place, value, " bytes");
		else
			*(uint64_t *)slot = bytes;
		break;
	case KONTOR_CONF_BOOL:
		fill_bool(place, value, slot);
		break;
	case KONTOR_CONF_ENUM:
		fill_enum(place, value, slot);
		break;
	case KONTOR_CONF_NAME:
		if (!place->built_in && !kontor_name_valid(text))
			refuse(place, value, "must be a name: [a-z0-9][a-z0-9-]{0,31}");
		else
			*(const char **)slot = value;
		break;
	case KONTOR_CONF_FILE:
	case KONTOR_CONF_SECRET:
	case KONTOR_CONF_FOLDER:
		fill_path(place, value, slot);
		break;
	case KONTOR_CONF_STRING:
		*(const char **)slot = value;
		break;
	case KONTOR_CONF_LIST:
		break; /* fill_list() */
	}
}

/* NULL-terminated copy of a setting's values, or of a default written {"a", "b"}. */
static const char *const *list_of(struct config *config, const struct config_setting *setting, const char *default_text)
{
	if (setting) {
		const char **list = config_alloc(config, (setting->values_len + 1) * sizeof(char *));
		if (setting->values_len)
			memcpy(list, setting->values, setting->values_len * sizeof(char *));
		return list;
	}
	size_t len = 0;
	const char **list = config_alloc(config, (strlen(default_text) + 1) * sizeof(char *));
	for (const char *text = default_text; *text;) {
		size_t size = strcspn(text, LIST_SYNTAX);
		if (size) {
			char *copy = config_alloc(config, size + 1);
			memcpy(copy, text, size);
			list[len++] = copy;
		}
		text += size;
		text += strspn(text, LIST_SYNTAX);
	}
	return list;
}

static void report_missing(struct config *config, const char *section, const char *title,
			   const struct kontor_conf_row *row)
{
	if (config->unreadable)
		return; /* it may stand in the part that could not be read */
	const struct config_block *block = config_block(config, section, title);
	if (section[0])
		config_problem(config, block ? block->file : NULL, block ? block->line : 0, "%s \"%s\" needs '%s': %s",
			       section, title, row->key, row->help);
	else
		config_problem(config, config->unit_file, config->unit_file ? 1 : 0,
			       "'%s' is not set: %s; write it here or, for all units, in kontord.conf or conf.d/",
			       row->key, row->help);
}

void config_fill(struct config *config, const char *section, const char *title, struct config_table table, void *self)
{
	for (size_t i = 0; i < table.len; i++) {
		const struct kontor_conf_row *row = &table.rows[i];
		void *slot = (char *)self + row->offset;
		const struct config_setting *setting = config_find(config, section, title, row->key);
		if (!setting && !row->default_text) {
			report_missing(config, section, title, row);
			continue;
		}
		struct place place = {config, row, setting ? setting->file : "built-in", setting ? setting->line : 0,
				      !setting};
		if (row->type == KONTOR_CONF_LIST)
			*(const char *const **)slot = list_of(config, setting, row->default_text);
		else if (setting && setting->values_len != 1)
			config_problem(config, setting->file, setting->line,
				       "%s takes one value, not a list: leave the braces out", row->key);
		else
			fill_one(&place, setting ? setting->values[0] : row->default_text, slot);
	}
}

static const struct kontor_conf_row *find_row(const struct config_table *tables, size_t tables_len, const char *key)
{
	for (size_t t = 0; t < tables_len; t++)
		for (size_t i = 0; i < tables[t].len; i++)
			if (strcmp(tables[t].rows[i].key, key) == 0)
				return &tables[t].rows[i];
	return NULL;
}

void config_refuse_unknown(struct config *config, const char *section, const char *title,
			   const struct config_table *tables, size_t tables_len)
{
	const char *keys[KEYS_LIMIT];
	size_t keys_len = 0;
	for (size_t t = 0; t < tables_len; t++)
		for (size_t i = 0; i < tables[t].len && keys_len < KEYS_LIMIT; i++)
			keys[keys_len++] = tables[t].rows[i].key;
	for (size_t i = 0; i < config->settings_len; i++) {
		const struct config_setting *setting = &config->settings[i];
		if (strcmp(setting->section, section) != 0 || strcmp(setting->title, title) != 0 ||
		    find_row(tables, tables_len, setting->key))
			continue;
		const char *nearest = kontor_text_nearest(kontor_text_of(setting->key), keys, keys_len);
		config_problem(config, setting->file, setting->line, "unknown option '%s'%s%s%s%s%s%s%s%s",
			       setting->key, section[0] ? " in " : "", section, section[0] ? " \"" : "", title,
			       section[0] ? "\"" : "",
			       nearest ? "; did you mean '" : "; see those in force: kontord --dump-config",
			       nearest ? nearest : "", nearest ? "'?" : "");
	}
}

void config_fill_block(struct config *config, const char *section, const char *title, const struct config_table *table,
		       void *self)
{
	config_fill(config, section, title, *table, self);
	config_refuse_unknown(config, section, title, table, 1);
}

static void dump_value(const struct kontor_conf_row *row, const struct config_setting *setting, FILE *out)
{
	bool secret = row && row->type == KONTOR_CONF_SECRET;
	bool list = row ? row->type == KONTOR_CONF_LIST : setting->values_len != 1;
	if (secret) {
		const char *path = setting && setting->values_len ? setting->values[0] : row->default_text;
		fputs(path && path[0] ? "\"<set>\"" : "\"\"", out);
		return;
	}
	if (list && !setting) {
		fputs(row->default_text, out);
		return;
	}
	fputs(list ? "{" : "", out);
	size_t len = setting ? setting->values_len : 1;
	for (size_t i = 0; i < len; i++) {
		fputs(i ? ", \"" : "\"", out);
		for (const char *c = setting ? setting->values[i] : row->default_text; *c; c++)
			fprintf(out, "%s%c", *c == '"' || *c == '\\' ? "\\" : "", *c);
		fputs("\"", out);
	}
	fputs(list ? "}" : "", out);
}

static void dump_line(const char *indent, const char *key, const struct kontor_conf_row *row,
		      const struct config_setting *setting, FILE *out)
{
	fprintf(out, "%s%s = ", indent, key);
	dump_value(row, setting, out);
	if (setting)
		fprintf(out, " # %s:%u\n", setting->file, setting->line);
	else
		fputs(" # built-in\n", out);
}

void config_dump_block(const struct config *config, const char *section, const char *title,
		       const struct config_table *tables, size_t tables_len, FILE *out)
{
	const char *indent = section[0] ? "\t" : "";
	if (section[0])
		fprintf(out, "%s \"%s\" {\n", section, title);
	for (size_t t = 0; t < tables_len; t++)
		for (size_t i = 0; i < tables[t].len; i++) {
			const struct kontor_conf_row *row = &tables[t].rows[i];
			const struct config_setting *setting = config_find(config, section, title, row->key);
			if (setting || row->default_text)
				dump_line(indent, row->key, row, setting, out);
		}
	for (size_t i = 0; i < config->settings_len; i++) {
		const struct config_setting *setting = &config->settings[i];
		if (strcmp(setting->section, section) == 0 && strcmp(setting->title, title) == 0 &&
		    !find_row(tables, tables_len, setting->key) &&
		    config_find(config, section, title, setting->key) == setting)
			dump_line(indent, setting->key, NULL, setting, out);
	}
	if (section[0])
		fputs("}\n", out);
}
