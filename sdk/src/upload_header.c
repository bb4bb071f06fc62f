/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "upload_header.h"

/* A header can be refused for its content: what is shown of it is printable and short. */
#define SHOWN_NAME_SIZE 48

static const char *shown(struct kontor_text name, char buffer[static SHOWN_NAME_SIZE])
{
	size_t size = 0;
	for (; size < name.size && size < SHOWN_NAME_SIZE - 4; size++) {
		unsigned char c = (unsigned char)name.data[size];
		buffer[size] = (char)(c < 0x20 || c > 0x7e ? '?' : c);
	}
	memcpy(buffer + size, size < name.size ? "..." : "", size < name.size ? 4 : 1);
	return buffer;
}

/* What people take for CSV: told by its first bytes before the columns are looked for in vain. */
static const char *name_format(struct kontor_text raw)
{
	static const struct {
		const char *magic, *what;
	} formats[] = {
		{"PK\x03\x04", "a zip archive or an xlsx workbook: unpack it, or save the sheet as CSV UTF-8"},
		{"\xd0\xcf\x11\xe0", "an xls workbook: save the sheet as CSV UTF-8"},
		{"\xfd"
		 "7zXZ",
		 "packed by xz: unpack it, or pack it by gzip or zstd"},
		{"BZh", "packed by bzip2: unpack it, or pack it by gzip or zstd"},
		{"\xff\xfe", "UTF-16: save it as CSV UTF-8"},
		{"\xfe\xff", "UTF-16: save it as CSV UTF-8"},
	};
	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
		size_t size = strlen(formats[i].magic);
		if (raw.size >= size && memcmp(raw.data, formats[i].magic, size) == 0)
			return formats[i].what;
	}
	return raw.size && memchr(raw.data, '\r', raw.size) ? "of lines that end in CR alone: save it with LF or CRLF"
							    : NULL;
}

static int find_column(const struct kontor_upload_kind *kind, struct kontor_text name)
{
	for (size_t i = 0; i < kind->columns_len; i++) {
		if (kontor_text_is(name, kind->columns[i].name))
			return (int)i;
	}
	return -1;
}

static bool is_readable(const struct kontor_upload_kind *kind, const struct kontor_csv_record *record)
{
	bool readable = !record->fault;
	for (size_t i = 0; i < record->fields_len && readable; i++)
		readable = find_column(kind, record->fields[i]) >= 0;
	return readable;
}

static int refuse_unknown(const struct kontor_upload_kind *kind, struct kontor_text name, uint64_t line,
			  unsigned position, struct kontor_error *err)
{
	const char *names[KONTOR_CSV_FIELDS];
	char all[256] = "", buffer[SHOWN_NAME_SIZE];
	size_t length = 0;
	for (size_t i = 0; i < kind->columns_len; i++) {
		names[i] = kind->columns[i].name;
		int added = snprintf(all + length, sizeof(all) - length, "%s%s", i ? ", " : "", names[i]);
		length += added > 0 && (size_t)added < sizeof(all) - length ? (size_t)added : 0;
	}
	if (position == 1 && name.size > 0 && !memchr(name.data, ',', name.size)) {
		const char *other = memchr(name.data, ';', name.size)    ? "semicolons"
				    : memchr(name.data, '\t', name.size) ? "tabs"
									 : NULL;
		if (other)
			return kontor_fail(err, KONTOR_E_BAD_REQUEST,
					   "line %llu: the columns are separated by %s instead of commas; %s knows: %s",
					   (unsigned long long)line, other, kind->name, all);
	}
	const char *nearest = kontor_text_nearest(name, names, kind->columns_len);
	return kontor_fail(err, KONTOR_E_BAD_REQUEST, "line %llu, column %u: unknown column \"%s\"%s%s%s; %s knows: %s",
			   (unsigned long long)line, position, shown(name, buffer), nearest ? ", did you mean \"" : "",
			   nearest ? nearest : "", nearest ? "\"" : "", kind->name, all);
}

int kontor_upload_header_check(const struct kontor_upload_kind *kind, const struct kontor_csv_record *record,
			       uint64_t line, struct kontor_upload_header *ret_header, struct kontor_error *err)
{
	struct kontor_upload_header header = {.columns_len = (unsigned)record->fields_len};
	const char *format = is_readable(kind, record) ? NULL : name_format(record->raw);
	if (format)
		return kontor_fail(err, KONTOR_E_BAD_REQUEST, "line %llu: the file is %s", (unsigned long long)line,
				   format);
	if (record->fault)
		return kontor_fail(err, KONTOR_E_BAD_REQUEST, "line %llu, column %u: the header row is unreadable: %s",
				   (unsigned long long)line, record->fault_column, kontor_csv_explain(record->fault));
	for (unsigned i = 0; i < header.columns_len; i++) {
		int column = find_column(kind, record->fields[i]);
		if (column < 0)
			return refuse_unknown(kind, record->fields[i], line, i + 1, err);
		if (header.positions[column])
			return kontor_fail(err, KONTOR_E_BAD_REQUEST,
					   "line %llu: column \"%s\" is there twice, as column %u and column %u",
					   (unsigned long long)line, kind->columns[column].name,
					   header.positions[column], i + 1);
		header.positions[column] = i + 1;
		header.kind_columns[i] = (unsigned)column;
	}
	for (size_t i = 0; i < kind->columns_len; i++) {
		if (kind->columns[i].required && !header.positions[i])
			return kontor_fail(err, KONTOR_E_BAD_REQUEST, "line %llu: column \"%s\" is missing: %s",
					   (unsigned long long)line, kind->columns[i].name, kind->columns[i].help);
	}
	*ret_header = header;
	return 0;
}

const char *kontor_upload_header_name(const struct kontor_upload_header *header, const struct kontor_upload_kind *kind,
				      unsigned position)
{
	if (position == 0 || position > header->columns_len)
		return "";
	return kind->columns[header->kind_columns[position - 1]].name;
}
