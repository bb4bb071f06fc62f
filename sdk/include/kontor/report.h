/* SPDX-License-Identifier: Apache-2.0
 *
 * Reports: job kinds whose output is a CSV file that people fetch (jobs.output). A kind's plan, chunk and finish call
 * the functions here; the kind itself only writes rows, page by page, each page one transaction with its checkpoint: so
 * a report of any size holds one page in memory, and goes on where it was interrupted.
 */
#ifndef KONTOR_REPORT_H
#define KONTOR_REPORT_H

#include <stdio.h>

#include "kontor/job.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* Where a page begins, in the report's own terms; all zero for the first one. */
struct kontor_report_cursor {
	char text[32];
	uint64_t first, second;
};

struct kontor_report_page {
	FILE *out;                          /* CSV lines go here until kontor_report_is_full() */
	struct kontor_report_cursor cursor; /* where the page begins, then where the next one does */
	uint64_t rows;                      /* that the page has */
	bool last;                          /* nothing is behind it */
};

struct kontor_report {
	const char *header; /* the first line, without its end */
	void *self;
	/* Writes the next page. In the transaction that keeps it; may run again on the same cursor. */
	int (*page)(void *self, kontor_conn *tx, kontor_job *job, struct kontor_report_page *page,
		    struct kontor_error *err);
};

/* `total` rows are expected, for the progress. */
int kontor_report_plan(kontor_job *job, uint64_t total, struct kontor_error *err);
int kontor_report_chunk(const struct kontor_report *report, kontor_job *job, kontor_chunk *chunk,
			struct kontor_error *err);
/* The job's result is {rows}. */
int kontor_report_finish(kontor_job *job, struct kontor_error *err);

/* In a method that changes something: submits the kind (of lane report) for the method's arguments region and window,
 * which become its params, and answers {job_id, state}. */
struct kontor_request;
int kontor_report_submit(struct kontor_request *request, const char *kind);
/* For a page of a query with `LIMIT limit`: writes rows until the page is full or they end, and closes them. write_row
 * writes a line and moves the page's cursor there. */
int kontor_report_rows(struct kontor_report_page *page, kontor_job *job, kontor_rows *rows, uint64_t limit,
		       int (*write_row)(kontor_job *job, const kontor_rows *rows, struct kontor_report_page *page,
					struct kontor_error *err),
		       struct kontor_error *err);
/* No more rows fit into the page. */
bool kontor_report_is_full(const struct kontor_report_page *page);

/* One field with the separator behind it, '\n' after the last one. Quoted where it must be; one that a spreadsheet
 * would run ("=", "+", "-", "@" in front, and no number) gets an apostrophe. */
void kontor_report_field(FILE *out, struct kontor_text field, char separator);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
