/* SPDX-License-Identifier: Apache-2.0 */
/*
 * checksum.c: the Internet checksum (RFC 1071): a sum of 16-bit words in ones' complement. It
 * does not matter how wide the words are that are added, as long as carries come back in: so
 * 64 bits at a time, with ADC, in general registers.
 */
#include "../uk.h"

uint16_t net_checksum(const void *data, int bytes); /* lwip/arch/cc.h */

struct unaligned {
	uint64_t word;
} __attribute__((packed, may_alias));

static inline uint64_t add(uint64_t a, uint64_t b)
{
	uint64_t sum = a + b;

	return sum + (sum < a);
}

uint16_t net_checksum(const void *data, int bytes)
{
	const struct unaligned *p = data;
	uint64_t sum = 0, last = 0;

	for (; bytes >= 64; bytes -= 64, p += 8)
		__asm__("add 0(%1), %0\n\t"
			"adc 8(%1), %0\n\t"
			"adc 16(%1), %0\n\t"
			"adc 24(%1), %0\n\t"
			"adc 32(%1), %0\n\t"
			"adc 40(%1), %0\n\t"
			"adc 48(%1), %0\n\t"
			"adc 56(%1), %0\n\t"
			"adc $0, %0"
			: "+r"(sum)
			: "r"(p), "m"(*(const char(*)[64])p)
			: "cc");
	for (; bytes >= 8; bytes -= 8, p++)
		sum = add(sum, p->word);
	/* What is left stands at the start of a word of its own, as it would in memory. */
	for (int i = 0; i < bytes; i++)
		last |= (uint64_t)((const uint8_t *)p)[i] << (8 * i);
	sum = add(sum, last);
	sum = (sum >> 32) + (uint32_t)sum;
	sum = (sum >> 32) + (uint32_t)sum;
	sum = (sum >> 16) + (uint16_t)sum;
	sum = (sum >> 16) + (uint16_t)sum;
	return (uint16_t)((sum >> 16) + (uint16_t)sum);
}
