/* SPDX-License-Identifier: Apache-2.0 */
/* udp.c: SOCK_DGRAM over UDP: udp(7). */
#include <linux/udp.h>

#include "inet.h"
#include "stack.h"

#include "lwip/etharp.h"
#include "lwip/udp.h"

struct udp_sock {
	struct dgram_sock d;
	struct udp_pcb *pcb;
};

static struct udp_sock *udp_of(struct sock *s)
{
	return (struct udp_sock *)s;
}

#define UDP_MAX 65507u /* an IP packet's 65535, less the headers */

static void udp_came(void *arg, struct udp_pcb *pcb, struct pbuf *p, const ip_addr_t *from,
		     u16_t port)
{
	dgram_put(arg, p, from, port);
}

static void udp_tuned(struct sock *s)
{
	struct inet_sock *i = inet_of(s);
	struct udp_pcb *pcb = udp_of(s)->pcb;

	if (s->broadcast)
		ip_set_option(pcb, SOF_BROADCAST);
	else
		ip_reset_option(pcb, SOF_BROADCAST);
	/* So that a multicast reaches all who share the port. */
	if (s->reuse_address || s->reuse_port)
		ip_set_option(pcb, SOF_REUSEADDR);
	pcb->netif_idx = (uint8_t)s->bound_if;
	pcb->ttl = (uint8_t)(s->ttl < 0 ? UDP_TTL : s->ttl);
	pcb->tos = (uint8_t)uk_max(s->tos, 0);
	pcb->mcast_ttl = (uint8_t)i->multicast_ttl;
	pcb->mcast_ifindex = (uint8_t)i->multicast_if;
	if (i->multicast_loop)
		udp_set_flags(pcb, UDP_FLAGS_MULTICAST_LOOP);
	else
		udp_clear_flags(pcb, UDP_FLAGS_MULTICAST_LOOP);
	if (!i->local_port) {
		IP_SET_TYPE_VAL(pcb->local_ip, inet_type(i));
		IP_SET_TYPE_VAL(pcb->remote_ip, inet_type(i));
	}
}

/* Takes a port (0: any), in our table and in lwIP's list. */
static long udp_take(struct udp_sock *u, const ip_addr_t *ip, uint16_t port)
{
	long r = inet_take_port(&u->d.i, ip, port);

	if (r)
		return r;
	/* lwIP looks for a port of its own; who may have which is decided above. */
	if (!u->pcb->local_port && udp_bind(u->pcb, ip, 0) != ERR_OK) {
		inet_free_port(&u->d.i);
		return -EADDRINUSE;
	}
	u->pcb->local_ip = *ip;
	u->pcb->local_port = u->d.i.local_port;
	return 0;
}

static long udp_auto_take(struct udp_sock *u)
{
	ip_addr_t any = u->d.i.local;

	if (u->d.i.local_port)
		return 0;
	return udp_take(u, &any, 0) ? -EAGAIN : 0;
}

static long udp_sock_bind(struct sock *s, const struct sock_address *at)
{
	struct udp_sock *u = udp_of(s);
	struct sock_address any = *at;
	ip_addr_t ip;
	uint16_t port;
	long r;

	/* AF_UNSPEC with no address is taken for AF_INET (bind in af_inet.c). */
	if (s->family == AF_INET && at->bytes >= sizeof(struct sockaddr_in) && !at->family)
		any.family = AF_INET;
	r = inet_parse(&u->d.i, &any, &ip, &port);
	if (!r && any.family != at->family && !ip_addr_isany(&ip))
		r = -EAFNOSUPPORT;
	if (!r && s->family == AF_INET6 && at->family != AF_INET6)
		r = -EAFNOSUPPORT;
	if (!r)
		r = inet_check_local(&u->d.i, &ip);
	if (r)
		return r;
	if (u->d.i.local_port)
		return -EINVAL;
	if (ip_addr_isany(&ip) && !IP_IS_V4(&ip))
		IP_SET_TYPE_VAL(ip, inet_type(&u->d.i));
	r = udp_take(u, &ip, port);
	if (r)
		return r;
	u->d.i.fixed_address = !ip_addr_isany(&ip);
	u->d.i.fixed_port = port;
	return 0;
}

/* Its peer, and what came with it; the port, too, where nobody chose it, but not for another
 * peer's sake. */
