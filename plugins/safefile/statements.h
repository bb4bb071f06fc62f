/* SPDX-License-Identifier: Apache-2.0
 *
 * All of the plugin's SQL. The tables: schema/. Read from payout's tables: payout_attempt of one's own safefile.
 */
#ifndef SAFEFILE_STATEMENTS_H
#define SAFEFILE_STATEMENTS_H

/* ---- one safefile ------------------------------------------------------------------------------------------------ */

#define SQL_INSERT_FILE                                                                                                \
	"INSERT INTO safefile (safefile_id, region, window_no, run_id, profile, profile_text, state, job_id, user, "   \
	"path, "                                                                                                       \
	"execution_date, created_ms, unique_run) VALUES (?, ?, ?, ?, ?, ?, 'planning', ?, ?, ?, ?, ?, ?)"

#define SQL_FILE_BY_RUN "SELECT safefile_id FROM safefile WHERE unique_run = ?"

#define SQL_LOAD_FILE                                                                                                  \
	"SELECT region, window_no, run_id, state, job_id, publish_job_id, user, payments, path, sequence, "            \
	"supersedes, "                                                                                                 \
	"previous_manifest, manifest_sha256, digest, execution_date, created_ms, published_ms, profile_text "          \
	"FROM safefile WHERE safefile_id = ?"

#define SQL_LOAD_PARTS                                                                                                 \
	"SELECT p.part_no, p.file_name, p.message_id, p.payments, p.bytes, p.sha256, t.currency, t.payments, "         \
	"t.amount_minor FROM safefile_part p JOIN safefile_total t USING (safefile_id, part_no) "                      \
	"WHERE p.safefile_id = ? ORDER BY p.part_no, t.currency"

#define SQL_LOAD_PAYMENTS                                                                                              \
	"SELECT payout_id, attempt, e2e_id, shop_user_id, currency, amount_minor, name, country, town, iban, "         \
	"account, "                                                                                                    \
	"bank_code, bic FROM safefile_payment FORCE INDEX (PRIMARY) WHERE safefile_id = ? AND part_no = ? "            \
	"ORDER BY currency, seq"

/* ---- planning ---------------------------------------------------------------------------------------------------- */

/* Also from failed: `jobs retry`. */
#define SQL_START_PLANNING                                                                                             \
	"UPDATE safefile SET state = 'planning', unique_run = ? WHERE safefile_id = ? AND state IN ('planning', "      \
	"'failed')"
#define SQL_FORGET_UNPAYABLE "DELETE FROM safefile_unpayable WHERE safefile_id = ?"
#define SQL_INSERT_PAYMENT                                                                                             \
	"INSERT INTO safefile_payment (safefile_id, part_no, currency, seq, payout_id, attempt, e2e_id, "              \
	"shop_user_id, "                                                                                               \
	"amount_minor, name, country, town, iban, account, bank_code, bic) "                                           \
	"VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
#define COLUMNS_PAYMENT "uusuuusuisssssss"
#define SQL_INSERT_UNPAYABLE                                                                                           \
	"INSERT INTO safefile_unpayable (safefile_id, payout_id, shop_user_id, reason) VALUES (?, ?, ?, ?)"
#define COLUMNS_UNPAYABLE "uuus"

#define SQL_FORGET_PARTS "DELETE FROM safefile_part WHERE safefile_id = ?"
#define SQL_FORGET_TOTALS "DELETE FROM safefile_total WHERE safefile_id = ?"
#define SQL_INSERT_TOTALS                                                                                              \
	"INSERT INTO safefile_total (safefile_id, part_no, currency, payments, amount_minor) "                         \
	"SELECT safefile_id, part_no, currency, COUNT(*), SUM(amount_minor) FROM safefile_payment "                    \
	"FORCE INDEX (PRIMARY) WHERE safefile_id = ? GROUP BY safefile_id, part_no, currency"
#define SQL_PART_COUNTS                                                                                                \
	"SELECT part_no, SUM(payments) FROM safefile_total WHERE safefile_id = ? GROUP BY part_no ORDER BY part_no"
#define SQL_INSERT_PART                                                                                                \
	"INSERT INTO safefile_part (safefile_id, part_no, file_name, message_id, payments) VALUES (?, ?, ?, ?, ?)"
#define SQL_SET_PLANNED                                                                                                \
	"UPDATE safefile SET state = 'planned', payments = ? WHERE safefile_id = ? AND state = 'planning'"
/* Payments whose attempt is not exactly what payout.batch stored. */
#define SQL_COUNT_WITHOUT_ATTEMPT                                                                                      \
	"SELECT COUNT(*) FROM safefile_payment p LEFT JOIN payout_attempt a ON a.payout_id = p.payout_id "             \
	"AND a.attempt = p.attempt AND a.safefile_id = p.safefile_id AND a.e2e_id = p.e2e_id "                         \
	"AND a.amount_minor = p.amount_minor AND a.currency = p.currency "                                             \
	"WHERE p.safefile_id = ? AND a.payout_id IS NULL"
