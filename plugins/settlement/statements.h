/* SPDX-License-Identifier: Apache-2.0
 *
 * All SQL of the settlement plugin.
 */
#ifndef SETTLEMENT_STATEMENTS_H
#define SETTLEMENT_STATEMENTS_H

/* The database's clock decides what is in the future and what has ended, not this machine's. */
static const char SQL_NOW_MS[] = "SELECT CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED)";

/* ---- windows ---- */

static const char SQL_FIND_WINDOWS_AROUND[] =
	"SELECT window_no, from_ms, to_ms FROM `window` WHERE region = ? AND window_no IN (?, ?, ?)";
static const char SQL_ADD_WINDOW[] =
	"INSERT IGNORE INTO `window` (region, window_no, state, from_ms, to_ms) VALUES (?, ?, 'open', ?, ?)";
static const char SQL_GET_WINDOW[] =
	"SELECT state, from_ms, to_ms, run_id, items, close_job FROM `window` WHERE region = ? AND window_no = ?";
static const char SQL_LOCK_WINDOW[] = "SELECT state, from_ms, to_ms, run_id, items, close_job FROM `window` "
				      "WHERE region = ? AND window_no = ? FOR UPDATE";
static const char SQL_LIST_WINDOW_TOTALS[] = "SELECT currency, items, amount_minor FROM window_total "
					     "WHERE region = ? AND window_no = ? ORDER BY currency";
static const char SQL_LIST_WINDOWS[] =
	"SELECT w.window_no, w.from_ms, w.to_ms, w.state, w.run_id, "
	"CAST(COALESCE(SUM(IF(b.accepted, b.items, 0)), 0) AS SIGNED), "
	"CAST(COALESCE(SUM(IF(b.accepted, b.late, 0)), 0) AS SIGNED), COUNT(IF(b.accepted = 0, 1, NULL)), "
	"(SELECT COUNT(*) FROM manual_settlement m WHERE m.region = w.region AND m.window_no = w.window_no) "
	"FROM `window` w LEFT JOIN item_batch b ON b.region = w.region AND b.window_no = w.window_no "
	"WHERE w.region = ? AND w.window_no > ? GROUP BY w.region, w.window_no ORDER BY w.window_no LIMIT ?";
/* The oldest open window that holds items and has ended; older ones are empty. */
static const char SQL_FIND_ENDED_WITH_ITEMS[] =
	"SELECT MIN(w.window_no) FROM `window` w JOIN item_batch b ON b.region = w.region AND b.window_no = "
	"w.window_no "
	"WHERE w.region = ? AND w.window_no >= ? AND w.to_ms <= ? AND b.items > 0 HAVING MIN(w.window_no) IS NOT NULL";

/* ---- the fence: region row and writers ---- */

static const char SQL_ADD_REGION[] =
	"INSERT IGNORE INTO window_writer (region, writer, epoch, open_from) VALUES (?, 0, 1, ?)";
static const char SQL_GET_REGION[] = "SELECT epoch, open_from FROM window_writer WHERE region = ? AND writer = 0";
static const char SQL_LOCK_EPOCH[] = "SELECT epoch FROM window_writer WHERE region = ? AND writer = 0 FOR UPDATE";
static const char SQL_NUMBER_WRITER[] = "UPDATE window_writer SET n = n + 1 WHERE region = ? AND writer = 0";
static const char SQL_GET_NUMBERED[] = "SELECT epoch, open_from, n FROM window_writer WHERE region = ? AND writer = 0";
static const char SQL_ADD_WRITER[] =
	"INSERT INTO window_writer (region, writer, epoch, open_from, used_ms) VALUES (?, ?, ?, ?, ?)";
static const char SQL_ENTER[] =
	"UPDATE window_writer SET n = n + ?, used_ms = ? WHERE region = ? AND writer = ? AND epoch = ?";
static const char SQL_MOVE_REGION[] =
	"UPDATE window_writer SET epoch = epoch + 1, open_from = ? WHERE region = ? AND writer = 0";
static const char SQL_LIST_WRITERS_BEHIND[] =
	"SELECT writer FROM window_writer WHERE region = ? AND writer > 0 AND epoch < ? ORDER BY writer";
static const char SQL_MOVE_WRITER[] =
	"UPDATE window_writer SET epoch = ?, open_from = ? WHERE region = ? AND writer = ? AND epoch < ?";
