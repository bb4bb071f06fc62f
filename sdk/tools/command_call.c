/* SPDX-License-Identifier: Apache-2.0
 *
 * `kontor call METHOD key=value … @file.json`: any method; values are converted by the method's own table, which the
 * unit tells (kontor.methods).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "kontor/text.h"
#include "output.h"

#define METHODS_LIMIT 512
#define BYTES_LIMIT (1u << 20)

static bool is_array(const msgpack_object *object)
{
	return object && object->type == MSGPACK_OBJECT_ARRAY;
}

/* The element of an array of maps whose `name` this is; NULL when there is none. */
static const msgpack_object *find_named(const msgpack_object *array, struct kontor_text name)
{
	for (uint32_t i = 0; is_array(array) && i < array->via.array.size; i++)
		if (kontor_text_equal(kontor_get_text(&array->via.array.ptr[i], "name"), name))
			return &array->via.array.ptr[i];
	return NULL;
}

static void complain_unknown(const char *what, struct kontor_text name, const msgpack_object *array)
{
	const char *names[METHODS_LIMIT] = {NULL};
	char *copies[METHODS_LIMIT];
	size_t len = 0;
	for (uint32_t i = 0; is_array(array) && i < array->via.array.size && len < METHODS_LIMIT; i++) {
		struct kontor_text known = kontor_get_text(&array->via.array.ptr[i], "name");
		copies[len] = strndup(known.data ? known.data : "", known.size);
		names[len] = copies[len];
		len += copies[len] != NULL;
	}
	const char *nearest = kontor_text_nearest(name, names, len);
	complain("there is no %s %.*s%s%s", what, (int)name.size, name.data, nearest ? "; did you mean " : "",
		 nearest ? nearest : "");
	while (len > 0)
		free(copies[--len]);
}

static json_t *load_json(const char *path)
{
	json_error_t problem;
	json_t *value = strcmp(path, "-") == 0 ? json_loadf(stdin, JSON_REJECT_DUPLICATES, &problem)
					       : json_load_file(path, JSON_REJECT_DUPLICATES, &problem);
	if (!value && problem.line < 0) /* not a byte was read; the text names the file */
		complain("%s", problem.text);
	else if (!value)
		complain("%s:%d: %s", path, problem.line, problem.text);
	return value;
}

static int put_json(kontor_writer *args, const char *key, json_t *value)
{
	if (!value)
		return EXIT_USAGE;
	kontor_write_string(args, key);
	bool whole = write_json(args, value);
	json_decref(value);
	if (!whole)
		complain("%s: holds a number with a fraction; amounts are whole minor units", key);
	return whole ? EXIT_DONE : EXIT_USAGE;
}

/* "1,2,3" */
static int put_ids(kontor_writer *args, const char *key, const char *value)
{
	kontor_put_array(args, key);
	while (*value) {
		size_t size = strcspn(value, ",");
		uint64_t id;
		if (!kontor_parse_id((struct kontor_text){value, size}, &id)) {
			complain("%s: \"%.*s\" is no id", key, (int)size, value);
			return EXIT_USAGE;
		}
		kontor_write_uint(args, id);
		value += size + (value[size] == ',');
	}
	kontor_write_end(args);
	return EXIT_DONE;
}

static int put_bool(kontor_writer *args, const char *key, const char *value)
{
	bool yes = strcmp(value, "yes") == 0 || strcmp(value, "true") == 0;
	if (!yes && strcmp(value, "no") != 0 && strcmp(value, "false") != 0) {
		complain("%s: must be yes or no, not \"%s\"", key, value);
		return EXIT_USAGE;
	}
	kontor_put_bool(args, key, yes);
	return EXIT_DONE;
}

static int put_int(kontor_writer *args, const char *key, const char *value)
{
	int64_t number;
	if (!kontor_parse_int(kontor_text_of(value), &number)) {
		complain("%s: must be a whole number, not \"%s\"", key, value);
		return EXIT_USAGE;
	}
	kontor_put_int(args, key, number);
	return EXIT_DONE;
}

static int put_file(kontor_writer *args, const char *key, const char *path)
{
	char *data = malloc(BYTES_LIMIT);
	FILE *file = fopen(path, "re");
	size_t size = data && file ? fread(data, 1, BYTES_LIMIT, file) : 0;
	bool ok = data && file && !ferror(file) && fgetc(file) == EOF;
	if (ok)
		kontor_put_bytes(args, key, data, size);
	else
		complain("%s: cannot be read, or has more than 1 MiB", path);
	if (file)
		fclose(file);
	free(data);
	return ok ? EXIT_DONE : EXIT_USAGE;
}

