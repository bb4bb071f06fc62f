/* SPDX-License-Identifier: Apache-2.0
 *
 * Writes a message, has the official XSD judge it (KONTOR_XSD, when it is at hand), reads it back, and then damages it
 * in every way that the XSD would let pass, and some more.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "check_pain001.h"

#define FILE_NAME "SG-2026-W45-pain001-001.xml"
#define XML_LIMIT 65536

static char folder[] = "/tmp/kontor-pain001.XXXXXX";
static int folder_fd;

static const struct profile profile = {.name = "pain001",
				       .format = PROFILE_FORMAT_PAIN001,
				       .debtor_name = "Kontor Marketplace",
				       .debtor_iban = "DE89370400440532013000",
				       .debtor_bic = "COBADEFFXXX",
				       .charge_bearer = "SHAR",
				       .charset = PROFILE_CHARSET_EPC217,
				       .name_limit = 70,
				       .max_payments = 50000,
				       .currencies_len = 3,
				       .currencies = {{"JPY", 0}, {"KWD", 3}, {"SGD", 2}}};

static struct payment payments[] = {
	{.currency = "JPY",
	 .amount_minor = 120450,
	 .e2e_id = "SG26450000000000001011",
	 .name = "wang xiao ming",
	 .country = "JP",
	 .account = "1234567",
	 .bank_code = "0005",
	 .bic = "BOTKJPJT",
	 .town = "Tokyo"},
	{.currency = "KWD",
	 .amount_minor = 1,
	 .e2e_id = "SG26450000000000002012",
	 .name = "Al + Co",
	 .country = "KW",
	 .iban = "GB29NWBK60161331926819"},
	{.currency = "SGD",
	 .amount_minor = 12345,
	 .e2e_id = "SG26450000000000003013",
	 .name = "O'Neil (Sons)",
	 .country = "SG",
	 .account = "003-12345-6",
	 .bank_code = "7171"},
	{.currency = "SGD",
	 .amount_minor = 9999999999999,
	 .e2e_id = "SG26450000000000004014",
	 .name = "Nguyen Thi Anh",
	 .country = "VN",
	 .iban = "DE89370400440532013000",
	 .bic = "COBADEFF"},
};
static struct currency_total totals[] = {{"JPY", 1, 120450}, {"KWD", 1, 1}, {"SGD", 2, 10000000012344}};

static struct pain001_message message = {.profile = &profile,
					 .message_id = "SG0000000000007P001",
					 .created_ms = INT64_C(1795341600123),
					 .execution_date = "2026-11-23",
					 .totals = totals,
					 .totals_len = 3};

struct list {
	const struct payment *payments;
	size_t len, at;
};

static int next(void *arg, const struct payment **ret_payment, struct kontor_error *err)
{
	struct list *list = arg;
	(void)err;
	if (list->at == list->len)
		return 0;
	*ret_payment = &list->payments[list->at++];
	return 1;
}

/* Writes `rows` and leaves the bytes in xml. */
static int write_rows(const struct payment *rows, size_t len, char *xml, uint8_t *ret_sha256, struct kontor_error *err)
{
	struct data_file *out = malloc(sizeof(*out));
	struct list list = {rows, len, 0};
	struct payment_source source = {next, &list};
	uint64_t bytes = 0;
	size_t size = 0;
	assert_int_equal(data_file_create(out, folder_fd, FILE_NAME, err), 0);
	int code = pain001_write(out, &message, &source, err);
	if (!code)
		code = data_file_commit(out, &bytes, ret_sha256, err);
	data_file_discard(out);
	free(out);
	if (!code)
		assert_int_equal(file_read(folder_fd, FILE_NAME, xml, XML_LIMIT, &size, err), 0);
	return code;
}

