/* SPDX-License-Identifier: Apache-2.0
 *
 * A queue is there for bursts. Requests that wait and wait are no burst: then a short queue answers more callers in
 * time than a long one, and the others know at once (docs/adr/009). The rule is that of "Fail at Scale" (B. Maurer, ACM
 * Queue 13/8, 2015), which is CoDel (RFC 8289) for servers, with its numbers: 5 ms, 100 ms.
 */
#include "front.h"
#include "kontor/log.h"

#define OVERLOADED_AFTER_US INT64_C(100000) /* of waiting too long, each time a request begins */
#define RECOVERED_AFTER_US INT64_C(100000)  /* without a refusal */
#define LOG_EVERY_US INT64_C(10000000)

size_t front_waiting_limit(const struct pool *pool, const struct plugin_options *options)
{
	int64_t limit = options->workers; /* so that none is idle between two requests */
	if (!pool->overloaded)
		return (size_t)options->queue;
	if (pool->mean_us > 0 && options->queue_time_ms * 1000 / pool->mean_us >= 1)
		limit = options->queue_time_ms * 1000 * options->workers / pool->mean_us;
	return (size_t)(limit < options->queue ? limit : options->queue);
}

static void log_overload(const struct loaded_plugin *plugin, struct pool *pool, int64_t now_us)
{
	if (pool->logged_us && now_us - pool->logged_us < LOG_EVERY_US)
		return;
	pool->logged_us = now_us;
	kontor_log_plugin(plugin->api.name);
	kontor_log(KONTOR_LOG_WARNING, "more calls come than can be answered in time", "busy=%llu mean_us=%lld cure=%s",
		   (unsigned long long)pool->busy, (long long)pool->mean_us,
		   KONTOR_QUOTED("more workers, or another unit with this plugin"));
	kontor_log_plugin(NULL);
}

bool front_begins_late(const struct loaded_plugin *plugin, struct pool *pool, int64_t waited_us, int64_t now_us)
{
	const struct plugin_options *options = &plugin->options;
	if (pool->overloaded && now_us - pool->refused_us >= RECOVERED_AFTER_US) {
		pool->overloaded = false;
		pool->late_since_us = 0;
	}
	if (pool->overloaded || !options->queue_time_ms)
		return false;
	if (waited_us <= options->queue_time_ms * 1000)
		pool->late_since_us = 0;
	else if (!pool->late_since_us)
		pool->late_since_us = now_us;
	else if (now_us - pool->late_since_us >= OVERLOADED_AFTER_US) {
		pool->overloaded = true;
		pool->refused_us = now_us;
		log_overload(plugin, pool, now_us);
	}
	return pool->overloaded;
}

void front_refuses(struct pool *pool, int64_t now_us)
{
	pool->refused_us = now_us;
}
