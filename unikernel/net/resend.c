/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resend.c: a segment that is to be sent again is no place for what is new. It goes from lwIP's
 * unacked to its unsent, and stays there while the device has no room for it; and to the last
 * segment of unsent lwIP's tcp_write appends, and tcp_send_fin sets FIN, as if it were always the
 * stream's last. Then new bytes would have the numbers of others, and the stream would end early.
 */
#include "lwip/priv/tcp_priv.h"

#include "stack.h"

static u32_t sequence(const struct tcp_seg *seg)
{
	return lwip_ntohl(seg->tcphdr->seqno);
}

void net_resend_later(struct tcp_pcb *pcb)
{
	struct tcp_seg *seg = pcb->unsent, **at = &pcb->unacked;

	if (!seg || !pcb->unacked || TCP_SEQ_GEQ(sequence(seg), pcb->snd_nxt))
		return;
	while (seg->next)
		seg = seg->next;
	if (sequence(seg) + TCP_TCPLEN(seg) == pcb->snd_lbb)
		return; /* it is the stream's last, as after a time-out */
	while ((seg = pcb->unsent)) {
		pcb->unsent = seg->next;
		while (*at && TCP_SEQ_LT(sequence(*at), sequence(seg)))
			at = &(*at)->next;
		seg->next = *at;
		*at = seg;
	}
	pcb->unsent_oversize = 0;
	if (pcb->rtime < 0)
		pcb->rtime = 0;
}
