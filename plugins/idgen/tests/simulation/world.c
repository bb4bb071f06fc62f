/* SPDX-License-Identifier: Apache-2.0
 *
 * The loop of events.
 */
#include "world.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "checks.h"

#define RECOVERY_WINDOWS 5 /* so long, in windows, until everybody must be served again */
#define TAKES_IN_A_BURST 10

struct world world;

void world_trace(const char *format, ...)
{
	if (!world.tracing)
		return;
	va_list args;
	va_start(args, format);
	printf("%10.3f  ", (double)(world.now_ms - WORLD_START_MS) / 1000);
	vprintf(format, args);
	putchar('\n');
	va_end(args);
}

void world_violation(const char *format, ...)
{
	if (world.violation[0])
		return;
	va_list args;
	va_start(args, format);
	vsnprintf(world.violation, sizeof(world.violation), format, args);
	va_end(args);
	world_trace("VIOLATION: %s", world.violation);
}

int64_t world_wall_ms(const struct unit *unit)
{
	return world.now_ms + unit->wall_offset_ms;
}

int64_t world_monotonic_ms(const struct unit *unit)
{
	return world.now_ms + unit->monotonic_offset_ms;
}

struct server_state *world_state(const struct sql_server *server)
{
	return &world.states[server - world.servers];
}

bool world_meets(enum fault fault)
{
	if (world.healing || !world.plan.permille[fault] || !random_chance(&world.random, world.plan.permille[fault]))
		return false;
	world.happened[fault]++;
	return true;
}

/* ---- events ----------------------------------------------------------------------------------------------------- */

static struct event *add_event(int64_t in_ms, enum event_kind kind, struct unit *unit)
{
	if (world.events_len == WORLD_EVENTS) {
		fprintf(stderr, "simulation: too many events at a time\n");
		exit(3);
	}
	struct event *event = &world.events[world.events_len++];
	*event = (struct event){.at_ms = world.now_ms + in_ms,
				.order = random_next(&world.random),
				.kind = kind,
				.unit = unit,
				.incarnation = unit ? unit->incarnation : 0};
	return event;
}

void world_schedule(int64_t in_ms, enum event_kind kind, struct unit *unit)
{
	add_event(in_ms, kind, unit);
}

static struct event next_event(void)
{
	size_t first = 0;
	for (size_t i = 1; i < world.events_len; i++) {
		const struct event *event = &world.events[i], *best = &world.events[first];
		if (event->at_ms < best->at_ms || (event->at_ms == best->at_ms && event->order < best->order))
			first = i;
	}
	struct event event = world.events[first];
	world.events[first] = world.events[--world.events_len];
	return event;
}

static int64_t soon(void)
{
	return random_delay(&world.random, world.plan.slow_ms);
}

/* ---- statements under way --------------------------------------------------------------------------------------- */

static struct flight *new_flight(struct unit *unit)
{
	for (size_t i = 0; i < WORLD_FLIGHTS; i++) {
		struct flight *flight = &world.flights[i];
		if (flight->used)
			continue;
		flight->used = true;
		flight->executed = flight->reply_lost = false;
		flight->events = 0;
		flight->unit = unit;
		flight->incarnation = unit->incarnation;
		flight->server = unit->server;
		return flight;
	}
	fprintf(stderr, "simulation: too many statements under way\n");
	exit(3);
}

static void add_flight_event(int64_t in_ms, enum event_kind kind, struct flight *flight, int granted)
{
	struct event *event = add_event(in_ms, kind, flight->unit);
	event->incarnation = flight->incarnation;
	event->flight = flight;
	event->granted = granted;
	flight->events++;
}

static void drop_event_of(struct flight *flight)
{
	if (--flight->events == 0)
		flight->used = false;
}

static void reply(struct unit *unit, int64_t in_ms, int granted)
{
	add_event(in_ms, EVENT_REPLY, unit)->granted = granted;
}

/* A statement: it may be refused, lost, done late, done and its answer lost; and its client waits no longer than the
 * timeout. */
