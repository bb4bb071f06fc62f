/* SPDX-License-Identifier: Apache-2.0
 *
 * A fatal signal leaves one line that says what this thread worked on.
 */
#ifndef KONTORD_CRASH_H
#define KONTORD_CRASH_H

#include <stdint.h>

void crash_install(const char *unit);
/* Per thread: the method or job kind at hand; NULL, 0 when it is done. `what` must outlive the work. */
void crash_working_on(const char *plugin, const char *what, uint64_t request);

#endif
