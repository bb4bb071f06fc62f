/* SPDX-License-Identifier: Apache-2.0
 *
 * A second unit of the same name would steal the socket and free the leases of the first: the lock file forbids it.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "unit_stages.h"

static int make_folder(const char *folder, struct kontor_error *err)
{
	struct stat st;
	if (mkdir(folder, 0750) == 0 || (errno == EEXIST && stat(folder, &st) == 0 && S_ISDIR(st.st_mode)))
		return 0;
	return kontor_fail(err, KONTOR_E_UNAVAILABLE, "folder %s cannot be made: %s", folder, strerror(errno));
}

/* "all@db1 6f1c2a90": unit, machine and runtime folder, so that only a unit whose lock we hold shares it. */
static void name_owner(struct unit *unit)
{
	char machine[65] = "";
	char folder[PATH_MAX];
	uint8_t hash[EVP_MAX_MD_SIZE] = {0};
	char digits[2 * 4 + 1];
	gethostname(machine, sizeof(machine) - 1);
	const char *path = realpath(unit->args->runtime_folder, folder) ? folder : unit->args->runtime_folder;
	EVP_Digest(path, strlen(path), hash, NULL, EVP_sha256(), NULL);
	snprintf(unit->owner, sizeof(unit->owner), "%s@%s %s", unit->args->unit, machine, kontor_hex(hash, 4, digits));
}

int unit_lock(struct unit *unit, struct kontor_error *err)
{
	char path[PATH_MAX], pid[16] = "";
	int rc = make_folder(unit->args->runtime_folder, err);
	if (!rc)
		rc = make_folder(unit->args->state_folder, err);
	if (rc)
		return rc;
	snprintf(path, sizeof(path), "%s/%s.lock", unit->args->runtime_folder, unit->args->unit);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
	if (fd < 0)
		return kontor_fail(err, KONTOR_E_UNAVAILABLE, "lock file %s: %s", path, strerror(errno));
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		ssize_t length = pread(fd, pid, sizeof(pid) - 1, 0);
		close(fd);
		pid[length > 0 ? strcspn(pid, "\n") : 0] = '\0';
		return kontor_fail(err, KONTOR_E_UNAVAILABLE, "unit %s runs already as process %s (it holds %s)",
				   unit->args->unit, pid, path);
	}
	int length = snprintf(pid, sizeof(pid), "%d\n", (int)getpid());
	if (ftruncate(fd, 0) < 0 || pwrite(fd, pid, (size_t)length, 0) != length ||
	    getrandom(&unit->instance, sizeof(unit->instance), 0) != (ssize_t)sizeof(unit->instance)) {
		close(fd);
		return kontor_fail(err, KONTOR_E_UNAVAILABLE, "lock file %s: %s", path, strerror(errno));
	}
	unit->instance >>= 1; /* 63 bits: clients in languages with signed integers read it too */
	unit->lock_fd = fd;
	name_owner(unit);
	return 0;
}

void unit_unlock(struct unit *unit)
{
	close(unit->lock_fd); /* the file stays: removing it would let a third process lock another one */
}