static void send_statement(struct unit *unit)
{
	struct flight *flight = new_flight(unit);
	const struct statement *statement = &unit_memory(unit)->statement;
	flight->statement.sql = statement->sql;
	flight->statement.params_len = statement->params_len;
	memcpy(flight->statement.params, statement->params, statement->params_len * sizeof(statement->params[0]));
	unit->flight = flight;
	flight->back_ms = soon();
	flight->server_life = unit_memory(unit)->conn.server_life;
	int64_t there_ms = soon();
	if (world_meets(FAULT_REFUSED)) {
		add_flight_event(there_ms, EVENT_REPLY, flight, KONTOR_E_UNAVAILABLE);
		return;
	}
	flight->reply_lost = world_meets(FAULT_REPLY_LOST);
	if (world_meets(FAULT_LATE))
		there_ms = world.plan.timeout_ms + random_delay(&world.random, 2 * world.plan.window_ms);
	add_flight_event(there_ms, EVENT_EXECUTE, flight, 0);
	add_flight_event(world.plan.timeout_ms, EVENT_REPLY, flight, KONTOR_E_UNAVAILABLE);
}

static void set_clock(struct sql_server *server)
{
	struct server_state *state = world_state(server);
	server->clock_ms = world.now_ms + state->clock_offset_ms;
	if (state->clock_offset_ms > state->largest_offset_ms)
		state->largest_offset_ms = state->clock_offset_ms;
}

static void describe(const struct unit *unit, const struct statement *statement, const struct answer *answer)
{
	if (!world.tracing)
		return;
	char text[512] = "";
	size_t used = 0;
	for (size_t i = 0; i < statement->params_len && used < sizeof(text); i++) {
		const struct statement_param *param = &statement->params[i];
		used += (size_t)(param->text ? snprintf(text + used, sizeof(text) - used, " '%.*s'", (int)param->size,
							param->bytes)
					     : snprintf(text + used, sizeof(text) - used, " %lld",
							(long long)param->number));
	}
	world_trace("%s: server %d runs: %.60s |%s -> %d, %llu changed, %zu rows", unit->name,
		    (int)(unit->server - world.servers), statement->sql, text, answer->code,
		    (unsigned long long)answer->affected, answer->rows);
}

static void execute(struct flight *flight)
{
	struct server_state *state = world_state(flight->server);
	int64_t ready_ms =
		state->frozen_until_ms > state->down_until_ms ? state->frozen_until_ms : state->down_until_ms;
	if (ready_ms > world.now_ms) { /* afterwards, all at once, in any order */
		add_flight_event(ready_ms - world.now_ms + soon(), EVENT_EXECUTE, flight, 0);
		return;
	}
	if (flight->server_life != state->life) {
		add_flight_event(0, EVENT_REPLY, flight, KONTOR_E_UNAVAILABLE);
		return;
	}
	set_clock(flight->server);
	sql_server_run(flight->server, &flight->statement, &flight->answer);
	world.statements++;
	describe(flight->unit, &flight->statement, &flight->answer);
	if (!process_owner_is_fenced(flight->server, &flight->statement, &flight->answer))
		world_violation("%s reserves from a slot that was taken away from it", flight->unit->name);
	flight->executed = true;
	if (!flight->reply_lost)
		add_flight_event(flight->back_ms, EVENT_REPLY, flight, 0);
}

static void remove_event(size_t number)
{
	struct flight *flight = world.events[number].flight;
	world.events[number] = world.events[--world.events_len];
	drop_event_of(flight);
}

void world_drop_flights(const struct sql_server *server)
{
	for (size_t i = world.events_len; i-- > 0;)
		if (world.events[i].kind == EVENT_EXECUTE && world.events[i].flight->server == server)
			remove_event(i);
}

/* Its unit waits for it no longer. */
static void forget_replies(const struct flight *flight)
{
	for (size_t i = world.events_len; i-- > 0;)
		if (world.events[i].kind == EVENT_REPLY && world.events[i].flight == flight)
			remove_event(i);
}

/* ---- transactions ----------------------------------------------------------------------------------------------- */

void world_begin_transaction(struct unit *unit)
{
	set_clock(unit->server);
	sql_server_begin(unit->server);
}