/* What the verifier says about these bytes: "" when nothing. */
static const char *judge_against(const char *xml, size_t size, const struct payment *rows, size_t len)
{
	static struct kontor_error err;
	struct list list = {rows, len, 0};
	struct payment_source source = {next, &list};
	int fd = memfd_create("xml", MFD_CLOEXEC);
	assert_int_equal(write(fd, xml, size), size);
	lseek(fd, 0, SEEK_SET);
	err = (struct kontor_error)KONTOR_ERROR_INIT;
	int code = pain001_check(fd, FILE_NAME, &message, &source, &err);
	close(fd);
	assert_true((code == 0) == (err.message[0] == '\0'));
	if (code)
		assert_non_null(strstr(err.message, FILE_NAME " line "));
	return err.message;
}

static const char *judge(const char *xml)
{
	return judge_against(xml, strlen(xml), payments, 4);
}

static char *good_file(void)
{
	static char xml[XML_LIMIT];
	uint8_t sha256[SHA256_SIZE];
	struct kontor_error err = KONTOR_ERROR_INIT;
	assert_int_equal(write_rows(payments, 4, xml, sha256, &err), 0);
	return xml;
}

/* The good file with the first `from` (behind `after`, if given) replaced by `to`. */
static char *damaged(const char *after, const char *from, const char *to)
{
	static char xml[2 * XML_LIMIT];
	const char *good = good_file();
	const char *start = after ? strstr(good, after) : good;
	assert_non_null(start);
	const char *at = strstr(start, from);
	assert_non_null(at);
	snprintf(xml, sizeof(xml), "%.*s%s%s", (int)(at - good), good, to, at + strlen(from));
	return xml;
}

#define SET(field, text) snprintf((field), sizeof(field), "%s", (text))
#define assert_caught(xml, words) assert_non_null(strstr(judge(xml), words))

/* ---- writing ---- */

static void test_the_official_schema_accepts_the_file(void **state)
{
	(void)state;
	const char *xsd = getenv("KONTOR_XSD");
	char command[512];
	if (!xsd || access(xsd, R_OK) != 0)
		skip();
	good_file();
	snprintf(command, sizeof(command), "xmllint --noout --nonet --schema '%s' %s/" FILE_NAME " 2>&1", xsd, folder);
	assert_int_equal(system(command), 0);
}

static void test_the_verifier_accepts_the_file(void **state)
{
	(void)state;
	assert_string_equal(judge(good_file()), "");
}

static void test_sums_and_counts_stand_at_both_levels(void **state)
{
	(void)state;
	const char *xml = good_file();
	assert_non_null(strstr(xml, "<NbOfTxs>4</NbOfTxs><CtrlSum>100000120573.441</CtrlSum>"));
	assert_non_null(strstr(xml, "<NbOfTxs>1</NbOfTxs><CtrlSum>120450</CtrlSum>"));
	assert_non_null(strstr(xml, "<NbOfTxs>1</NbOfTxs><CtrlSum>0.001</CtrlSum>"));
	assert_non_null(strstr(xml, "<NbOfTxs>2</NbOfTxs><CtrlSum>100000000123.44</CtrlSum>"));
}

static void test_the_same_rows_give_the_same_bytes(void **state)
{
	(void)state;
	static char xml[XML_LIMIT];
	uint8_t first[SHA256_SIZE], second[SHA256_SIZE];
	struct kontor_error err = KONTOR_ERROR_INIT;
	assert_int_equal(write_rows(payments, 4, xml, first, &err), 0);
	assert_int_equal(write_rows(payments, 4, xml, second, &err), 0);
	assert_memory_equal(first, second, SHA256_SIZE);
}

static void test_markup_in_a_value_is_escaped_and_read_back(void **state)
{
	(void)state;
	struct payment rows[4];
	memcpy(rows, payments, sizeof(rows));
	SET(rows[0].name, "a<b>&\"'c");
	static char xml[XML_LIMIT];
	uint8_t sha256[SHA256_SIZE];
	struct kontor_error err = KONTOR_ERROR_INIT;
	assert_int_equal(write_rows(rows, 4, xml, sha256, &err), 0);
	assert_non_null(strstr(xml, "<Nm>a&lt;b&gt;&amp;&quot;&apos;c</Nm>"));
	/* the charset is the verifier's only complaint, so it has read the value as it was */
	assert_non_null(
		strstr(judge_against(xml, strlen(xml), rows, 4), "outside of the charset epc217 at position 2"));
}

