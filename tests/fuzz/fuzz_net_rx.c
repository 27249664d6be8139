/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_net_rx.c: any bytes as what a network does to a VM: frames, in batches, to the library
 * kernel's sockets over lwIP, as they are in a VM but for the driver and the heap, which are here.
 *
 * The input is a list of steps: one byte what to do, then its operands. Frames may be any bytes,
 * but most have headers that lead on: checksums that are right, and for TCP sequence numbers
 * around those that the other side has. Two devices, of which one takes large segments; the other
 * has its addresses from DHCP and routers, too.
 *
 * A frame lies in memory of its own size. None that is sent is larger than its device takes, has a
 * wrong checksum, or is one of very many; and in the end every buffer has come back, and all
 * memory of the network's.
 */
#include "../../unikernel/vfs.h"
#include "../../unikernel/net/inet.h"
#include "../../unikernel/net/stack.h"
#include "../unit/uk_mock.h"

#include <asm/poll.h>
#include <asm/fcntl.h>
#include <asm/socket.h>
#include <linux/tcp.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define MUST(condition)                                                         \
	do {                                                                    \
		if (!(condition)) {                                             \
			fprintf(stderr, "line %d: %s\n", __LINE__, #condition); \
			abort();                                                \
		}                                                               \
	} while (0)

#define DEVICES  2u
#define BUFFERS  48u
#define BUFFER   2048u
#define SLACK    16u
#define WAITING  64u
#define MTU      1500u
#define FRAME    4000u /* of those that come */
#define SENT_MAX 20000u
#define FLOWS    8u
#define FDS      24
#define SECOND   1000000000ull

/* The noxs page is where AddressSanitizer has nothing of its own (uk_mock.c), and lets nobody. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "protect_shadow_gap=0";
}

/* ---- the input ---- */

static const uint8_t *at, *end;

static uint8_t byte(void)
{
	return at < end ? *at++ : 0;
}

static uint32_t word(void)
{
	uint32_t high = byte();

	return high << 8 | byte();
}

static uint32_t some(uint8_t *to, uint32_t max)
{
	uint32_t n = uk_min(max, (uint32_t)(end - at));

	memcpy(to, at, n);
	at += n;
	return n;
}

/* ---- memory.c: each piece is one of malloc's ---- */

static long pieces;
static uint32_t fails_in; /* 0: never */
static bool scarce;

void *net_malloc(size_t bytes)
{
	void *p;

	if (fails_in && !--fails_in)
		return NULL;
	p = malloc(bytes);
	pieces += !!p;
	return p;
}

void *net_calloc(size_t n, size_t bytes)
{
	void *p = net_malloc(n * bytes);

	if (p)
		memset(p, 0, n * bytes);
	return p;
}

void net_free(void *p)
{
	pieces -= !!p;
	free(p);
}

void net_memory_prepare(void)
{
}

bool net_memory_scarce(void)
{
	return scarce;
}

/* ---- driver.c and send.c ---- */

struct net_dev uk_net_dev[NOXS_NET_MAX];
uint32_t uk_net_ndevs = DEVICES;
uint32_t uk_net_unsent;

static struct noxs_net page[DEVICES];
static struct noxs_net_front front[DEVICES];

static struct device {
	void *buffer[BUFFERS];
	uint32_t held;
	struct waiting {
		uint8_t data[FRAME];
		uint32_t bytes, first; /* first: in the first piece */
		bool good;
	} waiting[WAITING];
	uint32_t first, n;
	struct noxs_net_vnet vnet;
} device[DEVICES];

static uint32_t sent, no_room;
static bool refused; /* something was, for want of room */

/* What is known of what was sent: where answers can go on. */
static struct flow {
	bool v6;
	uint8_t dev;
	uint16_t local, remote;
	uint32_t next, expected; /* of its sequence numbers, of ours */
} flow[FLOWS];
static uint32_t nflows;
static uint8_t last[FRAME]; /* of IP, without the Ethernet header */
static uint32_t last_bytes;
static uint8_t dhcp_id[4];

long net_driver_open(struct net_dev *dev)
{
	(void)dev;
	return 0;
}

void net_driver_touch(const struct net_dev *dev)
{
	(void)dev;
}

uint32_t net_driver_buffers(const struct net_dev *dev)
{
	(void)dev;
	return BUFFERS;
}

bool net_driver_renew(struct net_dev *dev)
{
	(void)dev;
	return true;
}

uint32_t net_buffers_left(const struct net_dev *dev)
{
	return BUFFERS - device[dev->id].held;
}

bool net_buffers_back(struct net_dev *dev)
{
	bool back = refused && !no_room;

	(void)dev;
	refused &= !back;
	return back;
}

void net_flush(void)
{
}

void net_flush_late(void)
{
}

void net_waiting(void)
{
}

bool net_spins(void)
{
	return false;
}

bool net_news(void)
{
	return false;
}

void uk_timer_tick_at(uint64_t ns);
void uk_timer_tick_at(uint64_t ns)
{
	(void)ns;
}

void uk_signal_no_restart(void);
void uk_signal_no_restart(void)
{
}

void net_buffer_free(struct net_dev *dev, uint64_t buffer)
{
	struct device *d = &device[dev->id];

	MUST(buffer < BUFFERS && d->buffer[buffer]);
	free(d->buffer[buffer]);
	d->buffer[buffer] = NULL;
	d->held--;
}

/* lwIP reads the first bytes of an IPv6 header, or of an option, and then sees that they are not
 * there. A little behind a frame there is always something: the buffer's rest, or the next one. */
static void add_piece(struct device *d, struct net_frame *f, const uint8_t *data, uint32_t bytes)
{
	uint32_t i = 0;

	while (d->buffer[i])
		i++;
	d->buffer[i] = malloc(uk_max(bytes, 14u + 40u) + SLACK);
	memcpy(d->buffer[i], data, bytes);
	d->held++;
	f->piece[f->npieces].data = d->buffer[i];
	f->piece[f->npieces].bytes = bytes;
	f->piece[f->npieces++].buffer = i;
	f->bytes += bytes;
}

bool net_receive(struct net_dev *dev, struct net_frame *f)
{
	struct device *d = &device[dev->id];

	while (d->n) {
		const struct waiting *w = &d->waiting[d->first];
		uint32_t part = uk_min(w->first, w->bytes);

		d->first = (d->first + 1) % WAITING;
		d->n--;
		if (d->held + 4 > BUFFERS || w->bytes <= 14)
			continue;
		f->vnet = NULL;
		f->bytes = f->npieces = 0;
		if (dev->segments) {
			d->vnet = (struct noxs_net_vnet){.flags = w->good ? 2 : 0};
			f->vnet = &d->vnet;
		}
		for (uint32_t i = 0; i < w->bytes; i += part, part = BUFFER) {
			part = uk_min(uk_min(part, BUFFER), w->bytes - i);
			add_piece(d, f, w->data + i, part);
		}
		return true;
	}
	return false;
}

/* ---- what is sent ---- */

static uint32_t get16(const uint8_t *p)
{
	return (uint32_t)p[0] << 8 | p[1];
}

static uint32_t get32(const uint8_t *p)
{
	return get16(p) << 16 | get16(p + 2);
}

static void put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v);
}

