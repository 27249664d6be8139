/* SPDX-License-Identifier: Apache-2.0 */
/* tcpopt.c: options of TCP (tcp(7)). */
#include <linux/tcp.h>

#include "stack.h"
#include "tcpsock.h"

#define KEEP_IDLE_S  7200 /* net.ipv4.tcp_keepalive_time, _intvl, _probes */
#define KEEP_EVERY_S 75
#define KEEP_PROBES  9
#define SYN_RETRIES  6
#define FIN_WAIT_S   60

void tcp_options_init(struct tcp_sock *t)
{
	t->idle_s = KEEP_IDLE_S;
	t->interval_s = KEEP_EVERY_S;
	t->probes = KEEP_PROBES;
	t->syn_retries = SYN_RETRIES;
	t->linger2_s = FIN_WAIT_S;
	t->quick_ack = true;
}

void tcp_options_inherit(struct tcp_sock *t, const struct tcp_sock *from)
{
	struct sock *s = &t->i.s;
	const struct sock *f = &from->i.s;

	s->reuse_address = f->reuse_address;
	s->reuse_port = f->reuse_port;
	s->keep_alive = f->keep_alive;
	s->out_of_band_inline = f->out_of_band_inline;
	s->only_v6 = f->only_v6;
	s->linger_s = f->linger_s;
	s->send_bytes = f->send_bytes;
	s->receive_bytes = f->receive_bytes;
	s->receive_low = f->receive_low;
	s->send_timeout_ns = f->send_timeout_ns;
	s->receive_timeout_ns = f->receive_timeout_ns;
	s->bound_if = f->bound_if;
	s->priority = f->priority;
	s->mark = f->mark;
	s->ttl = f->ttl;
	s->tos = f->tos;
	t->no_delay = from->no_delay;
	t->cork = from->cork;
	t->idle_s = from->idle_s;
	t->interval_s = from->interval_s;
	t->probes = from->probes;
	t->user_timeout_ms = from->user_timeout_ms;
	t->max_segment = from->max_segment;
	t->linger2_s = from->linger2_s;
}

void tcp_sock_tuned(struct sock *s)
{
	struct tcp_sock *t = tcp_of(s);
	/* A listener's pcb is smaller, but begins alike (IP_PCB). */
	struct ip_pcb *ip = t->listener ? (struct ip_pcb *)t->listener : (struct ip_pcb *)t->pcb;
	struct tcp_pcb *pcb = t->pcb;

	if (!ip)
		return;
	ip->netif_idx = (uint8_t)s->bound_if;
	ip->ttl = (uint8_t)(s->ttl < 0 ? TCP_TTL : s->ttl);
	ip->tos = (uint8_t)uk_max(s->tos, 0);
	if (!pcb)
		return;
	if (s->keep_alive)
		ip_set_option(pcb, SOF_KEEPALIVE);
	else
		ip_reset_option(pcb, SOF_KEEPALIVE);
	/* For inet.c only: who may have the port when this connection has no socket any more. */
	if (s->reuse_address)
		ip_set_option(pcb, SOF_REUSEADDR);
	else
		ip_reset_option(pcb, SOF_REUSEADDR);
	if (t->no_delay)
		tcp_nagle_disable(pcb);
	else
		tcp_nagle_enable(pcb);
	pcb->keep_idle = t->idle_s * 1000;
	pcb->keep_intvl = t->interval_s * 1000;
	pcb->keep_cnt = t->probes;
	tcp_look_at(t);
	if (t->max_segment)
		net_tcp_lower_mss(pcb, (uint16_t)t->max_segment);
}

bool tcp_user_timeout_over(struct tcp_sock *t)
{
	struct tcp_pcb *pcb = t->pcb;
	uint64_t now = uk_monotonic_ns();

	if ((!pcb->unacked && !pcb->unsent) || pcb->lastack != t->stuck_at) {
		t->stuck_at = pcb->lastack;
		t->stuck_since_ns = now;
		return false;
	}
	return now - t->stuck_since_ns >= t->user_timeout_ms * 1000000ull;
}

bool tcp_syn_is_over(const struct tcp_pcb *pcb)
{
	const struct tcp_sock *t = pcb->callback_arg;

	return pcb->state == SYN_SENT && t && pcb->nrtx >= t->syn_retries &&
	       pcb->rtime + 1 >= pcb->rto;
}

/* ---- set ---- */

static long in_range(uint32_t *to, int v, int low, int high)
{
	if (v < low || v > high)
		return -EINVAL;
	*to = (uint32_t)v;
	return 0;
}

