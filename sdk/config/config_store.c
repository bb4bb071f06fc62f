/* SPDX-License-Identifier: Apache-2.0
 *
 * The layers of the configuration, and looking up what is in force.
 */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "kontor/text.h"

enum layer { LAYER_BASE, LAYER_DROP_IN, LAYER_DATACENTER, LAYER_UNIT };

static void out_of_memory(void)
{
	fputs("kontor: out of memory while reading the configuration\n", stderr);
	exit(1);
}

struct config *config_new(void)
{
	struct config *config = calloc(1, sizeof(*config));
	if (!config || !(config->arena = kontor_arena_new(0)))
		out_of_memory();
	return config;
}

struct config *config_free(struct config *config)
{
	if (!config)
		return NULL;
	kontor_arena_free(config->arena);
	free(config->settings);
	free(config->blocks);
	free(config->problems);
	free(config);
	return NULL;
}

void *config_alloc(struct config *config, size_t size)
{
	void *memory = kontor_arena_alloc(config->arena, size);
	if (!memory)
		out_of_memory();
	return memory;
}

const char *config_copy(struct config *config, const char *string)
{
	size_t size = strlen(string) + 1;
	return memcpy(config_alloc(config, size), string, size);
}

/* Room for one more element. */
static void *grow(void *array, size_t len, size_t *room, size_t element)
{
	if (len < *room)
		return array;
	*room = *room ? *room * 2 : 64;
	array = reallocarray(array, *room, element);
	if (!array)
		out_of_memory();
	return array;
}

void config_add_setting(struct config *config, const struct config_setting *setting)
{
	config->settings = grow(config->settings, config->settings_len, &config->settings_room, sizeof(*setting));
	config->settings[config->settings_len++] = *setting;
}

void config_add_block(struct config *config, const char *section, const char *title, const char *file, unsigned line)
{
	config->blocks = grow(config->blocks, config->blocks_len, &config->blocks_room, sizeof(*config->blocks));
	config->blocks[config->blocks_len++] = (struct config_block){section, title, file, line, config->layer};
}

void config_problem(struct config *config, const char *file, unsigned line, const char *format, ...)
{
	char text[1024];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	config->problems =
		grow(config->problems, config->problems_len, &config->problems_room, sizeof(*config->problems));
	config->problems[config->problems_len++] = (struct config_problem){file, line, config_copy(config, text)};
}

void config_print_problems(const struct config *config, FILE *out)
{
	for (size_t i = 0; i < config->problems_len; i++) {
		const struct config_problem *problem = &config->problems[i];
		if (problem->file && problem->line)
			fprintf(out, "%s:%u: %s\n", problem->file, problem->line, problem->message);
		else if (problem->file)
			fprintf(out, "%s: %s\n", problem->file, problem->message);
		else
			fprintf(out, "%s\n", problem->message);
	}
}

const struct config_setting *config_find(const struct config *config, const char *section, const char *title,
					 const char *key)
{
	const struct config_setting *found = NULL;
	for (size_t i = 0; i < config->settings_len; i++) {
		const struct config_setting *setting = &config->settings[i];
		if (strcmp(setting->key, key) == 0 && strcmp(setting->section, section) == 0 &&
		    strcmp(setting->title, title) == 0 && (!found || setting->layer >= found->layer))
			found = setting;
	}
	return found;
}

const char *config_value(const struct config *config, const char *section, const char *title, const char *key)
{
	const struct config_setting *setting = config_find(config, section, title, key);
	return setting && setting->values_len ? setting->values[0] : NULL;
}

const char **config_titles(struct config *config, const char *section)
{
	const char **titles = config_alloc(config, (config->blocks_len + 1) * sizeof(char *));
	size_t len = 0;
	for (size_t i = 0; i < config->blocks_len; i++) {
		if (strcmp(config->blocks[i].section, section) != 0)
			continue;
		size_t seen = 0;
		while (seen < len && strcmp(titles[seen], config->blocks[i].title) != 0)
			seen++;
		if (seen == len)
			titles[len++] = config->blocks[i].title;
	}
	return titles;
}

const struct config_block *config_block(const struct config *config, const char *section, const char *title)
{
	for (size_t i = config->blocks_len; i-- > 0;)
		if (strcmp(config->blocks[i].section, section) == 0 && strcmp(config->blocks[i].title, title) == 0)
			return &config->blocks[i];
	return NULL;
}