static const char SQL_LIST_IDLE_WRITERS[] =
	"SELECT writer FROM window_writer WHERE region = ? AND writer > 0 AND used_ms < ? ORDER BY writer";
static const char SQL_DELETE_IDLE_WRITER[] =
	"DELETE FROM window_writer WHERE region = ? AND writer = ? AND used_ms < ?";

/* ---- items ---- */

static const char SQL_ADD_ITEM[] = "INSERT INTO billing_item (region, window_no, shop_user_id, billing_item_id, "
				   "order_id, item_type, amount_minor, "
				   "currency, occurred_ms, note, late, upload_id, line_no, fact_key) VALUES (?, ?, ?, "
				   "?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
#define ADD_ITEM_COLUMNS "suuusuisisuuub"

/* 500 keys a statement: half the server's time of 100. Above 200 it no longer probes the index for each key beforehand
 * (eq_range_index_dive_limit), from 1000 on it would make a subquery of the list. */
#define TEN_PLACES "?,?,?,?,?,?,?,?,?,?"
#define HUNDRED_PLACES                                                                                                 \
	TEN_PLACES "," TEN_PLACES "," TEN_PLACES "," TEN_PLACES "," TEN_PLACES "," TEN_PLACES "," TEN_PLACES           \
		   "," TEN_PLACES "," TEN_PLACES "," TEN_PLACES
#define LOOKUP_PLACES HUNDRED_PLACES "," HUNDRED_PLACES "," HUNDRED_PLACES "," HUNDRED_PLACES "," HUNDRED_PLACES
#define LOOKUP_KEYS 500
/* FORCE INDEX: with stale statistics the optimiser scans the table instead of looking up 500 keys. */
#define SELECT_EXISTING(index)                                                                                         \
	"SELECT i.window_no, i.shop_user_id, i.billing_item_id, i.order_id, i.item_type, i.amount_minor, i.currency, " \
	"i.occurred_ms, i.upload_id, i.line_no, i.fact_key, IF(i.upload_id = 0, 1, COALESCE(b.accepted, 0)) "          \
	"FROM billing_item i FORCE INDEX (" index                                                                      \
	") LEFT JOIN item_batch b FORCE INDEX (PRIMARY) ON b.region = i.region "                                       \
	"AND b.window_no = i.window_no AND b.source = i.upload_id WHERE i.region = ? AND "
static const char SQL_FIND_BY_ITEM[] = SELECT_EXISTING("item") "i.billing_item_id IN (" LOOKUP_PLACES ")";
static const char SQL_FIND_BY_FACT[] = SELECT_EXISTING("fact") "i.fact_key IN (" LOOKUP_PLACES ")";

static const char SQL_COUNT_BATCH[] =
	"INSERT INTO item_batch (region, window_no, source, upload_id, accepted, items, late) VALUES (?, ?, ?, ?, ?, "
	"?, ?) "
	"ON DUPLICATE KEY UPDATE items = items + VALUES(items), late = late + VALUES(late)";
static const char SQL_ACCEPT_BATCHES[] =
	"UPDATE item_batch SET accepted = 1 WHERE region = ? AND accepted = 0 AND source = ?";
static const char SQL_FIND_UNACCEPTED_BATCH[] =
	"SELECT window_no FROM item_batch WHERE region = ? AND accepted = 0 AND source = ? ORDER BY window_no LIMIT 1";
static const char SQL_LIST_UPLOADED_ITEMS[] =
	"SELECT shop_user_id, billing_item_id FROM billing_item FORCE INDEX (PRIMARY) WHERE region = ? AND window_no = "
	"? "
	"AND (shop_user_id > ? OR (shop_user_id = ? AND billing_item_id > ?)) AND upload_id = ? "
	"ORDER BY shop_user_id, billing_item_id LIMIT ?";
static const char SQL_DELETE_UPLOADED_ITEM[] =
	"DELETE FROM billing_item WHERE region = ? AND window_no = ? AND shop_user_id = ? AND billing_item_id = ? "
	"AND upload_id = ?";
#define DELETE_UPLOADED_ITEM_COLUMNS "suuuu"
static const char SQL_DELETE_BATCH[] =
	"DELETE FROM item_batch WHERE region = ? AND window_no = ? AND source = ? AND accepted = 0";

/* ---- close ---- */

