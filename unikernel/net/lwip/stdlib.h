/* SPDX-License-Identifier: Apache-2.0 */
/* stdlib.h: what lwIP includes by this name is the kernel's, and atoi, for netif_find. */
#ifndef LWIP_STDLIB_H
#define LWIP_STDLIB_H

#include "../../uk.h"

static inline int atoi(const char *s)
{
	int n = 0;

	while (*s >= '0' && *s <= '9')
		n = n * 10 + *s++ - '0';
	return n;
}

#endif
