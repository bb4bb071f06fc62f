/* SPDX-License-Identifier: Apache-2.0
 *
 * The bytes of a file or of a stream (stdin from a pipe, a FIFO), as they are: packed files are sent packed.
 */
#ifndef KONTOR_SOURCE_H
#define KONTOR_SOURCE_H

#include "cli.h"

#define SOURCE_LIMIT (UINT64_C(8) << 30) /* CONTRACT "Uploads" */

struct source;

/* path "-" is stdin. EXIT_DONE, or EXIT_REFUSED after saying why. */
int source_open(const char *path, struct source **ret_source);
struct source *source_close(struct source *source); /* NULL is fine; returns NULL */
bool source_is_stdin(const struct source *source);
/* It can be read only once, from its beginning. */
bool source_is_stream(const struct source *source);
/* Fills the buffer but at the end. EXIT_DONE with *ret_size 0 at the end; EXIT_REFUSED after saying why. */
int source_read(struct source *source, void *buffer, size_t size, size_t *ret_size);
/* Not of a stream. EXIT_REFUSED, after saying so, when the file is shorter. */
int source_seek(struct source *source, uint64_t offset);
uint64_t source_offset(const struct source *source);
uint64_t source_size(const struct source *source); /* 0 of a stream */

#endif
