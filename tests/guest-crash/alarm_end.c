/* SPDX-License-Identifier: Apache-2.0 */
/* alarm_end.c: lets a timer end it; dies of SIGALRM, silently. */
#include <sys/time.h>

int main(void)
{
	struct itimerval soon = {.it_value = {.tv_usec = 20000}};

	if (setitimer(ITIMER_REAL, &soon, 0))
		return 1;
	for (;;)
		;
}
