/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inet.c: AF_INET and AF_INET6: addresses, who has which port, and which way a packet goes.
 * ip(7), ipv6(7); which errors, and when: Linux's net/ipv4/af_inet.c says in what order.
 */
#include "inet.h"

#include "lwip/priv/tcp_priv.h"

#define PORTS_FIRST 32768u /* net.ipv4.ip_local_port_range */
#define PORTS_END   61000u
#define BUCKETS     64u

void inet_init(struct inet_sock *i, const struct sock_ops *ops, uint16_t family, uint16_t type,
	       uint16_t protocol)
{
	sock_init(&i->s, ops, family, type, protocol);
	i->is_tcp = type == SOCK_STREAM;
	i->multicast_loop = true;
	i->multicast_ttl = 1;
	i->mtu_discover = IP_PMTUDISC_WANT;
	IP_SET_TYPE(&i->local, inet_type(i));
	IP_SET_TYPE(&i->remote, inet_type(i));
}

void inet_fini(struct inet_sock *i)
{
	inet_leave_groups(i);
	inet_free_port(i);
}

long inet_errno(err_t error)
{
	switch (error) {
	case ERR_OK:
		return 0;
	case ERR_MEM:
		return -ENOBUFS;
	case ERR_RTE:
		return -ENETUNREACH;
	case ERR_USE:
		return -EADDRINUSE;
	case ERR_BUF: /* it does not fit, or there is no port left */
		return -EMSGSIZE;
	default:
		return -EINVAL;
	}
}

/* ---- addresses ---- */

uint8_t inet_type(const struct inet_sock *i)
{
	if (i->s.family == AF_INET)
		return IPADDR_TYPE_V4;
	return i->s.only_v6 ? IPADDR_TYPE_V6 : IPADDR_TYPE_ANY;
}

bool inet_is_any(const ip_addr_t *ip)
{
	return ip_addr_isany(ip);
}

static long parse4(const struct sock_address *at, ip_addr_t *ip, uint16_t *port)
{
	struct sockaddr_in in;

	if (at->bytes < sizeof(in))
		return -EINVAL;
	memcpy(&in, at->raw, sizeof(in));
	memset(ip, 0, sizeof(*ip));
	IP_SET_TYPE(ip, IPADDR_TYPE_V4);
	ip_2_ip4(ip)->addr = in.sin_addr.s_addr;
	*port = lwip_ntohs(in.sin_port);
	return 0;
}

long inet_parse(const struct inet_sock *i, const struct sock_address *at, ip_addr_t *ip,
		uint16_t *port)
{
	struct sockaddr_in6 in6 = {0};

	if (i->s.family == AF_INET) {
		if (at->bytes < sizeof(struct sockaddr_in))
			return -EINVAL;
		return at->family == AF_INET ? parse4(at, ip, port) : -EAFNOSUPPORT;
	}
	if (at->bytes >= 2 && at->family == AF_INET && !i->is_tcp && !i->s.only_v6)
		return parse4(at, ip, port);
	if (at->bytes < offsetof(struct sockaddr_in6, sin6_scope_id)) /* RFC 2133 had none */
		return -EINVAL;
	if (at->family != AF_INET6)
		return -EAFNOSUPPORT;
	memcpy(&in6, at->raw, uk_min(at->bytes, sizeof(in6)));
	memset(ip, 0, sizeof(*ip));
	*port = lwip_ntohs(in6.sin6_port);
	if (!in6.sin6_addr.s6_addr32[0] && !in6.sin6_addr.s6_addr32[1] &&
	    in6.sin6_addr.s6_addr32[2] == lwip_htonl(0xffff)) {
		IP_SET_TYPE(ip, IPADDR_TYPE_V4);
		ip_2_ip4(ip)->addr = in6.sin6_addr.s6_addr32[3];
		return 0;
	}
	IP_SET_TYPE(ip, IPADDR_TYPE_V6);
	memcpy(ip_2_ip6(ip)->addr, &in6.sin6_addr, 16);
	if (ip6_addr_has_scope(ip_2_ip6(ip), IP6_UNKNOWN)) {
		uint32_t index = in6.sin6_scope_id ? in6.sin6_scope_id : i->s.bound_if;

		ip6_addr_set_zone(ip_2_ip6(ip), (uint8_t)index);
	}
	return 0;
}

void inet_format(const struct inet_sock *i, const ip_addr_t *ip, uint16_t port,
		 struct sock_address *out)
{
	memset(out, 0, sizeof(*out));
	if (i->s.family == AF_INET) {
		struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = lwip_htons(port)};

		in.sin_addr.s_addr = ip_2_ip4(ip)->addr;
		out->bytes = sizeof(in);
		memcpy(out->raw, &in, sizeof(in));
	} else {
		struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = lwip_htons(port)};

		if (IP_IS_V4(ip)) {
			in6.sin6_addr.s6_addr32[2] = lwip_htonl(0xffff);
			in6.sin6_addr.s6_addr32[3] = ip_2_ip4(ip)->addr;
		} else {
			memcpy(&in6.sin6_addr, ip_2_ip6(ip)->addr, 16);
			if (IP_IS_V6(ip))
				in6.sin6_scope_id = ip6_addr_zone(ip_2_ip6(ip));
		}
		out->bytes = sizeof(in6);
		memcpy(out->raw, &in6, sizeof(in6));
	}
}

