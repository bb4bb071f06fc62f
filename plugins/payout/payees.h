/* SPDX-License-Identifier: Apache-2.0
 *
 * Upload kind `payees`. Each row is a version of where a shop is paid in one currency:
 *
 *   first version    ok               pending  -> in_force when its upload is accepted
 *   the same again   unchanged        nothing is stored
 *   another one      needs_approval   waiting  -> in_force when another user has approved the upload; the one before
 *                                                 becomes superseded. While one waits, nothing is paid to the shop.
 *
 * All verdicts are by what is in force: what still waits in another upload may be refused.
 */
#ifndef PAYOUT_PAYEES_H
#define PAYOUT_PAYEES_H

#include "kontor/upload.h"

extern const struct kontor_upload_kind payees_kind;

#endif
