/* SPDX-License-Identifier: Apache-2.0
 *
 * What goes wrong, how, and how often.
 */
#include "faults.h"

#include <string.h>

#include "world.h"

#define BAD_DISK_PERMILLE 300
/* A clock that jumps by more tells that the machine slept; unless other steps since the last look made up for it. */
#define CLOCK_TELLS_MS 1100

const char *const fault_names[FAULTS] = {
	[FAULT_REFUSED] = "statement refused",
	[FAULT_REPLY_LOST] = "answer lost",
	[FAULT_LATE] = "statement done after its client gave up",
	[FAULT_KILLED_IN] = "killed in a step",
	[FAULT_PAUSED_IN] = "paused in a step",
	[FAULT_TX_AGAIN] = "transaction lost before COMMIT",
	[FAULT_TX_UNKNOWN] = "COMMIT of unknown outcome",
	[FAULT_DISK] = "journal not writable",
	[FAULT_KILLED] = "killed",
	[FAULT_JOURNAL_LOST] = "killed and its disk lost",
	[FAULT_PAUSED] = "paused",
	[FAULT_SUSPENDED] = "machine suspended",
	[FAULT_CLOCK] = "unit's clock set",
	[FAULT_SERVER_CLOCK] = "server's clock set",
	[FAULT_FROZEN] = "server frozen",
	[FAULT_CRASHED] = "server crashed",
	[FAULT_KEPT] = "dump made",
	[FAULT_FAILED_OVER] = "fail-over",
	[FAULT_FAILED_BACK] = "fail-over that lost commits",
	[FAULT_OLD_ONE_BACK] = "old server back after a fail-over",
	[FAULT_RESTORED] = "dump restored on the same server",
	[FAULT_EVICTED] = "slot evicted",
	[FAULT_FENCED] = "unit fenced",
	[FAULT_CUT] = "peers cut off",
	[FAULT_SNAPSHOT] = "snapshot of a machine",
	[FAULT_RESUMED] = "snapshot resumed beside its machine",
	[FAULT_ROLLED_BACK] = "snapshot resumed in place of its machine",
	[FAULT_CLONED_SILENTLY] = "snapshot resumed and nobody told it",
};

const char *const residual_names[RESIDUALS] = {
	[RESIDUAL_SILENT_CLONE] = "silent-clone",
	[RESIDUAL_OLD_SERVER] = "old-server",
	[RESIDUAL_UNHEARD] = "unheard",
	[RESIDUAL_NO_CONTACT] = "no-contact",
};

static bool asked_for(enum residual residual)
{
	return world.residual >> residual & 1;
}

static struct unit *any_unit(void)
{
	struct unit *running[WORLD_UNITS];
	size_t len = 0;
	for (unsigned i = 0; i < WORLD_UNITS; i++)
		if (world.units[i].running)
			running[len++] = &world.units[i];
	return len ? running[random_below(&world.random, len)] : NULL;
}

static struct sql_server *any_server(void)
{
	return &world.servers[random_below(&world.random, world.plan.datacenters)];
}

static int64_t some_time(void)
{
	return random_delay(&world.random, 3 * world.plan.window_ms);
}

static int64_t step_of_clock(void)
{
	static const int64_t steps[] = {-1,    -5000,    -3600000, -86400000, 1,
					5000,  3600000,  999,      -999,      1001,
					-1001, 86400000, 2000,     -2000,     INT64_C(315360000000)};
	return steps[random_below(&world.random, sizeof(steps) / sizeof(steps[0]))];
}

/* ---- units ------------------------------------------------------------------------------------------------------ */

static void killed(struct unit *unit)
{
	world_kill(unit);
}

static void journal_lost(struct unit *unit)
{
	unit->disk = (struct disk){0};
	world_kill(unit);
}

/* Never shorter than it is already. */
static void pause_for(struct unit *unit, int64_t for_ms)
{
	if (unit->paused_until_ms < world.now_ms + for_ms)
		unit->paused_until_ms = world.now_ms + for_ms;
	world_trace("%s: stands still until %.3f", unit->name, (double)(unit->paused_until_ms - WORLD_START_MS) / 1000);
}

static void paused(struct unit *unit)
{
	pause_for(unit, some_time());
}

static void suspended(struct unit *unit)
{
	int64_t before_ms = unit->paused_until_ms > world.now_ms ? unit->paused_until_ms : world.now_ms;
	pause_for(unit, some_time());
	unit->asleep_ms += unit->paused_until_ms - before_ms;
	world_trace("%s: its machine sleeps", unit->name);
}

