/* SPDX-License-Identifier: Apache-2.0
 *
 * Whole grants over a plain DEALER: two requests are under way at a time, each reply is accepted once, by its request's
 * id.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include <zmq.h>

#include "idgen_client.h"
#include "kontor/client.h"
#include "kontor/time.h"

#define UNDER_WAY 2
#define PATIENCE_MS 2000 /* then a request counts as lost */

struct asked {
	uint64_t id; /* 0: free */
	uint64_t count;
	int64_t sent_ms;
};

struct taker {
	const struct client_options *options;
	struct records_writer *records;
	struct client_counts *counts;
	void *context, *dealer;
	struct asked asked[UNDER_WAY];
	uint64_t last_id, random;
	double next_ms;   /* when the next request is due */
	int64_t pause_ms; /* no request before this: the service said so */
	kontor_writer *header, *body;
	bool full;
};

static struct asked *find_asked(struct taker *t, uint64_t id)
{
	for (size_t i = 0; i < UNDER_WAY; i++)
		if (t->asked[i].id == id)
			return &t->asked[i];
	return NULL;
}

static void send_request(struct taker *t, struct asked *place, int64_t now_ms)
{
	const void *header, *body;
	size_t header_size, body_size;
	double most = (double)t->options->most;
	*place = (struct asked){++t->last_id, (uint64_t)pow(most + 1, client_random(&t->random)), now_ms};
	struct kontor_frame_header frame = {.version = 1,
					    .kind = KONTOR_FRAME_REQUEST,
					    .id = place->id,
					    .left_ms = PATIENCE_MS,
					    .method = "idgen.next"};
	kontor_writer_reset(t->header);
	kontor_frame_write(t->header, &frame);
	kontor_writer_reset(t->body);
	kontor_write_map(t->body);
	kontor_put_string(t->body, "namespace", t->options->id_namespace);
	kontor_put_uint(t->body, "count", place->count);
	kontor_write_end(t->body);
	if (kontor_writer_finish(t->header, &header, &header_size, NULL) ||
	    kontor_writer_finish(t->body, &body, &body_size, NULL) ||
	    zmq_send(t->dealer, header, header_size, ZMQ_DONTWAIT | ZMQ_SNDMORE) < 0 ||
	    zmq_send(t->dealer, body, body_size, ZMQ_DONTWAIT) < 0)
		place->id = 0;
}

static void send_due(struct taker *t)
{
	int64_t now_ms = kontor_monotonic_ms();
	for (size_t i = 0; i < UNDER_WAY; i++)
		if (t->asked[i].id && now_ms - t->asked[i].sent_ms > PATIENCE_MS) {
			t->asked[i].id = 0;
			t->counts->lost++;
		}
	struct asked *place = find_asked(t, 0);
	if (!place || now_ms < t->pause_ms || (double)now_ms < t->next_ms)
		return;
	send_request(t, place, now_ms);
	t->next_ms += 1000.0 / (double)t->options->rate;
	if (t->next_ms < (double)now_ms - 100)
		t->next_ms = (double)now_ms;
}

static void take_reply(struct taker *t, const struct asked *asked, const msgpack_object *map)
{
	uint64_t base = kontor_get_uint(map, "base", 0), stride = kontor_get_uint(map, "stride", 0),
		 count = kontor_get_uint(map, "count", 0);
	if (count == 0 || count > asked->count) {
		t->counts->failed++;
		return;
	}
	t->full = !records_add_grant(t->records, asked->id, base, stride, count);
	t->counts->grants++;
	t->counts->ids += count;
}

static void take_error(struct taker *t, const msgpack_object *map)
{
	int64_t code = kontor_get_int(map, "code", 0);
	uint64_t retry_ms = kontor_get_uint(map, "retry_after_ms", 20);
	bool later = code == KONTOR_E_BUSY || code == KONTOR_E_UNAVAILABLE || code == KONTOR_E_DRAINING;
	if (later)
		t->counts->refused++;
	else if (t->counts->failed++ == 0) {
		char message[256];
		fprintf(stderr, "idgen_client: code %lld: %s\n", (long long)code,
			kontor_get_string(map, "message", message, sizeof(message)));
	}
	t->pause_ms = kontor_monotonic_ms() + (int64_t)(retry_ms < 500 ? retry_ms : 500);
}

static void take_message(struct taker *t, zmq_msg_t *header, zmq_msg_t *body)
{
	struct kontor_frame_header frame;
	kontor_body *parsed = NULL;
	if (kontor_frame_parse(zmq_msg_data(header), zmq_msg_size(header), &frame, NULL) || !frame.id ||
	    kontor_body_parse(zmq_msg_data(body), zmq_msg_size(body), &parsed, NULL)) {
		t->counts->failed++;
		return;
	}
	struct asked *asked = find_asked(t, frame.id);
	if (!asked)
		t->counts->ignored++;
	else if (frame.kind == KONTOR_FRAME_REPLY)
		take_reply(t, asked, kontor_body_map(parsed));
	else
		take_error(t, kontor_body_map(parsed));
	if (asked)
		asked->id = 0;
	kontor_body_free(parsed);
}

static bool receive(struct taker *t)
{
	zmq_msg_t header, body;
	zmq_msg_init(&header);
	zmq_msg_init(&body);
	bool got = zmq_msg_recv(&header, t->dealer, ZMQ_DONTWAIT) >= 0;
	if (got && zmq_msg_more(&header) && zmq_msg_recv(&body, t->dealer, 0) >= 0)
		take_message(t, &header, &body);
	zmq_msg_close(&header);
	zmq_msg_close(&body);
	return got;
}

static void run(struct taker *t)
{
	zmq_pollitem_t item = {.socket = t->dealer, .events = ZMQ_POLLIN};
	while (client_running() && !t->full) {
		send_due(t);
		if (zmq_poll(&item, 1, 5) > 0)
			while (!t->full && receive(t))
				;
	}
	if (t->full)
		fprintf(stderr, "idgen_client: %s is full\n", t->options->records);
}

bool client_take_grants(const struct client_options *options, struct records_writer *records,
			struct client_counts *counts)
{
	struct taker t = {.options = options,
			  .records = records,
			  .counts = counts,
			  .random = options->seed,
			  .context = zmq_ctx_new(),
			  .header = kontor_writer_new(),
			  .body = kontor_writer_new()};
	int no_wait = 0;
	t.dealer = zmq_socket(t.context, ZMQ_DEALER);
	zmq_setsockopt(t.dealer, ZMQ_LINGER, &no_wait, sizeof(no_wait));
	t.next_ms = (double)kontor_monotonic_ms();
	bool fine = t.header && t.body && zmq_connect(t.dealer, options->endpoint) == 0;
	if (fine)
		run(&t);
	else
		fprintf(stderr, "idgen_client: %s: %s\n", options->endpoint, zmq_strerror(zmq_errno()));
	zmq_close(t.dealer);
	zmq_ctx_term(t.context);
	kontor_writer_free(t.header);
	kontor_writer_free(t.body);
	return fine && !t.full;
}