static uint32_t add(uint32_t sum, const uint8_t *p, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		sum += i & 1 ? p[i] : (uint32_t)p[i] << 8;
	return sum;
}

static uint16_t fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

/* Of a packet's transport part, with the pseudo header. */
static uint16_t transport_sum(const uint8_t *ip, bool v6, uint32_t head, uint32_t bytes,
			      int protocol)
{
	uint32_t sum = add(bytes - head, ip + head, bytes - head);

	if (!v6 && protocol == IPPROTO_ICMP)
		return fold(sum - (bytes - head));
	sum += (uint32_t)protocol;
	return fold(v6 ? add(sum, ip + 8, 32) : add(sum, ip + 12, 8));
}

/* ---- the neighbours: whoever is asked for is there ---- */

static const uint8_t neighbour[] = {2, 0, 0, 0, 1, 9};

static struct waiting *put(uint32_t dev, const uint8_t *payload, uint32_t bytes, uint32_t type)
{
	struct device *d = &device[dev];
	struct waiting *w;

	if (d->n == WAITING)
		return NULL;
	w = &d->waiting[(d->first + d->n++) % WAITING];
	memcpy(w->data, page[dev].config.mac, 6);
	memcpy(w->data + 6, neighbour, 6);
	put16(w->data + 12, type);
	bytes = uk_min(bytes, FRAME - 14);
	memcpy(w->data + 14, payload, bytes);
	w->bytes = uk_max(bytes + 14, 15u);
	w->first = BUFFER;
	w->good = true;
	return w;
}

