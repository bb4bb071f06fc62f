/* SPDX-License-Identifier: Apache-2.0
 *
 * logfmt on stderr: one line an event, one write(2) a line, so that lines of several threads never mix.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "kontor/log.h"
#include "kontor/time.h"

#define LINE_SIZE 2048u /* below PIPE_BUF: a write to a pipe is not split either */
#define UNIT_SIZE 33u

static _Atomic int log_level = KONTOR_LOG_INFO;
static char log_unit[UNIT_SIZE];
/* Set twice for each request: initial-exec saves the calls that find a library's thread-local variables. */
#define PER_THREAD static _Thread_local __attribute__((tls_model("initial-exec")))
PER_THREAD const char *thread_plugin;
PER_THREAD unsigned long long thread_request;

void kontor_log_setup(enum kontor_log_level level, const char *unit)
{
	char name[UNIT_SIZE];
	log_level = (int)level;
	snprintf(name, sizeof(name), "%s", unit ? unit : "");
	if (strcmp(name, log_unit) != 0) /* a reload sets the level while other threads log */
		memcpy(log_unit, name, sizeof(log_unit));
}

void kontor_log_plugin(const char *plugin)
{
	thread_plugin = plugin;
}

void kontor_log_request(unsigned long long request_id)
{
	thread_request = request_id;
}

static const char *level_name(enum kontor_log_level level)
{
	switch (level) {
	case KONTOR_LOG_ERROR:
		return "error";
	case KONTOR_LOG_WARNING:
		return "warning";
	case KONTOR_LOG_NOTICE:
		return "notice";
	case KONTOR_LOG_INFO:
		return "info";
	default:
		return "debug";
	}
}

struct line {
	char text[LINE_SIZE];
	size_t length;
};

static void line_add(struct line *line, const char *format, va_list args) __attribute__((format(printf, 2, 0)));
static void line_add(struct line *line, const char *format, va_list args)
{
	size_t room = sizeof(line->text) - 1 - line->length; /* 1 stays for the newline */
	int needed = vsnprintf(line->text + line->length, room, format, args);
	if (needed > 0)
		line->length += (size_t)needed < room ? (size_t)needed : room - 1;
}

static void line_put(struct line *line, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void line_put(struct line *line, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	line_add(line, format, args);
	va_end(args);
}

static void line_write(struct line *line)
{
	/* A control character that slipped through unquoted must not forge a second line. */
	for (size_t i = 0; i < line->length; i++)
		if ((unsigned char)line->text[i] < 0x20)
			line->text[i] = ' ';
	line->text[line->length++] = '\n';
	for (size_t done = 0; done < line->length;) {
		ssize_t n = write(STDERR_FILENO, line->text + done, line->length - done);
		if (n < 0 && errno != EINTR)
			return; /* nowhere to report that the log is gone */
		if (n > 0)
			done += (size_t)n;
	}
}

void kontor_log(enum kontor_log_level level, const char *event, const char *format, ...)
{
	if ((int)level > log_level)
		return;
	int saved_errno = errno;
	char now[KONTOR_TIME_SIZE];
	struct line line;
	line.length = 0;
	line_put(&line, "<%d>ts=%s level=%s", (int)level, kontor_time_format(kontor_now_ms(), now), level_name(level));
	if (log_unit[0])
		line_put(&line, " unit=%s", log_unit);
	if (thread_plugin)
		line_put(&line, " plugin=%s", thread_plugin);
	if (thread_request)
		line_put(&line, " request=%llu", thread_request);
	line_put(&line, " event=\"%s\"", event);
	if (format[0]) {
		line_put(&line, " ");
		va_list args;
		va_start(args, format);
		line_add(&line, format, args);
		va_end(args);
	}
	line_write(&line);
	errno = saved_errno;
}

#define ESCAPED_SIZE 5 /* "\\x7f" and its NUL */

/* The escaped form of one byte in `out`; returns its length. */
static size_t escape(unsigned char byte, char out[ESCAPED_SIZE])
{
	static const char special[] = "\"\\\n\r\t", letters[] = "\"\\nrt";
	const char *found = memchr(special, byte, sizeof(special) - 1);
	if (found) {
		out[0] = '\\';
		out[1] = letters[found - special];
		return 2;
	}
	if (byte < 0x20 || byte == 0x7F)
		return (size_t)snprintf(out, ESCAPED_SIZE, "\\x%02x", byte);
	out[0] = (char)byte;
	return 1;
}

const char *kontor_log_quote(char *buffer, unsigned long size, const char *text)
{
	if (size < 3) {
		if (size)
			buffer[0] = '\0';
		return buffer;
	}
	size_t length = 0;
	buffer[length++] = '"';
	for (const char *p = text ? text : ""; *p; p++) {
		char escaped[ESCAPED_SIZE];
		size_t n = escape((unsigned char)*p, escaped);
		if (length + n + 2 > size) {
			/* Cut: take back what remains of a UTF-8 sequence whose end no longer fits. */
			if (((unsigned char)*p & 0xC0) == 0x80) {
				while (((unsigned char)buffer[length - 1] & 0xC0) == 0x80)
					length--;
				if (((unsigned char)buffer[length - 1] & 0xC0) == 0xC0)
					length--;
			}
			break;
		}
		memcpy(buffer + length, escaped, n);
		length += n;
	}
	buffer[length++] = '"';
	buffer[length] = '\0';
	return buffer;
}
