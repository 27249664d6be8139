/* SPDX-License-Identifier: Apache-2.0 */
/*
 * interface.c: the configuration of an interface: what noxs_net_config says (static addresses,
 * DHCP, SLAAC), again when that changes, and what programs and inspect see of it.
 *
 * lwIP knows one IPv4 address of an interface, and takes all static IPv6 addresses for a /64.
 */
#include <linux/errno.h>

#include "lwip/dhcp.h"
#include "lwip/dns.h"
#include "lwip/etharp.h"
#include "lwip/inet_chksum.h"
#include "lwip/ip6.h"
#include "lwip/nd6.h"
#include "lwip/priv/nd6_priv.h"
#include "lwip/priv/tcp_priv.h"
#include "lwip/prot/dhcp.h"
#include "lwip/prot/nd6.h"

#include "inet.h"
#include "stack.h"

/* A program that starts sooner than its addresses come waits for them so long. A router answers
 * within half a second (RFC 4861, MAX_RA_DELAY_TIME), and then duplicates are looked for. */
#define EARLY4_NS 10000000000ull
#define EARLY6_NS 3000000000ull
/* Slots of an interface's IPv6 addresses: the link-local one, static ones, SLAAC's. */
#define SLOT_STATIC 1

/* Learned from DHCP (the first half) and from router advertisements. */
static ip_addr_t learned_dns[DNS_MAX_SERVERS];

/* ---- name servers: what lwIP calls its resolver for ---- */

void dns_init(void)
{
}

void dns_setserver(u8_t n, const ip_addr_t *server)
{
	/* DHCP counts from 0, and so do router advertisements; of each the first three are taken.
	 */
	if (server && n >= DNS_MAX_SERVERS / 2)
		return;
	if (server && IP_IS_V6(server))
		n += DNS_MAX_SERVERS / 2;
	if (n < DNS_MAX_SERVERS)
		learned_dns[n] = server ? *server : *IP_ADDR_ANY;
}

const ip_addr_t *dns_getserver(u8_t n)
{
	return n < DNS_MAX_SERVERS ? &learned_dns[n] : IP_ADDR_ANY;
}

static struct noxs_net_address address4(uint32_t address, uint8_t prefix)
{
	struct noxs_net_address a = {.family = 4, .prefix = prefix};

	memcpy(a.address, &address, 4);
	return a;
}

static struct noxs_net_address address6(const ip6_addr_t *address, uint8_t prefix)
{
	struct noxs_net_address a = {.family = 6, .prefix = prefix};

	memcpy(a.address, address->addr, 16);
	return a;
}

uint32_t net_dns_servers(struct noxs_net_address *out, uint32_t max)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < uk_net_ndevs; i++)
		for (int k = 0; net_ifaces[i] && k < NOXS_NET_DNS; k++)
			if (net_ifaces[i]->config.dns[k].family && n < max)
				out[n++] = net_ifaces[i]->config.dns[k];
	for (int i = 0; i < DNS_MAX_SERVERS; i++) {
		const ip_addr_t *a = &learned_dns[i];

		if (ip_addr_isany(a) || n == max)
			continue;
		out[n++] = IP_IS_V6(a) ? address6(ip_2_ip6(a), 128)
				       : address4(ip4_addr_get_u32(ip_2_ip4(a)), 32);
	}
	return n;
}

/* ---- what an interface has ---- */

/* lwIP does not keep the length of an IPv6 prefix. */
static uint8_t prefix6(const struct net_iface *iface, const struct noxs_net_address *a)
{
	for (int i = 0; iface && i < NOXS_NET_ADDRESSES; i++) {
		const struct noxs_net_address *c = &iface->config.address[i];

		if (c->family == 6 && !memcmp(c->address, a->address, 16))
			return c->prefix;
	}
	return iface ? 64 : 128;
}

static uint32_t addresses(const struct netif *netif, const struct net_iface *iface,
			  struct noxs_net_address *out, uint32_t max)
{
	uint32_t n = 0;

	if (max && !ip4_addr_isany(netif_ip4_addr(netif)))
		out[n++] = address4(ip4_addr_get_u32(netif_ip4_addr(netif)),
				    if_prefix4(ip4_addr_get_u32(netif_ip4_netmask(netif))));
	/* The link-local one (slot 0) is the last, as on Linux: programs take the first. */
	for (int k = 1; k <= LWIP_IPV6_NUM_ADDRESSES && n < max; k++) {
		int i = k % LWIP_IPV6_NUM_ADDRESSES;

		if (!ip6_addr_isvalid(netif_ip6_addr_state(netif, (s8_t)i)))
			continue;
		out[n] = address6(netif_ip6_addr(netif, i), 64);
		out[n].prefix = prefix6(iface, &out[n]);
		n++;
	}
	return n;
}

