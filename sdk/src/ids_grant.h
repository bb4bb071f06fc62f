/* SPDX-License-Identifier: Apache-2.0
 *
 * One request for a grant: the only place that asks idgen. Not installed.
 */
#ifndef KONTOR_IDS_GRANT_H
#define KONTOR_IDS_GRANT_H

#include "kontor/ids.h"

#define ID_NAMESPACE_SIZE 33 /* with the NUL */

/* One try within timeout_ms, without retries. A grant whose reply got lost is only lost, so every failure may be
 * followed by another request. INTERNAL for an answer that is no range of `count` ids. */
int kontor_id_grant_ask(kontor_client *client, const char *id_namespace, uint32_t count, uint32_t timeout_ms,
			struct kontor_id_range *ret_range, struct kontor_error *err);

#endif
