/* SPDX-License-Identifier: Apache-2.0
 *
 * Key pairs and their files.
 */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "kontor/keys.h"

static char folder[] = "/tmp/kontor-keys-XXXXXX";
static struct kontor_error err;

static const char *path_of(const char *name)
{
	static char path[PATH_MAX];
	snprintf(path, sizeof(path), "%s/%s", folder, name);
	return path;
}

static void write_file(const char *name, const char *text, mode_t mode)
{
	FILE *file = fopen(path_of(name), "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
	assert_int_equal(chmod(path_of(name), mode), 0);
}

static void test_a_saved_pair_is_loaded_again(void **state)
{
	(void)state;
	struct kontor_key_pair pair, loaded;
	struct stat st;
	assert_int_equal(kontor_key_generate(&pair, &err), 0);
	assert_int_equal(kontor_key_save(&pair, folder, "one", &err), 0);
	assert_int_equal(kontor_key_load(path_of("one.key_secret"), &loaded, &err), 0);
	assert_string_equal(loaded.public_key, pair.public_key);
	assert_string_equal(loaded.secret_key, pair.secret_key);
	assert_int_equal(stat(path_of("one.key_secret"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(stat(path_of("one.key"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0644);
}

static void test_the_public_file_has_no_secret(void **state)
{
	(void)state;
	struct kontor_key_pair pair;
	char text[4096] = "";
	assert_int_equal(kontor_key_generate(&pair, &err), 0);
	assert_int_equal(kontor_key_save(&pair, folder, "two", &err), 0);
	FILE *file = fopen(path_of("two.key"), "r");
	assert_non_null(file);
	assert_true(fread(text, 1, sizeof(text) - 1, file) > 0);
	fclose(file);
	assert_non_null(strstr(text, pair.public_key));
	assert_null(strstr(text, pair.secret_key));
	assert_int_equal(kontor_key_load(path_of("two.key"), &pair, &err), KONTOR_E_DENIED); /* mode 0644 */
	assert_int_equal(chmod(path_of("two.key"), 0600), 0);
	assert_int_equal(kontor_key_load(path_of("two.key"), &pair, &err), KONTOR_E_BAD_REQUEST);
}

static void test_nothing_is_overwritten(void **state)
{
	(void)state;
	struct kontor_key_pair first, second, loaded;
	assert_int_equal(kontor_key_generate(&first, &err), 0);
	assert_int_equal(kontor_key_generate(&second, &err), 0);
	assert_string_not_equal(first.public_key, second.public_key);
	assert_int_equal(kontor_key_save(&first, folder, "three", &err), 0);
	assert_int_equal(kontor_key_save(&second, folder, "three", &err), KONTOR_E_CONFLICT);
	assert_int_equal(kontor_key_load(path_of("three.key_secret"), &loaded, &err), 0);
	assert_string_equal(loaded.secret_key, first.secret_key);
	assert_int_equal(unlink(path_of("three.key")), 0);
	assert_int_equal(kontor_key_save(&second, folder, "three", &err), KONTOR_E_CONFLICT);
	assert_int_not_equal(access(path_of("three.key"), F_OK), 0); /* no half of a pair stays */
	assert_int_equal(kontor_key_save(&second, "/nonexistent", "three", &err), KONTOR_E_STORAGE);
}

/* As CZMQ's zcert_save() and pyzmq's create_certificates() lay it out; the pair is that of CurveZMQ's examples. */
#define OTHERS                                                                                                         \
	"#   ****  Generated on 2026-11-22 10:00:00 by CZMQ  ****\n\nmetadata\n    email = \"x\"\ncurve\n"             \
	"    public-key = \"Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID\"\n"
#define SECRET_LINE "    secret-key = \"D:)Q[IlAW!ahhC2ac:9*A}h:p?([4%wOTJ%JR%cs\"\n"

static void test_other_programs_files_are_read(void **state)
{
	(void)state;
	struct kontor_key_pair pair;
	write_file("czmq.key_secret", OTHERS SECRET_LINE, 0600);
	assert_int_equal(kontor_key_load(path_of("czmq.key_secret"), &pair, &err), 0);
	assert_string_equal(pair.public_key, "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID");
}

static void test_what_is_no_pair_is_refused(void **state)
{
	(void)state;
	static const char *const texts[] = {
		"",
		"\n\n",
		OTHERS,                     /* no secret */
		SECRET_LINE,                /* no public key */
		"public-key\nsecret-key\n", /* no values */
		"curve\n public-key = \"Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID\n secret-key = \"short\"\n",
		/* halves of two pairs */
		OTHERS "    secret-key = \"JTKVSB%%)wK0E.X)V>+}o?pNmC{O&4W4b!Ni{Lh6\"\n",
		/* a character that Z85 does not have */
		"public-key = \"Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hI~\"\n" SECRET_LINE,
	};
	struct kontor_key_pair pair = {"before", "before"};
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		write_file("bad.key_secret", texts[i], 0600);
		assert_int_equal(kontor_key_load(path_of("bad.key_secret"), &pair, &err), KONTOR_E_BAD_REQUEST);
		assert_null(strstr(err.message, "JTKVSB"));
		assert_null(strstr(err.message, "D:)Q["));
	}
	assert_string_equal(pair.public_key, "before");
	assert_int_equal(kontor_key_load(path_of("none"), &pair, &err), KONTOR_E_NOT_FOUND);
	assert_int_equal(kontor_key_load(folder, &pair, &err), KONTOR_E_BAD_REQUEST);
	write_file("open.key_secret", OTHERS SECRET_LINE, 0604);
	assert_int_equal(kontor_key_load(path_of("open.key_secret"), &pair, &err), KONTOR_E_DENIED);
	assert_non_null(strstr(err.message, "chmod 600"));
}

static void test_a_key_has_forty_characters_of_z85(void **state)
{
	(void)state;
	assert_true(kontor_key_valid("Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID"));
	assert_false(kontor_key_valid("Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hI"));
	assert_false(kontor_key_valid("Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hIDDDDDD"));
	assert_false(kontor_key_valid("Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hI\""));
	assert_false(kontor_key_valid("Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{h\xc3\xa9"));
	assert_false(kontor_key_valid(""));
}

static int make_folder(void **state)
{
	(void)state;
	return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
	(void)state;
	static const char *const names[] = {"one.key",          "one.key_secret",  "two.key",        "two.key_secret",
					    "three.key_secret", "czmq.key_secret", "bad.key_secret", "open.key_secret"};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		unlink(path_of(names[i]));
	return rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_saved_pair_is_loaded_again),
		cmocka_unit_test(test_the_public_file_has_no_secret),
		cmocka_unit_test(test_nothing_is_overwritten),
		cmocka_unit_test(test_other_programs_files_are_read),
		cmocka_unit_test(test_what_is_no_pair_is_refused),
		cmocka_unit_test(test_a_key_has_forty_characters_of_z85),
	};
	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
