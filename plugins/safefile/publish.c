/* SPDX-License-Identifier: Apache-2.0
 *
 * safefile.publish: the request with its conditions, and the job that fixes sequence and time in the database, signs
 * the manifest and gives it its name last. After any crash the job does the same again, with the same bytes.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "chain.h"
#include "kontor/approval.h"
#include "kontor/log.h"
#include "manifest.h"
#include "publication.h"
#include "safefile.h"
#include "statements.h"

#define WAIT_FOR_OTHER_MS 2000 /* one profile publishes one safefile after the other */

/* ---- conditions ---- */

static int count_approvals(kontor_conn *conn, uint64_t safefile_id, const uint8_t *digest, unsigned *ret_count,
			   struct kontor_error *err)
{
	const void *data;
	size_t size;
	kontor_body *body = NULL;
	kontor_writer *w = kontor_writer_new();
	if (!w)
		return kontor_fail(err, KONTOR_E_INTERNAL, "out of memory");
	kontor_write_map(w);
	int code = kontor_approval_put_votes(conn, SAFEFILE_SUBJECT, safefile_id, digest, w, "votes", err);
	kontor_write_end(w);
	if (!code)
		code = kontor_writer_finish(w, &data, &size, err);
	if (!code)
		code = kontor_body_parse(data, size, &body, err);
	kontor_writer_free(w);
	if (code)
		return code;
	const msgpack_object *votes = kontor_get(kontor_body_map(body), "votes");
	*ret_count = 0;
	for (uint32_t i = 0; votes && i < votes->via.array.size; i++)
		*ret_count += kontor_text_is(kontor_get_text(&votes->via.array.ptr[i], "decision"), "give");
	kontor_body_free(body);
	return 0;
}

/* What was approved must be what the rows say now: the digest is computed again. DENIED with what is missing. */
static int require_approvals(kontor_conn *conn, const struct stored_file *file, const struct stored_part *parts,
			     size_t len, struct kontor_error *err)
{
	uint8_t digest[SHA256_SIZE];
	enum kontor_approval_state state;
	unsigned given = 0;
	int code = stored_digest(file, parts, len, digest, err);
	if (code)
		return code;
	if (!file->has_digest || memcmp(digest, file->digest, SHA256_SIZE) != 0)
		return kontor_fail(
			err, KONTOR_E_DENIED,
			"the rows of safefile %llu are not those that were shown for approval: cancel it and create it "
			"again",
			(unsigned long long)file->safefile_id);
	code = kontor_approval_state(conn, SAFEFILE_SUBJECT, file->safefile_id, digest, &state, err);
	if (!code && state != KONTOR_APPROVAL_GIVEN)
		code = count_approvals(conn, file->safefile_id, digest, &given, err);
	if (code || state == KONTOR_APPROVAL_GIVEN)
		return code;
	if (state == KONTOR_APPROVAL_REFUSED)
		return kontor_fail(err, KONTOR_E_DENIED,
				   "safefile %llu was refused (kontor safefile show %llu): cancel it",
				   (unsigned long long)file->safefile_id, (unsigned long long)file->safefile_id);
	unsigned missing = given < SAFEFILE_APPROVALS ? SAFEFILE_APPROVALS - given : 0;
	return kontor_fail(
		err, KONTOR_E_DENIED,
		"safefile %llu has %u of %d approvals, %u %s missing: kontor safefile approve %llu (by users other "
		"than %s)",
		(unsigned long long)file->safefile_id, given, SAFEFILE_APPROVALS, missing, missing == 1 ? "is" : "are",
		(unsigned long long)file->safefile_id, file->user);
}

/* ---- the request ---- */

static int start_job(const struct safefile_plugin *plugin, kontor_request *request, const struct stored_file *file,
		     uint64_t *ret_job_id)
{
	kontor_conn *tx = kontor_request_db(request);
	struct kontor_error *err = kontor_request_error(request);
	struct stored_part *parts;
	size_t len;
	uint64_t changed;
	if (strcmp(file->state, STATE_VERIFIED) != 0)
		return kontor_request_fail(request, KONTOR_E_CONFLICT,
					   "safefile %llu is %s: only a verified one is published",
					   (unsigned long long)file->safefile_id, file->state);
	if (!*plugin->key_file)
		return kontor_request_fail(request, KONTOR_E_CONFLICT,
					   "no signing key is configured: set key_file in plugin \"safefile\"");
	int code = stored_parts_load(tx, file->safefile_id, kontor_request_arena(request), &parts, &len, err);
	if (!code)
		code = require_approvals(tx, file, parts, len, err);
	if (!code)
		code = kontor_id_next(plugin->host, "job", ret_job_id, err);
	if (!code)
		code = kontor_db_exec(tx, SQL_START_PUBLISHING,
				      KONTOR_PARAMS(P_UINT(*ret_job_id), P_UINT(file->safefile_id)), &changed, err);
	if (!code && changed == 0)
		code = kontor_request_fail(request, KONTOR_E_CONFLICT,
					   "safefile %llu is not " STATE_VERIFIED " any more",
					   (unsigned long long)file->safefile_id);
	if (!code)
		code = safefile_submit(tx, JOB_PUBLISH, *ret_job_id, file->region, kontor_request_user(request)->name,
				       file->safefile_id, 0, err);
	return code;
}

