/* SPDX-License-Identifier: Apache-2.0 */
/*
 * recovery.c: what lwIP's TCP lacks to live with losses. It retransmits one segment after three
 * pure duplicate acknowledgements, and then waits for a time-out; here
 *
 *   - the peer's SACK blocks tell of a loss, too: data comes back between acknowledgements
 *     when both sides send, and windows change (RFC 6675, DupThresh);
 *   - a partial acknowledgement retransmits the next hole at once (RFC 6582, NewReno); and all that
 *     is under way, if the peer has nothing of it: one segment after the other would each wait for
 *     an acknowledgement that the peer delays;
 *   - the first round trip sets the time-out (RFC 6298, 2.2), not the twentieth;
 *   - when nothing is acknowledged for two round trips, the first segment is sent again, a few
 *     times before the time-out (in the spirit of RFC 8985's tail loss probe): a retransmission
 *     may be lost, too, and three duplicate acknowledgements want as many segments under way;
 *   - on a line on which segments overtake each other, more than three of them are a loss, and
 *     a window that was halved for nothing is as before: the peer tells that it had the segment
 *     already (DSACK, RFC 2883 and RFC 3708).
 */
#include "lwip/ip.h"
#include "lwip/priv/tcp_priv.h"

#include "lwip_hooks.h"
#include "stack.h"

#define OPTION_NOP  1
#define OPTION_SACK 5

/* Of a pcb's ext_args, whose first is tcplisten.c's: no callbacks, one word each. In the upper
 * half a sequence number, mostly. */
enum {
	RECOVERY = 1, /* 0: none under way; else where it ends, and ACTIVE */
	PROBE,        /* lastack, and since when (ms) */
	ROUND,        /* a round trip is measured: its end, and when it began (us); 0: none is */
	LINE, /* round trip, smoothed (us); above: segments that overtake, beyond DUPTHRESH */
	UNDO, /* the window before it was halved; 0: more than one segment was lost */
};

#define ACTIVE        1u
#define DUPTHRESH     3u
#define OVERTAKE_MAX  30u
#define PROBE_MS      100u /* where no round trip is known, or the peer may delay an ack */
#define PROBE_MORE_MS 10u
#define PROBES        2
#define SEGMENT_MAX   1460u /* of the wire: lwIP's may be larger (offload.c) */
#define WINDOW        10u   /* segments that a connection begins with (RFC 6928) */

static bool fast_ticks;

/* The segment that lwIP is looking at, as it was before. */
static struct {
	struct tcp_pcb *pcb;
	u32_t acked, sacked; /* sacked: the highest that a block tells of; acked: none does */
	bool twice;          /* it had something already */
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

static uint64_t pair(u32_t high, u32_t low)
{
	return (uint64_t)high << 32 | low;
}

static u32_t high(uint64_t pair)
{
	return (u32_t)(pair >> 32);
}

/* The end of the SACK block that is farthest ahead (RFC 2018); and whether the first is of what
 * was acknowledged before (RFC 2883). */
static u32_t highest_sacked(const struct tcp_pcb *pcb, u32_t acked, const uint8_t *option,
			    u16_t bytes)
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

