/* SPDX-License-Identifier: Apache-2.0
 *
 * The idgen plugin: 63-bit ids, many per round trip, never twice. Entry, configuration and life cycle.
 *
 *   methods.c           what it answers to everybody; `next` runs inline and takes from
 *   allocator.c         the counters and their windows, which
 *   reserver.c          keeps reserved in the database ahead of use (its parts are listed in reserver.h)
 *   journal.c, peers.c  what this unit and the others know beside the database
 *   methods_operator.c  what it answers to operators and peers
 */
#include "idgen.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "kontor/host.h"
#include "kontor/keys.h"
#include "kontor/log.h"

#define LOOK_LIMIT_MS 100 /* between two looks at a clock */
#define LOOKS_LIMIT 5
#define CHECK_LIMIT 1000 /* ids in one idgen.check */
#define WARN_YEARS_BEFORE_END 5
#define MS_PER_YEAR INT64_C(31556952000)

static const struct kontor_conf_row conf[] = {
	{.key = "claim",
	 .type = KONTOR_CONF_ENUM,
	 .offset = offsetof(struct idgen, claim),
	 .default_text = "manual",
	 .choices = "manual|auto",
	 .help = "Who binds a new database to the datacenter id: `manual` an operator with `kontor id claim`, "
		 "`auto` the unit itself (for development: it cannot know whether another database has the id)."},
	{.key = "slots",
	 .type = KONTOR_CONF_INT,
	 .offset = offsetof(struct idgen, slots),
	 .default_text = "1",
	 .min = 1,
	 .max = ALLOCATOR_WINDOWS,
	 .help = "Slots that this unit holds at a time: each gives 4,096,000 ids of layout std63 a second (32,768 of "
		 "js53), and a datacenter has 62 (14)."},
	{.key = "window",
	 .type = KONTOR_CONF_DURATION,
	 .offset = offsetof(struct idgen, window_ms),
	 .default_text = "120s",
	 .min = 5000,
	 .max = 600000,
	 .help = "How far ids are reserved ahead. Two thirds of it is how long the database may be away unnoticed; all "
		 "of it is how long a slot rests after its unit was killed."},
	{.key = "peers",
	 .type = KONTOR_CONF_LIST,
	 .offset = offsetof(struct idgen, peers),
	 .default_text = "{}",
	 .help = "Endpoints of other idgen units, of this datacenter and of others. They warn each other of a "
		 "datacenter id that is used twice, of a database that lost what it had acknowledged, and of wrong "
		 "clocks."},
	{.key = "peer_keys",
	 .type = KONTOR_CONF_LIST,
	 .offset = offsetof(struct idgen, peer_keys),
	 .default_text = "{}",
	 .help = "Public keys of the peers by tcp, in single quotes: one for all of them, or one for each in their "
		 "order. This unit needs a key_file for them."},
};

static const struct kontor_arg next_args[] = {
	{.name = "namespace",
	 .type = KONTOR_ARG_NAME,
	 .required = true,
	 .help = "billing-item, payout, job, file, default, or one that was created"},
	{.name = "count",
	 .type = KONTOR_ARG_INT,
	 .min = 1,
	 .max = KONTOR_ID_GRANT_LIMIT,
	 .help = "how many ids, 1 unless given; of layout js53 at most 65536"},
};

static const struct kontor_arg decode_args[] = {
	{.name = "id", .type = KONTOR_ARG_ID, .required = true, .help = "an id"},
	{.name = "namespace",
	 .type = KONTOR_ARG_NAME,
	 .help = "what it was issued for; its layout is std63 unless given"},
};

static const struct kontor_arg check_args[] = {
	{.name = "ids", .type = KONTOR_ARG_IDS, .required = true, .min = 1, .max = CHECK_LIMIT, .help = "the ids"},
	{.name = "namespace",
	 .type = KONTOR_ARG_NAME,
	 .help = "what they were issued for; their layout is std63 unless given"},
};

static const struct kontor_arg claim_args[] = {
	{.name = "alone",
	 .type = KONTOR_ARG_BOOL,
	 .help = "the operator's word that no other database gives ids for this datacenter id"},
};