static void answer_arp(uint32_t dev, const uint8_t *asked)
{
	uint8_t arp[28];

	memcpy(arp, asked, 28);
	arp[7] = 2;
	memcpy(arp + 8, neighbour, 6);
	memcpy(arp + 14, asked + 24, 4);
	memcpy(arp + 18, asked + 8, 10);
	put(dev, arp, 28, 0x806);
}

static void answer_solicitation(uint32_t dev, const uint8_t *asked)
{
	uint8_t ip[40 + 32] = {0x60, 0, 0, 0, 0, 32, IPPROTO_ICMPV6, 255};
	uint8_t *advert = ip + 40;

	memcpy(ip + 8, asked + 48, 16);
	memcpy(ip + 24, asked + 8, 16);
	advert[0] = 136;
	advert[4] = 0x60; /* solicited, and this is it */
	memcpy(advert + 8, asked + 48, 16);
	advert[24] = 2, advert[25] = 1;
	memcpy(advert + 26, neighbour, 6);
	put16(advert + 2, (uint16_t)~transport_sum(ip, true, 40, 72, IPPROTO_ICMPV6));
	put(dev, ip, 72, 0x86dd);
}

static bool quiet; /* they are not */
static bool raw;   /* a program sends ICMP */

/* ---- and the rest ---- */

static void remember_tcp(uint8_t dev, bool v6, const uint8_t *tcp, uint32_t bytes)
{
	uint32_t local = get16(tcp), remote = get16(tcp + 2), i;
	uint32_t data = bytes - (tcp[12] >> 4) * 4u, flags = tcp[13];

	for (i = 0; i < nflows; i++)
		if (flow[i].v6 == v6 && flow[i].dev == dev && flow[i].local == local &&
		    flow[i].remote == remote)
			break;
	if (i == FLOWS)
		return;
	if (i == nflows)
		flow[nflows++] = (struct flow){v6, dev, (uint16_t)local, (uint16_t)remote, 0, 0};
	flow[i].next = get32(tcp + 4) + data + !!(flags & 3);
	if (flags & 0x10)
		flow[i].expected = get32(tcp + 8);
}

/* An IP packet that leaves: whole, and remembered. */
static void look_at_sent(const struct net_dev *dev, const uint8_t *ip, uint32_t bytes, bool v6,
			 bool sums)
{
	uint32_t head = v6 ? 40 : (ip[0] & 15) * 4u;
	int protocol = ip[v6 ? 6 : 9];

	MUST(bytes >= head && bytes == (v6 ? 40 + get16(ip + 4) : get16(ip + 2)));
	MUST(v6 || fold(add(0, ip, head)) == 0xffff);
	last_bytes = uk_min(bytes, FRAME);
	memcpy(last, ip, last_bytes);
	if (v6 ? protocol == 44 : get16(ip + 6) & 0x3fff)
		return;
	/* A raw socket's ICMP is summed up by the program. */
	if (sums && (protocol == IPPROTO_TCP || protocol == IPPROTO_ICMPV6 ||
		     (!raw && protocol == IPPROTO_ICMP) ||
		     (protocol == IPPROTO_UDP && (v6 || get16(ip + head + 6)))))
		MUST(transport_sum(ip, v6, head, bytes, protocol) == 0xffff);
	if (!quiet && protocol == IPPROTO_ICMPV6 && ip[40] == 135 && bytes >= 64 && (ip[8] | ip[9]))
		answer_solicitation(dev->id, ip);
	if (protocol == IPPROTO_TCP && bytes >= head + 20)
		remember_tcp((uint8_t)dev->id, v6, ip + head, bytes - head);
	if (!v6 && protocol == IPPROTO_UDP && bytes > head + 236 && get16(ip + head + 2) == 67)
		memcpy(dhcp_id, ip + head + 12, 4);
}

