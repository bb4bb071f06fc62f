/* SPDX-License-Identifier: Apache-2.0
 *
 * The identity of a billing item as a hash. The format is public (items.h): audits of other tools recompute it.
 */
#include <string.h>

#include <openssl/evp.h>

#include "items.h"

/* One context a thread, initialised once: looking the algorithm up again takes longer than hashing 80 bytes. */
static _Thread_local EVP_MD_CTX *thread_context;

void item_thread_end(void)
{
	EVP_MD_CTX_free(thread_context);
	thread_context = NULL;
}

struct parts {
	size_t used;
	char bytes[256]; /* the longest identity takes 1+1 + 1+19 + 1+32 + 1+1 + 1+17 + 1+3 + 1+20 */
};

static void add_part(struct parts *parts, const char *text)
{
	size_t size = strlen(text);
	parts->bytes[parts->used++] = (char)size;
	memcpy(parts->bytes + parts->used, text, size);
	parts->used += size;
}

/* By hand: snprintf() took a third of the time of reading a row. */
static void add_number(struct parts *parts, uint64_t value, bool negative)
{
	char digits[24];
	char *at = digits + sizeof(digits);
	do
		*--at = (char)('0' + value % 10);
	while (value /= 10);
	if (negative)
		*--at = '-';
	size_t size = (size_t)(digits + sizeof(digits) - at);
	parts->bytes[parts->used++] = (char)size;
	memcpy(parts->bytes + parts->used, at, size);
	parts->used += size;
}

static void add_uint(struct parts *parts, uint64_t value)
{
	add_number(parts, value, false);
}

static void add_int(struct parts *parts, int64_t value)
{
	add_number(parts, value < 0 ? 0 - (uint64_t)value : (uint64_t)value, value < 0);
}

static int hash(const struct parts *parts, uint8_t *ret_key, struct kontor_error *err)
{
	uint8_t digest[EVP_MAX_MD_SIZE];
	if (!thread_context)
		thread_context = EVP_MD_CTX_new();
	const EVP_MD *algorithm =
		thread_context && EVP_MD_CTX_get0_md(thread_context) ? NULL : EVP_sha256(); /* NULL: the same again */
	if (!thread_context || EVP_DigestInit_ex(thread_context, algorithm, NULL) != 1 ||
	    EVP_DigestUpdate(thread_context, parts->bytes, parts->used) != 1 ||
	    EVP_DigestFinal_ex(thread_context, digest, NULL) != 1)
		return kontor_fail(err, KONTOR_E_INTERNAL, "OpenSSL cannot compute SHA-256");
	memcpy(ret_key, digest, KONTOR_IDENTITY_SIZE);
	return 0;
}

static int hash_facts(const struct item *item, uint8_t *ret_key, struct kontor_error *err)
{
	struct parts facts = {0, ""};
	add_part(&facts, "f");
	add_uint(&facts, item->shop_user_id);
	add_part(&facts, item->order_id);
	add_uint(&facts, item->type);
	add_int(&facts, item->amount_minor);
	add_part(&facts, item->currency);
	add_int(&facts, item->occurred_ms);
	return hash(&facts, ret_key, err);
}

static int hash_id(const struct item *item, uint8_t *ret_key, struct kontor_error *err)
{
	struct parts id = {0, ""};
	add_part(&id, "i");
	add_uint(&id, item->shop_user_id);
	add_uint(&id, item->billing_item_id);
	return hash(&id, ret_key, err);
}

int item_identify(struct item *item, bool key_only, struct kontor_error *err)
{
	struct kontor_identity *identity = &item->identity;
	int rc = 0;
	if (!item->has_id || !key_only)
		rc = hash_facts(item, identity->facts, err);
	if (rc == 0 && item->has_id)
		return hash_id(item, identity->key, err);
	memcpy(identity->key, identity->facts, KONTOR_IDENTITY_SIZE);
	return rc;
}
