/* SPDX-License-Identifier: Apache-2.0
 *
 * Stages of the life cycle that have a file of their own.
 */
#ifndef KONTORD_UNIT_STAGES_H
#define KONTORD_UNIT_STAGES_H

#include "unit.h"

/* ---- unit_lock.c: makes the folders; one unit of this name per runtime folder. Draws the instance number ---- */
int unit_lock(struct unit *unit, struct kontor_error *err);
void unit_unlock(struct unit *unit);

/* ---- unit_client.c: the directory of services: this unit's own by inproc, others by ipc and tcp ---- */
int unit_client_open(struct unit *unit, struct kontor_error *err);
/* As the configuration in force and the plugins of this moment say; calls under way end with the routes they began
 * with. */
int unit_client_set_routes(struct unit *unit, struct kontor_error *err);

/* ---- unit_database.c: waits for the server, checks the schema, frees the leases of an earlier instance ---- */
int unit_database_open(struct unit *unit, struct kontor_error *err);
void unit_database_close(struct unit *unit);
/* Whether the tables of one more plugin are those that it knows. */
int unit_database_check_plugin(struct unit *unit, const struct kontor_plugin *api, struct kontor_error *err);
/* --migrate: makes the database and applies the schema steps of the SDK and of the unit's plugins. */
int unit_database_migrate(struct unit *unit, struct kontor_error *err);

#endif
