/* SPDX-License-Identifier: Apache-2.0
 *
 * How long to wait before the next try: full jitter (a random time up to a limit that doubles), so that those who
 * failed together do not come back together.
 */
#ifndef KONTOR_BACKOFF_H
#define KONTOR_BACKOFF_H

#include <stdint.h>

/* Random in [0, min(cap_ms, base_ms << attempt)]; attempt counts from 0. Any thread. */
uint32_t backoff_ms(unsigned attempt, uint32_t base_ms, uint32_t cap_ms);

#endif
