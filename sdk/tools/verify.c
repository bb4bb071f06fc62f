/* SPDX-License-Identifier: Apache-2.0 */
#include "verify.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <openssl/pem.h>

#include "kontor/text.h"

#define MANIFEST "manifest.json"
#define SIGNATURE "manifest.json.sig"
#define FORMAT "kontor-safefile-1"
#define MANIFEST_LIMIT (16u << 20)
#define SIGNATURE_SIZE 64
#define SHA256_SIZE 32
#define READ_SIZE (1u << 16)

/* Opens a regular file of the folder; complains and gives -1 when there is none. Links are not followed: what was
 * signed is the folder's own files. */
static int open_file(int folder, const char *name, uint64_t *ret_size)
{
	struct stat status;
	int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0) {
		complain("%s: %s", name, errno == ENOENT ? "is missing" : strerror(errno));
		return -1;
	}
	if (fstat(fd, &status) || !S_ISREG(status.st_mode)) {
		complain("%s: is no regular file", name);
		close(fd);
		return -1;
	}
	*ret_size = (uint64_t)status.st_size;
	return fd;
}

/* A small file as a whole, with a NUL behind it; NULL after complaining. The caller frees it. */
static char *read_file(int folder, const char *name, size_t limit, size_t *ret_size)
{
	uint64_t size = 0;
	int fd = open_file(folder, name, &size);
	if (fd < 0)
		return NULL;
	char *data = size <= limit ? malloc(size + 1) : NULL;
	size_t have = 0;
	ssize_t n = 1;
	while (data && have < size && (n = read(fd, data + have, size - have)) > 0)
		have += (size_t)n;
	close(fd);
	if (!data || have < size) {
		complain("%s: %s", name, data ? "could not be read" : "is too big");
		free(data);
		return NULL;
	}
	data[have] = '\0';
	*ret_size = have;
	return data;
}

static EVP_PKEY *read_public_key(const char *path)
{
	FILE *file = fopen(path, "re");
	if (!file) {
		complain("%s: %s", path, strerror(errno));
		return NULL;
	}
	EVP_PKEY *key = PEM_read_PUBKEY(file, NULL, NULL, NULL);
	fclose(file);
	if (key && EVP_PKEY_get_id(key) == EVP_PKEY_ED25519)
		return key;
	complain("%s: is no Ed25519 public key in PEM", path);
	EVP_PKEY_free(key);
	return NULL;
}

static bool signature_right(const char *public_key, const char *manifest, size_t size, const char *signature)
{
	EVP_PKEY *key = read_public_key(public_key);
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	bool right = false;
	if (key && context) {
		right = EVP_DigestVerifyInit(context, NULL, NULL, NULL, key) == 1 &&
			EVP_DigestVerify(context, (const unsigned char *)signature, SIGNATURE_SIZE,
					 (const unsigned char *)manifest, size) == 1;
		if (!right)
			complain(SIGNATURE " is not the signature of " MANIFEST
					   " by the key %s: one of them was changed",
				 public_key);
	}
	EVP_MD_CTX_free(context);
	EVP_PKEY_free(key);
	return right;
}

static bool check_signature(int folder, const char *public_key, const char *manifest, size_t size)
{
	size_t signature_size = 0;
	char *signature = read_file(folder, SIGNATURE, READ_SIZE, &signature_size);
	bool right = false;
	if (signature && signature_size != SIGNATURE_SIZE)
		complain(SIGNATURE ": has %zu bytes, an Ed25519 signature has %d", signature_size, SIGNATURE_SIZE);
	else if (signature)
		right = signature_right(public_key, manifest, size, signature);
	free(signature);
	return right;
}

/* SHA-256 of an open file as hexadecimal; false when it cannot be read. */
static bool hash_file(int fd, char *ret_hex)
{
	unsigned char buffer[READ_SIZE], hash[SHA256_SIZE];
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	ssize_t n = 0;
	bool ok = context && EVP_DigestInit_ex(context, EVP_sha256(), NULL) == 1;
	while (ok && (n = read(fd, buffer, sizeof(buffer))) > 0)
		ok = EVP_DigestUpdate(context, buffer, (size_t)n) == 1;
	ok = ok && n == 0 && EVP_DigestFinal_ex(context, hash, NULL) == 1;
	EVP_MD_CTX_free(context);
	if (ok)
		kontor_hex(hash, sizeof(hash), ret_hex);
	return ok;
}

