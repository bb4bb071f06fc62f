/* SPDX-License-Identifier: Apache-2.0
 *
 * Who calls. conf/users.conf maps a uid (ipc), later a key or a token, to a user with roles.
 */
#ifndef KONTOR_USER_H
#define KONTOR_USER_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

enum kontor_role { /* a set is a bit mask; each role includes the lesser ones where a table says so */
		   KONTOR_ROLE_VIEWER = 1,
		   KONTOR_ROLE_OPERATOR = 2,
		   KONTOR_ROLE_APPROVER = 4,
		   KONTOR_ROLE_ADMIN = 8,
		   KONTOR_ROLE_UNIT = 16, /* another unit of Kontor, or a plugin calling inside this process */
};

#define KONTOR_USER_SIZE 64

struct kontor_user {
	char name[KONTOR_USER_SIZE]; /* "" = nobody */
	unsigned roles;
	bool verified; /* false: named with --as under `approvals = trusted` */
};

/* operator and approver may view; admin may do everything but internal methods; unit everything. */
bool kontor_user_may(const struct kontor_user *user, enum kontor_role needed);
const char *kontor_role_name(enum kontor_role role);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
