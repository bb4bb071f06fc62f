/* SPDX-License-Identifier: Apache-2.0
 *
 * A client: what its files share. Not installed.
 *
 *   client.c         makes it; its threads' sockets; the directory in force
 *   client_call.c    a call: tries, elsewhere, again
 *   client_choice.c  which endpoint gets it
 *   client_conf.c    where services are, by the configuration and by what is in the runtime folder
 */
#ifndef KONTOR_CLIENT_STATE_H
#define KONTOR_CLIENT_STATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "client_socket.h"
#include "directory.h"
#include "retry_budget.h"

/* One thread's part. */
struct client_thread {
	kontor_client *client;
	struct client_thread *next;
	struct directory *directory; /* as this thread knows it; NULL before its first call */
	struct kontor_client_socket **sockets;
	struct directory_endpoint **endpoints; /* of the sockets */
	size_t len;
	atomic_uint_fast64_t calls;
	uint32_t random;
	struct directory_endpoint *probed; /* NULL: none */
	int64_t probe_until_ms;
};

struct kontor_client {
	void *context;
	bool own_context;
	char *caller;                /* NULL: none */
	struct kontor_key_pair *own; /* NULL: none */
	char region[3];              /* of calls that name none; "": none */
	char *runtime_folder;        /* where services are that no route names; NULL: nowhere */
	pthread_key_t key;
	bool has_key;
	pthread_mutex_t lock; /* guards all below, and the directories' references */
	struct client_thread *threads;
	uint64_t ended_calls; /* of threads that have ended */
	struct retry_budget budget;
	struct directory_endpoint *endpoints;  /* that any directory ever led to */
	_Atomic(struct directory *) directory; /* read without the lock only to see that it has changed */
};

/* In a child of fork(2): the client is never used or freed again, and a thread that ends leaves its sockets alone. NULL
 * is fine. */
void kontor_client_orphan(kontor_client *client);

/* NULL when out of memory. */
struct client_thread *client_this_thread(kontor_client *client);
/* The directory in force; valid until the next call of this by the same thread. */
const struct directory *client_directory(kontor_client *client, struct client_thread *thread);
/* The thread's socket to the endpoint; NULL when out of memory. */
struct kontor_client_socket *client_socket(kontor_client *client, struct client_thread *thread,
					   struct directory_endpoint *endpoint);
/* Puts a directory in force, whose reference it takes; NULL: out of memory. With the lock. */
void client_take_directory(kontor_client *client, struct directory *fresh);
uint32_t client_random(struct client_thread *thread);
/* As retry_budget.h, for all threads. */
uint32_t client_take_retry(kontor_client *client, int64_t now_ms);
void client_give_retry_back(kontor_client *client);

/* ---- client_conf.c ---- */

/* Sets the routes that the folder's files give. BAD_REQUEST with file:line when they cannot be understood. */
int client_read_conf(kontor_client *client, const char *conf_folder, struct kontor_error *err);
/* Puts a service that no route names into the directory, or looks for it once more: its unit in the runtime folder,
 * `all`, and for what every unit has any of them. BAD_REQUEST: it is no name. */
int client_find_usual(kontor_client *client, const char *method_or_service, struct kontor_error *err);

/* ---- client_choice.c ---- */

#define CLIENT_TRIED(index) (UINT64_C(1) << (index))

/* The endpoint for the next try, by its index in the service; -1: all that can be used were tried in this round (bits
 * of `tried`). A round that begins has always one. The nearest that take calls; of several as near, the less busy of
 * two that chance picks. */
int client_choose(struct client_thread *thread, const struct directory_service *service, uint64_t tried,
		  int64_t now_ms);
/* Whether a place would be left if that endpoint did not take it. */
bool client_has_other(const struct directory_service *service, uint64_t tried, int index);
/* Asks whether endpoints that failed are back; waits for nothing. */
void client_probe(struct client_thread *thread, const struct directory_service *service, int64_t now_ms);

#endif
