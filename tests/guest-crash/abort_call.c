/* SPDX-License-Identifier: Apache-2.0 */
/* abort_call.c: calls abort(); dies of SIGABRT. */
#include <stdlib.h>

static void abort_call(void)
{
	abort();
}

int main(void)
{
	abort_call();
	return 0;
}