/* lwIP's callback: an address, or up and down, has changed. */
static void status_changed(struct netif *netif)
{
	struct net_iface *iface = (struct net_iface *)netif;
	struct noxs_net_address now[NOXS_NET_ADDRESSES] = {0};

	addresses(netif, iface, now, NOXS_NET_ADDRESSES);
	memcpy(iface->dev->front->address, now, sizeof(now));
	net_packet_addresses_changed();
}

struct net_iface *net_iface_of(const struct netif *netif)
{
	for (uint32_t i = 0; i < uk_net_ndevs; i++)
		if (net_ifaces[i] && &net_ifaces[i]->netif == netif)
			return net_ifaces[i];
	return NULL;
}

static struct net_if_life life_of(const struct netif *netif, const struct noxs_net_address *a)
{
	struct net_if_life life = {.preferred_s = UINT32_MAX, .valid_s = UINT32_MAX};

	for (int i = 0; a->family == 6 && i < LWIP_IPV6_NUM_ADDRESSES; i++) {
		if (!ip6_addr_isvalid(netif_ip6_addr_state(netif, i)) ||
		    memcmp(netif_ip6_addr(netif, i)->addr, a->address, 16) != 0 ||
		    netif_ip6_addr_isstatic(netif, i))
			continue;
		life.advertised = true;
		life.preferred_s = netif_ip6_addr_pref_life(netif, i);
		life.valid_s = netif_ip6_addr_valid_life(netif, i);
		if (!ip6_addr_ispreferred(netif_ip6_addr_state(netif, i)))
			life.preferred_s = 0;
	}
	return life;
}

/* The one that packets go to: of those that advertise themselves, before the static one. */
static void gateway6(const struct net_iface *iface, struct net_if *out)
{
	for (int i = 0; i < LWIP_ND6_NUM_ROUTERS && !out->advertised; i++) {
		const struct nd6_neighbor_cache_entry *e = default_router_list[i].neighbor_entry;

		if (!e || e->netif != &iface->netif)
			continue;
		out->gateway6 = address6(&e->next_hop_address, 128);
		out->advertised = true;
	}
	if (!out->advertised && iface->has_gateway6)
		out->gateway6 = iface->gateway6;
}

bool net_if_get(uint32_t index, struct net_if *out)
{
	struct netif *netif;
	const struct net_iface *iface;

	if (net_stack_start() || !index || index >= IF_INDEX_END ||
	    !(netif = netif_get_by_index((u8_t)index)))
		return false;
	iface = net_iface_of(netif);
	*out = (struct net_if){
		.name = "lo",
		.index = index,
		.flags = iface ? IFF_BROADCAST | IFF_MULTICAST : IFF_LOOPBACK,
		.mtu = iface ? iface->mtu : 65536,
		.ip4 = ip4_addr_get_u32(netif_ip4_addr(netif)),
		.mask4 = ip4_addr_get_u32(netif_ip4_netmask(netif)),
		.gateway4 = ip4_addr_get_u32(netif_ip4_gw(netif)),
	};
	if (netif_is_up(netif))
		out->flags |= IFF_UP | (netif_is_link_up(netif) ? IFF_RUNNING | IFF_LOWER_UP : 0);
	out->naddresses = addresses(netif, iface, out->address, uk_countof(out->address));
	for (uint32_t i = 0; i < out->naddresses; i++)
		out->life[i] = life_of(netif, &out->address[i]);
	if (!iface) {
		out->gateway4 = 0;
		return true;
	}
	gateway6(iface, out);
	if (out->ip4)
		out->broadcast4 = out->ip4 | ~out->mask4;
	memcpy(out->name, iface->config.name, sizeof(out->name) - 1);
	memcpy(out->mac, netif->hwaddr, 6);
	out->rx_frames = iface->dev->front->rx_frames;
	out->rx_bytes = iface->dev->front->rx_bytes;
	out->rx_dropped = iface->dev->front->rx_dropped;
	out->tx_frames = iface->dev->front->tx_frames;
	out->tx_bytes = iface->dev->front->tx_bytes;
	out->tx_dropped = iface->dev->front->tx_dropped;
	return true;
}

bool net_if_find(const char *name, struct net_if *out)
{
	for (uint32_t i = IF_LOOPBACK_INDEX; i < IF_INDEX_END; i++)
		if (net_if_get(i, out) && !strcmp(out->name, name))
			return true;
	return false;
}

