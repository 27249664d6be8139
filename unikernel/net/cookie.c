/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cookie.c: SYN cookies (RFC 4987, 3.6; Bernstein 1996): where as many handshakes are under way as
 * a listener keeps, the next SYN is answered and forgotten. All that is known of it stands in the
 * sequence number of the answer, which the peer gives back: 24 bits that nobody can guess, of who
 * it is and when; and what it offered. So of a flood from forged addresses nothing is kept, and who
 * means it gets in.
 *
 * lwIP makes its connection for either: for the SYN one that goes when the answer is on its way;
 * and when the acknowledgement is there, one of the same SYN, made again, whose answer is not sent.
 */
#include "lwip_hooks.h"
#include "stack.h"
#include "tcpsock.h"

#define SLOT_NS \
	64000000000ull /* one is good for this long at least, and for twice as long at most */

/* The lower bits: which of two slots, SACK, window scale, segment size. */
#define LOWER      0xffu
#define ODD_SLOT   0x80u
#define SACK       0x40u
#define SCALE(low) ((low) >> 2 & 15u)
#define NO_SCALE   15u

static const uint16_t sizes[4] = {536, 1220, 1440, 1460};

/* The connection whose answer is all that shall be left of it. */
static struct tcp_pcb *answered;

/* An acknowledgement that proves that there was a SYN; p: with its TCP header in front. */
static struct {
	struct pbuf *p;
	struct tcp_hdr *hdr;
	struct netif *netif;
	ip_addr_t from, to;
} back;

static bool again; /* lwIP is given the SYN again */

static uint64_t slot_now(void)
{
	return uk_monotonic_ns() / SLOT_NS;
}

static uint32_t seal(const ip_addr_t *to, uint16_t local_port, const ip_addr_t *from, uint16_t port,
		     uint32_t sequence, uint64_t slot, uint32_t low)
{
	uint64_t what = slot << 40 | (uint64_t)low << 32 | sequence;

	return (uint32_t)net_tcp_hash(to, local_port, from, port, what) << 8 | low;
}

static void begin_at(struct tcp_pcb *pcb, uint32_t sequence)
{
	pcb->snd_wl2 = pcb->snd_nxt = pcb->lastack = pcb->snd_lbb = sequence;
}

static void answered_is_gone(u8_t id, void *data)
{
	(void)id, (void)data;
	answered = NULL;
}

static const struct tcp_ext_arg_callbacks answered_callbacks = {.destroy = answered_is_gone};

static void forget_answered(void)
{
	if (answered)
		tcp_abandon(answered, 0);
}

void tcp_cookie_answer(struct tcp_sock *l, struct tcp_pcb *pcb)
{
	uint64_t slot = slot_now();
	uint32_t size = uk_countof(sizes) - 1, low;

	while (size && sizes[size] > pcb->mss)
		size--;
	low = size | (pcb->flags & TF_WND_SCALE ? pcb->snd_scale : NO_SCALE) << 2 |
	      (pcb->flags & TF_SACK ? SACK : 0) | (slot & 1 ? ODD_SLOT : 0);
	begin_at(pcb, seal(&pcb->local_ip, pcb->local_port, &pcb->remote_ip, pcb->remote_port,
			   pcb->rcv_nxt - 1, slot, low));
	forget_answered();
	answered = pcb;
	tcp_ext_arg_set_callbacks(pcb, TCP_HALF, &answered_callbacks);
	l->cookies_until_ns = uk_monotonic_ns() + 2 * SLOT_NS;
}

bool tcp_cookie_answered(const struct tcp_pcb *pcb)
{
	if (pcb != answered)
		return false;
	answered = NULL;
	return true;
}

bool tcp_cookie_again(struct tcp_pcb *pcb)
{
	if (!again)
		return false;
	again = false;
	begin_at(pcb, back.hdr->ackno - 1);
	return true;
}