void world_run_in_transaction(struct unit *unit)
{
	struct memory *memory = unit_memory(unit);
	sql_server_run(unit->server, &memory->statement, &memory->answer);
	world.statements++;
	describe(unit, &memory->statement, &memory->answer);
}

enum transaction_end world_end_transaction(struct unit *unit, bool commit)
{
	enum transaction_end end = TRANSACTION_DONE;
	if (commit && world_meets(FAULT_TX_AGAIN)) {
		commit = false;
		end = TRANSACTION_AGAIN;
	} else if (commit && world_meets(FAULT_TX_UNKNOWN)) {
		commit = random_chance(&world.random, 500);
		end = TRANSACTION_UNKNOWN;
	}
	sql_server_end(unit->server, commit);
	world_trace("%s: %s%s", unit->name, commit ? "COMMIT" : "ROLLBACK",
		    end == TRANSACTION_UNKNOWN ? ", its answer is lost" : "");
	return end;
}

/* ---- units ------------------------------------------------------------------------------------------------------ */

void world_wake(struct unit *unit)
{
	int64_t early_ms = unit->paused_until_ms > world.now_ms ? unit->paused_until_ms - world.now_ms : 0;
	if (unit->asleep_ms > early_ms) {
		unit->monotonic_offset_ms -= unit->asleep_ms - early_ms;
		unit->unseen_ms += unit->asleep_ms - early_ms;
	}
	unit->asleep_ms = 0;
	unit->paused_until_ms = world.now_ms < unit->paused_until_ms ? world.now_ms : unit->paused_until_ms;
}

void world_start(struct unit *unit)
{
	world_wake(unit);
	unit_start(unit);
	unit->number = ++world.lives;
	world_trace("%s: starts", unit->name);
	world_schedule(0, EVENT_STEP, unit);
	world_schedule(random_delay(&world.random, world.plan.take_every_ms), EVENT_TAKE, unit);
}

void world_kill(struct unit *unit)
{
	world_trace("%s: is killed", unit->name);
	unit_kill(unit);
	if (unit < &world.units[WORLD_PLACES]) { /* a clone does not come back */
		add_event(random_delay(&world.random, 2 * world.plan.window_ms), EVENT_START, unit);
		return;
	}
	if (unit->place->resident == unit)
		unit->place->resident = NULL;
}

struct unit *world_free_unit(void)
{
	for (unsigned i = WORLD_PLACES; i < WORLD_UNITS; i++)
		if (!world.units[i].running && !world.units[i].dormant)
			return &world.units[i];
	return NULL;
}

void world_resume(struct unit *clone)
{
	clone->dormant = false;
	clone->running = true;
	clone->number = ++world.lives;
	clone->served_ms[0] = 0;
	struct memory *memory = unit_memory(clone);
	memory->conn.broken = true;
	if (memory->wish == WISH_STEP_DONE)
		world_schedule(0, EVENT_STEP, clone);
	else
		reply(clone, soon(), memory->wish == WISH_DISK ? 0 : KONTOR_E_UNAVAILABLE);
	world_schedule(random_delay(&world.random, world.plan.take_every_ms), EVENT_TAKE, clone);
}

/* ---- peers ------------------------------------------------------------------------------------------------------ */

static bool can_speak(const struct unit *unit)
{
	return unit->running && unit->paused_until_ms <= world.now_ms && !unit->asleep_ms &&
	       unit_memory((struct unit *)unit)->process.ready;
}

static void tell(struct unit *from, struct unit *to)
{
	static struct peer_report report;
	running_unit = from;
	process_report(&unit_memory(from)->process, &report);
	running_unit = to;
	process_note(&unit_memory(to)->process, from->name, &report);
	world.exchanges++;
	if (from->options.datacenter == to->options.datacenter && from->server != to->server && report.cluster_uuid[0])
		to->contradicted_by |= 1u << (from - world.units);
	else /* the only one that can take it back */
		to->contradicted_by &= ~(1u << (from - world.units));
	if (!to->contradicted_by)
		to->state = MAY_ISSUE;
	else if (to->state == MAY_ISSUE)
		to->state = CONTRADICTED;
}