static bool is_local(const ip_addr_t *ip)
{
	struct netif *netif;

	NETIF_FOREACH(netif)
	{
		if (IP_IS_V4(ip) ? ip4_addr_cmp(netif_ip4_addr(netif), ip_2_ip4(ip)) ||
					   ip_addr_isbroadcast(ip, netif)
				 : netif_get_ip6_addr_match(netif, ip_2_ip6(ip)) >= 0)
			return true;
	}
	return false;
}

long inet_check_local(const struct inet_sock *i, const ip_addr_t *ip)
{
	if (IP_IS_V4(ip) && i->s.only_v6)
		return -EINVAL;
	if (IP_IS_V6(ip) && ip6_addr_lacks_zone(ip_2_ip6(ip), IP6_UNKNOWN))
		return -EINVAL;
	if (ip_addr_isany(ip) || ip_addr_ismulticast(ip) || i->free_bind)
		return 0;
	return is_local(ip) ? 0 : -EADDRNOTAVAIL;
}

long inet_name(struct sock *s, bool peer, struct sock_address *out)
{
	struct inet_sock *i = inet_of(s);

	if (peer && !i->remote_port)
		return -ENOTCONN;
	if (peer)
		inet_format(i, &i->remote, i->remote_port, out);
	else
		inet_format(i, &i->local, i->local_port, out);
	return 0;
}

/* ---- ports ---- */

static struct inet_sock *bound[2][BUCKETS];

static struct inet_sock **bucket(bool is_tcp, uint16_t port)
{
	return &bound[is_tcp][port % BUCKETS];
}

void inet_free_port(struct inet_sock *i)
{
	if (!i->link)
		return;
	*i->link = i->next;
	if (i->next)
		i->next->link = i->link;
	i->link = NULL;
}

void inet_share_port(struct inet_sock *i, const ip_addr_t *ip, uint16_t port)
{
	struct inet_sock **head = bucket(i->is_tcp, port);

	inet_free_port(i);
	ip_addr_copy(i->local, *ip);
	i->local_port = port;
	i->next = *head;
	i->link = head;
	if (i->next)
		i->next->link = &i->next;
	*head = i;
}

static bool overlap(const ip_addr_t *a, const ip_addr_t *b)
{
	if (IP_IS_ANY_TYPE_VAL(*a) || IP_IS_ANY_TYPE_VAL(*b))
		return true;
	if (IP_GET_TYPE(a) != IP_GET_TYPE(b))
		return false;
	return ip_addr_isany(a) || ip_addr_isany(b) || ip_addr_cmp(a, b);
}

/* lwIP's connections that no socket has any more: they are closing, or in TIME_WAIT. */
static bool orphan_conflicts(const struct inet_sock *i, const struct tcp_pcb *pcb,
			     const ip_addr_t *ip, uint16_t port)
{
	for (; pcb; pcb = pcb->next) {
		if (pcb->local_port != port || pcb->callback_arg || !overlap(ip, &pcb->local_ip))
			continue;
		if (!(i->s.reuse_address && ip_get_option(pcb, SOF_REUSEADDR)))
			return true;
	}
	return false;
}

bool inet_port_conflicts(const struct inet_sock *i, const ip_addr_t *ip, uint16_t port)
{
	const struct inet_sock *j;

	for (j = *bucket(i->is_tcp, port); j; j = j->next) {
		bool may_share = i->s.reuse_address && j->s.reuse_address;

		if (j == i || j->local_port != port || !overlap(ip, &j->local))
			continue;
		if (i->s.bound_if && j->s.bound_if && i->s.bound_if != j->s.bound_if)
			continue;
		if (i->s.reuse_port && j->s.reuse_port)
			continue;
		/* Of TCP's, one that listens has the port for itself. */
		if (may_share && !j->s.listening)
			continue;
		return true;
	}
	return i->is_tcp && (orphan_conflicts(i, tcp_active_pcbs, ip, port) ||
			     orphan_conflicts(i, tcp_tw_pcbs, ip, port));
}

/* A free one, from a random one on. 0: there is none. */
static uint16_t find_port(struct inet_sock *i, const ip_addr_t *ip)
{
	static uint32_t at[2];
	bool reuse = i->s.reuse_address, reuse_port = i->s.reuse_port;
	uint16_t found = 0;

	if (!at[i->is_tcp])
		at[i->is_tcp] = net_random();
	/* Nobody who asks for any wants one that is shared. */
	i->s.reuse_address = i->s.reuse_port = false;
	for (uint32_t n = 0; n < PORTS_END - PORTS_FIRST && !found; n++) {
		uint32_t port = PORTS_FIRST + at[i->is_tcp]++ % (PORTS_END - PORTS_FIRST);

		if (!inet_port_conflicts(i, ip, (uint16_t)port))
			found = (uint16_t)port;
	}
	i->s.reuse_address = reuse;
	i->s.reuse_port = reuse_port;
	return found;
}

