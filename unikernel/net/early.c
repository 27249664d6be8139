/* SPDX-License-Identifier: Apache-2.0 */
/*
 * early.c: memory that is there before there is a program. Which frames are free, a shell learns
 * with its program; and the first use of each costs microseconds, while somebody waits. So what
 * the network needs at its start comes from here, and uk_net_prepare has used it before that.
 */
#include "net.h"

/* One device's, and a page for each size of memory.c's. Another device's come from elsewhere. */
#define BYTES (29 * NOXS_PAGE)

/* Not called uk_...: kernel.ld takes those for small, and hot. */
char net_early_area[BYTES] __attribute__((aligned(16)));
const char *const net_early_end = net_early_area + BYTES;
static size_t taken;

void *net_early_take(size_t bytes)
{
	void *at = net_early_area + taken;

	bytes = (bytes + 15) & ~(size_t)15;
	if (bytes > BYTES - taken)
		return NULL;
	taken += bytes;
	return at;
}

void *net_alloc(size_t bytes)
{
	void *at = net_early_take(bytes);

	return at ? at : uk_alloc(bytes);
}
