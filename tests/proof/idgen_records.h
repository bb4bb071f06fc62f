/* SPDX-License-Identifier: Apache-2.0
 *
 * What a client of the id proof was given, in a file: one header and fixed-size records in memory that is mapped from
 * the file, so a client that is killed at any instruction loses nothing of what it has used.
 *
 * The layouts are written down here once more, from docs/id-generation.md and not from the code under proof.
 */
#ifndef IDGEN_RECORDS_H
#define IDGEN_RECORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RECORDS_MAGIC UINT64_C(0x31736469726f746b) /* "ktorids1" */
#define RECORDS_NAMESPACE_SIZE 40

enum id_layout { ID_LAYOUT_STD63, ID_LAYOUT_JS53, ID_LAYOUT_SEGMENT, ID_LAYOUTS };

struct id_layout_shape {
	const char *name;
	unsigned low_bits;         /* constant in a grant: datacenter and slot; the stride is 2^low_bits */
	unsigned total_bits;       /* an id is below 2^total_bits */
	unsigned datacenter_shift; /* within the low bits */
	unsigned datacenter_bits;
	unsigned time_shift; /* 0: there is no clock in it */
	unsigned tick_ms;    /* of the time's lowest bit */
};
extern const struct id_layout_shape id_layouts[ID_LAYOUTS];
/* ID_LAYOUTS when there is none of that name. */
enum id_layout id_layout_named(const char *name);
/* Milliseconds since 1970; the layout has a clock. */
int64_t id_layout_time_ms(const struct id_layout_shape *shape, uint64_t id);
unsigned id_layout_datacenter(const struct id_layout_shape *shape, uint64_t id);

struct records_header {
	uint64_t magic;
	uint32_t layout;     /* enum id_layout */
	uint32_t datacenter; /* whose service was asked */
	uint32_t consumed;   /* 1: ids that were returned one by one; 0: grants as they are */
	uint32_t pid;
	char id_namespace[RECORDS_NAMESPACE_SIZE];
};

struct record {
	uint64_t count; /* written last, and counted up as ids are used; 0: the file ends before this record */
	uint64_t base, stride;
	uint64_t request;    /* id of the request whose reply brought it; 0: from the SDK */
	int64_t received_ms; /* since 1970, by the client's clock */
};

/* ---- writing: one thread, one process ---------------------------------------------------------------------------- */

struct records_writer {
	struct records_header *header; /* the mapped file */
	struct record *records;
	size_t len, capacity;
	uint64_t stride;
};

/* Makes the file, whole from its first moment (until then it is called path.new), with room for `capacity` records.
 * False with errno set. */
bool records_create(struct records_writer *w, const char *path, const struct records_header *header, size_t capacity);
/* A whole grant. False when the file is full. */
bool records_add_grant(struct records_writer *w, uint64_t request, uint64_t base, uint64_t stride, uint64_t count);
/* One id, as it was returned: prolongs the last record when it is the next one of its run. False when the file is full.
 */
bool records_add_id(struct records_writer *w, uint64_t id);
/* The file stays. In a forked child: only lets go of the memory. */
void records_close(struct records_writer *w);

/* ---- reading ----------------------------------------------------------------------------------------------------- */

struct records_file {
	const struct records_header *header;
	const struct record *records;
	size_t len; /* records that were written */
	size_t mapped;
};

/* False, with the reason in `problem`, when it cannot be read or is no file of records. */
bool records_open(struct records_file *file, const char *path, char *problem, size_t problem_size);
void records_unmap(struct records_file *file);

#endif