static void test_rows_that_are_not_those_of_the_totals_make_no_file(void **state)
{
	(void)state;
	static char xml[XML_LIMIT];
	uint8_t sha256[SHA256_SIZE];
	struct kontor_error err = KONTOR_ERROR_INIT;
	struct payment rows[5];
	unlinkat(folder_fd, FILE_NAME, 0);
	memcpy(rows, payments, sizeof(payments));
	rows[4] = payments[3];
	assert_int_equal(write_rows(rows, 3, xml, sha256, &err), KONTOR_E_INTERNAL);
	assert_int_equal(write_rows(rows, 5, xml, sha256, &err), KONTOR_E_INTERNAL);
	rows[1].amount_minor++;
	assert_int_equal(write_rows(rows, 4, xml, sha256, &err), KONTOR_E_INTERNAL);
	rows[1].amount_minor--;
	rows[3].name[0] = '\0';
	assert_int_equal(write_rows(rows, 4, xml, sha256, &err), KONTOR_E_INTERNAL);
	assert_int_equal(faccessat(folder_fd, FILE_NAME, F_OK, 0), -1); /* and nothing is left on the disk */
}

/* ---- damage: counts and sums ---- */

static void test_wrong_counts_are_caught(void **state)
{
	(void)state;
	assert_caught(damaged(NULL, "<NbOfTxs>4", "<NbOfTxs>5"), "line 4: NbOfTxs of GrpHdr is 5, the database says 4");
	assert_caught(damaged("SGD</PmtInfId>", "<NbOfTxs>2", "<NbOfTxs>1"), "NbOfTxs of PmtInf is 1");
	assert_caught(damaged(NULL, "<NbOfTxs>4", "<NbOfTxs>04"), "leading zeros");
}

static void test_wrong_sums_are_caught(void **state)
{
	(void)state;
	assert_caught(damaged(NULL, "100000120573.441", "100000120573.442"), "CtrlSum of GrpHdr is not the sum");
	assert_caught(damaged(NULL, "<CtrlSum>120450", "<CtrlSum>120451"), "CtrlSum of JPY is 120451");
	assert_caught(damaged(NULL, "<CtrlSum>120450", "<CtrlSum>0120450"), "leading zeros");
}

static void test_payments_that_do_not_add_up_are_caught_even_if_the_rows_agree(void **state)
{
	(void)state;
	struct payment rows[4];
	memcpy(rows, payments, sizeof(rows));
	rows[2].amount_minor++;
	const char *xml = damaged(NULL, ">123.45<", ">123.46<");
	assert_non_null(
		strstr(judge_against(xml, strlen(xml), rows, 4), "the payments in SGD add up to 10000000012345"));
}

static void test_wrong_amounts_are_caught(void **state)
{
	(void)state;
	assert_caught(damaged(NULL, ">123.45<", ">123.46<"), "InstdAmt is 123.46 SGD, the database says 12345");
	assert_caught(damaged(NULL, ">123.45<", ">-123.45<"), "not a decimal number");
	assert_caught(damaged(NULL, ">123.45<", ">0.00<"), "only positive amounts");
	assert_caught(damaged(NULL, ">123.45<", ">1e2<"), "not a decimal number");
}

static void test_more_decimals_than_the_currency_has_are_caught(void **state)
{
	(void)state;
	assert_caught(damaged("<InstdAmt Ccy=\"JPY\"", "120450<", "120450.000<"), "has 3 decimals, 0 are allowed");
	assert_caught(damaged(NULL, ">123.45<", ">123.450<"), "has 3 decimals, 2 are allowed");
}

/* ---- damage: ids, names, accounts ---- */

