/* SPDX-License-Identifier: Apache-2.0
 *
 * Tables of all options that the host knows, and their typed values. Plugins add tables of their own.
 */
#include "unit_config.h"

#include <stdlib.h>
#include <string.h>

#include "accounts.h"
#include "fault_filter.h"
#include "kontor/log.h"
#include "loader.h"

#define TABLE(rows)                                                                                                    \
	{                                                                                                              \
		(rows), sizeof(rows) / sizeof((rows)[0])                                                               \
	}

#define OPTION(member) offsetof(struct unit_options, member)
static const struct kontor_conf_row option_rows[] = {
	{"datacenter", KONTOR_CONF_NAME, OPTION(datacenter), NULL, 0, 0, NULL,
	 "name of the datacenter that this machine stands in (datacenters/NAME.conf)", false},
	{"plugins", KONTOR_CONF_LIST, OPTION(plugins), NULL, 0, 0, NULL, "plugins of this unit", true},
	{"log_level", KONTOR_CONF_ENUM, OPTION(log_level), "info", 0, 0, "error|warning|notice|info|debug",
	 "what is logged", true},
	{"approvals", KONTOR_CONF_ENUM, OPTION(approvals), "untrusted", 0, 0, "untrusted|trusted",
	 "trusted: believes --as USER of every listed uid; for development only", false},
	{"bind", KONTOR_CONF_LIST, OPTION(bind), "{}", 0, 0, NULL,
	 "further endpoints to answer at, like ipc:///run/kontor/second.sock or tcp://0.0.0.0:7411", false},
	{"key_file", KONTOR_CONF_SECRET, OPTION(key_file), "", 0, 0, NULL,
	 "NAME.key_secret with the key pair by which this unit is known over tcp; kontor keys generate makes one",
	 false},
	{"start_timeout", KONTOR_CONF_DURATION, OPTION(start_timeout_ms), "0", 0, INT64_C(86400000), NULL,
	 "how long a start waits for the database; 0: for ever", false},
	{"connection_memory", KONTOR_CONF_SIZE, OPTION(connection_memory), "64MiB", 16777216, INT64_C(68719476736),
	 NULL,
	 "how much the process may grow before a connection is closed that sends a message without an end, or does not "
	 "read its replies",
	 false},
	{"job_patience", KONTOR_CONF_DURATION, OPTION(job_patience_ms), "10m", 0, INT64_C(86400000), NULL,
	 "how long a step of a job must have failed, again and again, before the job is dead", false},
	{"job_keep_days", KONTOR_CONF_INT, OPTION(job_keep_days), "90", 1, 36500, NULL,
	 "how many days a job that has ended stays in the list", true},
	{"output_keep_days", KONTOR_CONF_INT, OPTION(output_keep_days), "7", 1, 36500, NULL,
	 "how many days what a job made (a report) can be fetched", true},
	{"drain_timeout", KONTOR_CONF_DURATION, OPTION(drain_timeout_ms), "20s", 0, INT64_C(3600000), NULL,
	 "how long a stop waits for running work before it gives up", true},
};
static const struct config_table option_table = TABLE(option_rows);

#define DATABASE(member) offsetof(struct database_options, member)
static const struct kontor_conf_row database_rows[] = {
	{"socket", KONTOR_CONF_STRING, DATABASE(socket), "/run/mysqld/mysqld.sock", 0, 0, NULL,
	 "unix socket of the server, used when host is not set", false},
	{"host", KONTOR_CONF_STRING, DATABASE(host), "", 0, 0, NULL, "server by network", false},
	{"port", KONTOR_CONF_INT, DATABASE(port), "3306", 1, 65535, NULL, "port of the server", false},
	{"user", KONTOR_CONF_STRING, DATABASE(user), "", 0, 0, NULL, "database user; empty: the process's user", false},
	{"password_file", KONTOR_CONF_SECRET, DATABASE(password_file), "", 0, 0, NULL,
	 "file whose first line is the password", false},
	{"name", KONTOR_CONF_STRING, DATABASE(name), "kontor", 0, 0, NULL, "database", false},
	{"tls_ca", KONTOR_CONF_FILE, DATABASE(tls_ca), "", 0, 0, NULL,
	 "PEM file of the authority that the server's certificate must come from", false},
	{"connect_timeout", KONTOR_CONF_DURATION, DATABASE(connect_timeout_ms), "3s", 100, 60000, NULL,
	 "how long one attempt to connect may take", false},
};
static const struct config_table database_table = TABLE(database_rows);

