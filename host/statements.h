/* SPDX-License-Identifier: Apache-2.0
 *
 * SQL of the host's built-in services.
 */
#ifndef KONTORD_STATEMENTS_H
#define KONTORD_STATEMENTS_H

/* Newest first, below an id; a state or all of them. */
static const char SQL_LIST_APPROVALS[] =
	"SELECT approval_id FROM approval WHERE approval_id < ? AND (? IS NULL OR state = ?) "
	"ORDER BY approval_id DESC LIMIT ?";

#endif
