/* SPDX-License-Identifier: Apache-2.0
 *
 * The host object behind kontor/host.h, for the SDK's own files. Not installed.
 */
#ifndef KONTOR_HOST_STATE_H
#define KONTOR_HOST_STATE_H

#include <stdatomic.h>

#include "kontor/host.h"

struct kontor_host_ids; /* ids_host.c */

struct kontor_host {
	struct kontor_host_options options;
	atomic_bool draining;
	struct kontor_host_ids *ids;
};

struct kontor_host_ids *kontor_host_ids_new(void);
struct kontor_host_ids *kontor_host_ids_free(struct kontor_host_ids *ids);

#endif
