/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guard.c: TCP segments that lwIP must not see. It takes some things for impossible that a peer,
 * or somebody who forges segments, can make so, and an assertion of lwIP's ends the VM:
 *
 *   - the MSS option counts in each segment, and not only in a SYN: data that was cut before
 *     would be larger than a segment; and the last option may end behind the header;
 *   - what came out of order may reach beyond the window, and then the window is less than what
 *     is taken out of it when the gap is filled; so may a FIN that data follow.
 *
 * And data count whatever they acknowledge: who forges them needs to know one sequence number
 * only (RFC 5961, 5).
 */
#include "lwip/priv/tcp_priv.h"

#include "lwip_hooks.h"

#define OPTION_END 0
#define OPTION_NOP 1
#define OPTION_MSS 2
#define MSS_BYTES  4
#define MSS_MIN    48 /* as Linux's tcp_min_snd_mss: less is for making others work */

static void look_at_options(struct tcp_hdr *hdr, u16_t bytes, bool counts)
{
	uint8_t *option = (uint8_t *)(hdr + 1);

	for (u16_t i = 0; i < bytes && option[i] != OPTION_END;) {
		if (option[i] == OPTION_NOP) {
			i++;
			continue;
		}
		/* lwIP would read on behind the header. */
		if (i + 1 >= bytes || option[i + 1] < 2 || option[i + 1] > bytes - i) {
			option[i] = OPTION_END;
			return;
		}
		if (option[i] == OPTION_MSS && option[i + 1] == MSS_BYTES) {
			if (!counts) {
				memset(option + i, OPTION_NOP, MSS_BYTES);
				continue;
			}
			if (!option[i + 2] && option[i + 3] && option[i + 3] < MSS_MIN)
				option[i + 3] = MSS_MIN;
		}
		i = (u16_t)(i + option[i + 1]);
	}
}

/* Does `end`, where its data end, lie behind a FIN that came out of order? */
static bool behind_fin(const struct tcp_pcb *pcb, u32_t end)
{
	const struct tcp_seg *last = pcb->ooseq;

	while (last && last->next)
		last = last->next;
	return last && (TCPH_FLAGS(last->tcphdr) & TCP_FIN) &&
	       TCP_SEQ_GT(end, last->tcphdr->seqno + last->len);
}

static bool fits_window(const struct tcp_pcb *pcb, const struct tcp_hdr *hdr, u32_t data, bool fin)
{
	u32_t edge = pcb->rcv_nxt + pcb->rcv_wnd, end = hdr->seqno + data;

	/* Outside of it altogether: lwIP sees that. */
	if (!(data + fin) || TCP_SEQ_GEQ(hdr->seqno, edge))
		return true;
	/* What is next in order lwIP cuts. */
	if (TCP_SEQ_GT(hdr->seqno, pcb->rcv_nxt) && TCP_SEQ_GT(end + fin, edge))
		return false;
	return TCP_SEQ_LT(end, edge) || !behind_fin(pcb, end);
}

/* Of what we have sent, and not older than what may still be under way. */
static bool acknowledges(const struct tcp_pcb *pcb, const struct tcp_hdr *hdr)
{
	return (TCPH_FLAGS(hdr) & TCP_ACK) && TCP_SEQ_LEQ(hdr->ackno, pcb->snd_nxt) &&
	       TCP_SEQ_GEQ(hdr->ackno, pcb->lastack - pcb->snd_wnd_max);
}

err_t net_guard_tcp(struct tcp_pcb *pcb, struct tcp_hdr *hdr, u16_t all_options, u16_t options,
		    const struct pbuf *p)
{
	u8_t flags = TCPH_FLAGS(hdr);
	bool syn = flags & TCP_SYN;

	/* A header in pieces comes of a datagram in pieces that are too small to be honest
	 * (RFC 3128). */
	if (all_options != options)
		return ERR_VAL;
	look_at_options(hdr, options, syn && (pcb->state == LISTEN || pcb->state == SYN_SENT));
	if (pcb->state < SYN_RCVD || pcb->state == TIME_WAIT || (flags & TCP_RST))
		return ERR_OK;
	/* lwIP answers these itself, without a look at what else they have. But one that ends a
	 * handshake would count as data. */
	if (syn)
		return pcb->state == SYN_RCVD && (flags & TCP_ACK) ? ERR_VAL : ERR_OK;
	if (pcb->state > SYN_RCVD && !acknowledges(pcb, hdr)) {
		if (flags & TCP_ACK)
			tcp_send_empty_ack(pcb);
		return ERR_VAL;
	}
	if (fits_window(pcb, hdr, p->tot_len, flags & TCP_FIN))
		return ERR_OK;
	tcp_send_empty_ack(pcb);
	return ERR_VAL;
}
