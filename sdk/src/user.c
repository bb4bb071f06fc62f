/* SPDX-License-Identifier: Apache-2.0
 *
 * Which role includes which.
 */
#include "kontor/user.h"

bool kontor_user_may(const struct kontor_user *user, enum kontor_role needed)
{
	unsigned enough = KONTOR_ROLE_UNIT | (unsigned)needed;
	if (needed != KONTOR_ROLE_UNIT)
		enough |= KONTOR_ROLE_ADMIN;
	if (needed == KONTOR_ROLE_VIEWER)
		enough |= KONTOR_ROLE_OPERATOR | KONTOR_ROLE_APPROVER;
	return user->name[0] && (user->roles & enough);
}

const char *kontor_role_name(enum kontor_role role)
{
	switch (role) {
	case KONTOR_ROLE_VIEWER:
		return "viewer";
	case KONTOR_ROLE_OPERATOR:
		return "operator";
	case KONTOR_ROLE_APPROVER:
		return "approver";
	case KONTOR_ROLE_ADMIN:
		return "admin";
	case KONTOR_ROLE_UNIT:
		return "unit";
	}
	return "nobody";
}
