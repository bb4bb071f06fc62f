/* SPDX-License-Identifier: Apache-2.0
 *
 * Certificates as CZMQ and pyzmq (zmq.auth.load_certificate) write and read them.
 */
#include "kontor/keys.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <zmq.h>

#define KEY_BYTES 32      /* of a key before it is written in Z85 */
#define FILE_LIMIT 16384  /* bytes of a key file: a comment, a name and two keys are some hundred */
#define BLANKS " \t\r\"'" /* around a value of ZPL */
#define PUBLIC_NAME "public-key"
#define SECRET_NAME "secret-key"

bool kontor_key_valid(const char *text)
{
	uint8_t bytes[KEY_BYTES];
	bool valid = strlen(text) == KONTOR_KEY_TEXT_SIZE - 1 && zmq_z85_decode(bytes, text) != NULL;
	explicit_bzero(bytes, sizeof(bytes));
	return valid;
}

int kontor_key_generate(struct kontor_key_pair *ret_pair, struct kontor_error *err)
{
	if (zmq_curve_keypair(ret_pair->public_key, ret_pair->secret_key) == 0)
		return 0;
	return kontor_fail(err, KONTOR_E_UNAVAILABLE,
			   "libzmq makes no keys (%s): install one that was built with CURVE",
			   zmq_strerror(zmq_errno()));
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

/* The value of a line `name = "value"`; false when the line is another one. */
static bool take_value(char *line, const char *name, char out[KONTOR_KEY_TEXT_SIZE])
{
	line += strspn(line, BLANKS);
	size_t size = strlen(name);
	if (strncmp(line, name, size) != 0)
		return false;
	char *value = line + size + strspn(line + size, BLANKS);
	if (*value++ != '=')
		return false;
	value += strspn(value, BLANKS);
	size = strcspn(value, BLANKS); /* none of these is a character of Z85 */
	value[size] = '\0';
	snprintf(out, KONTOR_KEY_TEXT_SIZE, "%s", size < KONTOR_KEY_TEXT_SIZE ? value : "");
	return true;
}

/* What of a pair stands in the text; "" for what does not. */
static void find_keys(char *text, struct kontor_key_pair *ret)
{
	char *rest = NULL;
	*ret = (struct kontor_key_pair){"", ""};
	for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
		if (!take_value(line, PUBLIC_NAME, ret->public_key))
			take_value(line, SECRET_NAME, ret->secret_key);
}

static int check_pair(const struct kontor_key_pair *pair, const char *path, struct kontor_error *err)
{
	char derived[KONTOR_KEY_TEXT_SIZE];
	if (!kontor_key_valid(pair->public_key) || !kontor_key_valid(pair->secret_key))
		return kontor_fail(
			err, KONTOR_E_BAD_REQUEST,
			"%s holds no key pair: it must be the .key_secret file that `kontor keys generate` made", path);
	if (zmq_curve_public(derived, pair->secret_key) != 0 || strcmp(derived, pair->public_key) != 0)
		return kontor_fail(err, KONTOR_E_BAD_REQUEST,
				   "%s: its public key does not belong to its secret key: use the file that `kontor "
				   "keys generate` made, unchanged",
				   path);
	return 0;
}

static int read_text(int fd, const char *path, bool secret, char text[FILE_LIMIT], struct kontor_error *err)
{
	struct stat st;
	size_t length = 0;
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
		return kontor_fail(err, KONTOR_E_BAD_REQUEST, "%s: must be a regular file", path);
	if (secret && (st.st_mode & S_IRWXO))
		return kontor_fail(err, KONTOR_E_DENIED,
				   "%s: every user of the machine may open this secret key (mode %04o): chmod 600 %s",
				   path, st.st_mode & 07777, path);
	ssize_t n;
	while (length + 1 < FILE_LIMIT && (n = read(fd, text + length, FILE_LIMIT - 1 - length)) > 0)
		length += (size_t)n;
	text[length] = '\0';
	return 0;
}

/* Nothing of the file is ever in a message. */
static int read_keys(const char *path, bool secret, struct kontor_key_pair *ret, struct kontor_error *err)
{
	char text[FILE_LIMIT];
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK); /* a FIFO is refused, not waited for */
	if (fd < 0)
		return kontor_fail(err, errno == ENOENT ? KONTOR_E_NOT_FOUND : KONTOR_E_STORAGE,
				   "%s cannot be read: %s; `kontor keys generate` makes a key pair", path,
				   strerror(errno));
	int rc = read_text(fd, path, secret, text, err);
	close(fd);
	if (!rc)
		find_keys(text, ret);
	explicit_bzero(text, sizeof(text));
	return rc;
}

