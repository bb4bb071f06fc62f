/* SPDX-License-Identifier: Apache-2.0
 *
 * The versions of shop rules: stored without a revision first, in force once they get one.
 */
#ifndef SETTLEMENT_RULE_STORE_H
#define SETTLEMENT_RULE_STORE_H

#include "rule_row.h"
#include "settlement.h"

/* A rule that somebody wants. */
struct rule_change {
	const struct rule *rule;
	uint64_t line;          /* of its file, 0: from a command */
	bool unchanged;         /* set by rule_store(): it would change nothing as things are */
	struct kontor_row *row; /* of its file; NULL: from a command */
};

struct rule_source {
	const char *region;
	uint64_t upload_id; /* 0: a command */
	bool dry_run;       /* judges only */
};

/* In the caller's transaction. Sorts the changes by key and line. BUSY when somebody else changes the same rules at
 * this moment. */
int rule_store(kontor_conn *tx, const struct rule_source *source, struct rule_change *changes, size_t len,
	       struct kontor_error *err);
/* Makes the next revision of the region's rules and keeps its row locked until the transaction ends: revisions are
 * given one after the other. */
int rule_begin_revision(kontor_conn *tx, const char *region, struct kontor_error *err);
/* What the source has stored is in force from now on, under the revision that this transaction began; what would still
 * change nothing goes. */
int rule_give_revision(kontor_conn *tx, const struct rule_source *source, struct kontor_error *err);

/* Whether payouts of a currency to a shop are on hold. */
struct hold_question {
	uint64_t shop_user_id;
	char currency[4];
	bool held;    /* the answer */
	size_t index; /* the asker's own */
};
/* By the rules that are in force at this instant. Sorts the questions by shop. */
int rule_find_holds(kontor_conn *conn, const char *region, int64_t at_ms, struct hold_question *questions, size_t len,
		    struct kontor_error *err);

#endif