static const char SQL_FIND_OLDER_UNSETTLED[] =
	"SELECT window_no, state FROM `window` WHERE region = ? AND window_no < ? AND state IN ('closed', 'settling') "
	"AND items > 0 ORDER BY window_no LIMIT 1";
static const char SQL_FIND_OLDER_WITH_ITEMS[] =
	"SELECT b.window_no FROM item_batch b JOIN `window` w ON w.region = b.region AND w.window_no = b.window_no "
	"WHERE b.region = ? AND b.window_no < ? AND b.items > 0 AND w.state IN ('open', 'closing') "
	"ORDER BY b.window_no LIMIT 1";
static const char SQL_FIND_OPEN_UPLOAD[] =
	"SELECT source FROM item_batch WHERE region = ? AND window_no = ? AND accepted = 0 AND items > 0 "
	"ORDER BY source LIMIT 1";
static const char SQL_START_CLOSING[] =
	"UPDATE `window` SET state = 'closing', close_job = ? WHERE region = ? AND window_no <= ? AND "
	"(state = 'open' OR (state = 'closing' AND close_job <> ?))";
static const char SQL_FIND_CLOSING[] =
	"SELECT MIN(window_no) FROM `window` WHERE region = ? AND state = 'closing' AND close_job = ? "
	"HAVING MIN(window_no) IS NOT NULL";
static const char SQL_REOPEN[] =
	"UPDATE `window` SET state = 'open', close_job = 0 WHERE region = ? AND state = 'closing' AND close_job = ?";
/* In primary-key order: without FORCE INDEX the optimiser made such sums 15 times slower. CHAR: the exact DECIMAL sum.
 */
static const char SQL_SUM_WINDOW[] =
	"SELECT currency, COUNT(*), CAST(SUM(amount_minor) AS CHAR) FROM billing_item FORCE INDEX (PRIMARY) "
	"WHERE region = ? AND window_no = ? GROUP BY currency ORDER BY currency";
static const char SQL_COUNT_WINDOW[] = "SELECT CAST(COALESCE(SUM(items), 0) AS SIGNED) FROM item_batch "
				       "WHERE region = ? AND window_no = ? AND accepted = 1";
static const char SQL_DELETE_WINDOW_TOTALS[] = "DELETE FROM window_total WHERE region = ? AND window_no = ?";
static const char SQL_ADD_WINDOW_TOTAL[] =
	"INSERT INTO window_total (region, window_no, currency, items, amount_minor) VALUES (?, ?, ?, ?, ?)";
static const char SQL_CLOSE_WINDOW[] =
	"UPDATE `window` SET state = 'closed', items = ?, closed_ms = ? WHERE region = ? AND window_no = ? "
	"AND state = 'closing' AND close_job = ?";
static const char SQL_CLOSE_EMPTY_OLDER[] =
	"UPDATE `window` SET state = 'closed', items = 0, closed_ms = ? WHERE region = ? AND window_no < ? "
	"AND state = 'closing' AND close_job = ?";

/* ---- settling ---- */

static const char SQL_BEGIN_SETTLING[] =
	"UPDATE `window` SET state = 'settling', run_id = ? WHERE region = ? AND window_no = ? AND state = 'closed'";
static const char SQL_END_SETTLING[] = "UPDATE `window` SET state = 'settled' WHERE region = ? AND window_no = ? "
				       "AND state = 'settling' AND run_id = ?";

/* ---- find: only items that count, those of accepted uploads and of services ---- */

#define SELECT_FOUND(index)                                                                                            \
	"SELECT i.billing_item_id, i.shop_user_id, i.order_id, i.item_type, i.amount_minor, i.currency, "              \
	"i.occurred_ms, i.window_no, w.state, i.late, i.upload_id, i.line_no, COALESCE(m.run_id, w.run_id), i.note, "  \
	"c.upload_id "                                                                                                 \
	"FROM billing_item i FORCE INDEX (" index ") JOIN `window` w ON w.region = i.region "                          \
	"AND w.window_no = i.window_no LEFT JOIN item_batch b FORCE INDEX (PRIMARY) ON b.region = i.region "           \
	"AND b.window_no = i.window_no AND b.source = i.upload_id "                                                    \
	"LEFT JOIN claim c FORCE INDEX (PRIMARY) ON c.region = i.region AND c.window_no = i.window_no "                \
	"AND c.shop_user_id = i.shop_user_id AND c.billing_item_id = i.billing_item_id "                               \
	"LEFT JOIN manual_settlement m FORCE INDEX (PRIMARY) ON m.region = c.region AND m.upload_id = c.upload_id "    \
	"WHERE i.region = ? AND (i.upload_id = 0 OR b.accepted = 1) AND "
