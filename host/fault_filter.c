/* SPDX-License-Identifier: Apache-2.0 */
#include "fault_filter.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "counters.h"
#include "kontor/log.h"

#define LOOK_EVERY_US INT64_C(100000) /* for a trigger file */

enum fault_kind { FAULT_ERROR, FAULT_DELAY, FAULT_DROP_REQUEST, FAULT_DROP_REPLY };

struct fault {
	const struct fault_entry *entry;
	enum fault_kind kind;
	int code;
	uint64_t random;   /* state of its chance */
	int64_t looked_us; /* when its trigger was looked for last; 0: never */
	bool active;
	uint64_t hits;
};

struct fault_filter {
	struct fault *all;
	size_t len;
	struct exchange *delayed; /* by the time that they are due */
};

/* ---- which faults hit a call ------------------------------------------------------------------------------------- */

static enum fault_kind kind_of(const char *name)
{
	static const char *const names[] = {"error", "delay", "drop-request", "drop-reply"};
	size_t kind = 0;
	while (strcmp(names[kind], name) != 0)
		kind++;
	return (enum fault_kind)kind;
}

/* The trigger's existence, as it was less than LOOK_EVERY_US ago. */
static bool is_active(struct fault *fault, int64_t now_us)
{
	const char *trigger = fault->entry->trigger;
	if (!trigger[0])
		return true;
	if (fault->looked_us && now_us - fault->looked_us < LOOK_EVERY_US)
		return fault->active;
	bool active = access(trigger, F_OK) == 0;
	if (active != fault->active)
		kontor_log(KONTOR_LOG_WARNING, active ? "a fault is switched on" : "a fault is switched off",
			   "fault=%s trigger=%s", fault->entry->name, KONTOR_QUOTED(trigger));
	fault->looked_us = now_us;
	return fault->active = active;
}

/* splitmix64, <https://prng.di.unimi.it/splitmix64.c>: any seed will do, 0 too. */
static uint64_t next_random(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static bool hits(struct fault *fault, const char *method, int64_t now_us)
{
	if (fnmatch(fault->entry->method, method, 0) != 0 || !is_active(fault, now_us) ||
	    (int64_t)(next_random(&fault->random) % 100) >= fault->entry->percent)
		return false;
	fault->hits++;
	counter_add(COUNTER_FAULTS);
	return true;
}

/* ---- what they do ------------------------------------------------------------------------------------------------ */

static void answer(struct front *front, struct exchange *exchange, const struct fault *fault)
{
	kontor_fail(&exchange->error, fault->code, "%s: fault \"%s\" of the configuration; the method did not run",
		    exchange->header.method, fault->entry->name);
	exchange->error.retry_after_ms = (uint32_t)fault->entry->retry_after_ms;
	front_send_error(front, exchange, &exchange->error);
}

static void delay(struct front *front, struct exchange *exchange, int64_t delay_ms)
{
	struct exchange **link = &front->faults->delayed;
	exchange->due_us = front->now_us + delay_ms * 1000;
	while (*link && (*link)->due_us <= exchange->due_us)
		link = &(*link)->next;
	exchange->next = *link;
	*link = exchange;
	atomic_fetch_add(&front->outstanding, 1);
}

bool fault_filter_takes(struct front *front, struct exchange *exchange)
{
	struct fault_filter *filter = front->faults;
	int64_t delay_ms = 0;
	if (strcmp(exchange->plugin->api.name, "kontor") == 0)
		return false; /* who looks at the unit sees it as it is */
	for (size_t i = 0; i < filter->len; i++) {
		struct fault *fault = &filter->all[i];
		if (!hits(fault, exchange->header.method, front->now_us))
			continue;
		if (fault->kind == FAULT_ERROR)
			answer(front, exchange, fault);
		if (fault->kind == FAULT_ERROR || fault->kind == FAULT_DROP_REQUEST) {
			exchange->reply_lost = false;
			return true;
		}
		if (fault->kind == FAULT_DELAY)
			delay_ms += fault->entry->delay_ms;
		else
			exchange->reply_lost = true;
	}
	if (!delay_ms || !front_detach(front, exchange))
		return delay_ms != 0;
	delay(front, exchange, delay_ms);
	return true;
}

void fault_filter_resume(struct front *front)
{
	struct fault_filter *filter = front->faults;
	bool drains = front->unit->state > UNIT_READY;
	while (filter->delayed && (drains || filter->delayed->due_us <= front->now_us)) {
		struct exchange *exchange = filter->delayed;
		filter->delayed = exchange->next;
		front_resume(front, exchange);
		atomic_fetch_sub(&front->outstanding, 1);
	}
}

int fault_filter_wait_ms(const struct front *front, int longest)
{
	const struct fault_filter *filter = front->faults;
	if (!filter->delayed)
		return longest;
	int64_t left_us = filter->delayed->due_us - monotonic_us();
	int64_t left_ms = left_us > 0 ? left_us / 1000 + 1 : 0;
	return left_ms < longest ? (int)left_ms : longest;
}

void fault_filter_put(const struct front *front, kontor_writer *w)
{
	const struct fault_filter *filter = front->faults;
	if (!filter)
		return;
	kontor_put_array(w, "faults");
	for (size_t i = 0; i < filter->len; i++) {
		struct fault *fault = &filter->all[i];
		kontor_write_map(w);
		kontor_put_string(w, "fault", fault->entry->name);
		kontor_put_string(w, "method", fault->entry->method);
		kontor_put_string(w, "kind", fault->entry->kind);
		kontor_put_bool(w, "active", is_active(fault, front->now_us));
		kontor_put_uint(w, "hits", fault->hits);
		kontor_write_end(w);
	}
	kontor_write_end(w);
}

/* ---- start and stop ---------------------------------------------------------------------------------------------- */

int fault_filter_open(struct front *front, struct kontor_error *err)
{
	const struct unit_config *config = front->unit->config;
	if (!config->faults_len)
		return 0;
	front->faults = calloc(1, sizeof(*front->faults));
	struct fault *all = front->faults ? calloc(config->faults_len, sizeof(*all)) : NULL;
	if (!all)
		return kontor_fail(err, KONTOR_E_INTERNAL, "out of memory for faults");
	front->faults->all = all;
	front->faults->len = config->faults_len;
	for (size_t i = 0; i < config->faults_len; i++) {
		const struct fault_entry *entry = &config->faults[i];
		all[i] = (struct fault){.entry = entry,
					.kind = kind_of(entry->kind),
					.code = fault_config_code(entry),
					.random = (uint64_t)entry->seed};
	}
	return 0;
}

void fault_filter_close(struct front *front)
{
	struct fault_filter *filter = front->faults;
	if (!filter)
		return;
	while (filter->delayed) {
		struct exchange *exchange = filter->delayed;
		filter->delayed = exchange->next;
		exchange_free(exchange);
	}
	free(filter->all);
	free(filter);
	front->faults = NULL;
}