static void exchange(struct unit *one, struct unit *other)
{
	if (one == other || one->place == other->place || !can_speak(one) || !can_speak(other) ||
	    world.cut_until_ms > world.now_ms)
		return;
	tell(one, other);
	tell(other, one);
}

void world_exchange_with_all(struct unit *unit)
{
	for (unsigned i = 0; i < WORLD_UNITS; i++)
		exchange(unit, &world.units[i]);
	running_unit = unit;
}

void world_exchange_all(void)
{
	for (unsigned i = 0; i < WORLD_UNITS; i++)
		for (unsigned j = 0; j < i; j++)
			exchange(&world.units[i], &world.units[j]);
}

/* ---- wishes ----------------------------------------------------------------------------------------------------- */

static bool server_away(const struct unit *unit)
{
	const struct server_state *state = world_state(unit->server);
	return state->down_until_ms > world.now_ms || state->frozen_until_ms > world.now_ms;
}

static void connect_wish(struct unit *unit)
{
	if (server_away(unit))
		reply(unit, world.plan.timeout_ms, KONTOR_E_UNAVAILABLE);
	else if (world_meets(FAULT_REFUSED))
		reply(unit, soon(), KONTOR_E_UNAVAILABLE);
	else
		reply(unit, soon(), 0);
}

/* The process stands still until the event that was planned here. */
static void plan_for(struct unit *unit, enum wish wish)
{
	if (wish != WISH_STEP_DONE && world_meets(FAULT_KILLED_IN)) {
		world_kill(unit);
		return;
	}
	if (wish != WISH_STEP_DONE && world_meets(FAULT_PAUSED_IN))
		unit->paused_until_ms = world.now_ms + random_delay(&world.random, 3 * world.plan.window_ms);
	switch (wish) {
	case WISH_STEP_DONE:
		unit->unseen_ms -= unit->unseen_before_step_ms;
		unit->unseen_before_step_ms = 0;
		unit->state = unit->state == STOPPING ? STOPPED : unit->state;
		world_schedule(random_between(&world.random, world.plan.step_every_ms / 2, world.plan.step_every_ms),
			       EVENT_STEP, unit);
		break;
	case WISH_CONNECT:
		connect_wish(unit);
		break;
	case WISH_TRANSACTION:
		if (unit_memory(unit)->conn.server_life == world_state(unit->server)->life)
			connect_wish(unit);
		else
			reply(unit, soon(), KONTOR_E_UNAVAILABLE);
		break;
	case WISH_STATEMENT:
		send_statement(unit);
		break;
	case WISH_COMMITTED:
		reply(unit, soon(), world_meets(FAULT_TX_UNKNOWN) ? KONTOR_E_UNAVAILABLE : 0);
		break;
	case WISH_DISK:
		reply(unit, random_delay(&world.random, 50), world_meets(FAULT_DISK) ? KONTOR_E_STORAGE : 0);
		break;
	}
}

static void go_on(struct unit *unit)
{
	plan_for(unit, unit_run(unit));
}

static void deliver(const struct event *event)
{
	struct unit *unit = event->unit;
	struct flight *flight = event->flight;
	if (flight && unit->flight != flight) /* it gave up waiting */
		return;
	unit->flight = NULL;
	if (flight)
		forget_replies(flight);
	struct memory *memory = unit_memory(unit);
	memory->granted = event->granted;
	if (flight && !event->granted)
		answer_copy(&memory->answer, &flight->answer);
	if (event->granted)
		world_trace("%s: is answered with error %d", unit->name, event->granted);
	go_on(unit);
}

/* Two databases with one datacenter id do issue the same ids until they have heard of each other. */
static unsigned separate_database(const struct unit *unit)
{
	bool separate = world.plan.same_datacenter && !(world.residual >> RESIDUAL_NO_CONTACT & 1);
	return separate ? (unsigned)(unit->server - world.servers) : 0;
}

