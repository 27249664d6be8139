/* SPDX-License-Identifier: Apache-2.0 */
/*
 * timers.c: lwIP's timers (LWIP_TIMERS_CUSTOM). lwIP would run all of its own all the time,
 * ten times a second and more; here a timer runs while there is something that it is for, so
 * that a VM whose connections are idle sleeps on.
 */
#include "lwip/dhcp.h"
#include "lwip/etharp.h"
#include "lwip/igmp.h"
#include "lwip/ip4_frag.h"
#include "lwip/ip6_frag.h"
#include "lwip/mld6.h"
#include "lwip/nd6.h"
#include "lwip/priv/tcp_priv.h"
#include "lwip/prot/dhcp.h"
#include "lwip/timeouts.h"

#include "inet.h"
#include "stack.h"

#define MS           1000000ull
#define NEVER        UINT64_MAX
#define EARLY_MS     20u
#define RECOVERY_MS  10u
#define IDLE_POLL_MS 10000u    /* with nothing under way, tcp_poll is for what hardly happens */
#define AGING_MS     310000ull /* ARP_MAXAGE is 300 s: after that nothing is left to age */
/* TIME_WAIT protects against segments of the old connection, and costs every new one a look at
 * all that there are, 50 ns each. Linux bounds them, too (tcp_max_tw_buckets). */
#define TIME_WAITS 128u

bool net_traffic;
static uint64_t traffic_ns; /* the last */

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
	uint32_t ticks = (uint32_t)(passed_ms / TCP_SLOW_INTERVAL);

	/* What was slept counts. */
	if (ticks > 1)
		tcp_ticks += ticks - 1;
	for (struct tcp_pcb *pcb = tcp_active_pcbs, *next; pcb; pcb = next) {
		next = pcb->next;
		/* lwIP's first time-out is 3 s (RFC 1122); it has been one since RFC 6298. */
		if ((pcb->state == SYN_SENT || pcb->state == SYN_RCVD) && !pcb->nrtx)
			pcb->rto = 1000 / TCP_SLOW_INTERVAL;
		net_recovery_tick(pcb);
	}
	tcp_tmr();
	net_timewait_trim();
}

/* ---- the others ---- */

static uint64_t aging_in(uint64_t interval_ms)
{
	return uk_net_ndevs && uk_monotonic_ns() - traffic_ns < AGING_MS * MS ? interval_ms : NEVER;
}

static uint64_t neighbours_in(void)
{
	return aging_in(ARP_TMR_INTERVAL);
}

static void neighbours_run(uint64_t passed_ms)
{
	/* Lifetimes that went by in a long sleep; nobody needs more than an hour's precision. */
	uint64_t ticks = uk_min(passed_ms / ND6_TMR_INTERVAL, 3600ull);

	etharp_tmr();
	ip_reass_tmr();
	ip6_reass_tmr();
	do
		nd6_tmr();
	while (ticks-- > 1);
}

static uint64_t groups_in(void)
{
	for (uint32_t i = 0; i < uk_net_ndevs; i++) {
		const struct netif *n = net_ifaces[i] ? &net_ifaces[i]->netif : NULL;

		if (!n)
			continue;
		for (const struct igmp_group *g = netif_igmp_data(n); g; g = g->next)
			if (g->timer)
				return IGMP_TMR_INTERVAL;
		for (const struct mld_group *g = netif_mld6_data(n); g; g = g->next)
			if (g->timer)
				return MLD6_TMR_INTERVAL;
	}
	return NEVER;
}

static void groups_run(uint64_t passed_ms)
{
	(void)passed_ms;
	igmp_tmr();
	mld6_tmr();
}

static uint64_t dhcp_in(bool fine)
{
	for (uint32_t i = 0; i < uk_net_ndevs; i++) {
		const struct dhcp *dhcp =
			net_ifaces[i] ? netif_dhcp_data(&net_ifaces[i]->netif) : NULL;

		if (dhcp && dhcp->state != DHCP_STATE_OFF && (!fine || dhcp->request_timeout))
			return fine ? DHCP_FINE_TIMER_MSECS : DHCP_COARSE_TIMER_MSECS;
	}
	return NEVER;
}

static uint64_t dhcp_fine_in(void)
{
	return dhcp_in(true);
}

static uint64_t dhcp_coarse_in(void)
{
	return dhcp_in(false);
}

static void dhcp_fine_run(uint64_t passed_ms)
{
	(void)passed_ms;
	dhcp_fine_tmr();
}

static void dhcp_coarse_run(uint64_t passed_ms)
{
	(void)passed_ms;
	dhcp_coarse_tmr();
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
	uint64_t last_ns, due_ns;
} timers[] = {
	{tcp_in, tcp_run, TCP_TMR_INTERVAL, 0, NEVER},
	{neighbours_in, neighbours_run, ARP_TMR_INTERVAL, 0, NEVER},
	{groups_in, groups_run, IGMP_TMR_INTERVAL, 0, NEVER},
	{dhcp_fine_in, dhcp_fine_run, DHCP_FINE_TIMER_MSECS, 0, NEVER},
	{dhcp_coarse_in, dhcp_coarse_run, DHCP_COARSE_TIMER_MSECS, 0, NEVER},
	{early_in, early_run, EARLY_MS, 0, NEVER},
	{recovery_in, recovery_run, RECOVERY_MS, 0, NEVER},
};

bool net_timers_run(uint64_t now_ns)
{
	bool ran = false;

	for (uint32_t i = 0; i < uk_countof(timers); i++) {
		struct timer *t = &timers[i];

		if (now_ns < t->due_ns)
			continue;
		t->due_ns = NEVER;
		t->run(t->last_ns ? (now_ns - t->last_ns) / MS : 0);
		t->last_ns = now_ns;
		ran = true;
	}
	return ran;
}

uint64_t net_timers_next(uint64_t now_ns)
{
	uint64_t next = NEVER;

	if (net_traffic)
		traffic_ns = now_ns;
	net_traffic = false;
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