struct region_options {
	const char *zone, *first_window, *home;
	const char *const *currencies;
};
#define REGION(member) offsetof(struct region_options, member)
static const struct kontor_conf_row region_rows[] = {
	{"zone", KONTOR_CONF_STRING, REGION(zone), NULL, 0, 0, NULL, "time zone, like Asia/Singapore", false},
	{"first_window", KONTOR_CONF_STRING, REGION(first_window), NULL, 0, 0, NULL, "oldest window, like 2026-W01",
	 false},
	{"home", KONTOR_CONF_NAME, REGION(home), NULL, 0, 0, NULL, "datacenter that owns the region's money", false},
	{"currencies", KONTOR_CONF_LIST, REGION(currencies), NULL, 0, 0, NULL,
	 "currencies that it accepts, its own first", false},
};
static const struct config_table region_table = TABLE(region_rows);

struct currency_options {
	int64_t exponent, payment_unit;
};
static const struct kontor_conf_row currency_rows[] = {
	{"exponent", KONTOR_CONF_INT, offsetof(struct currency_options, exponent), NULL, 0, 4, NULL,
	 "minor digits of ISO 4217", false},
	{"payment_unit", KONTOR_CONF_INT, offsetof(struct currency_options, payment_unit), "1", 1, 1000000, NULL,
	 "payouts are multiples of this many minor units", false},
};
static const struct config_table currency_table = TABLE(currency_rows);

static const struct kontor_conf_row user_rows[] = {
	{"uid", KONTOR_CONF_INT, offsetof(struct user_entry, uid), "-1", 0, INT64_C(4294967294), NULL,
	 "uid of the process that calls over ipc", true},
	{"login", KONTOR_CONF_STRING, offsetof(struct user_entry, login), "", 0, 0, NULL,
	 "instead of uid: account of this machine (/etc/passwd) whose processes call over ipc", true},
	{"keys", KONTOR_CONF_LIST, offsetof(struct user_entry, keys), "{}", 0, 0, NULL,
	 "public keys in single quotes, by which the user calls over tcp; two while one replaces the other", true},
	{"roles", KONTOR_CONF_LIST, offsetof(struct user_entry, role_names), NULL, 0, 0, NULL,
	 "viewer, operator, approver, admin; unit: other units of Kontor", true},
};
static const struct config_table user_table = TABLE(user_rows);

#define PROFILE(member) offsetof(struct profile_options, member)
static const struct kontor_conf_row profile_rows[] = {
	{"format", KONTOR_CONF_ENUM, PROFILE(format), NULL, 0, 0, "pain.001.001.09", "what the bank reads", true},
	{"debtor_name", KONTOR_CONF_STRING, PROFILE(debtor_name), NULL, 0, 0, NULL,
	 "name of the payer, in the characters of EPC217-08", true},
	{"debtor_iban", KONTOR_CONF_STRING, PROFILE(debtor_iban), NULL, 0, 0, NULL, "IBAN of the account that pays",
	 true},
	{"debtor_bic", KONTOR_CONF_STRING, PROFILE(debtor_bic), NULL, 0, 0, NULL, "BIC of its bank", true},
	{"charge_bearer", KONTOR_CONF_ENUM, PROFILE(charge_bearer), "SHAR", 0, 0, "DEBT|CRED|SHAR|SLEV",
	 "who pays the banks' charges; SLEV only inside of SEPA", true},
	{"charset", KONTOR_CONF_ENUM, PROFILE(charset), "epc217", 0, 0, "epc217", "characters of names", true},
	{"name_limit", KONTOR_CONF_INT, PROFILE(name_limit), "70", 1, 140, NULL,
	 "characters of a payee's name; the rest is cut off", true},
	{"max_payments", KONTOR_CONF_INT, PROFILE(max_payments), "50000", 1, 1000000, NULL,
	 "payments of one data file; more make further files", true},
};
static const struct config_table profile_table = TABLE(profile_rows);

