/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chatty.c: prints while it computes, often and for long enough that in a VM the output
 * queues are bound to an eventfd and a thread passes it on. All of it must arrive, and last
 * what was printed last.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "check.h"

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int main(void)
{
	const double end = now() + 0.2;
	char line[64];

	for (int i = 0; now() < end; i++) {
		int n = snprintf(line, sizeof(line), "line %d\n", i);
		double until = now() + 200e-6;

		CHECK(write(i % 10 ? 1 : 2, line, (size_t)n) == n);
		while (now() < until)
			;
	}
	/* A short sleep, and a burst behind it. */
	usleep(2000);
	for (int i = 0; i < 20000; i++)
		CHECK(write(1, "burst\n", 6) == 6);
	return success();
}
