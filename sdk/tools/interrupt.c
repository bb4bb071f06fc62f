/* SPDX-License-Identifier: Apache-2.0 */
#include "interrupt.h"

#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const int signals[] = {SIGINT, SIGTERM, SIGHUP};

/* Changed only while the signals are blocked. */
static char words[256], file[PATH_MAX];

/* Only calls that signal-safety(7) allows. */
static void end(int number)
{
	if (file[0])
		unlink(file);
	if (words[0])
		(void)!write(STDERR_FILENO, words, strlen(words));
	raise(number); /* SA_RESETHAND: it ends the program, and whoever waits for it sees by what */
}

static sigset_t block(void)
{
	static bool installed;
	sigset_t ours, before;
	sigemptyset(&ours);
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		struct sigaction action = {.sa_handler = end, .sa_flags = (int)SA_RESETHAND}, old;
		sigaddset(&ours, signals[i]);
		/* nohup ignores SIGHUP: that stays */
		if (!installed && sigaction(signals[i], NULL, &old) == 0 && old.sa_handler == SIG_DFL)
			sigaction(signals[i], &action, NULL);
	}
	installed = true;
	pthread_sigmask(SIG_BLOCK, &ours, &before);
	return before;
}

void interrupt_says(const char *format, ...)
{
	sigset_t before = block();
	words[0] = '\0';
	if (format) {
		va_list args;
		va_start(args, format);
		vsnprintf(words, sizeof(words), format, args);
		va_end(args);
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void interrupt_removes(const char *path)
{
	sigset_t before = block();
	file[0] = '\0';
	if (path && strlen(path) < sizeof(file))
		snprintf(file, sizeof(file), "%s", path);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}
