/* SPDX-License-Identifier: Apache-2.0
 *
 * Data files from rows, and publication of them, on a real database and a real folder: what a crash or a stranger's
 * hand leaves behind is found or made good.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/pem.h>

#include "chain.h"
#include "manifest.h"
#include "publication.h"
#include "safefile.h"
#include "statements.h"
#include "test_database.h"

extern const struct kontor_schema_step safefile_schema[];
extern const size_t safefile_schema_len;

#define PAYMENTS 5000
#define FILE_NAME "SG-2026-W45-pain001-001.xml"

static char folder[] = "/tmp/kontor-publication.XXXXXX";
static char key_file[64];
static kontor_db *db;
static kontor_conn *conn;
static kontor_arena *arena;
static uint64_t safefile_id = 100;
static struct stored_file file;
static struct stored_part *parts;
static size_t parts_len;
static struct kontor_error err;

static void run(const char *sql)
{
	struct kontor_error why = KONTOR_ERROR_INIT;
	if (kontor_db_exec(conn, sql, KONTOR_NO_PARAMS, NULL, &why))
		fail_msg("%s", why.message);
}

static void load(void)
{
	assert_int_equal(stored_file_load(conn, safefile_id, &file, &err), 0);
	assert_int_equal(stored_parts_load(conn, safefile_id, arena, &parts, &parts_len, &err), 0);
}

static int folder_of_file(void)
{
	int fd;
	assert_int_equal(safefile_folder_open(&file, true, NULL, &fd, &err), 0);
	return fd;
}

/* The row of a safefile whose payments are planned. */
static void insert_file(void)
{
	char profile_text[PROFILE_TEXT_SIZE], path[96];
	struct profile profile = {.name = "pain001",
				  .format = PROFILE_FORMAT_PAIN001,
				  .debtor_name = "Kontor",
				  .debtor_iban = "DE89370400440532013000",
				  .debtor_bic = "COBADEFF",
				  .charge_bearer = "SHAR",
				  .charset = PROFILE_CHARSET_EPC217,
				  .name_limit = 70,
				  .max_payments = 50000,
				  .currencies_len = 1,
				  .currencies = {{"SGD", 2}}};
	snprintf(path, sizeof(path), "%s/base/pain001/SG-2026-W45-%d", folder, (int)safefile_id);
	assert_int_equal(profile_to_text(&profile, profile_text, sizeof(profile_text), &err), 0);
	assert_int_equal(kontor_db_exec(conn, SQL_INSERT_FILE,
					KONTOR_PARAMS(P_UINT(safefile_id), P_STRING("SG"), P_UINT(202645), P_UINT(7),
						      P_STRING("pain001"), P_STRING(profile_text), P_UINT(1),
						      P_STRING("alice"), P_STRING(path), P_STRING("2026-11-23"),
						      P_INT(INT64_C(1795341600123)), P_STRING(NULL)),
					NULL, &err),
			 0);
}

static void insert_payments(void)
{
	char e2e_id[36], account[36];
	kontor_bulk *bulk = kontor_bulk_new(COLUMNS_PAYMENT);
	for (unsigned i = 1; i <= PAYMENTS; i++) {
		snprintf(e2e_id, sizeof(e2e_id), "SG2645%016u", i);
		snprintf(account, sizeof(account), "%09u", i);
		assert_int_equal(
			kontor_bulk_add(bulk,
					KONTOR_PARAMS(P_UINT(safefile_id), P_UINT(1), P_STRING("SGD"), P_UINT(i),
						      P_UINT(safefile_id * 100000 + i), P_UINT(1), P_STRING(e2e_id),
						      P_UINT(i), P_INT(i * 7), P_STRING("Al + Co"), P_STRING("SG"),
						      P_STRING(""), P_STRING(""), P_STRING(account), P_STRING("7171"),
						      P_STRING("")),
					&err),
			0);
	}
	assert_int_equal(kontor_bulk_exec(conn, SQL_INSERT_PAYMENT, bulk, NULL, &err), 0);
	kontor_bulk_free(bulk);
}

/* A new safefile with one data file, written and verified. */
static int new_file(void **state)
{
	(void)state;
	uint64_t bytes;
	uint8_t sha256[SHA256_SIZE];
	err = (struct kontor_error)KONTOR_ERROR_INIT;
	safefile_id++;
	insert_file();
	insert_payments();
	assert_int_equal(kontor_db_exec(conn, SQL_INSERT_TOTALS, KONTOR_PARAMS(P_UINT(safefile_id)), NULL, &err), 0);
	assert_int_equal(kontor_db_exec(conn, SQL_INSERT_PART,
					KONTOR_PARAMS(P_UINT(safefile_id), P_UINT(1), P_STRING(FILE_NAME),
						      P_STRING("SG0000000000007P001"), P_UINT(PAYMENTS)),
					NULL, &err),
			 0);
	load();
	int fd = folder_of_file();
	if (produce_part(conn, fd, &file, parts, &bytes, sha256, &err))
		fail_msg("%s", err.message);
	close(fd);
	assert_int_equal(kontor_db_exec(conn, SQL_SET_PART_WRITTEN,
					KONTOR_PARAMS(P_UINT(bytes), P_BYTES(sha256, SHA256_SIZE), P_UINT(safefile_id),
						      P_UINT(1), P_BYTES(sha256, SHA256_SIZE), P_UINT(bytes)),
					NULL, &err),
			 0);
	return 0;
}

