/* SPDX-License-Identifier: Apache-2.0 */
/* null_call.c: calls address 0; dies of SIGSEGV. The return address is all that names the caller.
 */
#include <stddef.h>

static void null_call(void (*volatile function)(void))
{
	function();
}

int main(void)
{
	null_call(NULL);
	return 0;
}