/* Its ports and numbers are in the host's order already. */
err_t net_cookie_came(struct tcp_pcb *pcb, struct tcp_hdr *hdr, struct pbuf *p)
{
	const struct tcp_sock *l = pcb->callback_arg;
	const ip_addr_t *from = ip_current_src_addr(), *to = ip_current_dest_addr();
	uint32_t cookie = hdr->ackno - 1;
	uint64_t slot;

	if (pcb->state != LISTEN || (TCPH_FLAGS(hdr) & (TCP_SYN | TCP_ACK | TCP_RST)) != TCP_ACK ||
	    back.p || !l || uk_monotonic_ns() >= l->cookies_until_ns)
		return ERR_OK;
	slot = slot_now();
	if ((slot & 1) != !!(cookie & ODD_SLOT))
		slot--;
	if (cookie != seal(to, hdr->dest, from, hdr->src, hdr->seqno - 1, slot, cookie & LOWER))
		/* In a burst the acknowledgement may have been lost, and the first of the data
		 * with it: those come again, and have the number that tells. No reset for that. */
		return p->tot_len ? ERR_VAL : ERR_OK;
	back.p = p;
	back.hdr = hdr;
	back.netif = ip_current_input_netif();
	back.from = *from;
	back.to = *to;
	pbuf_ref(p);
	return ERR_VAL; /* lwIP's reference to it goes */
}

static err_t nowhere4(struct netif *netif, struct pbuf *p, const ip4_addr_t *to)
{
	(void)netif, (void)p, (void)to;
	return ERR_OK;
}

static err_t nowhere6(struct netif *netif, struct pbuf *p, const ip6_addr_t *to)
{
	(void)netif, (void)p, (void)to;
	return ERR_OK;
}

/* As ip4_input and ip6_input do at their ends. */
static void input(struct pbuf *p)
{
	ip_data.current_netif = ip_data.current_input_netif = back.netif;
	ip_data.current_iphdr_src = back.from;
	ip_data.current_iphdr_dest = back.to;
	tcp_input(p, back.netif);
	ip_data.current_netif = ip_data.current_input_netif = NULL;
	ip_addr_set_any(false, &ip_data.current_iphdr_src);
	ip_addr_set_any(false, &ip_data.current_iphdr_dest);
	net_recovery_forget();
}

static struct pbuf *syn(void)
{
	const struct tcp_hdr *ack = back.hdr;
	uint32_t low = (ack->ackno - 1) & LOWER;
	uint16_t size = sizes[low & 3];
	uint8_t option[12] = {2, 4, (uint8_t)(size >> 8), (uint8_t)size, 1, 1, 1, 1, 1, 1, 1, 1};
	struct pbuf *p = pbuf_alloc(PBUF_RAW, TCP_HLEN + sizeof(option), PBUF_RAM);
	struct tcp_hdr *hdr;

	if (!p)
		return NULL;
	if (SCALE(low) != NO_SCALE)
		memcpy(option + 4, "\x03\x03", 2), option[6] = (uint8_t)SCALE(low);
	if (low & SACK)
		memcpy(option + 8, "\x04\x02", 2);
	hdr = p->payload;
	memset(hdr, 0, sizeof(*hdr));
	hdr->src = lwip_htons(ack->src);
	hdr->dest = lwip_htons(ack->dest);
	hdr->seqno = lwip_htonl(ack->seqno - 1);
	hdr->wnd = lwip_htons(ack->wnd);
	TCPH_HDRLEN_FLAGS_SET(hdr, (TCP_HLEN + sizeof(option)) / 4, TCP_SYN);
	memcpy(hdr + 1, option, sizeof(option));
	return p;
}

/* Both were looked at by now; and the peer has had its answer. */
static void take_back(void)
{
	struct netif *netif = back.netif;
	netif_output_fn output = netif->output;
	netif_output_ip6_fn output6 = netif->output_ip6;
	const u16_t checksums = netif->chksum_flags;
	struct tcp_hdr *hdr = back.hdr;
	struct pbuf *first = syn();

	netif->chksum_flags &= (u16_t)~NETIF_CHECKSUM_CHECK_TCP;
	if (first) {
		netif->output = nowhere4;
		netif->output_ip6 = nowhere6;
		again = true;
		input(first);
		netif->output = output;
		netif->output_ip6 = output6;
	}
	if (first && !again && !pbuf_add_header_force(back.p, TCPH_HDRLEN_BYTES(hdr))) {
		hdr->src = lwip_htons(hdr->src);
		hdr->dest = lwip_htons(hdr->dest);
		hdr->seqno = lwip_htonl(hdr->seqno);
		hdr->ackno = lwip_htonl(hdr->ackno);
		hdr->wnd = lwip_htons(hdr->wnd);
		input(back.p);
	} else {
		pbuf_free(back.p);
	}
	again = false;
	back.p = NULL;
	netif->chksum_flags = checksums;
}

void net_cookie_after(void)
{
	forget_answered();
	if (back.p)
		take_back();
}
