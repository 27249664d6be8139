/* SPDX-License-Identifier: Apache-2.0 */
/*
 * partial.c: checksums that are not finished.
 *
 * Linux leaves a TCP or UDP checksum to the sending hardware: in its field stands the sum of the
 * pseudo header only (CHECKSUM_PARTIAL: Linux, Documentation/networking/checksum-offloads.rst).
 * A tap tells so in its header; an AF_XDP socket on a veth, which has no hardware, does not. So
 * a frame whose field is exactly that sum comes from a program of this host, and never was on
 * a wire. A damaged one looks like it as seldom as like a right one.
 */
#include "lwip/prot/ethernet.h"
#include "lwip/prot/ip.h"

#include "stack.h"

#define ETH_BYTES 14u

static uint32_t add16(uint32_t sum, const uint8_t *p, uint32_t bytes)
{
	for (uint32_t i = 0; i < bytes; i += 2)
		sum += (uint32_t)p[i] << 8 | p[i + 1];
	return sum;
}

bool net_checksum_partial(const struct net_frame *f)
{
	const uint8_t *frame = f->piece[0].data, *ip = frame + ETH_BYTES, *field;
	uint32_t have = f->piece[0].bytes, head, bytes, sum;
	uint8_t protocol;

	if (have < ETH_BYTES + 20)
		return false;
	if (frame[12] == 0x08 && frame[13] == 0x00) {
		head = (ip[0] & 15u) * 4;
		bytes = (uint32_t)ip[2] << 8 | ip[3];
		protocol = ip[9];
		/* A fragment's is that of the whole datagram. */
		if (head < 20 || bytes < head || (ip[6] & 0x3f) || ip[7])
			return false;
		bytes -= head;
		sum = add16(0, ip + 12, 8);
	} else if (frame[12] == 0x86 && frame[13] == 0xdd && have >= ETH_BYTES + 40) {
		head = 40;
		bytes = (uint32_t)ip[4] << 8 | ip[5];
		protocol = ip[6];
		sum = add16(0, ip + 8, 32);
	} else {
		return false;
	}
	if (protocol != IP_PROTO_TCP && protocol != IP_PROTO_UDP)
		return false;
	head += protocol == IP_PROTO_TCP ? 16 : 6;
	if (have < ETH_BYTES + head + 2)
		return false;
	field = ip + head;
	sum += protocol + bytes;
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return sum == ((uint32_t)field[0] << 8 | field[1]);
}
