/* SPDX-License-Identifier: Apache-2.0
 *
 * A second thread of an upload's step, for reading rows while the step's own thread waits for the database or for the
 * file. It does one thing at a time and never uses the step's session. Not installed.
 */
#ifndef KONTOR_UPLOAD_HELPER_H
#define KONTOR_UPLOAD_HELPER_H

#include "kontor/upload.h"

typedef struct upload_helper upload_helper;

/* For the rows of this context's plugin: it gets worker_start and worker_stop in the new thread. Borrows `context`.
 * Starts no thread yet. NULL: out of memory. */
upload_helper *upload_helper_new(const struct kontor_upload_context *context, const char *plugin);
/* Waits for what it does. NULL is fine; returns NULL. */
upload_helper *upload_helper_free(upload_helper *helper);

/* Has work(arg) done beside the caller (before it goes on, where no thread can be started). Each give is followed by
 * one take. */
void upload_helper_give(upload_helper *helper, int (*work)(void *arg, struct kontor_error *err), void *arg);
/* Whether it would have to be waited for. */
bool upload_helper_is_busy(upload_helper *helper);
/* Waits for its end and answers what it returned. */
int upload_helper_take(upload_helper *helper, struct kontor_error *err);

#endif
