/* SPDX-License-Identifier: Apache-2.0
 *
 * The chain of a profile's published manifests: in the database (profile_chain) and on the disk (file `chain` in the
 * profile's folder). The disk's head tells when the database is older than what was published.
 */
#ifndef SAFEFILE_CHAIN_H
#define SAFEFILE_CHAIN_H

#include "stored.h"

#define CHAIN_NAME "chain"

struct chain_head {
	uint64_t sequence; /* of the last published safefile; 0: none yet */
	bool has_manifest;
	uint8_t manifest_sha256[SHA256_SIZE];
	uint64_t safefile_id; /* on the disk: whose manifest it is; in the database: who publishes now, 0 nobody */
};

int chain_load(kontor_conn *conn, const char *profile, struct chain_head *ret_head, struct kontor_error *err);
/* CONFLICT when the disk's head is neither the database's nor the publication that safefile_id has begun. */
int chain_compare(int profile_fd, const char *profile, const struct chain_head *database, uint64_t safefile_id,
		  struct kontor_error *err);
int chain_write(int profile_fd, const struct chain_head *head, struct kontor_error *err);
/* Writes head back if the disk's head is safefile_id's; head of sequence 0: the file goes away. */
int chain_restore(int profile_fd, const char *profile, const struct chain_head *head, uint64_t safefile_id,
		  struct kontor_error *err);

#endif
