/* SPDX-License-Identifier: Apache-2.0 */
#include "out_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "interrupt.h"

#define FILE_MODE 0600

/* Why what stands at the path must not be replaced; NULL: it may, or there is nothing. */
static const char *objection(const char *path)
{
	struct stat status;
	if (stat(path, &status))
		return errno == ENOENT ? NULL : strerror(errno);
	if (S_ISDIR(status.st_mode))
		return "it is a folder: name a file in it";
	if (!S_ISREG(status.st_mode))
		return "it is a device or a pipe: name a file";
	return access(path, W_OK) == 0 ? NULL : strerror(errno);
}

/* Only its owner can read it before the first byte is in it: mkostemp makes files of mode 0600. */
static int create(struct out_file *file)
{
	file->target = realpath(file->path, NULL);
	if (!file->target)
		file->target = strdup(file->path);
	if (!file->target || asprintf(&file->unfinished, "%s.XXXXXX", file->target) < 0) {
		file->unfinished = NULL;
		return ENOMEM;
	}
	int fd = mkostemp(file->unfinished, O_CLOEXEC);
	if (fd < 0)
		return errno;
	interrupt_removes(file->unfinished);
	if (fchmod(fd, FILE_MODE) == 0)
		file->out = fdopen(fd, "w");
	if (file->out)
		return 0;
	int reason = errno;
	close(fd);
	unlink(file->unfinished);
	interrupt_removes(NULL);
	return reason;
}

int out_file_open(const char *path, const char *nothing, struct out_file *ret)
{
	*ret = (struct out_file){.path = path};
	if (!path)
		return EXIT_DONE;
	const char *why = objection(path);
	int reason = why ? 0 : create(ret);
	if (!why && !reason)
		return EXIT_DONE;
	complain("%s cannot be written: %s; %s", path, why ? why : strerror(reason), nothing);
	return EXIT_REFUSED;
}

/* NULL: the file has its name. */
static const char *give_name(struct out_file *file)
{
	bool written = !ferror(file->out); /* what failed before has no errno any more */
	bool flushed = written && fflush(file->out) == 0 && fsync(fileno(file->out)) == 0;
	int reason = errno;
	if (fclose(file->out) && flushed) {
		flushed = false;
		reason = errno;
	}
	file->out = NULL;
	if (!written)
		return "a write failed: is the disk full?";
	if (flushed && rename(file->unfinished, file->target) == 0)
		return NULL;
	return strerror(flushed ? errno : reason);
}

int out_file_save(struct out_file *file, const char *advice)
{
	const char *why = file->out ? give_name(file) : NULL;
	if (why) {
		unlink(file->unfinished);
		complain("%s could not be written: %s%s%s", file->path, why, advice ? "; " : "", advice ? advice : "");
	}
	interrupt_removes(NULL);
	return why ? EXIT_REFUSED : EXIT_DONE;
}

void out_file_close(struct out_file *file)
{
	if (file->out) {
		fclose(file->out);
		unlink(file->unfinished);
		interrupt_removes(NULL);
	}
	free(file->unfinished);
	free(file->target);
}
