/* SPDX-License-Identifier: Apache-2.0
 *
 * The configuration of one unit as typed values.
 */
#ifndef KONTORD_UNIT_CONFIG_H
#define KONTORD_UNIT_CONFIG_H

#include "args.h"
#include "homes.h"
#include "kontor/log.h"
#include "kontor/region.h"
#include "kontor/user.h"

struct unit_options {
	const char *datacenter;
	const char *const *plugins;
	const char *log_level;
	const char *approvals; /* "untrusted", "trusted" */
	const char *const *bind;
	const char *key_file; /* "": none */
	int64_t start_timeout_ms, drain_timeout_ms;
	int64_t job_patience_ms, job_keep_days, output_keep_days;
	uint64_t connection_memory; /* bytes */
};

struct database_options {
	const char *socket, *host, *user, *password_file, *name, *tls_ca;
	int64_t port, connect_timeout_ms;
};

/* Who is paid by whom and how: the safefile plugin reads the values itself, and checks what needs more than a form. */
struct profile_options {
	const char *format, *debtor_name, *debtor_iban, *debtor_bic, *charge_bearer, *charset;
	int64_t name_limit, max_payments;
};

struct user_entry {
	const char *name;
	const char *login;       /* account of this machine that gives the uid; "": none */
	int64_t uid;             /* -1: none */
	const char *const *keys; /* public keys in Z85, by which he calls over tcp */
	const char *const *role_names;
	unsigned roles;
};

/* A user's key in the index of all of them. */
struct key_entry {
	const char *key;
	const struct user_entry *user;
};

#define REVOKED_KEYS_FILE "revoked-keys" /* beside users.conf */

/* A fault on purpose: fault_config.c has the options. */
struct fault_entry {
	const char *name, *method, *kind, *code, *trigger;
	int64_t retry_after_ms, delay_ms, percent, seed;
};

struct lane_entry {
	const char *name;
	int64_t threads;
	int64_t connections; /* more than threads */
	int64_t poll_ms;
	struct config_table table; /* its options with this lane's defaults */
};

#define LANES 7
extern const char *const lane_names[LANES];

struct unit_config {
	struct config *config, *fallback_config;
	struct unit_options options;
	struct database_options database;
	struct datacenter here;     /* that this machine stands in */
	struct datacenter fallback; /* who serves what is switched off here; its name is NULL when there is none */
	struct homes homes;         /* of regions whose money is elsewhere */
	struct kontor_currency *currencies;
	size_t currencies_len;
	struct kontor_region *regions;
	size_t regions_len;
	struct user_entry *users;
	size_t users_len;
	struct key_entry *keys; /* sorted by key */
	size_t keys_len;
	const char **revoked; /* sorted; refused whatever users.conf says */
	size_t revoked_len;
	struct lane_entry lanes[LANES];
	struct fault_entry *faults;
	size_t faults_len;
	struct unit_config *previous; /* that SIGHUP replaced: its strings may still be in use */
};

/* Reads and judges everything but the plugins' own rows; problems are in ->config. Never NULL. */
struct unit_config *unit_config_read(const struct args *args);
/* unit_config_judge.c: what no single block shows: a name in two files, datacenters that share an id. */
void unit_config_judge(struct unit_config *unit_config, const char *conf_folder, const char **datacenters);
/* Together with all previous ones. */
struct unit_config *unit_config_free(struct unit_config *unit_config);

/* ---- unit_config_keys.c ---- */
/* After the users were read. */
void unit_config_read_keys(struct unit_config *unit_config, const char *conf_folder);
/* Whose public key this is; NULL when nobody has it or it is revoked. */
const struct user_entry *unit_config_key_user(const struct unit_config *unit_config, const char *key);
bool unit_config_key_revoked(const struct unit_config *unit_config, const char *key);

/* ---- lane_config.c ---- */
void lane_config_read(struct unit_config *unit_config);
bool lane_known(const char *name);
extern const struct config_table lane_table; /* options of any lane */

const struct user_entry *unit_config_user(const struct unit_config *unit_config, const char *name);
/* Who calls over ipc with that uid; NULL: nobody. */
const struct user_entry *unit_config_uid_user(const struct unit_config *unit_config, int64_t uid);
/* NULL when the datacenter says nothing about that service. */
const struct service_entry *unit_config_service(const struct unit_config *unit_config, const char *name);
bool unit_config_trusts(const struct unit_config *unit_config); /* approvals = trusted */
enum kontor_log_level unit_config_log_level(const struct unit_config *unit_config);
/* A kind of block ("" = top level) and the host's options in it. */
struct config_section {
	const char *name;
	const struct config_table *table;
};
const struct config_section *unit_config_section(size_t index); /* NULL behind the last one */
/* The host's row for a key of a kind of block ("" = top level); NULL when it is a plugin's, or free. */
const struct kontor_conf_row *unit_config_row(const char *section, const char *key);

/* Top-level options, and those of `database "main"`, and so on: for --dump-config. */
void unit_config_dump(const struct unit_config *unit_config, FILE *out);
/* Options of a `plugin` block that the host reads. */
extern const struct config_table plugin_table;

#endif
