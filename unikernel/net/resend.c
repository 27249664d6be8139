/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resend.c: a segment that is to be sent again goes from lwIP's unacked to its unsent, and stays
 * there while the device has no room for it, or no link. lwIP does not expect that:
 *
 *   - to the last segment of unsent tcp_write appends, and tcp_send_fin sets FIN, as if it were
 *     always the stream's last. Then new bytes would have the numbers of others, and the stream
 *     would end early;
 *   - a time-out puts unsent behind unacked, so the first segment comes behind others, and those do
 *     not fit into a window that is one segment then: nothing is ever sent again.
 */
#include "lwip/priv/tcp_priv.h"

#include "stack.h"

static u32_t sequence(const struct tcp_seg *seg)
{
	return lwip_ntohl(seg->tcphdr->seqno);
}

/* Of unsent what comes before the number goes back to unacked. */
static void put_back(struct tcp_pcb *pcb, u32_t before)
{
	struct tcp_seg *seg, **at = &pcb->unacked;

	while ((seg = pcb->unsent) && TCP_SEQ_LT(sequence(seg), before)) {
		pcb->unsent = seg->next;
		while (*at && TCP_SEQ_LT(sequence(*at), sequence(seg)))
			at = &(*at)->next;
		seg->next = *at;
		*at = seg;
	}
	if (!pcb->unsent)
		pcb->unsent_oversize = 0;
}

void net_resend_later(struct tcp_pcb *pcb)
{
	struct tcp_seg *seg = pcb->unsent;

	if (!seg || !pcb->unacked || TCP_SEQ_GEQ(sequence(seg), pcb->snd_nxt))
		return;
	while (seg->next)
		seg = seg->next;
	if (sequence(seg) + TCP_TCPLEN(seg) == pcb->snd_lbb)
		return; /* it is the stream's last, as after a time-out */
	put_back(pcb, pcb->snd_lbb);
	if (pcb->rtime < 0)
		pcb->rtime = 0;
}

void net_resend_order(struct tcp_pcb *pcb)
{
	struct tcp_seg *last = pcb->unacked;

	if (!last || !pcb->unsent || TCP_SEQ_GEQ(sequence(pcb->unsent), pcb->snd_nxt))
		return;
	while (last->next)
		last = last->next;
	put_back(pcb, sequence(last));
}
