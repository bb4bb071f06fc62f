/* SPDX-License-Identifier: Apache-2.0
 *
 * The built-in service `approval`: what waits for somebody's consent, and giving or refusing it.
 */
#include <inttypes.h>

#include "kontor/approval.h"
#include "kontor/job.h"
#include "services.h"
#include "statements.h"

#define PAGE_DEFAULT 50
#define PAGE_LIMIT 1000

static const char *given_string(kontor_request *request, const char *name)
{
	return kontor_arg_given(request, name) ? kontor_arg_string(request, name) : NULL;
}

static int list_approvals(void *self, kontor_request *request)
{
	(void)self;
	struct kontor_error *err = kontor_request_error(request);
	kontor_writer *w = kontor_reply(request);
	const char *state = given_string(request, "state");
	int64_t limit = kontor_arg_given(request, "limit") ? kontor_arg_int(request, "limit") : PAGE_DEFAULT;
	uint64_t before = kontor_arg_given(request, "after") ? kontor_arg_id(request, "after") : INT64_MAX;
	kontor_rows *rows = NULL;
	int rc = kontor_db_query(kontor_request_db(request), KONTOR_READ_ALL, SQL_LIST_APPROVALS,
				 KONTOR_PARAMS(P_UINT(before), P_STRING(state), P_STRING(state), P_INT(limit)), &rows,
				 err);
	int64_t count = 0;
	uint64_t last = 0;
	kontor_put_array(w, "rows");
	while (!rc && kontor_rows_next(rows, err) == 1) {
		last = kontor_rows_uint(rows, 0);
		kontor_write_map(w);
		rc = kontor_approval_put(kontor_request_db(request), last, w, err);
		kontor_write_end(w);
		count++;
	}
	kontor_write_end(w);
	kontor_rows_close(rows);
	if (!rc && count == limit)
		kontor_put_uint(w, "next", last);
	return rc;
}

/* The approval that was named by its id, or by its subject. */
static int find_approval(kontor_request *request, uint64_t *ret_approval_id)
{
	const char *kind = given_string(request, "subject_kind");
	if (kontor_arg_given(request, "approval_id") == (kind && kontor_arg_given(request, "subject_id")))
		return kontor_request_fail(request, KONTOR_E_BAD_REQUEST,
					   "name the approval by approval_id, or by subject_kind and subject_id");
	if (!kind) {
		*ret_approval_id = kontor_arg_id(request, "approval_id");
		return 0;
	}
	uint64_t subject_id = kontor_arg_id(request, "subject_id");
	int rc = kontor_approval_find(kontor_request_db(request), kind, subject_id, ret_approval_id,
				      kontor_request_error(request));
	if (rc == KONTOR_E_NOT_FOUND)
		return kontor_request_fail(request, rc, "nothing waits for approval for %s %" PRIu64, kind, subject_id);
	return rc;
}

static int put_approval(kontor_request *request, uint64_t approval_id)
{
	int rc = kontor_approval_put(kontor_request_db(request), approval_id, kontor_reply(request),
				     kontor_request_error(request));
	if (rc == KONTOR_E_NOT_FOUND)
		return kontor_request_fail(request, rc, "there is no approval %" PRIu64, approval_id);
	return rc;
}

static int get_approval(void *self, kontor_request *request)
{
	(void)self;
	uint64_t approval_id = 0;
	int rc = find_approval(request, &approval_id);
	return rc ? rc : put_approval(request, approval_id);
}

static int decide(kontor_request *request, bool give)
{
	uint64_t approval_id = 0;
	int rc = find_approval(request, &approval_id);
	if (!rc)
		rc = kontor_approval_decide(kontor_request_db(request), approval_id, kontor_request_user(request), give,
					    kontor_request_error(request));
	if (!rc)
		rc = put_approval(request, approval_id);
	return rc;
}

static int give_approval(void *self, kontor_request *request)
{
	(void)self;
	return decide(request, true);
}

static int refuse_approval(void *self, kontor_request *request)
{
	(void)self;
	return decide(request, false);
}

static const struct kontor_arg list_args[] = {
	{"state", KONTOR_ARG_STRING, .max = 16, .help = "only approvals in this state: pending, given, refused, void"},
	{"after", KONTOR_ARG_ID, .help = "the `next` of the page before; newest come first"},
	{"limit", KONTOR_ARG_INT, .min = 1, .max = PAGE_LIMIT, .help = "rows of one page (50)"},
};
static const struct kontor_arg one_args[] = {
	{"approval_id", KONTOR_ARG_ID, .help = "the approval"},
	{"subject_kind", KONTOR_ARG_STRING, .max = 32, .help = "or what it is about: upload, payee, safefile"},
	{"subject_id", KONTOR_ARG_ID, .help = "and its id"},
};
#define ARGS(table) .args = (table), .args_len = sizeof(table) / sizeof((table)[0])

static const struct kontor_method methods[] = {
	{"list", 0, KONTOR_OPERATOR, KONTOR_ROLE_VIEWER, ARGS(list_args), .help = "Approvals, newest first.",
	 .handle = list_approvals},
	{"get", 0, KONTOR_OPERATOR, KONTOR_ROLE_VIEWER, ARGS(one_args), .help = "One approval with its votes.",
	 .handle = get_approval},
	{"give", KONTOR_METHOD_CHANGES, KONTOR_OPERATOR, KONTOR_ROLE_APPROVER, ARGS(one_args),
	 .help = "Agrees to exactly what the approval shows.", .handle = give_approval},
	{"refuse", KONTOR_METHOD_CHANGES, KONTOR_OPERATOR, KONTOR_ROLE_APPROVER, ARGS(one_args),
	 .help = "Refuses it for good.", .handle = refuse_approval},
};

const struct kontor_plugin service_approval = {
	KONTOR_PLUGIN_ABI,         .name = "approval",
	.version = KONTOR_VERSION, .summary = "approvals: list, show, give, refuse",
	.methods = methods,        .methods_len = sizeof(methods) / sizeof(methods[0]),
};
