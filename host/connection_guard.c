/* SPDX-License-Identifier: Apache-2.0 */
#include "connection_guard.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "counters.h"
#include "front.h"
#include "kontor/log.h"
#include "kontor/text.h"
#include "kontor/time.h"

#define CALM_TURN_MS 50
#define WATCH_TURN_MS 10
#define FIND_EVERY_MS 100      /* for connections that are new */
#define WATCH_AT 4             /* connections are looked at when memory has grown by this part of the limit */
#define STRANGER_PART 2        /* who is no user may take this part of the limit */
#define GUILTY_TURNS 5         /* looks that found more of a message that is not complete */
#define STUCK_MS 1000          /* a caller that read nothing for so long does not read */
#define BLAME_MS 3000          /* nobody to blame for so long: the growth is the unit's own work */
#define RELEASE_MS 100         /* for libzmq to let go of a connection that was closed */
#define HOLD_MS 1000           /* the same on a busy machine */
#define MARKS_LIMIT (1u << 20) /* descriptors */

struct connection_guard {
	struct unit *unit;
	struct connection_marks *marks; /* the front's */
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t woken;
	bool ended;
	const char **endpoints;
	int statm; /* of /proc/self: its memory */
	uint64_t page_size, limit, low;
	struct connection_list list;
	bool watching;
	int64_t cut_ms;                              /* when one was cut off last; 0: its memory has been judged */
	uint64_t cut_own, cut_known;                 /* memory then, and what is known to have been that connection's */
	int64_t watch_since_ms, found_ms, blamed_ms; /* blamed: when somebody could last be blamed */
};

/* ---- memory ------------------------------------------------------------------------------------------------------ */

/* Resident bytes that are no file's; 0 when they cannot be told. */
static uint64_t own_memory(const struct connection_guard *guard)
{
	char text[128];
	ssize_t size = pread(guard->statm, text, sizeof(text) - 1, 0);
	unsigned long long resident, shared;
	text[size > 0 ? size : 0] = '\0';
	if (sscanf(text, "%*u %llu %llu", &resident, &shared) != 2) // NOLINT(cert-err34-c): the kernel wrote it
		return 0;
	return (resident - shared) * guard->page_size;
}

/* ---- connections ------------------------------------------------------------------------------------------------- */

static void begin_watch(struct connection_guard *guard, int64_t now_ms)
{
	if (!connection_list_open(&guard->list))
		return;
	for (unsigned i = 0; i < guard->marks->len; i++)
		if (atomic_load_explicit(&guard->marks->completed[i], memory_order_relaxed)) /* writes to few pages */
			atomic_store_explicit(&guard->marks->completed[i], 0, memory_order_relaxed);
	connection_list_find(&guard->list);
	atomic_store(&guard->marks->wanted, true);
	guard->watching = true;
	guard->watch_since_ms = guard->found_ms = guard->blamed_ms = now_ms;
}

static void end_watch(struct connection_guard *guard)
{
	atomic_store(&guard->marks->wanted, false);
	connection_list_close(&guard->list);
	guard->watching = false;
	guard->cut_ms = 0;
}

static bool is_stuck(const struct connection *connection, int64_t now_ms)
{
	return connection->stuck_since_ms && now_ms - connection->stuck_since_ms >= STUCK_MS;
}

/* Over ipc everybody gets in whom the socket's mode lets, and hears DENIED: only so he learns why. */
static bool is_stranger(const struct connection_guard *guard, const struct connection *connection)
{
	return !connection->tcp && !unit_config_uid_user(guard->unit->config, connection->uid);
}

/* A stranger who has begun a message, however little of it was seen: none of it will ever be of use. One who waits for
 * his refusal has not. NULL: there is none. */
static struct connection *any_stranger(const struct connection_guard *guard)
{
	struct connection *found = NULL;
	for (size_t i = 0; i < guard->list.len; i++) {
		struct connection *connection = &guard->list.all[i];
		if (!connection->gone && connection->busy_turns > 0 && is_stranger(guard, connection) &&
		    (!found || connection->received > found->received))
			found = connection;
	}
	return found;
}

/* Who has sent most of a message that is not complete; else, who does not read. NULL: nobody. */
static struct connection *worst(const struct connection_guard *guard, int64_t now_ms)
{
	struct connection *sender = NULL, *reader = NULL;
	for (size_t i = 0; i < guard->list.len; i++) {
		struct connection *connection = &guard->list.all[i];
		if (connection->gone)
			continue;
		if (connection->busy_turns >= GUILTY_TURNS && (!sender || connection->received > sender->received))
			sender = connection;
		if (is_stuck(connection, now_ms) && (!reader || connection->unread > reader->unread))
			reader = connection;
	}
	return sender ? sender : reader;
}

