/* SPDX-License-Identifier: Apache-2.0 */
/*
 * open.h: mayfly-net open: from a struct net_spec to the descriptors of an open device.
 *
 *   open.c     reads the spec, checks, answers
 *   direct.c   xdp on an interface's own queue
 *   pair.c     xdp behind a veth pair of its own: at a bridge, or sharing an interface
 *   tap.c      a tap
 *   watch.c    xdp: what becomes of the interface
 */
#ifndef MAYFLY_NET_OPEN_H
#define MAYFLY_NET_OPEN_H

#include "../net_spec.h"
#include "../net_wire.h"
#include "rtnl.h"
#include "xsk.h"

struct opening {
	const struct net_spec *spec;
	const uint8_t *mac;       /* of the VM */
	struct rtnl host;         /* the namespace that we were started in */
	struct rtnl_link link;    /* xdp: the interface that was named */
	struct xsk_memory memory; /* xdp */
	struct net_opened answer; /* to be filled: flags, ifname, queue, mtu */
	int fd[NET_WIRE_FDS];     /* and these; nfds of them */
	unsigned nfds;
};

/* Each: 0, or -errno with a message. */
int open_direct(struct opening *o, struct err *err);
int open_bridged(struct opening *o, struct err *err);
int open_shared(struct opening *o, struct err *err);
int open_tap(struct opening *o, struct err *err);

/* One more descriptor for the answer. */
void opening_hold(struct opening *o, int fd);
/* The AF_XDP socket that the VM gets is held, and described in the answer. */
void opening_hold_xsk(struct opening *o, int fd, int ifindex, const struct xsk_opened *opened);
/* What the monitor is to watch, besides the AF_XDP socket, which is held already, and alone: the
 * interface of this namespace. Once all is up. */
void opening_watch(struct opening *o, int ifindex);
/* A message for what xsk_open returned. */
int opening_xsk_error(struct opening *o, int ret, unsigned queue, struct err *err);

/* mayfly-net open SPEC: the exit status. */
int open_main(const char *text);

#endif