long net_if_set_ip4(uint32_t index, uint32_t address, uint32_t mask, uint32_t gateway)
{
	struct netif *netif;
	struct net_iface *iface;
	ip4_addr_t a = {address}, m = {mask}, g = {gateway};

	if (net_stack_start() || !index || index >= IF_INDEX_END ||
	    !(netif = netif_get_by_index((u8_t)index)))
		return -ENODEV;
	iface = net_iface_of(netif);
	if (iface && iface->dhcp) {
		dhcp_release_and_stop(netif);
		iface->dhcp = false;
	}
	netif_set_addr(netif, &a, &m, &g);
	return 0;
}

long net_if_set_flags(uint32_t index, uint32_t flags)
{
	struct netif *netif;

	if (net_stack_start() || !index || index >= IF_INDEX_END ||
	    !(netif = netif_get_by_index((u8_t)index)))
		return -ENODEV;
	if (flags & IFF_UP)
		netif_set_up(netif);
	else
		netif_set_down(netif);
	return 0;
}

/* ---- IPv6: what lwIP asks, and what it does not say ---- */

/* The next hop to dest where there is no advertised router to choose: the static gateway. */
const ip6_addr_t *net_nd6_gateway(struct netif *netif, const ip6_addr_t *dest)
{
	static ip6_addr_t gateway;
	struct net_iface *iface = net_iface_of(netif);

	(void)dest;
	if (!iface || !iface->has_gateway6)
		return NULL;
	memcpy(gateway.addr, iface->gateway6.address, 16);
	ip6_addr_clear_zone(&gateway);
	ip6_addr_assign_zone(&gateway, IP6_UNICAST, netif);
	return &gateway;
}

/* Where to, for an address that lwIP finds on no link. Called before it looks for one. */
struct netif *net_ip6_route(const ip6_addr_t *src, const ip6_addr_t *dest)
{
	struct netif *through = NULL;

	(void)src;
	for (uint32_t i = 0; i < uk_net_ndevs; i++) {
		struct net_iface *iface = net_ifaces[i];

		if (!iface || !netif_is_up(&iface->netif) || !netif_is_link_up(&iface->netif))
			continue;
		for (int k = 0; k < LWIP_IPV6_NUM_ADDRESSES; k++)
			if (ip6_addr_isvalid(netif_ip6_addr_state(&iface->netif, k)) &&
			    ip6_addr_netcmp(dest, netif_ip6_addr(&iface->netif, k)))
				return NULL; /* it will find that itself */
		if (iface->has_gateway6 && !through)
			through = &iface->netif;
	}
	return through;
}

/* An unsolicited neighbour advertisement (RFC 4861, 7.2.6): who knew the address by another MAC
 * learns ours. */
static void advertise(struct netif *netif, const ip6_addr_t *address)
{
	uint32_t bytes = sizeof(struct na_header) + 8;
	struct pbuf *p = pbuf_alloc(PBUF_IP, (u16_t)bytes, PBUF_RAM);
	ip6_addr_t all_nodes;
	struct na_header *na;
	uint8_t *option;

	if (!p)
		return;
	ip6_addr_set_allnodes_linklocal(&all_nodes);
	ip6_addr_assign_zone(&all_nodes, IP6_MULTICAST, netif);
	na = p->payload;
	memset(na, 0, bytes);
	na->type = ICMP6_TYPE_NA;
	na->flags = ND6_FLAG_OVERRIDE;
	ip6_addr_copy_to_packed(na->target_address, *address);
	option = (uint8_t *)(na + 1);
	option[0] = ND6_OPTION_TYPE_TARGET_LLADDR;
	option[1] = 1;
	memcpy(option + 2, netif->hwaddr, 6);
	na->chksum = ip6_chksum_pseudo(p, IP6_NEXTH_ICMP6, (u16_t)bytes, address, &all_nodes);
	ip6_output_if(p, address, &all_nodes, 255, 0, IP6_NEXTH_ICMP6, netif);
	pbuf_free(p);
}

/* ---- configuration ---- */

/* Copies it as a whole. False: the monitor is writing it; there will be a next time. */
static bool read_config(struct net_iface *iface)
{
	const struct noxs_net_config *from = &iface->dev->noxs->config;

	for (int i = 0; i < 100; i++) {
		uint32_t seq = __atomic_load_n(&from->seq, __ATOMIC_ACQUIRE);

		memcpy(&iface->config, from, sizeof(iface->config));
		/* Acquire: the copy was made before seq is looked at again. */
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		if (!(seq & 1) && __atomic_load_n(&from->seq, __ATOMIC_RELAXED) == seq) {
			iface->config.name[sizeof(iface->config.name) - 1] = 0;
			iface->config.domain[sizeof(iface->config.domain) - 1] = 0;
			iface->dev->config_seq = seq;
			return true;
		}
		__builtin_ia32_pause();
	}
	return false;
}