static const char *reason_of(const struct connection_guard *guard, const struct connection *connection, int64_t now_ms)
{
	if (is_stranger(guard, connection))
		return "its uid is no user in users.conf";
	bool sends = connection->busy_turns >= GUILTY_TURNS || !is_stuck(connection, now_ms);
	return sends ? "a message without an end" : "replies that are not read";
}

static void cut(const struct connection_guard *guard, struct connection *connection, uint64_t grown, int64_t now_ms)
{
	char peer[128];
	connection_peer(connection, peer, sizeof(peer));
	counter_add(COUNTER_CONNECTIONS_CUT);
	kontor_log(KONTOR_LOG_WARNING, "a connection was closed for the memory that it took", "%s reason=%s grown=%llu",
		   peer, KONTOR_QUOTED(reason_of(guard, connection, now_ms)), (unsigned long long)grown);
	shutdown(connection->handle, SHUT_RDWR); /* libzmq sees the end and frees what it had */
	connection->gone = true;
}

static void sleep_ms(unsigned ms)
{
	nanosleep(&(struct timespec){ms / 1000, (long)(ms % 1000) * 1000000}, NULL);
}

/* After a cut. known: bytes that are known to have come from those who were cut off. */
static void release(struct connection_guard *guard, uint64_t own, uint64_t known, int64_t now_ms)
{
	guard->cut_ms = now_ms;
	guard->cut_own = own;
	guard->cut_known = known;
	sleep_ms(RELEASE_MS);
	malloc_trim(0);
}

static void cut_off(struct connection_guard *guard, struct connection *guilty, uint64_t own, int64_t now_ms)
{
	uint64_t known = guilty->busy_turns >= GUILTY_TURNS ? guilty->received : (uint64_t)guilty->unread;
	cut(guard, guilty, own - guard->low, now_ms);
	release(guard, own, known, now_ms);
}

/* Nobody was seen to send. What a stranger sent between two looks, before he fell silent, would stay: no stranger has
 * anything to wait for here, so all are cut off. False: there is none. */
static bool cut_off_strangers(struct connection_guard *guard, uint64_t own, int64_t now_ms)
{
	bool found = false;
	for (size_t i = 0; i < guard->list.len; i++) {
		struct connection *connection = &guard->list.all[i];
		if (connection->gone || !is_stranger(guard, connection))
			continue;
		cut(guard, connection, own - guard->low, now_ms);
		found = true;
	}
	if (found)
		release(guard, own, own - guard->low, now_ms);
	return found;
}

/* What memory is compared with. While one was cut off just now, and on a busy machine is not freed yet, nobody else is
 * blamed for what it took. Where it gave back less than half of what is known to have come, memory is not what
 * connections take. */
static uint64_t baseline(struct connection_guard *guard, uint64_t own, int64_t now_ms)
{
	if (!guard->cut_ms)
		return guard->low;
	if (now_ms - guard->cut_ms < HOLD_MS)
		return guard->cut_own;
	guard->cut_ms = 0;
	malloc_trim(0);
	if (own_memory(guard) + guard->cut_known / 2 > guard->cut_own)
		guard->low = own;
	return guard->low;
}

static void watch(struct connection_guard *guard, uint64_t own, int64_t now_ms)
{
	if (now_ms - guard->found_ms >= FIND_EVERY_MS) {
		connection_list_find(&guard->list);
		guard->found_ms = now_ms;
	}
	connection_list_look(&guard->list, guard->marks, now_ms);
	struct connection *guilty = worst(guard, now_ms), *stranger = any_stranger(guard);
	uint64_t base = baseline(guard, own, now_ms);
	if (guilty)
		guard->blamed_ms = now_ms;
	if (own < guard->low + guard->limit / WATCH_AT) {
		end_watch(guard);
	} else if (stranger && own > base + guard->limit / STRANGER_PART) {
		cut_off(guard, stranger, own, now_ms);
	} else if (guilty && own > base + guard->limit) {
		cut_off(guard, guilty, own, now_ms);
	} else if (now_ms - guard->blamed_ms >= BLAME_MS) {
		if (own > base + guard->limit / STRANGER_PART && cut_off_strangers(guard, own, now_ms)) {
			guard->blamed_ms = now_ms;
			return;
		}
		guard->low = own;
		end_watch(guard);
	}
}

/* ---- the thread -------------------------------------------------------------------------------------------------- */

