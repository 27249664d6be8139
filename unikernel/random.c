/* SPDX-License-Identifier: Apache-2.0 */
/*
 * random.c: ChaCha20 (RFC 8439) keyed with the noxs page's seed, in fast-key-erasure
 * form: each block's first half becomes the next key, so what was given out cannot be
 * computed from the state. A new generation (a clone, a restore) takes the new seed.
 */
#include "arch.h"

static uint32_t key[8];
static uint64_t generation;
static bool seeded;

#define ROTL(v, n) ((v) << (n) | (v) >> (32 - (n)))
#define QUARTER(a, b, c, d)                                                                      \
	(x[a] += x[b], x[d] = ROTL(x[d] ^ x[a], 16), x[c] += x[d], x[b] = ROTL(x[b] ^ x[c], 12), \
	 x[a] += x[b], x[d] = ROTL(x[d] ^ x[a], 8), x[c] += x[d], x[b] = ROTL(x[b] ^ x[c], 7))

static void block(uint32_t out[16])
{
	uint64_t tsc = uk_rdtsc();
	uint32_t in[16] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574};
	uint32_t x[16];

	memcpy(in + 4, key, sizeof(key));
	memcpy(in + 13, &tsc, sizeof(tsc));
	memcpy(x, in, sizeof(x));
	for (int i = 0; i < 10; i++) {
		QUARTER(0, 4, 8, 12);
		QUARTER(1, 5, 9, 13);
		QUARTER(2, 6, 10, 14);
		QUARTER(3, 7, 11, 15);
		QUARTER(0, 5, 10, 15);
		QUARTER(1, 6, 11, 12);
		QUARTER(2, 7, 8, 13);
		QUARTER(3, 4, 9, 14);
	}
	for (int i = 0; i < 16; i++)
		out[i] = x[i] + in[i];
	memcpy(key, out, sizeof(key));
}

void uk_random(void *buf, size_t n)
{
	uint32_t out[16];

	if (!seeded || generation != UK_NOXS->generation) {
		const uint32_t *seed = (const uint32_t *)UK_NOXS->seed;

		for (int i = 0; i < 8; i++)
			key[i] ^= seed[i];
		generation = UK_NOXS->generation;
		seeded = true;
	}
	for (char *p = buf; n;) {
		size_t part = uk_min(n, (size_t)32);

		block(out);
		memcpy(p, out + 8, part);
		p += part;
		n -= part;
	}
	memset(out, 0, sizeof(out));
	__asm__ volatile("" : : "r"(out) : "memory");
}