			seen.twice |= k == 2 && TCP_SEQ_LEQ(end, acked);
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

static u32_t segment(const struct tcp_pcb *pcb)
{
	return LWIP_MIN(pcb->mss, SEGMENT_MAX);
}

/* So many segments that came after a missing one make it a lost one: fewer where no more are
 * under way (RFC 5827). */
static u32_t threshold(const struct tcp_pcb *pcb)
{
	u32_t under_way = (pcb->snd_nxt - pcb->lastack) / segment(pcb);

	return uk_min(high(word(pcb, LINE)) + DUPTHRESH, uk_max(under_way, 2u) - 1);
}

void net_recovery_before(struct tcp_pcb *pcb, const struct tcp_hdr *hdr, u16_t options)
{
	seen.pcb = NULL;
	if (pcb->state < ESTABLISHED || pcb->state == TIME_WAIT)
		return;
	if (pcb->state == ESTABLISHED)
		first_round_trip(pcb);
	if (!pcb->unacked && !word(pcb, UNDO))
		return;
	seen.pcb = pcb;
	seen.acked = pcb->lastack;
	seen.twice = false;
	seen.sacked = highest_sacked(pcb, hdr->ackno, (const uint8_t *)(hdr + 1), options);
	/* lwIP would take the third for a loss; with a SACK we know better. */
	if (threshold(pcb) > DUPTHRESH && seen.sacked != pcb->lastack && pcb->dupacks == 2)
		pcb->dupacks = 1;
}

void net_recovery_forget(void)
{
	seen.pcb = NULL;
}

/* Measures a round trip after the other: what is sent now is acknowledged then. */
static void time_round(struct tcp_pcb *pcb)
{
	uint64_t round = word(pcb, ROUND);
	u32_t now;

	if (round && TCP_SEQ_LT(pcb->lastack, high(round)))
		return;
	now = (u32_t)(uk_monotonic_ns() / 1000);
	if (round) {
		u32_t line = (u32_t)word(pcb, LINE), took = now - (u32_t)round;

		took = uk_min(took, 1000000u) + 1;
		line = line ? line - line / 8 + took / 8 : took;
		set_word(pcb, LINE, pair(high(word(pcb, LINE)), line));
	}
	set_word(pcb, ROUND, pcb->unacked ? pair(pcb->snd_nxt, now) : 0);
}

/* The peer had it: it was late, not lost. */
static void was_not_lost(struct tcp_pcb *pcb)
{
	uint64_t line = word(pcb, LINE), window = word(pcb, UNDO);
	u32_t overtake = uk_min(high(line) + DUPTHRESH, OVERTAKE_MAX);

	set_word(pcb, LINE, pair(overtake, (u32_t)line));
	if (window > pcb->cwnd)
		pcb->cwnd = pcb->ssthresh = (tcpwnd_size_t)window;
	set_word(pcb, UNDO, 0);
}

/* Sends the first segment again, and halves the window if that is new. */
static void lost(struct tcp_pcb *pcb, u32_t window)
{
	if (pcb->flags & TF_INFR)
		tcp_rexmit(pcb);
	else
		tcp_rexmit_fast(pcb);
	if (!(pcb->flags & TF_INFR))
		return;
	set_word(pcb, RECOVERY, pair(pcb->snd_nxt, ACTIVE));
	set_word(pcb, UNDO, window);
	set_word(pcb, ROUND, 0);
	tcp_output(pcb);
}

/*
 * The line has carried nothing for a while, and does again: as after a time-out, from here on. If
 * the peer was only late, it acknowledges more than the one segment that was sent again, or tells
 * that it had what comes now: then the window is as before.
 */
static bool all_lost(struct tcp_pcb *pcb)
{
	u32_t window = uk_min(pcb->ssthresh, WINDOW * segment(pcb));

	/* A peer without SACK would not tell. */
	if (!(pcb->flags & TF_SACK) || TCP_SEQ_GT(seen.sacked, pcb->lastack) ||
	    pcb->lastack - seen.acked > pcb->mss)
		return false;
	net_resend_order(pcb);
	if (tcp_rexmit_rto_prepare(pcb) != ERR_OK)
		return false;
	pcb->cwnd = (tcpwnd_size_t)uk_max(window, pcb->mss);
	pcb->bytes_acked = 0;
	set_word(pcb, RECOVERY, 0);
	tcp_rexmit_rto_commit(pcb);
	return true;
}

void net_recovery_after(void)
{
	struct tcp_pcb *pcb = seen.pcb;
	uint64_t recovery;

	seen.pcb = NULL;
	/* lwIP puts whom it has found in front; else this one may be gone. */
	if (!pcb || pcb != tcp_active_pcbs)
		return;
	if (seen.twice)
		was_not_lost(pcb);
	recovery = word(pcb, RECOVERY);
	if (!pcb->unacked || pcb->flags & TF_RTO ||
	    (recovery && TCP_SEQ_GEQ(pcb->lastack, high(recovery)))) {
		set_word(pcb, RECOVERY, 0);
	} else if (!recovery) {
		u32_t far = threshold(pcb) * segment(pcb);

		/* lwIP has halved it, or we do. */
		if (pcb->flags & TF_INFR) {
			set_word(pcb, RECOVERY, pair(pcb->snd_nxt, ACTIVE));
			set_word(pcb, UNDO, 2 * (uint64_t)pcb->ssthresh);
			set_word(pcb, ROUND, 0);
			tcp_output(pcb);
		} else if (TCP_SEQ_GEQ(seen.sacked, pcb->lastack + far + segment(pcb))) {
			lost(pcb, pcb->cwnd);
		}
	} else if (pcb->lastack != seen.acked && !all_lost(pcb) && tcp_rexmit(pcb) == ERR_OK) {
		/* Still the same loss: the window is not halved again. */
		set_word(pcb, UNDO, 0);
		tcp_set_flags(pcb, TF_INFR);
		tcp_output(pcb);
	}
	if (!word(pcb, RECOVERY))
		time_round(pcb);
	fast_ticks |= pcb->unacked != NULL;
}

/* How long to wait for an acknowledgement before the first segment goes once more. */
static u32_t probe_ms(const struct tcp_pcb *pcb)
{
	u32_t line = (u32_t)word(pcb, LINE);

	/* For less than two full segments it may be delayed (RFC 1122, 4.2.3.2). */
	if (!line || pcb->snd_nxt - pcb->lastack < 2 * segment(pcb))
		return PROBE_MS;
	return (2 * line / 1000 + PROBE_MORE_MS) << pcb->nrtx;
}

/*
 * lwIP's timer for a closed window asserts that there is something to send, and reads the window
 * in 16 bits. But what it was set for may have been sent before, when the window was open: then
 * an acknowledgement takes it away, and the timer stays.
 */
static void check_persist(struct tcp_pcb *pcb)
{
	if (!pcb->persist_backoff)
		return;
	if (!pcb->unsent) {
		pcb->persist_backoff = 0;
	} else if (pcb->snd_wnd > UINT16_MAX) {
		pcb->persist_cnt = 0;
		tcp_output(pcb);
	}
}

void net_recovery_tick(struct tcp_pcb *pcb)
{
	uint64_t since = word(pcb, PROBE);
	u32_t now = (u32_t)(uk_monotonic_ns() / 1000000);

	check_persist(pcb);
	if (!pcb->unacked || pcb->nrtx > PROBES || (pcb->flags & TF_RTO) ||
	    pcb->state < ESTABLISHED || pcb->sa >> 3) {
		set_word(pcb, PROBE, 0);
		return;
	}
	if (!since || high(since) != pcb->lastack) {
		set_word(pcb, PROBE, pair(pcb->lastack, now));
		return;
	}
	if (now - (u32_t)since < probe_ms(pcb))
		return;
	set_word(pcb, PROBE, pair(pcb->lastack, now));
	lost(pcb, pcb->cwnd);
}

bool net_recovery_ticks(void)
{
	return fast_ticks;
}

void net_recovery_fast(void)
{
	fast_ticks = false;
	for (struct tcp_pcb *pcb = tcp_active_pcbs, *next; pcb; pcb = next) {
		next = pcb->next;
		if (!pcb->unacked || !(u32_t)word(pcb, LINE))
			continue;
		fast_ticks = true;
		net_recovery_tick(pcb);
	}
}
