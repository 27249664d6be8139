/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pmtu.c: how large a packet to somebody may be, after what routers on the way have said
 * (RFC 1191, RFC 8201), and what that means for connections that have larger segments.
 *
 * Whoever sends such a message may lie; icmp.c has looked for a packet of ours in it. So it is
 * believed as far as it cannot do harm: never below what every path takes, never more than the
 * interface, and not for ever. lwIP would take any number, and cut packets into pieces of none.
 */
#include "lwip/nd6.h"
#include "lwip/priv/nd6_priv.h"
#include "lwip/priv/tcp_priv.h"

#include "stack.h"

#define PATHS   32u
#define MIN6    1280u           /* RFC 8200, 5: every link carries that */
#define MIN4    552u            /* Linux's ip_rt_min_pmtu: a smaller one is the routers' work */
#define LIFE_NS 600000000000ull /* RFC 8201, 4: ten minutes; then a larger one is tried */

static struct path {
	ip_addr_t to;
	uint16_t mtu; /* 0: a free row */
	bool tiny;    /* smaller than MIN4: routers have to cut what goes there */
	uint64_t until_ns;
} paths[PATHS];

static uint32_t npaths;

static struct path *find(const ip_addr_t *to)
{
	for (uint32_t i = 0; npaths && i < PATHS; i++)
		if (paths[i].mtu && ip_addr_cmp(&paths[i].to, to))
			return &paths[i];
	return NULL;
}

uint16_t net_pmtu(const ip_addr_t *to, uint16_t mtu)
{
	const struct path *path = find(to);

	return path ? uk_min(path->mtu, mtu) : mtu;
}

uint16_t net_pmtu4(uint32_t to, uint16_t mtu)
{
	ip_addr_t ip = {.type = IPADDR_TYPE_V4};

	ip_2_ip4(&ip)->addr = to;
	return npaths ? net_pmtu(&ip, mtu) : mtu;
}

uint16_t net_pmtu6(const void *to, uint16_t mtu)
{
	ip_addr_t ip = {.type = IPADDR_TYPE_V6};

	memcpy(ip_2_ip6(&ip)->addr, to, 16);
	return npaths ? net_pmtu(&ip, mtu) : mtu;
}

bool net_pmtu_whole4(uint32_t to, uint16_t bytes)
{
	ip_addr_t ip = {.type = IPADDR_TYPE_V4};
	const struct path *path;

	ip_2_ip4(&ip)->addr = to;
	path = find(&ip);
	return !path || (!path->tiny && bytes <= path->mtu);
}

/* ---- connections ---- */

static uint16_t headers(const struct tcp_pcb *pcb)
{
	return (uint16_t)((IP_IS_V6(&pcb->remote_ip) ? IP6_HLEN : IP_HLEN) + TCP_HLEN);
}

/* Cuts the queue's segments that are larger. False: no memory, or one is being sent. */
static bool cut(struct tcp_pcb *pcb, struct tcp_seg *queue, uint16_t mss)
{
	for (struct tcp_seg *seg = queue; seg; seg = seg->next) {
		struct tcp_seg *unsent = pcb->unsent;
		err_t err;

		if (seg->len <= mss)
			continue;
		/* A packet that waits for its neighbour's address has a reference. */
		if (seg->p->ref != 1)
			return false;
		/* lwIP cuts the first of what is unsent; any segment will do. */
		pcb->unsent = seg;
		err = tcp_split_unsent_seg(pcb, mss);
		pcb->unsent = unsent;
		if (err != ERR_OK)
			return false;
	}
	return true;
}

void net_tcp_lower_mss(struct tcp_pcb *pcb, uint16_t mss)
{
	if (pcb->mss <= mss)
		return;
	/* lwIP relies on no queued segment being larger: all, or it stays for now as it is. */
	if (!cut(pcb, pcb->unacked, mss) || !cut(pcb, pcb->unsent, mss))
		return;
	pcb->unsent_oversize = 0; /* room that the last one has no more */
	pcb->mss = mss;
}

