/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_net_stream.c: any bytes as what a guest does to the rings of a device behind passt, and as
 * what passt sends. What goes to passt must be whole frames that may pass, each with its length,
 * however many bytes a write takes; what comes must lie in the buffers; each look must end.
 *
 * The input is a list of steps: one byte what to do, then its operands.
 */
/* sources: monitor/net_rings.c monitor/net_stream.c monitor/err.c */
#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../../monitor/net_backend.h"

#define SOCKET    12345 /* other descriptors are the fuzzer's */
#define BUFFERS   16u
#define FRAME     NOXS_NET_FRAME_BYTES
#define ENTRIES   512u
#define WINDOW    (NOXS_NET_OFF_BUFFERS + BUFFERS * FRAME)
#define LENGTH    4u
#define BYTES     (2 * (LENGTH + NET_MAX_FRAME)) /* net_stream.c's own */
#define MAX_FRAME (14u + NOXS_NET_MAX_MTU)

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

/* ---- passt ---- */

static struct {
	uint8_t frame[LENGTH + MAX_FRAME]; /* the one that has not come whole */
	uint32_t have;
	int write_error;    /* of the next write, once */
	size_t write_most;  /* bytes that it takes, once; 0: all */
	const uint8_t *say; /* what can be read */
	size_t say_bytes;
	bool gone;
} passt;

/* What the host's loopback must not be reached by. */
static void may_pass(const uint8_t *frame, uint32_t bytes)
{
	const unsigned type = frame[12] << 8 | frame[13];
	const uint8_t *ip = frame + 14;

	MUST(type == 0x0806 || type == 0x0800 || type == 0x86dd);
	if (type == 0x0800)
		MUST(bytes >= 34 && ip[16] != 127 && ip[16] != 0 && ip[12] != 127);
	if (type == 0x86dd) {
		static const uint8_t zero[10];

		MUST(bytes >= 54);
		MUST(memcmp(ip + 24, zero, 10) || ip[34] != ip[35] || (ip[34] && ip[34] != 255));
	}
}

ssize_t write(int fd, const void *data, size_t bytes)
{
	const uint8_t *at = data;
	size_t n = bytes;

	if (fd != SOCKET)
		return syscall(SYS_write, fd, data, bytes);
	MUST(bytes && at >= dev.out && at + bytes <= dev.out + BYTES);
	if (passt.write_error) {
		errno = passt.write_error;
		passt.write_error = 0;
		return -1;
	}
	if (passt.write_most && passt.write_most < n)
		n = passt.write_most;
	passt.write_most = 0;
	for (size_t i = 0; i < n; i++) {
		uint32_t length;

		MUST(passt.have < sizeof(passt.frame));
		passt.frame[passt.have++] = at[i];
		if (passt.have < LENGTH)
			continue;
		length = (uint32_t)passt.frame[0] << 24 | (uint32_t)passt.frame[1] << 16 |
			 (uint32_t)passt.frame[2] << 8 | passt.frame[3];
		MUST(length >= 14 && length <= MAX_FRAME);
		if (passt.have < LENGTH + length)
			continue;
		may_pass(passt.frame + LENGTH, length);
		passt.have = 0;
	}
	return (ssize_t)n;
}

ssize_t read(int fd, void *data, size_t bytes)
{
	size_t n = bytes < passt.say_bytes ? bytes : passt.say_bytes;

	if (fd != SOCKET)
		return syscall(SYS_read, fd, data, bytes);
	MUST((uint8_t *)data >= dev.in && (uint8_t *)data + bytes <= dev.in + BYTES);
	if (!n && !passt.gone) {
		errno = EAGAIN;
		return -1;
	}
	memcpy(data, passt.say, n);
	passt.say += n;
	passt.say_bytes -= n;
	return (ssize_t)n;
}

/* ---- the guest ---- */

static uint64_t take(const uint8_t **at, const uint8_t *end, size_t bytes)
{
	uint64_t value = 0;

	if ((size_t)(end - *at) < bytes)
		bytes = (size_t)(end - *at);
	memcpy(&value, *at, bytes);
	*at += bytes;
	return value;
}

