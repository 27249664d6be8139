/* SPDX-License-Identifier: Apache-2.0 */
/*
 * timers.c: lwIP's timers (LWIP_TIMERS_CUSTOM). lwIP would run all of its own all the time,
 * ten times a second and more; here a timer runs while there is something that it is for, so
 * that a VM whose connections are idle sleeps on. What only grows older while it sleeps (entries of
 * neighbours, lifetimes) does so when it wakes, before anything else is looked at.
 */
#include "lwip/dhcp.h"
#include "lwip/etharp.h"
#include "lwip/igmp.h"
#include "lwip/ip4_frag.h"
#include "lwip/ip6_frag.h"
#include "lwip/mld6.h"
#include "lwip/nd6.h"
#include "lwip/priv/nd6_priv.h"
#include "lwip/priv/tcp_priv.h"
#include "lwip/prot/dhcp.h"
#include "lwip/timeouts.h"

#include "inet.h"
#include "stack.h"

#define MS           1000000ull
#define NEVER        UINT64_MAX
#define EARLY_MS     20u
#define RECOVERY_MS  10u
#define IDLE_POLL_MS 10000u /* with nothing under way, tcp_poll is for what hardly happens */
#define ARP_TICKS    2u     /* etharp.c repeats a request, or gives up, within a second */
#define ARP_LIVES_S  301u   /* ARP_MAXAGE: after that nothing is left to age */
#define AGES_MAX_S   3600u  /* of IPv6; nobody needs more after a longer sleep */
#define GROUPS_MAX   256u   /* ticks: the longest that a querier may ask for (RFC 2236, 2.2) */
/* TIME_WAIT protects against segments of the old connection, and costs every new one a look at
 * all that there are, 50 ns each. Linux bounds them, too (tcp_max_tw_buckets). */
#define TIME_WAITS 128u

u32_t sys_now(void)
{
	return (u32_t)(uk_monotonic_ns() / MS);
}

uint32_t net_random(void)
{
	uint32_t v;

	uk_random(&v, sizeof(v));
	return v;
}

void sys_timeouts_init(void)
{
}

void tcp_timer_needed(void)
{
	/* net_timers_next will see that it is. */
}

/* ---- TCP ---- */

void net_timewait_trim(void)
{
	struct tcp_pcb *pcb = tcp_tw_pcbs, *next;
	uint32_t n = 1;

	while (pcb && n++ < TIME_WAITS)
		pcb = pcb->next;
	if (!pcb)
		return;
	/* The list's head is the youngest. */
	next = pcb->next;
	pcb->next = NULL;
	while ((pcb = next)) {
		next = pcb->next;
		tcp_pcb_purge(pcb);
		memp_free(MEMP_TCP_PCB, pcb);
	}
}

/* ms until an idle connection's keep-alive has something to do. */
static uint64_t keepalive_in(const struct tcp_pcb *pcb)
{
	uint64_t after = pcb->keep_idle + (uint64_t)pcb->keep_cnt_sent * pcb->keep_intvl;
	uint64_t idle = (uint64_t)(u32_t)(tcp_ticks - pcb->tmr) * TCP_SLOW_INTERVAL;

	return after > idle ? after - idle : TCP_TMR_INTERVAL;
}

static uint64_t pcb_in(const struct tcp_pcb *pcb)
{
	uint64_t ms = NEVER;

	if (pcb->unsent || pcb->unacked || pcb->ooseq || pcb->refused_data ||
	    pcb->persist_backoff || (pcb->flags & (TF_ACK_DELAY | TF_ACK_NOW | TF_CLOSEPEND)) ||
	    pcb->state < ESTABLISHED)
		return TCP_TMR_INTERVAL;
	if (pcb->state != ESTABLISHED && pcb->state != CLOSE_WAIT)
		ms = 1000; /* FIN_WAIT_2 and others end after a while */
	if (pcb->poll)
		ms = uk_min(ms, (uint64_t)IDLE_POLL_MS);
	if (ip_get_option(pcb, SOF_KEEPALIVE))
		ms = uk_min(ms, keepalive_in(pcb));
	return ms;
}

