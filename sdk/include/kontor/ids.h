/* SPDX-License-Identifier: Apache-2.0
 *
 * 63-bit ids from the idgen plugin. An id that was handed out is never handed out again; ids that are not used are
 * lost, which is fine.
 */
#ifndef KONTOR_IDS_H
#define KONTOR_IDS_H

#include "kontor/error.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

typedef struct kontor_host kontor_host;

/* count ids: base, base + stride, ... */
struct kontor_id_range {
	uint64_t base;
	uint64_t stride;
	uint32_t count;
};

#define KONTOR_ID_GRANT_LIMIT (1u << 20)

/* One grant, straight from idgen (count 1 .. KONTOR_ID_GRANT_LIMIT). UNAVAILABLE when no idgen answers. Any thread. */
int kontor_ids_take(kontor_host *host, const char *id_namespace, uint32_t count, struct kontor_id_range *ret_range,
		    struct kontor_error *err);
/* The next id of a small grant that the process keeps per namespace (at most 5 s old). Any thread. */
int kontor_id_next(kontor_host *host, const char *id_namespace, uint64_t *ret_id, struct kontor_error *err);

/* ---- layout std63: 0 | 41 ms since 2026-01-01T00:00:00Z | 12 sequence | 4 datacenter | 6 slot -------------------- */

#define KONTOR_ID_EPOCH_MS INT64_C(1767225600000) /* 2026-01-01T00:00:00Z */
#define KONTOR_ID_STRIDE 1024u                    /* datacenter and slot are the low 10 bits */

struct kontor_id_parts {
	int64_t time_ms; /* since 1970 */
	unsigned sequence, datacenter, slot;
};
struct kontor_id_parts kontor_id_decode(uint64_t id);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