long net_send(struct net_dev *dev, const struct noxs_net_vnet *vnet, const struct net_piece *piece,
	      uint32_t n)
{
	static uint8_t frame[UINT16_MAX + 1];
	uint32_t bytes = 0, type;

	MUST(n && n <= NET_FRAME_PIECES);
	for (uint32_t i = 0; i < n; i++) {
		MUST(piece[i].bytes && piece[i].bytes <= sizeof(frame) - bytes);
		memcpy(frame + bytes, piece[i].data, piece[i].bytes);
		bytes += piece[i].bytes;
	}
	if (no_room && no_room--) {
		refused = true;
		return -ENOBUFS;
	}
	MUST(++sent < SENT_MAX);
	MUST(bytes >= 14 && !(vnet && !dev->segments));
	if (vnet && vnet->gso_type)
		MUST(vnet->gso_size && vnet->hdr_len < bytes &&
		     vnet->hdr_len - 14u + vnet->gso_size <= MTU);
	else
		MUST(bytes <= 14 + MTU);
	type = get16(frame + 12);
	if (type == 0x806 && !quiet && frame[21] == 1 && memcmp(frame + 28, frame + 38, 4))
		answer_arp(dev->id, frame + 14);
	if (type == 0x800 || type == 0x86dd)
		look_at_sent(dev, frame + 14, bytes - 14, type == 0x86dd, !vnet);
	return 0;
}

/* ---- frames that come ---- */

enum { PEER_GATEWAY = 1 };

static void peer_address(uint8_t *to, bool v6, uint8_t dev, uint8_t who)
{
	if (!v6) {
		memcpy(to, (uint8_t[]){10, 9, dev, who}, 4);
		return;
	}
	memset(to, 0, 16);
	if (who & 0x80)
		to[0] = 0xfe, to[1] = 0x80;
	else
		to[0] = 0xfd, to[1] = 9, to[3] = dev;
	to[15] = who & 0x7f;
}

/* An IP header in front of what is in ip + its length; byte-wise changes, then the sums. */
static uint32_t finish(uint8_t *ip, bool v6, uint8_t dev, uint8_t who, int protocol,
		       uint32_t payload, uint8_t options)
{
	static const uint8_t sum_at[] = {
		[IPPROTO_ICMP] = 2, [IPPROTO_TCP] = 16, [IPPROTO_UDP] = 6, [IPPROTO_ICMPV6] = 2};
	uint32_t head = v6 ? 40 : 20, bytes = head + payload;

	memset(ip, 0, head);
	if (v6) {
		ip[0] = 0x60;
		put16(ip + 4, payload);
		ip[6] = (uint8_t)protocol;
		ip[7] = options & 1 ? 64 : 255;
		peer_address(ip + 8, true, dev, who);
		peer_address(ip + 24, true, dev, who & 0x80 && options & 2 ? 0x80 | 2 : 2);
		if (options & 4) { /* all nodes */
			memset(ip + 24, 0, 16);
			ip[24] = 0xff, ip[25] = 2, ip[39] = 1;
		} else if (ip[24] == 0xfe) { /* what it made of its MAC */
			memcpy(ip + 32, (uint8_t[]){0, 0, 0x0a, 0xff, 0xfe, 9, dev, 2}, 8);
		}
	} else {
		ip[0] = 0x45;
		put16(ip + 2, bytes);
		ip[8] = 64;
		ip[9] = (uint8_t)protocol;
		peer_address(ip + 12, false, dev, who);
		peer_address(ip + 16, false, dev, 2);
		if (options & 4)
			memset(ip + 16, 0xff, 4);
	}
	if (options & 8) { /* one byte of the header is another */
		uint8_t where = byte() % (uint8_t)head;

		ip[where] = byte();
	}
	if ((size_t)protocol < sizeof(sum_at) && sum_at[protocol] &&
	    payload >= sum_at[protocol] + 2u) {
		uint8_t *sum = ip + head + sum_at[protocol];

		put16(sum, 0);
		put16(sum, (uint16_t)~transport_sum(ip, v6, head, bytes, protocol));
	}
	if (!v6) {
		put16(ip + 10, 0);
		put16(ip + 10, (uint16_t)~fold(add(0, ip, head)));
	}
	return bytes;
}

