/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_client ENDPOINT SEED COUNT: sends COUNT messages that are nearly requests to a unit: calls of all its methods
 * with arguments of right and wrong types, headers and bodies with bytes changed, cut off, repeated, with lengths that
 * lie, in none to five frames; and now and then a connection of bytes that are nearly ZMTP. After each WINDOW of them
 * the unit must answer a ping, as the same instance. Prints one JSON object: what was sent, and what came back. Exit 1:
 * the unit did not answer.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <zmq.h>

#include "kontor/client.h"
#include "kontor/text.h"

#define WINDOW 200
#define ANSWER_MS 60000
#define FRAME_SIZE 65536 /* bytes of the largest frame */
#define ARGS_LIMIT 16
#define METHODS_LIMIT 256
#define NAME_SIZE 64
#define ENDPOINT_SIZE 108

struct method {
	char name[NAME_SIZE];
	char args[ARGS_LIMIT][NAME_SIZE];
	char types[ARGS_LIMIT][NAME_SIZE];
	size_t args_len;
};

struct frame {
	unsigned char data[FRAME_SIZE];
	size_t size;
};

struct fuzzer {
	const char *endpoint;
	void *dealer;
	uint64_t random, next_id, instance;
	struct method methods[METHODS_LIMIT];
	size_t methods_len;
	kontor_writer *writer;
	struct frame header, body;
	uint64_t replies, errors, pings, raw_connections, sent;
};

static void die(const struct fuzzer *fuzzer, const char *what)
{
	fprintf(stderr, "fuzz_client: after %llu messages: %s\n", (unsigned long long)fuzzer->sent, what);
	exit(1);
}