long inet_take_port(struct inet_sock *i, const ip_addr_t *ip, uint16_t port)
{
	if (!port) {
		port = find_port(i, ip);
		if (!port)
			return -EADDRINUSE;
	} else if (inet_port_conflicts(i, ip, port)) {
		return -EADDRINUSE;
	}
	inet_share_port(i, ip, port);
	return 0;
}

/* ---- ways ---- */

void inet_loopback_if_any(ip_addr_t *ip)
{
	if (!ip_addr_isany(ip))
		return;
	if (IP_IS_V4(ip))
		ip_addr_set_loopback(false, ip);
	else
		ip_addr_set_loopback(true, ip);
}

struct netif *inet_route(const struct inet_sock *i, const ip_addr_t *to, const ip_addr_t **source)
{
	struct netif *netif = NULL;
	bool fixed = !ip_addr_isany(&i->local) && IP_GET_TYPE(&i->local) == IP_GET_TYPE(to) &&
		     !ip_addr_ismulticast(&i->local);

	*source = NULL;
	if (i->s.bound_if) {
		netif = netif_get_by_index((uint8_t)i->s.bound_if);
	} else if (ip_addr_ismulticast(to)) {
		if (i->multicast_if)
			netif = netif_get_by_index((uint8_t)i->multicast_if);
		else if (IP_IS_V4(to) && !ip4_addr_isany_val(i->multicast_source))
			netif = ip4_route(&i->multicast_source);
	}
	if (!netif)
		netif = ip_route(&i->local, to);
	if (!netif)
		return NULL;
	*source = fixed ? &i->local : ip_netif_get_local_ip(netif, to);
	return *source && !ip_addr_isany(*source) ? netif : NULL;
}

/* -ENETUNREACH; -EAGAIN where there will be a way when DHCP, or a router, has answered. */
static long check_way(const struct netif *netif, const ip_addr_t *to, const ip_addr_t *source)
{
	bool near = ip_addr_isloopback(to) || ip_addr_ismulticast(to) || ip_addr_islinklocal(to);

	/* A router has answered, and the address that it gave is being looked at for duplicates. */
	if (netif && !near && IP_IS_V6(to) && ip_addr_islinklocal(source) && net_is_early(true))
		return -EAGAIN;
	if (netif && (near || IP_IS_V4(to) || net_ip6_has_way(netif, ip_2_ip6(to))))
		return 0;
	if (near || (IP_IS_V4(to) && ip_2_ip4(to)->addr == IPADDR_BROADCAST))
		return -ENETUNREACH;
	return net_is_early(IP_IS_V6(to)) ? -EAGAIN : -ENETUNREACH;
}

long inet_check_peer(const struct inet_sock *i, const ip_addr_t *to, const ip_addr_t **source)
{
	struct netif *netif;
	long r;

	if (IP_IS_V4(to) && i->s.only_v6)
		return -ENETUNREACH;
	/* Bound to an address of the one kind, it cannot reach the other. */
	if (!IP_IS_ANY_TYPE_VAL(i->local) && !ip_addr_isany(&i->local) &&
	    IP_GET_TYPE(&i->local) != IP_GET_TYPE(to))
		return IP_IS_V4(to) ? -ENETUNREACH : -EINVAL;
	if (IP_IS_V6(to) && ip6_addr_lacks_zone(ip_2_ip6(to), IP6_UNKNOWN) && !i->multicast_if)
		return -EINVAL;
	netif = inet_route(i, to, source);
	r = check_way(netif, to, *source);
	if (r)
		return r;
	if (IP_IS_V4(to) && !i->s.broadcast && ip_addr_isbroadcast(to, netif))
		return -EACCES;
	return 0;
}

/* ---- making ---- */

long inet_socket(uint16_t family, uint16_t type, uint16_t protocol, struct sock **s)
{
	uint16_t ping = family == AF_INET ? IPPROTO_ICMP : IPPROTO_ICMPV6;

	switch (type) {
	case SOCK_STREAM:
		if (protocol && protocol != IPPROTO_TCP)
			return -EPROTONOSUPPORT;
		return tcp_socket(family, s);
	case SOCK_DGRAM:
		if (!protocol || protocol == IPPROTO_UDP)
			return udp_socket(family, s);
		if (protocol != ping)
			return -EPROTONOSUPPORT;
		return raw_socket(family, type, protocol, s);
	case SOCK_RAW:
		if (!protocol)
			return -EPROTONOSUPPORT;
		if (UK_NOXS->uid)
			return -EPERM; /* no CAP_NET_RAW */
		return raw_socket(family, type, protocol, s);
	default:
		return -ESOCKTNOSUPPORT;
	}
}