static void set_address6(struct netif *netif, int slot, const struct noxs_net_address *a)
{
	ip6_addr_t address = {0};

	memcpy(address.addr, a->address, 16);
	ip6_addr_clear_zone(&address);
	ip6_addr_assign_zone(&address, IP6_UNICAST, netif);
	netif_ip6_addr_set(netif, (s8_t)slot, &address);
	netif_ip6_addr_set_state(netif, (s8_t)slot, IP6_ADDR_PREFERRED);
}

/* Static addresses, link-local ones: at once, without detection of duplicates. Who gave out the
 * MAC and the addresses knows that they are the only ones, and a VM may live for milliseconds. */
static void set_addresses(struct net_iface *iface)
{
	const struct noxs_net_config *c = &iface->config;
	struct netif *netif = &iface->netif;
	ip4_addr_t ip = {0}, mask = {0}, gateway = {0};
	int slot = SLOT_STATIC;

	for (int i = 0; i < LWIP_IPV6_NUM_ADDRESSES; i++)
		netif_ip6_addr_set_state(netif, (s8_t)i, IP6_ADDR_INVALID);
	netif_create_ip6_linklocal_address(netif, 1);
	netif_ip6_addr_set_state(netif, 0, IP6_ADDR_PREFERRED);
	iface->has_gateway6 = false;
	for (int i = 0; i < NOXS_NET_ADDRESSES; i++) {
		const struct noxs_net_address *a = &c->address[i];

		if (a->family == 4 && !ip.addr) {
			memcpy(&ip.addr, a->address, 4);
			mask.addr = if_mask4(a->prefix);
		} else if (a->family == 6) {
			set_address6(netif, slot++, a);
		}
	}
	for (int i = 0; i < 2; i++) {
		if (c->gateway[i].family == 4) {
			memcpy(&gateway.addr, c->gateway[i].address, 4);
		} else if (c->gateway[i].family == 6) {
			iface->gateway6 = c->gateway[i];
			iface->has_gateway6 = true;
		}
	}
	if (!iface->dhcp || ip.addr)
		netif_set_addr(netif, &ip, &mask, &gateway);
	/* What no interface has a route for goes through one with a gateway. */
	if (!netif_default || (gateway.addr && !netif_ip4_gw(netif_default)->addr))
		netif_set_default(netif);
}

/* ---- is there a way, and will there be one ---- */

bool net_early;

static bool has_router(const struct netif *netif)
{
	for (int i = 0; i < LWIP_ND6_NUM_ROUTERS; i++)
		if (default_router_list[i].neighbor_entry &&
		    default_router_list[i].neighbor_entry->netif == netif)
			return true;
	return false;
}

/* Has it an address that others than neighbours answer to; on to's link, if to is not NULL? */
static bool has_address6(const struct netif *netif, const ip6_addr_t *to)
{
	for (int i = 0; i < LWIP_IPV6_NUM_ADDRESSES; i++)
		if (ip6_addr_isvalid(netif_ip6_addr_state(netif, i)) &&
		    !ip6_addr_islinklocal(netif_ip6_addr(netif, i)) &&
		    (!to || ip6_addr_netcmp_zoneless(netif_ip6_addr(netif, i), to)))
			return true;
	return false;
}

bool net_ip6_has_way(const struct netif *netif, const ip6_addr_t *to)
{
	const struct net_iface *iface = net_iface_of(netif);

	return !iface || iface->has_gateway6 || has_router(netif) || has_address6(netif, to);
}

bool net_is_early(bool v6)
{
	for (uint32_t i = 0; i < uk_net_ndevs; i++) {
		const struct net_iface *iface = net_ifaces[i];

		if (!iface || uk_monotonic_ns() >= iface->early_until_ns[v6])
			continue;
		if (v6 ? has_router(&iface->netif) && has_address6(&iface->netif, NULL)
		       : !ip4_addr_isany(netif_ip4_addr(&iface->netif)))
			continue;
		net_early = true;
		return true;
	}
	return false;
}

