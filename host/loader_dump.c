/* SPDX-License-Identifier: Apache-2.0
 *
 * --dump-plugin: what a plugin offers, as key=value lines that scripts can read.
 */
#include "loader.h"

#include <string.h>

#include "kontor/error.h"

const char *loader_conf_type_name(enum kontor_conf_type type)
{
	static const char *const names[] = {"int",    "bool",     "string", "name", "file", "secret",
					    "folder", "duration", "size",   "list", "enum"};
	return (size_t)type < sizeof(names) / sizeof(names[0]) ? names[type] : "unknown";
}

const char *loader_visibility_name(enum kontor_visibility visibility)
{
	return visibility == KONTOR_PUBLIC ? "public" : visibility == KONTOR_OPERATOR ? "operator" : "internal";
}

void loader_dump(const struct loaded_plugin *plugin, FILE *out)
{
	const struct kontor_plugin *api = &plugin->api;
	fprintf(out, "file=%s\nname=%s\nversion=%s\nsummary=%s\nabi=%u.%u\nstruct_size=%u\n", plugin->file, api->name,
		api->version ? api->version : "", api->summary ? api->summary : "", api->abi_major, api->abi_minor,
		api->struct_size);
	for (const char *const *call = api->calls; call && *call; call++)
		fprintf(out, "calls=%s\n", *call);
	for (size_t i = 0; i < api->conf_len; i++) {
		const struct kontor_conf_row *row = &api->conf[i];
		fprintf(out, "conf.%s=%s default=%s%s%s\n", row->key, loader_conf_type_name(row->type),
			row->default_text ? row->default_text : "(required)", row->help ? " # " : "",
			row->help ? row->help : "");
	}
	for (size_t i = 0; i < api->methods_len; i++) {
		const struct kontor_method *method = &api->methods[i];
		fprintf(out, "method.%s.%s=%s %s%s%s # %s\n", api->name, method->name,
			loader_visibility_name(method->visibility), kontor_role_name(method->role),
			method->flags & KONTOR_METHOD_CHANGES ? " changes" : "",
			method->flags & KONTOR_METHOD_INLINE ? " inline" : "", method->help ? method->help : "");
	}
	for (size_t i = 0; i < api->job_kinds_len; i++)
		fprintf(out, "job.%s=%s\n", api->job_kinds[i].name, api->job_kinds[i].lane);
	for (size_t i = 0; i < api->upload_kinds_len; i++)
		fprintf(out, "upload.%s=%zu columns\n", api->upload_kinds[i].name, api->upload_kinds[i].columns_len);
	for (size_t i = 0; i < api->schema_len; i++)
		fprintf(out, "schema=%s\n", api->schema[i].name);
}
