/* SPDX-License-Identifier: Apache-2.0
 *
 * Manifest, signature, and the files around them.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "chain.h"
#include "manifest.h"
#include "sign.h"

static char folder[] = "/tmp/kontor-manifest.XXXXXX";
static int folder_fd;
static char key_file[64];
static EVP_PKEY *key;

static struct stored_file file = {.safefile_id = 38685362216961,
				  .run_id = 38685362215937,
				  .region = "SG",
				  .window = 202645,
				  .profile = {.name = "pain001"},
				  .sequence = 1,
				  .execution_date = "2026-11-23",
				  .created_ms = INT64_C(1795341600123),
				  .published_ms = INT64_C(1795345200000),
				  .payments = 3};
static struct stored_part parts[] = {
	{.part_no = 1,
	 .file_name = "SG-2026-W45-pain001-001.xml",
	 .payments = 2,
	 .bytes = 10,
	 .written = true,
	 .totals_len = 2,
	 .totals = {{"JPY", 1, 500}, {"SGD", 1, 1250}}},
	{.part_no = 2,
	 .file_name = "SG-2026-W45-pain001-002.xml",
	 .payments = 1,
	 .bytes = 20,
	 .written = true,
	 .totals_len = 1,
	 .totals = {{"SGD", 1, 50}}},
};

static const char *make(kontor_arena *arena, size_t *size)
{
	const char *text = NULL;
	struct kontor_error err = KONTOR_ERROR_INIT;
	assert_int_equal(manifest_make(&file, parts, 2, arena, &text, size, &err), 0);
	return text;
}

static void test_the_manifest_has_a_fixed_form(void **state)
{
	(void)state;
	size_t size;
	kontor_arena *arena = kontor_arena_new(0);
	const char *zeros = "0000000000000000000000000000000000000000000000000000000000000000";
	const char *wanted = kontor_arena_format(
		arena,
		"{\n  \"format\": \"kontor-safefile-1\",\n  \"safefile_id\": \"38685362216961\",\n  \"region\": "
		"\"SG\",\n"
		"  \"window\": \"2026-W45\",\n  \"run_id\": \"38685362215937\",\n  \"profile\": \"pain001\",\n"
		"  \"sequence\": 1,\n  \"supersedes\": null,\n  \"previous_manifest_sha256\": null,\n"
		"  \"created\": \"2026-11-22T10:00:00.123Z\",\n  \"published\": \"2026-11-22T11:00:00Z\",\n"
		"  \"execution_date\": \"2026-11-23\",\n  \"files\": [\n    {\n"
		"      \"name\": \"SG-2026-W45-pain001-001.xml\",\n      \"bytes\": 10,\n      \"sha256\": \"%s\",\n"
		"      \"payments\": 2,\n      \"control_sums\": {\n        \"JPY\": 500,\n        \"SGD\": 1250\n     "
		" }\n"
		"    },\n    {\n      \"name\": \"SG-2026-W45-pain001-002.xml\",\n      \"bytes\": 20,\n"
		"      \"sha256\": \"%s\",\n      \"payments\": 1,\n      \"control_sums\": {\n        \"SGD\": 50\n   "
		"   }\n"
		"    }\n  ],\n  \"payments\": 3,\n  \"control_sums\": {\n    \"JPY\": 500,\n    \"SGD\": 1300\n  "
		"}\n}\n",
		zeros, zeros);
	assert_string_equal(make(arena, &size), wanted);
	kontor_arena_free(arena);
}

static bool verifies(const void *data, size_t size, const uint8_t *signature)
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	bool fine = EVP_DigestVerifyInit(context, NULL, NULL, NULL, key) == 1 &&
		    EVP_DigestVerify(context, signature, SIGNATURE_SIZE, data, size) == 1;
	EVP_MD_CTX_free(context);
	return fine;
}

static void test_every_flipped_bit_of_manifest_or_signature_is_found(void **state)
{
	(void)state;
	size_t size;
	uint8_t signature[SIGNATURE_SIZE], again[SIGNATURE_SIZE];
	struct kontor_error err = KONTOR_ERROR_INIT;
	kontor_arena *arena = kontor_arena_new(0);
	const char *made = make(arena, &size);
	char *manifest = kontor_arena_copy(arena, made, size);
	assert_int_equal(manifest_sign(key_file, manifest, size, signature, &err), 0);
	assert_true(verifies(manifest, size, signature));
	assert_int_equal(manifest_sign(key_file, manifest, size, again, &err), 0);
	assert_memory_equal(signature, again, SIGNATURE_SIZE); /* Ed25519 draws no random number */
	for (size_t bit = 0; bit < 8 * size; bit += 37) {
		manifest[bit / 8] ^= (char)(1 << bit % 8);
		assert_false(verifies(manifest, size, signature));
		manifest[bit / 8] ^= (char)(1 << bit % 8);
	}
	for (size_t bit = 0; bit < 8 * SIGNATURE_SIZE; bit++) {
		signature[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_false(verifies(manifest, size, signature));
		signature[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	kontor_arena_free(arena);
}

static void test_a_key_that_others_can_read_is_refused(void **state)
{
	(void)state;
	struct kontor_error err = KONTOR_ERROR_INIT;
	assert_int_equal(manifest_sign(key_file, NULL, 0, NULL, &err), 0);
	chmod(key_file, 0640);
	assert_int_equal(manifest_sign(key_file, NULL, 0, NULL, &err), KONTOR_E_DENIED);
	assert_non_null(strstr(err.message, key_file));
	chmod(key_file, 0600);
}

static void test_something_else_than_an_ed25519_key_is_refused(void **state)
{
	(void)state;
	struct kontor_error err = KONTOR_ERROR_INIT;
	char path[96];
	snprintf(path, sizeof(path), "%s/other.pem", folder);
	EVP_PKEY *rsa = EVP_RSA_gen(2048);
	FILE *out = fopen(path, "w");
	fchmod(fileno(out), 0600);
	PEM_write_PrivateKey(out, rsa, NULL, NULL, 0, NULL, NULL);
	fclose(out);
	EVP_PKEY_free(rsa);
	assert_int_equal(manifest_sign(path, NULL, 0, NULL, &err), KONTOR_E_CONFLICT);
	assert_non_null(strstr(err.message, "openssl genpkey -algorithm ed25519"));
	unlink(path);
	assert_int_equal(manifest_sign(path, NULL, 0, NULL, &err), KONTOR_E_CONFLICT);
}

static void test_the_digest_covers_hashes_counts_and_sums(void **state)
{
	(void)state;
	uint8_t digest[SHA256_SIZE], other[SHA256_SIZE];
	struct kontor_error err = KONTOR_ERROR_INIT;
	assert_int_equal(stored_digest(&file, parts, 2, digest, &err), 0);
	parts[1].sha256[31] ^= 1;
	assert_int_equal(stored_digest(&file, parts, 2, other, &err), 0);
	assert_memory_not_equal(digest, other, SHA256_SIZE);
	parts[1].sha256[31] ^= 1;
	parts[0].totals[0].amount_minor++;
	assert_int_equal(stored_digest(&file, parts, 2, other, &err), 0);
	assert_memory_not_equal(digest, other, SHA256_SIZE);
	parts[0].totals[0].amount_minor--;
	assert_int_equal(stored_digest(&file, parts, 1, other, &err), 0);
	assert_memory_not_equal(digest, other, SHA256_SIZE);
	parts[1].written = false;
	assert_int_equal(stored_digest(&file, parts, 2, other, &err), KONTOR_E_INTERNAL);
	parts[1].written = true;
}

/* ---- files and the chain ---- */

static struct data_file out;

static void test_a_name_appears_with_all_its_bytes_or_not_at_all(void **state)
{
	(void)state;
	struct kontor_error err = KONTOR_ERROR_INIT;
	uint64_t bytes;
	uint8_t sha256[SHA256_SIZE], again[SHA256_SIZE];
	struct stat status;
	char *data = calloc(1, 200000);
	assert_int_equal(data_file_create(&out, folder_fd, "x.xml", &err), 0);
	assert_int_equal(data_file_write(&out, data, 200000, &err), 0);
	assert_int_equal(faccessat(folder_fd, "x.xml", F_OK, 0), -1);
	assert_int_equal(data_file_commit(&out, &bytes, sha256, &err), 0);
	assert_int_equal(bytes, 200000);
	assert_int_equal(file_hash(folder_fd, "x.xml", &bytes, again, &err), 0);
	assert_memory_equal(sha256, again, SHA256_SIZE);
	assert_int_equal(fstatat(folder_fd, "x.xml", &status, 0), 0);
	assert_int_equal(status.st_mode & 0777, 0600);
	free(data);
}

static void test_a_runner_whose_temporary_file_was_removed_cannot_publish_it(void **state)
{
	(void)state;
	struct kontor_error err = KONTOR_ERROR_INIT;
	uint64_t bytes;
	uint8_t sha256[SHA256_SIZE];
	assert_int_equal(data_file_create(&out, folder_fd, "late.json", &err), 0);
	assert_int_equal(data_file_write(&out, "x", 1, &err), 0);
	assert_int_equal(data_file_seal(&out, &bytes, sha256, &err), 0);
	assert_int_equal(folder_remove_temporary(folder_fd, &err), 0);
	assert_int_equal(data_file_publish(&out, &err), KONTOR_E_STORAGE);
	assert_int_equal(faccessat(folder_fd, "late.json", F_OK, 0), -1);
}

static void test_two_runners_that_write_the_same_name_do_not_meet(void **state)
{
	(void)state;
	static struct data_file successor;
	struct kontor_error err = KONTOR_ERROR_INIT;
	uint64_t bytes;
	uint8_t sha256[SHA256_SIZE];
	assert_int_equal(data_file_create(&out, folder_fd, "both.xml", &err), 0);
	assert_int_equal(data_file_create(&successor, folder_fd, "both.xml", &err), 0);
	assert_int_equal(data_file_write(&successor, "whole", 5, &err), 0);
	assert_int_equal(data_file_commit(&successor, &bytes, sha256, &err), 0);
	data_file_discard(&out);
	assert_int_equal(file_hash(folder_fd, "both.xml", &bytes, sha256, &err), 0);
	assert_int_equal(bytes, 5);
}

static void test_a_full_disk_leaves_no_file(void **state)
{
	(void)state;
	struct kontor_error err = KONTOR_ERROR_INIT;
	uint64_t bytes;
	uint8_t sha256[SHA256_SIZE];
	assert_int_equal(data_file_create(&out, folder_fd, "full.xml", &err), 0);
	close(out.fd);
	out.fd = open("/dev/full", O_WRONLY);
	assert_int_equal(data_file_write(&out, "x", 1, &err), 0); /* still in the buffer */
	assert_int_equal(data_file_commit(&out, &bytes, sha256, &err), KONTOR_E_UNAVAILABLE);
	assert_non_null(strstr(err.message, "full.xml: No space left on device"));
	assert_int_equal(faccessat(folder_fd, "full.xml", F_OK, 0), -1);
}

static void test_a_database_older_than_the_disk_publishes_nothing(void **state)
{
	(void)state;
	struct kontor_error err = KONTOR_ERROR_INIT;
	struct chain_head database = {0}, disk = {.sequence = 1, .has_manifest = true, .safefile_id = 77};
	assert_int_equal(chain_compare(folder_fd, "pain001", &database, 78, &err), 0); /* the first one */
	memset(disk.manifest_sha256, 7, SHA256_SIZE);
	assert_int_equal(chain_write(folder_fd, &disk, &err), 0);
	assert_int_equal(chain_compare(folder_fd, "pain001", &database, 78, &err), KONTOR_E_CONFLICT);
	assert_non_null(strstr(err.message, "older than what was published"));
	/* its own publication, begun before a crash */
	assert_int_equal(chain_compare(folder_fd, "pain001", &database, 77, &err), 0);
	database = disk;
	assert_int_equal(chain_compare(folder_fd, "pain001", &database, 78, &err), 0);
	/* another manifest of the same number: two databases have published */
	database.manifest_sha256[0] ^= 1;
	assert_int_equal(chain_compare(folder_fd, "pain001", &database, 78, &err), KONTOR_E_CONFLICT);
	database.manifest_sha256[0] ^= 1;
	database.sequence = 2;
	assert_int_equal(chain_compare(folder_fd, "pain001", &database, 78, &err), KONTOR_E_CONFLICT);
	assert_non_null(strstr(err.message, "right folder"));
}

static void test_only_one_s_own_step_in_the_chain_is_taken_back(void **state)
{
	(void)state;
	struct kontor_error err = KONTOR_ERROR_INIT;
	struct chain_head none = {0}, mine = {.sequence = 1, .has_manifest = true, .safefile_id = 78};
	assert_int_equal(chain_write(folder_fd, &mine, &err), 0);
	assert_int_equal(chain_restore(folder_fd, "pain001", &none, 79, &err), 0);
	assert_int_equal(faccessat(folder_fd, CHAIN_NAME, F_OK, 0), 0);
	assert_int_equal(chain_restore(folder_fd, "pain001", &none, 78, &err), 0);
	assert_int_equal(faccessat(folder_fd, CHAIN_NAME, F_OK, 0), -1);
}

static int set_up(void **state)
{
	(void)state;
	folder_fd = mkdtemp(folder) ? open(folder, O_RDONLY | O_DIRECTORY) : -1;
	snprintf(key_file, sizeof(key_file), "%s/key.pem", folder);
	key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	FILE *pem = fopen(key_file, "w");
	if (folder_fd < 0 || !key || !pem)
		return 1;
	fchmod(fileno(pem), 0600);
	PEM_write_PrivateKey(pem, key, NULL, NULL, 0, NULL, NULL);
	return fclose(pem);
}

static int tear_down(void **state)
{
	(void)state;
	struct kontor_error err = KONTOR_ERROR_INIT;
	EVP_PKEY_free(key);
	close(folder_fd);
	return folder_remove(AT_FDCWD, folder, &err);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_manifest_has_a_fixed_form),
		cmocka_unit_test(test_every_flipped_bit_of_manifest_or_signature_is_found),
		cmocka_unit_test(test_a_key_that_others_can_read_is_refused),
		cmocka_unit_test(test_something_else_than_an_ed25519_key_is_refused),
		cmocka_unit_test(test_the_digest_covers_hashes_counts_and_sums),
		cmocka_unit_test(test_a_name_appears_with_all_its_bytes_or_not_at_all),
		cmocka_unit_test(test_a_runner_whose_temporary_file_was_removed_cannot_publish_it),
		cmocka_unit_test(test_two_runners_that_write_the_same_name_do_not_meet),
		cmocka_unit_test(test_a_full_disk_leaves_no_file),
		cmocka_unit_test(test_a_database_older_than_the_disk_publishes_nothing),
		cmocka_unit_test(test_only_one_s_own_step_in_the_chain_is_taken_back),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
