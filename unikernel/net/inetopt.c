/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inetopt.c: options of the levels IPPROTO_IP (ip(7)) and IPPROTO_IPV6 (ipv6(7), RFC 3493 and
 * 3542). Levels above go on to the protocol.
 */
#include <asm/socket.h>

#include "inet.h"
#include "stack.h"

static long multicast_if4(struct inet_sock *i, const void *val, uint32_t bytes)
{
	ip_addr_t none = {.type = IPADDR_TYPE_V4};
	struct ip_mreqn mreq = {0};

	if (bytes >= sizeof(struct ip_mreq))
		memcpy(&mreq, val, uk_min(bytes, sizeof(mreq)));
	else if (bytes >= sizeof(mreq.imr_address))
		memcpy(&mreq.imr_address, val, sizeof(mreq.imr_address));
	else
		return -EINVAL;
	i->multicast_if = 0;
	i->multicast_source.addr = 0;
	if (mreq.imr_ifindex || mreq.imr_address.s_addr) {
		struct netif *netif = inet_group_netif(&none, (uint32_t)mreq.imr_ifindex,
						       mreq.imr_address.s_addr);

		if (!netif)
			return mreq.imr_ifindex ? -ENODEV : -EADDRNOTAVAIL;
		i->multicast_if = netif_get_index(netif);
		i->multicast_source = *netif_ip4_addr(netif);
	}
	return 0;
}

/* ---- set ---- */

/* An int, or of IPv4's a byte, too. */
static long int_in(int level, const void *val, uint32_t bytes, int *v)
{
	if (bytes >= sizeof(int))
		memcpy(v, val, sizeof(int));
	else if (bytes >= 1 && level == IPPROTO_IP)
		*v = *(const uint8_t *)val;
	else
		return -EINVAL;
	return 0;
}

/* 1: it is not known here. */
static long set4(struct inet_sock *i, int name, int v)
{
	switch (name) {
	case IP_TOS:
		i->s.tos = v & 0xff;
		return 0;
	case IP_TTL:
		if (v != -1 && (v < 1 || v > 255))
			return -EINVAL;
		i->s.ttl = v;
		return 0;
	case IP_MULTICAST_TTL:
		if (i->is_tcp || v < -1 || v > 255)
			return -EINVAL;
		i->multicast_ttl = v < 0 ? 1 : (int16_t)v;
		return 0;
	case IP_MULTICAST_LOOP:
		i->multicast_loop = v;
		return 0;
	case IP_PKTINFO:
		i->packet_info = v;
		return 0;
	case IP_RECVTTL:
		i->receive_ttl = v;
		return 0;
	case IP_RECVTOS:
		i->receive_tos = v;
		return 0;
	case IP_RECVERR:
		i->receive_errors = v;
		return 0;
	case IP_MTU_DISCOVER:
		if (v < IP_PMTUDISC_DONT || v > IP_PMTUDISC_OMIT)
			return -EINVAL;
		i->mtu_discover = (uint8_t)v;
		return 0;
	case IP_FREEBIND:
	case IP_TRANSPARENT:
		i->free_bind = v;
		return 0;
	case IP_HDRINCL:
		if (i->s.type != SOCK_RAW)
			return -ENOPROTOOPT;
		i->header_included = v;
		return 0;
	case IP_MULTICAST_ALL:
	case IP_RECVOPTS:
	case IP_RETOPTS:
	case IP_PASSSEC:
	case IP_CHECKSUM:
	case IP_RECVFRAGSIZE:
	case IP_RECVORIGDSTADDR:
	case IP_BIND_ADDRESS_NO_PORT:
	case IP_MINTTL:
	case IP_NODEFRAG:
		return 0; /* nothing here that they would change */
	default:
		return 1;
	}
}

