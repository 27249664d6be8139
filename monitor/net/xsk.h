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

/*
 * A socket on a queue of an interface in the caller's network namespace, with four rings and
 * need_wakeup. Returns its descriptor; *zerocopy says how frames come. -errno without a message:
 * -EBUSY the queue has one already, -EINVAL there is no such queue, -EOPNOTSUPP no zero copy,
 * -ENOBUFS too little memory may be locked.
 */
int xsk_open(const char *ifname, unsigned queue, enum net_copy copy,
	     const struct xsk_memory *memory, bool *zerocopy);

#endif
