/* SPDX-License-Identifier: Apache-2.0 */
#include "profile.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "charset.h"
#include "iban.h"

#define NAME_LIMIT_DEFAULT "70" /* SEPA's limit; ISO 20022 allows 140 */
#define NAME_LIMIT_MAX 140
#define MAX_PAYMENTS_DEFAULT "50000"
#define MAX_PAYMENTS_MAX 1000000 /* the verifier keeps the end-to-end ids of one file in memory: 36 MB */

static int refuse(const struct profile *profile, struct kontor_error *err, const char *key, const char *rule)
{
	return kontor_fail(err, KONTOR_E_CONFLICT, "profile \"%s\": %s: %s (conf/profiles/%s.conf)", profile->name, key,
			   rule, profile->name);
}

static const char *setting(const kontor_host *host, const char *profile, const char *key, const char *otherwise)
{
	const char *value = kontor_host_setting(host, "profile", profile, key);
	return value ? value : otherwise;
}

static bool copy(char *out, size_t size, const char *value)
{
	size_t length = strlen(value);
	if (length >= size)
		return false;
	memcpy(out, value, length + 1);
	return true;
}

static int read_number(const struct profile *profile, const char *key, const char *text, uint64_t max,
		       unsigned *ret_value, struct kontor_error *err)
{
	uint64_t value;
	if (!kontor_parse_uint(kontor_text_of(text), &value) || value == 0 || value > max)
		return kontor_fail(err, KONTOR_E_CONFLICT, "profile \"%s\": %s: \"%s\" is not a number from 1 to %llu",
				   profile->name, key, text, (unsigned long long)max);
	*ret_value = (unsigned)value;
	return 0;
}

static int check_debtor(const struct profile *profile, struct kontor_error *err)
{
	if (!charset_epc217_valid(profile->debtor_name) || !charset_has_alphanumeric(profile->debtor_name))
		return refuse(profile, err, "debtor_name",
			      "must be letters, digits and / - ? : ( ) . , ' + of EPC217-08");
	if (iban_check(kontor_text_of(profile->debtor_iban)) != IBAN_OK)
		return refuse(profile, err, "debtor_iban", "is not a valid IBAN");
	if (!bic_valid(kontor_text_of(profile->debtor_bic)))
		return refuse(profile, err, "debtor_bic", "is not a valid BIC");
	return 0;
}

static int check_choices(const struct profile *profile, struct kontor_error *err)
{
	static const char *const bearers[] = {"DEBT", "CRED", "SHAR", "SLEV"};
	bool known = false;
	for (size_t i = 0; i < sizeof(bearers) / sizeof(bearers[0]); i++)
		known = known || strcmp(profile->charge_bearer, bearers[i]) == 0;
	if (!known)
		return refuse(profile, err, "charge_bearer", "must be DEBT, CRED, SHAR or SLEV");
	if (strcmp(profile->format, PROFILE_FORMAT_PAIN001) != 0)
		return refuse(profile, err, "format", "only " PROFILE_FORMAT_PAIN001 " can be written");
	if (strcmp(profile->charset, PROFILE_CHARSET_EPC217) != 0)
		return refuse(profile, err, "charset", "must be " PROFILE_CHARSET_EPC217);
	return 0;
}

int profile_resolve(const kontor_host *host, const char *name, const struct kontor_region *region,
		    struct profile *ret_profile, struct kontor_error *err)
{
	struct profile p = {0};
	const char *format = kontor_host_setting(host, "profile", name, "format");
	if (!format)
		return kontor_fail(err, KONTOR_E_NOT_FOUND,
				   "there is no profile \"%s\" with a format: write conf/profiles/%s.conf", name, name);
	if (!copy(p.name, sizeof(p.name), name) || !copy(p.format, sizeof(p.format), format))
		return refuse(&p, err, "format", "only " PROFILE_FORMAT_PAIN001 " can be written");
	if (!copy(p.debtor_name, sizeof(p.debtor_name), setting(host, name, "debtor_name", "")))
		return refuse(&p, err, "debtor_name", "is longer than 140 characters");
	if (!copy(p.debtor_iban, sizeof(p.debtor_iban), setting(host, name, "debtor_iban", "")))
		return refuse(&p, err, "debtor_iban", "is longer than 34 characters");
	if (!copy(p.debtor_bic, sizeof(p.debtor_bic), setting(host, name, "debtor_bic", "")))
		return refuse(&p, err, "debtor_bic", "is longer than 11 characters");
	if (!copy(p.charge_bearer, sizeof(p.charge_bearer), setting(host, name, "charge_bearer", "SHAR")))
		return refuse(&p, err, "charge_bearer", "must be DEBT, CRED, SHAR or SLEV");
	if (!copy(p.charset, sizeof(p.charset), setting(host, name, "charset", PROFILE_CHARSET_EPC217)))
		return refuse(&p, err, "charset", "must be " PROFILE_CHARSET_EPC217);
	int code = read_number(&p, "name_limit", setting(host, name, "name_limit", NAME_LIMIT_DEFAULT), NAME_LIMIT_MAX,
			       &p.name_limit, err);
	if (!code)
		code = read_number(&p, "max_payments", setting(host, name, "max_payments", MAX_PAYMENTS_DEFAULT),
				   MAX_PAYMENTS_MAX, &p.max_payments, err);
	if (!code)
		code = check_debtor(&p, err);
	if (!code)
		code = check_choices(&p, err);
	if (code)
		return code;
	for (size_t i = 0; i < region->currencies_len; i++) {
		struct profile_currency *currency = &p.currencies[p.currencies_len++];
		memcpy(currency->code, region->currencies[i]->code, sizeof(currency->code));
		currency->exponent = region->currencies[i]->exponent;
	}
	*ret_profile = p;
	return 0;
}

