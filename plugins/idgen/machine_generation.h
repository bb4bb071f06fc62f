/* SPDX-License-Identifier: Apache-2.0
 *
 * Tells that this virtual machine was resumed from a snapshot, perhaps for the second time: whatever the process was
 * about to issue, another copy of it may have issued already. The hypervisor says so in a page of memory that Linux
 * hands on as /dev/vmclock0 (since 6.13; include/uapi/linux/vmclock-abi.h), so asking costs no system call.
 */
#ifndef IDGEN_MACHINE_GENERATION_H
#define IDGEN_MACHINE_GENERATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MACHINE_GENERATION_DEVICE "/dev/vmclock0"

struct machine_generation {
	bool present;
	const char *absent_because; /* for people, while not present; a constant */
	const uint64_t *counter;    /* in the page; NULL: not present */
	void *page;
	size_t page_size;
};

/* A device that is missing, not ours to read, or not understood is no error: the generation is then always 0, and
 * present is false. */
void machine_generation_open(struct machine_generation *g, const char *path);
/* Zeroed ones are fine. */
void machine_generation_close(struct machine_generation *g);

/* Another value than before: the machine is not the one it was. Where the hypervisor counts generations, that is a
 * resumed snapshot; else any disruption of its clock, like a live migration too. Any thread. */
static inline uint64_t machine_generation_read(const struct machine_generation *g)
{
	return g->counter ? __atomic_load_n(g->counter, __ATOMIC_ACQUIRE) : 0;
}

#endif
