/* SPDX-License-Identifier: Apache-2.0
 *
 * Ctrl-C, a terminal that is closed, a kill: the command ends at once, but leaves no half-written file, and says what
 * goes on without it. Main thread only.
 */
#ifndef KONTOR_INTERRUPT_H
#define KONTOR_INTERRUPT_H

/* What is told on stderr; NULL: nothing. Cut to 255 bytes. */
void interrupt_says(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* A file that is removed; NULL: none. A longer path than PATH_MAX is left. */
void interrupt_removes(const char *path);

#endif
