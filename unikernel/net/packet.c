/* SPDX-License-Identifier: Apache-2.0 */
/*
 * packet.c: packet sockets (packet(7)): frames as the device has them, past the IP stack.
 *
 * stack.c shows every received frame before lwIP gets it, and every sent one. A frame that
 * anybody wants is copied once, off the driver's buffers, and shared by the sockets' queues.
 * On lo, which has no frames, packet sockets see each other's only.
 */
#include <asm/ioctls.h>
#include <asm/poll.h>
#include <asm/socket.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/sockios.h>
#include <linux/time_types.h>

#include "if.h"
#include "sock.h"

#define PACKET_FRAME_MAX (0x10000u + ETH_HLEN) /* a large segment */
#define SOL_PACKET       263
#define VLAN_BYTES       4u
#define VNET_NEEDS_CSUM  1
#define VNET_DATA_VALID  2

/* One frame, in as many queues as refs says. */
struct frame {
	uint32_t refs;
	uint32_t bytes; /* from the Ethernet header on */
	uint32_t index;
	uint16_t protocol; /* network order */
	uint8_t type;      /* PACKET_* */
	struct noxs_net_vnet vnet;
	uint64_t time_ns;
	uint8_t data[];
};

struct queued {
	struct frame *frame;
	uint32_t bytes; /* of it that the filter lets through */
};

struct packet_sock {
	struct sock s;
	struct packet_sock *next;
	uint32_t index; /* bound to; 0: all */
	uint16_t wants; /* protocol, network order; 0: nothing */
	bool vnet, auxiliary;
	struct net_filter *filter;
	struct queued *queue; /* a ring */
	uint32_t capacity, head, count;
	uint32_t held; /* bytes of memory that the queue accounts for */
	uint32_t packets, drops;
};

uint32_t net_packet_sockets;
static struct packet_sock *sockets;
static uint8_t bare; /* bit per device: nothing but packet sockets wants its frames */

/* ---- checksums ---- */