static void disconnect(struct udp_sock *u, bool port_too)
{
	struct inet_sock *i = &u->d.i;

	u->d.connected = false;
	i->remote_port = 0;
	ip_addr_set_any(i->s.family == AF_INET6, &i->remote);
	udp_disconnect(u->pcb);
	if (port_too && !i->fixed_port) {
		inet_free_port(i);
		i->local_port = u->pcb->local_port = 0;
	}
	if (!i->fixed_address) {
		memset(&i->local, 0, sizeof(i->local));
		IP_SET_TYPE(&i->local, inet_type(i));
		u->pcb->local_ip = i->local;
	}
	IP_SET_TYPE_VAL(u->pcb->remote_ip, inet_type(i));
	udp_tuned(&i->s);
}

static long udp_sock_connect(struct sock *s, const struct sock_address *to)
{
	struct udp_sock *u = udp_of(s);
	struct inet_sock *i = &u->d.i;
	const ip_addr_t *source;
	ip_addr_t ip;
	uint16_t port;
	long r;

	if (to->bytes < sizeof(to->family))
		return -EINVAL;
	if (to->family == AF_UNSPEC) {
		if (u->d.connected)
			disconnect(u, true);
		return 0;
	}
	r = inet_parse(i, to, &ip, &port);
	if (r)
		return r;
	inet_loopback_if_any(&ip);
	if (u->d.connected)
		disconnect(u, false);
	r = inet_check_peer(i, &ip, &source);
	if (r)
		return r;
	ip_addr_t from = *source;

	r = udp_auto_take(u);
	if (r)
		return r;
	icmp_listen();
	if (IP_IS_ANY_TYPE_VAL(i->local) || ip_addr_isany(&i->local)) {
		i->local = from;
		u->pcb->local_ip = from;
	}
	if (udp_connect(u->pcb, &ip, port) != ERR_OK)
		return -EINVAL;
	i->remote = u->pcb->remote_ip;
	i->remote_port = port;
	u->d.connected = true;
	return 0;
}

static struct {
	struct netif *netif; /* NULL: nothing was sent, or it went */
	ip4_addr_t hop;
} last_sent;

/* Remembers the next hop of a datagram to elsewhere. */
static void sent_to(const struct dgram_target *t)
{
	const ip4_addr_t *to = ip_2_ip4(&t->to);

	if (!IP_IS_V4(&t->to) || ip_addr_ismulticast(&t->to) ||
	    ip_addr_isbroadcast(&t->to, t->netif) || !(t->netif->flags & NETIF_FLAG_ETHARP))
		return;
	last_sent.netif = t->netif;
	last_sent.hop = ip4_addr_netcmp(to, netif_ip4_addr(t->netif), netif_ip4_netmask(t->netif))
				? *to
				: *netif_ip4_gw(t->netif);
}

bool udp_unresolved(void)
{
	struct eth_addr *mac;
	const ip4_addr_t *ip;

	if (!last_sent.netif || ip4_addr_cmp(&last_sent.hop, netif_ip4_addr(last_sent.netif)))
		return false;
	if (etharp_find_addr(last_sent.netif, &last_sent.hop, &mac, &ip) < 0)
		return true;
	last_sent.netif = NULL;
	return false;
}

/* IP_MTU_DISCOVER, IPV6_DONTFRAG: what nobody may cut is as large as its way takes, or as the
 * interface, for who finds that out himself (RFC 8899). */
static long udp_check_whole(const struct inet_sock *i, const struct dgram_target *t, size_t bytes)
{
	const struct net_iface *iface = net_iface_of(t->netif);
	bool v6 = IP_IS_V6(&t->to);
	uint16_t mtu;

	if (!iface || ((i->mtu_discover < IP_PMTUDISC_DO || i->mtu_discover == IP_PMTUDISC_OMIT) &&
		       !(v6 && i->no_fragments)))
		return 0;
	mtu = v6 ? iface->mtu6 : iface->mtu;
	if (i->mtu_discover < IP_PMTUDISC_PROBE)
		mtu = net_pmtu(&t->to, mtu);
	return bytes + UDP_HLEN + (v6 ? IP6_HLEN : IP_HLEN) > mtu ? -EMSGSIZE : 0;
}

