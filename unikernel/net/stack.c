/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stack.c: lwIP in the library kernel: its start, frames between it and the driver, and
 * uk_net_service, which is all that makes it go on.
 *
 * A received frame stays in its buffer until the program has read it, where there are buffers
 * enough; a sent one is copied into one.
 */
#include <linux/errno.h>

#include "lwip/etharp.h"
#include "lwip/ethip6.h"
#include "lwip/init.h"
#include "lwip/priv/tcp_priv.h"

#include "../signal.h"
#include "inet.h"
#include "lwip_hooks.h"
#include "stack.h"

#define BATCH      256u /* frames that one look takes, of each device */
#define ETH_BYTES  14u
#define ARP_TARGET 38u /* in a frame */
#define LOOK_NS    20000000ull
#define TICK_NS    10000000ull /* a computing program leaves the network alone for that long */

bool uk_net_live;
struct net_iface *net_ifaces[NOXS_NET_MAX];
static uint64_t next_look_ns; /* at the timers */
static uint64_t fresh_until_ns;

/* ---- to the wire ---- */

static err_t send_pieces(struct net_dev *dev, const struct noxs_net_vnet *vnet,
			 const struct pbuf *p)
{
	struct net_piece piece[NET_FRAME_PIECES];
	uint32_t n = 0;

	for (const struct pbuf *q = p; q; q = q->next) {
		if (!q->len)
			continue;
		if (n == uk_countof(piece))
			return ERR_BUF;
		piece[n++] = (struct net_piece){q->payload, q->len};
	}
	if (net_packet_sockets)
		net_packet_output(dev, piece, n);
	return net_send(dev, vnet, piece, n) ? ERR_MEM : ERR_OK;
}

/* A question: not an announcement of ours, which asks for our own address (RFC 5227, 3). */
static bool is_arp_request(const struct pbuf *p)
{
	const uint8_t *frame = p->payload;
	static const uint8_t request[] = {0x08, 0x06, 0, 1, 0x08, 0, 6, 4, 0, 1};

	return p->len >= 42 && !memcmp(frame + 12, request, sizeof(request)) &&
	       memcmp(frame + 28, frame + ARP_TARGET, 4) != 0;
}

static err_t link_output(struct netif *netif, struct pbuf *p)
{
	struct net_iface *iface = (struct net_iface *)netif;
	struct noxs_net_vnet header, *vnet = NULL;
	err_t err;

	if (iface->dev->segments && net_offload_send(iface, p, &header))
		vnet = &header;
	err = send_pieces(iface->dev, vnet, p);
	if (err == ERR_BUF) {
		/* Many small writes: into one piece. */
		struct pbuf *whole = pbuf_clone(PBUF_RAW, PBUF_RAM, p);

		if (!whole)
			return ERR_MEM;
		err = send_pieces(iface->dev, vnet, whole);
		pbuf_free(whole);
	}
	if (is_arp_request(p)) {
		net_arp_asks();
		net_nobody_asked(netif, (const uint8_t *)p->payload + ARP_TARGET);
	}
	return err;
}

/* ---- from the wire ---- */

static void held_free(struct pbuf *p)
{
	struct net_held *held = (struct net_held *)p;

	net_buffer_free(held->dev, held->buffer);
}

static void frame_free(struct net_dev *dev, const struct net_frame *f)
{
	for (uint32_t i = 0; i < f->npieces; i++)
		net_buffer_free(dev, f->piece[i].buffer);
}

/* The frame, where it is: a chain of its buffers. */
static struct pbuf *frame_hold(struct net_iface *iface, const struct net_frame *f)
{
	struct pbuf *first = NULL, *last = NULL;
	uint16_t left = (uint16_t)f->bytes;

	for (uint32_t i = 0; i < f->npieces; i++) {
		struct net_held *held = &iface->held[f->piece[i].buffer];
		uint16_t bytes = (uint16_t)f->piece[i].bytes;
		struct pbuf *p;

		held->custom.custom_free_function = held_free;
		held->dev = iface->dev;
		held->buffer = (uint32_t)f->piece[i].buffer;
		p = pbuf_alloced_custom(PBUF_RAW, bytes, PBUF_REF, &held->custom, f->piece[i].data,
					bytes);
		if (last)
			last->next = p;
		else
			first = p;
		last = p;
	}
	/* tot_len: of a pbuf and all behind it. */
	for (struct pbuf *p = first; p; p = p->next) {
		p->tot_len = left;
		left = (uint16_t)(left - p->len);
	}
	return first;
}

/* The frame, copied, for the host needs its buffers. NULL: no memory. */
static struct pbuf *frame_copy(struct net_dev *dev, const struct net_frame *f)
{
	struct pbuf *p = NULL;
	uint16_t at = 0;

