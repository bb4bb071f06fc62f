/* SPDX-License-Identifier: Apache-2.0
 *
 * CURVE key pairs and the files that hold them: NAME.key (public part, for anybody) and NAME.key_secret (both parts,
 * mode 0600). The format is that of CZMQ's and pyzmq's certificates (ZPL, ZeroMQ RFC 4), keys are Z85 (RFC 32). All
 * functions are safe in any thread.
 */
#ifndef KONTOR_KEYS_H
#define KONTOR_KEYS_H

#include <stdbool.h>

#include "kontor/error.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

#define KONTOR_KEY_TEXT_SIZE 41 /* bytes of a key in Z85, with its NUL */

struct kontor_key_pair {
	char public_key[KONTOR_KEY_TEXT_SIZE], secret_key[KONTOR_KEY_TEXT_SIZE];
};

/* Whether `text` has the form of a key: 40 characters of Z85. Whose it is, it does not tell. */
bool kontor_key_valid(const char *text);

/* A new pair from the kernel's random numbers. UNAVAILABLE: libzmq was built without CURVE. */
int kontor_key_generate(struct kontor_key_pair *ret_pair, struct kontor_error *err);

/* Reads FILE.key_secret. DENIED: others than its owner and group may open the file; NOT_FOUND, STORAGE: it cannot be
 * read; BAD_REQUEST: it holds no pair, or halves of two pairs. */
int kontor_key_load(const char *path, struct kontor_key_pair *ret_pair, struct kontor_error *err);

/* The public key alone, of either file, into out (KONTOR_KEY_TEXT_SIZE bytes). Errors as above, but for DENIED. */
int kontor_key_load_public(const char *path, char *out, struct kontor_error *err);

/* Makes FOLDER/NAME.key and FOLDER/NAME.key_secret, which must not be there, and waits until they are on disk.
 * CONFLICT: one of them is there already; STORAGE: they cannot be written. Leaves nothing behind when it fails. */
int kontor_key_save(const struct kontor_key_pair *pair, const char *folder, const char *name, struct kontor_error *err);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
