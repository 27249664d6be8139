/* SPDX-License-Identifier: Apache-2.0 */
/* xsk.h: an AF_XDP socket whose UMEM is a VM's buffer area. */
#ifndef MAYFLY_NET_XSK_H
#define MAYFLY_NET_XSK_H

#include <stdbool.h>
#include <stddef.h>

#include "../net_spec.h"

struct xsk_memory {
	void *buffers;
	size_t bytes;
	unsigned entries; /* of each ring */
};

/* Maps the buffer area of a window's memfd; its size says how many there are. */
int xsk_memory_map(struct xsk_memory *memory, int memfd, struct err *err);

struct xsk_opened {
	bool zerocopy; /* how frames come */
	bool unbound;  /* whoever maps the rings has to bind it: NET_OPENED_BIND */
	unsigned bind_flags;
};

/*
 * A socket on a queue of an interface in the caller's network namespace, with four rings and
 * need_wakeup. Returns its descriptor. -errno without a message: -EBUSY the queue has one already
 * (patient: for a second, for that of a process that has ended goes a little later), -EINVAL
 * there is no such queue, -EOPNOTSUPP no zero copy, -ENOBUFS too little memory may be locked.
 */
int xsk_open(int ifindex, unsigned queue, enum net_copy copy, bool patient,
	     const struct xsk_memory *memory, struct xsk_opened *opened);

#endif
