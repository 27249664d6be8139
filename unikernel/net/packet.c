/* SPDX-License-Identifier: Apache-2.0 */
/*
 * packet.c: frames on their way past packet sockets.
 *
 * stack.c shows every received frame before lwIP gets it, and every sent one. A frame that
 * anybody wants is copied once, off the driver's buffers, and shared by the sockets' queues.
 * On lo, which has no frames, packet sockets see each other's only.
 */
#include "packet.h"

#define SPARE_BYTES 1952u /* with its heads it is the heap's largest small piece */
#define SPARE_MAX   64u   /* frames of that size that are kept: taken anew they are zeroed */

uint32_t net_packet_sockets;
static struct packet_sock *sockets;
static struct packet_frame *spare;
static uint32_t nspare;
static uint8_t bare; /* bit per device: nothing but packet sockets wants its frames */

void packet_join(struct packet_sock *p)
{
	p->next = sockets;
	sockets = p;
	net_packet_sockets++;
	net_packet_addresses_changed();
}

void packet_leave(struct packet_sock *p)
{
	struct packet_sock **at = &sockets;

	while (*at != p)
		at = &(*at)->next;
	*at = p->next;
	net_packet_sockets--;
	while (p->count)
		packet_drop_first(p);
	uk_free(p->queue);
}

bool packet_checksum(struct noxs_net_vnet *vnet, uint8_t *data, uint32_t bytes)
{
	uint32_t start = vnet->csum_start, at = start + vnet->csum_offset;
	uint16_t sum;

	if (!(vnet->flags & VNET_NEEDS_CSUM))
		return true;
	if (start >= bytes || at + 2 > bytes)
		return false;
	sum = (uint16_t)~net_checksum(data + start, (int)(bytes - start));
	/* Zero says "none" in UDP (RFC 768); all ones are the same number. */
	sum = sum ? sum : 0xffff;
	memcpy(data + at, &sum, 2);
	vnet->flags = VNET_DATA_VALID;
	return true;
}

/* ---- frames ---- */

static struct packet_frame *frame_new(const struct packet_passing *from, uint32_t bytes)
{
	struct packet_frame *f = spare;
	uint32_t at = 0;

	if (f && bytes <= SPARE_BYTES && bytes > SPARE_BYTES / 4) {
		spare = f->next;
		nspare--;
	} else {
		/* Small ones are cheap to have zeroed, and would waste a large piece. */
		uint32_t room = bytes > SPARE_BYTES / 4 ? uk_max(bytes, SPARE_BYTES) : bytes;

		f = uk_alloc(sizeof(*f) + room);
		if (!f)
			return NULL;
		f->room = room;
	}
	f->refs = 1;
	f->bytes = bytes;
	f->time_ns = uk_realtime_ns();
	f->vnet = from->vnet ? *from->vnet : (struct noxs_net_vnet){0};
	for (uint32_t i = 0; i < from->n; at += from->piece[i++].bytes)
		memcpy(f->data + at, from->piece[i].data, from->piece[i].bytes);
	return f;
}

static void frame_put(struct packet_frame *f)
{
	if (--f->refs)
		return;
	if (f->room != SPARE_BYTES || nspare == SPARE_MAX) {
		uk_free(f);
		return;
	}
	f->next = spare;
	spare = f;
	nspare++;
}

/* What a queue has to answer for: about what the heap has given. */
static uint32_t frame_memory(const struct packet_frame *f)
{
	return (uint32_t)sizeof(*f) + f->room;
}

/* ---- queues ---- */

void packet_drop_first(struct packet_sock *p)
{
	struct packet_frame *f = p->queue[p->head].frame;

	p->held -= frame_memory(f);
	p->head = (p->head + 1) & (p->capacity - 1);
	p->count--;
	frame_put(f);
}

static bool queue_grow(struct packet_sock *p)
{
	uint32_t capacity = p->capacity ? p->capacity * 2 : 16;
	struct packet_queued *queue = uk_alloc(capacity * sizeof(*queue));

	if (!queue)
		return false;
	for (uint32_t i = 0; i < p->count; i++)
		queue[i] = p->queue[(p->head + i) & (p->capacity - 1)];
	uk_free(p->queue);
	p->queue = queue;
	p->capacity = capacity;
	p->head = 0;
	return true;
}

static uint32_t filtered(const struct packet_sock *p, const struct packet_frame *f)
{
	uint32_t skip = p->s.type == SOCK_RAW ? 0 : ETH_HLEN, keep;
	struct net_filter_frame view = {
		.data = f->data + skip,
		.bytes = f->bytes - skip,
		.net = ETH_HLEN - skip,
		.protocol = f->protocol,
		.type = f->type,
		.index = f->index,
		.hardware = f->index == IF_LOOPBACK_INDEX ? ARPHRD_LOOPBACK : ARPHRD_ETHER,
	};

	if (!p->filter)
		return f->bytes;
	keep = net_filter_run(p->filter, &view);
	return keep ? uk_min(keep, view.bytes) + skip : 0;
}

