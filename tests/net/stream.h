/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stream.h: bytes that whoever receives them can tell from all others: words of a generator,
 * and a sum of them that depends on their order. Both ends of a transfer have it.
 */
#ifndef STREAM_H
#define STREAM_H

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

/* Ports of `traffic serve`. */
enum port {
	PORT_FIRST = 7000,
	PORT_SINK = PORT_FIRST, /* takes a stream until its end; answers struct sum */
	PORT_SOURCE,            /* takes struct order; answers the stream, then struct sum */
	PORT_ECHO,              /* TCP and UDP: what came, back; until the end */
	PORT_RESET,             /* takes a byte, answers with RST */
	PORT_GONE,              /* takes anything, and counts how connections end */
	PORT_STAT,              /* answers struct stat_answer */
	PORT_END,               /* the server ends */
	PORT_NOBODY,            /* nobody listens */
	PORT_SILENT,            /* UDP: is counted, and not answered */
	PORT_LAST = PORT_SILENT,
};

struct order {
	uint64_t bytes, seed;
};

struct sum {
	uint64_t bytes, a, b;
};

struct stat_answer {
	uint64_t accepted, resets, ends, datagrams;
};

/* Any permutation of 64 bits with good dispersion (the finalizer of splitmix64). */
static inline uint64_t stream_word(uint64_t seed, uint64_t i)
{
	uint64_t x = seed + i * 0x9e3779b97f4a7c15u;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	return x ^ x >> 27;
}

/* The stream's bytes from `at` on: the words around them. Returns where they begin in buf,
 * which has room for words + 1 words. */
static inline const char *stream_fill(uint64_t *buf, size_t words, uint64_t seed, uint64_t at)
{
	for (size_t i = 0; i <= words; i++)
		buf[i] = stream_word(seed, at / 8 + i);
	return (const char *)buf + at % 8;
}

/* A sum under way: bytes come in pieces of any size. */
struct summing {
	struct sum sum;
	unsigned char rest[8];
	unsigned nrest;
};

static inline void sum_word(struct summing *s, uint64_t word)
{
	s->sum.a += word;
	s->sum.b += s->sum.a;
}

static inline void sum_add(struct summing *s, const void *data, size_t n)
{
	const unsigned char *p = data;
	uint64_t word;

	s->sum.bytes += n;
	while (n && s->nrest) {
		s->rest[s->nrest++] = *p++, n--;
		if (s->nrest == 8) {
			memcpy(&word, s->rest, 8);
			sum_word(s, word);
			s->nrest = 0;
		}
	}
	for (; n >= 8; n -= 8, p += 8) {
		memcpy(&word, p, 8);
		sum_word(s, word);
	}
	if (n) {
		memcpy(s->rest, p, n);
		s->nrest = (unsigned)n;
	}
}

/* The last bytes count as a word with zeros behind them. */
static inline struct sum sum_end(struct summing *s)
{
	uint64_t word = 0;

	memcpy(&word, s->rest, s->nrest);
	if (s->nrest)
		sum_word(s, word);
	s->nrest = 0;
	return s->sum;
}

static inline _Noreturn void fail(const char *what)
{
	fprintf(stderr, "traffic: %s: %s\n", what, strerror(errno));
	exit(1);
}

#endif
