/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lease.c: when a DHCP lease is renewed, bound anew with whoever answers, and over (RFC 2131,
 * 4.4.5). lwIP counts it in minutes: it would give a lease of one minute back rather than renew
 * it, and wake an idle VM each minute. So its own count is held at 0, and a timer of ours lets it
 * do what is due.
 */
#include "lwip/dhcp.h"
#include "lwip/prot/dhcp.h"

#include "stack.h"

#define S        1000000000ull
#define MS       1000000ull
#define NEVER    UINT64_MAX
#define RETRY_NS (60 * S) /* RFC 2131: at least so long between two tries */
#define INFINITE 0xffffffffu

/* T1, T2 and the lease's end, since it was given. A server's numbers: in any order, and 0. */
struct times {
	uint64_t renew, rebind, end;
};

static struct times times_of(const struct dhcp *dhcp)
{
	struct times t;

	t.end = uk_max(dhcp->offered_t0_lease, 1u) * S;
	t.rebind = uk_min(uk_max(dhcp->offered_t2_rebind, 1u) * S, t.end);
	t.renew = uk_min(uk_max(dhcp->offered_t1_renew, 1u) * S, t.rebind);
	return t;
}

static void stop_count(struct dhcp *dhcp)
{
	dhcp->t0_timeout = dhcp->t1_renew_time = dhcp->t2_rebind_time = 0;
}

/* When there is something to do for it. */
static uint64_t due(struct net_iface *iface, uint64_t now)
{
	struct dhcp *dhcp = iface ? netif_dhcp_data(&iface->netif) : NULL;
	struct times t;

	if (!dhcp)
		return NEVER;
	/* dhcp_bind has set it to 0: a lease, or one more time of it, has just been given. */
	if (dhcp->state == DHCP_STATE_BOUND && !dhcp->lease_used) {
		dhcp->lease_used = 1;
		stop_count(dhcp);
		iface->lease_ns = now;
	}
	if (dhcp->offered_t0_lease == INFINITE)
		return NEVER;
	t = times_of(dhcp);
	switch (dhcp->state) {
	case DHCP_STATE_BOUND:
		return iface->lease_ns + t.renew;
	case DHCP_STATE_RENEWING:
		return uk_min(iface->lease_try_ns, iface->lease_ns + t.rebind);
	case DHCP_STATE_REBINDING:
		return uk_min(iface->lease_try_ns, iface->lease_ns + t.end);
	case DHCP_STATE_OFF:
		return NEVER;
	default: /* asks anew, because the link was away: with the old address meanwhile */
		return ip4_addr_isany(netif_ip4_addr(&iface->netif)) ? NEVER
								     : iface->lease_ns + t.end;
	}
}

static void act(struct net_iface *iface, uint64_t now)
{
	struct dhcp *dhcp = netif_dhcp_data(&iface->netif);
	struct times t = times_of(dhcp);
	uint64_t age = now - iface->lease_ns, until;

	if (age >= t.end) {
		dhcp->t0_timeout = (u16_t)(dhcp->lease_used + 1);
	} else if (age >= t.rebind) {
		dhcp->t2_rebind_time = 1;
		until = t.end;
	} else {
		dhcp->t1_renew_time = 1;
		until = t.rebind;
	}
	if (age < t.end)
		iface->lease_try_ns = now + uk_max((until - age) / 2, (uint64_t)RETRY_NS);
	dhcp_coarse_tmr();
	stop_count(dhcp);
	if (age >= t.end) /* where lwIP was asking anew it leaves it */
		netif_set_addr(&iface->netif, IP4_ADDR_ANY4, IP4_ADDR_ANY4, IP4_ADDR_ANY4);
}

uint64_t net_lease_in_ms(void)
{
	uint64_t now = uk_monotonic_ns(), first = NEVER;

	for (uint32_t i = 0; i < uk_net_ndevs; i++)
		first = uk_min(first, due(net_ifaces[i], now));
	return first == NEVER ? NEVER : first <= now ? 0 : (first - now + MS - 1) / MS;
}

void net_lease_run(void)
{
	uint64_t now = uk_monotonic_ns();

	for (uint32_t i = 0; i < uk_net_ndevs; i++)
		if (due(net_ifaces[i], now) <= now)
			act(net_ifaces[i], now);
}