static const char SQL_FIND_ITEM[] =
	SELECT_FOUND("item") "i.billing_item_id = ? AND i.shop_user_id > ? ORDER BY i.shop_user_id LIMIT ?";
static const char SQL_FIND_SHOP[] =
	SELECT_FOUND("PRIMARY") "i.window_no = ? AND i.shop_user_id = ? AND i.billing_item_id > ? "
				"ORDER BY i.billing_item_id LIMIT ?";
static const char SQL_FIND_ORDER_OF_SHOP[] =
	SELECT_FOUND("PRIMARY") "i.window_no = ? AND i.shop_user_id = ? AND i.billing_item_id > ? AND i.order_id = ? "
				"ORDER BY i.billing_item_id LIMIT ?";
static const char SQL_LIST_WINDOW[] = SELECT_FOUND(
	"PRIMARY") "i.window_no = ? AND (i.shop_user_id > ? OR (i.shop_user_id = ? AND i.billing_item_id > ?)) "
		   "ORDER BY i.shop_user_id, i.billing_item_id LIMIT ?";
static const char SQL_FIND_ORDER[] = SELECT_FOUND(
	"PRIMARY") "i.window_no = ? AND (i.shop_user_id > ? OR (i.shop_user_id = ? AND i.billing_item_id > ?)) "
		   "AND i.order_id = ? ORDER BY i.shop_user_id, i.billing_item_id LIMIT ?";
static const char SQL_LIST_WINDOWS_BACK[] =
	"SELECT window_no FROM `window` WHERE region = ? AND window_no <= ? ORDER BY window_no DESC";

/* ---- shop rules ---- */

/* region, shops */
static const char SQL_LIST_RULES[] =
	"SELECT shop_user_id, rule, currency, number, from_ms, until_ms, version, revision FROM shop_rule "
	"FORCE INDEX (PRIMARY) WHERE region = ? AND shop_user_id IN (" LOOKUP_PLACES ") "
	"ORDER BY shop_user_id, rule, currency, revision, line_no";
static const char SQL_ADD_RULE[] =
	"INSERT INTO shop_rule (region, shop_user_id, rule, currency, version, value, number, from_ms, until_ms, "
	"upload_id, line_no, same_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
#define ADD_RULE_COLUMNS "sussusiiiuuu"
static const char SQL_RULE_REVISION[] = "SELECT revision FROM shop_rule_revision WHERE region = ?";
static const char SQL_NEXT_RULE_REVISION[] = "INSERT INTO shop_rule_revision (region, revision) VALUES (?, 1) ON "
					     "DUPLICATE KEY UPDATE revision = revision + 1";
/* Of an upload's rules that were in force already when they were judged: those that nothing has overruled since,
 * neither another line of the upload nor whatever was accepted in the meantime. region, upload */
static const char SQL_DROP_SAME_RULES[] =
	"DELETE same FROM shop_rule same LEFT JOIN shop_rule other ON other.region = same.region "
	"AND other.shop_user_id = same.shop_user_id AND other.rule = same.rule AND other.currency = same.currency "
	"AND (other.revision > same.same_at OR (other.upload_id = same.upload_id AND other.same_at IS NULL)) "
	"WHERE same.region = ? AND same.upload_id = ? AND same.revision = 0 AND same.same_at IS NOT NULL "
	"AND other.region IS NULL";
/* region, region, upload */
static const char SQL_GIVE_RULE_REVISION[] =
	"UPDATE shop_rule SET revision = (SELECT revision FROM shop_rule_revision WHERE region = ?) "
	"WHERE region = ? AND upload_id = ? AND revision = 0";
static const char SQL_UNDO_RULES[] = "DELETE FROM shop_rule WHERE upload_id = ? AND revision = 0 LIMIT ?";
/* region, shops, at, at */
static const char SQL_FIND_HOLDS[] =
	"SELECT shop_user_id, currency, number FROM shop_rule FORCE INDEX (PRIMARY) WHERE region = ? "
	"AND shop_user_id IN (" LOOKUP_PLACES ") AND rule = 'hold' AND revision > 0 AND from_ms <= ? "
	"AND (until_ms IS NULL OR until_ms > ?) ORDER BY shop_user_id, currency, revision, line_no";
