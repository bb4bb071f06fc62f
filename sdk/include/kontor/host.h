/* SPDX-License-Identifier: Apache-2.0
 *
 * What a running host offers to its plugins. Any thread.
 */
#ifndef KONTOR_HOST_H
#define KONTOR_HOST_H

#include "kontor/client.h"
#include "kontor/db.h"
#include "kontor/region.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

typedef struct kontor_host kontor_host;

kontor_client *kontor_host_client(const kontor_host *host); /* calls as this unit */
kontor_db *kontor_host_db(const kontor_host *host);
const char *kontor_host_unit(const kontor_host *host);
const char *kontor_host_datacenter(const kontor_host *host);
unsigned kontor_host_datacenter_id(const kontor_host *host); /* 1-15 */
const char *kontor_host_state_folder(const kontor_host *host);
const char *kontor_host_conf_folder(const kontor_host *host);
bool kontor_host_draining(const kontor_host *host);
/* The `self` of a plugin in this unit, for tests and status; NULL when it is not loaded here. */
void *kontor_host_plugin(const kontor_host *host, const char *name);
/* Looks up a configured section, e.g. section "profile", title "pain001", key "debtor_iban"; NULL when not set. */
const char *kontor_host_setting(const kontor_host *host, const char *section, const char *title, const char *key);

/* ---- made by kontord and by tests -------------------------------------------------------------------------------- */

struct kontor_host_options {
	kontor_client *client; /* borrowed, as all here */
	kontor_db *db;
	const char *unit, *datacenter;
	unsigned datacenter_id;
	const char *state_folder, *conf_folder;
	const struct kontor_currency *currencies;
	size_t currencies_len;
	const struct kontor_region *regions;
	size_t regions_len;
	/* Answers kontor_host_setting(); may be NULL. */
	const char *(*setting)(void *arg, const char *section, const char *title, const char *key);
	void *(*plugin)(void *arg, const char *name);
	void *arg;
};
kontor_host *kontor_host_new(const struct kontor_host_options *options);
kontor_host *kontor_host_free(kontor_host *host); /* NULL is fine; returns NULL */
void kontor_host_set_draining(kontor_host *host);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
