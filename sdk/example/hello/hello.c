/* SPDX-License-Identifier: Apache-2.0
 *
 * The smallest useful plugin: two methods, one option. docs/plugin-guide.md walks through it.
 */
#include <threads.h>

#include "kontor/plugin.h"
#include "kontor/time.h"

/* What the configuration fills: one of these per process. */
struct hello {
	const char *_Atomic greeting; /* reload() changes it while handlers read it */
};

static const struct kontor_conf_row conf[] = {
	{"greeting", KONTOR_CONF_STRING, offsetof(struct hello, greeting), "Hello", .help = "word before the name",
	 .reloadable = true},
};

static const struct kontor_arg greet_args[] = {
	{"name", KONTOR_ARG_STRING, .required = true, .min = 1, .max = 100, .help = "who is greeted"},
};

/* hello.greet {name} -> {text} */
static int greet(void *self, kontor_request *request)
{
	const struct hello *hello = self;
	const char *text = kontor_arena_format(kontor_request_arena(request), "%s, %s!", hello->greeting,
					       kontor_arg_string(request, "name"));
	if (!text)
		return kontor_request_fail(request, KONTOR_E_INTERNAL, "out of memory");
	kontor_put_string(kontor_reply(request), "text", text);
	return 0;
}

static const struct kontor_arg wait_args[] = {
	{"ms", KONTOR_ARG_INT, .required = true, .min = 0, .max = 60000, .help = "milliseconds"},
};

/* hello.wait {ms} -> {}. What takes long looks from time to time whether anybody still waits for it. */
static int wait_a_while(void *self, kontor_request *request)
{
	(void)self;
	int64_t until = kontor_monotonic_ms() + kontor_arg_int(request, "ms");
	while (kontor_monotonic_ms() < until && !kontor_request_cancelled(request))
		thrd_sleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
	return 0;
}

static const struct kontor_method methods[] = {
	{"greet", 0, KONTOR_PUBLIC, KONTOR_ROLE_VIEWER, greet_args, 1, .help = "Greets somebody.", .handle = greet},
	{"wait", KONTOR_METHOD_NO_DATABASE, KONTOR_PUBLIC, KONTOR_ROLE_VIEWER, wait_args, 1,
	 .help = "Waits, unless its caller gives up.", .handle = wait_a_while},
};

/* SIGHUP: takes the options whose row says `reloadable`. */
static int reload(void *self, const void *new_self, struct kontor_error *err)
{
	(void)err;
	((struct hello *)self)->greeting = ((const struct hello *)new_self)->greeting;
	return 0;
}

static const struct kontor_plugin plugin = {
	KONTOR_PLUGIN_ABI,
	.name = "hello",
	.version = "1.0",
	.summary = "greets people",
	.self_size = sizeof(struct hello),
	.conf = conf,
	.conf_len = 1,
	.methods = methods,
	.methods_len = sizeof(methods) / sizeof(methods[0]),
	.reload = reload,
};
KONTOR_PLUGIN(plugin)