static uint32_t tcp_frame(uint8_t *ip, uint8_t *dev, bool *v6)
{
	uint8_t how = byte(), options = byte(), flags = byte();
	struct flow *f = nflows && how & 1 ? &flow[(how >> 1) % nflows] : NULL;
	uint32_t head = 20, n, window;
	uint8_t *tcp;

	if (f) {
		*v6 = f->v6;
		*dev = f->dev;
	}
	tcp = ip + (*v6 ? 40 : 20);
	memset(tcp, 0, 60);
	put16(tcp, f ? f->remote : 2000u + (how >> 1 & 7));
	put16(tcp + 2, f ? f->local : how & 0x80 ? 81 : 80);
	put32(tcp + 4, f ? f->expected : 1000);
	put32(tcp + 8, f ? f->next : 0);
	if (options & 1) /* around what is expected */
		put32(tcp + 4, get32(tcp + 4) + (uint32_t)(int16_t)word());
	if (options & 2)
		put32(tcp + 8, get32(tcp + 8) + (uint32_t)(int16_t)word());
	window = options & 4 ? word() : 65535;
	put16(tcp + 14, window);
	tcp[13] = flags & 0x80 ? flags & 0x3f : f ? 0x10 | (flags & 9) : 2;
	if (options & 8)
		head += some(tcp + 20, byte() % 41u) + 3;
	head &= ~3u;
	tcp[12] = (uint8_t)(head << 2);
	n = options & 0x10 ? some(tcp + head, byte()) : 0;
	if (options & 0x20) { /* much of it */
		n += word() % 1400;
	}
	n = uk_min(n, FRAME - 200);
	if (f && options & 0x40)
		f->expected += n; /* the next goes on behind it */
	return finish(ip, *v6, *dev, f ? PEER_GATEWAY + 8 : PEER_GATEWAY + 8, IPPROTO_TCP, head + n,
		      options & 0x80 ? 8 : 1);
}

static uint32_t udp_frame(uint8_t *ip, uint8_t dev, bool v6)
{
	uint8_t how = byte(), *udp = ip + (v6 ? 40 : 20);
	uint32_t n = 8;

	n += some(udp + 8, how & 1 ? byte() : word() % 1400);
	put16(udp, how & 2 ? 7 : 67);
	put16(udp + 2, how & 4      ? 53
		       : how & 8    ? 68
		       : last_bytes ? get16(last + (v6 ? 40 : 20))
				    : 99);
	put16(udp + 4, how & 0x10 ? word() : n);
	return finish(ip, v6, dev, PEER_GATEWAY + 8, IPPROTO_UDP, n, how >> 5 | 1);
}