static const struct kontor_conf_row plugin_rows[] = {
	{"workers", KONTOR_CONF_INT, offsetof(struct plugin_options, workers), "4", 1, 64, NULL,
	 "threads that run its methods", false},
	{"queue", KONTOR_CONF_INT, offsetof(struct plugin_options, queue), "256", 1, 100000, NULL,
	 "requests that may wait for a worker; more are answered BUSY", true},
	{"queue_bytes", KONTOR_CONF_SIZE, offsetof(struct plugin_options, queue_bytes), "32MiB", 65536,
	 INT64_C(4294967296), NULL, "size of the waiting requests together; more are answered BUSY", true},
	{"queue_time", KONTOR_CONF_DURATION, offsetof(struct plugin_options, queue_time_ms), "5ms", 0, INT64_C(3600000),
	 NULL,
	 "how long requests should wait for a worker: while they have waited longer for 100 ms, only as many may wait "
	 "as "
	 "begin within this time, at least one for each worker; more are answered BUSY; 0: no limit",
	 true},
};
const struct config_table plugin_table = TABLE(plugin_rows);

static size_t count(const char *const *list)
{
	size_t len = 0;
	while (list && list[len])
		len++;
	return len;
}

static bool is_in(const char *const *list, const char *text)
{
	for (; *list; list++)
		if (strcmp(*list, text) == 0)
			return true;
	return false;
}

static void read_currencies(struct unit_config *unit)
{
	struct config *config = unit->config;
	const char **titles = config_titles(config, "currency");
	unit->currencies = config_alloc(config, (count(titles) + 1) * sizeof(*unit->currencies));
	for (const char **title = titles; *title; title++) {
		struct currency_options options = {0};
		config_fill_block(config, "currency", *title, &currency_table, &options);
		if (strlen(*title) != 3 || strspn(*title, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != 3) {
			CONFIG_PROBLEM_AT(config, "currency", *title, "",
					  "'%s' is no currency: it must be three capital letters of ISO 4217", *title);
			continue;
		}
		struct kontor_currency *currency = &unit->currencies[unit->currencies_len++];
		memcpy(currency->code, *title, 4);
		currency->exponent = (uint8_t)options.exponent;
		currency->payment_unit = (uint32_t)options.payment_unit;
	}
}

static const struct kontor_currency *find_currency(const struct unit_config *unit, const char *code)
{
	for (size_t i = 0; i < unit->currencies_len; i++)
		if (strcmp(unit->currencies[i].code, code) == 0)
			return &unit->currencies[i];
	return NULL;
}

static void read_region_currencies(struct unit_config *unit, struct kontor_region *region, const char *const *codes)
{
	struct config *config = unit->config;
	if (count(codes) == 0 && config_find(config, "region", region->code, "currencies"))
		CONFIG_PROBLEM_AT(config, "region", region->code, "currencies",
				  "region \"%s\" accepts no currency: list its own first", region->code);
	if (count(codes) > KONTOR_REGION_CURRENCIES)
		CONFIG_PROBLEM_AT(config, "region", region->code, "currencies",
				  "region \"%s\" has more than %d currencies: leave some out", region->code,
				  KONTOR_REGION_CURRENCIES);
	for (; codes && *codes && region->currencies_len < KONTOR_REGION_CURRENCIES; codes++) {
		const struct kontor_currency *currency = find_currency(unit, *codes);
		for (size_t i = 0; currency && i < region->currencies_len; i++)
			if (region->currencies[i] == currency)
				CONFIG_PROBLEM_AT(config, "region", region->code, "currencies",
						  "region \"%s\" has currency %s twice: leave one out", region->code,
						  *codes);
		if (currency)
			region->currencies[region->currencies_len++] = currency;
		else if (!config->unreadable)
			CONFIG_PROBLEM_AT(
				config, "region", region->code, "currencies",
				"region \"%s\" accepts '%s', which no `currency \"%s\"` block describes: add it to "
				"currencies.conf",
				region->code, *codes, *codes);
	}
}

static void read_region(struct unit_config *unit, const char *title, const char **datacenters)
{
	struct config *config = unit->config;
	struct region_options options = {0};
	config_fill_block(config, "region", title, &region_table, &options);
	if (!kontor_region_valid(kontor_text_of(title))) {
		CONFIG_PROBLEM_AT(config, "region", title, "", "'%s' is no region: it must be two capital letters",
				  title);
		return;
	}
	struct kontor_region *region = &unit->regions[unit->regions_len++];
	memcpy(region->code, title, 3);
	region->zone_name = options.zone;
	region->home = options.home ? options.home : "";
	region->home_here = unit->options.datacenter && strcmp(region->home, unit->options.datacenter) == 0;
	struct kontor_error err = KONTOR_ERROR_INIT;
	if (options.zone && kontor_zone_open(options.zone, &region->zone, &err))
		CONFIG_PROBLEM_AT(config, "region", title, "zone", "region \"%s\": %s", title, err.message);
	if (options.first_window && !kontor_window_parse(kontor_text_of(options.first_window), &region->first_window))
		CONFIG_PROBLEM_AT(config, "region", title, "first_window",
				  "region \"%s\": first_window = \"%s\" must be an ISO week that exists, like 2026-W01",
				  title, options.first_window);
	if (options.home && !is_in(datacenters, options.home)) {
		const char *nearest =
			kontor_text_nearest(kontor_text_of(options.home), datacenters, count(datacenters));
		CONFIG_PROBLEM_AT(
			config, "region", title, "home",
			"region \"%s\": its home '%s' is no datacenter: there is no datacenters/%s.conf%s%s%s", title,
			options.home, options.home, nearest ? "; did you mean '" : "", nearest ? nearest : "",
			nearest ? "'?" : "");
	}
	read_region_currencies(unit, region, options.currencies);
}

static unsigned read_roles(struct unit_config *unit, const struct user_entry *user)
{
	static const enum kontor_role roles[] = {KONTOR_ROLE_VIEWER, KONTOR_ROLE_OPERATOR, KONTOR_ROLE_APPROVER,
						 KONTOR_ROLE_ADMIN, KONTOR_ROLE_UNIT};
	unsigned set = 0;
	for (const char *const *name = user->role_names; name && *name; name++) {
		unsigned role = 0;
		for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++)
			if (strcmp(kontor_role_name(roles[i]), *name) == 0)
				role = roles[i];
		if (!role)
			CONFIG_PROBLEM_AT(
				unit->config, "user", user->name, "roles",
				"user \"%s\": '%s' is no role; there are viewer, operator, approver, admin, unit",
				user->name, *name);
		set |= role;
	}
	return set;
}

