/* SPDX-License-Identifier: Apache-2.0
 *
 * The `kontor` command line: what its files share. A command is a row of a table: its words, its arguments, the method
 * that it calls and how the answer is shown. Most commands need no code of their own.
 */
#ifndef KONTOR_CLI_H
#define KONTOR_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "kontor/client.h"

enum exit_code {
	EXIT_DONE = 0,
	EXIT_REFUSED = 1, /* refused, failed, cancelled, unbalanced */
	EXIT_USAGE = 2,
	EXIT_RETRY = 3,   /* nothing was done, worth a retry */
	EXIT_UNKNOWN = 4, /* perhaps done; what finds out is said (struct command, when_unknown) */
};

struct cli {
	const char *endpoint;    /* of one unit; NULL: found by the configuration */
	const char *server_key;  /* of a tcp endpoint; NULL: none */
	const char *key_file;    /* our own NAME.key_secret; NULL: none */
	const char *conf_folder; /* /etc/kontor, or --conf */
	bool conf_given;
	const char *runtime_folder; /* /run/kontor, or --runtime */
	const char *service;        /* whose unit is asked for kontor.*; NULL: any */
	const char *region;         /* whose home datacenter is asked; NULL: none is named */
	const char *user;           /* --as; NULL: whoever the kernel says */
	bool json;
	bool under_way;           /* it has changed something */
	const char *when_unknown; /* what is said after an unknown outcome; NULL: that repeating does nothing twice */
	kontor_client *client;    /* NULL until the first call */
};

/* ARG_ANY_ID: decimal digits, or base32 with a check symbol (kontor/ids.h). */
enum command_arg_type { ARG_TEXT, ARG_ID, ARG_ANY_ID, ARG_COUNT, ARG_FLAG };

struct command_arg {
	const char *name; /* "--region", or "ID": an operand */
	enum command_arg_type type;
	bool required;
	const char *sends; /* the method's argument that it becomes; NULL: only the command itself reads it */
	const char *help;
};

#define COMMAND_ARGS_LIMIT 12

struct command_line;

struct command {
	const char *words; /* "settlement close" */
	const char *help;
	const char *example; /* NULL: none */
	const struct command_arg *args;
	size_t args_len;
	int (*run)(struct cli *cli, const struct command_line *line);

	/* For the runs of run_method.c. */
	const char *method;
	const char *columns;       /* of a list, for people: "job_id kind state"; NULL: the first row's keys */
	const char *result_method; /* run_job: shows the end, called with result_arg; NULL: the job's own result */
	const char *result_arg;
	/* After an unknown outcome, where the same command again might do something twice; NULL: it does not. */
	const char *when_unknown;
	/* Adds to an answer what did not fit into one message; NULL: nothing. An exit code. */
	int (*complete)(struct cli *cli, json_t *object);

	bool changes;        /* the method needs an idempotency key */
	bool follows;        /* run_job: also without --follow, because it takes a moment only */
	bool passes_through; /* everything after the words goes to another program */
	bool more_operands;  /* operands beyond the table are kept in command_line.rest */
};

#define COMMAND_ARGS(list) .args = (list), .args_len = sizeof(list) / sizeof((list)[0])

struct command_group {
	const struct command *commands;
	size_t len;
};

extern const struct command_group status_commands, call_commands, id_commands, upload_commands, settlement_commands,
	payout_commands, safefile_commands, jobs_commands, approval_commands, db_commands, keys_commands,
	reload_commands, doctor_commands, report_commands;

/* ---- describe.c: groups -> JSON on stdout; an exit code ---- */
int describe_commands(const struct command_group *const *groups, size_t len);

/* ---- command_line.c: what was typed ------------------------------------------------------------------------------ */

struct command_line {
	const struct command *command;
	const char *values[COMMAND_ARGS_LIMIT]; /* by index in the command's args; NULL: not given */
	char **rest;                            /* passes_through, and operands beyond the table; NULL-terminated */
	size_t rest_len;
};

/* EXIT_DONE, or EXIT_USAGE after saying on stderr what is wrong. argv begins after the command's words. Takes the
 * options of every command out of it. */
int command_line_parse(struct cli *cli, const struct command *command, int argc, char **argv, struct command_line *ret);
/* Whether that word is one of them and its value is the next word. */
bool command_line_takes_value(const char *word);
void command_line_free(struct command_line *line);
/* NULL when it was not given. The name must be in the command's table. */
const char *command_line_value(const struct command_line *line, const char *name);
bool command_line_flag(const struct command_line *line, const char *name);
/* An ARG_ANY_ID. Digits alone are decimal unless they begin with 0. */
bool command_parse_id(const char *text, uint64_t *ret_id);
/* Writes the arguments that have `sends` into the open map. */
void command_line_put(const struct command_line *line, kontor_writer *args);
void command_print_synopsis(const struct command *command);

/* ---- method_call.c ---- */

/* Says the error on stderr and gives the exit code of its class. */
int report_error(const struct cli *cli, const struct kontor_error *err);
int exit_code_of(int code);
__attribute__((format(printf, 1, 2))) void complain(const char *format, ...);

/* Calls the method with the map in args (NULL: empty). EXIT_DONE, or the exit code after saying why. A reading call's
 * unknown outcome is only a failed read. */
int call_reading(struct cli *cli, const char *method, kontor_writer *args, kontor_body **ret_reply);
int call_changing(struct cli *cli, const char *method, kontor_writer *args, kontor_body **ret_reply);
/* The same without a word on stderr: for callers who try again. 0 or the error's code. */
int call_quietly(struct cli *cli, const char *method, kontor_writer *args, const char *key, uint32_t timeout_ms,
		 kontor_body **ret_reply, struct kontor_error *err);
/* The configuration's folder, to be read. NULL for a user who may not read it, or a machine without one: there are
 * still the units here. */
const char *readable_conf(const struct cli *cli);
/* A writer with its map open; ends the program when out of memory. */
kontor_writer *new_args(void);

/* ---- run_method.c: commands that are one method ---- */

int run_object(struct cli *cli, const struct command_line *line);
int run_list(struct cli *cli, const struct command_line *line);        /* turns pages */
int run_single_page(struct cli *cli, const struct command_line *line); /* a list without pages */
int run_job(struct cli *cli, const struct command_line *line);         /* knows --follow */
/* A list of any method; args has its map open, without `after` and `limit`. */
int print_pages(struct cli *cli, const char *method, const struct command_line *line, const char *columns);

/* ---- follow.c ---------------------------------------------------------------------------------------------------- */

/* Follows a job to its end with progress on stderr. While it waits, `enough` (may be NULL) may end the following.
 * EXIT_DONE when it is done or `enough`; else the exit code after saying why. *ret_job: its last jobs.get, may be
 * NULL when nothing was read. */
struct follow {
	uint64_t job_id;
	const char *what; /* "upload" for the progress line */
	bool (*enough)(struct cli *cli, void *arg);
	void *arg;
};
int follow_job(struct cli *cli, const struct follow *follow, kontor_body **ret_job);

/* ---- command_db.c: kontord in the folder of this program, else the one in PATH ---- */
const char *host_path(char *buffer, size_t size);

#endif
