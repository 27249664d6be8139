/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_net_tx.c: any bytes as what a guest does to the rings of its net device, between one
 * look of the monitor's and the next. What is sent must lie in the buffers, what is received
 * too, and each look must end; the indices and the memory beside the buffers are checked.
 *
 * The input is a list of steps: one byte what to do, then its operands.
 */
/* sources: monitor/net_rings.c monitor/net_tap.c monitor/err.c */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../monitor/net_backend.h"

#define BUFFERS 64u
#define FRAME   NOXS_NET_FRAME_BYTES

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define MUST(condition)                                                         \
	do {                                                                    \
		if (!(condition)) {                                             \
			fprintf(stderr, "line %d: %s\n", __LINE__, #condition); \
			abort();                                                \
		}                                                               \
	} while (0)

static struct net_dev dev;
static uint8_t *window;

void net_break(struct net_dev *d, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(d->why, sizeof(d->why), fmt, args);
	va_end(args);
	d->counters.broken = d->why;
}

void net_link_up(struct net_dev *d, bool up)
{
	(void)d;
	(void)up;
}

/* In place of the tap: the pieces of a frame must be the guest's buffers, and nothing else. */
static size_t inside(const struct iovec *iov, int n)
{
	const uint8_t *area = window + NOXS_NET_OFF_BUFFERS;
	size_t bytes = 0;

	MUST(n > 0 && n <= (int)NET_PIECES + 1);
	for (int i = 0; i < n; i++) {
		const uint8_t *at = iov[i].iov_base;

		if (at < area || at >= area + BUFFERS * FRAME)
			continue; /* what spills over: the last of a read's */
		MUST(iov[i].iov_len && iov[i].iov_len <= FRAME);
		MUST((size_t)(at - area) % FRAME + iov[i].iov_len <= FRAME);
		bytes += iov[i].iov_len;
	}
	return bytes;
}

ssize_t writev(int fd, const struct iovec *iov, int n)
{
	size_t bytes = inside(iov, n);

	(void)fd;
	MUST(bytes && bytes <= NET_MAX_FRAME);
	for (int i = 0; i < n; i++) {
		const uint8_t *at = iov[i].iov_base;

		MUST(at >= window + NOXS_NET_OFF_BUFFERS);
	}
	return (ssize_t)bytes;
}

static size_t to_read;

ssize_t readv(int fd, const struct iovec *iov, int n)
{
	size_t room = inside(iov, n), bytes = to_read;

	(void)fd;
	if (!bytes) {
		errno = EAGAIN;
		return -1;
	}
	to_read = 0;
	for (int i = 0; i < n - 1 && bytes; i++) {
		size_t part = bytes < iov[i].iov_len ? bytes : iov[i].iov_len;

		memset(iov[i].iov_base, 'r', part);
		bytes -= part;
	}
	return bytes ? (ssize_t)room + 1 : (ssize_t)room;
}

static uint64_t take(const uint8_t **at, const uint8_t *end, size_t bytes)
{
	uint64_t value = 0;

	if ((size_t)(end - *at) < bytes)
		bytes = (size_t)(end - *at);
	memcpy(&value, *at, bytes);
	*at += bytes;
	return value;
}

static void reset(bool vnet)
{
	static const uint32_t offset[] = {NOXS_NET_OFF_FILL, NOXS_NET_OFF_COMP, NOXS_NET_OFF_RX,
					  NOXS_NET_OFF_TX};

	memset(window, 0, NOXS_NET_OFF_BUFFERS);
	dev = (struct net_dev){
		.window = window,
		.frame_bytes = FRAME,
		.area = BUFFERS * FRAME,
		.vnet = vnet,
	};
	for (int i = 0; i < NOXS_NET_NRINGS; i++) {
		net_ring_layout(&dev.layout[i], 64);
		net_ring_at(&dev.ring[i], window + offset[i], &dev.layout[i]);
	}
}

static void step(const uint8_t **at, const uint8_t *end)
{
	uint8_t what = (uint8_t)take(at, end, 1);
	struct net_ring *r = &dev.ring[what & 3];
	bool wide = r == &dev.ring[NOXS_NET_RX] || r == &dev.ring[NOXS_NET_TX];

	switch (what >> 2 & 7) {
	case 0: /* an index */
		*r->producer = (uint32_t)take(at, end, 4);
		break;
	case 1:
		*r->consumer = (uint32_t)take(at, end, 4);
		break;
	case 2: /* any entry */
		if (wide) {
			struct noxs_net_desc *desc = (struct noxs_net_desc *)r->desc;

			desc += *r->producer & (r->entries - 1);
			desc->addr = take(at, end, 8);
			desc->len = (uint32_t)take(at, end, 4);
			desc->options = (uint32_t)take(at, end, 4);
		} else {
			((uint64_t *)r->desc)[*r->producer & (r->entries - 1)] = take(at, end, 8);
		}
		++*r->producer;
		break;
	case 3: /* a likely one */
		if (wide) {
			struct noxs_net_desc *desc = (struct noxs_net_desc *)r->desc;

			desc += *r->producer & (r->entries - 1);
			desc->addr = take(at, end, 1) % BUFFERS * FRAME;
			desc->len = (uint32_t)take(at, end, 2) % (FRAME + 1);
			desc->options = what >> 5 & 1;
		} else {
			((uint64_t *)r->desc)[*r->producer & (r->entries - 1)] =
				take(at, end, 1) % BUFFERS * FRAME;
		}
		++*r->producer;
		break;
	case 4: /* it takes what there is */
		*r->consumer = *r->producer;
		break;
	case 5:
		to_read = take(at, end, 2);
		break;
	default:
		if (dev.counters.broken)
			break;
		net_tap.send(&dev);
		if (!dev.counters.broken)
			net_tap.receive(&dev);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	const uint8_t *at = data, *end = data + n;

	/* Of exactly that size, so that a byte too many is seen. */
	window = malloc(NOXS_NET_OFF_BUFFERS + BUFFERS * FRAME);
	reset(n & 1);
	to_read = 0;
	while (at < end)
		step(&at, end);
	/* Nothing of ours is written beside the rings. */
	for (size_t i = 0; i < NOXS_NET_OFF_FILL; i++)
		MUST(!window[i]);
	free(window);
	return 0;
}