int safefile_publish(void *self, kontor_request *request)
{
	struct stored_file file;
	struct kontor_error *err = kontor_request_error(request);
	int code = stored_file_load(kontor_request_db(request), kontor_arg_id(request, "safefile_id"), &file, err);
	if (code)
		return code;
	/* Again while it is being published, or afterwards: the same job. */
	uint64_t job_id = file.publish_job_id;
	bool submitted = strcmp(file.state, STATE_PUBLISHED) != 0 && strcmp(file.state, STATE_PUBLISHING) != 0;
	if (submitted)
		code = start_job(self, request, &file, &job_id);
	return code ? code
		    : safefile_put(kontor_request_db(request), kontor_request_arena(request), kontor_reply(request),
				   file.safefile_id, job_id, submitted, err);
}

/* ---- the job ---- */

struct publisher {
	kontor_job *job;
	struct stored_file file;
	struct stored_part *parts;
	size_t parts_len;
	uint64_t other; /* publishes now, so this one waits */
	uint8_t manifest_sha256[SHA256_SIZE];
};

static int load(kontor_job *job, struct publisher *p, struct kontor_error *err)
{
	p->job = job;
	int code = job_file(job, &p->file, err);
	return code ? code
		    : stored_parts_load(kontor_job_db(job), p->file.safefile_id, kontor_job_arena(job), &p->parts,
					&p->parts_len, err);
}

/* Takes the profile's chain and fixes sequence, previous manifest and time: from here on the manifest's bytes are. */
static int fix_publication(kontor_conn *tx, struct publisher *p, const struct chain_head *head,
			   struct kontor_error *err)
{
	const struct stored_file *file = &p->file;
	uint64_t changed;
	int code = kontor_db_exec(tx, SQL_CLAIM_CHAIN,
				  KONTOR_PARAMS(P_UINT(file->safefile_id), P_STRING(file->profile.name),
						P_UINT(head->sequence), P_UINT(file->safefile_id)),
				  &changed, err);
	if (!code && changed == 0)
		p->other = head->safefile_id ? head->safefile_id : file->safefile_id;
	if (code || p->other)
		return code;
	return kontor_db_exec(tx, SQL_FIX_PUBLICATION,
			      KONTOR_PARAMS(P_UINT(head->sequence + 1),
					    P_BYTES(head->has_manifest ? head->manifest_sha256 : NULL, SHA256_SIZE),
					    P_INT(kontor_now_ms()), P_UINT(file->safefile_id)),
			      NULL, err);
}

static int begin_publication(kontor_conn *tx, void *arg, struct kontor_error *err)
{
	struct publisher *p = arg;
	struct chain_head head;
	uint64_t changed;
	const char *profile = p->file.profile.name;
	p->other = 0;
	int code = kontor_db_exec(tx, SQL_START_PUBLISHING,
				  KONTOR_PARAMS(P_UINT(kontor_job_id(p->job)), P_UINT(p->file.safefile_id)), &changed,
				  err);
	if (!code && changed == 0)
		return kontor_fail(err, KONTOR_E_CONFLICT, "safefile %llu is %s and cannot be published",
				   (unsigned long long)p->file.safefile_id, p->file.state);
	if (!code)
		code = kontor_db_exec(tx, SQL_CREATE_CHAIN, KONTOR_PARAMS(P_STRING(profile)), NULL, err);
	if (!code)
		code = chain_load(tx, profile, &head, err);
	if (!code)
		code = fix_publication(tx, p, &head, err);
	if (code || p->other)
		return code;
	return kontor_job_planned(tx, p->job, p->file.payments, err);
}

int publish_plan(void *self, kontor_job *job, struct kontor_error *err)
{
	(void)self;
	struct publisher p = {0};
	int code = load(job, &p, err);
	if (!code)
		code = require_approvals(kontor_job_db(job), &p.file, p.parts, p.parts_len, err);
	if (!code)
		code = kontor_db_transaction(kontor_job_db(job), begin_publication, &p, err);
	if (!code && p.other)
		return kontor_job_wait(job, WAIT_FOR_OTHER_MS,
				       "waits while safefile %llu of the same profile is published",
				       (unsigned long long)p.other);
	return code;
}

