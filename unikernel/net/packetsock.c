/* SPDX-License-Identifier: Apache-2.0 */
/* packetsock.c: the calls of packet sockets: packet(7), without its mapped rings. */
#include <asm/ioctls.h>
#include <asm/poll.h>
#include <asm/socket.h>

#include "packet.h"

#define SOL_PACKET 263
#define VLAN_BYTES 4u

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

static void auxiliary(struct sock_msg *m, const struct packet_frame *f, uint32_t bytes,
		      uint32_t skip)
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

/* A struct timespec, or a struct timeval: two longs. */
static void stamp(struct sock_msg *m, uint64_t time_ns, bool fine)
{
	int64_t t[2] = {(int64_t)(time_ns / 1000000000), (int64_t)(time_ns % 1000000000)};

	if (!fine)
		t[1] /= 1000;
	sock_put_cmsg(m, SOL_SOCKET, fine ? SO_TIMESTAMPNS : SO_TIMESTAMP, t, sizeof(t));
}

static long packet_recv(struct sock *s, struct sock_msg *m)
{
	struct packet_sock *p = packet_of(s);
	uint32_t skip = s->type == SOCK_RAW ? 0 : ETH_HLEN, head = 0, bytes, take;
	struct sockaddr_ll *ll = (void *)m->name.raw;
	struct packet_frame *f;

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
		packet_checksum(&f->vnet, f->data, f->bytes);
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
	if (s->timestamps)
		stamp(m, f->time_ns, s->timestamps_ns);
	if (p->auxiliary)
		auxiliary(m, f, bytes, skip);
	if (!(m->flags & MSG_PEEK))
		packet_drop_first(p);
	return (long)(head + (m->flags & MSG_TRUNC ? bytes : take));
}

/* Out of dev, NULL: lo. 0 or -errno. */
static long transmit(struct packet_sock *p, struct net_dev *dev, uint16_t protocol,
		     struct noxs_net_vnet *vnet, uint8_t *data, uint32_t bytes)
{
	struct net_piece piece = {data, bytes};
	struct packet_passing passing = {
		.index = dev ? dev->id + 2 : IF_LOOPBACK_INDEX,
		.outgoing = true,
		.protocol = protocol == if_be16(ETH_P_ALL) ? 0 : protocol,
		.vnet = vnet,
		.piece = &piece,
		.n = 1,
		.sender = p,
	};
	long r;

	if (!dev && vnet->gso_type)
		return -EINVAL;
	if (dev && !dev->segments && vnet->gso_type) {
		r = packet_segments(dev, vnet, data, bytes);
	} else if (dev && dev->segments) {
		r = net_send(dev, vnet, &piece, 1);
	} else {
		if (!packet_checksum(vnet, data, bytes))
			return -EINVAL;
		*vnet = (struct noxs_net_vnet){0};
		r = dev ? net_send(dev, NULL, &piece, 1) : 0;
	}
	if (r)
		return r;
	packet_deliver(&passing);
	if (!dev) {
		passing.outgoing = false;
		passing.protocol = 0;
		passing.sender = NULL;
		packet_deliver(&passing);
	}
	return 0;
}

/* Where a frame is put together: one is at a time. NULL: no memory. */
static uint8_t *workspace(uint32_t bytes)
{
	static uint8_t *space;
	static uint32_t room;

	if (bytes > room) {
		uk_free(space);
		room = uk_max(bytes, 2032u);
		space = uk_alloc(room);
		room = space ? room : 0;
	}
	return space;
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
	data = workspace(bytes);
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
		r = transmit(p, net_if_device(nif.index), protocol, &vnet, data, bytes);
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
	struct packet_sock *p = packet_of(s);

	packet_leave(p);
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
	packet_join(p);
	*s = &p->s;
	return 0;
}
