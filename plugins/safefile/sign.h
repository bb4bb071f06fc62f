/* SPDX-License-Identifier: Apache-2.0
 *
 * Ed25519 (RFC 8032) by OpenSSL: the signature over a manifest's bytes.
 */
#ifndef SAFEFILE_SIGN_H
#define SAFEFILE_SIGN_H

#include <stddef.h>
#include <stdint.h>

#include "kontor/error.h"

#define SIGNATURE_SIZE 64

/* key_file: a private key in PEM (`openssl genpkey -algorithm ed25519`), a regular file that only its owner may read.
 * DENIED for other modes, CONFLICT for another kind of key. data NULL: only looks whether the key can be used. */
int manifest_sign(const char *key_file, const void *data, size_t size, uint8_t *ret_signature,
		  struct kontor_error *err);

#endif