/* One key=value by the type that the method's table names. @FILE gives the value of bytes and lists. */
static int put_value(kontor_writer *args, const char *key, const char *value, struct kontor_text type)
{
	json_error_t problem;
	if (kontor_text_is(type, "int"))
		return put_int(args, key, value);
	if (kontor_text_is(type, "bool"))
		return put_bool(args, key, value);
	if (kontor_text_is(type, "ids"))
		return put_ids(args, key, value);
	if (kontor_text_is(type, "list") && value[0] == '@')
		return put_json(args, key, load_json(value + 1));
	if (kontor_text_is(type, "list")) {
		json_t *list = json_loads(value, JSON_REJECT_DUPLICATES, &problem);
		if (!list)
			complain("%s: is no JSON: %s", key, problem.text);
		return put_json(args, key, list);
	}
	if (kontor_text_is(type, "bytes") && value[0] == '@')
		return put_file(args, key, value + 1);
	kontor_put_string(args, key, value); /* ids too: methods take them as digits */
	return EXIT_DONE;
}

/* All entries of the object in a file become arguments. */
static int put_json_file(kontor_writer *args, const char *path)
{
	json_t *object = load_json(path), *value;
	const char *key;
	int code = object ? EXIT_DONE : EXIT_USAGE;
	if (object && !json_is_object(object)) {
		complain("%s: must hold one JSON object, with the arguments by name", path);
		code = EXIT_USAGE;
	}
	json_object_foreach(object, key, value) if (code == EXIT_DONE) code = put_json(args, key, json_incref(value));
	json_decref(object);
	return code;
}

static int put_word(kontor_writer *args, const char *word, const msgpack_object *table)
{
	char key[KONTOR_METHOD_NAME_SIZE];
	size_t size = strcspn(word, "=");
	if (word[0] == '@')
		return put_json_file(args, word + 1);
	if (!word[size] || size >= sizeof(key)) {
		complain("\"%s\" is neither key=value nor @file.json", word);
		return EXIT_USAGE;
	}
	const msgpack_object *arg = find_named(table, (struct kontor_text){word, size});
	if (!arg) {
		complain_unknown("argument", (struct kontor_text){word, size}, table);
		return EXIT_USAGE;
	}
	snprintf(key, sizeof(key), "%.*s", (int)size, word);
	return put_value(args, key, word + size + 1, kontor_get_text(arg, "type"));
}

static int call_method(struct cli *cli, const struct command_line *line, const char *name, const msgpack_object *method)
{
	kontor_writer *args = new_args();
	kontor_body *reply = NULL;
	int code = EXIT_DONE;
	for (size_t i = 0; code == EXIT_DONE && i < line->rest_len; i++)
		code = put_word(args, line->rest[i], kontor_get(method, "args"));
	if (code == EXIT_DONE) {
		kontor_write_end(args);
		code = kontor_get_bool(method, "changes", false) ? call_changing(cli, name, args, &reply)
								 : call_reading(cli, name, args, &reply);
	}
	if (code == EXIT_DONE)
		print_answer(cli, json_of("", kontor_body_map(reply)));
	kontor_body_free(reply);
	kontor_writer_free(args);
	return code;
}

static int run_call(struct cli *cli, const struct command_line *line)
{
	const char *name = command_line_value(line, "METHOD");
	kontor_body *reply = NULL;
	cli->service = name;
	int code = call_reading(cli, "kontor.methods", NULL, &reply);
	cli->service = NULL;
	if (code != EXIT_DONE)
		return code;
	const msgpack_object *methods = kontor_get(kontor_body_map(reply), "rows");
	const msgpack_object *method = find_named(methods, kontor_text_of(name));
	if (method)
		code = call_method(cli, line, name, method);
	else {
		complain_unknown("method", kontor_text_of(name), methods);
		code = EXIT_USAGE;
	}
	kontor_body_free(reply);
	return code;
}

static const struct command_arg call_args[] = {
	{"METHOD", ARG_TEXT, true, NULL, "SERVICE.METHOD; kontor call kontor.methods lists them"},
};

static const struct command commands[] = {
	{.words = "call",
	 .help = "Calls any method: kontor call METHOD key=value ... @arguments.json",
	 .example = "kontor call settlement.find region=SG shop=880000000001",
	 COMMAND_ARGS(call_args),
	 .more_operands = true,
	 .when_unknown = "look what became of it: the same call again is a new one, with a key of its own",
	 .run = run_call},
};

const struct command_group call_commands = {commands, sizeof(commands) / sizeof(commands[0])};