static uint16_t internet_sum(const uint8_t *data, uint32_t n)
{
	uint64_t sum = 0;

	for (; n >= 4; data += 4, n -= 4) {
		uint32_t word;

		memcpy(&word, data, 4);
		sum += word;
	}
	for (uint32_t i = 0; i < n; i++)
		sum += (uint32_t)data[i] << 8 * i;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

/* A checksum that was left to the device (virtio 1.2, 5.1.6.2); false: it names no place. */
static bool checksum_complete(struct noxs_net_vnet *vnet, uint8_t *data, uint32_t bytes)
{
	uint32_t start = vnet->csum_start, at = start + vnet->csum_offset;
	uint16_t sum;

	if (!(vnet->flags & VNET_NEEDS_CSUM))
		return true;
	if (start >= bytes || at + 2 > bytes)
		return false;
	sum = (uint16_t)~internet_sum(data + start, bytes - start);
	/* Zero says "none" in UDP (RFC 768); all ones are the same number. */
	sum = sum ? sum : 0xffff;
	memcpy(data + at, &sum, 2);
	vnet->flags = VNET_DATA_VALID;
	return true;
}

/* ---- queues ---- */

static void frame_put(struct frame *f)
{
	if (!--f->refs)
		uk_free(f);
}

static uint32_t frame_memory(const struct frame *f)
{
	return (uint32_t)sizeof(*f) + f->bytes + 64;
}

static void queue_drop_first(struct packet_sock *p)
{
	struct frame *f = p->queue[p->head].frame;

	p->held -= frame_memory(f);
	p->head = (p->head + 1) & (p->capacity - 1);
	p->count--;
	frame_put(f);
}

static bool queue_grow(struct packet_sock *p)
{
	uint32_t capacity = p->capacity ? p->capacity * 2 : 16;
	struct queued *queue = uk_alloc(capacity * sizeof(*queue));

	if (!queue)
		return false;
	for (uint32_t i = 0; i < p->count; i++)
		queue[i] = p->queue[(p->head + i) & (p->capacity - 1)];
	uk_free(p->queue);
	p->queue = queue;
	p->capacity = capacity;
	p->head = 0;
	return true;
}

static void queue_add(struct packet_sock *p, struct frame *f)
{
	uint32_t bytes = f->bytes, skip = p->s.type == SOCK_RAW ? 0 : ETH_HLEN;

	if (p->filter) {
		struct net_filter_frame view = {
			.data = f->data + skip,
			.bytes = f->bytes - skip,
			.net = ETH_HLEN - skip,
			.protocol = f->protocol,
			.type = f->type,
			.index = f->index,
			.hardware = f->index == IF_LOOPBACK_INDEX ? ARPHRD_LOOPBACK : ARPHRD_ETHER,
		};

		bytes = net_filter_run(p->filter, &view);
		if (!bytes)
			return;
		bytes = uk_min(bytes, view.bytes) + skip;
	}
	p->packets++;
	if (p->held >= p->s.receive_bytes || (p->count == p->capacity && !queue_grow(p))) {
		p->drops++;
		return;
	}
	f->refs++;
	p->queue[(p->head + p->count++) & (p->capacity - 1)] = (struct queued){f, bytes};
	p->held += frame_memory(f);
	sock_changed(&p->s);
}

/* ---- frames come by ---- */

/* linux/if_ether.h: below 1536 it is the length of an IEEE 802.3 frame. */
static uint16_t frame_protocol(const uint8_t *header, uint32_t bytes)
{
	uint16_t type;

	memcpy(&type, header + 2 * ETH_ALEN, 2);
	if (if_be16(type) >= ETH_P_802_3_MIN)
		return type;
	if (bytes >= ETH_HLEN + 2 && header[ETH_HLEN] == 0xff && header[ETH_HLEN + 1] == 0xff)
		return if_be16(ETH_P_802_3);
	return if_be16(ETH_P_802_2);
}

/* dev NULL: lo, whose addresses, its own and that for all, are zero. */
static uint8_t frame_type(const uint8_t *header, const struct net_dev *dev)
{
	static const uint8_t none[ETH_ALEN], all[ETH_ALEN] = {255, 255, 255, 255, 255, 255};

	if (header[0] & 1)
		return dev && !memcmp(header, all, ETH_ALEN) ? PACKET_BROADCAST : PACKET_MULTICAST;
	return memcmp(header, dev ? dev->noxs->config.mac : none, ETH_ALEN) ? PACKET_OTHERHOST
									    : PACKET_HOST;
}

static bool wants(const struct packet_sock *p, uint32_t index, uint16_t protocol, uint8_t type)
{
	if (!p->wants || (p->index && p->index != index))
		return false;
	return p->wants == if_be16(ETH_P_ALL) || (p->wants == protocol && type != PACKET_OUTGOING);
}

/* To every socket that wants it, but for the one that has sent it. */
static void deliver(uint32_t index, uint8_t type, const struct noxs_net_vnet *vnet,
		    const struct net_piece *piece, uint32_t n, const struct packet_sock *sender)
{
	struct frame *f = NULL;
	uint8_t header[ETH_HLEN + 2] = {0};
	uint32_t bytes = 0, got = 0;
	uint16_t protocol;

	for (uint32_t i = 0; i < n; i++) {
		uint32_t take = uk_min(piece[i].bytes, (uint32_t)sizeof(header) - got);

		memcpy(header + got, piece[i].data, take);
		got += take;
		bytes += piece[i].bytes;
	}
	if (bytes < ETH_HLEN || bytes > PACKET_FRAME_MAX)
		return;
	protocol = frame_protocol(header, bytes);
	if (type != PACKET_OUTGOING)
		type = frame_type(header, net_if_device(index));
	else if (sender && sender->wants && sender->wants != if_be16(ETH_P_ALL))
		protocol = sender->wants; /* what it said that it sends */
	for (struct packet_sock *p = sockets; p; p = p->next) {
		if (p == sender || !wants(p, index, protocol, type))
			continue;
		if (!f) {
			f = uk_alloc(sizeof(*f) + bytes);
			if (!f) {
				p->packets++;
				p->drops++;
				continue;
			}
			f->refs = 1;
			f->bytes = bytes;
			f->index = index;
			f->protocol = protocol;
			f->type = type;
			f->time_ns = uk_realtime_ns();
			if (vnet)
				f->vnet = *vnet;
			for (uint32_t i = 0, at = 0; i < n; at += piece[i++].bytes)
				memcpy(f->data + at, piece[i].data, piece[i].bytes);
		}
		queue_add(p, f);
	}
	if (f)
		frame_put(f);
}

bool net_packet_input(struct net_dev *dev, const struct net_frame *frame)
{
	struct net_piece piece[NET_FRAME_PIECES];
	uint32_t n = uk_min(frame->npieces, (uint32_t)NET_FRAME_PIECES);

	for (uint32_t i = 0; i < n; i++)
		piece[i] = (struct net_piece){frame->piece[i].data, frame->piece[i].bytes};
	deliver(dev->id + 2, PACKET_HOST, frame->vnet, piece, n, NULL);
	return bare >> dev->id & 1;
}

void net_packet_output(struct net_dev *dev, const struct net_piece *piece, uint32_t n)
{
	deliver(dev->id + 2, PACKET_OUTGOING, NULL, piece, n, NULL);
}

void net_packet_addresses_changed(void)
{
	bare = 0;
	for (uint32_t i = 0; i < uk_net_ndevs; i++) {
		const struct net_dev *dev = &uk_net_dev[i];
		const struct noxs_net_config *c = &dev->noxs->config;
		struct net_if nif;
		bool has = c->flags & (NOXS_NET_DHCP | NOXS_NET_SLAAC);

		for (uint32_t j = 0; j < NOXS_NET_ADDRESSES; j++)
			has |= c->address[j].family != 0;
		if (!has && net_if_get(dev->id + 2, &nif) && !nif.ip4)
			bare |= (uint8_t)(1u << dev->id);
	}
}

/* ---- calls ---- */

static struct packet_sock *packet_of(struct sock *s)
{
	return (struct packet_sock *)s;
}

static long packet_bind(struct sock *s, const struct sock_address *at)
{
	struct packet_sock *p = packet_of(s);
	const struct sockaddr_ll *ll = (const void *)at->raw;
	struct net_if nif;

	if (at->bytes < sizeof(*ll) || ll->sll_family != AF_PACKET)
		return -EINVAL;
	if (ll->sll_ifindex && !net_if_get((uint32_t)ll->sll_ifindex, &nif))
		return -ENODEV;
	p->index = (uint32_t)ll->sll_ifindex;
	if (ll->sll_protocol)
		p->wants = s->protocol = ll->sll_protocol;
	s->error = p->index && !(nif.flags & IFF_UP) ? ENETDOWN : 0;
	net_packet_addresses_changed();
	return 0;
}

static void link_address(struct sockaddr_ll *ll, uint32_t index, uint16_t protocol)
{
	ll->sll_family = AF_PACKET;
	ll->sll_protocol = protocol;
	ll->sll_ifindex = (int)index;
	ll->sll_hatype = index == IF_LOOPBACK_INDEX ? ARPHRD_LOOPBACK : ARPHRD_ETHER;
	ll->sll_halen = ETH_ALEN;
}

static long packet_name(struct sock *s, bool peer, struct sock_address *out)
{
	struct packet_sock *p = packet_of(s);
	struct sockaddr_ll *ll = (void *)out->raw;
	struct net_if nif;

	if (peer)
		return -EOPNOTSUPP;
	memset(ll, 0, sizeof(*ll));
	link_address(ll, p->index, p->wants);
	if (net_if_get(p->index, &nif)) {
		memcpy(ll->sll_addr, nif.mac, ETH_ALEN);
	} else {
		ll->sll_hatype = 0;
		ll->sll_halen = 0;
	}
	out->bytes = offsetof(struct sockaddr_ll, sll_addr) + ll->sll_halen;
	return 0;
}

static void auxiliary(struct sock_msg *m, const struct frame *f, uint32_t bytes, uint32_t skip)
{
	struct tpacket_auxdata aux = {
		.tp_status = TP_STATUS_USER,
		.tp_len = f->bytes - skip,
		.tp_snaplen = bytes,
		.tp_net = (uint16_t)(ETH_HLEN - skip),
	};

	if (f->vnet.flags & VNET_NEEDS_CSUM)
		aux.tp_status |= TP_STATUS_CSUMNOTREADY;
	sock_put_cmsg(m, SOL_PACKET, PACKET_AUXDATA, &aux, sizeof(aux));
}

static long packet_recv(struct sock *s, struct sock_msg *m)
{
	struct packet_sock *p = packet_of(s);
	uint32_t skip = s->type == SOCK_RAW ? 0 : ETH_HLEN, head = 0, bytes, take;
	struct sockaddr_ll *ll = (void *)m->name.raw;
	struct frame *f;

	if (m->flags & ~(uint32_t)(MSG_PEEK | MSG_DONTWAIT | MSG_TRUNC | MSG_CMSG_CLOEXEC |
				   MSG_NOSIGNAL | MSG_WAITFORONE))
		return -EINVAL;
	if (s->error)
		return sock_take_error(s);
	if (!p->count)
		return -EAGAIN;
	f = p->queue[p->head].frame;
	bytes = p->queue[p->head].bytes - skip;
	/* Who does not ask for the header shall have whole frames. */
	if (!p->vnet && !f->vnet.gso_type)
		checksum_complete(&f->vnet, f->data, f->bytes);
	if (p->vnet) {
		head = sizeof(f->vnet);
		if (m->bytes < head)
			return -EINVAL;
		if (sock_copy_out(m, 0, &f->vnet, head) < 0)
			return -EFAULT;
	}
	take = (uint32_t)uk_min(m->bytes - head, (size_t)bytes);
	if (sock_copy_out(m, head, f->data + skip, take) < 0)
		return -EFAULT;
	if (take < bytes)
		m->out_flags |= MSG_TRUNC;
	memset(ll, 0, sizeof(*ll));
	link_address(ll, f->index, f->protocol);
	ll->sll_pkttype = f->type;
	memcpy(ll->sll_addr, f->data + ETH_ALEN, ETH_ALEN);
	m->name.bytes = sizeof(*ll);
	if (s->timestamps) {
		struct __kernel_old_timeval tv = {(long)(f->time_ns / 1000000000),
						  (long)(f->time_ns % 1000000000 / 1000)};

		sock_put_cmsg(m, SOL_SOCKET, SO_TIMESTAMP, &tv, sizeof(tv));
	}
	if (p->auxiliary)
		auxiliary(m, f, bytes, skip);
	if (!(m->flags & MSG_PEEK))
		queue_drop_first(p);
	return (long)(head + (m->flags & MSG_TRUNC ? bytes : take));
}

/* Out of dev, NULL: lo. 0 or -errno. */
static long transmit(struct packet_sock *p, struct net_dev *dev, struct noxs_net_vnet *vnet,
		     uint8_t *data, uint32_t bytes)
{
	struct net_piece piece = {data, bytes};
	uint32_t index = dev ? dev->id + 2 : IF_LOOPBACK_INDEX;

	if (!dev || !dev->segments) {
		if (vnet->gso_type || !checksum_complete(vnet, data, bytes))
			return -EINVAL;
		*vnet = (struct noxs_net_vnet){0};
	}
	if (dev) {
		long r = net_send(dev, dev->segments ? vnet : NULL, &piece, 1);

		if (r)
			return r;
	}
	deliver(index, PACKET_OUTGOING, vnet, &piece, 1, p);
	if (!dev)
		deliver(index, PACKET_HOST, vnet, &piece, 1, NULL);
	return 0;
}

/* Where to: the interface's index, or -errno. */
static long target(struct packet_sock *p, const struct sock_address *to, uint16_t *protocol,
		   const struct sockaddr_ll **ll)
{
	*ll = NULL;
	*protocol = p->wants;
	if (!to->bytes)
		return p->index;
	*ll = (const void *)to->raw;
	if (to->bytes < sizeof(**ll))
		return -EINVAL;
	if ((*ll)->sll_halen > sizeof((*ll)->sll_addr))
		return -EINVAL;
	*protocol = (*ll)->sll_protocol;
	return (uint32_t)(*ll)->sll_ifindex;
}

static long packet_send(struct sock *s, struct sock_msg *m)
{
	struct packet_sock *p = packet_of(s);
	uint32_t head = p->vnet ? sizeof(struct noxs_net_vnet) : 0;
	uint32_t skip = s->type == SOCK_RAW ? 0 : ETH_HLEN, most;
	struct noxs_net_vnet vnet = {0};
	const struct sockaddr_ll *ll;
	struct net_if nif;
	uint16_t protocol;
	uint8_t *data;
	uint32_t bytes;
	long r = target(p, &m->name, &protocol, &ll);

	if (r < 0)
		return r;
	if (!net_if_get((uint32_t)r, &nif))
		return -ENXIO;
	if (skip && (!ll || ll->sll_halen < ETH_ALEN))
		return -EINVAL;
	if (!(nif.flags & IFF_UP))
		return -ENETDOWN;
	if (m->bytes < head)
		return -EINVAL;
	if (head && sock_copy_in(m, 0, &vnet, head) < 0)
		return -EFAULT;
	most = vnet.gso_type ? PACKET_FRAME_MAX : nif.mtu + ETH_HLEN + VLAN_BYTES;
	if (m->bytes - head + skip > most)
		return -EMSGSIZE;
	bytes = (uint32_t)m->bytes - head + skip;
	if (bytes < ETH_HLEN)
		return -EINVAL;
	data = uk_alloc(bytes);
	if (!data)
		return -ENOBUFS;
	if (skip) {
		memcpy(data, ll->sll_addr, ETH_ALEN);
		memcpy(data + ETH_ALEN, nif.mac, ETH_ALEN);
		memcpy(data + 2 * ETH_ALEN, &protocol, 2);
	}
	r = sock_copy_in(m, head, data + skip, bytes - skip) < 0 ? -EFAULT : 0;
	/* Only a VLAN's tag may make it longer than the MTU. */
	if (!r && !vnet.gso_type && bytes > nif.mtu + ETH_HLEN &&
	    (data[12] != (ETH_P_8021Q >> 8) || data[13] != (ETH_P_8021Q & 255)))
		r = -EMSGSIZE;
	if (!r)
		r = transmit(p, net_if_device(nif.index), &vnet, data, bytes);
	uk_free(data);
	/* As on Linux, poll does not know of a full device. */
	if (r == -ENOBUFS && !(m->flags & MSG_DONTWAIT) && !(s->file->flags & O_NONBLOCK))
		r = -EAGAIN;
	return r ? r : (long)m->bytes;
}

/* ---- options ---- */

static long set_flag(const void *val, uint32_t bytes, bool *flag)
{
	int v;

	if (bytes < sizeof(v))
		return -EINVAL;
	memcpy(&v, val, sizeof(v));
	*flag = v;
	return 0;
}

/* The device receives what reaches it anyway: what the other side lets through. */
static long membership(const void *val, uint32_t bytes)
{
	struct packet_mreq m;
	struct net_if nif;

	if (bytes < sizeof(m))
		return -EINVAL;
	memcpy(&m, val, sizeof(m));
	if (!net_if_get((uint32_t)m.mr_ifindex, &nif))
		return -ENODEV;
	if (m.mr_alen > ETH_ALEN && m.mr_type != PACKET_MR_PROMISC &&
	    m.mr_type != PACKET_MR_ALLMULTI)
		return -EINVAL;
	return m.mr_type <= PACKET_MR_UNICAST ? 0 : -EINVAL;
}

static long packet_setopt(struct sock *s, int level, int name, const void *val, uint32_t bytes)
{
	struct packet_sock *p = packet_of(s);
	struct net_filter *filter = NULL;
	long r;

	if (level == SOL_SOCKET && (name == SO_ATTACH_FILTER || name == SO_DETACH_FILTER)) {
		if (name == SO_DETACH_FILTER && !p->filter)
			return -ENOENT;
		r = name == SO_ATTACH_FILTER ? net_filter_make(val, bytes, &filter) : 0;
		if (r)
			return r;
		uk_free(p->filter);
		p->filter = filter;
		return 0;
	}
	if (level != SOL_PACKET)
		return -ENOPROTOOPT;
	switch (name) {
	case PACKET_ADD_MEMBERSHIP:
	case PACKET_DROP_MEMBERSHIP:
		return membership(val, bytes);
	case PACKET_AUXDATA:
		return set_flag(val, bytes, &p->auxiliary);
	case PACKET_VNET_HDR:
		return s->type == SOCK_RAW ? set_flag(val, bytes, &p->vnet) : -EINVAL;
	default:
		return -ENOPROTOOPT;
	}
}

static long packet_getopt(struct sock *s, int level, int name, void *val, uint32_t *bytes)
{
	struct packet_sock *p = packet_of(s);
	struct tpacket_stats stats = {.tp_packets = p->packets, .tp_drops = p->drops};
	int flag;
	const void *from = &flag;
	uint32_t n = sizeof(flag);

	if (level != SOL_PACKET)
		return -ENOPROTOOPT;
	switch (name) {
	case PACKET_STATISTICS: /* since they were last asked for */
		p->packets = p->drops = 0;
		from = &stats;
		n = sizeof(stats);
		break;
	case PACKET_AUXDATA:
		flag = p->auxiliary;
		break;
	case PACKET_VNET_HDR:
		flag = p->vnet;
		break;
	default:
		return -ENOPROTOOPT;
	}
	*bytes = uk_min(*bytes, n);
	memcpy(val, from, *bytes);
	return 0;
}

static long packet_ioctl(struct sock *s, uint32_t cmd, uint64_t arg)
{
	struct packet_sock *p = packet_of(s);
	int n = 0;

	if (cmd != FIONREAD && cmd != TIOCOUTQ)
		return -ENOTTY;
	if (cmd == FIONREAD && p->count)
		n = (int)p->queue[p->head].bytes;
	return uk_copy_out(arg, &n, sizeof(n)) ? -EFAULT : 0;
}

static uint32_t packet_poll(struct sock *s)
{
	return POLLOUT | POLLWRNORM | POLLWRBAND | (packet_of(s)->count ? POLLIN | POLLRDNORM : 0) |
	       (s->error ? POLLERR : 0);
}

static void packet_close(struct sock *s)
{
	struct packet_sock *p = packet_of(s), **at = &sockets;

	while (*at != p)
		at = &(*at)->next;
	*at = p->next;
	net_packet_sockets--;
	while (p->count)
		queue_drop_first(p);
	uk_free(p->queue);
	uk_free(p->filter);
	uk_free(p);
}

static const struct sock_ops packet_ops = {
	.bind = packet_bind,
	.send = packet_send,
	.recv = packet_recv,
	.name = packet_name,
	.setopt = packet_setopt,
	.getopt = packet_getopt,
	.ioctl = packet_ioctl,
	.poll = packet_poll,
	.close = packet_close,
};

long packet_socket(uint16_t type, uint16_t protocol, struct sock **s)
{
	struct packet_sock *p;
	long r;

	if (UK_NOXS->uid)
		return -EPERM; /* no CAP_NET_RAW */
	if (type != SOCK_RAW && type != SOCK_DGRAM)
		return -ESOCKTNOSUPPORT;
	r = net_stack_start();
	if (r)
		return r;
	p = uk_alloc(sizeof(*p));
	if (!p)
		return -ENOBUFS;
	sock_init(&p->s, &packet_ops, AF_PACKET, type, protocol);
	p->wants = protocol;
	p->next = sockets;
	sockets = p;
	net_packet_sockets++;
	net_packet_addresses_changed();
	*s = &p->s;
	return 0;
}
