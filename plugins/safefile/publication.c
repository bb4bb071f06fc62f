/* SPDX-License-Identifier: Apache-2.0 */
#include "publication.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "chain.h"
#include "manifest.h"
#include "safefile.h"
#include "sign.h"
#include "statements.h"

struct publication {
	kontor_conn *conn;
	const struct stored_file *file;
	const struct stored_part *parts;
	size_t parts_len;
	int profile_fd, folder_fd;
	struct chain_head head; /* of the database */
	const char *manifest;
	size_t manifest_size;
	uint8_t manifest_sha256[SHA256_SIZE];
	struct data_file out;
};

struct publication *publication_close(struct publication *p)
{
	if (p) {
		if (p->profile_fd >= 0)
			close(p->profile_fd);
		if (p->folder_fd >= 0)
			close(p->folder_fd);
	}
	free(p);
	return NULL;
}

static int open_folders(struct publication *p, kontor_arena *arena, struct kontor_error *err)
{
	const struct stored_file *file = p->file;
	int code = safefile_folder_open(file, true, &p->profile_fd, &p->folder_fd, err);
	if (!code)
		code = chain_load(p->conn, file->profile.name, &p->head, err);
	if (!code)
		code = manifest_make(file, p->parts, p->parts_len, arena, &p->manifest, &p->manifest_size, err);
	if (!code && EVP_Digest(p->manifest, p->manifest_size, p->manifest_sha256, NULL, EVP_sha256(), NULL) != 1)
		code = kontor_fail(err, KONTOR_E_INTERNAL, "SHA-256 is not available");
	return code;
}

int publication_open(kontor_conn *conn, const struct stored_file *file, const struct stored_part *parts, size_t len,
		     kontor_arena *arena, struct publication **ret_publication, struct kontor_error *err)
{
	struct publication *p = calloc(1, sizeof(*p));
	if (!p)
		return kontor_fail(err, KONTOR_E_INTERNAL, "out of memory");
	p->conn = conn;
	p->file = file;
	p->parts = parts;
	p->parts_len = len;
	p->profile_fd = p->folder_fd = -1;
	int code = open_folders(p, arena, err);
	if (code) {
		publication_close(p);
		return code;
	}
	*ret_publication = p;
	return 0;
}

/* ---- data files ---- */

static int check_file(struct publication *p, const struct stored_part *part, struct kontor_error *err)
{
	uint64_t bytes = 0;
	uint8_t sha256[SHA256_SIZE];
	bool again = false;
	int code = file_hash(p->folder_fd, part->file_name, &bytes, sha256, err);
	if (code == KONTOR_E_NOT_FOUND) {
		again = true;
		code = produce_part(p->conn, p->folder_fd, p->file, part, &bytes, sha256, err);
	}
	if (code)
		return code;
	if (bytes == part->bytes && memcmp(sha256, part->sha256, SHA256_SIZE) == 0)
		return 0;
	return kontor_fail(
		err, KONTOR_E_CONFLICT,
		again ? "%s/%s was written again from its rows and has other bytes than those that were approved"
		      : "%s/%s is not the file that was approved: it was changed on the disk; find out why, remove it, "
			"and publish again",
		p->file->path, part->file_name);
}

int publication_check(struct publication *p, struct kontor_error *err)
{
	int code = chain_compare(p->profile_fd, p->file->profile.name, &p->head, p->file->safefile_id, err);
	if (!code)
		code = folder_remove_temporary(p->folder_fd, err);
	for (size_t i = 0; i < p->parts_len && !code; i++)
		code = check_file(p, &p->parts[i], err);
	return code;
}

/* ---- manifest ---- */

static int write_small(struct publication *p, int folder_fd, const char *name, const void *data, size_t size,
		       struct kontor_error *err)
{
	uint64_t bytes;
	uint8_t sha256[SHA256_SIZE];
	int code = data_file_create(&p->out, folder_fd, name, err);
	if (!code)
		code = data_file_write(&p->out, data, size, err);
	return code ? code : data_file_commit(&p->out, &bytes, sha256, err);
}

