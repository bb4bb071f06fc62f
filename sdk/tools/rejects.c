/* SPDX-License-Identifier: Apache-2.0 */
#include "rejects.h"

#include <string.h>

#include "kontor/csv.h"
#include "kontor/report.h"

static void write_fields(FILE *out, const struct kontor_text *fields, size_t len, size_t columns)
{
	for (size_t i = 0; i < columns; i++)
		kontor_report_field(out, i < len ? fields[i] : (struct kontor_text){0}, ',');
}

/* The line's own fields, so that it can be repaired in place. A line that is no CSV, or has more fields than the
 * header, stands as a whole in the first column: else it would break the lines after it. */
static void write_original(FILE *out, kontor_csv *csv, struct kontor_text raw, size_t columns)
{
	struct kontor_csv_record record = {0};
	size_t skipped = 0;
	size_t used = kontor_csv_next(csv, raw, true, true, &record, &skipped);
	if (used == raw.size && record.fault == KONTOR_CSV_OK && record.fields_len <= columns)
		write_fields(out, record.fields, record.fields_len, columns);
	else
		write_fields(out, &raw, 1, columns);
}

static void write_row(FILE *out, kontor_csv *csv, const msgpack_object *row, size_t columns)
{
	write_original(out, csv, kontor_get_text(row, "raw"), columns);
	fprintf(out, "%llu,", (unsigned long long)kontor_get_uint(row, "line", 0));
	kontor_report_field(out, kontor_get_text(row, "column"), ',');
	kontor_report_field(out, kontor_get_text(row, "verdict"), ',');
	kontor_report_field(out, kontor_get_text(row, "reason"), '\n');
}

static void write_header(FILE *out, const msgpack_object *columns)
{
	for (uint32_t i = 0; i < columns->via.array.size; i++) {
		const msgpack_object *name = &columns->via.array.ptr[i];
		struct kontor_text text = {0};
		if (name->type == MSGPACK_OBJECT_STR)
			text = (struct kontor_text){name->via.str.ptr, name->via.str.size};
		kontor_report_field(out, text, ',');
	}
	fputs("line,column,verdict,reason\n", out);
}

static int read_page(struct cli *cli, uint64_t upload_id, const msgpack_object *after, kontor_body **ret_page)
{
	kontor_writer *args = new_args();
	kontor_put_uint(args, "upload_id", upload_id);
	if (after)
		kontor_put_object(args, "after", after);
	kontor_write_end(args);
	int code = call_reading(cli, "upload.rejects", args, ret_page);
	kontor_writer_free(args);
	return code;
}

static bool is_array(const msgpack_object *object)
{
	return object && object->type == MSGPACK_OBJECT_ARRAY;
}

/* While the job runs, rows that are not judged yet may be rejected, too. */
static void say_how_far(const msgpack_object *page)
{
	char state[24];
	kontor_get_string(page, "state", state, sizeof(state));
	uint64_t judged = kontor_get_uint(page, "judged", 0), total = kontor_get_uint(page, "total", 0);
	if (strcmp(state, "receiving") == 0 || strcmp(state, "checking") == 0)
		complain("the upload is %s: no row is judged yet", state);
	else if (strcmp(state, "importing") == 0 && judged < total)
		complain("the upload is importing: these are the rejects of %llu of %llu rows",
			 (unsigned long long)judged, (unsigned long long)total);
	else if (strcmp(state, "cancelled") == 0)
		complain("the upload is cancelled: no row of it counts, and its rejects are deleted");
	else if (strcmp(state, "refused") == 0 || strcmp(state, "failed") == 0)
		complain("the upload is %s: no row of it counts; kontor upload show tells why", state);
}

int rejects_write(struct cli *cli, uint64_t upload_id, FILE *out)
{
	kontor_body *page = NULL;
	kontor_csv *csv = kontor_csv_new();
	const msgpack_object *after = NULL;
	int code = csv ? EXIT_DONE : EXIT_REFUSED;
	bool first = true;
	while (code == EXIT_DONE && (first || after)) {
		kontor_body *next = NULL;
		code = read_page(cli, upload_id, after, &next);
		if (code != EXIT_DONE)
			break;
		kontor_body_free(page);
		page = next;
		const msgpack_object *columns = kontor_get(kontor_body_map(page), "columns");
		const msgpack_object *rows = kontor_get(kontor_body_map(page), "rows");
		if (!is_array(columns) || !is_array(rows)) {
			complain("upload.rejects answered no columns or no rows");
			code = EXIT_REFUSED;
			break;
		}
		if (first)
			write_header(out, columns);
		for (uint32_t i = 0; i < rows->via.array.size; i++)
			write_row(out, csv, &rows->via.array.ptr[i], columns->via.array.size);
		after = kontor_get(kontor_body_map(page), "next");
		first = false;
	}
	if (code == EXIT_DONE)
		say_how_far(kontor_body_map(page));
	kontor_body_free(page);
	kontor_csv_free(csv);
	return code;
}

int rejects_save(struct cli *cli, uint64_t upload_id, struct out_file *file)
{
	char advice[96];
	int code = file->out ? rejects_write(cli, upload_id, file->out) : EXIT_DONE;
	snprintf(advice, sizeof(advice), "the same is printed by: kontor upload rejects %llu",
		 (unsigned long long)upload_id);
	return code ? code : out_file_save(file, advice);
}