/* A login that is no account here leaves the user without a uid: accounts_warn(). */
static void read_login(struct config *config, struct user_entry *user)
{
	if (!user->login || !user->login[0])
		return;
	if (user->uid >= 0)
		CONFIG_PROBLEM_AT(config, "user", user->name, "login",
				  "user \"%s\" has a login and a uid: keep one of the two", user->name);
	else
		user->uid = account_uid(user->login);
}

static void read_users(struct unit_config *unit)
{
	struct config *config = unit->config;
	const char **titles = config_titles(config, "user");
	unit->users = config_alloc(config, (count(titles) + 1) * sizeof(*unit->users));
	for (const char **title = titles; *title; title++) {
		struct user_entry *user = &unit->users[unit->users_len++];
		user->name = *title;
		config_fill_block(config, "user", *title, &user_table, user);
		read_login(config, user);
		user->roles = read_roles(unit, user);
		if (!**title || strlen(*title) >= KONTOR_USER_SIZE)
			CONFIG_PROBLEM_AT(config, "user", *title, "",
					  "'%s' is no user name: it must have 1 to %d bytes", *title,
					  KONTOR_USER_SIZE - 1);
		for (size_t i = 0; i + 1 < unit->users_len; i++)
			if (user->uid >= 0 && unit->users[i].uid == user->uid)
				CONFIG_PROBLEM_AT(config, "user", *title, "uid",
						  "users \"%s\" and \"%s\" have the same uid %lld: each needs its own",
						  unit->users[i].name, *title, (long long)user->uid);
	}
}

static bool is_loopback_host(const char *host)
{
	return strcmp(host, "localhost") == 0 || strcmp(host, "::1") == 0 || strncmp(host, "127.", 4) == 0;
}

