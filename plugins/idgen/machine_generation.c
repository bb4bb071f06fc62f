/* SPDX-License-Identifier: Apache-2.0
 *
 * Mapping /dev/vmclock0.
 */
#include "machine_generation.h"

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define VMCLOCK_MAGIC 0x4b4c4356u /* "VCLK" */
#define VMCLOCK_VERSION 1u
#define VMCLOCK_FLAG_VM_GEN_COUNTER_PRESENT (UINT64_C(1) << 8)

/* struct vmclock_abi of Linux 6.13, all little-endian. vm_generation_counter was appended in 2026; before that the
 * struct ended where it begins. */
struct vmclock {
	uint32_t magic, size;
	uint16_t version;
	uint8_t counter_id, time_type;
	uint32_t seq_count;
	uint64_t disruption_marker; /* changes when the CPU's counter is disrupted */
	uint64_t flags;
	uint8_t clock[72];              /* the clock itself */
	uint64_t vm_generation_counter; /* changes when the machine was loaded from a snapshot */
};
static_assert(offsetof(struct vmclock, disruption_marker) == 16 && offsetof(struct vmclock, flags) == 24 &&
		      offsetof(struct vmclock, vm_generation_counter) == 104 && sizeof(struct vmclock) == 112,
	      "as in include/uapi/linux/vmclock-abi.h");

/* Why the page cannot be used; NULL: it can. */
static const char *refuse(const struct vmclock *clock)
{
	if (le32toh(clock->magic) != VMCLOCK_MAGIC)
		return "the device does not say VCLK";
	if (le16toh(clock->version) != VMCLOCK_VERSION)
		return "the device has another version than 1";
	if (le32toh(clock->size) < offsetof(struct vmclock, vm_generation_counter))
		return "the device is smaller than version 1";
	return NULL;
}

static const uint64_t *choose_counter(const struct vmclock *clock)
{
	bool counts = le64toh(clock->flags) & VMCLOCK_FLAG_VM_GEN_COUNTER_PRESENT &&
		      le32toh(clock->size) >= sizeof(struct vmclock);
	return counts ? &clock->vm_generation_counter : &clock->disruption_marker;
}

/* The driver maps exactly one page, shared and for reading only. A file (in tests) must fill what is looked at: memory
 * behind its end cannot be touched. */
static const char *map_page(struct machine_generation *g, int fd)
{
	struct stat status;
	if (fstat(fd, &status) || (!S_ISCHR(status.st_mode) && !S_ISREG(status.st_mode)))
		return "it is no device";
	if (S_ISREG(status.st_mode) && status.st_size < (off_t)sizeof(struct vmclock))
		return "the file is too short";
	size_t size = (size_t)sysconf(_SC_PAGESIZE);
	void *page = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
	if (page == MAP_FAILED)
		return "the device cannot be mapped";
	g->page = page;
	g->page_size = size;
	return NULL;
}

void machine_generation_open(struct machine_generation *g, const char *path)
{
	memset(g, 0, sizeof(*g));
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0) {
		g->absent_because = errno == EACCES || errno == EPERM ? "the unit's user may not read the device"
								      : "there is no such device";
		return;
	}
	const char *problem = map_page(g, fd);
	close(fd); /* the mapping stays */
	if (!problem)
		problem = refuse(g->page);
	if (problem) {
		machine_generation_close(g);
		g->absent_because = problem;
		return;
	}
	g->counter = choose_counter(g->page);
	g->present = true;
}

void machine_generation_close(struct machine_generation *g)
{
	if (g->page)
		munmap(g->page, g->page_size);
	memset(g, 0, sizeof(*g));
}
