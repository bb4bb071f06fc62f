/* SPDX-License-Identifier: Apache-2.0
 *
 * Files of records, mapped.
 */
#include "idgen_records.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define RUN_LIMIT 65536                    /* ids in one record, so that its time is that of all of them */
#define ID_EPOCH_MS INT64_C(1767225600000) /* 2026-01-01T00:00:00Z */

const struct id_layout_shape id_layouts[ID_LAYOUTS] = {
	[ID_LAYOUT_STD63] = {"std63", 10, 63, 6, 4, 22, 1},
	[ID_LAYOUT_JS53] = {"js53", 7, 53, 4, 3, 22, 1000},
	[ID_LAYOUT_SEGMENT] = {"segment", 4, 63, 0, 4, 0, 0},
};

enum id_layout id_layout_named(const char *name)
{
	enum id_layout layout = ID_LAYOUT_STD63;
	while (layout < ID_LAYOUTS && strcmp(id_layouts[layout].name, name) != 0)
		layout++;
	return layout;
}

int64_t id_layout_time_ms(const struct id_layout_shape *shape, uint64_t id)
{
	return ID_EPOCH_MS + (int64_t)(id >> shape->time_shift) * shape->tick_ms;
}

unsigned id_layout_datacenter(const struct id_layout_shape *shape, uint64_t id)
{
	return (unsigned)(id >> shape->datacenter_shift) & ((1u << shape->datacenter_bits) - 1);
}

static int64_t now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

bool records_create(struct records_writer *w, const char *path, const struct records_header *header, size_t capacity)
{
	size_t size = sizeof(*header) + capacity * sizeof(struct record);
	char unfinished[PATH_MAX]; /* a file of that name has its header */
	if (snprintf(unfinished, sizeof(unfinished), "%s.new", path) >= (int)sizeof(unfinished)) {
		errno = ENAMETOOLONG;
		return false;
	}
	int fd = open(unfinished, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return false;
	void *memory = MAP_FAILED;
	if (ftruncate(fd, (off_t)size) == 0)
		memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	int failure = errno;
	close(fd);
	if (memory == MAP_FAILED) {
		errno = failure;
		return false;
	}
	*w = (struct records_writer){.header = memory,
				     .records = (struct record *)((char *)memory + sizeof(*header)),
				     .capacity = capacity,
				     .stride = UINT64_C(1) << id_layouts[header->layout].low_bits};
	*w->header = *header;
	return rename(unfinished, path) == 0;
}

static void set_count(struct record *record, uint64_t count)
{
	/* no store before this one may be seen after it, also not by whoever reads the file of a killed process */
	atomic_thread_fence(memory_order_release);
	*(volatile uint64_t *)&record->count = count;
}

bool records_add_grant(struct records_writer *w, uint64_t request, uint64_t base, uint64_t stride, uint64_t count)
{
	if (w->len == w->capacity)
		return false;
	struct record *record = &w->records[w->len++];
	record->base = base;
	record->stride = stride;
	record->request = request;
	record->received_ms = now_ms();
	set_count(record, count);
	return true;
}

bool records_add_id(struct records_writer *w, uint64_t id)
{
	struct record *last = w->len ? &w->records[w->len - 1] : NULL;
	if (last && last->count < RUN_LIMIT && id == last->base + last->count * last->stride) {
		set_count(last, last->count + 1);
		return true;
	}
	return records_add_grant(w, 0, id, w->stride, 1);
}

void records_close(struct records_writer *w)
{
	if (w->header)
		munmap(w->header, sizeof(*w->header) + w->capacity * sizeof(struct record));
	*w = (struct records_writer){0};
}

static bool valid(const struct records_file *file)
{
	return file->mapped >= sizeof(*file->header) && file->header->magic == RECORDS_MAGIC &&
	       file->header->layout < ID_LAYOUTS && memchr(file->header->id_namespace, 0, RECORDS_NAMESPACE_SIZE);
}

bool records_open(struct records_file *file, const char *path, char *problem, size_t problem_size)
{
	struct stat found = {0};
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	void *memory = MAP_FAILED;
	if (fd >= 0 && fstat(fd, &found) == 0)
		memory = mmap(NULL, (size_t)found.st_size, PROT_READ, MAP_SHARED, fd, 0);
	int failure = errno;
	if (fd >= 0)
		close(fd);
	if (memory == MAP_FAILED) {
		snprintf(problem, problem_size, "%s: %s", path, strerror(failure));
		return false;
	}
	*file = (struct records_file){.header = memory,
				      .records = (const struct record *)((const char *)memory + sizeof(*file->header)),
				      .mapped = (size_t)found.st_size};
	if (!valid(file)) {
		snprintf(problem, problem_size, "%s: is no file of records", path);
		records_unmap(file);
		return false;
	}
	size_t room = (file->mapped - sizeof(*file->header)) / sizeof(struct record);
	while (file->len < room && file->records[file->len].count)
		file->len++;
	return true;
}

void records_unmap(struct records_file *file)
{
	munmap((void *)(uintptr_t)file->header, file->mapped);
	*file = (struct records_file){0};
}
