/* SPDX-License-Identifier: Apache-2.0
 *
 * The payout plugin, inside: what its files share.
 */
#ifndef PAYOUT_PAYOUT_H
#define PAYOUT_PAYOUT_H

#include "kontor/host.h"
#include "kontor/plugin.h"

/* Codes of this plugin. */
#define PAYOUT_E_UNBALANCED (-101) /* a run's control totals differ; its payouts stay invisible */
#define PAYOUT_E_RANGE (-102)      /* a sum does not fit 63 bits */

#define PAYOUT_BULK_ROWS 10000u /* rows of one array-bound statement: about 1.5 MB, well below max_allowed_packet */

/* `self`: the configuration and the host. */
struct payout {
	int64_t chunk_items;
	kontor_host *host;
};

#endif
