/* SPDX-License-Identifier: Apache-2.0
 *
 * Plugins that the loader must refuse, and one of the next minor ABI that it must run.
 */
#include "kontor/plugin.h"

static int answer(void *self, kontor_request *request)
{
	(void)self;
	kontor_put_int(kontor_reply(request), "answer", 42);
	return 0;
}

#ifdef NEXT_MINOR
/* What a later ABI 1.x may look like: members appended to the method and to the plugin itself. */
struct later_method {
	struct kontor_method method;
	const char *appended;
};
static const struct later_method methods[] = {
	{{.name = "first", .role = KONTOR_ROLE_VIEWER, .handle = answer}, "one"},
	{{.name = "second", .role = KONTOR_ROLE_VIEWER, .handle = answer}, "two"},
};
static const struct {
	struct kontor_plugin plugin;
	void (*appended)(void);
} later = {
	.plugin = {.struct_size = sizeof(later),
		   .abi_major = KONTOR_ABI_MAJOR,
		   .abi_minor = KONTOR_ABI_MINOR + 1,
		   .method_size = sizeof(struct later_method),
		   .name = NAME,
		   .methods = &methods[0].method,
		   .methods_len = 2},
};
#define PLUGIN later.plugin
#else
#ifndef ARGUMENT
#define ARGUMENT                                                                                                       \
	{                                                                                                              \
		.name = "region", .type = KONTOR_ARG_REGION                                                            \
	}
#endif
static const struct kontor_arg args[] = {ARGUMENT};
static const struct kontor_method methods[] = {
	{.name = "first", .role = KONTOR_ROLE_VIEWER, .args = args, .args_len = 1, .handle = answer}};
static const struct kontor_plugin plugin = {
	.struct_size = sizeof(struct kontor_plugin),
#ifdef MAJOR
	.abi_major = MAJOR,
#else
	.abi_major = KONTOR_ABI_MAJOR,
#endif
	.abi_minor = KONTOR_ABI_MINOR,
#ifndef GARBLED
	.method_size = sizeof(struct kontor_method),
#endif
#ifdef WRONG_NAME
	.name = "somebody-else",
#else
	.name = NAME,
#endif
	.methods = methods,
	.methods_len = 1,
};
#define PLUGIN plugin
#endif

#ifdef NO_ENTRY
const struct kontor_plugin *not_the_entry(void);
__attribute__((visibility("default"))) const struct kontor_plugin *not_the_entry(void)
{
	return &PLUGIN;
}
#else
KONTOR_PLUGIN(PLUGIN)
#endif
