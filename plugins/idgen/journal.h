/* SPDX-License-Identifier: Apache-2.0
 *
 * What this unit reserved, on its own disk: a database that lost acknowledged commits (a fail-over to a replica that
 * lagged, a restored backup) is noticed, because its rows are behind what stands here, and the ids of the lost
 * reservations are never issued again.
 *
 * The file has a fixed size and is written in full when it is made, so that a disk which is full later does not matter.
 * Each record stands in it twice, each copy in a disk block of its own, and a change is synced in one copy before the
 * other one is begun: a torn write hurts at most the copy being written, and a copy that went bad, or cannot be read
 * any more, hurts nothing. After a write that failed, the next change begins with the copy that it may have hurt, so
 * that the sound one is never written before the other one is whole again.
 */
#ifndef IDGEN_JOURNAL_H
#define IDGEN_JOURNAL_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kontor/error.h"

#define JOURNAL_KEY_SIZE 48 /* bytes with the NUL */
#define JOURNAL_KEYS 256    /* 76 slots of both layouts, and 180 segment namespaces */

struct journal_entry {
	char key[JOURNAL_KEY_SIZE]; /* "std63/7", "segment/tickets" */
	uint64_t epoch, hwm;
};

struct journal {
	bool is_open;
	int fd;
	char *path;
	size_t repaired;   /* copies that were not valid, or older than the other one, when the file was opened */
	size_t unreadable; /* of these, how many the disk could not read */

	pthread_mutex_t writing;              /* one change at a time; held while the disk works; guards the next two */
	uint64_t sequence;                    /* of the last write that was tried */
	uint8_t first_copy[JOURNAL_KEYS + 1]; /* of a block: which copy its next write begins with */

	pthread_mutex_t lock;                /* guards what follows; never held while the disk works */
	char cluster_uuid[JOURNAL_KEY_SIZE]; /* "": not bound yet */
	struct journal_entry entries[JOURNAL_KEYS];
	size_t entries_len;
};

/* Makes the file (mode 0600, 2 MiB) or reads it, and locks it until journal_close(). CONFLICT: another process has it
 * open. STORAGE: it cannot be made, read or written, or it is no journal, of another format, or damaged beyond its two
 * copies; the file is then left as it is. On failure *j is closed. One thread. */
int journal_open(struct journal *j, const char *path, struct kontor_error *err);
/* Zeroed, closed and failed ones are fine. All other threads are done with it. */
void journal_close(struct journal *j);

/* Ties the file to the database's cluster uuid (1-47 bytes) the first time; CONFLICT if it is another one's. */
int journal_bind(struct journal *j, const char *cluster_uuid, struct kontor_error *err);

/* Records that this unit reserved up to `hwm` under `key` (1-47 bytes). When it returns 0 that is on the disk, twice.
 * Neither hwm nor epoch ever go down: the larger ones are kept. STORAGE: it is not surely recorded, so what was
 * reserved must not be used; trying again is fine. TOO_BIG: more than JOURNAL_KEYS keys. Any thread. */
int journal_mark(struct journal *j, const char *key, uint64_t epoch, uint64_t hwm, struct kontor_error *err);

/* The largest hwm recorded under the key; 0 and epoch 0 when there is none. ret_epoch may be NULL. Any thread, never
 * waits for the disk. */
uint64_t journal_hwm(struct journal *j, const char *key, uint64_t *ret_epoch);

/* Calls visit() with each key; visit() must not use the journal. Any thread, never waits for the disk. */
void journal_each(struct journal *j, void (*visit)(void *arg, const char *key, uint64_t epoch, uint64_t hwm),
		  void *arg);

#endif
