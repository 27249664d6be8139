/* SPDX-License-Identifier: Apache-2.0 */
/*
 * recovery.c: what lwIP's TCP lacks to live with losses. It retransmits one segment after three
 * pure duplicate acknowledgements, and then waits for a time-out; here
 *
 *   - the peer's SACK blocks tell of a loss, too: data comes back between acknowledgements
 *     when both sides send, and windows change (RFC 6675, DupThresh);
 *   - a partial acknowledgement retransmits the next hole at once (RFC 6582, NewReno);
 *   - the first round trip sets the time-out (RFC 6298, 2.2), not the twentieth;
 *   - a last segment that is lost is sent again after a tenth of a second, once, before the
 *     time-out (in the spirit of RFC 8985's tail loss probe).
 */
#include "lwip/ip.h"
#include "lwip/priv/tcp_priv.h"

#include "lwip_hooks.h"
#include "stack.h"

#define OPTION_NOP  1
#define OPTION_SACK 5

/* Of a pcb's ext_args, whose first is tcp.c's: no callbacks, one word each. */
#define RECOVERY 1 /* 0: none under way; else where it ends, and a bit above the 32 */
#define PROBE    2 /* lastack << 8, and how often it has been found the same */

#define ACTIVE (1ull << 32)

/* The segment that lwIP is looking at, as it was before. */
static struct {
	struct tcp_pcb *pcb;
	u32_t acked, sacked; /* sacked: the highest that a block tells of; acked: none does */
} seen;

static uint64_t word(const struct tcp_pcb *pcb, int i)
{
	return (uint64_t)pcb->ext_args[i].data;
}

static void set_word(struct tcp_pcb *pcb, int i, uint64_t v)
{
	pcb->ext_args[i].data = (void *)v;
}

static u32_t be32(const uint8_t *p)
{
	return (u32_t)p[0] << 24 | (u32_t)p[1] << 16 | (u32_t)p[2] << 8 | p[3];
}

/* The end of the SACK block that is farthest ahead (RFC 2018). */
static u32_t highest_sacked(const struct tcp_pcb *pcb, const uint8_t *option, u16_t bytes)
{
	u32_t highest = pcb->lastack;

	for (u16_t i = 0; i < bytes && option[i];) {
		u16_t n = 1;

		if (option[i] != OPTION_NOP) {
			if (i + 1 >= bytes || option[i + 1] < 2 || option[i + 1] > bytes - i)
				break;
			n = option[i + 1];
		}
		for (u16_t k = 2; option[i] == OPTION_SACK && k + 8 <= n; k = (u16_t)(k + 8)) {
			u32_t end = be32(option + i + k + 4);

			if (TCP_SEQ_GT(end, highest) && TCP_SEQ_LEQ(end, pcb->snd_nxt))
				highest = end;
		}
		i = (u16_t)(i + n);
	}
	return highest;
}

/* lwIP starts from 3 s, and comes down with every sample by a quarter of it. */
static void first_round_trip(struct tcp_pcb *pcb)
{
	s16_t m = pcb->sa;

	/* One sample was taken of the handshake, in ticks; or none, if it was sent twice. */
	if (pcb->sv < 2000 / TCP_SLOW_INTERVAL || pcb->nrtx || m >= 1000 / TCP_SLOW_INTERVAL)
		return;
	pcb->sa = (s16_t)(8 * m);
	pcb->sv = (s16_t)LWIP_MAX(2 * m, 3);
	pcb->rto = (s16_t)(m + pcb->sv);
}

void net_recovery_before(struct tcp_pcb *pcb, const struct tcp_hdr *hdr, u16_t options)
{
	seen.pcb = NULL;
	if (pcb->state < ESTABLISHED || pcb->state == TIME_WAIT)
		return;
	if (pcb->state == ESTABLISHED)
		first_round_trip(pcb);
	if (!pcb->unacked)
		return;
	seen.pcb = pcb;
	seen.acked = pcb->lastack;
	seen.sacked = highest_sacked(pcb, (const uint8_t *)(hdr + 1), options);
}

void net_recovery_forget(void)
{
	seen.pcb = NULL;
}

void net_recovery_after(void)
{
	struct tcp_pcb *pcb = seen.pcb;

	seen.pcb = NULL;
	/* lwIP puts whom it has found in front; else this one may be gone. */
	if (!pcb || pcb != tcp_active_pcbs || !pcb->unacked)
		return;
	if (pcb->flags & TF_RTO) {
		set_word(pcb, RECOVERY, 0);
	} else if (!(word(pcb, RECOVERY) & ACTIVE)) {
		u32_t far = 3u * LWIP_MIN(pcb->mss, 1460);

		if (!(pcb->flags & TF_INFR) && TCP_SEQ_GT(seen.sacked, pcb->lastack + far))
			tcp_rexmit_fast(pcb);
		if (pcb->flags & TF_INFR) {
			set_word(pcb, RECOVERY, ACTIVE | pcb->snd_nxt);
			tcp_output(pcb);
		}
	} else if (TCP_SEQ_GEQ(pcb->lastack, (u32_t)word(pcb, RECOVERY))) {
		set_word(pcb, RECOVERY, 0);
	} else if (pcb->lastack != seen.acked && tcp_rexmit(pcb) == ERR_OK) {
		/* Still the same loss: the window is not halved again. */
		tcp_set_flags(pcb, TF_INFR);
		tcp_output(pcb);
	}
}

void net_recovery_tick(struct tcp_pcb *pcb)
{
	uint64_t same = word(pcb, PROBE);

	if (!pcb->unacked || pcb->nrtx || (pcb->flags & TF_RTO) || pcb->state < ESTABLISHED ||
	    pcb->sa >> 3) {
		set_word(pcb, PROBE, 0);
		return;
	}
	if ((u32_t)(same >> 8) != pcb->lastack)
		same = (uint64_t)pcb->lastack << 8;
	set_word(pcb, PROBE, ++same);
	if ((same & 0xff) <= 100 / TCP_TMR_INTERVAL)
		return;
	set_word(pcb, PROBE, 0);
	if (tcp_rexmit(pcb) == ERR_OK)
		tcp_output(pcb);
}