static uint32_t dhcp_frame(uint8_t *ip, uint8_t dev)
{
	static const uint8_t cookie[] = {99, 130, 83, 99, 53, 1};
	uint8_t how = byte(), *udp = ip + 20, *dhcp = udp + 8;
	uint32_t n = 8 + 240;

	memset(udp, 0, n);
	put16(udp, 67);
	put16(udp + 2, 68);
	dhcp[0] = 2, dhcp[1] = 1, dhcp[2] = 6;
	memcpy(dhcp + 4, dhcp_id, 4);
	peer_address(dhcp + 16, false, dev, 2);
	memcpy(dhcp + 28, page[dev].config.mac, 6);
	memcpy(dhcp + 236, cookie, 6);
	dhcp[242] = how & 7;
	n += 3;
	if (how & 8) { /* the server's name, and that its lease is not for ever */
		memcpy(udp + n, (uint8_t[]){54, 4, 10, 9, dev, 1, 51, 4, 0, 0, 0, how}, 12);
		n += 12;
	}
	n += some(udp + n, byte());
	udp[n++] = 255;
	put16(udp + 4, n);
	return finish(ip, false, dev, 1, IPPROTO_UDP, n, how & 0x10 ? 4 : 0);
}

static uint32_t icmp_frame(uint8_t *ip, uint8_t dev, bool v6)
{
	uint8_t how = byte(), *icmp = ip + (v6 ? 40 : 20);
	uint32_t n = 8;

	icmp[0] = byte();
	icmp[1] = byte();
	n = 4 + some(icmp + 4, 4);
	if (how & 1) { /* what was sent comes back */
		memcpy(icmp + n, last, uk_min(last_bytes, 600u));
		n += uk_min(last_bytes, 600u);
		if (how & 2)
			icmp[8 + byte()] = byte();
	} else {
		n += some(icmp + n, byte());
	}
	return finish(ip, v6, dev, how & 4 ? 0x80 | 1 : PEER_GATEWAY + 8,
		      v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP, n, how >> 4);
}

static uint32_t other_frame(uint8_t *ip, uint8_t dev, bool v6)
{
	uint8_t how = byte(), protocol = byte(), *payload = ip + (v6 ? 40 : 20);
	uint32_t n = 0;

	if (how & 1 && v6) { /* a fragment */
		protocol = 44;
		memcpy(payload, (uint8_t[]){how & 2 ? 58 : 17, 0, 0, 0, 0, 0, 0, how >> 6}, 8);
		put16(payload + 2, (word() & 0xff8) | (how >> 3 & 1));
		n = 8;
	}
	n += some(payload + n, byte());
	n += how & 4 ? word() % 1200 : 0;
	n = finish(ip, v6, dev, PEER_GATEWAY + 8, protocol, n, how & 0x10 ? 8 : 1);
	if (how & 1 && !v6) {
		ip[9] = how & 2 ? 1 : 17;
		ip[5] = how >> 6;
		put16(ip + 6, (word() & 0x1ff) | (how & 8 ? 0x2000 : 0));
		put16(ip + 10, 0);
		put16(ip + 10, (uint16_t)~fold(add(0, ip, 20)));
	}
	return n;
}

static uint32_t arp_frame(uint8_t *arp, uint8_t dev)
{
	uint8_t how = byte();

	memcpy(arp, (uint8_t[]){0, 1, 8, 0, 6, 4, 0, 1 + (how & 1)}, 8);
	memcpy(arp + 8, (uint8_t[]){2, 0, 0, 0, 1, how >> 4}, 6);
	peer_address(arp + 14, false, dev, how & 2 ? 1 : 9);
	memcpy(arp + 18, page[dev].config.mac, 6);
	peer_address(arp + 24, false, dev, how & 4 ? 77 : 2);
	if (how & 8)
		arp[byte() % 28] = byte();
	return 28;
}