/* ---- manual settlement ---- */

/* Only items that count, with who has claimed them. The indexes are named, for statistics of a table that has just been
 * empty make the server read all claims of the region for each item. region, items */
static const char SQL_FIND_CLAIMABLE[] =
	"SELECT i.window_no, i.shop_user_id, i.billing_item_id, i.amount_minor, i.currency, c.upload_id, m.state "
	"FROM billing_item i FORCE INDEX (item) LEFT JOIN item_batch b FORCE INDEX (PRIMARY) ON b.region = i.region "
	"AND b.window_no = i.window_no AND b.source = i.upload_id "
	"LEFT JOIN claim c FORCE INDEX (PRIMARY) ON c.region = i.region "
	"AND c.window_no = i.window_no AND c.shop_user_id = i.shop_user_id AND c.billing_item_id = i.billing_item_id "
	"LEFT JOIN manual_settlement m FORCE INDEX (PRIMARY) ON m.region = c.region AND m.upload_id = c.upload_id "
	"WHERE i.region = ? AND (i.upload_id = 0 OR b.accepted = 1) AND i.billing_item_id IN (" LOOKUP_PLACES ")";
static const char SQL_OFFER_CLAIMS[] =
	"UPDATE `window` SET claim_offers = claim_offers + ? WHERE region = ? AND window_no = ? "
	"AND state IN ('open', 'closing', 'closed')";
static const char SQL_ADD_CLAIM[] =
	"INSERT INTO claim (region, window_no, shop_user_id, billing_item_id, kind, run_id, "
	"upload_id, line_no) VALUES (?, ?, ?, ?, 'MANUAL', 0, ?, ?)";
#define ADD_CLAIM_COLUMNS "suuuuu"
static const char SQL_COUNT_CLAIMS[] =
	"INSERT INTO claim_batch (region, window_no, upload_id, currency, claims, amount_minor) "
	"VALUES (?, ?, ?, ?, ?, ?) ON DUPLICATE KEY UPDATE claims = claims + VALUES(claims), "
	"amount_minor = amount_minor + VALUES(amount_minor)";
static const char SQL_ACCEPT_CLAIMS[] = "UPDATE claim_batch SET accepted = 1 WHERE region = ? AND upload_id = ?";
static const char SQL_ADD_MANUAL[] =
	"INSERT INTO manual_settlement (region, upload_id, window_no, run_id, job_id, user, state, accepted_ms) "
	"VALUES (?, ?, ?, ?, ?, ?, 'accepted', ?)";
static const char SQL_LOCK_MANUAL[] = "SELECT window_no, run_id, job_id, user, state, payouts FROM manual_settlement "
				      "WHERE region = ? AND upload_id = ? FOR UPDATE";
static const char SQL_SET_MANUAL_JOB[] = "UPDATE manual_settlement SET job_id = ? WHERE region = ? AND upload_id = ?";
static const char SQL_END_MANUAL[] = "UPDATE manual_settlement SET state = 'settled', payouts = ? "
				     "WHERE region = ? AND upload_id = ? AND run_id = ?";
static const char SQL_SUM_CLAIMS[] = "SELECT CAST(COALESCE(SUM(claims), 0) AS SIGNED) FROM claim_batch "
				     "WHERE region = ? AND upload_id = ?";
/* An upload that holds items of the window and may still be cancelled. */
static const char SQL_FIND_OPEN_CLAIMS[] = "SELECT upload_id FROM claim_batch WHERE region = ? AND window_no = ? "
					   "AND accepted = 0 ORDER BY upload_id LIMIT 1";
static const char SQL_UNDO_CLAIMS[] = "DELETE FROM claim WHERE region = ? AND upload_id = ? LIMIT ?";
static const char SQL_UNDO_CLAIM_BATCHES[] =
	"DELETE FROM claim_batch WHERE region = ? AND upload_id = ? AND accepted = 0";

/* ---- hold and release ---- */

/* region, shop */
static const char SQL_LIST_HOLD_CURRENCIES[] =
	"SELECT DISTINCT currency FROM shop_rule WHERE region = ? AND shop_user_id = ? AND rule = 'hold' "
	"AND revision > 0 ORDER BY currency";

#endif
