/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tcpclock.c: what time it is for lwIP's TCP, and what of its times is not as it has them: when a
 * SYN is sent again (RFC 6298), when a connection attempt is over (TCP_SYNCNT), how long the second
 * time-out is, and that a peer is asked before it is given up.
 */
#include "lwip/priv/tcp_priv.h"

#include "inet.h"
#include "stack.h"

#define MS            1000000ull
#define SYN_TICKS     (1000 / TCP_SLOW_INTERVAL)
#define SYN_TICKS_MAX (120000 / TCP_SLOW_INTERVAL) /* as on Linux (TCP_RTO_MAX) */

/*
 * lwIP counts the calls of its timer, which is not called while there is nothing for it to do. A
 * connection that comes after an hour without any is not an hour old, so the clock is set right
 * before anything is told by it. Never back: lwIP counts on by itself.
 */
void net_tcp_clock(uint64_t now_ns)
{
	static uint64_t next_ns;
	u32_t ticks;

	if (now_ns < next_ns)
		return;
	ticks = (u32_t)(now_ns / (TCP_SLOW_INTERVAL * MS));
	next_ns = now_ns + TCP_SLOW_INTERVAL * MS / 2;
	if ((s32_t)(ticks - tcp_ticks) > 0)
		tcp_ticks = ticks;
}

/* lwIP's first time-out is 3 s (RFC 1122); it has been one since RFC 6298. And it does not double
 * that of a SYN that we send (5.5). */
static void syn_timeout(struct tcp_pcb *pcb)
{
	if (pcb->state == SYN_SENT)
		pcb->rto = (s16_t)uk_min(SYN_TICKS << pcb->nrtx, SYN_TICKS_MAX);
	else if (pcb->state == SYN_RCVD && !pcb->nrtx)
		pcb->rto = SYN_TICKS;
}

/* lwIP gives a peer up by the clock alone; but whoever was not asked in time, because the VM stood
 * still, is to be asked first. */
static void keepalive_late(struct tcp_pcb *pcb)
{
	u32_t due = (pcb->keep_idle + pcb->keep_cnt_sent * pcb->keep_intvl) / TCP_SLOW_INTERVAL + 1;

	if (ip_get_option(pcb, SOF_KEEPALIVE) && tcp_ticks - pcb->tmr > due)
		pcb->tmr = tcp_ticks - due;
}

/* lwIP doubles a time-out as often as something was sent again: but what went before, because of
 * acknowledgements, or none (recovery.c), was no time-out. */
static void before_timeout(struct tcp_pcb *pcb)
{
	if (pcb->state < ESTABLISHED || !pcb->unacked || pcb->rtime + 1 < pcb->rto)
		return;
	net_resend_order(pcb);
	if (!(pcb->flags & TF_RTO))
		pcb->nrtx = 0;
}

void net_tcp_tick(void)
{
	for (struct tcp_pcb *pcb = tcp_active_pcbs, *next; pcb; pcb = next) {
		next = pcb->next;
		syn_timeout(pcb);
		if (tcp_syn_is_over(pcb)) {
			tcp_abandon(pcb, 0);
			continue;
		}
		keepalive_late(pcb);
		net_recovery_tick(pcb);
		before_timeout(pcb);
	}
}