static void take_burst(struct unit *unit, enum process_kind kind)
{
	struct process *process = &unit_memory(unit)->process;
	running_unit = unit;
	for (int i = 0; i < TAKES_IN_A_BURST; i++) {
		struct kontor_id_range range;
		uint32_t limit = process_grant_limit(kind);
		uint32_t count =
			random_chance(&world.random, 300) ? (uint32_t)random_between(&world.random, 1, limit) : limit;
		enum process_take result = process_take(process, kind, count, &range);
		if (result != TAKE_OK) {
			if (i == 0 && result == TAKE_NO) {
				world.refusals++;
				world_trace("%s: no ids of kind %d: %s", unit->name, kind,
					    process_reason(process, kind));
			}
			return;
		}
		world_trace("%s: kind %d, %llu.. x %u of remainder %llu", unit->name, kind,
			    (unsigned long long)(range.base / range.stride), range.count,
			    (unsigned long long)(range.base % range.stride));
		if (unit->state == STOPPED)
			world_violation("%s issues ids although it knows of another database with its datacenter id",
					unit->name);
		unit->served_ms[kind] = world.now_ms;
		checks_grant(unit, kind, &range);
		grants_add(&world.grants, kind + PROCESS_KINDS * separate_database(unit), range, unit->number,
			   world.now_ms);
	}
}

static void take(struct unit *unit)
{
	for (enum process_kind kind = 0; kind < PROCESS_KINDS; kind++)
		if (process_serves(&unit->options, kind) && (world.healing || random_chance(&world.random, 700)))
			take_burst(unit, kind);
	world_schedule(random_between(&world.random, 1, world.plan.take_every_ms), EVENT_TAKE, unit);
}

static bool waits_for_unit(const struct event *event)
{
	return event->kind == EVENT_STEP || event->kind == EVENT_TAKE || event->kind == EVENT_REPLY;
}

static void handle(const struct event *event)
{
	struct unit *unit = event->unit;
	bool unit_is_there = unit && unit->incarnation == event->incarnation;
	if (unit_is_there && waits_for_unit(event) && unit->paused_until_ms > world.now_ms) {
		struct event *later = add_event(unit->paused_until_ms - world.now_ms, event->kind, unit);
		later->flight = event->flight;
		later->granted = event->granted;
		return;
	}
	if (unit_is_there && unit->asleep_ms && unit->paused_until_ms <= world.now_ms)
		world_wake(unit);
	if (event->kind == EVENT_EXECUTE) /* also when the client is dead by now */
		execute(event->flight);
	else if (event->kind == EVENT_FAULT) {
		faults_strike();
		world_schedule(random_between(&world.random, world.plan.fault_every_ms / 8, world.plan.fault_every_ms),
			       EVENT_FAULT, NULL);
	} else if (event->kind == EVENT_PEERS) {
		world_exchange_all();
		world_schedule(random_between(&world.random, 1, world.plan.peers_every_ms), EVENT_PEERS, NULL);
	} else if (unit_is_there && event->kind == EVENT_STEP) {
		unit->state = unit->state == CONTRADICTED ? STOPPING : unit->state;
		unit->unseen_before_step_ms = unit->unseen_ms;
		go_on(unit);
	} else if (unit_is_there && event->kind == EVENT_TAKE)
		take(unit);
	else if (unit_is_there && event->kind == EVENT_REPLY)
		deliver(event);
	else if (unit_is_there && event->kind == EVENT_START)
		world_start(unit);
	if (event->flight)
		drop_event_of(event->flight);
}

/* ---- a run ------------------------------------------------------------------------------------------------------ */

static void reset(void)
{
	for (unsigned i = 0; i < WORLD_UNITS; i++) {
		struct unit *unit = &world.units[i];
		struct memory *image = unit->image;
		unsigned incarnation = unit->incarnation + 1;
		*unit = (struct unit){.image = image, .incarnation = incarnation};
		snprintf(unit->name, sizeof(unit->name), i < WORLD_PLACES ? "unit%u" : "clone%u", i);
	}
	for (unsigned i = 0; i < WORLD_PLACES; i++)
		world.places[i].resident = NULL;
	for (size_t i = 0; i < WORLD_FLIGHTS; i++)
		world.flights[i].used = false;
	for (unsigned i = 0; i < WORLD_SERVERS; i++) {
		world.states[i] = (struct server_state){0};
		snprintf(world.servers[i].identity, sizeof(world.servers[i].identity), "server %u", i);
		memset(world.servers[i].reserved, 0, sizeof(world.servers[i].reserved));
	}
	world.events_len = world.grants.len = 0;
	world.violation[0] = '\0';
	world.healing = false;
	world.lives = 0;
	world.generations = 0;
	world.cut_until_ms = 0;
	world.now_ms = WORLD_START_MS;
}

