/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ticks.c compute|sleep MS COUNT: COUNT lines, MS milliseconds apart, each with the time at
 * which it was written (seconds, as date +%s.%N), computing or sleeping in between.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static double now(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	if (argc < 4)
		return 2;
	const double gap = atof(argv[2]) / 1e3;

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (int i = 0; i < atoi(argv[3]); i++) {
		double until = now(CLOCK_MONOTONIC) + gap;

		if (!strcmp(argv[1], "sleep"))
			nanosleep(
				&(struct timespec){(time_t)gap, (long)((gap - (time_t)gap) * 1e9)},
				NULL);
		else
			while (now(CLOCK_MONOTONIC) < until)
				;
		printf("%.6f\n", now(CLOCK_REALTIME));
	}
	return 0;
}
