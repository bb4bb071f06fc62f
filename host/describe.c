/* SPDX-License-Identifier: Apache-2.0
 *
 * --describe and --describe-plugin: all tables as JSON, which the manual pages are made from.
 */
#include "describe.h"

#include <inttypes.h>
#include <string.h>

#include "services.h"
#include "unit_config.h"

/* Writes one value of an array or object; `*first` says whether a comma belongs before it. */
static void separate(FILE *out, bool *first)
{
	fputs(*first ? "" : ",\n", out);
	*first = false;
}

static void put_text(FILE *out, const char *text)
{
	if (!text) {
		fputs("null", out);
		return;
	}
	fputc('"', out);
	for (const unsigned char *c = (const unsigned char *)text; *c; c++)
		if (*c == '"' || *c == '\\')
			fprintf(out, "\\%c", *c);
		else if (*c < ' ')
			fprintf(out, "\\u%04x", *c);
		else
			fputc(*c, out);
	fputc('"', out);
}

static void put_entry(FILE *out, const char *key, const char *text)
{
	fprintf(out, ", \"%s\": ", key);
	put_text(out, text);
}

static const char *yes_or_no(bool value)
{
	return value ? "true" : "false";
}

static const char *argument_type_name(enum kontor_arg_type type)
{
	static const char *const names[] = {"int",    "id",   "bool", "string", "bytes", "region",
					    "window", "name", "time", "list",   "ids"};
	return (size_t)type < sizeof(names) / sizeof(names[0]) ? names[type] : "unknown";
}

static void describe_options(const struct kontor_conf_row *rows, size_t len, FILE *out)
{
	bool first = true;
	fputc('[', out);
	for (size_t i = 0; i < len; i++) {
		const struct kontor_conf_row *row = &rows[i];
		separate(out, &first);
		fputs("{\"key\": ", out);
		put_text(out, row->key);
		put_entry(out, "type", loader_conf_type_name(row->type));
		put_entry(out, "default", row->default_text);
		put_entry(out, "choices", row->choices);
		put_entry(out, "help", row->help);
		fprintf(out, ", \"min\": %" PRId64 ", \"max\": %" PRId64 ", \"reloadable\": %s}", row->min, row->max,
			yes_or_no(row->reloadable));
	}
	fputc(']', out);
}

static void describe_arguments(const struct kontor_arg *args, size_t len, FILE *out)
{
	bool first = true;
	fputc('[', out);
	for (size_t i = 0; i < len; i++) {
		separate(out, &first);
		fputs("{\"name\": ", out);
		put_text(out, args[i].name);
		put_entry(out, "type", argument_type_name(args[i].type));
		put_entry(out, "help", args[i].help);
		fprintf(out, ", \"required\": %s, \"min\": %" PRId64 ", \"max\": %" PRId64 "}",
			yes_or_no(args[i].required), args[i].min, args[i].max);
	}
	fputc(']', out);
}

static void describe_methods(const struct kontor_plugin *api, FILE *out)
{
	bool first = true;
	fputs(",\n\"methods\": [", out);
	for (size_t i = 0; i < api->methods_len; i++) {
		const struct kontor_method *method = &api->methods[i];
		separate(out, &first);
		fputs("{\"name\": ", out);
		put_text(out, method->name);
		put_entry(out, "visibility", loader_visibility_name(method->visibility));
		put_entry(out, "role", kontor_role_name(method->role));
		put_entry(out, "help", method->help);
		fprintf(out, ", \"changes\": %s, \"inline\": %s, \"arguments\": ",
			yes_or_no(method->flags & KONTOR_METHOD_CHANGES),
			yes_or_no(method->flags & KONTOR_METHOD_INLINE));
		describe_arguments(method->args, method->args_len, out);
		fputc('}', out);
	}
	fputc(']', out);
}

static void describe_uploads(const struct kontor_plugin *api, FILE *out)
{
	bool first = true;
	fputs(",\n\"uploads\": [", out);
	for (size_t i = 0; i < api->upload_kinds_len; i++) {
		const struct kontor_upload_kind *kind = &api->upload_kinds[i];
		bool first_column = true;
		separate(out, &first);
		fputs("{\"name\": ", out);
		put_text(out, kind->name);
		put_entry(out, "help", kind->help);
		fputs(", \"columns\": [", out);
		for (size_t c = 0; c < kind->columns_len; c++) {
			separate(out, &first_column);
			fputs("{\"name\": ", out);
			put_text(out, kind->columns[c].name);
			put_entry(out, "help", kind->columns[c].help);
			fprintf(out, ", \"required\": %s}", yes_or_no(kind->columns[c].required));
		}
		fputs("]}", out);
	}
	fputc(']', out);
}

static void describe_jobs(const struct kontor_plugin *api, FILE *out)
{
	bool first = true;
	fputs(",\n\"jobs\": [", out);
	for (size_t i = 0; i < api->job_kinds_len; i++) {
		separate(out, &first);
		fputs("{\"name\": ", out);
		put_text(out, api->job_kinds[i].name);
		put_entry(out, "lane", api->job_kinds[i].lane);
		put_entry(out, "help", api->job_kinds[i].help);
		fputc('}', out);
	}
	fputc(']', out);
}

void describe_plugin(const struct kontor_plugin *api, FILE *out)
{
	bool first = true;
	fputs("{\"name\": ", out);
	put_text(out, api->name);
	put_entry(out, "version", api->version);
	put_entry(out, "summary", api->summary);
	fputs(", \"calls\": [", out);
	for (const char *const *call = api->calls; call && *call; call++) {
		separate(out, &first);
		put_text(out, *call);
	}
	fputs("],\n\"options\": ", out);
	describe_options(api->conf, api->conf_len, out);
	describe_methods(api, out);
	describe_jobs(api, out);
	describe_uploads(api, out);
	fputs("}\n", out);
}

void describe_host(FILE *out)
{
	static const struct kontor_plugin *const services[] = {&service_kontor, &service_jobs, &service_approval};
	bool first = true;
	fputs("{\"version\": ", out);
	put_text(out, KONTOR_VERSION);
	fputs(",\n\"arguments\": [", out);
	const struct args_row *row;
	for (size_t i = 0; (row = args_row(i)); i++) {
		separate(out, &first);
		fputs("{\"name\": ", out);
		put_text(out, row->name);
		put_entry(out, "value", row->value);
		put_entry(out, "help", row->help);
		fputc('}', out);
	}
	fputs("],\n\"blocks\": {", out);
	first = true;
	const struct config_section *section;
	for (size_t i = 0; (section = unit_config_section(i)); i++) {
		separate(out, &first);
		put_text(out, section->name);
		fputs(": ", out);
		describe_options(section->table->rows, section->table->len, out);
	}
	fputs("},\n\"services\": [", out);
	first = true;
	for (size_t i = 0; i < sizeof(services) / sizeof(services[0]); i++) {
		separate(out, &first);
		describe_plugin(services[i], out);
	}
	fputs("]}\n", out);
}