#define SQL_COUNT_PAYMENTS "SELECT COUNT(*) FROM safefile_payment WHERE safefile_id = ?"
#define SQL_COUNT_ATTEMPTS "SELECT COUNT(*) FROM payout_attempt WHERE safefile_id = ? AND state <> 'cancelled'"

/* ---- writing ----------------------------------------------------------------------------------------------------- */

#define SQL_SET_WRITING                                                                                                \
	"UPDATE safefile SET state = 'writing' WHERE safefile_id = ? AND state IN ('planned', 'writing')"
/* A part that was written before must get the same bytes again. */
#define SQL_SET_PART_WRITTEN                                                                                           \
	"UPDATE safefile_part SET bytes = ?, sha256 = ? WHERE safefile_id = ? AND part_no = ? "                        \
	"AND (sha256 IS NULL OR (sha256 = ? AND bytes = ?))"
#define SQL_SET_VERIFIED                                                                                               \
	"UPDATE safefile SET state = 'verified', digest = ? WHERE safefile_id = ? AND state = 'writing'"

/* ---- taking back ------------------------------------------------------------------------------------------------- */

#define SQL_DELETE_PAYMENTS "DELETE FROM safefile_payment WHERE safefile_id = ? LIMIT ?"
#define SQL_END_PLANNING                                                                                               \
	"UPDATE safefile SET state = ?, unique_run = NULL, payments = 0, digest = NULL WHERE safefile_id = ?"
#define SQL_START_CANCELLING                                                                                           \
	"UPDATE safefile SET state = 'cancelling', cancel_job_id = ? WHERE safefile_id = ? AND state = 'verified'"
#define SQL_CANCEL_JOB_OF "SELECT cancel_job_id FROM safefile WHERE safefile_id = ?"
#define SQL_SET_CANCELLED                                                                                              \
	"UPDATE safefile SET state = 'cancelled', unique_run = NULL WHERE safefile_id = ? AND state = 'cancelling'"

/* ---- publishing -------------------------------------------------------------------------------------------------- */

#define SQL_START_PUBLISHING                                                                                           \
	"UPDATE safefile SET state = 'publishing', publish_job_id = ? WHERE safefile_id = ? "                          \
	"AND state IN ('verified', 'publishing')"
#define SQL_FIX_PUBLICATION                                                                                            \
	"UPDATE safefile SET sequence = ?, previous_manifest = ?, published_ms = ? WHERE safefile_id = ? "             \
	"AND state = 'publishing' AND sequence = 0"
#define SQL_IS_PUBLISHING                                                                                              \
	"SELECT COUNT(*) FROM safefile WHERE safefile_id = ? AND state = 'publishing' AND published_ms = ?"
#define SQL_SET_PUBLISHED                                                                                              \
	"UPDATE safefile SET state = 'published', manifest_sha256 = ? WHERE safefile_id = ? "                          \
	"AND state IN ('publishing', 'unpublishing')"
#define SQL_START_UNPUBLISHING                                                                                         \
	"UPDATE safefile SET state = 'unpublishing' WHERE safefile_id = ? AND state IN ('publishing', 'unpublishing')"
#define SQL_SET_UNPUBLISHED                                                                                            \
	"UPDATE safefile SET state = 'verified', sequence = 0, previous_manifest = NULL, published_ms = 0 "            \
	"WHERE safefile_id = ? AND state = 'unpublishing'"

#define SQL_CREATE_CHAIN                                                                                               \
	"INSERT IGNORE INTO profile_chain (profile, sequence, manifest_sha256, publishing_id) VALUES (?, 0, NULL, 0)"
#define SQL_LOAD_CHAIN "SELECT sequence, manifest_sha256, publishing_id FROM profile_chain WHERE profile = ?"
#define SQL_CLAIM_CHAIN                                                                                                \
	"UPDATE profile_chain SET publishing_id = ? WHERE profile = ? AND sequence = ? AND publishing_id IN (0, ?)"
#define SQL_ADVANCE_CHAIN                                                                                              \
	"UPDATE profile_chain SET sequence = ?, manifest_sha256 = ?, publishing_id = 0 "                               \
	"WHERE profile = ? AND publishing_id = ? AND sequence = ?"
#define SQL_PUBLISHED_ID "SELECT safefile_id FROM safefile WHERE profile = ? AND sequence = ? AND state = 'published'"
#define SQL_RELEASE_CHAIN "UPDATE profile_chain SET publishing_id = 0 WHERE profile = ? AND publishing_id = ?"

/* ---- reading ----------------------------------------------------------------------------------------------------- */

#define SQL_LIST_FILES                                                                                                 \
	"SELECT safefile_id FROM safefile WHERE safefile_id > ? AND (? = '' OR region = ?) AND (? = 0 OR window_no = " \
	"?) "                                                                                                          \
	"AND (? = '' OR profile = ?) ORDER BY safefile_id LIMIT ?"
#define SQL_LIST_UNPAYABLE                                                                                             \
	"SELECT payout_id, shop_user_id, reason FROM safefile_unpayable WHERE safefile_id = ? AND payout_id > ? "      \
	"ORDER BY payout_id LIMIT ?"
#define SQL_COUNT_UNPAYABLE "SELECT COUNT(*) FROM safefile_unpayable WHERE safefile_id = ?"

#endif