static void queue_add(struct packet_sock *p, struct packet_frame *f)
{
	uint32_t bytes = filtered(p, f);

	if (!bytes)
		return;
	p->packets++;
	if (p->held >= p->s.receive_bytes || (p->count == p->capacity && !queue_grow(p))) {
		p->drops++;
		return;
	}
	f->refs++;
	p->queue[(p->head + p->count++) & (p->capacity - 1)] = (struct packet_queued){f, bytes};
	p->held += frame_memory(f);
	sock_changed(&p->s);
}

/* ---- frames come by ---- */

/* linux/if_ether.h: below 1536 it is the length of an IEEE 802.3 frame. */
static uint16_t frame_protocol(const uint8_t *header, uint32_t bytes)
{
	uint16_t type;

	memcpy(&type, header + 2 * ETH_ALEN, 2);
	if (if_be16(type) >= ETH_P_802_3_MIN)
		return type;
	if (bytes >= ETH_HLEN + 2 && header[ETH_HLEN] == 0xff && header[ETH_HLEN + 1] == 0xff)
		return if_be16(ETH_P_802_3);
	return if_be16(ETH_P_802_2);
}

/* dev NULL: lo, whose addresses, its own and that for all, are zero. */
static uint8_t frame_type(const uint8_t *header, const struct net_dev *dev)
{
	static const uint8_t none[ETH_ALEN], all[ETH_ALEN] = {255, 255, 255, 255, 255, 255};

	if (header[0] & 1)
		return dev && !memcmp(header, all, ETH_ALEN) ? PACKET_BROADCAST : PACKET_MULTICAST;
	return memcmp(header, dev ? dev->noxs->config.mac : none, ETH_ALEN) ? PACKET_OTHERHOST
									    : PACKET_HOST;
}

static bool wants(const struct packet_sock *p, uint32_t index, uint16_t protocol, bool outgoing)
{
	if (!p->wants || (p->index && p->index != index))
		return false;
	return p->wants == if_be16(ETH_P_ALL) || (p->wants == protocol && !outgoing);
}

void packet_deliver(const struct packet_passing *f)
{
	struct packet_frame *copy = NULL;
	uint8_t header[ETH_HLEN + 2] = {0}, type;
	uint32_t bytes = 0, got = 0;
	uint16_t protocol;

	for (uint32_t i = 0; i < f->n; i++) {
		uint32_t take = uk_min(f->piece[i].bytes, (uint32_t)sizeof(header) - got);

		memcpy(header + got, f->piece[i].data, take);
		got += take;
		bytes += f->piece[i].bytes;
	}
	if (bytes < ETH_HLEN || bytes > PACKET_FRAME_MAX)
		return;
	protocol = f->protocol ? f->protocol : frame_protocol(header, bytes);
	type = f->outgoing ? PACKET_OUTGOING : frame_type(header, net_if_device(f->index));
	for (struct packet_sock *p = sockets; p; p = p->next) {
		if (p == f->sender || !wants(p, f->index, protocol, f->outgoing))
			continue;
		if (!copy) {
			copy = frame_new(f, bytes);
			if (!copy) {
				p->packets++;
				p->drops++;
				continue;
			}
			copy->index = f->index;
			copy->protocol = protocol;
			copy->type = type;
		}
		queue_add(p, copy);
	}
	if (copy)
		frame_put(copy);
}

bool net_packet_input(struct net_dev *dev, const struct net_frame *frame)
{
	struct net_piece piece[NET_FRAME_PIECES];
	uint32_t n = uk_min(frame->npieces, (uint32_t)NET_FRAME_PIECES);

	for (uint32_t i = 0; i < n; i++)
		piece[i] = (struct net_piece){frame->piece[i].data, frame->piece[i].bytes};
	packet_deliver(&(struct packet_passing){
		.index = dev->id + 2, .vnet = frame->vnet, .piece = piece, .n = n});
	return bare >> dev->id & 1;
}

void net_packet_output(struct net_dev *dev, const struct net_piece *piece, uint32_t n)
{
	packet_deliver(&(struct packet_passing){
		.index = dev->id + 2, .outgoing = true, .piece = piece, .n = n});
}

void net_packet_addresses_changed(void)
{
	bare = 0;
	for (uint32_t i = 0; i < uk_net_ndevs; i++) {
		const struct net_dev *dev = &uk_net_dev[i];
		const struct noxs_net_config *c = &dev->noxs->config;
		struct net_if nif;
		bool has = c->flags & (NOXS_NET_DHCP | NOXS_NET_SLAAC);

		for (uint32_t j = 0; j < NOXS_NET_ADDRESSES; j++)
			has |= c->address[j].family != 0;
		if (!has && net_if_get(dev->id + 2, &nif) && !nif.ip4)
			bare |= (uint8_t)(1u << dev->id);
	}
}