void net_pmtu_tcp_input(struct tcp_pcb *pcb)
{
	const struct net_iface *iface = npaths ? net_iface_of(ip_current_input_netif()) : NULL;
	uint16_t mtu;

	/* Where the device cuts segments it is told how, with each: offload.c. */
	if (!iface || iface->dev->segments || pcb->state < ESTABLISHED || pcb->state == TIME_WAIT)
		return;
	mtu = net_pmtu(&pcb->remote_ip, UINT16_MAX);
	if (mtu != UINT16_MAX)
		net_tcp_lower_mss(pcb, (uint16_t)(mtu - headers(pcb)));
}

/* Those that have larger segments under way: they are lost, so they go again, as they have to
 * be now. That is no sign of a congestion (RFC 8201, 5.4), so the window stays. */
static void send_again(const struct net_iface *iface, const struct path *path)
{
	for (struct tcp_pcb *pcb = tcp_active_pcbs, *next; pcb; pcb = next) {
		uint16_t mss = (uint16_t)(path->mtu - headers(pcb));
		bool lost = false;

		next = pcb->next;
		if (pcb->state < ESTABLISHED || !ip_addr_cmp(&pcb->remote_ip, &path->to))
			continue;
		for (const struct tcp_seg *seg = pcb->unacked; seg && !lost; seg = seg->next)
			lost = seg->len > mss;
		if (!iface->dev->segments)
			net_tcp_lower_mss(pcb, mss);
		if (!lost)
			continue;
		net_resend_order(pcb);
		tcp_rexmit_rto(pcb);
	}
}

/* ---- what is known ---- */

/* lwIP cuts datagrams by this; where the device takes segments offload.c does. */
static void tell_lwip(const struct net_iface *iface, const ip_addr_t *to, uint16_t mtu)
{
	if (iface->dev->segments || !IP_IS_V6(to))
		return;
	for (int i = 0; i < LWIP_ND6_NUM_DESTINATIONS; i++)
		if (ip6_addr_cmp(&destination_cache[i].destination_addr, ip_2_ip6(to)))
			destination_cache[i].pmtu = mtu;
}

/* A row for one more: a free one, or the oldest. */
static struct path *row(void)
{
	struct path *oldest = paths;

	for (uint32_t i = 0; i < PATHS; i++) {
		if (!paths[i].mtu) {
			npaths++;
			return &paths[i];
		}
		if (paths[i].until_ns < oldest->until_ns)
			oldest = &paths[i];
	}
	return oldest;
}

bool net_pmtu_told(const ip_addr_t *to, uint32_t mtu)
{
	const struct net_iface *iface = net_iface_of(ip_current_input_netif());
	bool v6 = IP_IS_V6(to), tiny = !v6 && mtu < MIN4;
	struct path *path = find(to);

	if (!iface || ip_addr_ismulticast(to) ||
	    (v6 && (mtu < MIN6 || ip6_addr_islinklocal(ip_2_ip6(to)))))
		return false;
	mtu = tiny ? MIN4 : mtu;
	if (path && path->mtu == mtu && path->tiny == tiny) {
		tell_lwip(iface, to, path->mtu); /* it may have forgotten */
		return true;
	}
	if (mtu >= (path ? path->mtu : v6 ? iface->mtu6 : iface->mtu) && !tiny)
		return false;
	if (!path)
		path = row();
	*path = (struct path){*to, (uint16_t)mtu, tiny, uk_monotonic_ns() + LIFE_NS};
	tell_lwip(iface, to, path->mtu);
	send_again(iface, path);
	return true;
}

void net_pmtu_age(void)
{
	uint64_t now = npaths ? uk_monotonic_ns() : 0;

	for (uint32_t i = 0; npaths && i < PATHS; i++) {
		struct path *path = &paths[i];

		if (!path->mtu || now < path->until_ns)
			continue;
		for (uint32_t k = 0; k < uk_net_ndevs; k++)
			if (net_ifaces[k])
				tell_lwip(net_ifaces[k], &path->to, net_ifaces[k]->mtu6);
		path->mtu = 0;
		npaths--;
	}
}

void net_pmtu_forget(void)
{
	memset(paths, 0, sizeof(paths));
	npaths = 0;
}
