/* SPDX-License-Identifier: Apache-2.0
 *
 * The plain bytes of a file or of stdin, unpacked when they are gzip or zstd (told by the first bytes, not by the
 * name).
 */
#ifndef KONTOR_SOURCE_H
#define KONTOR_SOURCE_H

#include "cli.h"

#define SOURCE_LIMIT (UINT64_C(8) << 30) /* unpacked; CONTRACT "Uploads" */

struct source;

/* path "-" is stdin, which can be read only once. EXIT_DONE, or EXIT_REFUSED after saying why. */
int source_open(const char *path, struct source **ret_source);
struct source *source_close(struct source *source); /* NULL is fine; returns NULL */
bool source_is_stdin(const struct source *source);
/* Fills the buffer but at the end. EXIT_DONE with *ret_size 0 at the end; EXIT_REFUSED for a broken file. */
int source_read(struct source *source, void *buffer, size_t size, size_t *ret_size);
/* Goes to a byte of the plain content, backwards by opening the file again. EXIT_REFUSED when stdin cannot. */
int source_seek(struct source *source, uint64_t offset);
uint64_t source_offset(const struct source *source);
/* Bytes of the file itself, for progress; 0 when unknown. And how many of them have been read. */
uint64_t source_file_size(const struct source *source);
uint64_t source_file_read(const struct source *source);

#endif