static const struct kontor_arg evict_args[] = {
	{.name = "slot", .type = KONTOR_ARG_INT, .required = true, .min = 1, .max = 62, .help = "its number"},
	{.name = "layout", .type = KONTOR_ARG_NAME, .help = "std63 unless given, or js53"},
};

static const struct kontor_arg namespace_create_args[] = {
	{.name = "namespace", .type = KONTOR_ARG_NAME, .required = true, .help = "its name"},
	{.name = "layout",
	 .type = KONTOR_ARG_NAME,
	 .required = true,
	 .help = "std63, js53 (exact in JavaScript's numbers) or segment (dense, without time); it never changes"},
	{.name = "start",
	 .type = KONTOR_ARG_INT,
	 .min = 1,
	 .max = INT64_C(1) << 58,
	 .help = "the first number, of layout segment; 1 unless given"},
};

#define ARGS(table) .args = (table), .args_len = sizeof(table) / sizeof((table)[0])

static const struct kontor_method methods[] = {
	{.name = "next",
	 .flags = KONTOR_METHOD_INLINE,
	 .visibility = KONTOR_PUBLIC,
	 .role = KONTOR_ROLE_VIEWER,
	 ARGS(next_args),
	 .help = "Ids base, base + stride, ... that were never issued before and never will be again.",
	 .handle = idgen_next},
	{.name = "decode",
	 .flags = KONTOR_METHOD_INLINE,
	 .visibility = KONTOR_PUBLIC,
	 .role = KONTOR_ROLE_VIEWER,
	 ARGS(decode_args),
	 .help = "Time, datacenter, slot and sequence of an id.",
	 .handle = idgen_decode},
	{.name = "check",
	 .visibility = KONTOR_PUBLIC,
	 .role = KONTOR_ROLE_VIEWER,
	 ARGS(check_args),
	 .help = "Whether ids can have been issued here: reserved, never_reserved, other_datacenter or malformed.",
	 .handle = idgen_check},
	{.name = "claim",
	 .flags = KONTOR_METHOD_CHANGES,
	 .visibility = KONTOR_OPERATOR,
	 .role = KONTOR_ROLE_ADMIN,
	 ARGS(claim_args),
	 .help = "Binds this database to the configured datacenter id, once. All peers have to agree.",
	 .handle = idgen_claim},
	{.name = "stats",
	 .visibility = KONTOR_OPERATOR,
	 .role = KONTOR_ROLE_VIEWER,
	 .help = "Windows, clocks, database and peers of this unit.",
	 .handle = idgen_stats},
	{.name = "slots",
	 .visibility = KONTOR_OPERATOR,
	 .role = KONTOR_ROLE_VIEWER,
	 .help = "All slots of the datacenter that were ever used, the longest unused first.",
	 .handle = idgen_slots},
	{.name = "evict",
	 .flags = KONTOR_METHOD_CHANGES,
	 .visibility = KONTOR_OPERATOR,
	 .role = KONTOR_ROLE_ADMIN,
	 ARGS(evict_args),
	 .help = "Takes a slot away from its unit, which takes another one.",
	 .handle = idgen_evict},
	{.name = "fence",
	 .visibility = KONTOR_OPERATOR,
	 .role = KONTOR_ROLE_ADMIN,
	 .help = "This unit drops what it has reserved and takes other slots: for use after its machine was copied.",
	 .handle = idgen_fence},
	{.name = "namespaces",
	 .visibility = KONTOR_OPERATOR,
	 .role = KONTOR_ROLE_VIEWER,
	 .help = "All namespaces and their layouts.",
	 .handle = idgen_namespaces},
	{.name = "namespace_create",
	 .flags = KONTOR_METHOD_CHANGES,
	 .visibility = KONTOR_OPERATOR,
	 .role = KONTOR_ROLE_ADMIN,
	 ARGS(namespace_create_args),
	 .help = "Adds a namespace, for good. All units know it within two seconds.",
	 .handle = idgen_namespace_create},
	{.name = "peer",
	 .visibility = KONTOR_INTERNAL,
	 .role = KONTOR_ROLE_VIEWER,
	 ARGS(peer_report_args),
	 .help = "What another idgen unit reports, for what this one reports.",
	 .handle = idgen_peer},
};

