/* SPDX-License-Identifier: Apache-2.0
 *
 * The bank's character set EPC217-08: a-z A-Z 0-9 / - ? : ( ) . , ' + and space.
 */
#ifndef SAFEFILE_CHARSET_H
#define SAFEFILE_CHARSET_H

#include <stdbool.h>
#include <stddef.h>

/* Every byte belongs to the set and the text keeps the rules for slashes (none at either end, no two together). The
 * empty text is valid. */
bool charset_epc217_valid(const char *text);
bool charset_has_alphanumeric(const char *text);

/* ASCII (other bytes count as blanks) to EPC217-08 by the conversions of its annex ('&' to '+', '_' to '-', ...),
 * blanks joined, slashes as the rules want, at most `limit` characters. out >= limit + 1 bytes. */
void charset_epc217_convert(const char *ascii, size_t limit, char *out);

#endif
