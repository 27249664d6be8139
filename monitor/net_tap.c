/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net_tap.c: a tap behind a net device: each frame is one read or one write, straight from or
 * to the guest's buffers. With IFF_VNET_HDR a "frame" is a TCP segment of up to 64 KiB.
 * Linux, Documentation/networking/tuntap.rst; errors: drivers/net/tun.c.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "net_backend.h"

#define NET_MIN_SEGMENT 48 /* bytes of data in one: less is a flood in disguise */

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

enum { NEEDS_CSUM = 1, DATA_VALID = 2, GSO_TCP4 = 1, GSO_TCP6 = 4 };

/*
 * What noxs/net.h lets the guest say before a frame, and no more: the kinds of segments are many,
 * and the kernel's code for them is not to be a guest's playground. bytes: of the frame.
 */
static bool is_vnet_sane(const struct noxs_net_vnet *h, size_t bytes)
{
	if (h->flags & ~(NEEDS_CSUM | DATA_VALID))
		return false;
	if (h->flags & NEEDS_CSUM && (size_t)h->csum_start + h->csum_offset + 2 > bytes)
		return false;
	if (!h->gso_type)
		return true;
	return (h->gso_type == GSO_TCP4 || h->gso_type == GSO_TCP6) && h->flags & NEEDS_CSUM &&
	       h->gso_size >= NET_MIN_SEGMENT && h->hdr_len <= bytes;
}

/* The frame, its header as we have looked at it. -EINVAL: it does not make sense. */
static ssize_t write_frame(struct net_dev *d, struct iovec *iov, unsigned n, size_t bytes)
{
	struct noxs_net_vnet header;
	struct iovec all[NET_PIECES + 1];

	if (!d->vnet)
		return writev(d->fd, iov, (int)n);
	errno = EINVAL;
	if (iov[0].iov_len < sizeof(header) || bytes == sizeof(header))
		return -1;
	memcpy(&header, iov[0].iov_base, sizeof(header));
	if (!is_vnet_sane(&header, bytes - sizeof(header)))
		return -1;
	all[0] = (struct iovec){&header, sizeof(header)};
	iov[0].iov_base = (uint8_t *)iov[0].iov_base + sizeof(header);
	iov[0].iov_len -= sizeof(header);
	if (!iov[0].iov_len) { /* it had a piece of its own */
		iov++;
		n--;
	}
	memcpy(all + 1, iov, n * sizeof(*iov));
	return writev(d->fd, all, (int)n + 1);
}

static void send_frames(struct net_dev *d)
{
	struct iovec iov[NET_PIECES];
	unsigned budget = NET_BATCH, n;
	size_t bytes;

	while ((n = net_tx_frame(d, iov, &bytes, &budget))) {
		ssize_t done = write_frame(d, iov, n, bytes);

		d->counters.kicks++;
		if (done < 0 && errno == EIO)
			net_link_up(d, false);
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
	if (!net_link_is_up(d) && d->blocked == NET_FREE)
		d->blocked = NET_POLL;
}

/* One that is down has no room for frames; it says when it has again. */
static void check(struct net_dev *d)
{
	struct pollfd p = {.fd = d->fd, .events = POLLOUT};

	if (!net_link_is_up(d) && poll(&p, 1, 0) == 1 && p.revents & POLLOUT)
		net_link_up(d, true);
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
	.check = check,
};