/* What was held back goes. */
static void release(struct tcp_sock *t)
{
	if (tcp_is_connected(t))
		tcp_output(t->pcb);
}

static long set(struct tcp_sock *t, int name, int v)
{
	long r;

	switch (name) {
	case TCP_NODELAY:
		t->no_delay = v;
		tcp_sock_tuned(&t->i.s);
		if (v)
			release(t);
		return 0;
	case TCP_CORK:
		t->cork = v;
		if (!v)
			release(t);
		return 0;
	case TCP_KEEPIDLE:
		r = in_range(&t->idle_s, v, 1, 32767);
		break;
	case TCP_KEEPINTVL:
		r = in_range(&t->interval_s, v, 1, 32767);
		break;
	case TCP_KEEPCNT:
		r = in_range(&t->probes, v, 1, 127);
		break;
	case TCP_MAXSEG:
		r = v ? in_range(&t->max_segment, v, 88, 32767) : 0;
		if (!v)
			t->max_segment = 0;
		break;
	case TCP_USER_TIMEOUT:
		if (v < 0)
			return -EINVAL;
		t->user_timeout_ms = (uint32_t)v;
		r = 0;
		break;
	case TCP_QUICKACK:
		t->quick_ack = v;
		if (v && tcp_is_connected(t) && t->pcb->flags & TF_ACK_DELAY) {
			tcp_ack_now(t->pcb);
			tcp_output(t->pcb);
		}
		return 0;
	case TCP_DEFER_ACCEPT:
		t->defer_accept_s = (uint32_t)uk_max(v, 0);
		return 0;
	case TCP_SYNCNT:
		return in_range(&t->syn_retries, v, 1, 127);
	case TCP_LINGER2:
		t->linger2_s = (uint32_t)uk_max(v, 0);
		return 0;
	case TCP_WINDOW_CLAMP:
		t->window_clamp = (uint32_t)v;
		return 0;
	case TCP_NOTSENT_LOWAT:
		t->not_sent_low = (uint32_t)v;
		return 0;
	case TCP_THIN_LINEAR_TIMEOUTS:
	case TCP_THIN_DUPACK:
	case TCP_SAVE_SYN:
	case TCP_TIMESTAMP:
	case TCP_FASTOPEN: /* a client that asks for a cookie gets none, and does without */
		return 0;  /* nothing here that they would change */
	default:
		return -ENOPROTOOPT;
	}
	if (!r)
		tcp_sock_tuned(&t->i.s);
	return r;
}

static const char congestion[] = "reno"; /* what lwIP does: RFC 5681 */

long tcp_setopt(struct sock *s, int level, int name, const void *val, uint32_t bytes)
{
	if (level != IPPROTO_TCP)
		return inet_setopt(s, level, name, val, bytes);
	if (name == TCP_CONGESTION)
		return bytes >= sizeof(congestion) - 1 &&
				       !memcmp(val, congestion, sizeof(congestion) - 1)
			       ? 0
			       : -ENOENT;
	if (bytes < sizeof(int))
		return -EINVAL;
	return set(tcp_of(s), name, *(const int *)val);
}

/* ---- get ---- */

/* lwIP's state as Linux numbers it. */
static uint8_t state(const struct tcp_sock *t)
{
	static const uint8_t linux_state[] = {
		[CLOSED] = 7,      [LISTEN] = 10,    [SYN_SENT] = 2,   [SYN_RCVD] = 3,
		[ESTABLISHED] = 1, [FIN_WAIT_1] = 4, [FIN_WAIT_2] = 5, [CLOSE_WAIT] = 8,
		[CLOSING] = 11,    [LAST_ACK] = 9,   [TIME_WAIT] = 6};

	return t->listener ? linux_state[LISTEN] : linux_state[t->pcb ? t->pcb->state : CLOSED];
}

static uint32_t segments(const struct tcp_seg *seg)
{
	uint32_t n = 0;

	for (; seg; seg = seg->next)
		n++;
	return n;
}

/* On the wire: lwIP's may be larger, and the device cuts it. */
static uint32_t segment_bytes(const struct tcp_sock *t)
{
	uint32_t headers = IP_IS_V6(&t->pcb->remote_ip) ? IP6_HLEN + TCP_HLEN : IP_HLEN + TCP_HLEN;
	long mtu = inet_mtu(&t->i);

	return mtu > headers ? uk_min(t->pcb->mss, (uint32_t)mtu - headers) : t->pcb->mss;
}

