/* SPDX-License-Identifier: Apache-2.0
 *
 * What a running host offers to its plugins. Everything but the draining mark is fixed when the host is made.
 */
#include "host_state.h"

#include <stdlib.h>

kontor_host *kontor_host_new(const struct kontor_host_options *options)
{
	kontor_host *host = calloc(1, sizeof(*host));
	if (!host)
		return NULL;
	host->options = *options;
	atomic_init(&host->draining, false);
	host->ids = kontor_host_ids_new();
	return host->ids ? host : kontor_host_free(host);
}

kontor_host *kontor_host_free(kontor_host *host)
{
	if (host) {
		kontor_host_ids_free(host->ids);
		free(host);
	}
	return NULL;
}

kontor_client *kontor_host_client(const kontor_host *host)
{
	return host->options.client;
}

kontor_db *kontor_host_db(const kontor_host *host)
{
	return host->options.db;
}

const char *kontor_host_unit(const kontor_host *host)
{
	return host->options.unit;
}

const char *kontor_host_datacenter(const kontor_host *host)
{
	return host->options.datacenter;
}

unsigned kontor_host_datacenter_id(const kontor_host *host)
{
	return host->options.datacenter_id;
}

const char *kontor_host_state_folder(const kontor_host *host)
{
	return host->options.state_folder;
}

const char *kontor_host_conf_folder(const kontor_host *host)
{
	return host->options.conf_folder;
}

bool kontor_host_draining(const kontor_host *host)
{
	return atomic_load_explicit(&host->draining, memory_order_relaxed);
}

void kontor_host_set_draining(kontor_host *host)
{
	atomic_store(&host->draining, true);
}

void *kontor_host_plugin(const kontor_host *host, const char *name)
{
	return host->options.plugin ? host->options.plugin(host->options.arg, name) : NULL;
}

const char *kontor_host_setting(const kontor_host *host, const char *section, const char *title, const char *key)
{
	return host->options.setting ? host->options.setting(host->options.arg, section, title, key) : NULL;
}