static void read_database(struct unit_config *unit)
{
	struct config *config = unit->config;
	struct database_options *database = &unit->database;
	config_fill_block(config, "database", "main", &database_table, database);
	const char *name = database->name ? database->name : "";
	if (!name[0] || strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") != strlen(name) || strlen(name) > 64)
		CONFIG_PROBLEM_AT(config, "database", "main", "name", "database name '%s': must be [a-z0-9_]{1,64}",
				  name);
	if (database->host && database->host[0] && !is_loopback_host(database->host) &&
	    !config_value(config, "database", "main", "tls_ca"))
		CONFIG_PROBLEM_AT(
			config, "database", "main", "host",
			"host = \"%s\" is not this machine, so tls_ca must name the PEM file of its authority",
			database->host);
	if (!(database->host && database->host[0]) && database->socket && database->socket[0] != '/')
		CONFIG_PROBLEM_AT(config, "database", "main", "socket",
				  "socket = \"%s\": must be an absolute path; or set host and tls_ca",
				  database->socket);
	for (const char **title = config_titles(config, "database"); *title; title++)
		if (strcmp(*title, "main") != 0)
			CONFIG_PROBLEM_AT(config, "database", *title, "",
					  "unknown database \"%s\": there is only \"main\"", *title);
}

static void read_datacenter(struct unit_config *unit, const char *conf_folder, const char **datacenters)
{
	struct config *config = unit->config;
	const char *here = unit->options.datacenter;
	if (!here)
		return;
	if (!config->unreadable && !config_block(config, "datacenter", here)) {
		config_problem(config, config_path(config, conf_folder, "datacenters/", here), 1,
			       "the block that describes it is missing: datacenter \"%s\" { id = NUMBER }", here);
		return;
	}
	datacenter_read(config, here, &unit->here);
	const char *fallback = unit->here.fallback;
	if (!fallback || !fallback[0])
		return;
	if (strcmp(fallback, here) == 0)
		CONFIG_PROBLEM_AT(config, "datacenter", here, "fallback",
				  "fallback = \"%s\" is this datacenter itself: name another one, or leave it out",
				  here);
	if (is_in(datacenters, fallback))
		return;
	const char *nearest = kontor_text_nearest(kontor_text_of(fallback), datacenters, count(datacenters));
	CONFIG_PROBLEM_AT(config, "datacenter", here, "fallback",
			  "fallback = \"%s\": there is no datacenters/%s.conf%s%s%s", fallback, fallback,
			  nearest ? "; did you mean '" : ": make it, or leave the fallback out", nearest ? nearest : "",
			  nearest ? "'?" : "");
}

/* Its services are asked for what is switched off here. What is wrong with the file, unit_config_judge() says. */
static void read_fallback(struct unit_config *unit, const char *conf_folder)
{
	const char *name = unit->here.fallback;
	unit->fallback_config = config_new();
	if (!name || !name[0] || strcmp(name, unit->here.name) == 0)
		return;
	config_read_file(unit->fallback_config, config_path(unit->config, conf_folder, "datacenters/", name));
	unit->fallback.name = name;
	datacenter_read_services(unit->fallback_config, &unit->fallback);
}

static void read_profiles(struct unit_config *unit)
{
	for (const char **title = config_titles(unit->config, "profile"); *title; title++) {
		struct profile_options options = {0};
		config_fill_block(unit->config, "profile", *title, &profile_table, &options);
		if (!kontor_name_valid(kontor_text_of(*title)))
			CONFIG_PROBLEM_AT(unit->config, "profile", *title, "",
					  "'%s' is no name of a profile: it must be [a-z0-9][a-z0-9-]{0,31}", *title);
	}
}

static void refuse_unknown_blocks(struct config *config)
{
	for (size_t i = 0; i < config->blocks_len; i++) {
		const struct config_block *block = &config->blocks[i];
		bool known = false;
		for (size_t k = 0; k < CONFIG_BLOCKS; k++)
			known |= strcmp(config_block_names[k], block->section) == 0;
		const char *nearest =
			kontor_text_nearest(kontor_text_of(block->section), config_block_names, CONFIG_BLOCKS);
		if (!known)
			config_problem(config, block->file, block->line, "unknown block '%s'%s%s%s", block->section,
				       nearest ? "; did you mean '" : "", nearest ? nearest : "", nearest ? "'?" : "");
		else if (!block->title[0])
			config_problem(config, block->file, block->line, "a block '%s' needs a name: %s \"NAME\" {",
				       block->section, block->section);
	}
}

struct unit_config *unit_config_read(const struct args *args)
{
	struct config *config = config_new();
	struct unit_config *unit = config_alloc(config, sizeof(*unit));
	unit->config = config;
	config_read(config, args->conf_folder, args->unit);
	refuse_unknown_blocks(config);
	config_fill_block(config, "", "", &option_table, &unit->options);
	const char *folder = kontor_arena_format(config->arena, "%s/datacenters", args->conf_folder);
	const char **datacenters = config_names(config->arena, folder ? folder : "");
	read_datacenter(unit, args->conf_folder, datacenters);
	read_fallback(unit, args->conf_folder);
	read_database(unit);
	read_currencies(unit);
	const char **regions = config_titles(config, "region");
	unit->regions = config_alloc(config, (count(regions) + 1) * sizeof(*unit->regions));
	for (const char **title = regions; *title; title++)
		read_region(unit, *title, datacenters);
	homes_read(config, args->conf_folder, unit->options.datacenter, &unit->homes);
	read_users(unit);
	unit_config_read_keys(unit, args->conf_folder);
	datacenter_read_services(config, &unit->here);
	lane_config_read(unit);
	read_profiles(unit);
	fault_config_read(unit);
	unit_config_judge(unit, args->conf_folder, datacenters);
	return unit;
}

struct unit_config *unit_config_free(struct unit_config *unit)
{
	while (unit) {
		struct unit_config *previous = unit->previous;
		config_free(unit->fallback_config);
		homes_free(&unit->homes);
		config_free(unit->config); /* in whose arena it stands */
		unit = previous;
	}
	return NULL;
}

const struct user_entry *unit_config_user(const struct unit_config *unit, const char *name)
{
	for (size_t i = 0; i < unit->users_len; i++)
		if (strcmp(unit->users[i].name, name) == 0)
			return &unit->users[i];
	return NULL;
}

const struct user_entry *unit_config_uid_user(const struct unit_config *unit, int64_t uid)
{
	for (size_t i = 0; i < unit->users_len && uid >= 0; i++)
		if (unit->users[i].uid == uid)
			return &unit->users[i];
	return NULL;
}

const struct service_entry *unit_config_service(const struct unit_config *unit, const char *name)
{
	return datacenter_service(&unit->here, name);
}

bool unit_config_trusts(const struct unit_config *unit)
{
	return unit->options.approvals && strcmp(unit->options.approvals, "trusted") == 0;
}

enum kontor_log_level unit_config_log_level(const struct unit_config *unit)
{
	static const struct {
		const char *name;
		enum kontor_log_level level;
	} levels[] = {{"error", KONTOR_LOG_ERROR},
		      {"warning", KONTOR_LOG_WARNING},
		      {"notice", KONTOR_LOG_NOTICE},
		      {"debug", KONTOR_LOG_DEBUG}};
	for (size_t i = 0; unit->options.log_level && i < sizeof(levels) / sizeof(levels[0]); i++)
		if (strcmp(levels[i].name, unit->options.log_level) == 0)
			return levels[i].level;
	return KONTOR_LOG_INFO;
}

static const struct config_section sections[] = {
	{"", &option_table},         {"database", &database_table}, {"datacenter", &datacenter_table},
	{"region", &region_table},   {"currency", &currency_table}, {"user", &user_table},
	{"service", &service_table}, {"lane", &lane_table},         {"plugin", &plugin_table},
	{"profile", &profile_table}, {"fault", &fault_table},
};

const struct config_section *unit_config_section(size_t index)
{
	return index < sizeof(sections) / sizeof(sections[0]) ? &sections[index] : NULL;
}

const struct kontor_conf_row *unit_config_row(const char *section, const char *key)
{
	const struct config_section *at;
	for (size_t s = 0; (at = unit_config_section(s)); s++)
		for (size_t i = 0; strcmp(at->name, section) == 0 && i < at->table->len; i++)
			if (strcmp(at->table->rows[i].key, key) == 0)
				return &at->table->rows[i];
	return NULL;
}

static void dump_section(const struct unit_config *unit, const char *section, const struct config_table *table,
			 FILE *out)
{
	for (const char **title = config_titles(unit->config, section); *title; title++)
		config_dump_block(unit->config, section, *title, table, 1, out);
}

void unit_config_dump(const struct unit_config *unit, FILE *out)
{
	config_dump_block(unit->config, "", "", &option_table, 1, out);
	config_dump_block(unit->config, "database", "main", &database_table, 1, out);
	dump_section(unit, "datacenter", &datacenter_table, out);
	dump_section(unit, "service", &service_table, out);
	for (size_t i = 0; i < LANES; i++)
		config_dump_block(unit->config, "lane", unit->lanes[i].name, &unit->lanes[i].table, 1, out);
	dump_section(unit, "currency", &currency_table, out);
	dump_section(unit, "region", &region_table, out);
	dump_section(unit, "user", &user_table, out);
	dump_section(unit, "profile", &profile_table, out);
	dump_section(unit, "fault", &fault_table, out);
}
