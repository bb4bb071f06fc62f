/* SPDX-License-Identifier: Apache-2.0 */
#include "stored.h"

#include <stdio.h>
#include <string.h>

#include "statements.h"

static void copy(char *out, size_t size, const char *value)
{
	snprintf(out, size, "%s", value);
}

static bool copy_hash(const kontor_rows *rows, unsigned column, uint8_t *out)
{
	struct kontor_text value = kontor_rows_text(rows, column);
	if (!value.data || value.size != SHA256_SIZE)
		return false;
	memcpy(out, value.data, SHA256_SIZE);
	return true;
}

static int read_file(const kontor_rows *rows, struct stored_file *f, struct kontor_error *err)
{
	copy(f->region, sizeof(f->region), kontor_rows_string(rows, 0));
	f->window = (uint32_t)kontor_rows_uint(rows, 1);
	f->run_id = kontor_rows_uint(rows, 2);
	copy(f->state, sizeof(f->state), kontor_rows_string(rows, 3));
	f->job_id = kontor_rows_uint(rows, 4);
	f->publish_job_id = kontor_rows_uint(rows, 5);
	copy(f->user, sizeof(f->user), kontor_rows_string(rows, 6));
	f->payments = kontor_rows_uint(rows, 7);
	copy(f->path, sizeof(f->path), kontor_rows_string(rows, 8));
	f->sequence = kontor_rows_uint(rows, 9);
	f->supersedes = kontor_rows_uint(rows, 10);
	f->has_previous = copy_hash(rows, 11, f->previous_manifest);
	f->has_manifest = copy_hash(rows, 12, f->manifest_sha256);
	f->has_digest = copy_hash(rows, 13, f->digest);
	copy(f->execution_date, sizeof(f->execution_date), kontor_rows_string(rows, 14));
	f->created_ms = kontor_rows_int(rows, 15);
	f->published_ms = kontor_rows_int(rows, 16);
	return profile_from_text(kontor_rows_text(rows, 17), &f->profile, err);
}

int stored_file_load(kontor_conn *conn, uint64_t safefile_id, struct stored_file *ret_file, struct kontor_error *err)
{
	kontor_rows *rows;
	int code =
		kontor_db_query(conn, KONTOR_READ_ALL, SQL_LOAD_FILE, KONTOR_PARAMS(P_UINT(safefile_id)), &rows, err);
	if (code)
		return code;
	struct stored_file file = {.safefile_id = safefile_id};
	code = kontor_rows_next(rows, err);
	if (code > 0)
		code = read_file(rows, &file, err);
	else if (code == 0)
		code = kontor_fail(err, KONTOR_E_NOT_FOUND, "there is no safefile %llu",
				   (unsigned long long)safefile_id);
	kontor_rows_close(rows);
	if (!code)
		*ret_file = file;
	return code;
}

static void read_part(const kontor_rows *rows, struct stored_part *part)
{
	part->part_no = (unsigned)kontor_rows_uint(rows, 0);
	copy(part->file_name, sizeof(part->file_name), kontor_rows_string(rows, 1));
	copy(part->message_id, sizeof(part->message_id), kontor_rows_string(rows, 2));
	part->payments = kontor_rows_uint(rows, 3);
	part->bytes = kontor_rows_uint(rows, 4);
	part->written = copy_hash(rows, 5, part->sha256);
}

