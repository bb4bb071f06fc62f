/* SPDX-License-Identifier: Apache-2.0
 *
 * Running one request, the same for inline methods and workers.
 */
#include "exchange.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "crash.h"

int64_t monotonic_us(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000000) + now.tv_nsec / 1000;
}

struct exchange *exchange_new(void)
{
	struct exchange *exchange = calloc(1, sizeof(*exchange));
	if (exchange) {
		zmq_msg_init(&exchange->caller.route);
		zmq_msg_init(&exchange->body);
		zmq_msg_init(&exchange->result);
	}
	return exchange;
}

struct exchange *exchange_free(struct exchange *exchange)
{
	if (exchange) {
		zmq_msg_close(&exchange->caller.route);
		zmq_msg_close(&exchange->body);
		zmq_msg_close(&exchange->result);
		free(exchange);
	}
	return NULL;
}

#define POINTER_SIZE sizeof(void *)

bool exchange_send(void *socket, struct exchange *exchange, int flags)
{
	if (exchange)
		atomic_fetch_add_explicit(&exchange->hops, 1, memory_order_release);
	return zmq_send(socket, &exchange, POINTER_SIZE, flags) == (int)POINTER_SIZE;
}

bool exchange_receive(void *socket, struct exchange **ret_exchange, int flags)
{
	int size;
	do
		size = zmq_recv(socket, ret_exchange, POINTER_SIZE, flags);
	while (size < 0 && zmq_errno() == EINTR);
	if (size != (int)POINTER_SIZE)
		return false;
	if (*ret_exchange)
		(void)atomic_load_explicit(&(*ret_exchange)->hops, memory_order_acquire);
	return true;
}

int exchange_run(const struct unit *unit, struct exchange *exchange, kontor_conn *conn, kontor_request **request,
		 const void **ret_data, size_t *ret_size)
{
	const struct kontor_request_options options = {
		.host = unit->host,
		.service = exchange->plugin->api.name,
		.method = exchange->method,
		.self = exchange->plugin->self,
		.user = exchange->user,
		.id = exchange->header.id,
		.key = exchange->header.key,
		.traceparent = exchange->header.traceparent,
		.body = zmq_msg_data(&exchange->body),
		.body_size = zmq_msg_size(&exchange->body),
		.deadline_ms = exchange->deadline_ms,
		.cancelled = &exchange->cancelled,
		.db = conn,
	};
	crash_working_on(exchange->plugin->api.name, exchange->method->name, exchange->header.id);
	int rc = kontor_request_begin(request, &options, &exchange->error);
	if (!rc)
		rc = kontor_request_run(*request, ret_data, ret_size, &exchange->error);
	crash_working_on(NULL, NULL, 0);
	if (rc && !exchange->error.code)
		exchange->error.code = rc;
	return rc;
}