/* 1: it is there with exactly our bytes; 0: it is not there; CONFLICT: another one is there. */
static int manifest_there(struct publication *p, struct kontor_error *err)
{
	uint64_t bytes;
	uint8_t sha256[SHA256_SIZE];
	int code = file_hash(p->folder_fd, MANIFEST_NAME, &bytes, sha256, err);
	if (code == KONTOR_E_NOT_FOUND)
		return 0;
	if (code)
		return code;
	if (memcmp(sha256, p->manifest_sha256, SHA256_SIZE) == 0)
		return 1;
	return kontor_fail(err, KONTOR_E_CONFLICT,
			   "%s/" MANIFEST_NAME
			   " is there and says something else: this safefile was published before, and the "
			   "database does not know it",
			   p->file->path);
}

/* The manifest's name appears only while the safefile is being published: see publish_undo(). */
static int still_publishing(struct publication *p, struct kontor_error *err)
{
	int64_t count = 0;
	int code = kontor_db_query_int(p->conn, SQL_IS_PUBLISHING,
				       KONTOR_PARAMS(P_UINT(p->file->safefile_id), P_INT(p->file->published_ms)),
				       &count, err);
	if (!code && count != 1)
		code = kontor_fail(err, KONTOR_E_CONFLICT, "safefile %llu is not being published any more",
				   (unsigned long long)p->file->safefile_id);
	return code;
}

static int write_manifest(struct publication *p, struct kontor_error *err)
{
	struct chain_head next = {
		.sequence = p->file->sequence, .has_manifest = true, .safefile_id = p->file->safefile_id};
	uint64_t bytes;
	uint8_t sha256[SHA256_SIZE];
	memcpy(next.manifest_sha256, p->manifest_sha256, SHA256_SIZE);
	int code = data_file_create(&p->out, p->folder_fd, MANIFEST_NAME, err);
	if (!code)
		code = data_file_write(&p->out, p->manifest, p->manifest_size, err);
	if (!code)
		code = data_file_seal(&p->out, &bytes, sha256, err);
	if (code)
		return code;
	struct data_file *manifest = &p->out;
	code = still_publishing(p, err);
	/* The chain goes first: once the manifest has its name, a database that does not know it must find out. */
	if (!code)
		code = chain_write(p->profile_fd, &next, err);
	if (!code)
		code = data_file_publish(manifest, err);
	data_file_discard(manifest);
	return code;
}

int publication_write(struct publication *p, const char *key_file, uint8_t *ret_manifest_sha256,
		      struct kontor_error *err)
{
	uint8_t signature[SIGNATURE_SIZE];
	int code = manifest_there(p, err);
	if (code < 0)
		return code;
	memcpy(ret_manifest_sha256, p->manifest_sha256, SHA256_SIZE);
	if (code == 1)
		return 0; /* a crash came between the rename and the database */
	code = manifest_sign(key_file, p->manifest, p->manifest_size, signature, err);
	if (!code)
		code = write_small(p, p->folder_fd, MANIFEST_SIGNATURE_NAME, signature, sizeof(signature), err);
	return code ? code : write_manifest(p, err);
}

/* The chain's file says again what the database says, if it is this safefile that has changed it. */
static int restore_chain(struct publication *p, struct kontor_error *err)
{
	int64_t last = 0;
	struct chain_head head = p->head;
	if (head.sequence) {
		int code = kontor_db_query_int(p->conn, SQL_PUBLISHED_ID,
					       KONTOR_PARAMS(P_STRING(p->file->profile.name), P_UINT(head.sequence)),
					       &last, err);
		if (code)
			return code;
	}
	head.safefile_id = (uint64_t)last;
	return chain_restore(p->profile_fd, p->file->profile.name, &head, p->file->safefile_id, err);
}

int publication_withdraw(struct publication *p, bool *ret_published, uint8_t *ret_manifest_sha256,
			 struct kontor_error *err)
{
	int code = folder_remove_temporary(p->folder_fd, err);
	if (code)
		return code;
	code = manifest_there(p, err);
	if (code == KONTOR_E_CONFLICT) { /* not ours: it stays for the people who have to find out */
		*ret_published = false;
		return 0;
	}
	if (code < 0)
		return code;
	*ret_published = code == 1;
	memcpy(ret_manifest_sha256, p->manifest_sha256, SHA256_SIZE);
	if (code == 1)
		return 0;
	if (unlinkat(p->folder_fd, MANIFEST_SIGNATURE_NAME, 0) == 0 && fsync(p->folder_fd))
		return kontor_fail(err, KONTOR_E_STORAGE, "cannot make durable %s", p->file->path);
	return restore_chain(p, err);
}