static void reset(void)
{
	static const uint32_t offset[] = {NOXS_NET_OFF_FILL, NOXS_NET_OFF_COMP, NOXS_NET_OFF_RX,
					  NOXS_NET_OFF_TX};
	static uint8_t *in, *out;

	/* Of exactly their sizes, and each of its own, so that a byte too many is seen. */
	if (!window) {
		window = malloc(WINDOW);
		in = malloc(BYTES);
		out = malloc(BYTES);
	}
	memset(window, 0, WINDOW);
	memset(&passt, 0, sizeof(passt));
	dev = (struct net_dev){
		.fd = SOCKET,
		.window = window,
		.frame_bytes = FRAME,
		.area = BUFFERS * FRAME,
		.in = in,
		.out = out,
	};
	for (int i = 0; i < NOXS_NET_NRINGS; i++) {
		net_ring_layout(&dev.layout[i], ENTRIES);
		net_ring_at(&dev.ring[i], window + offset[i], &dev.layout[i]);
	}
	for (uint32_t i = 0; i < BUFFERS / 2; i++)
		((uint64_t *)dev.ring[NOXS_NET_FILL].desc)[i] = (uint64_t)i * FRAME;
	*dev.ring[NOXS_NET_FILL].producer = BUFFERS / 2;
}

/* A frame in a buffer of its choice, in one piece or more; as often as it likes. */
static void put(const uint8_t **at, const uint8_t *end, uint8_t what)
{
	static const uint16_t types[] = {0x0608, 0x0008, 0xdd86, 0x0081};
	uint32_t *producer = dev.ring[NOXS_NET_TX].producer;
	struct noxs_net_desc *ring = (struct noxs_net_desc *)dev.ring[NOXS_NET_TX].desc;
	const uint32_t times = (uint32_t)take(at, end, 1) + 1;
	const struct noxs_net_desc desc = {
		.addr = take(at, end, 1) % BUFFERS * FRAME,
		.len = (uint32_t)take(at, end, 2) % (FRAME + 1),
		.options = what >> 5 & 1,
	};
	uint8_t *frame = window + NOXS_NET_OFF_BUFFERS + desc.addr;

	memcpy(frame + 12, &types[what >> 6 & 3], 2);
	for (int i = 0; i < 4; i++) { /* some of its addresses */
		const uint64_t offset = 14 + take(at, end, 1) % 48;

		frame[offset] = (uint8_t)take(at, end, 1);
	}
	for (uint32_t i = 0; i < times; i++)
		ring[(*producer)++ & (ENTRIES - 1)] = desc;
}

static void entry(const uint8_t **at, const uint8_t *end, struct net_ring *r)
{
	if (r == &dev.ring[NOXS_NET_RX] || r == &dev.ring[NOXS_NET_TX]) {
		struct noxs_net_desc *desc = (struct noxs_net_desc *)r->desc;

		desc += *r->producer & (r->entries - 1);
		desc->addr = take(at, end, 8);
		desc->len = (uint32_t)take(at, end, 4);
		desc->options = (uint32_t)take(at, end, 4);
	} else {
		((uint64_t *)r->desc)[*r->producer & (r->entries - 1)] = take(at, end, 8);
	}
	++*r->producer;
}

/* What passt says next: a frame's length that may be right, and bytes. */
static void say(const uint8_t **at, const uint8_t *end)
{
	size_t bytes = take(at, end, 1) * 16;

	bytes = bytes < (size_t)(end - *at) ? bytes : (size_t)(end - *at);
	passt.say = *at;
	passt.say_bytes = bytes;
	*at += bytes;
}

static void look(void)
{
	if (dev.counters.broken)
		return;
	net_stream.send(&dev);
	if (!dev.counters.broken)
		net_stream.receive(&dev);
	MUST(dev.in_bytes <= BYTES && dev.out_at <= dev.out_bytes && dev.out_bytes <= BYTES);
}

static void step(const uint8_t **at, const uint8_t *end)
{
	static const int errors[] = {EAGAIN, EINTR, ENOBUFS, EPIPE};
	uint8_t what = (uint8_t)take(at, end, 1);
	struct net_ring *r = &dev.ring[what & 3];

	switch (what >> 2 & 7) {
	case 0: /* an index */
		*(what & 0x20 ? r->producer : r->consumer) = (uint32_t)take(at, end, 4);
		break;
	case 1:
		entry(at, end, r);
		break;
	case 2:
		put(at, end, what);
		break;
	case 3: /* it takes what there is */
		*r->consumer = *r->producer;
		break;
	case 4:
		say(at, end);
		break;
	case 5:
		passt.write_error = errors[what & 3];
		break;
	case 6:
		passt.write_most = take(at, end, 2);
		passt.gone = what == 0xff;
		break;
	default:
		look();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const uint8_t nothing[NOXS_NET_OFF_FILL];
	const uint8_t *at = data, *end = data + n;

	reset();
	while (at < end)
		step(&at, end);
	look();
	MUST(!memcmp(window, nothing, sizeof(nothing))); /* beside the rings */
	return 0;
}
