/* SPDX-License-Identifier: Apache-2.0 */
/* daemon.h: what the benchmarks ask of a running daemon. What fails ends the benchmark. */
#ifndef MAYFLY_BENCH_DAEMON_H
#define MAYFLY_BENCH_DAEMON_H

#include <stdbool.h>
#include <stddef.h>

#include "http.h"

struct daemon_pool {
	double ready, preparing, target; /* shells, of all flavours together */
	double warm, cold;               /* starts so far */
	double memory_mib;               /* of the default flavour */
};

struct daemon_pool daemon_pool(struct http *h);

/* Waits until the pool has all the shells that it wants and, looked at 200 us apart, nobody but
 * the caller can run. False if the pool is full and somebody else does not come to rest. */
bool daemon_rest(struct http *h);

/* The body of POST /v1/vms for the program, and what else (", \"wait\": true") it shall say. */
void daemon_body(char *body, size_t size, const char *program, const char *more);

#endif