int profile_to_text(const struct profile *p, char *text, size_t size, struct kontor_error *err)
{
	json_t *currencies = json_object();
	for (size_t i = 0; i < p->currencies_len; i++)
		json_object_set_new(currencies, p->currencies[i].code, json_integer(p->currencies[i].exponent));
	json_t *json = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:i, s:i, s:o}", "name", p->name, "format",
				 p->format, "debtor_name", p->debtor_name, "debtor_iban", p->debtor_iban, "debtor_bic",
				 p->debtor_bic, "charge_bearer", p->charge_bearer, "charset", p->charset, "name_limit",
				 (int)p->name_limit, "max_payments", (int)p->max_payments, "currencies", currencies);
	size_t length = json ? json_dumpb(json, text, size, JSON_COMPACT) : 0;
	json_decref(json);
	if (length == 0 || length >= size)
		return kontor_fail(err, KONTOR_E_INTERNAL, "profile \"%s\" does not fit %zu bytes of JSON", p->name,
				   size);
	text[length] = '\0';
	return 0;
}

static bool from_json(const json_t *json, struct profile *p)
{
	const char *name, *format, *debtor_name, *iban, *bic, *bearer, *charset;
	json_t *currencies;
	json_int_t name_limit, max_payments;
	if (json_unpack((json_t *)json, "{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:o}", "name", &name, "format",
			&format, "debtor_name", &debtor_name, "debtor_iban", &iban, "debtor_bic", &bic, "charge_bearer",
			&bearer, "charset", &charset, "name_limit", &name_limit, "max_payments", &max_payments,
			"currencies", &currencies) != 0)
		return false;
	p->name_limit = (unsigned)name_limit;
	p->max_payments = (unsigned)max_payments;
	const char *code;
	json_t *exponent;
	json_object_foreach(currencies, code, exponent)
	{
		if (p->currencies_len == KONTOR_REGION_CURRENCIES)
			return false;
		struct profile_currency *currency = &p->currencies[p->currencies_len++];
		currency->exponent = (unsigned)json_integer_value(exponent);
		if (!copy(currency->code, sizeof(currency->code), code))
			return false;
	}
	return copy(p->name, sizeof(p->name), name) && copy(p->format, sizeof(p->format), format) &&
	       copy(p->debtor_name, sizeof(p->debtor_name), debtor_name) &&
	       copy(p->debtor_iban, sizeof(p->debtor_iban), iban) && copy(p->debtor_bic, sizeof(p->debtor_bic), bic) &&
	       copy(p->charge_bearer, sizeof(p->charge_bearer), bearer) &&
	       copy(p->charset, sizeof(p->charset), charset);
}

int profile_from_text(struct kontor_text text, struct profile *ret_profile, struct kontor_error *err)
{
	struct profile p = {0};
	json_t *json = json_loadb(text.data ? text.data : "", text.size, 0, NULL);
	bool fine = json && from_json(json, &p);
	json_decref(json);
	if (!fine)
		return kontor_fail(err, KONTOR_E_INTERNAL,
				   "the profile that is stored with the safefile cannot be read");
	*ret_profile = p;
	return 0;
}

const struct profile_currency *profile_currency(const struct profile *profile, const char *code)
{
	for (size_t i = 0; i < profile->currencies_len; i++)
		if (strcmp(profile->currencies[i].code, code) == 0)
			return &profile->currencies[i];
	return NULL;
}
