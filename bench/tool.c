/* SPDX-License-Identifier: Apache-2.0 */
/* tool.c: see tool.h. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "stats.h"
#include "tool.h"

_Noreturn void die(const char *what, const char *detail)
{
	fprintf(stderr, "%s: %s%s%s\n", program_invocation_short_name, what, detail ? ": " : "",
		detail ? detail : "");
	exit(1);
}

_Noreturn void die_errno(const char *what)
{
	die(what, strerror(errno));
}

unsigned long tool_number(const char *option, const char *text, unsigned long least,
			  unsigned long most)
{
	char *end, range[80];
	unsigned long n;

	errno = 0;
	n = strtoul(text, &end, 10);
	if (!errno && end != text && !*end && *text != '-' && n >= least && n <= most)
		return n;
	snprintf(range, sizeof(range), "give a number from %lu to %lu", least, most);
	die(option, range);
}

void tool_sleep_ns(uint64_t ns)
{
	struct timespec t = {(time_t)(ns / 1000000000u), (long)(ns % 1000000000u)};

	nanosleep(&t, NULL);
}

static uint64_t next_random(void)
{
	static uint64_t x;

	if (!x)
		x = stats_now_ns() | 1;
	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return x;
}

void tool_shuffle(size_t *order, size_t n)
{
	for (size_t i = 0; i < n; i++)
		order[i] = i;
	for (size_t i = n; i > 1; i--) {
		size_t j = next_random() % i, t = order[i - 1];

		order[i - 1] = order[j];
		order[j] = t;
	}
}

void *tool_alloc(size_t n, size_t bytes)
{
	void *p = calloc(n, bytes);

	if (!p)
		die("no memory", NULL);
	return p;
}
