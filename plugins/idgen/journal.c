/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading, checking and writing the journal.
 *
 *   block 0: the cluster    blocks 1 ... JOURNAL_KEYS: a key each    then the second copies, in the same order
 */
#include "journal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <zlib.h>

#include "journal_file.h"

/* ---- blocks ----------------------------------------------------------------------------------------------------- */

static uint32_t block_crc(const struct journal_block *block)
{
	const uint8_t *bytes = (const uint8_t *)block;
	return (uint32_t)crc32(0, bytes + sizeof(block->crc), sizeof(*block) - sizeof(block->crc));
}

void journal_block_fill(struct journal_block *ret, uint32_t number, uint64_t sequence,
			const struct journal_entry *entry)
{
	memset(ret, 0, sizeof(*ret));
	ret->magic = JOURNAL_MAGIC;
	ret->version = JOURNAL_VERSION;
	ret->number = number;
	ret->sequence = sequence;
	ret->epoch = entry->epoch;
	ret->hwm = entry->hwm;
	memcpy(ret->text, entry->key, sizeof(ret->text));
	ret->crc = block_crc(ret);
}

static bool block_valid(const struct journal_block *block, uint32_t number)
{
	return block->crc == block_crc(block) && block->magic == JOURNAL_MAGIC && block->version == JOURNAL_VERSION &&
	       block->number == number && block->text[sizeof(block->text) - 1] == '\0';
}

static struct journal_entry block_entry(const struct journal_block *block)
{
	struct journal_entry entry = {.epoch = block->epoch, .hwm = block->hwm};
	memcpy(entry.key, block->text, sizeof(entry.key));
	return entry;
}

/* Both copies, each on the disk before the next one is begun. A sync that failed is not made good by a later one (the
 * kernel forgets the pages), but whoever tries again writes both copies again, the one that the failed try was at
 * first, and with a new sequence: what a failed try left behind is never taken for the newer one. */
static int write_twice(struct journal *j, uint32_t number, const struct journal_entry *entry, struct kontor_error *err)
{
	struct journal_block block;
	journal_block_fill(&block, number, ++j->sequence, entry);
	int code = journal_file_check(j->fd, j->path, err);
	unsigned first = j->first_copy[number];
	for (unsigned i = 0; !code && i < JOURNAL_COPIES; i++) {
		unsigned copy = (first + i) % JOURNAL_COPIES;
		code = journal_file_write(j->fd, j->path, copy, &block, err);
		j->first_copy[number] = code ? (uint8_t)copy : 0;
	}
	return code;
}

/* ---- reading the file ------------------------------------------------------------------------------------------- */

static int fail_damaged(const struct journal *j, uint32_t number, const char *what, struct kontor_error *err)
{
	return kontor_fail(
		err, KONTOR_E_STORAGE,
		"the id journal %s is damaged: block %u %s. It protects against ids being issued twice after the "
		"database lost commits. Restore nothing over it; if the database was not restored and did "
		"not fail over since this unit ran last, move the file away and start the unit again",
		j->path, number, what);
}

/* Says which of the reasons it is that neither copy of block 0 can be used. */
static int fail_first_block(const struct journal *j, const struct journal_block *first,
			    const struct journal_block *second, struct kontor_error *err)
{
	const struct journal_block *readable = first->magic == JOURNAL_MAGIC ? first : second;
	if (readable->magic != JOURNAL_MAGIC)
		return kontor_fail(err, KONTOR_E_STORAGE,
				   "%s is not an id journal: something else wrote to it. Find out what, move the file "
				   "away and start the unit again",
				   j->path);
	if (readable->version != JOURNAL_VERSION && readable->crc == block_crc(readable))
		return kontor_fail(err, KONTOR_E_STORAGE,
				   "the id journal %s has format %u, this version of Kontor reads format %u: start the "
				   "version that wrote it",
				   j->path, readable->version, JOURNAL_VERSION);
	return fail_damaged(j, 0, "is not valid in either copy", err);
}