	if (!net_memory_scarce())
		p = pbuf_alloc(PBUF_RAW, (uint16_t)f->bytes, PBUF_POOL);
	if (!p)
		return NULL;
	for (uint32_t i = 0; i < f->npieces; i++) {
		pbuf_take_at(p, f->piece[i].data, (uint16_t)f->piece[i].bytes, at);
		at = (uint16_t)(at + f->piece[i].bytes);
	}
	frame_free(dev, f);
	return p;
}

/*
 * Data that nobody reads must not take the last buffers, nor the last memory. With few buffers
 * left frames are copied; without memory for that they are held all the same, and then
 * connections get no more whose program does not read, nor what is not in order, and what has
 * come out of order before is thrown away: the others go on.
 */
static enum { PLENTY, SCARCE, LAST } supply;

static void drop_out_of_order(void)
{
	for (struct tcp_pcb *pcb = tcp_active_pcbs; pcb; pcb = pcb->next)
		if (pcb->ooseq)
			tcp_free_ooseq(pcb);
}

static struct pbuf *frame_pbuf(struct net_iface *iface, const struct net_frame *f)
{
	uint32_t left = net_buffers_left(iface->dev), all = net_driver_buffers(iface->dev);
	struct pbuf *p = left > all / 3 ? NULL : frame_copy(iface->dev, f);

	supply = p || left > all / 3 ? PLENTY : left > all / 8 ? SCARCE : LAST;
	if (p)
		return p;
	if (supply == LAST)
		drop_out_of_order();
	if (left > 16)
		return frame_hold(iface, f);
	frame_free(iface->dev, f);
	return NULL;
}

err_t net_tcp_may_take(const struct tcp_pcb *pcb, const struct tcp_hdr *hdr, const struct pbuf *p)
{
	uint32_t unread;

	if (supply == PLENTY || !p->tot_len || pcb->state < ESTABLISHED)
		return ERR_OK;
	/* Out of order it counts as read, and nobody can read it. */
	if (TCP_SEQ_GT(hdr->seqno, pcb->rcv_nxt))
		return ERR_MEM;
	unread = TCP_WND_MAX(pcb) - pcb->rcv_wnd;
	return unread > (supply == LAST ? 0 : 16384u) ? ERR_MEM : ERR_OK;
}

/* Is it for us: to our address, or to many? */
static bool is_ours(const struct net_iface *iface, const uint8_t *to)
{
	return (to[0] & 1) || !memcmp(to, iface->netif.hwaddr, 6);
}

void net_stack_input(struct net_iface *iface, struct pbuf *p, bool good)
{
	struct netif *netif = &iface->netif;

	if (good)
		netif->chksum_flags &=
			(u16_t) ~(NETIF_CHECKSUM_CHECK_TCP | NETIF_CHECKSUM_CHECK_UDP);
	if (netif->input(p, netif) != ERR_OK)
		pbuf_free(p);
	net_recovery_after();
	net_demux_restore();
	net_cookie_after();
	netif->chksum_flags |= NETIF_CHECKSUM_CHECK_TCP | NETIF_CHECKSUM_CHECK_UDP;
}

/* It may be a multicast listener query: one has a hop-by-hop header (RFC 2710, 3). */
static bool may_be_query(const struct net_frame *f)
{
	const uint8_t *frame = f->piece[0].data;

	return (frame[0] & 1) && frame[12] == 0x86 && frame[13] == 0xdd &&
	       f->piece[0].bytes >= ETH_BYTES + IP6_HLEN &&
	       frame[ETH_BYTES + 6] == IP6_NEXTH_HOPBYHOP;
}

static void input(struct net_iface *iface, const struct net_frame *f)
{
	struct netif *netif = &iface->netif;
	bool good;
	struct pbuf *p;

	if ((net_packet_sockets && net_packet_input(iface->dev, f)) || f->bytes > UINT16_MAX ||
	    !netif_is_up(netif) || f->piece[0].bytes < ETH_BYTES ||
	    !is_ours(iface, f->piece[0].data)) {
		frame_free(iface->dev, f);
		return;
	}
	net_neighbour_heard(iface, f);
	if (may_be_query(f))
		net_groups_asked();
	/* 1: from this host, never was on a wire; 2: was looked at on the way (VIRTIO 5.1.6.4). */
	good = f->vnet ? f->vnet->flags & 3 : net_checksum_partial(f);
	p = frame_pbuf(iface, f);
	if (!p) {
		iface->dev->front->rx_dropped++;
		return;
	}
	net_gro_input(iface, p, good);
}

/* ---- start ---- */

