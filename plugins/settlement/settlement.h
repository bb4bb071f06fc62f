/* SPDX-License-Identifier: Apache-2.0
 *
 * What the settlement plugin's files share: its state and the handlers of its tables.
 */
#ifndef SETTLEMENT_H
#define SETTLEMENT_H

#include "kontor/host.h"
#include "kontor/plugin.h"

struct settlement {
	kontor_host *host;
	int64_t undo_rows;      /* items that one transaction of an undo removes */
	int64_t close_retry_ms; /* a waiting close looks again after this time */
};

#define ADD_ITEMS_LIMIT 5000

/* items_service.c, close_request.c, find.c, window_list.c, settle_state.c, hold.c, manual_service.c */
int handle_add_items(void *self, kontor_request *request);
int handle_close(void *self, kontor_request *request);
int handle_find(void *self, kontor_request *request);
int handle_windows(void *self, kontor_request *request);
int handle_window_get(void *self, kontor_request *request);
int handle_settle_begin(void *self, kontor_request *request);
int handle_settle_end(void *self, kontor_request *request);
int handle_hold(void *self, kontor_request *request);
int handle_release(void *self, kontor_request *request);
int handle_manual(void *self, kontor_request *request);
int handle_manual_end(void *self, kontor_request *request);

/* report_items.c */
#define REPORT_ITEMS_KIND "settlement.report_items"
int handle_report_items(void *self, kontor_request *request);
int report_items_plan(void *self, kontor_job *job, struct kontor_error *err);
int report_items_chunk(void *self, kontor_job *job, kontor_chunk *chunk, struct kontor_error *err);
int report_items_finish(void *self, kontor_job *job, struct kontor_error *err);

/* close_job.c: the close, and behind it the report. */
#define SETTLEMENT_JOB_KINDS 2
extern const struct kontor_job_kind close_job_kind[SETTLEMENT_JOB_KINDS];

#endif