static void clock_set(struct unit *unit)
{
	int64_t step_ms = step_of_clock();
	if (world.plan.servers_ahead && step_ms > 5000)
		return;
	unit->wall_offset_ms += step_ms;
	unit->unseen_ms += llabs(step_ms);
	world_trace("%s: its clock is set by %lld ms", unit->name, (long long)step_ms);
}

static void fenced(struct unit *unit)
{
	world_trace("%s: is fenced", unit->name);
	running_unit = unit;
	process_fence(&unit_memory(unit)->process);
}

static void snapshot(struct unit *unit)
{
	struct unit *clone = world_free_unit();
	if (!clone)
		return;
	unit_clone(unit, clone);
	clone->snapshot_ms = world.now_ms;
	world_trace("%s: a snapshot of its machine is made: %s", unit->name, clone->name);
}

static struct unit *any_snapshot(void)
{
	for (unsigned i = 0; i < WORLD_UNITS; i++)
		if (world.units[i].dormant)
			return &world.units[i];
	return NULL;
}

/* Its monotonic clock goes on where it stood; its wall clock too, until somebody sets it right. */
static bool resume(struct unit *clone, bool told)
{
	if (!clone)
		return false;
	int64_t slept_ms = world.now_ms - clone->snapshot_ms;
	clone->monotonic_offset_ms -= slept_ms;
	/* The clock is set right at once, or stays behind until somebody does it. */
	bool clock_set = told && random_chance(&world.random, 500);
	if (!clock_set)
		clone->wall_offset_ms -= slept_ms;
	bool clock_tells = clock_set && slept_ms > CLOCK_TELLS_MS + clone->unseen_ms;
	if (told && !(clock_tells && random_chance(&world.random, 500)))
		clone->generation = ++world.generations;
	world_trace("%s: is resumed, %lld ms later%s", clone->name, (long long)slept_ms, told ? "" : " and not told");
	world_resume(clone);
	return true;
}

static bool resumed(void)
{
	return resume(any_snapshot(), true);
}

static bool rolled_back(void)
{
	struct unit *clone = any_snapshot();
	for (unsigned i = 0; clone && i < WORLD_PLACES; i++)
		if (world.units[i].running && world.units[i].place == clone->place)
			world_kill(&world.units[i]);
	return resume(clone, true);
}

static bool cloned_silently(void)
{
	return resume(any_snapshot(), false);
}

static bool cut(void)
{
	world.cut_until_ms = world.now_ms + some_time();
	world_trace("peers do not hear each other");
	return true;
}

/* ---- servers ---------------------------------------------------------------------------------------------------- */

static void server_clock_set(struct sql_server *server)
{
	int64_t step_ms = step_of_clock();
	if (step_ms > 5000 && !world.plan.servers_ahead)
		return;
	/* quarantines end by it, and numbers jump by it */
	if (llabs(step_ms) > 5000 && world.plan.loss != LOSS_NONE)
		return;
	world_state(server)->clock_offset_ms += step_ms;
	world_trace("server %d: its clock is set by %lld ms", (int)(server - world.servers), (long long)step_ms);
}

static void frozen(struct sql_server *server)
{
	world_state(server)->frozen_until_ms = world.now_ms + some_time();
	world_trace("server %d: frozen", (int)(server - world.servers));
}

static void down(struct sql_server *server, const char *why)
{
	world_state(server)->down_until_ms = world.now_ms + random_delay(&world.random, world.plan.window_ms);
	world_drop_flights(server);
	world_state(server)->life++;
	world_trace("server %d: %s", (int)(server - world.servers), why);
}

static void crashed(struct sql_server *server)
{
	down(server, "crashes and starts again");
}

/* A dump of a database that no unit had visited yet is another database. A later one may be from before a fail-over was
 * noticed, and may be restored more than once. */
static bool kept(struct sql_server *server)
{
	if (!process_is_set_up(server) && !world_state(server)->kept)
		return false;
	struct server_state *state = world_state(server);
	sql_server_keep(server);
	state->kept = true;
	snprintf(state->kept_identity, sizeof(state->kept_identity), "%s", server->identity);
	world_trace("server %d: a dump is made", (int)(server - world.servers));
	return true;
}

static void new_identity(struct sql_server *server)
{
	snprintf(server->identity, sizeof(server->identity), "server %d.%u", (int)(server - world.servers),
		 ++world_state(server)->identities);
}

static void failed_over(struct sql_server *server)
{
	down(server, "fails over to one that has everything");
	new_identity(server);
}

static bool failed_back(struct sql_server *server)
{
	if (!world_state(server)->kept)
		return false;
	down(server, "fails over to one that lacks what was acknowledged since the dump");
	sql_server_bring_back(server);
	new_identity(server);
	return true;
}