static int put_result(kontor_conn *tx, struct publisher *p, struct kontor_error *err)
{
	const void *data;
	size_t size;
	kontor_writer *w = kontor_writer_new();
	if (!w)
		return kontor_fail(err, KONTOR_E_INTERNAL, "out of memory");
	kontor_write_map(w);
	kontor_put_uint(w, "safefile_id", p->file.safefile_id);
	kontor_put_string(w, "state", STATE_PUBLISHED);
	kontor_put_string(w, "path", p->file.path);
	kontor_put_uint(w, "sequence", p->file.sequence);
	kontor_write_end(w);
	int code = kontor_writer_finish(w, &data, &size, err);
	if (!code)
		code = kontor_job_done(tx, p->job, data, size, err);
	kontor_writer_free(w);
	return code;
}

static int record(kontor_conn *tx, struct publisher *p, struct kontor_error *err)
{
	const struct stored_file *file = &p->file;
	uint64_t changed;
	int code = kontor_db_exec(tx, SQL_SET_PUBLISHED,
				  KONTOR_PARAMS(P_BYTES(p->manifest_sha256, SHA256_SIZE), P_UINT(file->safefile_id)),
				  NULL, err);
	if (!code)
		code = kontor_db_exec(tx, SQL_ADVANCE_CHAIN,
				      KONTOR_PARAMS(P_UINT(file->sequence), P_BYTES(p->manifest_sha256, SHA256_SIZE),
						    P_STRING(file->profile.name), P_UINT(file->safefile_id),
						    P_UINT(file->sequence - 1)),
				      &changed, err);
	if (!code && changed == 0)
		code = kontor_fail(err, KONTOR_E_CONFLICT, "profile %s: another safefile has taken sequence %llu",
				   file->profile.name, (unsigned long long)file->sequence);
	return code;
}

static int record_published(kontor_conn *tx, void *arg, struct kontor_error *err)
{
	int code = record(tx, arg, err);
	return code ? code : put_result(tx, arg, err);
}

int publish_finish(void *self, kontor_job *job, struct kontor_error *err)
{
	const struct safefile_plugin *plugin = self;
	struct publisher p = {0};
	struct publication *publication = NULL;
	int code = load(job, &p, err);
	if (!code)
		code = publication_open(kontor_job_db(job), &p.file, p.parts, p.parts_len, kontor_job_arena(job),
					&publication, err);
	if (!code)
		code = publication_check(publication, err);
	if (!code)
		code = publication_write(publication, plugin->key_file, p.manifest_sha256, err);
	publication_close(publication);
	if (!code)
		code = kontor_db_transaction(kontor_job_db(job), record_published, &p, err);
	if (!code)
		kontor_log(KONTOR_LOG_NOTICE, "safefile published",
			   "safefile=%llu profile=%s sequence=%llu payments=%llu",
			   (unsigned long long)p.file.safefile_id, p.file.profile.name,
			   (unsigned long long)p.file.sequence, (unsigned long long)p.file.payments);
	return code;
}

/* ---- taking it back ---- */

static int start_unpublishing(kontor_conn *tx, void *arg, struct kontor_error *err)
{
	const struct publisher *p = arg;
	return kontor_db_exec(tx, SQL_START_UNPUBLISHING, KONTOR_PARAMS(P_UINT(p->file.safefile_id)), NULL, err);
}

static int set_unpublished(kontor_conn *tx, void *arg, struct kontor_error *err)
{
	const struct publisher *p = arg;
	int code = kontor_db_exec(tx, SQL_SET_UNPUBLISHED, KONTOR_PARAMS(P_UINT(p->file.safefile_id)), NULL, err);
	if (!code)
		code = kontor_db_exec(tx, SQL_RELEASE_CHAIN,
				      KONTOR_PARAMS(P_STRING(p->file.profile.name), P_UINT(p->file.safefile_id)), NULL,
				      err);
	return code;
}

static int record_after_all(kontor_conn *tx, void *arg, struct kontor_error *err)
{
	return record(tx, arg, err);
}

/* First the state, then the temporary files: a runner that was paused before its last rename finds either its check of
 * the state or the rename itself failing. What has its name on the disk is published, whatever became of the job. */
int publish_undo(void *self, kontor_job *job, struct kontor_error *err)
{
	(void)self;
	struct publisher p = {0};
	struct publication *publication = NULL;
	kontor_conn *conn = kontor_job_db(job);
	bool published = false;
	int code = load(job, &p, err);
	if (code || (strcmp(p.file.state, STATE_PUBLISHING) != 0 && strcmp(p.file.state, STATE_UNPUBLISHING) != 0))
		return code;
	code = kontor_db_transaction(conn, start_unpublishing, &p, err);
	if (!code && p.file.sequence)
		code = publication_open(conn, &p.file, p.parts, p.parts_len, kontor_job_arena(job), &publication, err);
	if (!code && publication)
		code = publication_withdraw(publication, &published, p.manifest_sha256, err);
	publication_close(publication);
	return code ? code : kontor_db_transaction(conn, published ? record_after_all : set_unpublished, &p, err);
}
