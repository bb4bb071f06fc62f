/* SPDX-License-Identifier: Apache-2.0
 *
 * What goes wrong.
 */
#ifndef SIMULATION_FAULTS_H
#define SIMULATION_FAULTS_H

#include <stdbool.h>

enum fault {
	/* a wish of the process meets with them */
	FAULT_REFUSED,    /* the server answers with an error and does nothing */
	FAULT_REPLY_LOST, /* it is done and the answer is lost */
	FAULT_LATE,       /* the client gives up waiting; it is done afterwards */
	FAULT_KILLED_IN,  /* the process is killed at that point */
	FAULT_PAUSED_IN,  /* it stands still at that point, perhaps for longer than its lease */
	FAULT_TX_AGAIN,   /* a transaction is lost before its COMMIT */
	FAULT_TX_UNKNOWN, /* or in it, and nobody knows whether it was committed */
	FAULT_DISK,       /* the journal cannot be written */
	/* they come by themselves */
	FAULT_KILLED,       /* kill -9, and a new start */
	FAULT_JOURNAL_LOST, /* the same, and the disk is a new one */
	FAULT_PAUSED,       /* SIGSTOP, SIGCONT */
	FAULT_SUSPENDED,    /* the machine sleeps: its monotonic clock stands still */
	FAULT_CLOCK,        /* a unit's wall clock is set */
	FAULT_SERVER_CLOCK,
	FAULT_FROZEN,          /* a server does nothing for a while, then all of it */
	FAULT_CRASHED,         /* a server starts again; what it had acknowledged is there */
	FAULT_KEPT,            /* a dump is made; or a replica stops following */
	FAULT_FAILED_OVER,     /* another server takes over that has everything */
	FAULT_FAILED_BACK,     /* one that has not: acknowledged commits are lost */
	FAULT_OLD_ONE_BACK,    /* after a fail-over, the server from before it, with what it had then */
	FAULT_RESTORED,        /* the dump is restored on the same server: the same, and it looks the same */
	FAULT_EVICTED,         /* an operator takes a slot away */
	FAULT_FENCED,          /* an operator tells a unit to drop its windows */
	FAULT_CUT,             /* peers do not hear each other for a while */
	FAULT_SNAPSHOT,        /* of a unit's machine, in the middle of whatever it does */
	FAULT_RESUMED,         /* of such a snapshot: two of them now */
	FAULT_ROLLED_BACK,     /* the same, and the machine it was made of is dead */
	FAULT_CLONED_SILENTLY, /* the same, and nothing tells the machine; cannot be survived, see --residual */
	FAULTS
};

/* What the protocol does not promise to survive (docs/id-generation.md): only on demand, to show that it would be
 * found. */
enum residual {
	RESIDUAL_SILENT_CLONE, /* a snapshot is resumed within a window, and nothing tells the machine */
	RESIDUAL_OLD_SERVER,   /* after a fail-over, the server from before it answers again, with what it had then */
	RESIDUAL_UNHEARD,      /* a dump is restored on the same server, and peers have not heard of what it lacks */
	RESIDUAL_NO_CONTACT,   /* two databases with one datacenter id, and no peer that could tell */
	RESIDUALS
};

extern const char *const residual_names[RESIDUALS];
extern const char *const fault_names[FAULTS];
#define FAULT_FIRST_BY_ITSELF FAULT_KILLED

/* One of those that come by themselves, by the plan's weights. */
void faults_strike(void);
/* All clocks right, everything answers. */
void faults_heal(void);
/* What a seed is like: which faults, how often, which sizes. */
void faults_plan(void);

#endif
