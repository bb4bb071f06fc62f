/* SPDX-License-Identifier: Apache-2.0
 *
 * What the wrong schemes share: idgen.next by the wall clock. Layout: 41 ms since 2026 | 12 sequence | 10 worker.
 */
#ifndef CONTROL_H
#define CONTROL_H

#include <pthread.h>
#include <stdatomic.h>

#include "kontor/host.h"
#include "kontor/plugin.h"

struct control {
	uint64_t last;           /* highest counter that was issued; in memory only, as such schemes have it */
	_Atomic unsigned worker; /* the low 10 bits */
	kontor_db *db;
	char owner[33];
	pthread_t thread;
	_Atomic bool ending;
};

#define CONTROL_METHODS 1
extern const struct kontor_method control_methods[CONTROL_METHODS];

#endif
