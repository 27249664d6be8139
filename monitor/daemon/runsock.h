/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runsock.h: the daemon's end of `mayfly run --pool`: programs that run in one of its VMs with
 * the caller's image and standard streams.
 *
 * A connection is a VM: the request starts it, its end is the answer, and if the caller goes,
 * it goes. Messages: wire.h. Only the daemon's own user and root are served. Each connection
 * holds a descriptor here as long as its VM runs (VMs of the HTTP API hold none); half of
 * RLIMIT_NOFILE is the limit.
 */
#ifndef MAYFLY_RUNSOCK_H
#define MAYFLY_RUNSOCK_H

#include "../err.h"

struct engine;
struct loop;
struct runsock;

/* listen_fd: a listening AF_UNIX SOCK_SEQPACKET socket; taken over, also when NULL comes back. */
struct runsock *runsock_open(struct loop *loop, struct engine *engine, int listen_fd,
			     struct err *err);

/* Ends what runs, without an answer. Before engine_close. */
void runsock_close(struct runsock *s);

#endif
