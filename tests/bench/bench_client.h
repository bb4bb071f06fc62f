/* SPDX-License-Identifier: Apache-2.0
 *
 * What the benchmark programs share: one prepared request over a DEALER, a clock, a core to stay on.
 */
#ifndef BENCH_CLIENT_H
#define BENCH_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BENCH_FRAME_LIMIT 4096 /* bytes: header or body of a request or reply */
#define BENCH_REPLY_MS 30000   /* a reply that takes longer is lost */

struct bench_frames {
	unsigned char header[BENCH_FRAME_LIMIT], body[BENCH_FRAME_LIMIT];
	size_t header_size, body_size;
};

double bench_now(void); /* seconds, CLOCK_MONOTONIC */

/* This thread and those that it starts: everything of a comparison runs on one core, because unpinned round trips
 * measure where the scheduler put the threads. */
void bench_pin(void);

/* The number of an argument; ends the program with `usage` when it is none. */
uint64_t bench_number(const char *text, const char *usage);

/* A request without an idempotency key, with what the methods idgen.next and hello.greet need. count: argument `count`,
 * 0 for none. Ends the program when there is no memory. */
void bench_prepare(struct bench_frames *request, const char *method, uint64_t count);

/* By tcp: with the keys of the file KONTOR_KEY_FILE, to a server that has KONTOR_SERVER_KEY. */
void *bench_connect(void *context, const char *endpoint);
void bench_send(void *dealer, const struct bench_frames *request);
/* False: nothing there yet (dont_wait). A reply that does not come at all ends the program. */
bool bench_receive(void *dealer, bool dont_wait, struct bench_frames *reply);
/* Whether the reply is a result and no error. */
bool bench_succeeded(const struct bench_frames *reply);

#endif