static uint64_t tcp_in(void)
{
	uint64_t ms = tcp_tw_pcbs ? 1000 : NEVER;

	for (const struct tcp_pcb *pcb = tcp_active_pcbs; pcb; pcb = pcb->next) {
		ms = uk_min(ms, pcb_in(pcb));
		if (ms == TCP_TMR_INTERVAL)
			break;
	}
	return ms;
}

static void tcp_run(uint64_t passed_ms)
{
	(void)passed_ms;
	net_tcp_tick();
	tcp_tmr();
	net_timewait_trim();
}

/* ---- the others ---- */

static uint32_t arp_ticks; /* left, of a request */

void net_arp_asks(void)
{
	arp_ticks = ARP_TICKS;
}

/* Is an interface looking for a router, or for another that has its address? */
static bool netif_asks(const struct netif *netif)
{
	if (!netif_is_up(netif) || !netif_is_link_up(netif))
		return false;
	for (int i = 0; i < LWIP_IPV6_NUM_ADDRESSES; i++)
		if (ip6_addr_istentative(netif_ip6_addr_state(netif, i)))
			return true;
	return netif->rs_count;
}

/* Something is asked again, or given up, when time has passed; all else may wait. */
static bool is_asking(void)
{
	bool asks = arp_ticks;

	for (int i = 0; i < LWIP_ND6_NUM_NEIGHBORS; i++)
		asks |= neighbor_cache[i].state == ND6_INCOMPLETE ||
			neighbor_cache[i].state == ND6_DELAY ||
			neighbor_cache[i].state == ND6_PROBE;
	for (uint32_t i = 0; i < uk_net_ndevs; i++)
		asks |= net_ifaces[i] && netif_asks(&net_ifaces[i]->netif);
	return asks;
}

static uint64_t neighbours_in(void)
{
	return is_asking() ? ARP_TMR_INTERVAL : NEVER;
}

static void neighbours_run(uint64_t passed_ms)
{
	uint64_t seconds = passed_ms / ND6_TMR_INTERVAL;
	uint32_t ticks;

	/* Who was asked has had no time to answer while the VM stood still: it is asked once more,
	 * not given up. */
	if (is_asking())
		seconds = uk_min(seconds, 1ull);
	arp_ticks -= arp_ticks != 0;
	net_nobody_tick();
	net_pmtu_age();
	for (uint64_t i = 0; i < uk_min(seconds, (uint64_t)ARP_LIVES_S); i++) {
		etharp_tmr();
		ip_reass_tmr();
		ip6_reass_tmr();
	}
	for (uint64_t i = 0; i < uk_min(seconds, (uint64_t)AGES_MAX_S); i++)
		nd6_tmr();
	ticks = arp_ticks;
	net_neighbour_age();
	arp_ticks = ticks; /* that is worth no waking up */
}

static bool groups_asked;

void net_groups_asked(void)
{
	groups_asked = true;
}

/*
 * Reports that a querier waits for. The second one of who has joined a group, in case that the
 * first was lost (RFC 2710, 4), is worth no waking up: it goes when the VM is awake.
 */
static uint64_t groups_in(void)
{
	uint64_t ticks = NEVER;

	for (uint32_t i = 0; i < uk_net_ndevs; i++) {
		const struct netif *n = net_ifaces[i] ? &net_ifaces[i]->netif : NULL;

		if (!n)
			continue;
		for (const struct igmp_group *g = netif_igmp_data(n); g; g = g->next)
			if (g->timer)
				ticks = uk_min(ticks, (uint64_t)g->timer);
		for (const struct mld_group *g = netif_mld6_data(n); groups_asked && g; g = g->next)
			if (g->timer)
				ticks = uk_min(ticks, (uint64_t)g->timer);
	}
	groups_asked &= ticks != NEVER;
	return ticks == NEVER ? NEVER : ticks * MLD6_TMR_INTERVAL;
}

static void groups_run(uint64_t passed_ms)
{
	for (uint64_t i = 0; i < uk_min(passed_ms / MLD6_TMR_INTERVAL, (uint64_t)GROUPS_MAX); i++) {
		igmp_tmr();
		mld6_tmr();
	}
}

