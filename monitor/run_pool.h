/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run_pool.h: mayfly run --pool and -d: a VM of the daemon's instead of one of our own.
 *
 * What is sent and answered: wire.h, "mayfly run --pool". The other end: daemon/runsock.c.
 */
#ifndef MAYFLY_RUN_POOL_H
#define MAYFLY_RUN_POOL_H

#include <stdbool.h>
#include <stdint.h>

#include "err.h"

struct run_pool_options {
	const char *socket;         /* the daemon's; NULL: $MAYFLY_SOCKET, or the run directory's */
	const char *path;           /* of the image */
	char *const *argv;          /* NULL-terminated, [0] is the program's name */
	char *const *envp;          /* NULL-terminated */
	const char *cwd, *hostname; /* NULL: the daemon's choice; a host name is a VM's name */
	const char *const *net, *const *ports; /* --net, -p; NULL-terminated, or NULL */
	uint64_t memory_bytes;                 /* 0: the daemon's default flavour */
	uint64_t timeout_ns;                   /* 0: none */
	bool strace;
};

/*
 * run_pool: runs the program in a VM of the daemon, with our standard streams, passes signals
 * on, prints what there is to say, and returns the exit status. -errno and a message: it
 * could not be had, or the daemon went. *no_daemon: set when nobody listens, which is no
 * failure: nothing has happened, no message was made, and the caller may run it by itself.
 */
int run_pool(const struct run_pool_options *o, bool *no_daemon, struct err *err);

/* Is -d or --detach among the options of `mayfly run` (argv[0] is "run")? Then all of argv is
 * for `mayfly-client run-detached`, which also has options that run itself has not. */
bool run_is_detached(int argc, char **argv);

#endif
