/* SPDX-License-Identifier: Apache-2.0
 *
 * What no single block or file shows: a name that two files describe, datacenters that share an id. Files of other
 * datacenters are judged too, as far as callers here may read them.
 */
#include <string.h>

#include "kontor/text.h"
#include "unit_config.h"

/* Files of the first layer have no order that anybody would know: the second description of a name is a mistake there,
 * while a file of a later layer is meant to change an earlier one. */
static void judge_blocks(struct config *config)
{
	for (size_t i = 1; i < config->blocks_len; i++) {
		const struct config_block *block = &config->blocks[i];
		for (size_t k = 0; k < i; k++) {
			const struct config_block *first = &config->blocks[k];
			if (block->layer != 0 || first->layer != 0 || first->file == block->file ||
			    strcmp(first->section, block->section) != 0 || strcmp(first->title, block->title) != 0)
				continue;
			config_problem(config, block->file, block->line,
				       "%s \"%s\" is described in %s:%u already: write all of it into one file",
				       block->section, block->title, first->file, first->line);
			break;
		}
	}
}

/* A block under another name than its file's would never be read where it is needed. */
static void judge_datacenter_names(struct config *config, const char *own_file, const char *here)
{
	for (size_t i = 0; i < config->blocks_len; i++) {
		const struct config_block *block = &config->blocks[i];
		if (strcmp(block->section, "datacenter") == 0 && strcmp(block->file, own_file) == 0 &&
		    strcmp(block->title, here) != 0)
			config_problem(
				config, block->file, block->line,
				"datacenter \"%s\" belongs into datacenters/%s.conf: this file is read for \"%s\"",
				block->title, block->title, here);
	}
}

static void judge_other_datacenter(struct unit_config *unit, const char *file, const char *name)
{
	struct config *config = unit->config;
	struct config *other = config_new();
	config_read_file(other, file);
	struct datacenter datacenter = {.name = name};
	datacenter_read_services(other, &datacenter);
	datacenter_check_services(other, &datacenter);
	for (size_t i = 0; i < other->problems_len; i++)
		config_problem(config, config_copy(config, file), other->problems[i].line, "%s",
			       other->problems[i].message);
	const struct config_setting *setting = config_find(other, "datacenter", name, "id");
	int64_t id = 0;
	if (setting && setting->values_len == 1 && kontor_parse_int(kontor_text_of(setting->values[0]), &id) &&
	    id == unit->here.id)
		config_problem(config, config_copy(config, file), setting->line,
			       "datacenters \"%s\" and \"%s\" have the same id %d: both would issue the same ids; give "
			       "the newer one a free number",
			       name, unit->options.datacenter, (int)id);
	config_free(other);
}

void unit_config_judge(struct unit_config *unit, const char *conf_folder, const char **datacenters)
{
	struct config *config = unit->config;
	const char *here = unit->options.datacenter;
	judge_blocks(config);
	if (!here)
		return;
	judge_datacenter_names(config, config_path(config, conf_folder, "datacenters/", here), here);
	for (; *datacenters; datacenters++)
		if (strcmp(*datacenters, here) != 0)
			judge_other_datacenter(unit, config_path(config, conf_folder, "datacenters/", *datacenters),
					       *datacenters);
}
