/* SPDX-License-Identifier: Apache-2.0
 *
 * All SQL of the payout plugin. billing_item, claim, claim_batch and shop_rule belong to settlement and are only
 * read.
 */
#ifndef PAYOUT_STATEMENTS_H
#define PAYOUT_STATEMENTS_H

#define SQL_PLACEHOLDERS_16 "?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?"
#define SQL_LIST_SIZE 64 /* parameters of an IN (...) of ours */
#define SQL_LIST SQL_PLACEHOLDERS_16 "," SQL_PLACEHOLDERS_16 "," SQL_PLACEHOLDERS_16 "," SQL_PLACEHOLDERS_16

/* ---- payees ------------------------------------------------------------------------------------------------------ */

/* region, shops */
#define SQL_PAYEE_VERSIONS                                                                                             \
	"SELECT shop_user_id, currency, version, state, name, name_latin, country, iban, account, bank_code, bic, "    \
	"town FROM payee WHERE region = ? AND shop_user_id IN (" SQL_LIST ") "                                         \
	"ORDER BY shop_user_id, currency, version"
#define SQL_PAYEE_INSERT                                                                                               \
	"INSERT INTO payee (region, shop_user_id, currency, version, state, name, name_latin, country, iban, "         \
	"account, "                                                                                                    \
	"bank_code, bic, town, upload_id, created_ms) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)"
/* A first version of this upload for which another upload's was accepted since. */
#define SQL_PAYEE_OVERTAKEN                                                                                            \
	"SELECT p.shop_user_id FROM payee p JOIN payee f ON f.region = p.region AND f.shop_user_id = p.shop_user_id "  \
	"AND f.currency = p.currency AND f.in_force = 1 WHERE p.upload_id = ? AND p.state = 'pending' LIMIT 1"
#define SQL_PAYEE_SUPERSEDE                                                                                            \
	"UPDATE payee f JOIN payee w ON f.region = w.region AND f.shop_user_id = w.shop_user_id "                      \
	"AND f.currency = w.currency SET f.state = 'superseded' "                                                      \
	"WHERE w.upload_id = ? AND w.state = 'waiting' AND f.in_force = 1"
#define SQL_PAYEE_IN_FORCE "UPDATE payee SET state = 'in_force' WHERE upload_id = ? AND state IN ('pending', 'waiting')"
/* upload, limit */
#define SQL_PAYEE_UNDO "DELETE FROM payee WHERE upload_id = ? AND state IN ('pending', 'waiting') LIMIT ?"

/* ---- runs ---- */

#define SQL_RUN_COLUMNS                                                                                                \
	"SELECT run_id, region, window_no, kind, state, job_id, payouts, items, generation, upload_id FROM run "
#define SQL_RUN_BY_ID SQL_RUN_COLUMNS "WHERE run_id = ?"
#define SQL_RUN_BY_WINDOW SQL_RUN_COLUMNS "WHERE unique_window = ?"
#define SQL_RUN_INSERT                                                                                                 \
	"INSERT INTO run (run_id, region, window_no, kind, state, job_id, user, created_ms, unique_window) "           \
	"VALUES (?, ?, ?, 'auto', 'planning', ?, ?, ?, ?)"
#define SQL_MANUAL_RUN_INSERT                                                                                          \
	"INSERT INTO run (run_id, region, window_no, kind, state, job_id, user, created_ms, upload_id) "               \
	"VALUES (?, ?, ?, 'manual', 'planning', ?, ?, ?, ?)"
#define SQL_RUN_SET_JOB "UPDATE run SET job_id = ? WHERE run_id = ?"
/* rules, run, generation */
#define SQL_RUN_START                                                                                                  \
	"UPDATE run SET state = 'running', rules_revision = ? "                                                        \
	"WHERE run_id = ? AND generation = ? AND state = 'planning'"
/* payouts, items, now, run, generation */
#define SQL_RUN_BALANCED                                                                                               \
	"UPDATE run SET state = 'balanced', payouts = ?, items = ?, finished_ms = ? "                                  \
	"WHERE run_id = ? AND generation = ? AND state IN ('running', 'failed_control')"
