/* SPDX-License-Identifier: Apache-2.0
 *
 * Put in front of the plugin's sources by the compiler (-include): memory comes from the unit's block, so that it is
 * copied and dies with it, and chance from the seed. There is one thread, so nothing is locked.
 */
#ifndef SIMULATION_FOREIGN_H
#define SIMULATION_FOREIGN_H

#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "sizes.h"

void *simulated_malloc(size_t size);
void *simulated_calloc(size_t number, size_t size);
void simulated_free(void *memory);
char *simulated_strdup(const char *text);
ssize_t simulated_getrandom(void *buffer, size_t size, unsigned flags);

static inline int simulated_lock(const pthread_mutex_t *mutex)
{
	(void)mutex;
	return 0;
}

#define pthread_mutex_lock simulated_lock
#define pthread_mutex_unlock simulated_lock
#define malloc simulated_malloc
#define calloc simulated_calloc
#define free simulated_free
#define strdup simulated_strdup
#define getrandom simulated_getrandom

#endif
