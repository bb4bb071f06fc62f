/* SPDX-License-Identifier: Apache-2.0
 *
 * Blocks `fault "NAME" { ... }`: their options, and the warnings about them.
 */
#include <string.h>

#include "fault_filter.h"
#include "kontor/log.h"

#define LOWEST_CODE (-99) /* those below are the plugins' own */

#define FAULT(member) offsetof(struct fault_entry, member)
static const struct kontor_conf_row rows[] = {
	{"method", KONTOR_CONF_STRING, FAULT(method), NULL, 0, 0, NULL,
	 "calls that it may hit: service.method, where * stands for any characters and ? for one; never those of the "
	 "service kontor",
	 false},
	{"kind", KONTOR_CONF_ENUM, FAULT(kind), NULL, 0, 0, "error|delay|drop-request|drop-reply",
	 "error: answered with code, the method does not run; delay: it runs later; drop-request: it does not run, no "
	 "answer; drop-reply: it runs, no answer",
	 false},
	{"code", KONTOR_CONF_ENUM, FAULT(code), "UNAVAILABLE", 0, 0,
	 "BUSY|DRAINING|UNAVAILABLE|DEADLINE|UNKNOWN_OUTCOME|INTERNAL|STORAGE|BAD_REQUEST|NO_METHOD|DENIED|TOO_BIG|"
	 "CONFLICT|NOT_FOUND|DISABLED",
	 "of kind error", false},
	{"retry_after", KONTOR_CONF_DURATION, FAULT(retry_after_ms), "0", 0, 60000, NULL,
	 "of kind error: advice to the caller when to try again; 0: none", false},
	{"delay", KONTOR_CONF_DURATION, FAULT(delay_ms), "100ms", 1, 60000, NULL, "of kind delay: how much later",
	 false},
	{"percent", KONTOR_CONF_INT, FAULT(percent), "100", 1, 100, NULL, "how many of the calls it hits, by chance",
	 false},
	{"seed", KONTOR_CONF_INT, FAULT(seed), "1", 0, INT64_C(4294967295), NULL,
	 "of that chance: the same seed hits the same calls of a sequence", false},
	{"trigger", KONTOR_CONF_STRING, FAULT(trigger), "", 0, 0, NULL,
	 "file that switches the fault on while it exists, looked for every 100 ms; empty: it is always on", false},
};
const struct config_table fault_table = {rows, sizeof(rows) / sizeof(rows[0])};

int fault_config_code(const struct fault_entry *entry)
{
	for (int code = -1; code > LOWEST_CODE; code--)
		if (strcmp(kontor_code_name(code), entry->code) == 0)
			return code;
	return KONTOR_E_INTERNAL;
}

static void judge(struct config *config, const struct fault_entry *fault)
{
	if (fault->method && !strchr(fault->method, '.') && strcmp(fault->method, "*") != 0)
		CONFIG_PROBLEM_AT(config, "fault", fault->name, "method",
				  "method = \"%s\": must be service.method, like idgen.next, idgen.* or *",
				  fault->method);
	if (fault->trigger && fault->trigger[0] && fault->trigger[0] != '/')
		CONFIG_PROBLEM_AT(config, "fault", fault->name, "trigger", "trigger = \"%s\": must be an absolute path",
				  fault->trigger);
	if (!kontor_name_valid(kontor_text_of(fault->name)))
		CONFIG_PROBLEM_AT(config, "fault", fault->name, "",
				  "'%s' is no name of a fault: it must be [a-z0-9][a-z0-9-]{0,31}", fault->name);
}

void fault_config_read(struct unit_config *unit_config)
{
	struct config *config = unit_config->config;
	const char **titles = config_titles(config, "fault");
	size_t len = 0;
	while (titles[len])
		len++;
	unit_config->faults = config_alloc(config, (len + 1) * sizeof(*unit_config->faults));
	for (; *titles; titles++) {
		struct fault_entry *fault = &unit_config->faults[unit_config->faults_len++];
		fault->name = *titles;
		config_fill(config, "fault", *titles, fault_table, fault);
		config_refuse_unknown(config, "fault", *titles, &fault_table, 1);
		judge(config, fault);
	}
}

void fault_config_warn(const struct unit_config *unit_config)
{
	for (size_t i = 0; i < unit_config->faults_len; i++) {
		const struct fault_entry *fault = &unit_config->faults[i];
		kontor_log(KONTOR_LOG_WARNING, "a fault is configured: calls will fail on purpose",
			   "fault=%s method=%s kind=%s percent=%lld trigger=%s cure=%s", fault->name,
			   KONTOR_QUOTED(fault->method ? fault->method : ""), fault->kind ? fault->kind : "",
			   (long long)fault->percent, KONTOR_QUOTED(fault->trigger ? fault->trigger : ""),
			   KONTOR_QUOTED("take the block fault out, unless this unit is for tests"));
	}
}
