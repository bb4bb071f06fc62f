/* SPDX-License-Identifier: Apache-2.0
 *
 * sd_notify(3) without libsystemd. Without NOTIFY_SOCKET all of it does nothing.
 */
#ifndef KONTORD_NOTIFY_H
#define KONTORD_NOTIFY_H

#include <stdint.h>

void notify(const char *state); /* "READY=1", "STOPPING=1", "STATUS=waits for the database" */
/* Milliseconds after which systemd takes the unit for dead; 0: it does not watch. */
int64_t notify_watchdog_ms(void);

#endif
