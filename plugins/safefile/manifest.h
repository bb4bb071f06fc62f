/* SPDX-License-Identifier: Apache-2.0
 *
 * manifest.json: what was published, in a fixed form (docs/safefile.md), so that its bytes are a pure function of rows.
 */
#ifndef SAFEFILE_MANIFEST_H
#define SAFEFILE_MANIFEST_H

#include "stored.h"

#define MANIFEST_NAME "manifest.json"
#define MANIFEST_SIGNATURE_NAME "manifest.json.sig"
#define MANIFEST_FORMAT "kontor-safefile-1"
#define MANIFEST_LIMIT (1u << 20) /* bytes; 2,000 data files of 500 bytes each */

/* *ret_text is in arena, NUL-terminated. */
int manifest_make(const struct stored_file *file, const struct stored_part *parts, size_t len, kontor_arena *arena,
		  const char **ret_text, size_t *ret_size, struct kontor_error *err);

#endif