/* splitmix64, <https://prng.di.unimi.it/splitmix64.c> */
static uint64_t next_random(struct fuzzer *fuzzer)
{
	uint64_t z = fuzzer->random += UINT64_C(0x9e3779b97f4a7c15);
	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static size_t below(struct fuzzer *fuzzer, size_t limit)
{
	return limit ? next_random(fuzzer) % limit : 0;
}

static bool chance(struct fuzzer *fuzzer, unsigned percent)
{
	return below(fuzzer, 100) < percent;
}

/* ---- talking to the unit ----------------------------------------------------------------------------------------- */

static void finish(struct fuzzer *fuzzer, struct frame *frame)
{
	const void *data;
	size_t size;
	if (kontor_writer_finish(fuzzer->writer, &data, &size, NULL) || size > sizeof(frame->data))
		die(fuzzer, "out of memory");
	memcpy(frame->data, data, size);
	frame->size = size;
}

static void send_control(struct fuzzer *fuzzer, unsigned kind, const char *method)
{
	struct kontor_frame_header header = {.version = 1, .kind = kind, .id = ++fuzzer->next_id};
	snprintf(header.method, sizeof(header.method), "%s", method);
	kontor_frame_write(fuzzer->writer, &header);
	finish(fuzzer, &fuzzer->header);
	zmq_send(fuzzer->dealer, fuzzer->header.data, fuzzer->header.size, ZMQ_SNDMORE);
	zmq_send(fuzzer->dealer, "\x80", 1, 0);
}

/* The body of the answer to the last control message; others are counted. */
static kontor_body *await(struct fuzzer *fuzzer, unsigned kind)
{
	for (;;) {
		zmq_msg_t part, last;
		struct kontor_frame_header header = {0};
		int more = 1;
		zmq_msg_init(&last);
		for (unsigned i = 0; more; i++) {
			zmq_msg_init(&part);
			if (zmq_msg_recv(&part, fuzzer->dealer, 0) < 0)
				die(fuzzer, "the unit does not answer");
			more = zmq_msg_more(&part);
			/* what was asked with a delimiter in front is answered with one */
			if (!header.version && zmq_msg_size(&part) &&
			    kontor_frame_parse(zmq_msg_data(&part), zmq_msg_size(&part), &header, NULL))
				die(fuzzer, "an answer has no header");
			zmq_msg_move(&last, &part);
			zmq_msg_close(&part);
		}
		kontor_body *body = NULL;
		if (kontor_body_parse(zmq_msg_data(&last), zmq_msg_size(&last), &body, NULL))
			die(fuzzer, "an answer has no body");
		zmq_msg_close(&last);
		if (header.kind == kind && header.id == fuzzer->next_id)
			return body;
		fuzzer->replies += header.kind == KONTOR_FRAME_REPLY;
		fuzzer->errors += header.kind == KONTOR_FRAME_ERROR;
		kontor_body_free(body);
	}
}

static void ping(struct fuzzer *fuzzer)
{
	fuzzer->next_id += UINT64_C(1) << 32; /* no mutated id comes to be this one */
	send_control(fuzzer, KONTOR_FRAME_PING, "");
	kontor_body *pong = await(fuzzer, KONTOR_FRAME_PONG);
	uint64_t instance = kontor_get_uint(kontor_body_map(pong), "instance", 0);
	kontor_body_free(pong);
	if (fuzzer->instance && instance != fuzzer->instance)
		die(fuzzer, "the unit was started anew");
	fuzzer->instance = instance;
	fuzzer->pings++;
}

static void learn_method(struct fuzzer *fuzzer, const msgpack_object *row)
{
	struct method *method = &fuzzer->methods[fuzzer->methods_len];
	kontor_get_string(row, "name", method->name, sizeof(method->name));
	if (fuzzer->methods_len + 1 == METHODS_LIMIT || strcmp(method->name, "probe.crash") == 0)
		return;
	const msgpack_object *args = kontor_get(row, "args");
	for (uint32_t i = 0; args && i < args->via.array.size && i < ARGS_LIMIT; i++) {
		const msgpack_object *arg = &args->via.array.ptr[i];
		kontor_get_string(arg, "name", method->args[i], NAME_SIZE);
		kontor_get_string(arg, "type", method->types[i], NAME_SIZE);
		method->args_len++;
	}
	fuzzer->methods_len++;
}

static void learn_methods(struct fuzzer *fuzzer)
{
	send_control(fuzzer, KONTOR_FRAME_REQUEST, "kontor.methods");
	kontor_body *reply = await(fuzzer, KONTOR_FRAME_REPLY);
	const msgpack_object *rows = kontor_get(kontor_body_map(reply), "rows");
	for (uint32_t i = 0; rows && rows->type == MSGPACK_OBJECT_ARRAY && i < rows->via.array.size; i++)
		learn_method(fuzzer, &rows->via.array.ptr[i]);
	kontor_body_free(reply);
	if (!fuzzer->methods_len)
		die(fuzzer, "the unit has no methods");
}

/* ---- messages that are nearly requests --------------------------------------------------------------------------- */

static void put_text_value(struct fuzzer *fuzzer, const char *key, const char *type)
{
	static const char *const texts[] = {"SG",       "2026-W45",     "billing-item",
					    "",         "default",      "2026-11-03T10:00:00Z",
					    "\xff\xfe", "a\"b\\c'; --", "9223372036854775808"};
	size_t at = below(fuzzer, sizeof(texts) / sizeof(texts[0]));
	if (strcmp(type, "region") == 0 && chance(fuzzer, 80))
		at = 0;
	if (strcmp(type, "window") == 0 && chance(fuzzer, 80))
		at = 1;
	kontor_put_string(fuzzer->writer, key, texts[at]);
}

static void put_int_value(struct fuzzer *fuzzer, const char *key)
{
	static const int64_t numbers[] = {0, 1, -1, 7, 1000, INT64_MAX, INT64_MIN, UINT32_MAX, 880000000001};
	kontor_put_int(fuzzer->writer, key, numbers[below(fuzzer, sizeof(numbers) / sizeof(numbers[0]))]);
}

static void put_nest(struct fuzzer *fuzzer, const char *key)
{
	size_t depth = 1 + below(fuzzer, KONTOR_DEPTH_LIMIT - 1); /* the writer makes no deeper ones */
	kontor_put_array(fuzzer->writer, key);
	for (size_t i = 1; i < depth; i++)
		kontor_write_array(fuzzer->writer);
	for (size_t i = 1; i < depth; i++)
		kontor_write_end(fuzzer->writer);
	kontor_write_end(fuzzer->writer);
}

/* Ids, or maps with the names of other methods' arguments: an element's own names are not told. */
static void put_list(struct fuzzer *fuzzer, const char *key, bool ids)
{
	kontor_put_array(fuzzer->writer, key);
	for (size_t left = below(fuzzer, 4); left > 0; left--) {
		const struct method *other = &fuzzer->methods[below(fuzzer, fuzzer->methods_len)];
		if (ids) {
			kontor_write_uint(fuzzer->writer, chance(fuzzer, 90) ? 1 + below(fuzzer, 100) : UINT64_MAX);
			continue;
		}
		kontor_write_map(fuzzer->writer);
		for (size_t i = 0; i < other->args_len; i++)
			put_text_value(fuzzer, other->args[i], other->types[i]);
		kontor_write_end(fuzzer->writer);
	}
	kontor_write_end(fuzzer->writer);
}

static void put_argument(struct fuzzer *fuzzer, const char *key, const char *type)
{
	bool number = strcmp(type, "int") == 0 || strcmp(type, "id") == 0, ids = strcmp(type, "ids") == 0;
	unsigned choice = (unsigned)below(fuzzer, 100);
	if (choice < 80 && (ids || strcmp(type, "list") == 0))
		put_list(fuzzer, key, ids);
	else if (choice < 80)
		number ? put_int_value(fuzzer, key) : put_text_value(fuzzer, key, type);
	else if (choice < 90)
		number ? put_text_value(fuzzer, key, type) : put_int_value(fuzzer, key);
	else if (choice < 95)
		kontor_put_bool(fuzzer->writer, key, choice & 1);
	else
		put_nest(fuzzer, key);
}

static void make_request(struct fuzzer *fuzzer)
{
	const struct method *method = &fuzzer->methods[below(fuzzer, fuzzer->methods_len)];
	struct kontor_frame_header header = {.version = 1,
					     .kind = KONTOR_FRAME_REQUEST,
					     .id = fuzzer->next_id + 1 + below(fuzzer, 1000),
					     .left_ms = (uint32_t)below(fuzzer, 2000)};
	snprintf(header.method, sizeof(header.method), "%s", method->name);
	if (chance(fuzzer, 70))
		snprintf(header.key, sizeof(header.key), "k%zu", below(fuzzer, 1000));
	if (chance(fuzzer, 10))
		snprintf(header.caller, sizeof(header.caller), "%s", chance(fuzzer, 50) ? "alice" : "nobody");
	kontor_frame_write(fuzzer->writer, &header);
	finish(fuzzer, &fuzzer->header);
	kontor_writer_reset(fuzzer->writer);
	kontor_write_map(fuzzer->writer);
	for (size_t i = 0; i < method->args_len; i++)
		if (chance(fuzzer, 85) && strcmp(method->args[i], "wait_ms") != 0)
			put_argument(fuzzer, method->args[i], method->types[i]);
	kontor_write_end(fuzzer->writer);
	finish(fuzzer, &fuzzer->body);
}

/* ---- and what is done to them ------------------------------------------------------------------------------------ */

static void insert(struct frame *frame, size_t at, const void *data, size_t size)
{
	if (frame->size + size > sizeof(frame->data))
		return;
	memmove(frame->data + at + size, frame->data + at, frame->size - at);
	memcpy(frame->data + at, data, size);
	frame->size += size;
}

static void repeat_a_part(struct fuzzer *fuzzer, struct frame *frame)
{
	unsigned char part[256];
	size_t from = below(fuzzer, frame->size), size = 1 + below(fuzzer, sizeof(part) - 1);
	size_t times = 1 + below(fuzzer, chance(fuzzer, 5) ? 300 : 4);
	if (size > frame->size - from)
		size = frame->size - from;
	memcpy(part, frame->data + from, size);
	for (size_t i = 0; i < times; i++)
		insert(frame, from, part, size);
}

static void mutate_once(struct fuzzer *fuzzer, struct frame *frame)
{
	static const char *const tags[] = {"\xdd\xff\xff\xff\xff", "\xdf\xff\xff\xff\xff", "\xdb\xff\xff\xff\xff",
					   "\xc9\xff\xff\xff\xff", "\xc6\x7f\xff\xff\xff", "\x91\x91\x91\x91\x91",
					   "\x81\x81\x81\x81\x81", "\xcf\xff\xff\xff\xff", "\xc1\xc1\xc1\xc1\xc1"};
	size_t at = below(fuzzer, frame->size);
	switch (below(fuzzer, 6)) {
	case 0:
		frame->data[at] ^= (unsigned char)(1u << below(fuzzer, 8));
		break;
	case 1:
		frame->data[at] = (unsigned char)next_random(fuzzer);
		break;
	case 2:
		frame->size = at;
		break;
	case 3:
		insert(frame, at, tags[below(fuzzer, sizeof(tags) / sizeof(tags[0]))], 5);
		break;
	case 4:
		repeat_a_part(fuzzer, frame);
		break;
	default:
		memmove(frame->data + at, frame->data + at + 1, frame->size - at - 1);
		frame->size--;
	}
}

static void mutate(struct fuzzer *fuzzer, struct frame *frame)
{
	for (size_t times = 1 + below(fuzzer, 4); times > 0 && frame->size > 0; times--)
		mutate_once(fuzzer, frame);
}

static void send_message(struct fuzzer *fuzzer)
{
	make_request(fuzzer);
	if (chance(fuzzer, 35))
		mutate(fuzzer, &fuzzer->header);
	if (chance(fuzzer, 50))
		mutate(fuzzer, &fuzzer->body);
	size_t frames = chance(fuzzer, 90) ? 2 : below(fuzzer, 6);
	if (chance(fuzzer, 5))
		zmq_send(fuzzer->dealer, "", 0, ZMQ_SNDMORE); /* a delimiter */
	for (size_t i = 0; i < frames; i++) {
		const struct frame *frame = i == 0 ? &fuzzer->header : &fuzzer->body;
		zmq_send(fuzzer->dealer, frame->data, frame->size, i + 1 < frames ? ZMQ_SNDMORE : 0);
	}
	if (frames == 0)
		zmq_send(fuzzer->dealer, "", 0, 0);
	fuzzer->sent++;
}

/* A connection whose bytes are nearly a handshake and a message (ZMTP 3.0, RFC 23). */
static void connect_raw(struct fuzzer *fuzzer)
{
	static const unsigned char greeting[64] = {0xff, [9] = 0x7f, 3, 0, 'N', 'U', 'L', 'L'};
	static const unsigned char ready[] = "\x04\x1a\x05READY\x0bSocket-Type\0\0\0\x06"
					     "DEALER";
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct frame *stream = &fuzzer->body;
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", fuzzer->endpoint + strlen("ipc://"));
	int connection = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connection < 0 || connect(connection, (const struct sockaddr *)&address, sizeof(address)) < 0)
		die(fuzzer, "the unit accepts no connection");
	make_request(fuzzer);
	unsigned char lengths[] = {0x01, (unsigned char)fuzzer->header.size};
	stream->size = 0;
	insert(stream, 0, fuzzer->header.data, fuzzer->header.size);
	insert(stream, 0, lengths, sizeof(lengths));
	insert(stream, 0, ready, sizeof(ready) - 1);
	insert(stream, 0, greeting, sizeof(greeting));
	mutate(fuzzer, stream);
	(void)!send(connection, stream->data, stream->size, MSG_NOSIGNAL); /* it may be refused at any byte */
	close(connection);
	fuzzer->raw_connections++;
}

