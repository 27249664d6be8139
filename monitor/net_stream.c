/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net_stream.c: frames over a stream socket, each with its length in front (32 bits, big-endian):
 * the protocol of QEMU's -netdev stream, which passt speaks.
 *
 * Reads and writes are for as many frames as there are, so they go through a buffer each way.
 *
 * What passt reads at once has to end with a frame (that of 2023 goes on with the wrong byte if it
 * does not, and takes what the guest put there for a frame). So frames that no interface sends are
 * not sent, and a write is of whole frames and no larger than what a local socket takes as one
 * piece, all or nothing: 36 KiB, and half of SO_SNDBUF (Linux, unix_stream_sendmsg()).
 *
 * passt connects to whatever address a frame is for, and its own loopback is the host's: so what
 * is for that ends here, where it has been copied and the guest can change it no more.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "net_backend.h"

#define LENGTH    4u
#define MAX_FRAME NET_MAX_FRAME
/* There is room for any frame behind MAX_WRITE bytes, or half of one. */
#define BYTES     (2 * (LENGTH + MAX_FRAME))
#define MAX_READS 4
#define MAX_WRITE 16384u
#define MAX_SENT  (14 + NOXS_NET_MAX_MTU) /* bytes of a frame */

static int open_stream(struct net_dev *d, struct err *err)
{
	int flags = fcntl(d->fd, F_GETFL);
	uint8_t *at =
		mmap(NULL, 2 * BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED)
		return err_set(err, errno, "cannot have a buffer for a net device");
	d->in = at;
	d->out = at + BYTES;
	if (flags < 0 || (!(flags & O_NONBLOCK) && fcntl(d->fd, F_SETFL, flags | O_NONBLOCK)))
		return err_set(err, errno, "cannot use a net device's socket");
	return 0;
}

static void fail(struct net_dev *d, int errnum)
{
	net_break(d, "%s is gone (%s)", d->link.opened.ifname[0] ? d->link.opened.ifname : "passt",
		  errnum ? strerror(errnum) : "it closed the connection");
}

/* Writes what `out` holds: true if that was all. */
static bool flush(struct net_dev *d)
{
	while (d->out_at < d->out_bytes) {
		ssize_t n = write(d->fd, d->out + d->out_at, d->out_bytes - d->out_at);

		d->counters.kicks++;
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			if (errno == EAGAIN)
				d->blocked = NET_POLL;
			else if (errno == ENOBUFS || errno == ENOMEM)
				d->blocked = NET_LATER;
			else
				fail(d, errno);
			return false;
		}
		d->out_at += (uint32_t)n;
	}
	d->out_at = d->out_bytes = 0;
	return true;
}

/* ---- the host's loopback ---- */

#define ETHER     14u /* bytes of a frame's header */
#define IPV4      20u
#define IPV6      40u
#define ARP_TYPE  0x0806
#define IPV4_TYPE 0x0800
#define IPV6_TYPE 0x86dd

/* RFC 1122, 3.2.1.3: 127/8, and 0/8, which connect(2) takes for it. */
static bool v4_is_here(const uint8_t *address)
{
	return address[0] == 127 || address[0] == 0;
}

/* RFC 4291, 2.5: ::, ::1, and ::/96 and ::ffff:0:0/96, IPv4 addresses in another form. */
static bool v6_is_here(const uint8_t *address)
{
	static const uint8_t zero[10];

	return !memcmp(address, zero, 10) &&
	       ((!address[10] && !address[11]) || (address[10] == 255 && address[11] == 255));
}

/* A sender may have no address yet. */
static bool is_unspecified(const uint8_t *address, size_t bytes)
{
	while (bytes && !*address)
		address++, bytes--;
	return !bytes;
}

/* Tags and anything else that could hide an address do not pass. */
static bool may_pass(const uint8_t *frame, size_t bytes)
{
	const uint8_t *ip = frame + ETHER;

	if (bytes < ETHER || bytes > MAX_SENT)
		return false;
	switch (frame[12] << 8 | frame[13]) {
	case ARP_TYPE:
		return true;
	case IPV4_TYPE:
		return bytes >= ETHER + IPV4 && !v4_is_here(ip + 16) &&
		       (!v4_is_here(ip + 12) || is_unspecified(ip + 12, 4));
	case IPV6_TYPE:
		return bytes >= ETHER + IPV6 && !v6_is_here(ip + 24) &&
		       (!v6_is_here(ip + 8) || is_unspecified(ip + 8, 16));
	}
	return false;
}

/* False: it is not one to be sent. */
static bool append(struct net_dev *d, const struct iovec *iov, unsigned n, size_t bytes)
{
	uint32_t length = htonl((uint32_t)bytes), begin = d->out_bytes;

	memcpy(d->out + d->out_bytes, &length, LENGTH);
	d->out_bytes += LENGTH;
	for (unsigned i = 0; i < n; i++) {
		memcpy(d->out + d->out_bytes, iov[i].iov_base, iov[i].iov_len);
		d->out_bytes += (uint32_t)iov[i].iov_len;
	}
	if (may_pass(d->out + begin + LENGTH, bytes))
		return true;
	d->out_bytes = begin;
	return false;
}

static void send_frames(struct net_dev *d)
{
	struct iovec iov[NET_PIECES];
	unsigned budget = NET_BATCH, n;
	size_t bytes;

	d->blocked = NET_FREE;
	if (!flush(d))
		return;
	while ((n = net_tx_frame(d, iov, &bytes, &budget))) {
		net_tx_done(d, append(d, iov, n, bytes), bytes);
		if (d->out_bytes > MAX_WRITE - LENGTH - MAX_SENT && !flush(d))
			return;
	}
	if (d->out_bytes) {
		enum net_blocked why = d->blocked;

		if (flush(d))
			d->blocked = why;
	}
}

/* Gives the guest the frames that `in` holds: true if it took all that are whole. */
static bool give(struct net_dev *d)
{
	uint32_t at = 0, length;
	bool all = true;

	while (all && d->in_bytes - at >= LENGTH) {
		memcpy(&length, d->in + at, LENGTH);
		length = ntohl(length);
		if (length > MAX_FRAME || !length) {
			net_break(d, "passt sent a frame of %u bytes", length);
			return false;
		}
		if (d->in_bytes - at - LENGTH < length)
			break;
		all = net_rx_give(d, d->in + at + LENGTH, length);
		if (all)
			at += LENGTH + length;
	}
	memmove(d->in, d->in + at, d->in_bytes - at);
	d->in_bytes -= at;
	return all;
}

static void receive_frames(struct net_dev *d)
{
	/* Bounded by the guest's buffers, too: it takes none back while we are at it. */
	for (unsigned i = 0; i < MAX_READS && give(d); i++) {
		uint32_t room = BYTES - d->in_bytes;
		ssize_t n = read(d->fd, d->in + d->in_bytes, room);

		if (n <= 0 && !(n < 0 && (errno == EAGAIN || errno == EINTR))) {
			fail(d, n ? errno : 0);
			return;
		}
		d->in_bytes += n > 0 ? (uint32_t)n : 0;
		if (n < (ssize_t)room) { /* that was all there was */
			d->dry = give(d);
			return;
		}
	}
}

const struct net_backend net_stream = {
	.name = "stream",
	.open = open_stream,
	.send = send_frames,
	.receive = receive_frames,
};