static int is_conf_file(const struct dirent *entry)
{
	size_t length = strlen(entry->d_name);
	return entry->d_name[0] != '.' && length > 5 && strcmp(entry->d_name + length - 5, ".conf") == 0;
}

static int by_bytes(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

const char **config_names(kontor_arena *arena, const char *folder)
{
	struct dirent **entries = NULL;
	int count = scandir(folder, &entries, is_conf_file, by_bytes);
	const char **names = kontor_arena_alloc(arena, ((count > 0 ? (size_t)count : 0) + 1) * sizeof(char *));
	if (!names)
		out_of_memory();
	for (int i = 0; i < count; i++) {
		names[i] = kontor_arena_copy(arena, entries[i]->d_name, strlen(entries[i]->d_name) - 5);
		if (!names[i])
			out_of_memory();
		free(entries[i]);
	}
	free(entries);
	return names;
}

const char *config_path(struct config *config, const char *folder, const char *sub, const char *name)
{
	const char *path = kontor_arena_format(config->arena, "%s/%s%s.conf", folder, sub, name);
	if (!path)
		out_of_memory();
	return path;
}

static void read_optional(struct config *config, const char *path)
{
	struct stat st;
	if (stat(path, &st) == 0 || errno != ENOENT)
		config_read_file(config, path);
}

static void read_folder(struct config *config, const char *folder, const char *sub)
{
	const char *path = kontor_arena_format(config->arena, "%s/%s", folder, sub);
	for (const char **name = config_names(config->arena, path ? path : folder); *name; name++)
		config_read_file(config, config_path(config, folder, sub, *name));
}

/* units/NAME.conf or datacenters/NAME.conf; says which ones there are when it is not there. `setting`: that named it;
 * NULL: the command line. */
static void read_named(struct config *config, const char *folder, const char *sub, const char *name, const char *what,
		       const struct config_setting *setting)
{
	const char *file = setting ? setting->file : NULL;
	unsigned line = setting ? setting->line : 0;
	if (!kontor_name_valid(kontor_text_of(name))) {
		config_problem(config, file, line, "'%s' is no name of a %s: it must be [a-z0-9][a-z0-9-]{0,31}", name,
			       what);
		config->unreadable = true;
		return;
	}
	const char *path = config_path(config, folder, sub, name);
	struct stat st;
	if (stat(path, &st) == 0 || errno != ENOENT) {
		config_read_file(config, path);
		return;
	}
	const char *all_path = kontor_arena_format(config->arena, "%s/%s", folder, sub);
	const char **names = config_names(config->arena, all_path ? all_path : folder);
	char known[256] = "";
	for (size_t i = 0, length = 0; names[i] && length < sizeof(known); i++)
		length += (size_t)snprintf(known + length, sizeof(known) - length, "%s%s", i ? ", " : "", names[i]);
	config_problem(config, file, line, "there is no %s '%s'; there are: %s; or make %s", what, name,
		       known[0] ? known : "none", path);
	config->unreadable = true;
}

static void read_datacenter(struct config *config, const char *folder)
{
	config->layer = LAYER_DATACENTER;
	const struct config_setting *datacenter = config_find(config, "", "", "datacenter");
	if (datacenter && datacenter->values_len)
		read_named(config, folder, "datacenters/", datacenter->values[0], "datacenter", datacenter);
}

void config_read_site(struct config *config, const char *folder)
{
	config->layer = LAYER_BASE;
	config_read_file(config, config_path(config, folder, "", "kontord"));
	read_folder(config, folder, "regions/");
	config->layer = LAYER_DROP_IN;
	read_folder(config, folder, "conf.d/");
	read_datacenter(config, folder);
}

void config_read(struct config *config, const char *folder, const char *unit)
{
	config->layer = LAYER_BASE;
	config_read_file(config, config_path(config, folder, "", "kontord"));
	read_optional(config, config_path(config, folder, "", "currencies"));
	read_optional(config, config_path(config, folder, "", "users"));
	read_folder(config, folder, "regions/");
	read_folder(config, folder, "profiles/");
	config->layer = LAYER_DROP_IN;
	read_folder(config, folder, "conf.d/");
	config->unit_file = config_path(config, folder, "units/", unit);
	config->layer = LAYER_UNIT; /* read before the datacenter, whose name it may set */
	read_named(config, folder, "units/", unit, "unit", NULL);
	read_datacenter(config, folder);
}