static uint64_t number(const struct fuzzer *fuzzer, const char *text)
{
	uint64_t value = 0;
	if (!kontor_parse_uint(kontor_text_of(text), &value))
		die(fuzzer, "usage: fuzz_client ipc://PATH SEED COUNT");
	return value;
}

int main(int argc, char **argv)
{
	static struct fuzzer fuzzer;
	if (argc != 4 || strncmp(argv[1], "ipc://", 6) != 0 || strlen(argv[1]) > 6 + ENDPOINT_SIZE - 1)
		die(&fuzzer, "usage: fuzz_client ipc://PATH SEED COUNT");
	fuzzer.endpoint = argv[1];
	fuzzer.random = number(&fuzzer, argv[2]);
	uint64_t count = number(&fuzzer, argv[3]);
	fuzzer.writer = kontor_writer_new();
	void *context = zmq_ctx_new();
	fuzzer.dealer = zmq_socket(context, ZMQ_DEALER);
	zmq_setsockopt(fuzzer.dealer, ZMQ_LINGER, &(int){0}, sizeof(int));
	zmq_setsockopt(fuzzer.dealer, ZMQ_SNDHWM, &(int){0}, sizeof(int));
	zmq_setsockopt(fuzzer.dealer, ZMQ_RCVHWM, &(int){0}, sizeof(int));
	zmq_setsockopt(fuzzer.dealer, ZMQ_RCVTIMEO, &(int){ANSWER_MS}, sizeof(int));
	if (!fuzzer.writer || zmq_connect(fuzzer.dealer, argv[1]) < 0)
		die(&fuzzer, "cannot connect");
	learn_methods(&fuzzer);
	while (fuzzer.sent < count) {
		for (unsigned i = 0; i < WINDOW && fuzzer.sent < count; i++)
			send_message(&fuzzer);
		connect_raw(&fuzzer);
		ping(&fuzzer);
	}
	printf("{\"sent\": %llu, \"raw_connections\": %llu, \"methods\": %zu, \"replies\": %llu, \"errors\": %llu, "
	       "\"pings\": %llu}\n",
	       (unsigned long long)fuzzer.sent, (unsigned long long)fuzzer.raw_connections, fuzzer.methods_len,
	       (unsigned long long)fuzzer.replies, (unsigned long long)fuzzer.errors, (unsigned long long)fuzzer.pings);
	return 0;
}
