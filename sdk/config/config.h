/* SPDX-License-Identifier: Apache-2.0
 *
 * Configuration: files -> settings (config_file.c) -> layers (config_store.c) -> typed structs (config_rows.c).
 * Reading collects every problem instead of stopping at the first; main code prints them. One thread at a time:
 * libconfuse's parser has a state of its own. Used by kontord and by libkontor; not installed.
 */
#ifndef KONTOR_CONFIG_H
#define KONTOR_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "kontor/arena.h"
#include "kontor/conf.h"

/* One option as it was set in one file. Top-level options have section "" and title "". */
struct config_setting {
	const char *section, *title, *key;
	const char **values;
	size_t values_len;
	const char *file; /* "built-in" for a default */
	unsigned line, layer;
};

/* A block `region "SG" { ... }` that stands in a file; line is that of its closing brace. */
struct config_block {
	const char *section, *title;
	const char *file;
	unsigned line, layer;
};

struct config_problem {
	const char *file; /* NULL: no file to name */
	unsigned line;    /* 0: no line */
	const char *message;
};

struct config {
	kontor_arena *arena; /* all strings; values in filled structs live as long as the configuration */
	struct config_setting *settings;
	size_t settings_len, settings_room;
	struct config_block *blocks;
	size_t blocks_len, blocks_room;
	struct config_problem *problems;
	size_t problems_len, problems_room;
	unsigned layer;        /* of the file that is being read */
	const char *unit_file; /* units/NAME.conf; NULL until it is read */
	bool unreadable;       /* a file was not understood to its end: what seems missing may stand there */
};

struct config *config_new(void); /* never NULL: out of memory here ends the program */
struct config *config_free(struct config *config);

/* ---- config_file.c ---- */

#define CONFIG_FILE_LIMIT (1u << 20) /* bytes of one file */
#define CONFIG_BLOCKS 10
extern const char *const config_block_names[CONFIG_BLOCKS]; /* all that have a meaning */
/* Reads one file into the current layer; what is wrong with it becomes problems. */
void config_read_file(struct config *config, const char *path);

/* ---- config_store.c ---- */

/* All layers: kontord.conf, currencies, users, regions, profiles < conf.d < datacenter < unit. */
void config_read(struct config *config, const char *folder, const char *unit);
/* What callers outside of a unit need: kontord.conf, regions < conf.d < datacenter. */
void config_read_site(struct config *config, const char *folder);
/* FOLDER/SUB/NAME.conf in the configuration's arena; sub ends in '/', or is "". */
const char *config_path(struct config *config, const char *folder, const char *sub, const char *name);
/* Names of the *.conf files of a folder without their suffix, sorted; NULL-terminated, in arena. */
const char **config_names(kontor_arena *arena, const char *folder);
/* The setting in force, or NULL. */
const struct config_setting *config_find(const struct config *config, const char *section, const char *title,
					 const char *key);
/* The first value of the setting in force, or NULL. */
const char *config_value(const struct config *config, const char *section, const char *title, const char *key);
/* Distinct titles of a section's blocks in the order of the files; NULL-terminated, in the configuration's arena. */
const char **config_titles(struct config *config, const char *section);
/* The block that was read last under that name, or NULL. */
const struct config_block *config_block(const struct config *config, const char *section, const char *title);
void config_add_setting(struct config *config, const struct config_setting *setting);
void config_add_block(struct config *config, const char *section, const char *title, const char *file, unsigned line);
void config_problem(struct config *config, const char *file, unsigned line, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
/* A problem at the place where a key was set, or at its block. */
#define CONFIG_PROBLEM_AT(config, section, title, key, ...)                                                            \
	do {                                                                                                           \
		const struct config_setting *set_ = config_find((config), (section), (title), (key));                  \
		const struct config_block *block_ = config_block((config), (section), (title));                        \
		config_problem((config),                                                                               \
			       set_     ? set_->file                                                                   \
			       : block_ ? block_->file                                                                 \
					: NULL,                                                                        \
			       set_     ? set_->line                                                                   \
			       : block_ ? block_->line                                                                 \
					: 0,                                                                           \
			       __VA_ARGS__);                                                                           \
	} while (0)
void config_print_problems(const struct config *config, FILE *out);
void *config_alloc(struct config *config, size_t size);
const char *config_copy(struct config *config, const char *string);

/* ---- config_rows.c ---- */

struct config_table {
	const struct kontor_conf_row *rows;
	size_t len;
};

/* Fills the struct at `self` with the values in force of one block; problems name file:line, row and rule. */
void config_fill(struct config *config, const char *section, const char *title, struct config_table table, void *self);
/* A problem for each key of the block that is in none of the tables, with the nearest known one. */
void config_refuse_unknown(struct config *config, const char *section, const char *title,
			   const struct config_table *tables, size_t tables_len);
/* Both, for a block that one table describes. */
void config_fill_block(struct config *config, const char *section, const char *title, const struct config_table *table,
		       void *self);
/* The block with the values in force and where each came from; keys without a row as they were written. */
void config_dump_block(const struct config *config, const char *section, const char *title,
		       const struct config_table *tables, size_t tables_len, FILE *out);

#endif