static void test_an_end_to_end_id_that_is_there_twice_is_caught(void **state)
{
	(void)state;
	/* also in the rows, so that only the comparison among each other can find it */
	struct payment rows[4];
	memcpy(rows, payments, sizeof(rows));
	SET(rows[3].e2e_id, rows[2].e2e_id);
	const char *xml = damaged(NULL, payments[3].e2e_id, payments[2].e2e_id);
	assert_non_null(strstr(judge_against(xml, strlen(xml), rows, 4), "SG26450000000000003013 is there twice"));
	assert_caught(xml, "EndToEndId is \"SG26450000000000003013\", the database says \"SG26450000000000004014\"");
}

static void test_a_wrong_iban_is_caught_even_if_the_row_has_it_too(void **state)
{
	(void)state;
	struct payment rows[4];
	memcpy(rows, payments, sizeof(rows));
	SET(rows[1].iban, "GB28NWBK60161331926819");
	const char *xml = damaged(NULL, "GB29NWBK", "GB28NWBK");
	assert_non_null(strstr(judge_against(xml, strlen(xml), rows, 4),
			       "payment 2 SG26450000000000002012: the IBAN that ends in 6819 is not valid"));
}

static void test_another_valid_account_is_caught_and_not_shown(void **state)
{
	(void)state;
	const char *said = judge(damaged(NULL, "GB29NWBK60161331926819", "NO9386011117947"));
	assert_non_null(strstr(said, "the IBAN ends in \"7947\", the database has another one that ends in \"6819\""));
	assert_null(strstr(said, "NO938601"));
	assert_caught(damaged(NULL, "003-12345-6", "003-12345-7"), "the account ends in \"45-7\"");
}

static void test_letters_outside_of_the_bank_s_charset_are_caught(void **state)
{
	(void)state;
	struct payment rows[4];
	memcpy(rows, payments, sizeof(rows));
	SET(rows[0].name, "สมชาย");
	const char *xml = damaged(NULL, "wang xiao ming", "สมชาย");
	assert_non_null(
		strstr(judge_against(xml, strlen(xml), rows, 4), "the creditor's name has a character outside"));
}

static void test_another_name_currency_date_or_debtor_is_caught(void **state)
{
	(void)state;
	assert_caught(damaged(NULL, "wang xiao ming", "wang xiao min"), "the creditor's name is \"wang xiao min\"");
	assert_caught(damaged(NULL, "Ccy=\"JPY\"", "Ccy=\"SGD\""), "InstdAmt is in SGD inside of the PmtInf of JPY");
	assert_caught(damaged(NULL, "Ccy=\"JPY\"", "Ccy=\"ZZZ\""), "does not pay the currency");
	assert_caught(damaged(NULL, "2026-11-23", "2026-11-24"), "ReqdExctnDt is");
	assert_caught(damaged(NULL, "Kontor Marketplace", "Kontor Market"), "the debtor's name");
	assert_caught(damaged(NULL, "<IBAN>DE89370400440532013000", "<IBAN>GB29NWBK60161331926819"),
		      "the debtor's IBAN");
	assert_caught(damaged(NULL, "SG0000000000007P001<", "SG0000000000008P001<"), "MsgId is");
	assert_caught(damaged(NULL, ".123Z", ".124Z"), "CreDtTm");
	assert_caught(damaged(NULL, "<MmbId>7171", "<MmbId>7172"), "MmbId is \"7172\"");
}

/* ---- damage: structure ---- */

static void test_missing_elements_are_caught(void **state)
{
	(void)state;
	assert_caught(damaged(NULL, "<Nm>wang xiao ming</Nm>", ""), "<Cdtr> has no <Nm>");
	assert_caught(damaged(NULL, "<Nm>wang xiao ming</Nm>", "<Nm></Nm>"), "<Nm> is empty");
	assert_caught(damaged(NULL, "<ChrgBr>SHAR</ChrgBr>", ""), "<PmtInf> has no <ChrgBr>");
	assert_caught(damaged(NULL, "<CdtrAcct><Id><IBAN>GB29NWBK60161331926819</IBAN></Id></CdtrAcct>", ""),
		      "<CdtTrfTxInf> has no <CdtrAcct>");
	assert_caught(damaged(NULL, "<TwnNm>Tokyo</TwnNm>", ""), "<PstlAdr> has no <TwnNm>");
}

