/* SPDX-License-Identifier: Apache-2.0 */
/*
 * news.h: what shells tell, checked. Nothing here does I/O: tests/fuzz/fuzz_news.c.
 *
 * A shell may have been taken over by its guest. A message that breaks a rule of wire.h is
 * nobody's: it is counted, and a shell that does it often ends (engine_news.c).
 */
#ifndef MAYFLY_NEWS_H
#define MAYFLY_NEWS_H

#include <stddef.h>
#include <stdint.h>

#include "../wire.h"

#define NEWS_MAX_TEXT 480u /* what of a reason is kept: it fits struct err */

/* A message with its parts; text and bytes point into it. */
struct news_item {
	struct news head;
	struct news_exit exit;             /* EXIT */
	struct news_counters counters;     /* STATS, EXIT */
	struct news_net net[NOXS_NET_MAX]; /* of nnet devices: STATS, EXIT */
	unsigned nnet;
	const char *text; /* FAILED, EXIT: text_bytes of it, not clean yet */
	size_t text_bytes;
	const void *bytes[2]; /* OUTPUT: one of them; EXIT: stdout's and stderr's */
	size_t nbytes[2];
};

/* 0 and the parts, or -EPROTO. message is ours alone: nobody writes to it any more. */
int news_parse(const void *message, size_t bytes, struct news_item *item);

#endif
