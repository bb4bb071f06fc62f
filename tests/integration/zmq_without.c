/* SPDX-License-Identifier: Apache-2.0
 *
 * A libzmq that does not ask who may get in (LD_PRELOAD of test_network.py): the start-up proof has to see it.
 * WITHOUT_DOMAIN: one of the two options that make it ask is lost. WITHOUT_HANDLER: nobody listens where it asks.
 */
#include <dlfcn.h>
#include <stddef.h>
#include <string.h>

#include <zmq.h>

#ifdef WITHOUT_DOMAIN
int zmq_setsockopt(void *socket, int option, const void *value, size_t size)
{
	static int (*real)(void *, int, const void *, size_t);
	if (!real)
		real = (int (*)(void *, int, const void *, size_t))dlsym(RTLD_NEXT, "zmq_setsockopt");
	return option == ZMQ_ZAP_DOMAIN ? 0 : real(socket, option, value, size);
}

#else

int zmq_bind(void *socket, const char *endpoint)
{
	static int (*real)(void *, const char *);
	if (!real)
		real = (int (*)(void *, const char *))dlsym(RTLD_NEXT, "zmq_bind");
	return strncmp(endpoint, "inproc://zeromq.zap", 19) == 0 ? 0 : real(socket, endpoint);
}
#endif
