/* SPDX-License-Identifier: Apache-2.0
 *
 * A kernel that says that this machine's clock is kept (LD_PRELOAD of test_doctor.py): whether it is, no test can say.
 */
#include <string.h>
#include <sys/timex.h>

__attribute__((visibility("default"))) int adjtimex(struct timex *clock)
{
	memset(clock, 0, sizeof(*clock));
	return TIME_OK;
}