/* Rows are (part, currency): a new part begins where part_no changes. */
static int read_parts(kontor_rows *rows, kontor_arena *arena, struct stored_part **parts, size_t *len,
		      struct kontor_error *err)
{
	size_t room = 0;
	int code;
	while ((code = kontor_rows_next(rows, err)) > 0) {
		if (*len == 0 || (*parts)[*len - 1].part_no != kontor_rows_uint(rows, 0)) {
			if (*len == room) {
				room = room ? room * 2 : 8;
				struct stored_part *more = kontor_arena_alloc(arena, room * sizeof(**parts));
				if (!more)
					return kontor_fail(err, KONTOR_E_INTERNAL, "out of memory for %zu data files",
							   room);
				if (*len)
					memcpy(more, *parts, *len * sizeof(**parts));
				*parts = more;
			}
			read_part(rows, &(*parts)[(*len)++]);
		}
		struct stored_part *part = &(*parts)[*len - 1];
		if (part->totals_len == KONTOR_REGION_CURRENCIES)
			return kontor_fail(err, KONTOR_E_INTERNAL, "%s has more than %d currencies", part->file_name,
					   KONTOR_REGION_CURRENCIES);
		struct currency_total *total = &part->totals[part->totals_len++];
		copy(total->currency, sizeof(total->currency), kontor_rows_string(rows, 6));
		total->payments = kontor_rows_uint(rows, 7);
		total->amount_minor = kontor_rows_int(rows, 8);
	}
	return code;
}

/* Sums of a whole safefile fit int64, so that stored_totals() can add them. */
static int check_sums(const struct stored_part *parts, size_t len, uint64_t safefile_id, struct kontor_error *err)
{
	int64_t sum = 0; /* over all currencies: an upper bound of each, since amounts are positive */
	for (size_t i = 0; i < len; i++)
		for (size_t j = 0; j < parts[i].totals_len; j++)
			if (!kontor_amount_add(&sum, parts[i].totals[j].amount_minor))
				return kontor_fail(err, KONTOR_E_CONFLICT, "the sums of safefile %llu exceed 63 bits",
						   (unsigned long long)safefile_id);
	return 0;
}

int stored_parts_load(kontor_conn *conn, uint64_t safefile_id, kontor_arena *arena, struct stored_part **ret_parts,
		      size_t *ret_len, struct kontor_error *err)
{
	kontor_rows *rows;
	struct stored_part *parts = NULL;
	size_t len = 0;
	int code =
		kontor_db_query(conn, KONTOR_READ_ALL, SQL_LOAD_PARTS, KONTOR_PARAMS(P_UINT(safefile_id)), &rows, err);
	if (code)
		return code;
	code = read_parts(rows, arena, &parts, &len, err);
	kontor_rows_close(rows);
	if (!code)
		code = check_sums(parts, len, safefile_id, err);
	if (code)
		return code;
	*ret_parts = parts;
	*ret_len = len;
	return 0;
}

struct pain001_message stored_message(const struct stored_file *file, const struct stored_part *part)
{
	return (struct pain001_message){
		.profile = &file->profile,
		.message_id = part->message_id,
		.created_ms = file->created_ms,
		.execution_date = file->execution_date,
		.totals = part->totals,
		.totals_len = part->totals_len,
	};
}

static struct currency_total *find_total(struct currency_total *totals, size_t *len, const char *currency)
{
	size_t at = 0;
	while (at < *len && strcmp(totals[at].currency, currency) < 0)
		at++;
	if (at < *len && strcmp(totals[at].currency, currency) == 0)
		return &totals[at];
	memmove(&totals[at + 1], &totals[at], (*len - at) * sizeof(*totals));
	totals[at] = (struct currency_total){0};
	copy(totals[at].currency, sizeof(totals[at].currency), currency);
	(*len)++;
	return &totals[at];
}

size_t stored_totals(const struct stored_part *parts, size_t len, struct currency_total *totals)
{
	size_t totals_len = 0;
	for (size_t i = 0; i < len; i++) {
		for (size_t j = 0; j < parts[i].totals_len; j++) {
			const struct currency_total *from = &parts[i].totals[j];
			struct currency_total *to = find_total(totals, &totals_len, from->currency);
			to->payments += from->payments;
			to->amount_minor += from->amount_minor;
		}
	}
	return totals_len;
}

static bool digest_text(EVP_MD_CTX *context, const char *text)
{
	return EVP_DigestUpdate(context, text, strlen(text)) == 1;
}

