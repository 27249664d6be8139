/* SPDX-License-Identifier: Apache-2.0 */
/*
 * segment.c: a large TCP segment (struct noxs_net_vnet, VIRTIO 1.2, 5.1.6.2) for a device that
 * takes none: cut into such as fit, each with its headers and checksums. It comes from a packet
 * socket, so nothing in it is to be relied on.
 */
#include <linux/errno.h>

#include "packet.h"

#define IP4_MIN     20u
#define IP6_BYTES   40u
#define TCP_MIN     20u
#define HEADERS_MAX (ETH_HLEN + 60u + 60u)

enum { GSO_TCP4 = 1, GSO_TCP6 = 4, GSO_ECN = 0x80 };
enum { TCP_FIN = 1, TCP_PSH = 8, TCP_CWR = 0x80 };

/* A frame whose headers are where they ought to be. */
struct segment {
	bool v6;
	uint32_t ip, tcp, data; /* offsets */
	uint32_t bytes;
};

static void put16(uint8_t *at, uint32_t v)
{
	at[0] = (uint8_t)(v >> 8);
	at[1] = (uint8_t)v;
}

static uint32_t get16(const uint8_t *at)
{
	return (uint32_t)at[0] << 8 | at[1];
}

static uint16_t fold(uint32_t sum)
{
	sum = (sum >> 16) + (sum & 0xffff);
	return (uint16_t)((sum >> 16) + sum);
}

static bool parse(const struct noxs_net_vnet *vnet, const uint8_t *data, struct segment *s)
{
	uint32_t type = vnet->gso_type & ~(uint32_t)GSO_ECN;

	s->v6 = type == GSO_TCP6;
	s->ip = ETH_HLEN;
	if ((type != GSO_TCP4 && type != GSO_TCP6) || !vnet->gso_size ||
	    s->bytes < ETH_HLEN + IP4_MIN)
		return false;
	s->tcp = s->ip + (s->v6 ? IP6_BYTES : (data[s->ip] & 15) * 4u);
	if (get16(data + 12) != (s->v6 ? ETH_P_IPV6 : ETH_P_IP) || s->tcp < s->ip + IP4_MIN ||
	    s->tcp + TCP_MIN > s->bytes || data[s->ip + (s->v6 ? 6 : 9)] != 6 ||
	    vnet->csum_start != s->tcp)
		return false;
	s->data = s->tcp + (data[s->tcp + 12] >> 4) * 4u;
	return s->data >= s->tcp + TCP_MIN && s->data <= s->bytes;
}

/* Headers for the n bytes from offset at on; data is the whole's. */
static void headers(const struct segment *s, uint8_t *h, const uint8_t *data, uint32_t at,
		    uint32_t n, uint32_t number)
{
	uint32_t tcp_bytes = s->data - s->tcp + n, sequence, sum;
	uint8_t *ip = h + s->ip, *tcp = h + s->tcp;

	memcpy(h, data, s->data);
	memcpy(&sequence, tcp + 4, 4);
	sequence = if_be32(if_be32(sequence) + (at - s->data));
	memcpy(tcp + 4, &sequence, 4);
	if (at + n < s->bytes)
		tcp[13] &= (uint8_t) ~(TCP_FIN | TCP_PSH);
	if (number)
		tcp[13] &= (uint8_t)~TCP_CWR;
	if (s->v6) {
		put16(ip + 4, tcp_bytes);
	} else {
		put16(ip + 2, s->tcp - s->ip + tcp_bytes);
		put16(ip + 4, get16(ip + 4) + number);
		memset(ip + 10, 0, 2);
		sum = (uint16_t)~net_checksum(ip, (int)(s->tcp - s->ip));
		memcpy(ip + 10, &sum, 2);
	}
	/* Addresses, protocol and length (RFC 9293, 3.1), header, data. */
	memset(tcp + 16, 0, 2);
	sum = net_checksum(s->v6 ? ip + 8 : ip + 12, s->v6 ? 32 : 8);
	sum += if_be16(6) + if_be16((uint16_t)tcp_bytes);
	sum += net_checksum(tcp, (int)(s->data - s->tcp));
	sum += net_checksum(data + at, (int)n);
	sum = (uint16_t)~fold(sum);
	memcpy(tcp + 16, &sum, 2);
}

long packet_segments(struct net_dev *dev, const struct noxs_net_vnet *vnet, const uint8_t *data,
		     uint32_t bytes)
{
	struct segment s = {.bytes = bytes};
	uint8_t h[HEADERS_MAX];
	uint32_t number = 0;

	if (!parse(vnet, data, &s) || s.data - ETH_HLEN + vnet->gso_size > dev->noxs->config.mtu)
		return -EINVAL;
	for (uint32_t at = s.data; at < bytes; number++) {
		uint32_t n = uk_min(bytes - at, (uint32_t)vnet->gso_size);
		struct net_piece piece[] = {{h, s.data}, {data + at, n}};
		long r;

		headers(&s, h, data, at, n, number);
		r = net_send(dev, NULL, piece, 2);
		/* Once a part is on its way the rest is lost, as it may be on any wire. */
		if (r)
			return number ? 0 : r;
		at += n;
	}
	return 0;
}