/* now, run, generation */
#define SQL_RUN_FAILED_CONTROL                                                                                         \
	"UPDATE run SET state = 'failed_control', finished_ms = ? "                                                    \
	"WHERE run_id = ? AND generation = ? AND state IN ('running', 'failed_control')"
#define SQL_RUN_TAKE_BACK                                                                                              \
	"UPDATE run SET state = 'planning', generation = generation + 1, finished_ms = 0 "                             \
	"WHERE run_id = ? AND generation = ? AND state <> 'balanced'"
#define SQL_RUN_LOCK "SELECT generation FROM run WHERE run_id = ? AND state = 'planning' FOR UPDATE"

/* ---- chunks: borders ---- */

/* The shop of the n-th item (open carry) from shop ? on. Without FORCE INDEX the optimiser sorted: 15 times slower.
 * region, window, from, n */
#define SQL_BORDER_BY_ITEMS                                                                                            \
	"SELECT shop_user_id FROM billing_item FORCE INDEX (PRIMARY) WHERE region = ? AND window_no = ? "              \
	"AND shop_user_id >= ? ORDER BY shop_user_id, billing_item_id LIMIT 1 OFFSET ?"
/* region, from, n */
#define SQL_BORDER_BY_CARRIES                                                                                          \
	"SELECT shop_user_id FROM carry FORCE INDEX (by_state) WHERE region = ? AND to_run = 0 "                       \
	"AND shop_user_id >= ? ORDER BY shop_user_id LIMIT 1 OFFSET ?"
/* region, upload, from, n */
#define SQL_BORDER_BY_CLAIMS                                                                                           \
	"SELECT shop_user_id FROM claim FORCE INDEX (by_upload) WHERE region = ? AND upload_id = ? "                   \
	"AND shop_user_id >= ? ORDER BY shop_user_id, billing_item_id LIMIT 1 OFFSET ?"
#define SQL_WINDOW_CLAIMS "SELECT COUNT(*) FROM claim WHERE region = ? AND window_no = ?"

/* ---- chunks: reading, in primary-key order ---- */

/* region, window, from, to */
#define SQL_ITEMS                                                                                                      \
	"SELECT shop_user_id, currency, item_type, amount_minor FROM billing_item FORCE INDEX (PRIMARY) "              \
	"WHERE region = ? AND window_no = ? AND shop_user_id BETWEEN ? AND ? ORDER BY shop_user_id, billing_item_id"
#define SQL_ITEMS_UNCLAIMED                                                                                            \
	"SELECT i.shop_user_id, i.currency, i.item_type, i.amount_minor FROM billing_item i FORCE INDEX (PRIMARY) "    \
	"LEFT JOIN claim c FORCE INDEX (PRIMARY) ON c.region = i.region AND c.window_no = i.window_no "                \
	"AND c.shop_user_id = i.shop_user_id AND c.billing_item_id = i.billing_item_id "                               \
	"WHERE i.region = ? AND i.window_no = ? AND i.shop_user_id BETWEEN ? AND ? AND c.region IS NULL "              \
	"ORDER BY i.shop_user_id, i.billing_item_id"
#define SQL_ITEMS_CLAIMED                                                                                              \
	"SELECT i.currency, i.amount_minor FROM claim c FORCE INDEX (PRIMARY) "                                        \
	"JOIN billing_item i FORCE INDEX (PRIMARY) USING (region, window_no, shop_user_id, billing_item_id) "          \
	"WHERE c.region = ? AND c.window_no = ?"
/* region, upload, from, to */
#define SQL_ITEMS_OF_UPLOAD                                                                                            \
	"SELECT i.shop_user_id, i.currency, i.item_type, i.amount_minor FROM claim c FORCE INDEX (by_upload) "         \
	"JOIN billing_item i FORCE INDEX (PRIMARY) ON i.region = c.region AND i.window_no = c.window_no "              \
	"AND i.shop_user_id = c.shop_user_id AND i.billing_item_id = c.billing_item_id "                               \
	"WHERE c.region = ? AND c.upload_id = ? AND c.shop_user_id BETWEEN ? AND ? "                                   \
	"ORDER BY c.shop_user_id, c.billing_item_id"