static bool digest_part(EVP_MD_CTX *context, const struct stored_part *part)
{
	char line[FILE_NAME_LIMIT + 200], hex[2 * SHA256_SIZE + 1];
	snprintf(line, sizeof(line), "file %s bytes %llu sha256 %s payments %llu\n", part->file_name,
		 (unsigned long long)part->bytes, kontor_hex(part->sha256, SHA256_SIZE, hex),
		 (unsigned long long)part->payments);
	bool fine = part->written && digest_text(context, line);
	for (size_t i = 0; i < part->totals_len && fine; i++) {
		snprintf(line, sizeof(line), "total %s payments %llu minor %lld\n", part->totals[i].currency,
			 (unsigned long long)part->totals[i].payments, (long long)part->totals[i].amount_minor);
		fine = digest_text(context, line);
	}
	return fine;
}

int stored_digest(const struct stored_file *file, const struct stored_part *parts, size_t len, uint8_t *ret_digest,
		  struct kontor_error *err)
{
	char line[160];
	snprintf(line, sizeof(line), "safefile %llu profile %s execution %s\n", (unsigned long long)file->safefile_id,
		 file->profile.name, file->execution_date);
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	bool fine = context && len && EVP_DigestInit_ex(context, EVP_sha256(), NULL) == 1 && digest_text(context, line);
	for (size_t i = 0; i < len && fine; i++)
		fine = digest_part(context, &parts[i]);
	fine = fine && EVP_DigestFinal_ex(context, ret_digest, NULL) == 1;
	EVP_MD_CTX_free(context);
	if (!fine)
		return kontor_fail(err, KONTOR_E_INTERNAL, "safefile %llu has data files that are not written yet",
				   (unsigned long long)file->safefile_id);
	return 0;
}

/* ---- payments ---- */

static int next_payment(void *arg, const struct payment **ret_payment, struct kontor_error *err)
{
	struct stored_payments *payments = arg;
	struct payment *p = &payments->payment;
	kontor_rows *rows = payments->rows;
	int code = kontor_rows_next(rows, err);
	if (code <= 0)
		return code;
	p->payout_id = kontor_rows_uint(rows, 0);
	p->attempt = (uint32_t)kontor_rows_uint(rows, 1);
	copy(p->e2e_id, sizeof(p->e2e_id), kontor_rows_string(rows, 2));
	p->shop_user_id = kontor_rows_uint(rows, 3);
	copy(p->currency, sizeof(p->currency), kontor_rows_string(rows, 4));
	p->amount_minor = kontor_rows_int(rows, 5);
	copy(p->name, sizeof(p->name), kontor_rows_string(rows, 6));
	copy(p->country, sizeof(p->country), kontor_rows_string(rows, 7));
	copy(p->town, sizeof(p->town), kontor_rows_string(rows, 8));
	copy(p->iban, sizeof(p->iban), kontor_rows_string(rows, 9));
	copy(p->account, sizeof(p->account), kontor_rows_string(rows, 10));
	copy(p->bank_code, sizeof(p->bank_code), kontor_rows_string(rows, 11));
	copy(p->bic, sizeof(p->bic), kontor_rows_string(rows, 12));
	*ret_payment = p;
	return 1;
}

int stored_payments_open(struct stored_payments *payments, kontor_conn *conn, uint64_t safefile_id, unsigned part_no,
			 struct kontor_error *err)
{
	*payments = (struct stored_payments){.source = {next_payment, payments}};
	return kontor_db_query(conn, KONTOR_READ_STREAM, SQL_LOAD_PAYMENTS,
			       KONTOR_PARAMS(P_UINT(safefile_id), P_UINT(part_no)), &payments->rows, err);
}

void stored_payments_close(struct stored_payments *payments)
{
	payments->rows = kontor_rows_close(payments->rows);
}