/* As publish_plan leaves it: sequence and time are fixed. */
static void begin_publication(void)
{
	char sql[200];
	snprintf(sql, sizeof(sql),
		 "UPDATE safefile SET state = 'publishing', sequence = 1, published_ms = 1795345200000 WHERE "
		 "safefile_id = %d",
		 (int)safefile_id);
	run(sql);
	load();
}

static struct publication *open_publication(void)
{
	struct publication *publication = NULL;
	if (publication_open(conn, &file, parts, parts_len, arena, &publication, &err))
		fail_msg("%s", err.message);
	return publication;
}

static bool on_disk(const char *name)
{
	int fd = folder_of_file();
	bool there = faccessat(fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
	close(fd);
	return there;
}

static bool chain_on_disk(void)
{
	char path[128];
	snprintf(path, sizeof(path), "%s/base/pain001/" CHAIN_NAME, folder);
	return access(path, F_OK) == 0;
}

/* ---- tests ---- */

static void test_a_data_file_that_is_written_again_has_the_same_bytes(void **state)
{
	(void)state;
	uint64_t bytes;
	uint8_t sha256[SHA256_SIZE];
	load();
	int fd = folder_of_file();
	unlinkat(fd, FILE_NAME, 0);
	assert_int_equal(produce_part(conn, fd, &file, parts, &bytes, sha256, &err), 0);
	close(fd);
	assert_int_equal(bytes, parts->bytes);
	assert_memory_equal(sha256, parts->sha256, SHA256_SIZE);
}

static void test_rows_that_were_changed_make_no_file(void **state)
{
	(void)state;
	char sql[200];
	uint64_t bytes;
	uint8_t sha256[SHA256_SIZE];
	load();
	int fd = folder_of_file();
	unlinkat(fd, FILE_NAME, 0);
	snprintf(sql, sizeof(sql), "UPDATE safefile_payment SET amount_minor = 8 WHERE safefile_id = %d AND seq = 1",
		 (int)safefile_id);
	run(sql);
	assert_int_equal(produce_part(conn, fd, &file, parts, &bytes, sha256, &err), KONTOR_E_INTERNAL);
	close(fd);
	assert_false(on_disk(FILE_NAME));
}

static void test_a_row_that_the_bank_would_refuse_is_found_by_the_verifier(void **state)
{
	(void)state;
	char sql[200];
	uint64_t bytes;
	uint8_t sha256[SHA256_SIZE];
	load();
	int fd = folder_of_file();
	unlinkat(fd, FILE_NAME, 0);
	snprintf(sql, sizeof(sql), "UPDATE safefile_payment SET name = 'a_b' WHERE safefile_id = %d AND seq = 4711",
		 (int)safefile_id);
	run(sql);
	assert_int_equal(produce_part(conn, fd, &file, parts, &bytes, sha256, &err), KONTOR_E_CONFLICT);
	assert_non_null(strstr(err.message, FILE_NAME " line 4716, payment 4711"));
	close(fd);
	assert_false(on_disk(FILE_NAME));
}

static void test_a_changed_byte_on_the_disk_is_named_and_a_lost_file_made_good(void **state)
{
	(void)state;
	load();
	begin_publication();
	int fd = folder_of_file();
	int data = openat(fd, FILE_NAME, O_WRONLY);
	assert_int_equal(pwrite(data, "X", 1, 4000), 1);
	close(data);
	struct publication *publication = open_publication();
	assert_int_equal(publication_check(publication, &err), KONTOR_E_CONFLICT);
	assert_non_null(strstr(err.message, FILE_NAME " is not the file that was approved"));
	unlinkat(fd, FILE_NAME, 0);
	assert_int_equal(publication_check(publication, &err), 0);
	publication_close(publication);
	close(fd);
	assert_true(on_disk(FILE_NAME));
}

static void test_publishing_twice_leaves_one_manifest_with_the_same_bytes(void **state)
{
	(void)state;
	uint8_t first[SHA256_SIZE], second[SHA256_SIZE];
	load();
	begin_publication();
	struct publication *publication = open_publication();
	assert_int_equal(publication_check(publication, &err), 0);
	if (publication_write(publication, key_file, first, &err))
		fail_msg("%s", err.message);
	publication_close(publication);
	assert_true(on_disk(MANIFEST_NAME) && on_disk(MANIFEST_SIGNATURE_NAME) && chain_on_disk());
	/* the database does not know it yet: a crash came in between */
	publication = open_publication();
	assert_int_equal(publication_check(publication, &err), 0);
	assert_int_equal(publication_write(publication, key_file, second, &err), 0);
	assert_memory_equal(first, second, SHA256_SIZE);
	bool published = false;
	assert_int_equal(publication_withdraw(publication, &published, second, &err), 0);
	assert_true(published); /* too late to take it back */
	assert_true(on_disk(MANIFEST_NAME));
	publication_close(publication);
}

static void test_nothing_is_published_once_the_job_was_taken_back(void **state)
{
	(void)state;
	char sql[200];
	uint8_t sha256[SHA256_SIZE];
	load();
	begin_publication();
	struct publication *publication = open_publication();
	assert_int_equal(publication_check(publication, &err), 0);
	/* what publish_undo does first, while this runner sleeps */
	snprintf(sql, sizeof(sql), "UPDATE safefile SET state = 'unpublishing' WHERE safefile_id = %d",
		 (int)safefile_id);
	run(sql);
	assert_int_equal(publication_write(publication, key_file, sha256, &err), KONTOR_E_CONFLICT);
	assert_false(on_disk(MANIFEST_NAME));
	assert_false(chain_on_disk());
	bool published = true;
	assert_int_equal(publication_withdraw(publication, &published, sha256, &err), 0);
	assert_false(published);
	assert_false(on_disk(MANIFEST_SIGNATURE_NAME));
	publication_close(publication);
}

static void test_a_publication_that_stopped_before_its_manifest_is_taken_back(void **state)
{
	(void)state;
	uint8_t sha256[SHA256_SIZE];
	load();
	begin_publication();
	struct publication *publication = open_publication();
	assert_int_equal(publication_check(publication, &err), 0);
	assert_int_equal(publication_write(publication, key_file, sha256, &err), 0);
	int fd = folder_of_file();
	unlinkat(fd, MANIFEST_NAME, 0); /* as if the crash had come one rename earlier */
	close(fd);
	assert_true(chain_on_disk());
	bool published = true;
	assert_int_equal(publication_withdraw(publication, &published, sha256, &err), 0);
	assert_false(published);
	assert_false(chain_on_disk());
	assert_false(on_disk(MANIFEST_SIGNATURE_NAME));
	assert_true(on_disk(FILE_NAME));
	publication_close(publication);
}

static void test_another_manifest_in_the_folder_stops_everything(void **state)
{
	(void)state;
	uint8_t sha256[SHA256_SIZE];
	load();
	begin_publication();
	int fd = folder_of_file();
	int other = openat(fd, MANIFEST_NAME, O_WRONLY | O_CREAT, 0600);
	assert_int_equal(write(other, "{}\n", 3), 3);
	close(other);
	struct publication *publication = open_publication();
	assert_int_equal(publication_write(publication, key_file, sha256, &err), KONTOR_E_CONFLICT);
	assert_non_null(strstr(err.message, "was published before"));
	bool published = true;
	assert_int_equal(publication_withdraw(publication, &published, sha256, &err), 0);
	assert_false(published);
	assert_true(on_disk(MANIFEST_NAME));
	publication_close(publication);
	close(fd);
}

/* ---- set-up ---- */

static int clear_profile_folder(void **state)
{
	(void)state;
	load();
	int profile_fd, fd;
	char name[64];
	assert_int_equal(safefile_folder_open(&file, true, &profile_fd, &fd, &err), 0);
	close(fd);
	unlinkat(profile_fd, CHAIN_NAME, 0);
	snprintf(name, sizeof(name), "%s", strrchr(file.path, '/') + 1);
	int code = folder_remove(profile_fd, name, &err);
	close(profile_fd);
	return code;
}

static int set_up(void **state)
{
	(void)state;
	if (!mkdtemp(folder))
		return 1;
	snprintf(key_file, sizeof(key_file), "%s/key.pem", folder);
	EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	FILE *pem = fopen(key_file, "w");
	fchmod(fileno(pem), 0600);
	PEM_write_PrivateKey(pem, key, NULL, NULL, 0, NULL, NULL);
	fclose(pem);
	EVP_PKEY_free(key);
	db = test_database_open();
	arena = kontor_arena_new(0);
	err = (struct kontor_error)KONTOR_ERROR_INIT;
	return kontor_db_acquire(db, &conn, &err) ||
	       kontor_schema_migrate(conn, safefile_schema, safefile_schema_len, &err);
}

static int tear_down(void **state)
{
	(void)state;
	char path[96];
	unlink(key_file);
	snprintf(path, sizeof(path), "%s/base/pain001", folder);
	rmdir(path);
	snprintf(path, sizeof(path), "%s/base", folder);
	rmdir(path);
	rmdir(folder);
	kontor_arena_free(arena);
	kontor_db_release(conn);
	test_database_close(db);
	return 0;
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, new_file, clear_profile_folder)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_data_file_that_is_written_again_has_the_same_bytes),
		TEST(test_rows_that_were_changed_make_no_file),
		TEST(test_a_row_that_the_bank_would_refuse_is_found_by_the_verifier),
		TEST(test_a_changed_byte_on_the_disk_is_named_and_a_lost_file_made_good),
		TEST(test_publishing_twice_leaves_one_manifest_with_the_same_bytes),
		TEST(test_nothing_is_published_once_the_job_was_taken_back),
		TEST(test_a_publication_that_stopped_before_its_manifest_is_taken_back),
		TEST(test_another_manifest_in_the_folder_stops_everything),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