static int fail_no_copy(const struct journal *j, const struct journal_image *image, uint32_t number,
			struct kontor_error *err)
{
	int problem = image->problems[0][number] ? image->problems[0][number] : image->problems[1][number];
	if (problem) {
		char what[128];
		snprintf(what, sizeof(what), "has no valid copy that can be read (%.60s)", strerror(problem));
		return fail_damaged(j, number, what, err);
	}
	return number ? fail_damaged(j, number, "is not valid in either copy", err)
		      : fail_first_block(j, &image->blocks[0][0], &image->blocks[1][0], err);
}

/* The newer valid copy; the other one is made its equal again. */
static int take_block(struct journal *j, const struct journal_image *image, uint32_t number, struct journal_entry *ret,
		      struct kontor_error *err)
{
	const struct journal_block *copies[JOURNAL_COPIES] = {&image->blocks[0][number], &image->blocks[1][number]};
	bool first = block_valid(copies[0], number), second = block_valid(copies[1], number);
	if (!first && !second)
		return fail_no_copy(j, image, number, err);
	unsigned newer = !first || (second && copies[1]->sequence > copies[0]->sequence), older = !newer;
	if (copies[newer]->sequence > j->sequence)
		j->sequence = copies[newer]->sequence;
	*ret = block_entry(copies[newer]);
	if (memcmp(copies[newer], copies[older], sizeof(*copies[0])) == 0)
		return 0;
	if (first && second && copies[newer]->sequence == copies[older]->sequence)
		return fail_damaged(j, number, "has two copies that contradict each other", err);
	j->repaired++;
	j->unreadable += image->problems[older][number] != 0;
	return journal_file_write(j->fd, j->path, older, copies[newer], err);
}

static struct journal_entry *find(struct journal *j, const char *key)
{
	for (size_t i = 0; i < j->entries_len; i++)
		if (strcmp(j->entries[i].key, key) == 0)
			return &j->entries[i];
	return NULL;
}

/* Records are never removed, so the used ones come first. */
static int take_blocks(struct journal *j, struct kontor_error *err)
{
	struct journal_image image;
	struct journal_entry entry = {0};
	bool free_seen = false;
	journal_file_read(j->fd, &image);
	int code = take_block(j, &image, 0, &entry, err);
	if (code)
		return code;
	memcpy(j->cluster_uuid, entry.key, sizeof(j->cluster_uuid));
	for (uint32_t number = 1; number <= JOURNAL_KEYS; number++) {
		code = take_block(j, &image, number, &entry, err);
		if (code)
			return code;
		if (entry.key[0] && (free_seen || find(j, entry.key)))
			return fail_damaged(j, number, "has a key that must not stand there", err);
		free_seen |= !entry.key[0];
		if (entry.key[0])
			j->entries[j->entries_len++] = entry;
	}
	return 0;
}

int journal_open(struct journal *j, const char *path, struct kontor_error *err)
{
	memset(j, 0, sizeof(*j));
	j->path = strdup(path);
	int code = j->path ? journal_file_open(path, &j->fd, err)
			   : kontor_fail(err, KONTOR_E_INTERNAL, "id journal %s: out of memory", path);
	if (code) {
		free(j->path);
		memset(j, 0, sizeof(*j));
		return code;
	}
	j->is_open = true;
	pthread_mutex_init(&j->writing, NULL);
	pthread_mutex_init(&j->lock, NULL);
	code = take_blocks(j, err);
	if (code)
		journal_close(j);
	return code;
}

void journal_close(struct journal *j)
{
	if (!j->is_open)
		return;
	close(j->fd); /* and with it the lock */
	free(j->path);
	pthread_mutex_destroy(&j->writing);
	pthread_mutex_destroy(&j->lock);
	memset(j, 0, sizeof(*j));
}

/* ---- changes ---------------------------------------------------------------------------------------------------- */

static int check_text(const struct journal *j, const char *text, const char *what, struct kontor_error *err)
{
	if (text[0] && strlen(text) < JOURNAL_KEY_SIZE)
		return 0;
	return kontor_fail(err, KONTOR_E_BAD_REQUEST, "id journal %s: a %s has 1 to %d bytes, \"%.60s\" has %zu",
			   j->path, what, JOURNAL_KEY_SIZE - 1, text, strlen(text));
}

