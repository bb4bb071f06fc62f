#pragma once
#include <stdbool.h>
#include <stdint.h>
#define MACHINE_GENERATION_DEVICE "/dev/vmclock0"
struct machine_generation {
	bool present;
};
static inline void machine_generation_open(struct machine_generation *g, const char *p)
{
	(void)p;
	g->present = false;
}
static inline void machine_generation_close(struct machine_generation *g)
{
	(void)g;
}
static inline uint64_t machine_generation_read(const struct machine_generation *g)
{
	(void)g;
	return 0;
}
