/* SPDX-License-Identifier: Apache-2.0 */
#include "progress.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "kontor/time.h"

#define BAR_WIDTH 30
#define BAR_EVERY_MS 100
#define LINE_EVERY_MS 5000
#define LOOK_EVERY_MS 10000 /* the speed is that of the last one to two of these */
#define LOOK_FIRST_MS 200

void progress_begin(struct progress *p, const char *what, const char *unit)
{
	*p = (struct progress){.what = what, .unit = unit, .terminal = isatty(STDERR_FILENO)};
	/* A quick command says nothing where nobody watches. */
	p->shown_ms = p->terminal ? 0 : kontor_monotonic_ms();
}

void progress_count(double value, const char *unit, char *out, size_t size)
{
	static const char *const prefixes[] = {"", "k", "M", "G", "T"};
	unsigned i = 0;
	for (; value >= 10000 && i < 4; i++)
		value /= 1000;
	snprintf(out, size, i || unit[0] ? "%.*f %s%s" : "%.*f", i ? 1 : 0, value, prefixes[i], unit);
}

void progress_duration(double seconds, char *out, size_t size)
{
	unsigned long s = (unsigned long)(seconds + 0.5);
	if (s >= 3600)
		snprintf(out, size, "%lu:%02lu:%02lu", s / 3600, s / 60 % 60, s % 60);
	else
		snprintf(out, size, "%lu:%02lu", s / 60, s % 60);
}

/* Work that was done before the first look is not its speed. */
static void look(struct progress *p, uint64_t done, int64_t now_ms)
{
	const struct progress_look here = {now_ms, done};
	if (!p->has_looked || done < p->older.done)
		p->older = p->newer = here;
	p->has_looked = true;
	if (now_ms - p->newer.ms < LOOK_EVERY_MS)
		return;
	p->older = p->newer;
	p->newer = here;
}

static double speed(const struct progress *p, uint64_t done)
{
	int64_t took_ms = kontor_monotonic_ms() - p->older.ms;
	if (p->rate)
		return (double)p->rate;
	return took_ms > LOOK_FIRST_MS ? (double)(done - p->older.done) * 1000.0 / (double)took_ms : 0;
}

static void print_line(const struct progress *p, uint64_t done, uint64_t total, const char *note)
{
	char have[32], all[32], rate_text[32], left[32] = "";
	double rate = speed(p, done);
	progress_count((double)done, p->unit, have, sizeof(have));
	progress_count((double)total, p->unit, all, sizeof(all));
	progress_count(rate, p->unit, rate_text, sizeof(rate_text));
	if (rate > 0 && total > done)
		progress_duration((double)(total - done) / rate, left, sizeof(left));
	if (p->terminal && total > 0) {
		char bar[BAR_WIDTH + 1];
		unsigned filled = (unsigned)((double)done / (double)total * BAR_WIDTH);
		memset(bar, '.', BAR_WIDTH);
		memset(bar, '#', filled > BAR_WIDTH ? BAR_WIDTH : filled);
		bar[BAR_WIDTH] = '\0';
		fprintf(stderr, "[%s] ", bar);
	}
	fprintf(stderr, "%s", p->what);
	if (total > 0)
		fprintf(stderr, " %s of %s", have, all);
	if (rate > 0)
		fprintf(stderr, ", %s/s", rate_text);
	if (left[0])
		fprintf(stderr, ", %s left", left);
	if (note && note[0])
		fprintf(stderr, ", %s", note);
}

void progress_show(struct progress *p, uint64_t done, uint64_t total, const char *note)
{
	int64_t now_ms = kontor_monotonic_ms();
	look(p, done, now_ms);
	if (now_ms - p->shown_ms < (p->terminal ? BAR_EVERY_MS : LINE_EVERY_MS))
		return;
	p->shown_ms = now_ms;
	if (p->terminal)
		fputs("\r\033[K", stderr);
	print_line(p, done, total, note);
	if (!p->terminal)
		fputc('\n', stderr);
	fflush(stderr);
	p->drawn = true;
}

void progress_end(struct progress *p)
{
	if (p->terminal && p->drawn)
		fputs("\r\033[K", stderr);
	p->drawn = false;
}
