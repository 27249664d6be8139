/* SPDX-License-Identifier: Apache-2.0 */
/*
 * steer.h: the program (steer.bpf.c) of an interface that VMs use.
 *
 * It is attached by a bpf_link, whose descriptor each VM on the interface holds: when the last
 * is gone, so is the program. A later VM finds the link by its id. A program of somebody else
 * is left alone.
 */
#ifndef MAYFLY_NET_STEER_H
#define MAYFLY_NET_STEER_H

#include "../net_spec.h"
#include "rtnl.h"

enum steer_use { STEER_QUEUE = 1, STEER_SHARE = 2 };

struct steer {
	int link; /* to be held; the others are not needed once all is entered */
	int macs, ports, queues, socks;
	bool native;
};

/* Only one mayfly-net at a time changes programs of interfaces. Until it ends. (The kernel lets
 * one attach one, too; what is looked at before should still hold afterwards.) lock.c */
int steer_lock(struct err *err);
/* Attaches the program, or finds it. Of a kernel that lets it be attached only in one of the
 * modes, -EBUSY or -EOPNOTSUPP comes with a message. */
int steer_attach(struct steer *steer, struct rtnl *nl, const struct rtnl_link *link,
		 enum net_mode mode, enum steer_use use, struct err *err);
/* Frames of a queue, for this MAC and for all, go to a socket; all: whatever their address. */
int steer_queue(const struct steer *steer, unsigned queue, const uint8_t mac[6], bool all, int sock,
		struct err *err);
/* Frames for this MAC go out of an interface of the caller's network namespace. */
int steer_port(const struct steer *steer, const uint8_t mac[6], int ifindex, struct err *err);

#endif
