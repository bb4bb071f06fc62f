/* SPDX-License-Identifier: Apache-2.0
 *
 * What is known of reservations beside the database.
 */
#include "reservation.h"

#include <stdio.h>
#include <string.h>

#define RENEWALS_MS 22000 /* between two renewals: 20 s, and what ids may have run ahead */

int64_t reservation_renew_below_ms(const struct reservation_unit *unit)
{
	int64_t interval_ms = unit->window_ms / 3 > RENEWALS_MS ? unit->window_ms / 3 : RENEWALS_MS;
	if (interval_ms > unit->window_ms / 2)
		interval_ms = unit->window_ms / 2;
	return unit->window_ms - interval_ms;
}

int64_t reservation_quarantine_ms(const struct reservation_unit *unit)
{
	return 2 * unit->window_ms;
}

const char *reservation_key(char buffer[RESERVATION_KEY_SIZE], const struct layout *layout, unsigned slot,
			    const char *name)
{
	if (slot) { /* by hand, as it is asked for each slot at each visit; they have two digits */
		char *end = stpcpy(buffer, layout->name);
		*end++ = '/';
		if (slot >= 10)
			*end++ = (char)('0' + slot / 10);
		*end++ = (char)('0' + slot % 10);
		*end = '\0';
	} else
		snprintf(buffer, RESERVATION_KEY_SIZE, "%s/%.32s", layout->name, name);
	return buffer;
}

struct known_reservation reservation_known(const struct reservation *reservation, const char *key)
{
	const struct reservation_unit *unit = reservation->unit;
	struct known_reservation known = {0};
	if (unit->journal)
		known.hwm = journal_hwm(unit->journal, key, &known.epoch);
	if (unit->peers) {
		uint64_t epoch = 0;
		uint64_t hwm = peers_hwm(unit->peers, reservation->cluster.uuid, key, reservation->now.monotonic_ms,
					 &epoch, &known.held_by_peer);
		if (hwm > known.hwm)
			known.hwm = hwm;
		if (epoch > known.epoch)
			known.epoch = epoch;
	}
	return known;
}

bool reservation_overtaken(const struct reservation *reservation, const char *key, uint64_t before)
{
	struct known_reservation known = reservation_known(reservation, key);
	return known.hwm > before || known.held_by_peer;
}

int reservation_record(const struct reservation *reservation, const char *key, uint64_t epoch, uint64_t hwm,
		       struct kontor_error *err)
{
	struct journal *journal = reservation->unit->journal;
	return journal ? journal_mark(journal, key, epoch, hwm, err) : 0;
}