static void test_missing_and_additional_payments_are_caught(void **state)
{
	(void)state;
	static char xml[2 * XML_LIMIT], payment[4096];
	const char *good = good_file();
	const char *start = strstr(strstr(good, "SG26450000000000002012") + 1, "<CdtTrfTxInf>");
	const char *end = strstr(start, "</CdtTrfTxInf>") + strlen("</CdtTrfTxInf>");
	snprintf(payment, sizeof(payment), "%.*s", (int)(end - start), start);
	assert_caught(damaged(NULL, payment, ""), "the database says");
	snprintf(xml, sizeof(xml), "%.*s%s%s", (int)(end - good), good, payment, end);
	assert_caught(xml, "the database says");
	/* the last one, so that no other follows in its place */
	start = strstr(strstr(good, "SG26450000000000003013") + 1, "<CdtTrfTxInf>");
	end = strstr(start, "</CdtTrfTxInf>") + strlen("</CdtTrfTxInf>");
	snprintf(payment, sizeof(payment), "%.*s", (int)(end - start), start);
	assert_caught(damaged(NULL, payment, ""), "PmtInf of SGD has 1 payments, its NbOfTxs says 2");
	snprintf(xml, sizeof(xml), "%.*s%s%s", (int)(end - good), good, payment, end);
	assert_caught(xml, "the database has no further payment");
}

static void test_a_missing_or_additional_block_is_caught(void **state)
{
	(void)state;
	static char xml[2 * XML_LIMIT];
	const char *good = good_file();
	const char *block = strstr(good, "<PmtInf><PmtInfId>SG0000000000007P001SGD");
	const char *end = strstr(block, "</PmtInf>") + strlen("</PmtInf>");
	snprintf(xml, sizeof(xml), "%.*s%s", (int)(block - good), good, end);
	assert_caught(xml, "there is no PmtInf of SGD");
	snprintf(xml, sizeof(xml), "%.*s%.*s%s", (int)(end - good), good, (int)(end - block), block, end);
	assert_caught(xml, "more PmtInf than the 3");
}

static void test_elements_in_another_order_or_unknown_are_caught(void **state)
{
	(void)state;
	assert_caught(
		damaged(NULL, "<PmtMtd>TRF</PmtMtd><NbOfTxs>1</NbOfTxs>", "<NbOfTxs>1</NbOfTxs><PmtMtd>TRF</PmtMtd>"),
		"<PmtMtd> stands after <NbOfTxs>");
	assert_caught(damaged(NULL, "<PmtMtd>TRF</PmtMtd>", "<PmtMtd>TRF</PmtMtd><BtchBookg>true</BtchBookg>"),
		      "<BtchBookg> has no place in <PmtInf>");
	assert_caught(damaged(NULL, "<PmtMtd>TRF</PmtMtd>", "<PmtMtd>TRF</PmtMtd><PmtMtd>TRF</PmtMtd>"),
		      "is there twice");
	assert_caught(damaged(NULL, "<PmtMtd>", "<PmtMtd x=\"1\">"), "<PmtMtd> has an attribute");
	assert_caught(damaged(NULL, "<GrpHdr>", "x<GrpHdr>"), "text outside of a value");
	assert_caught(damaged(NULL, "pain.001.001.09\"", "pain.001.001.03\""), "is not in the namespace");
}