#define SQL_CLAIMS_COUNT                                                                                               \
	"SELECT CAST(COALESCE(SUM(claims), 0) AS SIGNED) FROM claim_batch WHERE region = ? AND upload_id = ?"
/* What settlement counted when the items were claimed. */
#define SQL_CLAIMS_TOTALS                                                                                              \
	"SELECT currency, CAST(SUM(claims) AS SIGNED), SUM(amount_minor) FROM claim_batch "                            \
	"WHERE region = ? AND upload_id = ? GROUP BY currency"
/* A manual run is at work beside the windows' runs: what it carries may be used once it has balanced, until then it may
 * be taken back. region, from, to, run */
#define SQL_CARRIES_OPEN                                                                                               \
	"SELECT c.shop_user_id, c.currency, c.from_run, c.amount_minor FROM carry c FORCE INDEX (by_state) "           \
	"WHERE c.region = ? AND c.to_run = 0 AND c.shop_user_id BETWEEN ? AND ? AND c.from_run <> ? "                  \
	"AND NOT EXISTS (SELECT 1 FROM run r WHERE r.run_id = c.from_run AND r.state <> 'balanced')"

/* ---- rules of shops ---- */

#define SQL_RULES_REVISION "SELECT revision FROM shop_rule_revision WHERE region = ?"
/* region, from, to, revision, at, at */
#define SQL_RULES_IN_FORCE                                                                                             \
	"SELECT shop_user_id, rule, currency, number, revision, line_no FROM shop_rule FORCE INDEX (PRIMARY) "         \
	"WHERE region = ? AND shop_user_id BETWEEN ? AND ? AND revision BETWEEN 1 AND ? "                              \
	"AND from_ms <= ? AND (until_ms IS NULL OR until_ms > ?) ORDER BY shop_user_id, rule, currency"

/* ---- chunks: storing ---- */

/* run, region, shop, currency, from_run */
#define SQL_CARRY_CONSUME                                                                                              \
	"UPDATE carry SET to_run = ? WHERE region = ? AND shop_user_id = ? AND currency = ? AND from_run = ? "         \
	"AND to_run = 0"
#define SQL_CARRY_INSERT "INSERT INTO carry (region, shop_user_id, currency, from_run, amount_minor) VALUES (?,?,?,?,?)"
#define SQL_PAYOUT_INSERT                                                                                              \
	"INSERT INTO payout (payout_id, run_id, region, window_no, shop_user_id, currency, items, gross_minor, "       \
	"fees_minor, carry_in_minor, net_minor, carry_out_minor, reserve_minor, state, reason) "                       \
	"VALUES (?,?,?,?,?,?,?,?,?,?,?,?,0,?,?)"
#define SQL_RUN_CHUNK_INSERT                                                                                           \
	"INSERT INTO run_chunk (run_id, chunk_no, currency, shop_from, shop_to, payouts, items, items_minor, "         \
	"carry_in_minor, payouts_minor, held_minor, carried_minor, fees_minor, reserve_minor) "                        \
	"VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?)"
#define SQL_LEDGER_TX_INSERT                                                                                           \
	"INSERT INTO ledger_tx (ledger_tx_id, kind, ref_run, ref_chunk, created_ms) VALUES (?, 'settle', ?, ?, ?)"
#define SQL_LEDGER_ENTRY_INSERT                                                                                        \
	"INSERT INTO ledger_entry (ledger_tx_id, leg, account, shop_user_id, currency, debit_minor, credit_minor) "    \
	"VALUES (?,?,?,?,?,?,?)"

/* ---- taking a run back: what one chunk stored ---- */

#define SQL_CHUNKS_OF_RUN                                                                                              \
	"SELECT chunk_no, currency, shop_from, shop_to FROM run_chunk WHERE run_id = ? ORDER BY chunk_no, currency"
/* run, currency, from, to */
#define SQL_PAYOUT_DELETE "DELETE FROM payout WHERE run_id = ? AND currency = ? AND shop_user_id BETWEEN ? AND ?"
/* region, from, to, run, currency */
#define SQL_CARRY_DELETE                                                                                               \
	"DELETE FROM carry WHERE region = ? AND to_run = 0 AND shop_user_id BETWEEN ? AND ? AND from_run = ? "         \
	"AND currency = ?"
