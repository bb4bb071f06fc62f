/* SPDX-License-Identifier: Apache-2.0
 *
 * 63-bit ids from the idgen plugin. An id that was handed out is never handed out again; ids that are not used are
 * lost, which is fine.
 *
 * A plugin uses kontor_id_next() and kontor_ids_take(). Any other program makes a source for each namespace, and from
 * it a handle for each thread:
 *
 *   static const char *const endpoints[] = {"ipc:///run/kontor/ids-a.sock", "ipc:///run/kontor/ids-b.sock", NULL};
 *   struct kontor_id_source_options options = {.id_namespace = "payout", .endpoints = endpoints};
 *   kontor_id_source_new(&options, &source, &err);        once
 *   kontor_id_handle_new(source, &handle, &err);          in each thread
 *   kontor_id_handle_next(handle, &id, &err);             about a nanosecond
 */
#ifndef KONTOR_IDS_H
#define KONTOR_IDS_H

#include <stdbool.h>

#include "kontor/client.h"
#include "kontor/error.h"
#include "kontor/text.h"

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

/* ---- for plugins ------------------------------------------------------------------------------------------------- */

/* One grant, straight from idgen (count 1 .. KONTOR_ID_GRANT_LIMIT). UNAVAILABLE when no idgen answers within 5 s. Any
 * thread. */
int kontor_ids_take(kontor_host *host, const char *id_namespace, uint32_t count, struct kontor_id_range *ret_range,
		    struct kontor_error *err);
/* The next id of a small grant that the process keeps per namespace (at most 5 s old). Errors as kontor_ids_take().
 * Any thread. */
int kontor_id_next(kontor_host *host, const char *id_namespace, uint64_t *ret_id, struct kontor_error *err);

/* ---- a source: the ids of one namespace for a process ------------------------------------------------------------ */

/* It keeps a stock of granted ids and has the next grant fetched, by a thread of its own, when half of the last one is
 * used. Calls that find the stock empty at the same time cause one request, whose grant is split among them.
 *
 * After fork(2) the child has an empty stock (the memory is wiped by the kernel, MADV_WIPEONFORK) and opens a
 * connection of its own: it never gives an id that the parent has given or will give. Not covered is a fork inside a
 * signal handler that interrupted kontor_id_handle_next(). A child of vfork(2) or of a bare clone(2) must not use ids
 * while another thread of the parent is in a call of this header. Memory that something else copies (a virtual machine
 * resumed twice) is not noticed here: let what resumes it call kontor_id_source_revoke(). */
typedef struct kontor_id_source kontor_id_source;

#define KONTOR_ID_ENDPOINTS_LIMIT 8

struct kontor_id_source_options {
	const char *id_namespace; /* copied, like all other text */
	/* NULL-terminated list of at most KONTOR_ID_ENDPOINTS_LIMIT units with idgen, in order of preference. The one
	 * that answered last is asked again; the next is asked when it does not answer within half a second or answers
	 * UNAVAILABLE, DRAINING or BUSY. The first is tried again every 30 s. */
	const char *const *endpoints;
	/* Instead of endpoints: borrowed, and asked for "idgen.next". A child of fork(2) cannot use it: UNAVAILABLE. */
	kontor_client *client;
	const char *caller;  /* with endpoints: as of struct kontor_client_options */
	uint32_t grant;      /* ids a request, 1 .. KONTOR_ID_GRANT_LIMIT; 0: by what is used, 64 to 65536 */
	uint32_t max_age_ms; /* 0 = 5000. See kontor_id_handle_next() */
	uint32_t timeout_ms; /* how long a call waits for ids when there is no stock; 0 = 5000 */
	bool strict;         /* no stock: each id is allocated by the service after the call for it began */
};

/* Nothing is sent before the first id is asked for. BAD_REQUEST for options that cannot be; INTERNAL when out of memory
 * or when the kernel cannot wipe memory on fork. Any thread. */
int kontor_id_source_new(const struct kontor_id_source_options *options, kontor_id_source **ret_source,
			 struct kontor_error *err);
/* Its handles are freed and no thread is in a call with it. Returns NULL. */
kontor_id_source *kontor_id_source_free(kontor_id_source *source);

/* One id, from the stock that all threads share (a lock, a clock: some 50 ns). Errors as kontor_id_handle_next(). Any
 * thread. */
int kontor_id_source_next(kontor_id_source *source, uint64_t *ret_id, struct kontor_error *err);

/* Drops all ids in stock, those of the handles too. Ids that a call took before are not called back. Any thread. */
void kontor_id_source_revoke(kontor_id_source *source);

struct kontor_id_source_stats {
	uint64_t requests;  /* asked of a unit, answered or not */
	uint64_t granted;   /* ids */
	uint64_t waits;     /* calls that found no stock */
	uint64_t failovers; /* grants from another unit than the one before */
};
/* Since it was made; in a child of fork(2), since the fork. Any thread. */
void kontor_id_source_get_stats(kontor_id_source *source, struct kontor_id_source_stats *ret_stats);

/* ---- a handle: one thread's part of a source --------------------------------------------------------------------- */

/* Only what follows in this header may touch the members; they are here so that kontor_id_handle_next() can be inlined,
 * and are part of the ABI. The handle lies in a page of its own, which is wiped in a child of fork(2): end = 0. */
