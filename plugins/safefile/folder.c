/* SPDX-License-Identifier: Apache-2.0
 *
 * Where a safefile lies: BASE/<profile>/<RG>-<window>-<id>, as its row says.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "safefile.h"

int safefile_folder_open(const struct stored_file *file, bool create, int *ret_profile_fd, int *ret_fd,
			 struct kontor_error *err)
{
	char path[PATH_LIMIT];
	int base_fd = -1, profile_fd = -1;
	snprintf(path, sizeof(path), "%s", file->path);
	char *name = strrchr(path, '/');
	if (name)
		*name++ = '\0';
	char *profile = name ? strrchr(path, '/') : NULL;
	if (!profile)
		return kontor_fail(err, KONTOR_E_INTERNAL, "safefile %llu has no absolute path",
				   (unsigned long long)file->safefile_id);
	*profile++ = '\0';
	int code = folder_open(AT_FDCWD, path, create, &base_fd, err);
	if (!code)
		code = folder_open(base_fd, profile, create, &profile_fd, err);
	if (!code)
		code = folder_open(profile_fd, name, create, ret_fd, err);
	if (base_fd >= 0)
		close(base_fd);
	if (!code && ret_profile_fd)
		*ret_profile_fd = profile_fd;
	else if (profile_fd >= 0)
		close(profile_fd);
	return code;
}

int safefile_folder_remove(const struct stored_file *file, struct kontor_error *err)
{
	int profile_fd = -1, fd = -1;
	int code = safefile_folder_open(file, false, &profile_fd, &fd, err);
	if (code)
		return code == KONTOR_E_NOT_FOUND ? 0 : code;
	close(fd);
	code = folder_remove(profile_fd, strrchr(file->path, '/') + 1, err);
	close(profile_fd);
	return code;
}