static long set6(struct inet_sock *i, int name, int v)
{
	switch (name) {
	case IPV6_V6ONLY:
		if (i->local_port || i->remote_port)
			return -EINVAL; /* it is bound already */
		i->s.only_v6 = v;
		IP_SET_TYPE(&i->local, inet_type(i));
		return 0;
	case IPV6_UNICAST_HOPS:
		if (v < -1 || v > 255)
			return -EINVAL;
		i->s.ttl = v;
		return 0;
	case IPV6_MULTICAST_HOPS:
		if (i->is_tcp || v < -1 || v > 255)
			return i->is_tcp ? -ENOPROTOOPT : -EINVAL;
		i->multicast_ttl = v < 0 ? 1 : (int16_t)v;
		return 0;
	case IPV6_MULTICAST_LOOP:
		i->multicast_loop = v;
		return 0;
	case IPV6_MULTICAST_IF:
		if (i->is_tcp)
			return -ENOPROTOOPT;
		if (v && !netif_get_by_index((uint8_t)v))
			return -ENODEV;
		i->multicast_if = (uint32_t)v;
		return 0;
	case IPV6_TCLASS:
		if (v < -1 || v > 255)
			return -EINVAL;
		i->s.tos = v;
		return 0;
	case IPV6_RECVPKTINFO:
		i->packet_info = v;
		return 0;
	case IPV6_RECVHOPLIMIT:
		i->receive_ttl = v;
		return 0;
	case IPV6_2292HOPLIMIT:
		i->receive_old_ttl = v;
		return 0;
	case IPV6_RECVTCLASS:
		i->receive_tos = v;
		return 0;
	case IPV6_RECVERR:
		i->receive_errors = v;
		return 0;
	case IPV6_MTU_DISCOVER:
		if (v < IPV6_PMTUDISC_DONT || v > IPV6_PMTUDISC_OMIT)
			return -EINVAL;
		i->mtu_discover = (uint8_t)v;
		return 0;
	case IPV6_FREEBIND:
	case IPV6_TRANSPARENT:
		i->free_bind = v;
		return 0;
	case IPV6_DONTFRAG:
		i->no_fragments = v;
		return 0;
	case IPV6_MTU:
	case IPV6_MULTICAST_ALL:
	case IPV6_RECVERR_RFC4884:
	case IPV6_AUTOFLOWLABEL:
	case IPV6_FLOWINFO:
	case IPV6_FLOWINFO_SEND:
	case IPV6_ADDR_PREFERENCES:
	case IPV6_MINHOPCOUNT:
	case IPV6_RECVRTHDR:
	case IPV6_RECVHOPOPTS:
	case IPV6_RECVDSTOPTS:
	case IPV6_RECVPATHMTU:
		return 0;
	default:
		return 1;
	}
}

/* Options that are more than an int. 1: it is none. */
static long set_struct(struct inet_sock *i, int level, int name, const void *val, uint32_t bytes)
{
	if (level == IPPROTO_IP) {
		switch (name) {
		case IP_ADD_MEMBERSHIP:
		case IP_DROP_MEMBERSHIP:
			return i->is_tcp ? -EPROTO
					 : inet_membership4(i, name == IP_DROP_MEMBERSHIP, val,
							    bytes);
		case IP_MULTICAST_IF:
			return i->is_tcp ? -EINVAL : multicast_if4(i, val, bytes);
		}
	} else {
		switch (name) {
		case IPV6_ADD_MEMBERSHIP:
		case IPV6_DROP_MEMBERSHIP:
			return i->is_tcp ? -EPROTO
					 : inet_membership6(i, name == IPV6_DROP_MEMBERSHIP, val,
							    bytes);
		}
	}
	if (name == MCAST_JOIN_GROUP || name == MCAST_LEAVE_GROUP)
		return i->is_tcp ? -EPROTO
				 : inet_membership(i, name == MCAST_LEAVE_GROUP, val, bytes);
	return 1;
}

long inet_setopt(struct sock *s, int level, int name, const void *val, uint32_t bytes)
{
	struct inet_sock *i = inet_of(s);
	int v;
	long r;

	if (level != IPPROTO_IP && (level != IPPROTO_IPV6 || s->family != AF_INET6))
		return -ENOPROTOOPT;
	r = set_struct(i, level, name, val, bytes);
	if (r != 1)
		return r;
	r = int_in(level, val, bytes, &v);
	if (!r)
		r = level == IPPROTO_IP ? set4(i, name, v) : set6(i, name, v);
	if (!r && s->ops->tuned)
		s->ops->tuned(s);
	return r == 1 ? -ENOPROTOOPT : r;
}

/* ---- get ---- */

/* As the interface is configured: lwIP is told another where the device cuts segments. */
long inet_mtu(const struct inet_sock *i)
{
	const ip_addr_t *source;
	struct netif *netif = i->remote_port ? inet_route(i, &i->remote, &source) : NULL;
	struct net_if nif;

	if (!netif || !net_if_get(netif_get_index(netif), &nif))
		return -ENOTCONN;
	return net_pmtu(&i->remote, (uint16_t)uk_min(nif.mtu, UINT16_MAX));
}