typedef struct kontor_id_handle {
	uint64_t next;   /* the id that is given next */
	uint64_t end;    /* where they end; 0: none, or revoked by the source */
	uint64_t stride; /* from one id to the next */
} kontor_id_handle;

/* INTERNAL when out of memory. Used by one thread at a time; any thread may make and free it. */
int kontor_id_handle_new(kontor_id_source *source, kontor_id_handle **ret_handle, struct kontor_error *err);
kontor_id_handle *kontor_id_handle_free(kontor_id_handle *handle); /* NULL is fine; returns NULL */

/* Not for direct use: kontor_id_handle_next() when there is nothing left in the handle. */
int kontor_id_handle_refill(kontor_id_handle *handle, uint64_t *ret_id, struct kontor_error *err);

/* The next id. While one unit serves the source, the ids of a handle increase.
 *
 * An id is at most max_age_ms old, counted from before its grant was asked for: the source's thread takes back what is
 * older. That is as exact as the thread is scheduled (on a machine that is not overloaded, within a few milliseconds),
 * and a call that runs at that very moment may still return an id. A whole process that was stopped (SIGSTOP) may give
 * a few older ids right after it goes on. None of this can make an id come twice.
 *
 * Errors, *ret_id untouched: UNAVAILABLE, BUSY or DRAINING with the reason, when no unit had ids within timeout_ms;
 * what idgen refuses for good (NOT_FOUND: no such namespace; DENIED) at once. The handle's thread; not from a signal
 * handler. */
static inline int kontor_id_handle_next(kontor_id_handle *handle, uint64_t *ret_id, struct kontor_error *err)
{
	uint64_t id = __atomic_load_n(&handle->next, __ATOMIC_RELAXED);
	if (__builtin_expect(id >= __atomic_load_n(&handle->end, __ATOMIC_RELAXED), 0))
		return kontor_id_handle_refill(handle, ret_id, err);
	__atomic_store_n(&handle->next, id + handle->stride, __ATOMIC_RELAXED);
	*ret_id = id;
	return 0;
}

/* `count` (1 .. KONTOR_ID_GRANT_LIMIT) ids of one grant: base, base + stride, ... Errors and thread as
 * kontor_id_handle_next(); BAD_REQUEST for another count. */
int kontor_id_handle_range(kontor_id_handle *handle, uint32_t count, struct kontor_id_range *ret_range,
			   struct kontor_error *err);

/* `count` ids, of as many grants as it takes. After an error the content of out is undefined, and the ids in it are
 * lost. Errors and thread as kontor_id_handle_next(); each piece of the stock has its age checked once. */
int kontor_id_handle_fill(kontor_id_handle *handle, uint64_t *out, size_t count, struct kontor_error *err);

/* ---- what an id tells -------------------------------------------------------------------------------------------- */

#define KONTOR_ID_EPOCH_MS INT64_C(1767225600000) /* 2026-01-01T00:00:00Z */
#define KONTOR_ID_STRIDE 1024u                    /* of std63: datacenter and slot are its low 10 bits */

/* A namespace has one layout for ever. Bits from the highest: */
enum kontor_id_layout {
	KONTOR_ID_STD63, /* 0 | 41 ms since 2026-01-01T00:00:00Z | 12 sequence | 4 datacenter | 6 slot */
	KONTOR_ID_JS53,  /* 31 s since 2026-01-01T00:00:00Z | 15 sequence | 3 datacenter | 4 slot: exact in a double */
	KONTOR_ID_SEGMENT, /* 0 | 59 number | 4 datacenter */
};

struct kontor_id_parts {
	int64_t time_ms;   /* since 1970; KONTOR_ID_NO_TIME in a segment */
	uint64_t sequence; /* within time_ms (js53: within the second); of a segment, the number */
	unsigned datacenter;
	unsigned slot; /* 0 in a segment */
};
#define KONTOR_ID_NO_TIME INT64_MIN

/* "std63", "js53", "segment"; false leaves *ret_layout untouched. Any thread, as all below. */
bool kontor_id_layout_parse(struct kontor_text name, enum kontor_id_layout *ret_layout);
/* False, *ret_parts untouched: no id of the layout (too large, or its datacenter or slot is 0). */
bool kontor_id_decode_layout(enum kontor_id_layout layout, uint64_t id, struct kontor_id_parts *ret_parts);
/* Of std63, without a check. */
struct kontor_id_parts kontor_id_decode(uint64_t id);

/* ---- ids as text for people -------------------------------------------------------------------------------------- */

/* 13 digits of base 32 and a check symbol, the id modulo 37: 1234 is "000000000016JD". Douglas Crockford, "Base 32",
 * https://www.crockford.com/base32.html. One wrong character or two neighbours swapped are always found. The texts
 * sort as their ids do. */
#define KONTOR_ID_TEXT_SIZE 15 /* with the NUL */

/* id 1 .. 2^63-1; out >= KONTOR_ID_TEXT_SIZE; returns out. */
char *kontor_id_format(uint64_t id, char *out);
/* Exactly 14 symbols; hyphens between them, lower case, and I, L (1) and O (0) for digits are accepted. False, *ret_id
 * untouched: another length, another character (U is none but as the check symbol), a wrong check symbol, 0, or more
 * than 2^63-1. */
bool kontor_id_parse(struct kontor_text text, uint64_t *ret_id);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
