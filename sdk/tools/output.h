/* SPDX-License-Identifier: Apache-2.0
 *
 * Answers for people (tables) and for programs (one JSON object a line).
 */
#ifndef KONTOR_OUTPUT_H
#define KONTOR_OUTPUT_H

#include "cli.h"

/* A msgpack value as JSON; `key` decides whether an integer is an id (a string of digits) or a number. Bytes become
 * hexadecimal. */
json_t *json_of(const char *key, const msgpack_object *value);
/* And back, for arguments that come as JSON. False when there is a number with a fraction or an exponent: no argument
 * of any method is one. */
bool write_json(kontor_writer *w, const json_t *value);

/* One answer. Steals the object. */
void print_answer(const struct cli *cli, json_t *object);

/* Rows of one list. For people the columns get their widths from the first page. */
struct table {
	bool json;
	int indent;
	const char *columns; /* "job_id kind state"; NULL: the keys of the first row */
	size_t columns_len;
	struct table_column {
		char name[40];
		int width;
		bool right;
	} column[24];
	bool begun;
};
void table_begin(struct table *table, const struct cli *cli, const char *columns);
void table_page(struct table *table, const msgpack_object *rows);
void table_rows(struct table *table, const json_t *rows); /* a page that the command has made itself */
void table_end(struct table *table);

#endif