/* region, run, from, to, currency */
#define SQL_CARRY_REOPEN                                                                                               \
	"UPDATE carry SET to_run = 0 WHERE region = ? AND to_run = ? AND shop_user_id BETWEEN ? AND ? AND currency = " \
	"?"
/* run, chunk */
#define SQL_LEDGER_ENTRIES_DELETE                                                                                      \
	"DELETE e FROM ledger_entry e JOIN ledger_tx t USING (ledger_tx_id) "                                          \
	"WHERE t.kind = 'settle' AND t.ref_run = ? AND t.ref_chunk = ?"
#define SQL_LEDGER_TX_DELETE "DELETE FROM ledger_tx WHERE kind = 'settle' AND ref_run = ? AND ref_chunk = ?"
#define SQL_RUN_CHUNK_DELETE "DELETE FROM run_chunk WHERE run_id = ? AND chunk_no = ? AND currency = ?"

/* ---- control ---- */

#define SQL_CONTROL_CHUNKS                                                                                             \
	"SELECT currency, payouts, items, items_minor, carry_in_minor, payouts_minor, held_minor, carried_minor, "     \
	"fees_minor, reserve_minor FROM run_chunk WHERE run_id = ?"
#define SQL_CONTROL_PAYOUTS                                                                                            \
	"SELECT currency, items, gross_minor, fees_minor, carry_in_minor, net_minor, carry_out_minor, reserve_minor, " \
	"state FROM payout WHERE run_id = ?"
/* Exact: SUM of BIGINT is DECIMAL. Rows come only when something is wrong. */
#define SQL_CONTROL_LEDGER                                                                                             \
	"SELECT e.currency, CAST(SUM(e.debit_minor) AS CHAR), CAST(SUM(e.credit_minor) AS CHAR) "                      \
	"FROM ledger_tx t JOIN ledger_entry e USING (ledger_tx_id) WHERE t.kind = 'settle' AND t.ref_run = ? "         \
	"GROUP BY e.currency HAVING SUM(e.debit_minor) <> SUM(e.credit_minor)"

/* ---- lists ---- */

#define SQL_PAYOUT_COLUMNS                                                                                             \
	"SELECT p.payout_id, p.run_id, p.shop_user_id, p.currency, p.items, p.gross_minor, p.fees_minor, "             \
	"p.carry_in_minor, p.net_minor, p.carry_out_minor, p.reserve_minor, p.state, p.reason, p.attempt, "            \
	"a.safefile_id, y.version, EXISTS (SELECT 1 FROM payee w WHERE w.region = p.region "                           \
	"AND w.shop_user_id = p.shop_user_id AND w.currency = p.currency AND w.state = 'waiting') "                    \
	"FROM payout p "
#define SQL_PAYOUT_JOINS                                                                                               \
	"LEFT JOIN payout_attempt a ON a.payout_id = p.payout_id AND a.attempt = p.attempt "                           \
	"AND a.state <> 'cancelled' LEFT JOIN payee y ON y.region = p.region AND y.shop_user_id = p.shop_user_id "     \
	"AND y.currency = p.currency AND y.in_force = 1 "
/* Where the page begins: after (currency, shop). */
#define SQL_PAYOUT_AFTER "AND (p.currency > ? OR (p.currency = ? AND p.shop_user_id > ?)) "
#define SQL_PAYOUT_POSITION "SELECT currency, shop_user_id FROM payout WHERE payout_id = ? AND run_id = ?"
/* run, currency, currency, shop, state or NULL twice, limit */
#define SQL_PAYOUT_LIST                                                                                                \
	SQL_PAYOUT_COLUMNS "FORCE INDEX (one_payout_per_shop) " SQL_PAYOUT_JOINS                                       \
			   "WHERE p.run_id = ? " SQL_PAYOUT_AFTER "AND (? IS NULL OR p.state = ?) "                    \
			   "ORDER BY p.currency, p.shop_user_id LIMIT ?"