static void test_declarations_are_refused_before_the_parser_sees_them(void **state)
{
	(void)state;
	const char *refused = "markup that begins with \"<!\"";
	assert_caught(damaged(NULL, "<Document", "<!DOCTYPE Document SYSTEM \"http://127.0.0.1:1/x.dtd\">\n<Document"),
		      refused);
	assert_caught(damaged(NULL, "<Document", "<!DOCTYPE d [<!ENTITY e \"x\">]>\n<Document"), refused);
	assert_caught(damaged(NULL, "<GrpHdr>", "<!-- --><GrpHdr>"), refused);
	assert_caught(damaged(NULL, "<Nm>wang", "<Nm><![CDATA[x]]>wang"), refused);
	assert_caught(damaged(NULL, "<GrpHdr>", "<?pi x?><GrpHdr>"), "processing instruction");
	assert_caught(damaged(NULL, "<Nm>wang", "<Nm>&unknown;wang"), "not well-formed");
}

static void test_a_truncated_file_is_caught_at_every_length(void **state)
{
	(void)state;
	const char *good = good_file();
	size_t size = strlen(good);
	for (size_t length = 0; length < size - 1; length += 7)
		assert_string_not_equal(judge_against(good, length, payments, 4), "");
	assert_string_not_equal(judge_against(good, size - strlen("</Document>\n"), payments, 4), "");
}

/* Whatever byte is changed inside of a value or a tag, somebody notices: this is what makes the approval worth it. */
static void test_every_changed_letter_or_digit_is_caught(void **state)
{
	(void)state;
	static char xml[XML_LIMIT];
	const char *good = good_file();
	size_t size = strlen(good);
	memcpy(xml, good, size + 1);
	/* behind the XML declaration, whose encoding and version are the parser's */
	for (size_t at = (size_t)(strstr(good, "<Document") - good); at < size; at++) {
		if (!strchr("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", xml[at]))
			continue;
		xml[at] = xml[at] == '7' ? '3' : '7';
		if (!*judge(xml))
			fail_msg("position %zu: %.40s", at, xml + at);
		xml[at] = good[at];
	}
}

static int open_folder(void **state)
{
	(void)state;
	folder_fd = mkdtemp(folder) ? open(folder, O_RDONLY | O_DIRECTORY) : -1;
	return folder_fd < 0;
}

static int close_folder(void **state)
{
	(void)state;
	struct kontor_error err = KONTOR_ERROR_INIT;
	close(folder_fd);
	return folder_remove(AT_FDCWD, folder, &err);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_official_schema_accepts_the_file),
		cmocka_unit_test(test_the_verifier_accepts_the_file),
		cmocka_unit_test(test_sums_and_counts_stand_at_both_levels),
		cmocka_unit_test(test_the_same_rows_give_the_same_bytes),
		cmocka_unit_test(test_markup_in_a_value_is_escaped_and_read_back),
		cmocka_unit_test(test_rows_that_are_not_those_of_the_totals_make_no_file),
		cmocka_unit_test(test_wrong_counts_are_caught),
		cmocka_unit_test(test_wrong_sums_are_caught),
		cmocka_unit_test(test_payments_that_do_not_add_up_are_caught_even_if_the_rows_agree),
		cmocka_unit_test(test_wrong_amounts_are_caught),
		cmocka_unit_test(test_more_decimals_than_the_currency_has_are_caught),
		cmocka_unit_test(test_an_end_to_end_id_that_is_there_twice_is_caught),
		cmocka_unit_test(test_a_wrong_iban_is_caught_even_if_the_row_has_it_too),
		cmocka_unit_test(test_another_valid_account_is_caught_and_not_shown),
		cmocka_unit_test(test_letters_outside_of_the_bank_s_charset_are_caught),
		cmocka_unit_test(test_another_name_currency_date_or_debtor_is_caught),
		cmocka_unit_test(test_missing_elements_are_caught),
		cmocka_unit_test(test_missing_and_additional_payments_are_caught),
		cmocka_unit_test(test_a_missing_or_additional_block_is_caught),
		cmocka_unit_test(test_elements_in_another_order_or_unknown_are_caught),
		cmocka_unit_test(test_declarations_are_refused_before_the_parser_sees_them),
		cmocka_unit_test(test_a_truncated_file_is_caught_at_every_length),
		cmocka_unit_test(test_every_changed_letter_or_digit_is_caught),
	};
	return cmocka_run_group_tests(tests, open_folder, close_folder);
}
