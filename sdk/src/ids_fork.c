/* SPDX-License-Identifier: Apache-2.0
 *
 * A fork happens while no source is locked, so that the child finds them whole. What the child must not use was wiped
 * by the kernel; kontor_id_source_lock() sees that and begins anew.
 */
#include "ids_source.h"

static pthread_mutex_t sources_lock = PTHREAD_MUTEX_INITIALIZER;
static kontor_id_source *sources;

static void before_fork(void)
{
	pthread_mutex_lock(&sources_lock);
	for (kontor_id_source *source = sources; source; source = source->next)
		pthread_mutex_lock(&source->lock);
}

/* In the parent and in the child. */
static void after_fork(void)
{
	for (kontor_id_source *source = sources; source; source = source->next)
		pthread_mutex_unlock(&source->lock);
	pthread_mutex_unlock(&sources_lock);
}

static void watch_forks(void)
{
	pthread_atfork(before_fork, after_fork, after_fork);
}

void kontor_id_fork_watch(kontor_id_source *source)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, watch_forks);
	pthread_mutex_lock(&sources_lock);
	source->next = sources;
	sources = source;
	pthread_mutex_unlock(&sources_lock);
}

void kontor_id_fork_forget(kontor_id_source *source)
{
	pthread_mutex_lock(&sources_lock);
	kontor_id_source **link = &sources;
	while (*link && *link != source)
		link = &(*link)->next;
	if (*link)
		*link = source->next;
	pthread_mutex_unlock(&sources_lock);
}