int kontor_key_load(const char *path, struct kontor_key_pair *ret_pair, struct kontor_error *err)
{
	struct kontor_key_pair pair;
	int rc = read_keys(path, true, &pair, err);
	if (!rc)
		rc = check_pair(&pair, path, err);
	if (!rc)
		*ret_pair = pair;
	explicit_bzero(&pair, sizeof(pair));
	return rc;
}

int kontor_key_load_public(const char *path, char *out, struct kontor_error *err)
{
	struct kontor_key_pair pair;
	int rc = read_keys(path, false, &pair, err);
	if (!rc && !kontor_key_valid(pair.public_key))
		rc = kontor_fail(err, KONTOR_E_BAD_REQUEST,
				 "%s holds no public key: it must be a file that `kontor keys generate` made", path);
	if (!rc)
		memcpy(out, pair.public_key, KONTOR_KEY_TEXT_SIZE);
	explicit_bzero(&pair, sizeof(pair));
	return rc;
}

/* ---- writing ----------------------------------------------------------------------------------------------------- */

static int fail_file(struct kontor_error *err, const char *path, int error)
{
	if (error == EEXIST)
		return kontor_fail(err, KONTOR_E_CONFLICT,
				   "%s is there already: keys are never overwritten; take another name or folder",
				   path);
	return kontor_fail(err, KONTOR_E_STORAGE, "%s cannot be written: %s", path, strerror(error));
}

/* A file that was not there, its text on disk. False: errno, and no file. */
static bool make_file(const char *path, mode_t mode, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	if (fd < 0)
		return false;
	size_t length = strlen(text), written = 0;
	for (ssize_t n = 0; n >= 0 && written<length; written += n> 0 ? (size_t)n : 0)
		n = write(fd, text + written, length - written);
	bool complete = written == length && fchmod(fd, mode) == 0 && fsync(fd) == 0;
	int error = errno;
	complete = close(fd) == 0 && complete;
	if (!complete)
		unlink(path);
	errno = error;
	return complete;
}

static bool sync_folder(const char *folder)
{
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool done = fd >= 0 && fsync(fd) == 0;
	if (fd >= 0)
		close(fd);
	return done;
}

static void write_certificate(char *out, size_t size, const char *name, const struct kontor_key_pair *pair, bool secret)
{
	int length = snprintf(out, size,
			      "# ZeroMQ CURVE certificate made by `kontor keys generate`: %s\n"
			      "metadata\n    name = \"%s\"\ncurve\n    " PUBLIC_NAME " = \"%s\"\n",
			      secret ? "the SECRET key; it never leaves its machine" : "the public key, for anybody",
			      name, pair->public_key);
	if (secret && length > 0 && (size_t)length < size)
		snprintf(out + length, size - (size_t)length, "    " SECRET_NAME " = \"%s\"\n", pair->secret_key);
}

int kontor_key_save(const struct kontor_key_pair *pair, const char *folder, const char *name, struct kontor_error *err)
{
	char public_path[PATH_MAX], secret_path[PATH_MAX], text[1024];
	if (snprintf(public_path, sizeof(public_path), "%s/%s.key", folder, name) >= PATH_MAX ||
	    snprintf(secret_path, sizeof(secret_path), "%s/%s.key_secret", folder, name) >= PATH_MAX)
		return kontor_fail(err, KONTOR_E_BAD_REQUEST, "the path of the key files is too long");
	write_certificate(text, sizeof(text), name, pair, false);
	if (!make_file(public_path, 0644, text))
		return fail_file(err, public_path, errno);
	write_certificate(text, sizeof(text), name, pair, true);
	bool made = make_file(secret_path, 0600, text);
	int error = errno;
	explicit_bzero(text, sizeof(text));
	if (made && sync_folder(folder))
		return 0;
	if (made) {
		error = errno;
		unlink(secret_path);
	}
	unlink(public_path);
	return fail_file(err, secret_path, error);
}
