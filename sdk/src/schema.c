/* SPDX-License-Identifier: Apache-2.0
 *
 * Schema steps: single statements that may run twice, each recorded by compare-and-set. No GET_LOCK: Galera has none.
 */
#include <inttypes.h>
#include <mysqld_error.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "kontor/db.h"

#define STEP_NAME_SIZE 128
#define OWNER_SIZE 33
#define CLAIMANT_SIZE 128
#define HASH_SIZE 32
#define CLAIM_TIMEOUT_MS 60000 /* then its maker is taken for dead. Wrong is harmless: steps may run twice */
#define POLL_MS 200

#define DB_NOW_MS "CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED)"

/* step_no is the place among the owner's steps, so that "the last one" is known in a database of any version. */
static const char SQL_CREATE[] = "CREATE TABLE IF NOT EXISTS schema_step (\n"
				 "    name VARCHAR(128) NOT NULL,\n"
				 "    owner VARCHAR(32) NOT NULL,\n"
				 "    step_no INT UNSIGNED NOT NULL,\n"
				 "    sql_sha256 BINARY(32) NOT NULL,\n"
				 "    state VARCHAR(8) NOT NULL,\n"
				 "    claimed_by VARCHAR(128) NOT NULL,\n"
				 "    claimed_ms BIGINT NOT NULL,\n"
				 "    done_ms BIGINT NOT NULL DEFAULT 0,\n"
				 "    PRIMARY KEY (name)\n"
				 ") ENGINE=InnoDB CHARACTER SET ascii COLLATE ascii_bin";
static const char SQL_READ_STEP[] = "SELECT state, sql_sha256 FROM schema_step WHERE name = ?";
static const char SQL_READ_OWNER[] =
	"SELECT name, state, sql_sha256 FROM schema_step WHERE owner = ? ORDER BY step_no, name";
static const char SQL_CLAIM[] =
	"INSERT INTO schema_step (name, owner, step_no, sql_sha256, state, claimed_by, claimed_ms) "
	"VALUES (?, ?, ?, ?, 'claimed', ?, " DB_NOW_MS ")";
static const char SQL_TAKE_OVER[] = "UPDATE schema_step SET claimed_by = ?, claimed_ms = " DB_NOW_MS
				    " WHERE name = ? AND state = 'claimed' AND claimed_ms < " DB_NOW_MS " - ?";
static const char SQL_DONE[] = "UPDATE schema_step SET state = 'done', sql_sha256 = ?, done_ms = " DB_NOW_MS
			       " WHERE name = ? AND state = 'claimed' AND claimed_by = ?";
static const char SQL_GIVE_UP[] = "DELETE FROM schema_step WHERE name = ? AND state = 'claimed' AND claimed_by = ?";

enum step_state { STEP_MISSING, STEP_CLAIMED, STEP_DONE, STEP_CHANGED };

struct migration {
	kontor_conn *conn;
	char claimant[CLAIMANT_SIZE];
};

static void hash_of(const char *sql, uint8_t *ret_hash)
{
	EVP_Digest(sql, strlen(sql), ret_hash, NULL, EVP_sha256(), NULL);
}

static bool hash_equals(struct kontor_text stored, const char *sql)
{
	uint8_t hash[HASH_SIZE];
	hash_of(sql, hash);
	return stored.size == HASH_SIZE && !memcmp(stored.data, hash, HASH_SIZE);
}

/* "settlement/001-windows#1" belongs to "settlement". */
static void owner_of(const char *name, char *ret_owner)
{
	snprintf(ret_owner, OWNER_SIZE, "%.*s", (int)strcspn(name, "/"), name);
}

static enum step_state state_of(const char *state, struct kontor_text stored_hash, const char *sql)
{
	if (!strcmp(state, "claimed"))
		return STEP_CLAIMED;
	return hash_equals(stored_hash, sql) ? STEP_DONE : STEP_CHANGED;
}

/* ---- migrating ---- */

static int read_step(struct migration *m, const struct kontor_schema_step *step, enum step_state *ret_state,
		     struct kontor_error *err)
{
	kontor_rows *rows = NULL;
	int rc = kontor_db_query(m->conn, KONTOR_READ_ALL, SQL_READ_STEP, KONTOR_PARAMS(P_STRING(step->name)), &rows,
				 err);
	if (rc)
		return rc;
	*ret_state = STEP_MISSING;
	if (kontor_rows_next(rows, err) == 1)
		*ret_state = state_of(kontor_rows_string(rows, 0), kontor_rows_text(rows, 1), step->sql);
	kontor_rows_close(rows);
	return 0;
}

/* 1: the step is ours to run; 0: somebody else has it. */
static int claim_step(struct migration *m, const struct kontor_schema_step *step, size_t step_no, enum step_state state,
		      struct kontor_error *err)
{
	if (state == STEP_CLAIMED) {
		uint64_t taken = 0;
		int rc = kontor_db_exec(
			m->conn, SQL_TAKE_OVER,
			KONTOR_PARAMS(P_STRING(m->claimant), P_STRING(step->name), P_INT(CLAIM_TIMEOUT_MS)), &taken,
			err);
		return rc ? rc : taken == 1;
	}
	char owner[OWNER_SIZE];
	uint8_t hash[HASH_SIZE];
	owner_of(step->name, owner);
	hash_of(step->sql, hash);
	int rc = kontor_db_exec(m->conn, SQL_CLAIM,
				KONTOR_PARAMS(P_STRING(step->name), P_STRING(owner), P_UINT(step_no),
					      P_BYTES(hash, HASH_SIZE), P_STRING(m->claimant)),
				NULL, err);
	if (rc == KONTOR_E_CONFLICT)
		return 0;
	return rc ? rc : 1;
}

