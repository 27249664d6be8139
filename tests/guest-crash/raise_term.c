/* SPDX-License-Identifier: Apache-2.0 */
/* raise_term.c: raises SIGTERM, whose default is a silent end. */
#include <signal.h>

int main(void)
{
	raise(SIGTERM);
	return 0;
}