static void begin(void)
{
	for (unsigned i = 0; i < world.plan.datacenters; i++) {
		sql_server_reset(&world.servers[i]);
		process_prepare_server(&world.servers[i], world.plan.kinds);
	}
	for (unsigned i = 0; i < world.plan.places; i++) {
		struct unit *unit = &world.units[i];
		unsigned datacenter = i % world.plan.datacenters;
		unit->server = &world.servers[datacenter];
		unit->place = &world.places[i];
		unit->options = (struct process_options){.name = unit->name,
							 .datacenter = world.plan.same_datacenter ? 1 : datacenter + 1,
							 .slots = world.plan.slots,
							 .kinds = world.plan.kinds,
							 .window_ms = world.plan.window_ms,
							 .peers = world.plan.peers};
		unit->monotonic_offset_ms = -WORLD_START_MS + random_between(&world.random, 1000, 1000000);
		world_schedule(soon(), EVENT_START, unit);
	}
	world_schedule(random_delay(&world.random, world.plan.fault_every_ms), EVENT_FAULT, NULL);
	if (world.plan.peers)
		world_schedule(random_between(&world.random, 1, world.plan.peers_every_ms), EVENT_PEERS, NULL);
	world.faults_until_ms = world.now_ms + world.plan.faults_for_ms;
}

static void run_until(int64_t until_ms)
{
	while (!world.violation[0]) {
		struct event event = next_event();
		if (event.at_ms > until_ms) {
			world.events[world.events_len++] = event;
			world.now_ms = until_ms;
			return;
		}
		if (event.kind == EVENT_FAULT && world.healing)
			continue;
		world.now_ms = event.at_ms;
		handle(&event);
	}
}

static void recover(void)
{
	world.healing = true;
	world_trace("all faults end");
	faults_heal();
	world.plan.slow_ms = 20;
	world.plan.step_every_ms = world.plan.window_ms / 6;
	world.plan.take_every_ms = world.plan.window_ms / 3;
	world.plan.peers_every_ms = world.plan.window_ms / 2;
	run_until(world.now_ms + RECOVERY_WINDOWS * world.plan.window_ms + 2 * world.plan.timeout_ms);
	int64_t recovered_ms = world.now_ms;
	run_until(recovered_ms + world.plan.window_ms);
	if (!world.violation[0])
		checks_service(recovered_ms);
}

bool world_run(uint64_t seed)
{
	world.seed = seed;
	world.random = (struct random){seed * UINT64_C(0x2545f4914f6cdd1d) + 1};
	reset();
	faults_plan();
	begin();
	run_until(world.faults_until_ms);
	if (world.plan.recovery && !world.plan.same_datacenter)
		recover();
	checks_time();
	checks_uniqueness();
	world.grants_made += world.grants.len;
	return !world.violation[0];
}

void world_open(void)
{
	for (unsigned i = 0; i < WORLD_SERVERS; i++)
		process_open_server(&world.servers[i], world.reference);
	for (unsigned i = 0; i < WORLD_PLACES; i++)
		world.places[i].memory = calloc(1, sizeof(struct memory));
	for (unsigned i = 0; i < WORLD_UNITS; i++)
		world.units[i].image = calloc(1, sizeof(struct memory));
	world.grants.grants = calloc(GRANTS_LIMIT, sizeof(world.grants.grants[0]));
}

void world_close(void)
{
	reset();
	for (unsigned i = 0; i < WORLD_SERVERS; i++)
		sql_server_close(&world.servers[i]);
	for (unsigned i = 0; i < WORLD_PLACES; i++)
		free(world.places[i].memory);
	for (unsigned i = 0; i < WORLD_UNITS; i++)
		free(world.units[i].image);
	free(world.grants.grants);
}