/* Requests that were not answered yet. */
static uint64_t dhcp_in(void)
{
	for (uint32_t i = 0; i < uk_net_ndevs; i++) {
		const struct dhcp *dhcp =
			net_ifaces[i] ? netif_dhcp_data(&net_ifaces[i]->netif) : NULL;

		if (dhcp && dhcp->state != DHCP_STATE_OFF && dhcp->request_timeout)
			return DHCP_FINE_TIMER_MSECS;
	}
	return NEVER;
}

static void dhcp_run(uint64_t passed_ms)
{
	(void)passed_ms;
	dhcp_fine_tmr();
}

static void lease_run(uint64_t passed_ms)
{
	(void)passed_ms;
	net_lease_run();
}

static uint64_t recovery_in(void)
{
	return net_recovery_ticks() ? RECOVERY_MS : NEVER;
}

static void recovery_run(uint64_t passed_ms)
{
	(void)passed_ms;
	net_recovery_fast();
}

/* Who came before the addresses looks again. */
static uint64_t early_in(void)
{
	return net_early ? EARLY_MS : NEVER;
}

static void early_run(uint64_t passed_ms)
{
	(void)passed_ms;
	net_early = false;
	tcp_connect_early();
}

/* ---- all of them ---- */

static struct timer {
	uint64_t (*in_ms)(void); /* when it has to run; NEVER: there is nothing for it */
	void (*run)(uint64_t passed_ms);
	uint32_t shortest_ms; /* that in_ms says */
	bool ages;            /* runs, too, when so much has passed and the VM is awake */
	uint64_t last_ns, due_ns;
} timers[] = {
	{tcp_in, tcp_run, TCP_TMR_INTERVAL, false, 0, NEVER},
	{neighbours_in, neighbours_run, ARP_TMR_INTERVAL, true, 0, NEVER},
	{groups_in, groups_run, MLD6_TMR_INTERVAL, true, 0, NEVER},
	{dhcp_in, dhcp_run, DHCP_FINE_TIMER_MSECS, false, 0, NEVER},
	{net_lease_in_ms, lease_run, 0, false, 0, NEVER},
	{early_in, early_run, EARLY_MS, false, 0, NEVER},
	{recovery_in, recovery_run, RECOVERY_MS, false, 0, NEVER},
};
_Static_assert(IGMP_TMR_INTERVAL == MLD6_TMR_INTERVAL && ARP_TMR_INTERVAL == ND6_TMR_INTERVAL &&
		       IP_TMR_INTERVAL == ARP_TMR_INTERVAL,
	       "what runs together has the same tick");

static void run(struct timer *t, uint64_t now_ns)
{
	uint64_t passed_ns = t->last_ns ? now_ns - t->last_ns : 0;

	t->due_ns = NEVER;
	t->run(passed_ns / MS);
	/* Who ages does so in whole ticks, however seldom it is looked at: the rest counts, too. */
	t->last_ns = now_ns - (t->ages ? passed_ns % (t->shortest_ms * MS) : 0);
}

bool net_timers_run(uint64_t now_ns)
{
	bool ran = false;

	for (uint32_t i = 0; i < uk_countof(timers); i++) {
		if (now_ns < timers[i].due_ns)
			continue;
		run(&timers[i], now_ns);
		ran = true;
	}
	return ran;
}

void net_timers_age(uint64_t now_ns)
{
	static uint64_t next_ns;

	if (now_ns < next_ns)
		return;
	next_ns = now_ns + MLD6_TMR_INTERVAL * MS;
	for (uint32_t i = 0; i < uk_countof(timers); i++) {
		struct timer *t = &timers[i];

		if (!t->ages)
			continue;
		if (!t->last_ns)
			t->last_ns = now_ns;
		else if (now_ns - t->last_ns >= t->shortest_ms * MS)
			run(t, now_ns);
	}
}

uint64_t net_timers_next(uint64_t now_ns)
{
	uint64_t next = NEVER;

	for (uint32_t i = 0; i < uk_countof(timers); i++) {
		struct timer *t = &timers[i];

		/* Nothing makes it sooner than its shortest time. */
		if (t->due_ns > now_ns + t->shortest_ms * MS) {
			uint64_t ms = t->in_ms();

			t->due_ns = ms == NEVER ? NEVER : now_ns + ms * MS;
		}
		next = uk_min(next, t->due_ns);
	}
	return next;
}
