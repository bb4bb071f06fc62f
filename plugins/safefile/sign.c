/* SPDX-License-Identifier: Apache-2.0 */
#include "sign.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int open_key(const char *key_file, FILE **ret_file, struct kontor_error *err)
{
	struct stat status;
	int fd = open(key_file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return kontor_fail(err, KONTOR_E_CONFLICT, "cannot open the signing key %s: %s", key_file,
				   strerror(errno));
	if (fstat(fd, &status) || !S_ISREG(status.st_mode) || (status.st_mode & 077)) {
		close(fd);
		return kontor_fail(
			err, KONTOR_E_DENIED,
			"the signing key %s can be read by others than its owner: chmod 600 it, or make a new one",
			key_file);
	}
	*ret_file = fdopen(fd, "r");
	if (!*ret_file) {
		close(fd);
		return kontor_fail(err, KONTOR_E_INTERNAL, "out of memory");
	}
	return 0;
}

/* Never asks on a terminal. */
static int no_passphrase(char *buffer, int size, int writing, void *arg)
{
	(void)buffer, (void)size, (void)writing, (void)arg;
	return -1;
}

int manifest_sign(const char *key_file, const void *data, size_t size, uint8_t *ret_signature, struct kontor_error *err)
{
	FILE *file = NULL;
	int code = open_key(key_file, &file, err);
	if (code)
		return code;
	EVP_PKEY *key = PEM_read_PrivateKey(file, NULL, no_passphrase, NULL);
	fclose(file);
	if (!key || EVP_PKEY_get_id(key) != EVP_PKEY_ED25519) {
		EVP_PKEY_free(key);
		return kontor_fail(
			err, KONTOR_E_CONFLICT,
			"%s is not an Ed25519 private key in PEM: openssl genpkey -algorithm ed25519 -out %s", key_file,
			key_file);
	}
	if (!data) {
		EVP_PKEY_free(key);
		return 0;
	}
	size_t length = SIGNATURE_SIZE;
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	if (!context || EVP_DigestSignInit(context, NULL, NULL, NULL, key) != 1 ||
	    EVP_DigestSign(context, ret_signature, &length, data, size) != 1 || length != SIGNATURE_SIZE)
		code = kontor_fail(err, KONTOR_E_INTERNAL, "signing with %s failed", key_file);
	EVP_MD_CTX_free(context);
	EVP_PKEY_free(key);
	return code;
}
