/* SPDX-License-Identifier: Apache-2.0
 *
 * A unit of the simulation: the memory of a process, its machine and its disk. The process runs the plugin's real code
 * as a coroutine; whenever that asks the database, the disk or a peer for something, the coroutine stands still with a
 * wish, and the world decides what becomes of it and when.
 *
 * All that the process has, stack included, lies in one block of memory at one address. So a copy of the block is what
 * a virtual machine's snapshot is, also one that was made in the middle of a reservation: a clone is a second image of
 * the same block, and whoever runs is copied in.
 */
#ifndef SIMULATION_UNIT_H
#define SIMULATION_UNIT_H

#include "process.h"
#include "sql_server.h"

#define UNIT_ROWS 2u
#define UNIT_NAME 16u
#define UNIT_HEAP ((size_t)224 << 10)
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define UNIT_STACK ((size_t)512 << 10)
#else
#define UNIT_STACK ((size_t)48 << 10)
#endif

enum wish {
	WISH_STEP_DONE,   /* nothing: it waits for its next step */
	WISH_CONNECT,     /* a session that answers */
	WISH_STATEMENT,   /* unit->memory->statement; the answer into unit->memory->answer */
	WISH_TRANSACTION, /* the begin of one */
	WISH_COMMITTED,   /* it is committed; the answer to that is on its way */
	WISH_DISK,        /* a write of the journal is about to be made */
};

struct kontor_rows {
	bool used;
	size_t next; /* row */
	struct answer answer;
};

struct kontor_conn {
	bool used, broken, in_transaction;
	unsigned mariadb_errno;
	unsigned server_life; /* a server that starts again knows none of its sessions */
};

/* __builtin_setjmp()'s. A swapcontext() would ask the system for the signal mask each time. */
typedef void *unit_context[5];

struct memory {
	unit_context context; /* where it goes on */
	size_t stack_unused;  /* bytes at the low end; UNIT_STACK: it has not run yet */
	enum wish wish;
	int granted; /* what became of the wish: 0 or an error */
	struct statement statement;
	struct answer answer;
	struct kontor_conn conn;
	struct kontor_rows rows[UNIT_ROWS];
	struct process process;
	size_t heap_used;
	/* last: only what is used of them is copied */
	_Alignas(max_align_t) unsigned char stack[UNIT_STACK];
	_Alignas(max_align_t) unsigned char heap[UNIT_HEAP];
};

/* One block of memory and who is in it. */
struct place {
	struct memory *memory;
	struct unit *resident;
};

struct disk {
	bool journal; /* there is one */
	struct process_disk content;
};

struct unit {
	char name[UNIT_NAME];
	unsigned number;          /* of this process, never used again in a run */
	unsigned incarnation;     /* events of an earlier one are void */
	bool running, dormant;    /* dormant: a snapshot that may be resumed */
	unsigned contradicted_by; /* a bit for each unit that said: the same datacenter id, another database */
	enum { MAY_ISSUE, CONTRADICTED, STOPPING, STOPPED } state;
	struct process_options options;
	struct place *place;
	struct memory *image; /* while another unit is in the place */
	struct sql_server *server;

	/* the machine */
	int64_t wall_offset_ms, monotonic_offset_ms; /* to the true time */
	uint64_t generation;
	int64_t paused_until_ms, snapshot_ms;
	int64_t asleep_ms; /* of a pause: its monotonic clock has not gone on for so long */
	/* by how much its clocks were set, forwards and backwards, since it compared them last; what of it was before
	 * the step that is under way, which has compared them */
	int64_t unseen_ms, unseen_before_step_ms;
	struct disk disk;

	/* the last statement's answer may come from an earlier connection: it does not */
	struct flight *flight;
	int64_t served_ms[PROCESS_KINDS]; /* true time of the last grant */
};

extern struct unit *running_unit; /* whose code runs just now */

/* A process that has not run yet: its first step starts it. */
void unit_start(struct unit *unit);
/* Runs it until it has a wish. */
enum wish unit_run(struct unit *unit);
/* It is gone in the middle of whatever it did. */
void unit_kill(struct unit *unit);
/* Its memory is in the place; from here on until the next call for another unit. */
struct memory *unit_memory(struct unit *unit);
/* `clone` is a free unit; it gets everything but the flight. */
void unit_clone(struct unit *unit, struct unit *clone);

/* Called by the process's code: waits until the world has decided. */
int unit_wish(enum wish wish);

#endif
