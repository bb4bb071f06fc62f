/* SPDX-License-Identifier: Apache-2.0
 *
 * The host object behind kontor/host.h, for the SDK's own files. Not installed.
 */
#ifndef KONTOR_HOST_STATE_H
#define KONTOR_HOST_STATE_H

#include <stdatomic.h>

#include "kontor/host.h"

struct kontor_id_stock; /* ids.c: small grants kept for kontor_id_next() */

struct kontor_host {
	struct kontor_host_options options;
	atomic_bool draining;
	struct kontor_id_stock *ids;
};

struct kontor_id_stock *kontor_id_stock_new(void);
struct kontor_id_stock *kontor_id_stock_free(struct kontor_id_stock *stock);

#endif