static void frame(uint8_t what)
{
	static uint8_t data[FRAME * 2];
	uint8_t dev = what >> 3 & 1;
	bool v6 = what >> 4 & 1;
	uint32_t type = v6 ? 0x86dd : 0x800, n = 0;
	struct waiting *w;

	memset(data, 'x', sizeof(data));
	switch (what & 7) {
	case 0:
		type = word();
		n = some(data + 14, byte());
		break;
	case 1:
	case 2:
		n = tcp_frame(data + 14, &dev, &v6);
		type = v6 ? 0x86dd : 0x800;
		break;
	case 3:
		n = udp_frame(data + 14, dev, v6);
		break;
	case 4:
		n = icmp_frame(data + 14, dev, v6);
		break;
	case 5:
		n = other_frame(data + 14, dev, v6);
		break;
	case 6:
		n = arp_frame(data + 14, dev);
		type = 0x806;
		break;
	default:
		n = dhcp_frame(data + 14, dev);
		type = 0x800;
	}
	w = put(dev, data + 14, n, type);
	if (!w)
		return;
	n = w->bytes;
	if (what & 0x20) { /* less came */
		w->bytes = uk_max(n - uk_min(n - 15, byte()), 15u);
		w->good = false;
	}
	if (what & 0x40)
		w->first = 15u + byte();
}

/* ---- the program ---- */

static int fds[FDS];
static uint32_t nfds;

static void keep(long fd)
{
	if (fd < 0)
		return;
	if (nfds == FDS)
		CALL(close, fd);
	else
		fds[nfds++] = (int)fd;
}

static struct sockaddr_in6 name(bool v6, uint8_t dev, uint16_t port)
{
	struct sockaddr_in6 a = {.sin6_family = AF_INET6, .sin6_port = lwip_htons(port)};
	uint8_t *to = (uint8_t *)&a.sin6_addr;

	if (!v6) {
		to[10] = to[11] = 0xff;
		to += 12;
	}
	peer_address(to, v6, dev, PEER_GATEWAY + 8);
	return a;
}

static long open_socket(uint32_t type, uint16_t port)
{
	struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_port = lwip_htons(port)};
	long fd = CALL(socket, AF_INET6, type | O_NONBLOCK, 0);

	if (fd >= 0 && port && CALL(bind, fd, &any, sizeof(any)) < 0) {
		CALL(close, fd);
		return -1;
	}
	return fd;
}

static void open_connected(uint32_t type, uint8_t how)
{
	struct sockaddr_in6 to = name(how & 1, how >> 1 & 1, 7);
	long fd = open_socket(type, 0);

	if (fd >= 0)
		CALL(connect, fd, &to, sizeof(to));
	keep(fd);
}

static void program(uint8_t what)
{
	static uint8_t data[70000];
	uint32_t bytes;
	uint8_t *exact;
	int fd;

	if (!nfds)
		return;
	fd = fds[byte() % nfds];
	switch (what & 7) {
	case 0:
		bytes = word();
		exact = malloc(bytes + 1);
		CALL(recvfrom, fd, exact, bytes, what & 8 ? 2 : 0, 0, 0);
		free(exact);
		break;
	case 1:
		CALL(sendto, fd, data, word() + (what & 8 ? 4000 : 0), MSG_NOSIGNAL, 0, 0);
		break;
	case 2:
		keep(CALL(accept4, fd, 0, 0, O_NONBLOCK));
		break;
	case 3: {
		struct pollfd p = {.fd = fd, .events = POLLIN | POLLOUT};

		CALL(poll, &p, 1, 0);
		if (what & 8)
			CALL(shutdown, fd, byte() % 3);
		break;
	}
	case 4: {
		struct sockaddr_in6 to = name(what & 8, what >> 4 & 1, 7);

		CALL(sendto, fd, data, word() % 9000, MSG_NOSIGNAL, &to, sizeof(to));
		break;
	}
	case 5: {
		uint32_t n = 200;

		CALL(getsockopt, fd, IPPROTO_TCP, TCP_INFO, data, &n);
		n = 88 + byte();
		CALL(setsockopt, fd, IPPROTO_TCP, what & 8 ? TCP_MAXSEG : TCP_CORK, &n, 4);
		break;
	}
	case 6:
		open_connected(what & 8 ? SOCK_STREAM : SOCK_DGRAM, byte());
		break;
	default:
		for (uint32_t i = 0; i < nfds; i++)
			if (fds[i] == fd) {
				CALL(close, fd);
				fds[i] = fds[--nfds];
				break;
			}
	}
}

/* ---- one input ---- */