static void apply(struct net_iface *iface)
{
	const struct noxs_net_config *c = &iface->config;
	struct netif *netif = &iface->netif;
	bool slaac = c->flags & NOXS_NET_SLAAC;
	uint64_t now = uk_monotonic_ns();

	memcpy(netif->hwaddr, c->mac, 6);
	netif->mtu = (u16_t)uk_max(uk_min(c->mtu, NOXS_NET_MAX_MTU), NOXS_NET_MIN_MTU);
	netif->mtu6 = netif->mtu;
	net_offload_mtu(iface);
	netif_set_hostname(netif, UK_NOXS->hostname);
	netif_set_ip6_autoconfig_enabled(netif, slaac);
	set_addresses(iface);
	if (c->flags & NOXS_NET_LINK_UP)
		netif_set_link_up(netif);
	else
		netif_set_link_down(netif);
	netif_set_up(netif);
	if (!slaac)
		netif->rs_count = 0; /* no router need hurry */
	if (c->flags & NOXS_NET_DHCP && !iface->dhcp)
		iface->dhcp = dhcp_start(netif) == ERR_OK;
	iface->early_until_ns[false] = iface->dhcp ? now + EARLY4_NS : 0;
	iface->early_until_ns[true] = slaac ? now + EARLY6_NS : 0;
	if (!(c->flags & NOXS_NET_LINK_UP))
		return;
	for (int i = 0; i < LWIP_IPV6_NUM_ADDRESSES; i++)
		if (ip6_addr_isvalid(netif_ip6_addr_state(netif, i)))
			advertise(netif, netif_ip6_addr(netif, i));
	if (slaac)
		nd6_tmr(); /* the first router solicitation, a second earlier */
}

void net_iface_start(struct net_iface *iface)
{
	if (!read_config(iface))
		return;
	iface->dev->generation = iface->config.generation;
	netif_set_status_callback(&iface->netif, status_changed);
	apply(iface);
}

/* Connections of the VM that this one is a copy of. They live on, there: not a word to their
 * peers. */
static void forget_connections(void)
{
	for (struct tcp_pcb *pcb = tcp_active_pcbs, *next; pcb; pcb = next) {
		next = pcb->next;
		if (!ip_addr_isloopback(&pcb->local_ip)) {
			tcp_abandon(pcb, 0);
			next = tcp_active_pcbs; /* what that called may have ended others */
		}
	}
	while (tcp_tw_pcbs)
		tcp_abandon(tcp_tw_pcbs, 0);
}

static void forget(struct net_iface *iface)
{
	struct netif *netif = &iface->netif;

	iface->dev->generation = iface->config.generation;
	if (!net_driver_renew(iface->dev))
		uk_panic("the new rings of net device %u make no sense", iface->dev->id);
	forget_connections();
	if (iface->dhcp) {
		/* The lease is the other's: it is not given back. */
		netif_dhcp_data(netif)->state = DHCP_STATE_INIT;
		dhcp_release_and_stop(netif);
		iface->dhcp = false;
	}
	netif_set_down(netif);
	etharp_cleanup_netif(netif);
	net_neighbour_forget();
	net_nobody_forget();
	nd6_cleanup_netif(netif);
	net_pmtu_forget();
	memset(learned_dns, 0, sizeof(learned_dns));
	net_dhcp_domain[0] = 0;
}

/* What was lost meanwhile goes again now, however long its time-out has become. */
static void link_is_back(struct netif *netif)
{
	netif_set_link_up(netif);
	for (struct tcp_pcb *pcb = tcp_active_pcbs; pcb; pcb = pcb->next) {
		if (pcb->rtime < 0 || ip_addr_isloopback(&pcb->local_ip))
			continue;
		pcb->nrtx = 0;
		pcb->rtime = pcb->rto;
	}
}

void net_iface_look(struct net_iface *iface)
{
	const struct noxs_net_config old = iface->config;

	if (__atomic_load_n(&iface->dev->noxs->config.seq, __ATOMIC_RELAXED) ==
	    iface->dev->config_seq)
		return;
	if (!read_config(iface)) {
		iface->config = old;
		return;
	}
	if (iface->config.generation != iface->dev->generation)
		forget(iface);
	else if (!memcmp(old.address, iface->config.address,
			 sizeof(old) - offsetof(struct noxs_net_config, address)) &&
		 !memcmp(old.mac, iface->config.mac, sizeof(old.mac)) &&
		 old.mtu == iface->config.mtu && !((old.flags ^ iface->config.flags) & ~1u)) {
		/* Only the link. */
		if (iface->config.flags & NOXS_NET_LINK_UP)
			link_is_back(&iface->netif);
		else
			netif_set_link_down(&iface->netif);
		return;
	}
	apply(iface);
}
