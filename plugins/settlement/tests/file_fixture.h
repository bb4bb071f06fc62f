/* SPDX-License-Identifier: Apache-2.0
 *
 * An uploaded file of one batch, for tests of the settlement plugin's upload kinds.
 */
#ifndef SETTLEMENT_FILE_FIXTURE_H
#define SETTLEMENT_FILE_FIXTURE_H

#include "settlement_fixture.h"

#define FILE_ROWS 32

struct file {
	const struct kontor_upload_kind *kind;
	struct kontor_upload upload;
	struct kontor_row rows[FILE_ROWS];
	size_t len;
};

/* What a test's files and identities live in. */
static kontor_arena *arena;

static struct file *file_new(const struct kontor_upload_kind *kind, uint64_t upload_id)
{
	struct file *file = kontor_arena_alloc(arena, sizeof(*file));
	memset(file, 0, sizeof(*file));
	file->kind = kind;
	file->upload = (struct kontor_upload){.upload_id = upload_id,
					      .kind = kind->name,
					      .region = &test_region,
					      .user = "alice",
					      .checked_ms = kontor_now_ms()};
	return file;
}

/* "7,hold,yes,,2026-01-01T00:00:00Z," in the order of the kind's columns; `line` must outlive the file. */
static struct kontor_row *add_row(struct file *file, const char *line, struct kontor_identity *ret_identity)
{
	struct kontor_row *row = &file->rows[file->len++];
	row->line = file->len + 1;
	row->verdict = KONTOR_VERDICT_OK;
	for (size_t i = 0; i < file->kind->columns_len; i++) {
		size_t size = strcspn(line, ",");
		row->fields[i] = (struct kontor_text){line, size};
		line += size + (line[size] == ',');
	}
	check(file->kind->identify(&self, &file->upload, row, arena, ret_identity, &err));
	return row;
}

static void add_good(struct file *file, const char *line)
{
	struct kontor_identity identity;
	struct kontor_row *row = add_row(file, line, &identity);
	if (row->verdict != KONTOR_VERDICT_OK)
		fail_msg("%s: %s", line, row->reason);
}

static int apply_tx(kontor_conn *tx, void *arg, struct kontor_error *e)
{
	struct file *file = arg;
	for (size_t i = 0; i < file->len; i++)
		file->rows[i].verdict = KONTOR_VERDICT_OK;
	return file->kind->apply(&self, tx, &file->upload, file->rows, file->len, e);
}

static int accept_tx(kontor_conn *tx, void *arg, struct kontor_error *e)
{
	struct file *file = arg;
	return file->kind->accept(&self, tx, &file->upload, e);
}

/* The verdict of its first row. */
static enum kontor_verdict apply(struct file *file)
{
	check(kontor_db_transact(db, apply_tx, file, &err));
	return file->rows[0].verdict;
}

static void accept_file(struct file *file)
{
	check(kontor_db_transact(db, accept_tx, file, &err));
}

#endif
