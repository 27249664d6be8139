/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net_tap.c: a tap behind a net device: each frame is one read or one write, straight from or
 * to the guest's buffers. With IFF_VNET_HDR a "frame" is a TCP segment of up to 64 KiB.
 * Linux, Documentation/networking/tuntap.rst; errors: drivers/net/tun.c.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "net_backend.h"

/* What does not fit into the guest's buffers: nobody reads it. */
static uint8_t spill[NET_MAX_FRAME];

static int open_tap(struct net_dev *d, struct err *err)
{
	int flags = fcntl(d->fd, F_GETFL);

	/* A descriptor that was handed over may block. */
	if (flags < 0 || (!(flags & O_NONBLOCK) && fcntl(d->fd, F_SETFL, flags | O_NONBLOCK)))
		return err_set(err, errno, "cannot use the tap %s", d->link.opened.ifname);
	return 0;
}

/* A read or write failed. True: it may work later. */
static bool may_work_later(struct net_dev *d, int errnum)
{
	if (errnum == EAGAIN || errnum == EINTR)
		return true;
	/* EBADFD: the interface was deleted, or the descriptor detached from it. */
	net_break(d, "the tap %s is gone (%s)", d->link.opened.ifname,
		  errnum == EBADFD ? "deleted" : "its descriptor failed");
	return false;
}

static void send_frames(struct net_dev *d)
{
	struct iovec iov[NET_PIECES];
	unsigned budget = NET_BATCH, n;
	size_t bytes;

	while ((n = net_tx_frame(d, iov, &bytes, &budget))) {
		ssize_t done = writev(d->fd, iov, (int)n);

		d->counters.kicks++;
		/* EIO: the interface is down; EINVAL: a header that the kernel does not like;
		 * ENOMEM, ENOBUFS: as on a wire, the frame is lost. */
		if (done < 0 && errno != EIO && errno != EINVAL && errno != ENOMEM &&
		    errno != ENOBUFS && errno != EFAULT) {
			if (may_work_later(d, errno))
				d->blocked = NET_POLL;
			return;
		}
		net_tx_done(d, done >= 0, bytes);
	}
}

static void receive_frames(struct net_dev *d)
{
	struct iovec iov[NET_PIECES + 1];

	for (unsigned i = 0; i < NET_BATCH; i++) {
		unsigned n = net_rx_buffers(d, iov, d->vnet ? NET_PIECES : 1);
		size_t room = 0;
		ssize_t bytes;

		if (!n)
			return;
		for (unsigned k = 0; k < n; k++)
			room += iov[k].iov_len;
		iov[n] = (struct iovec){spill, sizeof(spill)};
		bytes = readv(d->fd, iov, (int)n + 1);
		if (bytes < 0 && errno == EIO)
			errno = EAGAIN;
		if (bytes < 0) {
			d->dry = may_work_later(d, errno);
			return;
		}
		if (!bytes || (size_t)bytes > room)
			d->counters.rx_dropped++;
		else
			net_rx_commit(d, (size_t)bytes);
	}
}

const struct net_backend net_tap = {
	.name = "tap",
	.open = open_tap,
	.send = send_frames,
	.receive = receive_frames,
};
