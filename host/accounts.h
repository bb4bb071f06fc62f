/* SPDX-License-Identifier: Apache-2.0
 *
 * The accounts of this machine, for users that users.conf names by login.
 */
#ifndef KONTORD_ACCOUNTS_H
#define KONTORD_ACCOUNTS_H

#include <stdint.h>

#include "unit_config.h"

/* The uid of a login of /etc/passwd; -1 when there is none. Any thread. */
int64_t account_uid(const char *login);
/* One warning for each user whose login is no account of this machine: it may be one of another machine, or one that is
 * gone, so it is no error; but nobody can call as that user. */
void accounts_warn(const struct unit_config *config);

#endif