static int run_step(struct migration *m, const struct kontor_schema_step *step, struct kontor_error *err)
{
	int rc = kontor_db_exec(m->conn, step->sql, KONTOR_NO_PARAMS, NULL, err);
	if (rc) {
		/* The claim must not make the next try wait. If this fails as well, it is taken over later. */
		kontor_db_exec(m->conn, SQL_GIVE_UP, KONTOR_PARAMS(P_STRING(step->name), P_STRING(m->claimant)), NULL,
			       NULL);
		return kontor_fail_in(err, "schema step %s", step->name);
	}
	/* The text that ran: a claim that was taken over may have been made for another. */
	uint8_t hash[HASH_SIZE];
	hash_of(step->sql, hash);
	return kontor_db_exec(m->conn, SQL_DONE,
			      KONTOR_PARAMS(P_BYTES(hash, HASH_SIZE), P_STRING(step->name), P_STRING(m->claimant)),
			      NULL, err);
}

/* Returns when the step is recorded as done, by whomever. */
static int apply_step(struct migration *m, const struct kontor_schema_step *step, size_t step_no,
		      struct kontor_error *err)
{
	for (;;) {
		enum step_state state = STEP_MISSING;
		int rc = read_step(m, step, &state, err);
		if (rc || state == STEP_DONE)
			return rc;
		if (state == STEP_CHANGED)
			return kontor_fail(err, KONTOR_E_CONFLICT,
					   "schema step %s was applied with another text: a step that was applied must "
					   "not be edited; "
					   "put the change into a new file",
					   step->name);
		rc = claim_step(m, step, step_no, state, err);
		if (rc < 0)
			return rc;
		if (rc == 1)
			rc = run_step(m, step, err);
		else
			nanosleep(&(struct timespec){0, POLL_MS * 1000000L}, NULL);
		if (rc)
			return rc;
	}
}

int kontor_schema_migrate(kontor_conn *conn, const struct kontor_schema_step *steps, size_t len,
			  struct kontor_error *err)
{
	struct migration m = {.conn = conn};
	char machine[65] = "";
	struct timespec now;
	gethostname(machine, sizeof(machine) - 1);
	clock_gettime(CLOCK_REALTIME, &now);
	snprintf(m.claimant, sizeof(m.claimant), "%s:%d:%" PRId64 ".%09ld", machine, (int)getpid(), (int64_t)now.tv_sec,
		 now.tv_nsec);
	int rc = kontor_db_exec(conn, SQL_CREATE, KONTOR_NO_PARAMS, NULL, err);
	for (size_t i = 0; !rc && i < len; i++)
		rc = apply_step(&m, &steps[i], i + 1, err);
	return rc;
}

/* ---- checking ---- */

struct comparison {
	const struct kontor_schema_step *steps;
	size_t len;
	size_t done, unknown;
	char last[STEP_NAME_SIZE];    /* last step in the database */
	char changed[STEP_NAME_SIZE]; /* a step with another text */
};

static void compare_row(struct comparison *c, const kontor_rows *rows)
{
	const char *name = kontor_rows_string(rows, 0);
	size_t i = 0;
	while (i < c->len && strcmp(c->steps[i].name, name) != 0)
		i++;
	enum step_state state =
		i < c->len ? state_of(kontor_rows_string(rows, 1), kontor_rows_text(rows, 2), c->steps[i].sql)
			   : STEP_MISSING;
	if (state == STEP_CLAIMED)
		return;
	snprintf(c->last, sizeof(c->last), "%s", name);
	c->unknown += state == STEP_MISSING;
	c->done += state == STEP_DONE;
	if (state == STEP_CHANGED)
		snprintf(c->changed, sizeof(c->changed), "%s", name);
}

static int read_owner(kontor_conn *conn, const char *owner, struct comparison *c, struct kontor_error *err)
{
	kontor_rows *rows = NULL;
	int rc = kontor_db_query(conn, KONTOR_READ_ALL, SQL_READ_OWNER, KONTOR_PARAMS(P_STRING(owner)), &rows, err);
	if (rc)
		return kontor_db_errno(conn) == ER_NO_SUCH_TABLE ? 0 : rc; /* nobody has migrated yet */
	while (kontor_rows_next(rows, err) == 1)
		compare_row(c, rows);
	kontor_rows_close(rows);
	return 0;
}

int kontor_schema_check(kontor_conn *conn, const char *owner, const struct kontor_schema_step *steps, size_t len,
			struct kontor_error *err)
{
	struct comparison c = {.steps = steps, .len = len};
	int rc = read_owner(conn, owner, &c, err);
	if (rc)
		return rc;
	const char *here = len ? steps[len - 1].name : "no step", *there = *c.last ? c.last : "no step";
	if (*c.changed)
		return kontor_fail(err, KONTOR_E_UNAVAILABLE,
				   "schema of %s: step %s in the database has another text than in this program (last "
				   "step there %s, "
				   "here %s): install the version that made this database, or restore the step",
				   owner, c.changed, there, here);
	if (c.unknown)
		return kontor_fail(err, KONTOR_E_UNAVAILABLE,
				   "schema of %s: the database is newer than this program (last step there %s, here "
				   "%s): install the "
				   "newer version; kontor db migrate cannot go back",
				   owner, there, here);
	if (c.done < len)
		return kontor_fail(err, KONTOR_E_UNAVAILABLE,
				   "schema of %s: the database is older than this program (last step there %s, here "
				   "%s); run: kontor db "
				   "migrate",
				   owner, there, here);
	return 0;
}