static void turn(struct connection_guard *guard)
{
	uint64_t own = own_memory(guard);
	int64_t now_ms = kontor_monotonic_ms();
	if (own < guard->low)
		guard->low = own;
	if (guard->watching)
		watch(guard, own, now_ms);
	else if (own > guard->low + guard->limit / WATCH_AT)
		begin_watch(guard, now_ms);
}

/* False when the thread shall end. */
static bool next_turn(struct connection_guard *guard)
{
	int64_t until = kontor_monotonic_ms() + (guard->watching ? WATCH_TURN_MS : CALM_TURN_MS);
	struct timespec deadline = {until / 1000, (until % 1000) * 1000000};
	pthread_mutex_lock(&guard->lock);
	while (!guard->ended && kontor_monotonic_ms() < until)
		pthread_cond_timedwait(&guard->woken, &guard->lock, &deadline);
	bool go_on = !guard->ended;
	pthread_mutex_unlock(&guard->lock);
	return go_on;
}

static void *guard_main(void *arg)
{
	struct connection_guard *guard = arg;
	while (next_turn(guard))
		turn(guard);
	if (guard->watching)
		end_watch(guard);
	return NULL;
}

/* ---- start and stop ---------------------------------------------------------------------------------------------- */

/* The unit's own endpoint, and those that it binds besides. */
static bool list_endpoints(struct connection_guard *guard)
{
	const struct unit_config *config = guard->unit->config;
	size_t len = 0;
	while (config->options.bind[len])
		len++;
	guard->endpoints = calloc(len + 2, sizeof(*guard->endpoints));
	if (!guard->endpoints)
		return false;
	guard->endpoints[0] = kontor_arena_format(config->config->arena, "ipc://%s/%s.sock",
						  guard->unit->args->runtime_folder, guard->unit->args->unit);
	for (size_t i = 0; i < len; i++)
		guard->endpoints[i + 1] = config->options.bind[i];
	guard->list.endpoints = guard->endpoints;
	return guard->endpoints[0] != NULL;
}

static bool make_marks(struct connection_marks *marks)
{
	struct rlimit files;
	bool known = getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < MARKS_LIMIT;
	marks->len = known ? (unsigned)files.rlim_cur : MARKS_LIMIT;
	marks->completed = calloc(marks->len, sizeof(*marks->completed));
	return marks->completed;
}

static void free_guard(struct connection_guard *guard)
{
	pthread_cond_destroy(&guard->woken);
	pthread_mutex_destroy(&guard->lock);
	if (guard->statm >= 0)
		close(guard->statm);
	free(guard->endpoints);
	free(guard);
}

int connection_guard_start(struct unit *unit, struct kontor_error *err)
{
	const struct unit_config *config = unit->config;
	struct connection_guard *guard = calloc(1, sizeof(*guard));
	if (!guard)
		return kontor_fail(err, KONTOR_E_INTERNAL, "out of memory for the guard of connections");
	pthread_condattr_t monotonic;
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&guard->woken, &monotonic);
	pthread_condattr_destroy(&monotonic);
	pthread_mutex_init(&guard->lock, NULL);
	guard->unit = unit;
	guard->marks = &unit->front->marks;
	guard->list.epoll = -1;
	guard->limit = config->options.connection_memory;
	guard->page_size = (uint64_t)sysconf(_SC_PAGESIZE);
	guard->statm = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
	bool made = list_endpoints(guard) && make_marks(guard->marks) && guard->statm >= 0;
	guard->low = made ? own_memory(guard) : 0;
	int error = !made ? errno : pthread_create(&guard->thread, NULL, guard_main, guard);
	if (error) {
		free_guard(guard);
		return kontor_fail(err, KONTOR_E_INTERNAL, "cannot start the guard of connections: %s",
				   strerror(error));
	}
	pthread_setname_np(guard->thread, "guard");
	unit->guard = guard;
	return 0;
}

bool connection_guard_unread(const struct unit *unit)
{
	struct connection_list list = {.endpoints = unit->guard->endpoints, .epoll = -1};
	if (!connection_list_open(&list))
		return false;
	connection_list_find(&list);
	bool unread = connection_list_unread(&list);
	connection_list_close(&list);
	return unread;
}

void connection_guard_stop(struct unit *unit)
{
	struct connection_guard *guard = unit->guard;
	if (!guard)
		return;
	pthread_mutex_lock(&guard->lock);
	guard->ended = true;
	pthread_cond_signal(&guard->woken);
	pthread_mutex_unlock(&guard->lock);
	pthread_join(guard->thread, NULL);
	free_guard(guard);
	unit->guard = NULL;
}