/* ---- what others are told ------------------------------------------------------------------------------------- */

static int64_t coarse_ms(clockid_t clock)
{
	struct timespec time;
	clock_gettime(clock, &time); /* exact to the tick of some milliseconds, in a third of the time */
	return time.tv_sec * INT64_C(1000) + time.tv_nsec / 1000000;
}

/* A thread that has to wait between its looks at the two clocks would take that for a jump of one of them: then it
 * looks again. */
static struct allocator_time clock_now(void *arg)
{
	const struct machine_generation *generation = arg;
	int64_t wall_ms, before_ms, monotonic_ms;
	unsigned looks = 0;
	do {
		before_ms = coarse_ms(CLOCK_MONOTONIC_COARSE);
		wall_ms = coarse_ms(CLOCK_REALTIME_COARSE);
		monotonic_ms = coarse_ms(CLOCK_MONOTONIC_COARSE);
	} while (monotonic_ms - before_ms > LOOK_LIMIT_MS && ++looks < LOOKS_LIMIT);
	return (struct allocator_time){
		.wall_ms = wall_ms, .monotonic_ms = monotonic_ms, .generation = machine_generation_read(generation)};
}

/* What one allocator has reserved, and where from. */
static void report_windows(struct peer_report *report, struct allocator *allocator)
{
	for (unsigned i = 0; i < ALLOCATOR_WINDOWS && report->marks_len < PEER_MARKS; i++) {
		struct allocator_window window = allocator_window(allocator, i);
		if (!window.open)
			continue;
		struct peer_mark *mark = &report->marks[report->marks_len++];
		reservation_key(mark->key, allocator->layout, window.slot, NULL);
		mark->epoch = window.epoch;
		mark->hwm = window.end;
		mark->held = true;
	}
}

/* What the journal knows: also of slots that this unit held before, and of numbers. */
static void report_mark(void *arg, const char *key, uint64_t epoch, uint64_t hwm)
{
	struct peer_report *report = arg;
	for (size_t i = 0; i < report->marks_len; i++)
		if (strcmp(report->marks[i].key, key) == 0)
			return;
	if (report->marks_len == PEER_MARKS)
		return;
	struct peer_mark *mark = &report->marks[report->marks_len++];
	snprintf(mark->key, sizeof(mark->key), "%s", key);
	mark->epoch = epoch;
	mark->hwm = hwm;
	mark->held = false;
}

void idgen_report(void *arg, struct peer_report *ret_report)
{
	struct idgen *idgen = arg;
	struct reserver *reserver = &idgen->reserver;
	struct cluster cluster = reserver_cluster(reserver);
	*ret_report = (struct peer_report){.datacenter = reserver->unit.datacenter,
					   .process = peers_process(idgen->book),
					   .wall_ms = reserver_now(reserver).wall_ms};
	snprintf(ret_report->cluster_uuid, sizeof(ret_report->cluster_uuid), "%s", cluster.uuid);
	snprintf(ret_report->unit, sizeof(ret_report->unit), "%.63s", reserver->unit.owner);
	for (unsigned i = 0; i < RESERVER_POOLS; i++)
		report_windows(ret_report, &reserver->pools[i].allocator);
	journal_each(&idgen->journal, report_mark, ret_report);
}

/* ---- life cycle ------------------------------------------------------------------------------------------------ */

static bool is_tcp(const char *endpoint)
{
	return strncmp(endpoint, "tcp://", 6) == 0;
}

static int check_peer_keys(const struct idgen *idgen, size_t tcp_peers, struct kontor_error *err)
{
	size_t len = 0;
	for (const char *const *key = idgen->peer_keys; key && *key; key++, len++)
		if (!kontor_key_valid(*key))
			return kontor_fail(err, KONTOR_E_BAD_REQUEST,
					   "peer_keys: '%s' is no public key: it must be the 40 characters of "
					   "public-key in NAME.key, in single quotes",
					   *key);
	if (tcp_peers ? len != 1 && len != tcp_peers : len > 0)
		return kontor_fail(err, KONTOR_E_BAD_REQUEST,
				   "%zu peer_keys for %zu peers by tcp: write one for all of them, or one for each",
				   len, tcp_peers);
	return 0;
}