static bool check_data_file(int folder, const json_t *entry)
{
	const char *name = json_string_value(json_object_get(entry, "name"));
	const char *sha256 = json_string_value(json_object_get(entry, "sha256"));
	json_int_t bytes = json_integer_value(json_object_get(entry, "bytes"));
	char hex[2 * SHA256_SIZE + 1];
	uint64_t size = 0;
	if (!name || !sha256 || !name[0] || strchr(name, '/')) {
		complain(MANIFEST ": has an entry of `files` without a plain name or a sha256");
		return false;
	}
	int fd = open_file(folder, name, &size);
	if (fd < 0)
		return false;
	bool right = false;
	if (size != (uint64_t)bytes)
		complain("%s: has %llu bytes, the manifest says %lld", name, (unsigned long long)size,
			 (long long)bytes);
	else if (!hash_file(fd, hex))
		complain("%s: could not be read", name);
	else if (strcmp(hex, sha256) != 0)
		complain("%s: was changed: its SHA-256 is %s, the manifest says %s", name, hex, sha256);
	else
		right = true;
	close(fd);
	return right;
}

static bool is_named(const json_t *files, const char *name)
{
	size_t i;
	const json_t *entry;
	if (strcmp(name, MANIFEST) == 0 || strcmp(name, SIGNATURE) == 0)
		return true;
	json_array_foreach(files, i, entry)
	{
		const char *listed = json_string_value(json_object_get(entry, "name"));
		if (listed && strcmp(listed, name) == 0)
			return true;
	}
	return false;
}

/* A file that the manifest does not name must not be taken for a part of the payment. */
static bool check_no_others(const char *path, const json_t *files)
{
	DIR *folder = opendir(path);
	const struct dirent *entry;
	bool right = folder != NULL;
	while (folder && (entry = readdir(folder))) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
		    is_named(files, entry->d_name))
			continue;
		complain("%s: is not named by the manifest", entry->d_name);
		right = false;
	}
	if (folder)
		closedir(folder);
	return right;
}

/* The manifest of the safefile before this one hashes to what this one says. */
static bool check_chain(const char *after, const json_t *manifest)
{
	char hex[2 * SHA256_SIZE + 1] = "";
	uint64_t size = 0;
	const char *previous = json_string_value(json_object_get(manifest, "previous_manifest_sha256"));
	int folder = open(after, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (folder < 0) {
		complain("%s: %s", after, strerror(errno));
		return false;
	}
	int fd = open_file(folder, MANIFEST, &size);
	close(folder);
	bool read_all = fd >= 0 && hash_file(fd, hex);
	if (fd >= 0)
		close(fd);
	if (read_all && previous && strcmp(previous, hex) == 0)
		return true;
	if (!read_all)
		complain("%s is no published safefile", after);
	else
		complain("%s is not the safefile before this one: its " MANIFEST
			 " has the SHA-256 %s, this one follows %s",
			 after, hex, previous ? previous : "none");
	return false;
}

static json_t *report_of(const char *path, const json_t *manifest)
{
	static const char *const copied[] = {"safefile_id", "region",   "window",   "run_id",
					     "profile",     "sequence", "payments", "control_sums"};
	json_t *report = json_object();
	json_object_set_new(report, "state", json_string("valid"));
	json_object_set_new(report, "path", json_string(path));
	for (size_t i = 0; i < sizeof(copied) / sizeof(copied[0]); i++) {
		json_t *value = json_object_get(manifest, copied[i]);
		if (value)
			json_object_set(report, copied[i], value);
	}
	json_object_set_new(report, "files",
			    json_integer((json_int_t)json_array_size(json_object_get(manifest, "files"))));
	return report;
}

static bool check_manifest(int folder, const char *path, const char *after, const json_t *manifest)
{
	const char *format = json_string_value(json_object_get(manifest, "format"));
	const json_t *files = json_object_get(manifest, "files"), *entry;
	bool right = true;
	size_t i;
	if (!format || strcmp(format, FORMAT) != 0 || !json_is_array(files)) {
		complain(MANIFEST ": is not of the format " FORMAT ", the only one that is known here");
		return false;
	}
	json_array_foreach(files, i, entry) right = check_data_file(folder, entry) && right;
	right = check_no_others(path, files) && right;
	if (after)
		right = check_chain(after, manifest) && right;
	return right;
}

int verify_safefile(const char *path, const char *public_key, const char *after, json_t **ret_report)
{
	size_t size = 0;
	json_t *manifest = NULL;
	int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (folder < 0) {
		complain("%s: %s", path, strerror(errno));
		return EXIT_REFUSED;
	}
	char *text = read_file(folder, MANIFEST, MANIFEST_LIMIT, &size);
	bool right = text && check_signature(folder, public_key, text, size);
	if (right) { /* only what is signed is worth being parsed */
		manifest = json_loadb(text, size, JSON_REJECT_DUPLICATES, NULL);
		if (!manifest)
			complain(MANIFEST ": is no JSON");
		right = manifest && check_manifest(folder, path, after, manifest);
	}
	if (right)
		*ret_report = report_of(path, manifest);
	json_decref(manifest);
	free(text);
	close(folder);
	return right ? EXIT_DONE : EXIT_REFUSED;
}
