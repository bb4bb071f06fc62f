/* SPDX-License-Identifier: Apache-2.0
 *
 * logfmt on stderr, one line an event:
 *   <6>ts=2026-11-22T10:00:00.123Z level=info unit=all plugin=settlement request=17 event="window closed" region=SG
 * Only hosts, plugins and tools log; libkontor itself returns errors. Nothing secret, no payloads, no whole accounts.
 */
#ifndef KONTOR_LOG_H
#define KONTOR_LOG_H

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

enum kontor_log_level { /* the numbers are syslog priorities, as sd-daemon(3) reads them from "<N>" */
			KONTOR_LOG_ERROR = 3,
			KONTOR_LOG_WARNING = 4,
			KONTOR_LOG_NOTICE = 5,
			KONTOR_LOG_INFO = 6,
			KONTOR_LOG_DEBUG = 7,
};

/* Process-wide: levels above `level` are dropped; unit (copied, <= 32 bytes) is put on each line. */
void kontor_log_setup(enum kontor_log_level level, const char *unit);
/* Per thread: what this thread works for; NULL or 0 clears. plugin must outlive its use. */
void kontor_log_plugin(const char *plugin);
void kontor_log_request(unsigned long long request_id);

/* `event` is a short constant sentence; `format` makes further `key=value` fields ("" for none).
 * Text that comes from outside goes through KONTOR_QUOTED. Any thread; one write(2) per line. */
void kontor_log(enum kontor_log_level level, const char *event, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* logfmt-quotes `text` into `buffer` (cut when too long) and returns buffer. */
const char *kontor_log_quote(char *buffer, unsigned long size, const char *text);
#define KONTOR_QUOTED(text) kontor_log_quote((char[256]){0}, 256, (text))

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
