/* SPDX-License-Identifier: Apache-2.0
 *
 * Handler of SIGSEGV and its like: async-signal-safe, writes its line and lets the default action make the core file.
 */
#include "crash.h"

#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "kontor/log.h"

static const char *unit_name = "";
static _Thread_local const char *thread_plugin, *thread_what;
static _Thread_local uint64_t thread_request;

void crash_working_on(const char *plugin, const char *what, uint64_t request)
{
	kontor_log_plugin(plugin);
	kontor_log_request(request);
	thread_plugin = plugin;
	thread_what = what;
	thread_request = request;
}

struct line {
	char text[512];
	size_t length;
};

static void put(struct line *line, const char *text)
{
	for (; *text && line->length < sizeof(line->text); text++)
		line->text[line->length++] = *text;
}

static void put_number(struct line *line, uint64_t number)
{
	char digits[21];
	size_t at = sizeof(digits) - 1;
	digits[at] = '\0';
	do
		digits[--at] = (char)('0' + number % 10);
	while (number /= 10);
	put(line, digits + at);
}

static void on_fatal_signal(int number)
{
	struct line line = {.length = 0};
	put(&line, "<2>level=critical unit=");
	put(&line, unit_name);
	if (thread_plugin) {
		put(&line, " plugin=");
		put(&line, thread_plugin);
	}
	if (thread_request) {
		put(&line, " request=");
		put_number(&line, thread_request);
	}
	put(&line, " event=\"crashed\" signal=");
	put_number(&line, (uint64_t)number);
	if (thread_what) {
		put(&line, " while=");
		put(&line, thread_what);
	}
	put(&line, "\n");
	if (write(STDERR_FILENO, line.text, line.length) < 0)
		return; /* the default action follows either way: SA_RESETHAND */
	raise(number);
}

void crash_install(const char *unit)
{
	static const int fatal[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
	unit_name = unit;
#ifdef KONTOR_SANITIZED
	return; /* the sanitizer's own report says more */
#endif
	struct sigaction action = {.sa_handler = on_fatal_signal, .sa_flags = (int)SA_RESETHAND | SA_NODEFER};
	for (size_t i = 0; i < sizeof(fatal) / sizeof(fatal[0]); i++)
		sigaction(fatal[i], &action, NULL);
}