static void info_out(const struct tcp_sock *t, struct tcp_info *out)
{
	const struct tcp_pcb *pcb = t->pcb;

	memset(out, 0, sizeof(*out));
	out->tcpi_state = state(t);
	if (t->listener) {
		out->tcpi_unacked = t->naccept; /* of a listener it is the queue */
		out->tcpi_sacked = t->backlog;
	}
	if (!pcb)
		return;
	out->tcpi_retransmits = pcb->nrtx;
	out->tcpi_probes = pcb->persist_probe;
	out->tcpi_options = pcb->flags & TF_WND_SCALE ? TCPI_OPT_WSCALE : 0;
	out->tcpi_options |= pcb->flags & TF_SACK ? TCPI_OPT_SACK : 0;
	out->tcpi_snd_wscale = pcb->snd_scale;
	out->tcpi_rcv_wscale = pcb->rcv_scale;
	out->tcpi_rto = (uint32_t)pcb->rto * TCP_SLOW_INTERVAL * 1000;
	out->tcpi_ato = TCP_FAST_INTERVAL * 1000;
	out->tcpi_snd_mss = out->tcpi_rcv_mss = out->tcpi_advmss = segment_bytes(t);
	out->tcpi_unacked = segments(pcb->unacked);
	out->tcpi_rtt = (uint32_t)(pcb->sa >> 3) * TCP_SLOW_INTERVAL * 1000;
	out->tcpi_rttvar = (uint32_t)(pcb->sv >> 2) * TCP_SLOW_INTERVAL * 1000;
	out->tcpi_snd_ssthresh = pcb->mss ? pcb->ssthresh / pcb->mss : 0;
	out->tcpi_snd_cwnd = pcb->mss ? pcb->cwnd / pcb->mss : 0;
	out->tcpi_pmtu = (uint32_t)uk_max(inet_mtu(&t->i), 0);
	out->tcpi_rcv_space = pcb->rcv_wnd;
	out->tcpi_notsent_bytes = pcb->snd_lbb - pcb->snd_nxt;
	out->tcpi_snd_wnd = pcb->snd_wnd;
}

static bool get(const struct tcp_sock *t, int name, uint32_t *v)
{
	switch (name) {
	case TCP_NODELAY:
		*v = t->no_delay;
		return true;
	case TCP_CORK:
		*v = t->cork;
		return true;
	case TCP_KEEPIDLE:
		*v = t->idle_s;
		return true;
	case TCP_KEEPINTVL:
		*v = t->interval_s;
		return true;
	case TCP_KEEPCNT:
		*v = t->probes;
		return true;
	case TCP_MAXSEG:
		*v = t->pcb ? segment_bytes(t) : t->max_segment ? t->max_segment : 536;
		return true;
	case TCP_USER_TIMEOUT:
		*v = t->user_timeout_ms;
		return true;
	case TCP_QUICKACK:
		*v = t->quick_ack;
		return true;
	case TCP_DEFER_ACCEPT:
		*v = t->defer_accept_s;
		return true;
	case TCP_SYNCNT:
		*v = t->syn_retries;
		return true;
	case TCP_LINGER2:
		*v = t->linger2_s;
		return true;
	case TCP_WINDOW_CLAMP:
		*v = t->window_clamp;
		return true;
	case TCP_NOTSENT_LOWAT:
		*v = t->not_sent_low;
		return true;
	case TCP_THIN_LINEAR_TIMEOUTS:
	case TCP_THIN_DUPACK:
	case TCP_SAVE_SYN:
	case TCP_TIMESTAMP:
	case TCP_FASTOPEN:
		*v = 0;
		return true;
	default:
		return false;
	}
}

long tcp_getopt(struct sock *s, int level, int name, void *val, uint32_t *bytes)
{
	struct tcp_sock *t = tcp_of(s);
	struct tcp_info info;
	uint32_t v;

	if (level != IPPROTO_TCP)
		return inet_getopt(s, level, name, val, bytes);
	if (name == TCP_INFO) {
		info_out(t, &info);
		*bytes = uk_min(*bytes, (uint32_t)sizeof(info));
		memcpy(val, &info, *bytes);
		return 0;
	}
	if (name == TCP_CONGESTION) {
		*bytes = uk_min(*bytes, 16u); /* TCP_CA_NAME_MAX */
		memcpy(val, congestion, uk_min(*bytes, (uint32_t)sizeof(congestion)));
		return 0;
	}
	if (!get(t, name, &v))
		return -ENOPROTOOPT;
	*bytes = uk_min(*bytes, (uint32_t)sizeof(v));
	memcpy(val, &v, *bytes);
	return 0;
}