static void serve(uint64_t ns)
{
	sent = 0;
	uk_mock.mono_ns += ns;
	for (int i = 0; i < 50 && uk_net_service(); i++)
		uk_mock.mono_ns += 1000;
	net_late_acks(); /* the program sleeps now */
	uk_net_deadline();
}

static void configure(uint8_t dev)
{
	struct noxs_net_config *c = &page[dev].config;

	*c = (struct noxs_net_config){
		.seq = c->seq + 2,
		.flags = NOXS_NET_LINK_UP | (dev ? NOXS_NET_DHCP | NOXS_NET_SLAAC : 0),
		.generation = c->generation + 1,
		.mac = {2, 0, 0x0a, 9, dev, 2},
		.mtu = MTU,
		.address = {{.family = 6, .prefix = 64}, {.family = dev ? 0 : 4, .prefix = 24}},
		.gateway = {{.family = dev ? 0 : 4}, {.family = dev ? 0 : 6}},
	};
	peer_address(c->address[0].address, true, dev, 2);
	peer_address(c->address[1].address, false, dev, 2);
	peer_address(c->gateway[0].address, false, dev, 1);
	peer_address(c->gateway[1].address, true, dev, 1);
}

static void begin(uint8_t how)
{
	long fd;

	nflows = last_bytes = 0;
	quiet = how & 0x80;
	raw = how & 0x40;
	fd = open_socket(SOCK_STREAM, 80);
	if (fd >= 0)
		CALL(listen, fd, 4);
	keep(fd);
	keep(open_socket(SOCK_DGRAM, 53));
	open_connected(SOCK_DGRAM, how);
	open_connected(SOCK_STREAM, how);
	if (how & 0x10)
		keep(CALL(socket, AF_PACKET, SOCK_RAW | O_NONBLOCK, 0x0300));
	if (how & 0x20)
		keep(CALL(socket, AF_INET6, SOCK_RAW | O_NONBLOCK, IPPROTO_ICMPV6));
	if (how & 0x40)
		keep(CALL(socket, AF_INET, SOCK_RAW | O_NONBLOCK, IPPROTO_ICMP));
}

static long at_rest;

static void over(void)
{
	fails_in = no_room = 0;
	scarce = false;
	while (nfds)
		CALL(close, fds[--nfds]);
	serve(0);
	for (uint32_t i = 0; i < DEVICES; i++)
		configure((uint8_t)i);
	serve(0);
	/* What waits for something is given up after a while: fragments last. */
	for (int i = 0; i < 100 && pieces != at_rest; i++)
		serve(SECOND);
	for (uint32_t i = 0; i < DEVICES; i++)
		MUST(!device[i].held);
}

static long no_wait(uint32_t events, uint64_t deadline_ns)
{
	(void)events;
	MUST(deadline_ns <= uk_mock.mono_ns);
	return 0;
}

static void start(void)
{
	uk_mock.wait = no_wait;
	uk_vfs_init();
	for (uint32_t i = 0; i < DEVICES; i++) {
		configure((uint8_t)i);
		uk_net_dev[i] = (struct net_dev){.id = i,
						 .noxs = &page[i],
						 .front = &front[i],
						 .segments = !i,
						 .generation = 1};
	}
	MUST(!net_stack_start());
	begin(0xff);
	over();
	at_rest = pieces;
}

static void step(uint8_t what)
{
	uint8_t more;

	if (what & 0x80) {
		frame(what);
		return;
	}
	switch (what >> 5) {
	case 0:
		serve((uint64_t)(what & 31) * (what & 31) * 10000000);
		break;
	case 1:
		program(what);
		break;
	case 2:
		more = byte();
		if (what & 1)
			fails_in = more;
		if (what & 2)
			no_room = more & 15;
		scarce = what & 4;
		break;
	default:
		serve(what & 31);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static bool started;

	if (!started) {
		started = true;
		start();
	}
	at = data;
	end = data + n;
	begin(byte());
	while (at < end)
		step(byte());
	over();
	MUST(pieces == at_rest);
	return 0;
}