/* The one that was the server when the dump was made is it again, with what it had then. */
static bool old_one_back(struct sql_server *server)
{
	struct server_state *state = world_state(server);
	if (!state->kept || strcmp(state->kept_identity, server->identity) == 0)
		return false;
	down(server, "the one from before the fail-over is the server again");
	sql_server_bring_back(server);
	snprintf(server->identity, sizeof(server->identity), "%s", state->kept_identity);
	return true;
}

static bool anybody_in_a_step(void)
{
	for (unsigned i = 0; i < WORLD_UNITS; i++)
		if (world.units[i].running && unit_memory(&world.units[i])->wish != WISH_STEP_DONE)
			return true;
	return false;
}

/* Nothing tells that the server is another one. So it is the journals and the peers that must know, and before that all
 * have told each other: a restore takes longer than an answer under way and the next exchange. */
static bool restored(struct sql_server *server)
{
	if (!world_state(server)->kept || (anybody_in_a_step() && !asked_for(RESIDUAL_UNHEARD)))
		return false;
	down(server, "the dump is restored");
	if (!asked_for(RESIDUAL_UNHEARD))
		world_exchange_all();
	sql_server_bring_back(server);
	return true;
}

static void evicted(struct sql_server *server)
{
	world_trace("server %d: an operator evicts a slot", (int)(server - world.servers));
	static struct answer scratch;
	process_evict(server, &scratch, random_next(&world.random));
}

/* ---- choice ----------------------------------------------------------------------------------------------------- */

static const struct by_itself {
	void (*unit)(struct unit *unit);
	void (*server)(struct sql_server *server);
	bool (*perhaps)(struct sql_server *server);
	bool (*world)(void);
} by_itself[FAULTS] = {
	[FAULT_KILLED] = {.unit = killed},
	[FAULT_JOURNAL_LOST] = {.unit = journal_lost},
	[FAULT_PAUSED] = {.unit = paused},
	[FAULT_SUSPENDED] = {.unit = suspended},
	[FAULT_CLOCK] = {.unit = clock_set},
	[FAULT_SERVER_CLOCK] = {.server = server_clock_set},
	[FAULT_FROZEN] = {.server = frozen},
	[FAULT_CRASHED] = {.server = crashed},
	[FAULT_KEPT] = {.perhaps = kept},
	[FAULT_FAILED_OVER] = {.server = failed_over},
	[FAULT_FAILED_BACK] = {.perhaps = failed_back},
	[FAULT_OLD_ONE_BACK] = {.perhaps = old_one_back},
	[FAULT_RESTORED] = {.perhaps = restored},
	[FAULT_EVICTED] = {.server = evicted},
	[FAULT_FENCED] = {.unit = fenced},
	[FAULT_CUT] = {.world = cut},
	[FAULT_SNAPSHOT] = {.unit = snapshot},
	[FAULT_RESUMED] = {.world = resumed},
	[FAULT_ROLLED_BACK] = {.world = rolled_back},
	[FAULT_CLONED_SILENTLY] = {.world = cloned_silently},
};

static bool strike(enum fault fault)
{
	const struct by_itself *what = &by_itself[fault];
	if (what->unit) {
		struct unit *unit = any_unit();
		if (unit)
			what->unit(unit);
		return unit != NULL;
	}
	if (what->world)
		return what->world();
	if (what->perhaps)
		return what->perhaps(any_server());
	what->server(any_server());
	return true;
}

void faults_strike(void)
{
	uint64_t sum = 0;
	for (enum fault fault = FAULT_FIRST_BY_ITSELF; fault < FAULTS; fault++)
		sum += world.plan.permille[fault];
	if (!sum)
		return;
	uint64_t chosen = random_below(&world.random, sum);
	for (enum fault fault = FAULT_FIRST_BY_ITSELF; fault < FAULTS; fault++) {
		if (chosen < world.plan.permille[fault]) {
			world.happened[fault] += strike(fault);
			return;
		}
		chosen -= world.plan.permille[fault];
	}
}

void faults_heal(void)
{
	for (unsigned i = 0; i < WORLD_UNITS; i++) {
		struct unit *unit = &world.units[i];
		if (i >= WORLD_PLACES && unit->running)
			world_kill(unit);
		unit->wall_offset_ms = 0;
		world_wake(unit);
	}
	for (unsigned i = 0; i < WORLD_SERVERS; i++) {
		struct server_state *state = &world.states[i];
		if (state->frozen_until_ms > world.now_ms)
			state->frozen_until_ms = world.now_ms;
		if (state->down_until_ms > world.now_ms)
			state->down_until_ms = world.now_ms;
		if (state->clock_offset_ms < 0) /* one that is ahead is no trouble, and may stay so */
			state->clock_offset_ms = 0;
		process_end_long_leases(&world.servers[i], world.now_ms + state->clock_offset_ms, world.plan.window_ms);
	}
}

