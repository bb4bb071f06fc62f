/* SPDX-License-Identifier: Apache-2.0 */
#include "writer.h"

#include <stdio.h>
#include <string.h>

#include "statements.h"

#define WRITERS_PER_THREAD 32 /* regions; one more replaces the first, which only costs a registration */
#define REGISTRATIONS 8       /* of a thread in a row, each overtaken by a close before items passed the fence */

static _Thread_local struct writer writers[WRITERS_PER_THREAD];
static _Thread_local size_t writers_len, writers_next;

static struct writer *thread_writer(const struct settlement *self, const struct kontor_region *region)
{
	for (size_t i = 0; i < writers_len; i++)
		if (writers[i].owner == self && strcmp(writers[i].region, region->code) == 0)
			return &writers[i];
	struct writer *writer;
	if (writers_len < WRITERS_PER_THREAD) {
		writer = &writers[writers_len++];
	} else {
		writer = &writers[writers_next];
		writers_next = (writers_next + 1) % WRITERS_PER_THREAD;
	}
	memset(writer, 0, sizeof(*writer));
	writer->owner = self;
	memcpy(writer->region, region->code, sizeof(writer->region));
	return writer;
}

void writer_thread_end(void)
{
	writers_len = writers_next = 0;
}

static void set_epoch(struct writer *writer, uint64_t epoch, uint32_t open_from)
{
	writer->epoch = epoch;
	memset(&writer->windows, 0, sizeof(writer->windows));
	writer->windows.open_from = open_from;
}

struct registration {
	const struct kontor_region *region;
	struct writer *writer;
	uint64_t number, epoch;
	uint32_t open_from;
};

/* It writes to the region's row, as a close does: so the two conflict by write also where row locks do not reach
 * (Galera), and no close can miss a row that was registered under the epoch before it. */
static int register_writer(kontor_conn *tx, void *arg, struct kontor_error *err)
{
	struct registration *registration = arg;
	const char *code = registration->region->code;
	uint64_t numbered = 0;
	int rc = kontor_db_exec(tx, SQL_NUMBER_WRITER, KONTOR_PARAMS(P_STRING(code)), &numbered, err);
	if (!rc && !numbered) {
		rc = kontor_db_exec(tx, SQL_ADD_REGION,
				    KONTOR_PARAMS(P_STRING(code), P_UINT(registration->region->first_window)), NULL,
				    err);
		if (!rc)
			rc = kontor_db_exec(tx, SQL_NUMBER_WRITER, KONTOR_PARAMS(P_STRING(code)), NULL, err);
	}
	kontor_rows *rows = NULL;
	if (!rc)
		rc = kontor_db_query(tx, KONTOR_READ_ALL, SQL_GET_NUMBERED, KONTOR_PARAMS(P_STRING(code)), &rows, err);
	if (rc)
		return rc;
	rc = kontor_rows_next(rows, err);
	if (rc > 0) {
		registration->epoch = kontor_rows_uint(rows, 0);
		registration->open_from = (uint32_t)kontor_rows_uint(rows, 1);
		registration->number = kontor_rows_uint(rows, 2);
		rc = 0;
	} else if (rc == 0) {
		rc = kontor_fail(err, KONTOR_E_STORAGE, "window_writer has no row of region %s", code);
	}
	kontor_rows_close(rows);
	if (rc)
		return rc;
	return kontor_db_exec(tx, SQL_ADD_WRITER,
			      KONTOR_PARAMS(P_STRING(code), P_UINT(registration->number), P_UINT(registration->epoch),
					    P_UINT(registration->open_from), P_INT(kontor_now_ms())),
			      NULL, err);
}

/* Committed before the transaction that inserts items: the region's row must not stay locked while they are inserted,
 * or writers would wait for each other. */
static int register_anew(kontor_conn *conn, void *arg, struct kontor_error *err)
{
	struct registration *registration = arg;
	struct writer *writer = registration->writer;
	if (writer->registrations++ == REGISTRATIONS) {
		writer->registrations = 0;
		return kontor_fail(err, KONTOR_E_BUSY,
				   "windows of %s are being closed faster than items come in; try again",
				   writer->region);
	}
	int rc = kontor_db_transaction(conn, register_writer, registration, err);
	if (rc)
		return rc;
	writer->number = registration->number;
	set_epoch(writer, registration->epoch, registration->open_from);
	return 0;
}

static int pass_fence(kontor_conn *tx, const struct writer *writer, uint64_t items, bool *ret_passed,
		      struct kontor_error *err)
{
	uint64_t affected = 0;
	int rc = kontor_db_exec(tx, SQL_ENTER,
				KONTOR_PARAMS(P_UINT(items), P_INT(kontor_now_ms()), P_STRING(writer->region),
					      P_UINT(writer->number), P_UINT(writer->epoch)),
				&affected, err);
	*ret_passed = affected == 1;
	return rc;
}

/* The region has moved on, and nothing was done under the old epoch yet, so this transaction may go on with our own row
 * if the close has moved it already. */
static int follow_region(kontor_conn *tx, const struct kontor_region *region, struct writer *writer, bool *ret_passed,
			 uint64_t items, struct kontor_error *err)
{
	uint64_t epoch = 0;
	uint32_t open_from = 0;
	int rc = window_open_from(tx, region, &epoch, &open_from, err);
	if (rc || epoch == writer->epoch)
		return rc;
	set_epoch(writer, epoch, open_from);
	return pass_fence(tx, writer, items, ret_passed, err);
}

int writer_enter(struct settlement *self, kontor_conn *tx, const struct kontor_region *region, uint64_t items,
		 struct writer **ret_writer, struct kontor_error *err)
{
	struct writer *writer = thread_writer(self, region);
	bool passed = false;
	int rc = 0;
	if (writer->number)
		rc = pass_fence(tx, writer, items, &passed, err);
	if (!rc && writer->number && !passed)
		rc = follow_region(tx, region, writer, &passed, items, err);
	if (rc)
		return rc;
	if (!passed) {
		struct registration registration = {.region = region, .writer = writer};
		return kontor_db_step_aside(tx, register_anew, &registration, sizeof(registration), err);
	}
	writer->registrations = 0;
	*ret_writer = writer;
	return 0;
}