static err_t iface_init(struct netif *netif)
{
	netif->output = net_neighbour_output;
	netif->output_ip6 = ethip6_output;
	netif->linkoutput = link_output;
	netif->hwaddr_len = 6;
	netif->name[0] = 'e';
	netif->name[1] = 'n';
	netif->flags = NETIF_FLAG_BROADCAST | NETIF_FLAG_ETHARP | NETIF_FLAG_ETHERNET |
		       NETIF_FLAG_IGMP | NETIF_FLAG_MLD6;
	return ERR_OK;
}

static struct net_iface *prepared; /* of the first row */

/* Its memory. What there is too little for is not given back: it is for the VM's whole life, and
 * the VM has hardly begun. */
static struct net_iface *iface_prepare(struct net_dev *dev)
{
	struct net_iface *iface = net_alloc(sizeof(*iface));

	if (!iface)
		return NULL;
	iface->held = net_alloc(net_driver_buffers(dev) * sizeof(*iface->held));
	iface->dev = dev;
	return iface->held && !net_driver_open(dev) ? iface : NULL;
}

void uk_net_prepare(void)
{
	/* There is early memory for one. */
	prepared = uk_net_ndevs ? iface_prepare(&uk_net_dev[0]) : NULL;
	if (prepared)
		net_driver_touch(&uk_net_dev[0]);
	net_memory_prepare();
}

static struct net_iface *iface_new(uint32_t row)
{
	struct net_dev *dev = &uk_net_dev[row];
	struct net_iface *iface = !row && prepared ? prepared : iface_prepare(dev);

	if (!iface || !netif_add(&iface->netif, NULL, NULL, NULL, iface, iface_init, netif_input))
		return NULL;
	/* Its index is the device's id + 2, whatever order they come in. */
	iface->netif.num = (u8_t)(dev->id + 1);
	net_offload_start(iface);
	return iface;
}

long net_stack_start(void)
{
	if (uk_net_live)
		return 0;
	lwip_init();
	/* The loopback: nothing is lost on it. */
	netif_list->mtu = netif_list->mtu6 = UINT16_MAX;
	NETIF_SET_CHECKSUM_CTRL(netif_list, 0);
	uk_net_live = true;
	for (uint32_t i = 0; i < uk_net_ndevs; i++) {
		net_ifaces[i] = iface_new(i);
		if (net_ifaces[i])
			net_iface_start(net_ifaces[i]);
	}
	/* What routers say is believed from the first packet on, or not at all. */
	if (uk_net_ndevs)
		icmp_listen();
	return 0;
}

/* ---- service ---- */

/* Buffers have come back: what could not be sent for want of them goes now. */
static void send_again(void)
{
	for (struct tcp_pcb *pcb = tcp_active_pcbs, *next; pcb; pcb = next) {
		next = pcb->next;
		if (pcb->unsent)
			tcp_output(pcb);
	}
}

static bool serve_device(struct net_iface *iface)
{
	/* Static: it is large, and nobody is in here twice. */
	static struct net_frame frame;
	uint32_t n = 0;

	while (n < BATCH && net_receive(iface->dev, &frame)) {
		input(iface, &frame);
		n++;
	}
	net_gro_flush();
	supply = PLENTY;
	if (n)
		net_offload_mtu(iface);
	if (!net_buffers_back(iface->dev))
		return n;
	send_again();
	return true;
}

bool uk_net_service(void)
{
	uint64_t now;
	bool done = false;

	if (!uk_net_live)
		return false;
	now = uk_monotonic_ns();
	/* Who the VM is, before a timer sends anything. */
	for (uint32_t i = 0; i < uk_net_ndevs; i++)
		if (net_ifaces[i])
			net_iface_look(net_ifaces[i]);
	net_timers_age(now);
	net_tcp_clock(now);
	/* A program that calls often need not be preempted. */
	if (uk_net_ndevs && now >= fresh_until_ns) {
		fresh_until_ns = now + TICK_NS / 2;
		uk_timer_tick_at(now + TICK_NS);
	}
	for (uint32_t i = 0; i < uk_net_ndevs; i++)
		if (net_ifaces[i])
			done |= serve_device(net_ifaces[i]);
	for (struct netif *netif = netif_list; netif; netif = netif->next)
		if (netif->loop_first) {
			/* From ourselves: nothing was lost on the way. */
			const u16_t flags = netif->chksum_flags;

			netif->chksum_flags = 0;
			netif_poll(netif);
			net_recovery_forget();
			net_demux_restore();
			net_cookie_after();
			netif->chksum_flags = flags;
			done = true;
		}
	if (now >= next_look_ns) {
		done |= net_timers_run(now);
		/* What makes a timer necessary happens without notice. */
		next_look_ns = uk_min(net_timers_next(now), now + LOOK_NS);
	}
	return done;
}

uint64_t uk_net_deadline(void)
{
	if (!uk_net_live)
		return NOXS_FOREVER;
	return next_look_ns = net_timers_next(uk_monotonic_ns());
}