static bool get4(const struct inet_sock *i, int name, int *v)
{
	switch (name) {
	case IP_TOS:
		*v = uk_max(i->s.tos, 0);
		return true;
	case IP_TTL:
		*v = i->s.ttl < 0 ? IP_DEFAULT_TTL : i->s.ttl;
		return true;
	case IP_MULTICAST_TTL:
		*v = i->multicast_ttl;
		return true;
	case IP_MULTICAST_LOOP:
		*v = i->multicast_loop;
		return true;
	case IP_MULTICAST_IF:
		*v = (int)i->multicast_source.addr;
		return true;
	case IP_PKTINFO:
		*v = i->packet_info;
		return true;
	case IP_RECVTTL:
		*v = i->receive_ttl;
		return true;
	case IP_RECVTOS:
		*v = i->receive_tos;
		return true;
	case IP_RECVERR:
		*v = i->receive_errors;
		return true;
	case IP_MTU_DISCOVER:
		*v = i->mtu_discover;
		return true;
	case IP_FREEBIND:
	case IP_TRANSPARENT:
		*v = i->free_bind;
		return true;
	case IP_HDRINCL:
		*v = i->header_included;
		return i->s.type == SOCK_RAW;
	case IP_MULTICAST_ALL:
		*v = 1;
		return true;
	case IP_MTU:
		*v = (int)inet_mtu(i);
		return true;
	case IP_RECVOPTS:
	case IP_RETOPTS:
	case IP_BIND_ADDRESS_NO_PORT:
	case IP_MINTTL:
		*v = 0;
		return true;
	default:
		return false;
	}
}

static bool get6(const struct inet_sock *i, int name, int *v)
{
	switch (name) {
	case IPV6_V6ONLY:
		*v = i->s.only_v6;
		return true;
	case IPV6_UNICAST_HOPS:
		*v = i->s.ttl < 0 ? IP_DEFAULT_TTL : i->s.ttl;
		return true;
	case IPV6_MULTICAST_HOPS:
		*v = i->multicast_ttl;
		return true;
	case IPV6_MULTICAST_LOOP:
		*v = i->multicast_loop;
		return true;
	case IPV6_MULTICAST_IF:
		*v = (int)i->multicast_if;
		return true;
	case IPV6_TCLASS:
		*v = uk_max(i->s.tos, 0);
		return true;
	case IPV6_RECVPKTINFO:
		*v = i->packet_info;
		return true;
	case IPV6_RECVHOPLIMIT:
		*v = i->receive_ttl;
		return true;
	case IPV6_2292HOPLIMIT:
		*v = i->receive_old_ttl;
		return true;
	case IPV6_RECVTCLASS:
		*v = i->receive_tos;
		return true;
	case IPV6_RECVERR:
		*v = i->receive_errors;
		return true;
	case IPV6_MTU_DISCOVER:
		*v = i->mtu_discover;
		return true;
	case IPV6_DONTFRAG:
		*v = i->no_fragments;
		return true;
	case IPV6_FREEBIND:
	case IPV6_TRANSPARENT:
		*v = i->free_bind;
		return true;
	case IPV6_MTU:
		*v = (int)inet_mtu(i);
		return true;
	default:
		return false;
	}
}

long inet_getopt(struct sock *s, int level, int name, void *val, uint32_t *bytes)
{
	struct inet_sock *i = inet_of(s);
	int v = 0;

	if (level != IPPROTO_IP && level != SOL_SOCKET && s->family == AF_INET)
		return -EOPNOTSUPP;
	if (level == IPPROTO_IP && name == IP_OPTIONS) {
		*bytes = 0;
		return 0;
	}
	if (level == IPPROTO_IP
		    ? !get4(i, name, &v)
		    : level != IPPROTO_IPV6 || s->family != AF_INET6 || !get6(i, name, &v))
		return -ENOPROTOOPT;
	if (v < 0 && v != -1 && (name == IP_MTU || name == IPV6_MTU))
		return v;
	/* Who has room for a byte only gets one, of IPv4's (ip(7) does not tell). */
	if (level == IPPROTO_IP && *bytes && *bytes < sizeof(int) && v >= 0 && v <= 255) {
		*(uint8_t *)val = (uint8_t)v;
		*bytes = 1;
		return 0;
	}
	memcpy(val, &v, sizeof(v));
	*bytes = uk_min(*bytes, sizeof(v));
	return 0;
}
