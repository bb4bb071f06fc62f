/* SPDX-License-Identifier: Apache-2.0
 *
 * The plugin's real code in a simulated unit.
 */
#include "process.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "statements.h"
#include "world.h"

static const char *const namespace_names[PROCESS_KINDS] = {"default", "scripts", "tickets"};

static struct allocator_time clock_now(void *arg)
{
	(void)arg;
	return (struct allocator_time){.wall_ms = world_wall_ms(running_unit),
				       .monotonic_ms = world_monotonic_ms(running_unit),
				       .generation = running_unit->generation};
}

/* ---- life: what idgen.c does at a start, without threads ----------------------------------------------------------
 */

static bool start(struct idgen *idgen, const struct process_options *options, struct kontor_error *err)
{
	if (journal_open(&idgen->journal, "journal", err))
		return false;
	if (options->peers) /* 160 KiB */
		idgen->book = peers_new(options->datacenter);
	idgen->reserver = (struct reserver){.db = (kontor_db *)idgen,
					    .slots = options->slots,
					    .claim_auto = true,
					    .unit = {.datacenter = options->datacenter,
						     .window_ms = options->window_ms,
						     .journal = &idgen->journal,
						     .peers = options->peers ? idgen->book : NULL,
						     .clock = clock_now}};
	snprintf(idgen->reserver.unit.owner, sizeof(idgen->reserver.unit.owner), "%s", options->name);
	reserver_init(&idgen->reserver);
	return true;
}

void process_start(struct process *process, const struct process_options *options)
{
	struct kontor_error err = KONTOR_ERROR_INIT;
	process->ready = start(&process->idgen, options, &err);
	if (!process->ready) {
		world_trace("%s: does not start: %s", options->name, err.message);
		return;
	}
	if (options->peers)
		world_exchange_with_all(running_unit);
}

void process_step(struct process *process)
{
	struct kontor_error err = KONTOR_ERROR_INIT;
	if (!process->ready) { /* its service manager starts it again */
		process_start(process, &running_unit->options);
		return;
	}
	if (reserver_step(&process->idgen.reserver, &err))
		world_trace("%s: step: %s", running_unit->name, err.message);
}

/* ---- its other threads --------------------------------------------------------------------------------------------
 */

enum process_take process_take(struct process *process, enum process_kind kind, uint32_t count,
			       struct kontor_id_range *ret_range)
{
	const struct namespace *entry = namespaces_find(&process->idgen.reserver.namespaces, namespace_names[kind]);
	uint32_t retry_ms;
	if (!process->ready || !entry || !entry->allocator)
		return TAKE_NO;
	enum allocator_result result = allocator_take(entry->allocator, clock_now(NULL), count, ret_range, &retry_ms);
	return result == ALLOCATOR_OK ? TAKE_OK : result == ALLOCATOR_AHEAD ? TAKE_LATER : TAKE_NO;
}

void process_report(struct process *process, struct peer_report *ret_report)
{
	idgen_report(&process->idgen, ret_report);
}

void process_note(struct process *process, const char *endpoint, const struct peer_report *report)
{
	struct allocator_time now = clock_now(NULL);
	peers_note(process->idgen.book, endpoint, report, now.wall_ms, now.monotonic_ms, NULL);
}

void process_fence(struct process *process)
{
	if (process->ready)
		reserver_fence(&process->idgen.reserver);
}

const char *process_reason(struct process *process, enum process_kind kind)
{
	const struct namespace *entry = namespaces_find(&process->idgen.reserver.namespaces, namespace_names[kind]);
	return entry && entry->allocator ? entry->allocator->reason : "its namespace was not read yet";
}

/* ---- ids ----------------------------------------------------------------------------------------------------------
 */

uint32_t process_grant_limit(enum process_kind kind)
{
	return kind == KIND_SEGMENT ? 500 : allocator_grant_limit(&layouts[kind]);
}

bool process_serves(const struct process_options *options, enum process_kind kind)
{
	return options->kinds >> kind & 1;
}

bool process_reserved_slot(enum process_kind kind, uint64_t id, unsigned *ret_slot)
{
	struct layout_parts parts;
	if (!layout_take_apart(&layouts[kind], id, &parts))
		return false;
	*ret_slot = parts.slot;
	return true;
}

int64_t process_counter_ms(enum process_kind kind, uint64_t counter)
{
	return layouts[kind].unit_ms ? layout_time_ms(&layouts[kind], counter) : INT64_MIN;
}

/* ---- the tables ---------------------------------------------------------------------------------------------------
 */

extern const struct kontor_schema_step idgen_schema[];
extern const size_t idgen_schema_len;

static const struct sql_value *cell(const struct sql_table *table, const struct sql_value *row, const char *column)
{
	for (size_t i = 0; i < table->columns_len; i++)
		if (strcmp(table->columns[i].name, column) == 0)
			return &row[i];
	sql_give_up("column", table->name, column);
}

/* Any statement that reserves is noted, whatever else it says. */
static void changed(struct sql_server *server, const struct sql_table *table, const struct sql_value *row,
		    size_t column)
{
	enum process_kind kind = KIND_SEGMENT;
	int64_t slot = 0;
	if (strcmp(table->name, "id_slot") == 0 && strcmp(table->columns[column].name, "hwm") == 0) {
		const struct sql_value *layout = cell(table, row, "layout");
		bool js53 = strncmp(layout->text, layouts[KIND_JS53].name, layout->size) == 0;
		kind = js53 ? KIND_JS53 : KIND_STD63;
		slot = cell(table, row, "slot")->number;
	} else if (strcmp(table->name, "id_namespace") != 0 || strcmp(table->columns[column].name, "max_n") != 0)
		return;
	uint64_t counter = (uint64_t)row[column].number;
	if (counter > server->reserved[kind][slot])
		server->reserved[kind][slot] = counter;
}