static int check(const void *self, struct kontor_error *err)
{
	const struct idgen *idgen = self;
	size_t tcp_peers = 0;
	for (const char *const *peer = idgen->peers; peer && *peer; peer++) {
		if (strncmp(*peer, "ipc://", 6) != 0 && !is_tcp(*peer))
			return kontor_fail(
				err, KONTOR_E_BAD_REQUEST,
				"peers: \"%s\" is no endpoint: write ipc:///FOLDER/UNIT.sock or tcp://HOST:PORT",
				*peer);
		tcp_peers += is_tcp(*peer);
	}
	return check_peer_keys(idgen, tcp_peers, err);
}

static void warn_before_the_end(const struct idgen *idgen)
{
	int64_t now_ms = reserver_now(&idgen->reserver).wall_ms;
	for (size_t i = 0; i < LAYOUTS; i++)
		if (layouts[i].unit_ms && layout_end_ms(&layouts[i]) - now_ms < WARN_YEARS_BEFORE_END * MS_PER_YEAR)
			kontor_log(KONTOR_LOG_WARNING, "the time of a layout ends", "layout=%s days_left=%lld",
				   layouts[i].name, (long long)((layout_end_ms(&layouts[i]) - now_ms) / 86400000));
}

static int open_guards(struct idgen *idgen, kontor_host *host, struct kontor_error *err)
{
	char path[PATH_MAX];
	snprintf(path, sizeof(path), "%s/%s.idgen.journal", kontor_host_state_folder(host), kontor_host_unit(host));
	int code = journal_open(&idgen->journal, path, err);
	if (code)
		return code;
	if (idgen->journal.repaired)
		kontor_log(KONTOR_LOG_WARNING, "the id journal was repaired from its second copies",
			   "file=%s copies=%zu unreadable=%zu", path, idgen->journal.repaired,
			   idgen->journal.unreadable);
	machine_generation_open(&idgen->generation, MACHINE_GENERATION_DEVICE);
	idgen->book = peers_new(kontor_host_datacenter_id(host));
	if (!idgen->book) {
		journal_close(&idgen->journal);
		return kontor_fail(err, KONTOR_E_INTERNAL, "out of memory for what peers say");
	}
	return 0;
}

static void close_guards(struct idgen *idgen)
{
	idgen->book = peers_free(idgen->book);
	machine_generation_close(&idgen->generation);
	journal_close(&idgen->journal);
}

/* Who of the peers does not answer now is asked again later. */
static int start_peer_calls(struct idgen *idgen, kontor_host *host, struct kontor_error *err)
{
	if (!idgen->peers || !idgen->peers[0])
		return 0;
	struct peer_calls_options options = {.book = idgen->book,
					     .caller = kontor_host_unit(host),
					     .endpoints = idgen->peers,
					     .server_keys = idgen->peer_keys,
					     .key_file = kontor_host_setting(host, "", "", "key_file"),
					     .report = idgen_report,
					     .arg = idgen};
	while (idgen->peers[options.endpoints_len])
		options.endpoints_len++;
	int code = peer_calls_start(&options, &idgen->calls, err);
	struct peer_calls_round round;
	if (!code)
		peer_calls_once(idgen->calls, &round);
	return code;
}

/* The first window now, so that the first request finds it. A database that is away or not bound yet is waited for in
 * the reserver's thread; a wrong datacenter id is never right later. */
static int start_reserving(struct idgen *idgen, kontor_host *host, struct kontor_error *err)
{
	struct reserver *reserver = &idgen->reserver;
	struct kontor_error first = KONTOR_ERROR_INIT;
	int code = start_peer_calls(idgen, host, err);
	if (code)
		return code;
	if (reserver_step(reserver, &first) == KONTOR_E_CONFLICT)
		return kontor_fail(err, first.code, "%s", first.message);
	return reserver_start(reserver, err);
}

static void stop(void *self)
{
	struct idgen *idgen = self;
	idgen->calls = peer_calls_stop(idgen->calls);
	reserver_stop(&idgen->reserver);
	reserver_destroy(&idgen->reserver);
	close_guards(idgen);
}