static long udp_sock_send(struct sock *s, struct sock_msg *m)
{
	struct udp_sock *u = udp_of(s);
	struct dgram_target t;
	struct pbuf *p;
	err_t e;
	long r;

	if (m->bytes > 0xffff)
		return -EMSGSIZE;
	if (m->flags & MSG_OOB)
		return -EOPNOTSUPP;
	r = dgram_target(&u->d, m, &t);
	if (r)
		return r;
	if (!t.port)
		return -EINVAL;
	if (s->error)
		return sock_take_error(s);
	if (s->write_shut)
		return -EPIPE;
	r = udp_check_whole(&u->d.i, &t, m->bytes);
	if (!r)
		r = udp_auto_take(u);
	if (!r)
		r = dgram_take_in(m, UDP_MAX + (IP_IS_V6(&t.to) ? 20 : 0), &p);
	if (r)
		return r;
	if (t.ttl >= 0)
		u->pcb->ttl = u->pcb->mcast_ttl = (uint8_t)t.ttl;
	if (t.tos >= 0)
		u->pcb->tos = (uint8_t)t.tos;
	sent_to(&t);
	net_dont_fragment =
		u->d.i.mtu_discover == IP_PMTUDISC_DO || u->d.i.mtu_discover == IP_PMTUDISC_PROBE;
	e = udp_sendto_if_src(u->pcb, p, &t.to, t.port, t.netif, &t.source);
	net_dont_fragment = false;
	pbuf_free(p);
	if (t.ttl >= 0 || t.tos >= 0)
		udp_tuned(s);
	/* A device that has no buffer now: Linux's queue would drop it, too. */
	if (e != ERR_OK && e != ERR_MEM)
		return inet_errno(e);
	return (long)m->bytes;
}

void udp_failed(const ip_addr_t *to, uint16_t port, uint16_t local_port, int error, bool hard)
{
	for (struct udp_pcb *pcb = udp_pcbs; pcb; pcb = pcb->next) {
		struct dgram_sock *d = pcb->recv_arg;

		if (pcb->recv != udp_came || pcb->local_port != local_port || !d->connected ||
		    pcb->remote_port != port || !ip_addr_cmp(&pcb->remote_ip, to))
			continue;
		if (!hard && !d->i.receive_errors)
			return;
		if (error == EMSGSIZE && d->i.mtu_discover == IP_PMTUDISC_DONT)
			return;
		d->i.s.error = error;
		sock_ready(&d->i.s, POLLERR);
		return;
	}
}

bool udp_has_sent(const ip_addr_t *from, uint16_t local_port, const ip_addr_t *to, uint16_t port)
{
	for (const struct udp_pcb *pcb = udp_pcbs; pcb; pcb = pcb->next)
		if (pcb->local_port == local_port &&
		    (ip_addr_isany(&pcb->local_ip) || ip_addr_cmp(&pcb->local_ip, from)) &&
		    (!(pcb->flags & UDP_FLAGS_CONNECTED) ||
		     (pcb->remote_port == port && ip_addr_cmp(&pcb->remote_ip, to))))
			return true;
	return false;
}

static long udp_setopt(struct sock *s, int level, int name, const void *val, uint32_t bytes)
{
	if (level != IPPROTO_UDP)
		return inet_setopt(s, level, name, val, bytes);
	if (bytes < sizeof(int))
		return -EINVAL;
	switch (name) {
	case UDP_NO_CHECK6_TX:
	case UDP_NO_CHECK6_RX:
		return 0;
	default: /* UDP_CORK, UDP_SEGMENT, UDP_GRO: programs do without where they are not */
		return -ENOPROTOOPT;
	}
}

static long udp_getopt(struct sock *s, int level, int name, void *val, uint32_t *bytes)
{
	return level == IPPROTO_UDP ? -ENOPROTOOPT : inet_getopt(s, level, name, val, bytes);
}

static void udp_sock_close(struct sock *s)
{
	udp_remove(udp_of(s)->pcb);
	dgram_fini(dgram_of(s));
	uk_free(s);
}

static const struct sock_ops udp_ops = {
	.bind = udp_sock_bind,
	.connect = udp_sock_connect,
	.send = udp_sock_send,
	.recv = dgram_recv,
	.shutdown = dgram_shutdown,
	.name = inet_name,
	.setopt = udp_setopt,
	.getopt = udp_getopt,
	.ioctl = dgram_ioctl,
	.poll = dgram_poll,
	.close = udp_sock_close,
	.tuned = udp_tuned,
};

long udp_socket(uint16_t family, struct sock **s)
{
	struct udp_sock *u = uk_alloc(sizeof(*u));

	if (!u)
		return -ENOMEM;
	inet_init(&u->d.i, &udp_ops, family, SOCK_DGRAM, IPPROTO_UDP);
	dgram_init(&u->d);
	u->pcb = udp_new_ip_type(inet_type(&u->d.i));
	if (!u->pcb) {
		uk_free(u);
		return -ENOBUFS;
	}
	udp_recv(u->pcb, udp_came, u);
	*s = &u->d.i.s;
	udp_tuned(*s);
	return 0;
}
