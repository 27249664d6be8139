/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check.h: for guest test programs. Each checks one behaviour, prints SUCCESS as its last
 * line and returns 0; the first check that fails prints where and what, and exits 1. The
 * same program must pass as an ordinary Linux process: that is what shows that the test
 * asks for what Linux does.
 */
#ifndef CHECK_H
#define CHECK_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(cond)                                                                            \
	do {                                                                                   \
		if (!(cond)) {                                                                 \
			printf("%s:%d: %s (errno %d: %s)\n", __FILE__, __LINE__, #cond, errno, \
			       strerror(errno));                                               \
			exit(1);                                                               \
		}                                                                              \
	} while (0)

/* The call fails with -1 and this errno. */
#define CHECK_ERR(call, err) CHECK(((errno = 0), (call) == -1) && errno == (err))

/* No program has anything there. Volatile, so that compilers do not foresee the fault. */
#define BAD_POINTER ((void *)check_bad_address)
static volatile unsigned long check_bad_address __attribute__((unused)) = 8;

/* A count or size that compilers would warn of, were it a constant. */
static volatile long check_minus_one __attribute__((unused)) = -1;

static inline int success(void)
{
	puts("SUCCESS");
	return 0;
}

#endif
