/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "kontor/log.h"
#include "upload_helper.h"

struct upload_helper {
	const struct kontor_upload_context *context;
	const char *plugin;
	pthread_t thread;
	bool running;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	/* Under the lock. */
	bool given, ending;
	int (*work)(void *arg, struct kontor_error *err);
	void *arg;
	int rc;
	struct kontor_error failure;
};

upload_helper *upload_helper_new(const struct kontor_upload_context *context, const char *plugin)
{
	upload_helper *helper = calloc(1, sizeof(*helper));
	if (!helper)
		return NULL;
	helper->context = context;
	helper->plugin = plugin;
	pthread_mutex_init(&helper->lock, NULL);
	pthread_cond_init(&helper->changed, NULL);
	return helper;
}

/* ---- in the thread ---- */

static void work_until_ended(upload_helper *helper, int start_rc, const struct kontor_error *start_failure)
{
	pthread_mutex_lock(&helper->lock);
	for (;;) {
		while (!helper->given && !helper->ending)
			pthread_cond_wait(&helper->changed, &helper->lock);
		if (!helper->given)
			break;
		struct kontor_error failure = *start_failure;
		pthread_mutex_unlock(&helper->lock);
		int rc = start_rc ? start_rc : helper->work(helper->arg, &failure);
		pthread_mutex_lock(&helper->lock);
		helper->rc = rc;
		helper->failure = failure;
		helper->given = false;
		pthread_cond_broadcast(&helper->changed);
	}
	pthread_mutex_unlock(&helper->lock);
}

static void *helper_main(void *arg)
{
	upload_helper *helper = arg;
	const struct kontor_upload_context *context = helper->context;
	struct kontor_error failure = KONTOR_ERROR_INIT;
	kontor_log_plugin(helper->plugin);
	int rc = context->worker_start ? context->worker_start(context->self, &failure) : 0;
	work_until_ended(helper, rc, &failure);
	if (rc == 0 && context->worker_stop)
		context->worker_stop(context->self);
	return NULL;
}

/* ---- in the step's thread ---- */

upload_helper *upload_helper_free(upload_helper *helper)
{
	if (!helper)
		return NULL;
	if (helper->running) {
		pthread_mutex_lock(&helper->lock);
		helper->ending = true;
		pthread_cond_broadcast(&helper->changed);
		pthread_mutex_unlock(&helper->lock);
		pthread_join(helper->thread, NULL);
	}
	pthread_cond_destroy(&helper->changed);
	pthread_mutex_destroy(&helper->lock);
	free(helper);
	return NULL;
}

void upload_helper_give(upload_helper *helper, int (*work)(void *arg, struct kontor_error *err), void *arg)
{
	if (!helper->running && pthread_create(&helper->thread, NULL, helper_main, helper)) {
		kontor_error_clear(&helper->failure);
		helper->rc = work(arg, &helper->failure);
		return;
	}
	helper->running = true;
	pthread_mutex_lock(&helper->lock);
	helper->work = work;
	helper->arg = arg;
	helper->given = true;
	pthread_cond_broadcast(&helper->changed);
	pthread_mutex_unlock(&helper->lock);
}

bool upload_helper_is_busy(upload_helper *helper)
{
	pthread_mutex_lock(&helper->lock);
	bool busy = helper->given;
	pthread_mutex_unlock(&helper->lock);
	return busy;
}

int upload_helper_take(upload_helper *helper, struct kontor_error *err)
{
	pthread_mutex_lock(&helper->lock);
	while (helper->given)
		pthread_cond_wait(&helper->changed, &helper->lock);
	int rc = helper->rc;
	if (rc && err)
		*err = helper->failure;
	pthread_mutex_unlock(&helper->lock);
	return rc;
}