static int start(void *self, kontor_host *host, struct kontor_error *err)
{
	struct idgen *idgen = self;
	const unsigned datacenters = layouts[LAYOUT_STD63].datacenters;
	struct reserver *reserver = &idgen->reserver;
	unsigned datacenter = kontor_host_datacenter_id(host);
	if (datacenter < 1 || datacenter > datacenters)
		return kontor_fail(err, KONTOR_E_BAD_REQUEST,
				   "datacenter id %u: set `id` in the datacenter's file to 1-%u, different in each one",
				   datacenter, datacenters);
	int code = open_guards(idgen, host, err);
	if (code)
		return code;
	*reserver = (struct reserver){.db = kontor_host_db(host),
				      .slots = (unsigned)idgen->slots,
				      .claim_auto = strcmp(idgen->claim, "auto") == 0,
				      .unit = {.datacenter = datacenter,
					       .window_ms = idgen->window_ms,
					       .journal = &idgen->journal,
					       .peers = idgen->book, /* also without `peers`: others may call */
					       .clock = clock_now,
					       .clock_arg = &idgen->generation}};
	char machine[64] = "";
	gethostname(machine, sizeof(machine) - 1);
	snprintf(reserver->unit.owner, sizeof(reserver->unit.owner), "%.32s@%.63s", kontor_host_unit(host), machine);
	reserver_init(reserver);
	warn_before_the_end(idgen);
	code = start_reserving(idgen, host, err);
	if (code)
		stop(idgen);
	return code;
}

static int health(void *self, struct kontor_error *err)
{
	struct idgen *idgen = self;
	struct allocator_state state;
	allocator_look(&idgen->reserver.pools[LAYOUT_STD63].allocator, reserver_now(&idgen->reserver), &state);
	if (state.windows && state.left_ms > 0)
		return 0;
	char reason[ALLOCATOR_REASON_SIZE];
	return kontor_fail(err, KONTOR_E_UNAVAILABLE, "no window of ids: %s",
			   reserver_reason(&idgen->reserver, &state, reason));
}

static void drain(void *self)
{
	reserver_stop_soon(&((struct idgen *)self)->reserver);
}

static void status(void *self, kontor_writer *w)
{
	struct idgen *idgen = self;
	struct reserver *reserver = &idgen->reserver;
	struct allocator_time now = reserver_now(reserver);
	struct cluster cluster = reserver_cluster(reserver);
	struct allocator_state state;
	char clocks[160];
	allocator_look(&reserver->pools[LAYOUT_STD63].allocator, now, &state);
	kontor_put_uint(w, "datacenter", reserver->unit.datacenter);
	kontor_put_uint(w, "slot", state.windows ? state.current.slot : 0);
	kontor_put_uint(w, "epoch", state.windows ? state.current.epoch : 0);
	kontor_put_int(w, "window_left_ms", state.windows ? state.left_ms : 0);
	kontor_put_uint(w, "issued", state.issued);
	kontor_put_uint(w, "refused", state.refused);
	kontor_put_string(w, "problem", state.reason[0] ? state.reason : NULL);
	reserver_clocks(reserver, clocks, sizeof(clocks));
	kontor_put_string(w, "clocks", clocks[0] ? clocks : NULL);
	kontor_put_string(w, "quarantine",
			  cluster.quarantine_until_ms > cluster.database_ms ? cluster.quarantine_reason : NULL);
}

static struct kontor_plugin plugin = {
	KONTOR_PLUGIN_ABI,
	.name = "idgen",
	.version = KONTOR_VERSION,
	.summary = "Unique 63-bit ids, many per round trip.",
	.self_size = sizeof(struct idgen),
	.conf = conf,
	.conf_len = sizeof(conf) / sizeof(conf[0]),
	.methods = methods,
	.methods_len = sizeof(methods) / sizeof(methods[0]),
	.check = check,
	.start = start,
	.health = health,
	.drain = drain,
	.stop = stop,
	.status = status,
};

KONTOR_PLUGIN_WITH_SCHEMA(plugin, idgen_schema)
