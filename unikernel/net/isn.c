/* SPDX-License-Identifier: Apache-2.0 */
/*
 * isn.c: initial sequence numbers of TCP (RFC 6528): a clock of 4 us, and a keyed hash of
 * who talks to whom, so that nobody else can guess them and a pair of ports can be used
 * again. The hash is SipHash-2-4 (Aumasson and Bernstein, INDOCRYPT 2012).
 */
#include "lwip/opt.h"
#include "lwip/tcp.h"
#include "lwip_hooks.h"
#include "stack.h"

#define ROTL(v, n) ((v) << (n) | (v) >> (64 - (n)))

struct sip {
	uint64_t v[4];
};

static void sip_round(struct sip *s)
{
	uint64_t *v = s->v;

	v[0] += v[1], v[1] = ROTL(v[1], 13) ^ v[0], v[0] = ROTL(v[0], 32);
	v[2] += v[3], v[3] = ROTL(v[3], 16) ^ v[2];
	v[0] += v[3], v[3] = ROTL(v[3], 21) ^ v[0];
	v[2] += v[1], v[1] = ROTL(v[1], 17) ^ v[2], v[2] = ROTL(v[2], 32);
}

static void take(struct sip *s, uint64_t word)
{
	s->v[3] ^= word;
	sip_round(s);
	sip_round(s);
	s->v[0] ^= word;
}

uint64_t net_tcp_hash(const ip_addr_t *local, uint16_t local_port, const ip_addr_t *remote,
		      uint16_t remote_port, uint64_t what)
{
	static uint64_t key[2];
	/* Two addresses of up to 16 bytes, what it is for, two ports, and the length in the last
	 * byte. */
	uint64_t words[6] = {
		0, 0, 0, 0, what, 44ull << 56 | (uint64_t)local_port << 16 | (uint64_t)remote_port};
	struct sip s;

	if (!key[0])
		uk_random(key, sizeof(key));
	if (IP_IS_V6(local)) {
		memcpy(words, ip_2_ip6(local)->addr, 16);
		memcpy(words + 2, ip_2_ip6(remote)->addr, 16);
	} else {
		words[0] = ip4_addr_get_u32(ip_2_ip4(local));
		words[2] = ip4_addr_get_u32(ip_2_ip4(remote));
	}
	s.v[0] = 0x736f6d6570736575 ^ key[0];
	s.v[1] = 0x646f72616e646f6d ^ key[1];
	s.v[2] = 0x6c7967656e657261 ^ key[0];
	s.v[3] = 0x7465646279746573 ^ key[1];
	for (unsigned i = 0; i < uk_countof(words); i++)
		take(&s, words[i]);
	s.v[2] ^= 0xff;
	for (int i = 0; i < 4; i++)
		sip_round(&s);
	return s.v[0] ^ s.v[1] ^ s.v[2] ^ s.v[3];
}

u32_t net_tcp_isn(const ip_addr_t *local, u16_t local_port, const ip_addr_t *remote,
		  u16_t remote_port)
{
	static uint32_t opened;

	/* Asked once for every connection: the place to see that there are many. */
	if (++opened % 32 == 0)
		net_timewait_trim();
	/* No cookie's slot (cookie.c) is that late. */
	return (u32_t)net_tcp_hash(local, local_port, remote, remote_port, UINT64_MAX) +
	       (u32_t)(uk_monotonic_ns() / 4000);
}
