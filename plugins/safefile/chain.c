/* SPDX-License-Identifier: Apache-2.0 */
#include "chain.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "statements.h"

enum { CHAIN_LINE = 256 }; /* bytes of the file: one line */

int chain_load(kontor_conn *conn, const char *profile, struct chain_head *ret_head, struct kontor_error *err)
{
	kontor_rows *rows;
	struct chain_head head = {0};
	int code = kontor_db_query(conn, KONTOR_READ_ALL, SQL_LOAD_CHAIN, KONTOR_PARAMS(P_STRING(profile)), &rows, err);
	if (code)
		return code;
	code = kontor_rows_next(rows, err);
	if (code > 0) {
		struct kontor_text hash = kontor_rows_text(rows, 1);
		head.sequence = kontor_rows_uint(rows, 0);
		head.has_manifest = hash.data && hash.size == SHA256_SIZE;
		if (head.has_manifest)
			memcpy(head.manifest_sha256, hash.data, SHA256_SIZE);
		head.safefile_id = kontor_rows_uint(rows, 2);
	}
	kontor_rows_close(rows);
	if (code < 0)
		return code;
	*ret_head = head;
	return 0;
}

/* "sequence=7 manifest_sha256=<hex> safefile_id=123\n" */
static bool parse(char *line, struct chain_head *ret_head)
{
	char *save = NULL;
	const char *sequence = strtok_r(line, " \n", &save), *hash = strtok_r(NULL, " \n", &save);
	const char *id = strtok_r(NULL, " \n", &save);
	struct chain_head head = {.has_manifest = true};
	if (!sequence || !hash || !id || strncmp(sequence, "sequence=", 9) != 0 ||
	    strncmp(hash, "manifest_sha256=", 16) != 0 || strncmp(id, "safefile_id=", 12) != 0)
		return false;
	if (!kontor_parse_uint(kontor_text_of(sequence + 9), &head.sequence) ||
	    !kontor_unhex(kontor_text_of(hash + 16), head.manifest_sha256, SHA256_SIZE) ||
	    !kontor_parse_id(kontor_text_of(id + 12), &head.safefile_id))
		return false;
	*ret_head = head;
	return true;
}

static int read_disk(int profile_fd, const char *profile, struct chain_head *ret_head, struct kontor_error *err)
{
	char line[CHAIN_LINE];
	size_t size;
	int code = file_read(profile_fd, CHAIN_NAME, line, sizeof(line), &size, err);
	*ret_head = (struct chain_head){0};
	if (code == KONTOR_E_NOT_FOUND)
		return 0;
	if (!code && !parse(line, ret_head))
		code = kontor_fail(err, KONTOR_E_CONFLICT,
				   "the file " CHAIN_NAME " of profile %s cannot be read: restore it", profile);
	return code;
}

int chain_compare(int profile_fd, const char *profile, const struct chain_head *database, uint64_t safefile_id,
		  struct kontor_error *err)
{
	struct chain_head disk;
	int code = read_disk(profile_fd, profile, &disk, err);
	if (code)
		return code;
	bool same = disk.sequence == database->sequence && disk.has_manifest == database->has_manifest &&
		    memcmp(disk.manifest_sha256, database->manifest_sha256, SHA256_SIZE) == 0;
	bool begun = disk.sequence == database->sequence + 1 && disk.safefile_id == safefile_id;
	if (same || begun)
		return 0;
	if (disk.sequence < database->sequence)
		return kontor_fail(
			err, KONTOR_E_CONFLICT,
			"profile %s: the database has published %llu safefiles, the folder's file " CHAIN_NAME
			" says %llu: is this the right folder? restore its " CHAIN_NAME,
			profile, (unsigned long long)database->sequence, (unsigned long long)disk.sequence);
	return kontor_fail(
		err, KONTOR_E_CONFLICT,
		"profile %s: the last published safefile is %llu (number %llu), the database knows %llu: it is older "
		"than what was published; nothing is published until it is brought up to date",
		profile, (unsigned long long)disk.safefile_id, (unsigned long long)disk.sequence,
		(unsigned long long)database->sequence);
}

int chain_write(int profile_fd, const struct chain_head *head, struct kontor_error *err)
{
	char line[CHAIN_LINE], hex[2 * SHA256_SIZE + 1];
	uint64_t bytes;
	uint8_t sha256[SHA256_SIZE];
	struct data_file *out = malloc(sizeof(*out));
	if (!out)
		return kontor_fail(err, KONTOR_E_INTERNAL, "out of memory");
	int length = snprintf(line, sizeof(line), "sequence=%llu manifest_sha256=%s safefile_id=%llu\n",
			      (unsigned long long)head->sequence, kontor_hex(head->manifest_sha256, SHA256_SIZE, hex),
			      (unsigned long long)head->safefile_id);
	int code = data_file_create(out, profile_fd, CHAIN_NAME, err);
	if (!code)
		code = data_file_write(out, line, (size_t)length, err);
	if (!code)
		code = data_file_commit(out, &bytes, sha256, err);
	free(out);
	return code;
}

int chain_restore(int profile_fd, const char *profile, const struct chain_head *head, uint64_t safefile_id,
		  struct kontor_error *err)
{
	struct chain_head disk;
	int code = read_disk(profile_fd, profile, &disk, err);
	if (code || disk.safefile_id != safefile_id || disk.sequence != head->sequence + 1)
		return code;
	if (head->sequence)
		return chain_write(profile_fd, head, err);
	if (unlinkat(profile_fd, CHAIN_NAME, 0) || fsync(profile_fd))
		return kontor_fail(err, KONTOR_E_STORAGE, "cannot take back the file " CHAIN_NAME " of profile %s",
				   profile);
	return 0;
}
