/* SPDX-License-Identifier: Apache-2.0
 *
 * /etc/passwd is read as a file, not asked for through the C library's name services: those may wait for a directory
 * server, and a unit must start, check and reload without one. People of a directory are named by uid.
 */
#include "accounts.h"

#include <pwd.h>
#include <stdio.h>
#include <string.h>

#include "kontor/log.h"

#define ACCOUNTS "/etc/passwd"
#define LINE_LIMIT 65536 /* bytes of one account's line */

int64_t account_uid(const char *login)
{
	char line[LINE_LIMIT];
	struct passwd account, *found;
	FILE *file = fopen(ACCOUNTS, "re");
	if (!file)
		return -1;
	int64_t uid = -1;
	while (uid < 0 && fgetpwent_r(file, &account, line, sizeof(line), &found) == 0)
		if (strcmp(found->pw_name, login) == 0)
			uid = found->pw_uid;
	fclose(file);
	return uid;
}

void accounts_warn(const struct unit_config *config)
{
	for (size_t i = 0; i < config->users_len; i++) {
		const struct user_entry *user = &config->users[i];
		if (user->login && user->login[0] && user->uid < 0)
			kontor_log(KONTOR_LOG_WARNING, "user has no account on this machine",
				   "user_name=%s login=%s effect=%s", KONTOR_QUOTED(user->name),
				   KONTOR_QUOTED(user->login),
				   KONTOR_QUOTED("nobody can call as this user; uid = N names one of a directory"));
	}
}
