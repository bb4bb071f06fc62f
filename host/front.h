/* SPDX-License-Identifier: Apache-2.0
 *
 * The front: the one thread that owns the unit's sockets. It answers pings and inline methods itself and hands all else
 * to a worker that said it is ready.
 */
#ifndef KONTORD_FRONT_H
#define KONTORD_FRONT_H

#include <pthread.h>

#include "connection_list.h"
#include "exchange.h"
#include "frame.h"

#define FRONT_ENDPOINT "inproc://front"     /* calls of this unit's own threads */
#define WORKERS_ENDPOINT "inproc://workers" /* READY and finished exchanges; work goes back */

/* The requests of one plugin. Owned by the front thread; all zero for a place without a plugin. */
struct pool {
	struct exchange *queue_head, **queue_tail; /* wait for a worker */
	size_t queued, queued_bytes;
	struct exchange *running;
	size_t running_count;
	unsigned *idle; /* numbers of workers that said READY */
	size_t idle_count;
	int64_t mean_us; /* of a request's run, for retry_after_ms */
	bool overloaded;
	int64_t late_since_us; /* since when requests wait longer than they should; 0: they do not */
	int64_t refused_us;    /* when one was answered BUSY last */
	int64_t logged_us;     /* when its overload was logged last; 0: never */
	uint64_t requests, errors, busy;
};

/* Of replies that go out together only every so many read the clock, which takes as long as a good part of an inline
 * method; the first one of a turn always does. So server_us of one among many may be told by another. */
#define CLOCK_REPLIES 16

/* A method by its full name. */
struct front_method {
	char name[KONTOR_METHOD_NAME_SIZE]; /* "settlement.close"; "": an empty place of the table */
	struct loaded_plugin *plugin;
	struct pool *pool;
	const struct kontor_method *method;
	bool open; /* its service is switched on here, and not being taken out */
};

struct fault_filter;

/* Who called last over a connection from outside; most calls are from where the one before was from. */
struct front_identity {
	zmq_msg_t message;    /* of the connection */
	const char *property; /* of it, that tells who it is: all its messages give this very pointer. NULL: nobody is
				 remembered */
	char claim[KONTOR_USER_SIZE]; /* `caller` of its header */
	const struct unit_config *config;
	struct kontor_user user;
};

struct front {
	struct unit *unit;
	pthread_t thread;
	struct source workers, inside, outside, control; /* outside: ipc */
	struct source network;                           /* tcp; not open when the unit binds none */
	void *control_peer;                              /* the main thread's end */
	struct pool pools[PLUGINS_LIMIT];                /* by the plugin's place in the unit */
	struct front_method *methods;                    /* a hash table, 2^methods_bits places */
	unsigned methods_bits;
	kontor_request *inline_request;
	struct exchange *inline_exchange;         /* reused, so that an inline method allocates nothing here */
	struct kontor_frame_memory header_memory; /* of its header, plugin and method */
	zmq_msg_t header_frame, spare_frame;      /* of the message that is being received */
	struct front_identity identity;
	kontor_writer *body_writer;
	struct connection_marks marks; /* the guard of connections has it made */
	struct fault_filter *faults;   /* NULL: none are configured */
	int64_t now_us;                /* monotonic_us() of the loop's turn, or of a reply since */
	unsigned unclocked;            /* replies since then */
	bool uid_proven;               /* libzmq tells the peer's uid as front_identity.c reads it */
	bool ended;
	int64_t expired_ms;          /* when front_expire() ran last */
	_Atomic unsigned handovers;  /* of front_run(): race checkers do not see those that libzmq makes */
	_Atomic size_t outstanding;  /* exchanges that wait or run */
	_Atomic int64_t answered_us; /* monotonic: the last answer to a caller outside of the process */
	_Atomic int64_t beat_ms;     /* kontor_monotonic_ms() of the loop's last turn: the watchdog's proof of life */
};

/* Binds the sockets and starts the thread. */
int front_start(struct unit *unit, struct kontor_error *err);
/* Runs a function in the front thread, between two messages, and returns after it: the front's structures may be
 * changed there. From the main thread only. */