#define SQL_PAYOUT_GET SQL_PAYOUT_COLUMNS SQL_PAYOUT_JOINS "WHERE p.payout_id = ?"
#define SQL_PAYOUT_ATTEMPTS                                                                                            \
	"SELECT attempt, safefile_id, e2e_id, amount_minor, state, created_ms FROM payout_attempt "                    \
	"WHERE payout_id = ? ORDER BY attempt"
#define SQL_PAYOUT_EVENTS                                                                                              \
	"SELECT seq, at_ms, from_state, to_state, user, reason FROM payout_event WHERE payout_id = ? ORDER BY seq"

/* ---- safefile ---- */

#define SQL_RUN_READY "SELECT COUNT(*) FROM payout WHERE run_id = ? AND state = 'ready' AND net_minor > 0"
/* run, currency, currency, shop, safefile, limit */
#define SQL_PAYABLE                                                                                                    \
	"SELECT p.payout_id, p.shop_user_id, p.currency, p.net_minor, p.state, p.attempt, p.region, p.window_no, "     \
	"y.version, y.name, y.name_latin, y.country, y.iban, y.account, y.bank_code, y.bic, y.town, "                  \
	"EXISTS (SELECT 1 FROM payee w WHERE w.region = p.region AND w.shop_user_id = p.shop_user_id "                 \
	"AND w.currency = p.currency AND w.state = 'waiting') "                                                        \
	"FROM payout p FORCE INDEX (one_payout_per_shop) " SQL_PAYOUT_JOINS "WHERE p.run_id = ? " SQL_PAYOUT_AFTER     \
	"AND p.net_minor > 0 AND (p.state = 'ready' OR (p.state = 'batched' AND a.safefile_id = ?)) "                  \
	"ORDER BY p.currency, p.shop_user_id LIMIT ?"
/* payouts. seq: the last event's number */
#define SQL_BATCH_LOCK                                                                                                 \
	"SELECT p.payout_id, p.run_id, p.region, p.window_no, p.shop_user_id, p.currency, p.net_minor, p.state, "      \
	"p.attempt, a.safefile_id, (SELECT COALESCE(MAX(e.seq), 0) FROM payout_event e "                               \
	"WHERE e.payout_id = p.payout_id), y.version, EXISTS (SELECT 1 FROM payee w WHERE w.region = p.region "        \
	"AND w.shop_user_id = p.shop_user_id AND w.currency = p.currency AND w.state = 'waiting') "                    \
	"FROM payout p " SQL_PAYOUT_JOINS "WHERE p.payout_id IN (" SQL_LIST ") FOR UPDATE"
#define SQL_ATTEMPT_INSERT                                                                                             \
	"INSERT INTO payout_attempt (payout_id, attempt, safefile_id, e2e_id, amount_minor, currency, state, "         \
	"created_ms) VALUES (?,?,?,?,?,?,'batched',?)"
/* attempt, payout, attempt before */
#define SQL_PAYOUT_BATCH                                                                                               \
	"UPDATE payout SET state = 'batched', attempt = ? WHERE payout_id = ? AND state = 'ready' AND attempt = ?"
#define SQL_EVENT_INSERT                                                                                               \
	"INSERT INTO payout_event (payout_id, seq, at_ms, from_state, to_state, user, reason) VALUES (?,?,?,?,?,?,?)"
/* safefile, limit */
#define SQL_UNBATCH_LOCK                                                                                               \
	"SELECT a.payout_id, a.attempt, (SELECT COALESCE(MAX(e.seq), 0) FROM payout_event e "                          \
	"WHERE e.payout_id = a.payout_id) FROM payout_attempt a FORCE INDEX (by_safefile) "                            \
	"WHERE a.safefile_id = ? AND a.state = 'batched' ORDER BY a.payout_id LIMIT ? FOR UPDATE"
/* payout, attempt */
#define SQL_PAYOUT_UNBATCH "UPDATE payout SET state = 'ready' WHERE payout_id = ? AND attempt = ? AND state = 'batched'"
#define SQL_ATTEMPT_CANCEL                                                                                             \
	"UPDATE payout_attempt SET state = 'cancelled' WHERE payout_id = ? AND attempt = ? AND state = 'batched'"

#endif