void process_open_server(struct sql_server *server, bool reference)
{
	sql_server_open(server, idgen_schema, idgen_schema_len,
			"DELETE FROM id_slot WHERE slot > 8;"
			"DELETE FROM id_namespace WHERE name <> 'default';"
			"INSERT INTO id_namespace (name, layout) VALUES ('scripts', 'js53'), ('tickets', 'segment');",
			reference);
	server->changed = changed;
}

static uint64_t run(struct sql_server *server, const char *sql, const struct kontor_param *params)
{
	static struct statement statement;
	static struct answer answer;
	statement_set(&statement, sql, params);
	sql_server_run(server, &statement, &answer);
	return answer.rows ? (uint64_t)answer.cells[0].number : answer.affected;
}

void process_prepare_server(struct sql_server *server, unsigned kinds)
{
	for (enum process_kind kind = 0; kind < PROCESS_KINDS; kind++)
		if (!(kinds >> kind & 1))
			run(server, "DELETE FROM id_namespace WHERE name = ?",
			    KONTOR_PARAMS(P_STRING(namespace_names[kind])));
}

bool process_is_set_up(struct sql_server *server)
{
	return run(server, "SELECT COUNT(*) FROM id_cluster WHERE server = ?",
		   KONTOR_PARAMS(P_STRING(server->identity))) == 1;
}

void process_end_long_leases(struct sql_server *server, int64_t now_ms, int64_t window_ms)
{
	run(server, "UPDATE id_slot SET lease_until_ms = 0 WHERE lease_until_ms > ?",
	    KONTOR_PARAMS(P_INT(now_ms + window_ms)));
	run(server, "UPDATE id_cluster SET quarantine_until_ms = ? WHERE quarantine_until_ms > ?",
	    KONTOR_PARAMS(P_INT(now_ms + 2 * window_ms), P_INT(now_ms + 2 * window_ms)));
}

void process_evict(struct sql_server *server, struct answer *scratch, uint64_t chance)
{
	static struct statement statement;
	const struct layout *layout = &layouts[chance % 4 == 0 ? KIND_JS53 : KIND_STD63];
	statement_set(&statement, SQL_EVICT, KONTOR_PARAMS(P_STRING(layout->name), P_UINT(chance / 4 % 8 + 1)));
	sql_server_run(server, &statement, scratch);
}

bool process_owner_is_fenced(struct sql_server *server, const struct statement *statement, const struct answer *answer)
{
	static const char reserve[] = "UPDATE id_slot SET hwm = ?, lease_until_ms";
	static struct statement question;
	static struct answer row;
	if (strncmp(statement->sql, reserve, sizeof(reserve) - 1) != 0 || answer->affected != 1)
		return true;
	statement_set(&question, "SELECT epoch FROM id_slot WHERE layout = ? AND slot = ?",
		      KONTOR_PARAMS(P_BYTES(statement->params[2].bytes, statement->params[2].size),
				    P_INT(statement->params[3].number)));
	sql_server_run(server, &question, &row);
	return row.rows == 1 && row.cells[0].number == statement->params[4].number;
}

/* ---- the journal's file -------------------------------------------------------------------------------------------
 */

int journal_file_open(const char *path, int *ret_fd, struct kontor_error *err)
{
	(void)path;
	(void)err;
	struct disk *disk = &running_unit->disk;
	static struct process_disk empty; /* made once: it is the same for all */
	if (!empty.blocks[0][0].crc)
		for (unsigned copy = 0; copy < JOURNAL_COPIES; copy++)
			for (uint32_t number = 0; number < JOURNAL_BLOCKS; number++)
				journal_block_fill(&empty.blocks[copy][number], number, 0,
						   &(struct journal_entry){.key = ""});
	if (!disk->journal)
		disk->content = empty;
	disk->journal = true;
	*ret_fd = -1;
	return 0;
}

void journal_file_read(int fd, struct journal_image *ret_image)
{
	(void)fd;
	*ret_image = (struct journal_image){0};
	memcpy(ret_image->blocks, running_unit->disk.content.blocks, sizeof(ret_image->blocks));
}

int journal_file_check(int fd, const char *path, struct kontor_error *err)
{
	(void)fd;
	(void)path;
	(void)err;
	return 0;
}

/* Whoever is killed while it writes leaves a torn block behind. */
int journal_file_write(int fd, const char *path, unsigned copy, const struct journal_block *block,
		       struct kontor_error *err)
{
	(void)fd;
	if (block->number >= JOURNAL_BLOCKS) {
		fprintf(stderr, "simulation: block %u of the journal is beyond what the simulation keeps\n",
			block->number);
		exit(3);
	}
	memcpy(&running_unit->disk.content.blocks[copy][block->number], block,
	       random_below(&world.random, sizeof(*block) + 1));
	if (unit_wish(WISH_DISK))
		return kontor_fail(err, KONTOR_E_STORAGE, "%s: the disk does not write", path);
	/* the unit may be a clone by now, with a disk of its own */
	running_unit->disk.content.blocks[copy][block->number] = *block;
	return 0;
}