/* ---- plan ------------------------------------------------------------------------------------------------------- */

#define PICK(...)                                                                                                      \
	((const int64_t[]){                                                                                            \
		__VA_ARGS__})[random_below(&world.random, sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t))]

/* What the protocol does not promise to survive (docs/id-generation.md, residual risks) is left out, unless asked for:
 * a clone that nobody tells; lost commits without a sign, unless all units live and have told each other. */
static bool survivable(enum fault fault)
{
	const enum loss loss = world.plan.loss;
	switch (fault) {
	case FAULT_CLONED_SILENTLY:
		return asked_for(RESIDUAL_SILENT_CLONE);
	case FAULT_OLD_ONE_BACK:
		return loss == LOSS_FAIL_OVER && asked_for(RESIDUAL_OLD_SERVER);
	case FAULT_SNAPSHOT: /* a clone is its original to a peer, until it has other windows */
		return loss != LOSS_RESTORE && !world.plan.same_datacenter;
	case FAULT_FAILED_BACK:
		return loss == LOSS_FAIL_OVER;
	case FAULT_RESTORED:
		return loss == LOSS_RESTORE;
	case FAULT_KILLED_IN:
	case FAULT_PAUSED_IN:
	case FAULT_DISK:
	case FAULT_KILLED:
	case FAULT_JOURNAL_LOST:
	case FAULT_PAUSED:
	case FAULT_SUSPENDED:
	case FAULT_CUT:
		return loss != LOSS_RESTORE || asked_for(RESIDUAL_UNHEARD);
	default:
		return true;
	}
}

void faults_plan(void)
{
	struct plan *plan = &world.plan;
	*plan = (struct plan){.places = (unsigned)PICK(1, 2, 2, 3, 3, WORLD_PLACES),
			      .datacenters = 1,
			      .window_ms = PICK(20000, 60000, 120000),
			      .slots = (unsigned)PICK(1, 1, 1, 2, 3),
			      .kinds = (unsigned)PICK(1, 1, 1, 4, 4, 2, 7),
			      .peers = random_chance(&world.random, 500),
			      .servers_ahead = random_chance(&world.random, 300),
			      .recovery = !world.residual && random_chance(&world.random, 60)};
	plan->loss = random_chance(&world.random, 300)                  ? LOSS_FAIL_OVER
		     : plan->peers && random_chance(&world.random, 250) ? LOSS_RESTORE
									: LOSS_NONE;
	if (world.loses_only)
		plan->loss = plan->peers && random_chance(&world.random, 500) ? LOSS_RESTORE : LOSS_FAIL_OVER;
	if (plan->places > 1 && random_chance(&world.random, 200)) {
		plan->datacenters = 2;
		plan->same_datacenter = plan->peers && random_chance(&world.random, 300);
	}
	if (plan->places * plan->slots > 6) /* of 8 */
		plan->slots = 1;
	/* Many short lives find more in an hour than few long ones. */
	bool is_long = random_chance(&world.random, 100);
	plan->step_every_ms = plan->window_ms / PICK(3, 4, is_long ? 8 : 3);
	plan->take_every_ms = plan->window_ms / PICK(4, 8, is_long ? 12 : 4);
	plan->peers_every_ms = plan->window_ms / (is_long ? PICK(3, 10) : 3);
	plan->fault_every_ms = plan->window_ms / PICK(1, 4, 20);
	plan->faults_for_ms = is_long ? plan->window_ms * PICK(1, 1, 2, 3) : plan->window_ms / 2;
	plan->timeout_ms = PICK(1000, 5000, 10000);
	plan->slow_ms = PICK(1, 20, 500, 20000);
	for (enum fault fault = 0; fault < FAULTS; fault++)
		if (survivable(fault) && random_chance(&world.random, 350))
			plan->permille[fault] =
				(unsigned)(fault < FAULT_FIRST_BY_ITSELF ? PICK(3, 20, 100) : PICK(1, 3, 10));
	if (plan->loss != LOSS_NONE)
		plan->permille[FAULT_KEPT] = 5;
	if (world.bad_disks) {
		plan->recovery = true;
		plan->permille[FAULT_DISK] = BAD_DISK_PERMILLE;
		plan->permille[FAULT_KILLED_IN] = BAD_DISK_PERMILLE / 3;
	}
	world_trace("%u units, %u datacenters, window %lld ms", plan->places, plan->datacenters,
		    (long long)plan->window_ms);
}