static int bind_first(struct journal *j, const char *cluster_uuid, struct kontor_error *err)
{
	struct journal_entry entry = {0};
	memcpy(entry.key, cluster_uuid, strlen(cluster_uuid));
	int code = write_twice(j, 0, &entry, err);
	if (code)
		return code;
	pthread_mutex_lock(&j->lock);
	memcpy(j->cluster_uuid, entry.key, sizeof(j->cluster_uuid));
	pthread_mutex_unlock(&j->lock);
	return 0;
}

int journal_bind(struct journal *j, const char *cluster_uuid, struct kontor_error *err)
{
	int code = check_text(j, cluster_uuid, "cluster uuid", err);
	if (code)
		return code;
	pthread_mutex_lock(&j->writing);
	if (!j->cluster_uuid[0])
		code = bind_first(j, cluster_uuid, err);
	else if (strcmp(j->cluster_uuid, cluster_uuid) != 0)
		code = kontor_fail(
			err, KONTOR_E_CONFLICT,
			"the id journal %s belongs to database cluster %s, but the database is cluster %s. Connect "
			"the unit to its own database; only if the database was replaced on purpose, remove the "
			"file",
			j->path, j->cluster_uuid, cluster_uuid);
	pthread_mutex_unlock(&j->writing);
	return code;
}

/* `writing` is held, so nobody else changes the entries meanwhile. */
static int mark(struct journal *j, const char *key, uint64_t epoch, uint64_t hwm, struct kontor_error *err)
{
	struct journal_entry *known = find(j, key);
	struct journal_entry entry = {0};
	if (known)
		entry = *known;
	else
		memcpy(entry.key, key, strlen(key));
	if (known && entry.epoch >= epoch && entry.hwm >= hwm)
		return 0;
	size_t at = known ? (size_t)(known - j->entries) : j->entries_len;
	if (at == JOURNAL_KEYS)
		return kontor_fail(
			err, KONTOR_E_TOO_BIG,
			"the id journal %s is full: it has %d keys, and \"%s\" would be one more. Give some of the "
			"namespaces to another unit",
			j->path, JOURNAL_KEYS, key);
	entry.epoch = epoch > entry.epoch ? epoch : entry.epoch;
	entry.hwm = hwm > entry.hwm ? hwm : entry.hwm;
	int code = write_twice(j, (uint32_t)at + 1, &entry, err);
	if (code)
		return code;
	pthread_mutex_lock(&j->lock);
	j->entries[at] = entry;
	j->entries_len += !known;
	pthread_mutex_unlock(&j->lock);
	return 0;
}

int journal_mark(struct journal *j, const char *key, uint64_t epoch, uint64_t hwm, struct kontor_error *err)
{
	int code = check_text(j, key, "key", err);
	if (code)
		return code;
	pthread_mutex_lock(&j->writing);
	code = mark(j, key, epoch, hwm, err);
	pthread_mutex_unlock(&j->writing);
	return code;
}

/* ---- questions -------------------------------------------------------------------------------------------------- */

uint64_t journal_hwm(struct journal *j, const char *key, uint64_t *ret_epoch)
{
	pthread_mutex_lock(&j->lock);
	const struct journal_entry *entry = find(j, key);
	uint64_t hwm = entry ? entry->hwm : 0;
	if (ret_epoch)
		*ret_epoch = entry ? entry->epoch : 0;
	pthread_mutex_unlock(&j->lock);
	return hwm;
}

void journal_each(struct journal *j, void (*visit)(void *arg, const char *key, uint64_t epoch, uint64_t hwm), void *arg)
{
	pthread_mutex_lock(&j->lock);
	for (size_t i = 0; i < j->entries_len; i++)
		visit(arg, j->entries[i].key, j->entries[i].epoch, j->entries[i].hwm);
	pthread_mutex_unlock(&j->lock);
}