typedef void (*front_task)(struct front *front, void *arg);
void front_run(struct unit *unit, front_task task, void *arg);
/* Ends the thread after it has sent what there is to send. */
void front_stop(struct unit *unit);

/* The request that was received, front->inline_exchange, gets a life of its own. False: there is no memory, and it was
 * answered BUSY. In the front's thread, like the next. */
bool front_detach(struct front *front, struct exchange *exchange);
/* Goes on with a detached request that was put aside before it began; it is judged again, because plugins may have come
 * or gone, and takes it over. */
void front_resume(struct front *front, struct exchange *exchange);

/* ---- front_admit.c: what is called, and may it be called now ---- */

/* A new table of what is called, by the unit's plugins and configuration as they are; on failure the old one stays. */
int front_list_methods(struct front *front, struct kontor_error *err);
/* The exchange gets the plugin, the method and the deadline; known: it has plugin and method already. */
int front_admit(const struct front *front, struct exchange *exchange, bool known, struct kontor_error *err);

/* ---- front_change.c: what comes and goes while the front runs. Main thread ---- */

/* A pool for the plugin at a place; before its workers start. */
int front_open_pool(struct front *front, size_t place, struct kontor_error *err);
int front_add_plugin(struct unit *unit, size_t place, struct kontor_error *err);
/* Calls go by the unit's plugins and configuration as they are now. */
int front_change_methods(struct unit *unit, struct kontor_error *err);
/* A plugin's limits. */
void front_change_queue(struct unit *unit, size_t place, const struct plugin_options *options);
/* Whether a plugin has requests that wait or run. */
bool front_is_busy(struct unit *unit, size_t place);
/* Tells a plugin's workers, or those of all, to end; workers_join() waits for them. */
void front_end_workers_of(struct unit *unit, size_t place);
void front_end_workers(struct unit *unit);
/* The place is free: its pool and its workers, which have ended, are forgotten. */
void front_remove_plugin(struct unit *unit, size_t place);

/* ---- front_identity.c ---- */

/* Who the caller is; DENIED when the header's `caller` may not be believed. */
int front_identify(struct front *front, const struct caller *caller, zmq_msg_t *message,
		   const struct kontor_frame_header *header, struct kontor_user *ret_user, struct kontor_error *err);
/* Calls itself over a socket of its own and sees whether libzmq reports our own uid. */
bool front_identity_proven(struct unit *unit);

/* ---- front_dispatch.c ---- */

/* Takes over *exchange (its plugin and method are known). */
void front_dispatch(struct front *front, struct exchange *exchange);
/* A worker says READY, with the exchange that it finished or NULL. */
void front_worker_ready(struct front *front, unsigned worker, struct exchange *finished);
/* Answers what waited for a worker until its time was over: while all workers stand still, nobody else would. */
void front_expire(struct front *front);
void front_cancel(struct front *front, struct caller *caller, uint64_t id);

/* ---- front_overload.c: how many requests may wait (docs/adr/009) ---- */

size_t front_waiting_limit(const struct pool *pool, const struct plugin_options *options);
/* A request of that plugin begins after it waited so long. Whether the plugin has become overloaded with it. */
bool front_begins_late(const struct loaded_plugin *plugin, struct pool *pool, int64_t waited_us, int64_t now_us);
/* One is answered BUSY. */
void front_refuses(struct pool *pool, int64_t now_us);

/* ---- front_reply.c ---- */

/* For a turn that begins, and for times that are to be exact. */
void front_read_clock(struct front *front);
/* One answer for each exchange. */
void front_send_result(struct front *front, struct exchange *exchange, const void *data, size_t size);
void front_send_message(struct front *front, struct exchange *exchange, zmq_msg_t *body); /* a result; takes it away */
void front_send_error(struct front *front, struct exchange *exchange, const struct kontor_error *error);
void front_send_pong(struct front *front, struct exchange *exchange);
size_t front_queued(const struct front *front);
size_t front_capacity(const struct front *front);

#endif
