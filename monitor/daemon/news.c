/* SPDX-License-Identifier: Apache-2.0 */
/* news.c: see news.h. */
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "news.h"

/* A counter beyond this is no count: 2^56 of anything takes years. They are summed up. */
#define MAX_COUNT (1ull << 56)

static bool are_counts(const struct news_counters *c)
{
	uint64_t all = c->exits | c->waits | c->kicks | c->ioctls | c->syscalls | c->faults |
		       c->stdout_bytes | c->stderr_bytes | c->stdin_bytes | c->lost_bytes |
		       c->resident_bytes;

	return all < MAX_COUNT;
}

/* n of them, from the front of *payload, which moves on. */
static int parse_net(const char **payload, size_t *bytes, size_t n, struct news_item *item)
{
	if (n > NOXS_NET_MAX || *bytes < n * sizeof(item->net[0]))
		return -EPROTO;
	memcpy(item->net, *payload, n * sizeof(item->net[0]));
	*payload += n * sizeof(item->net[0]);
	*bytes -= n * sizeof(item->net[0]);
	for (size_t i = 0; i < n; i++) {
		const struct news_net *c = &item->net[i];

		if ((c->rx_frames | c->rx_bytes | c->rx_dropped | c->tx_frames | c->tx_bytes |
		     c->tx_dropped | c->kicks) >= MAX_COUNT ||
		    c->copying > 1 || c->broken > 1)
			return -EPROTO;
		for (int k = 0; k < NOXS_NET_ADDRESSES; k++)
			if (c->claimed[k].family && !net_is_claim(&c->claimed[k]))
				return -EPROTO;
	}
	item->nnet = (unsigned)n;
	return 0;
}

static int parse_text(const char *payload, size_t n, struct news_item *item)
{
	item->text = payload;
	item->text_bytes = n < NEWS_MAX_TEXT ? n : NEWS_MAX_TEXT;
	return 0;
}

static int parse_output(const char *payload, size_t n, struct news_item *item)
{
	if (item->head.arg != 1 && item->head.arg != 2)
		return -EPROTO;
	item->bytes[item->head.arg - 1] = payload;
	item->nbytes[item->head.arg - 1] = n;
	return 0;
}

static int parse_stats(const char *payload, size_t n, struct news_item *item)
{
	if (n < sizeof(item->counters))
		return -EPROTO;
	memcpy(&item->counters, payload, sizeof(item->counters));
	payload += sizeof(item->counters);
	n -= sizeof(item->counters);
	if (!are_counts(&item->counters) || parse_net(&payload, &n, n / sizeof(item->net[0]), item))
		return -EPROTO;
	return n ? -EPROTO : 0;
}

static bool is_end(const struct news_exit *x)
{
	return x->end >= END_EXITED && x->end <= END_FAILED && x->signal >= 0 && x->signal <= 64 &&
	       !(x->truncated & ~6u);
}

static int parse_exit(const char *payload, size_t n, struct news_item *item)
{
	struct news_exit *x = &item->exit;

	if (n < sizeof(*x))
		return -EPROTO;
	memcpy(x, payload, sizeof(*x));
	payload += sizeof(*x);
	n -= sizeof(*x);
	if (parse_net(&payload, &n, x->nnet, item))
		return -EPROTO;
	/* 64 bits: three of 32 do not overflow them. */
	if ((uint64_t)x->reason_bytes + x->stdout_bytes + x->stderr_bytes != n || !is_end(x) ||
	    !are_counts(&x->counters))
		return -EPROTO;
	parse_text(payload, x->reason_bytes, item);
	item->bytes[0] = payload + x->reason_bytes;
	item->nbytes[0] = x->stdout_bytes;
	item->bytes[1] = payload + x->reason_bytes + x->stdout_bytes;
	item->nbytes[1] = x->stderr_bytes;
	item->counters = x->counters;
	return 0;
}

int news_parse(const void *message, size_t bytes, struct news_item *item)
{
	const char *payload = (const char *)message + sizeof(item->head);
	size_t n = bytes - sizeof(item->head);

	item->text = NULL;
	item->nnet = 0;
	item->text_bytes = item->nbytes[0] = item->nbytes[1] = 0;
	item->bytes[0] = item->bytes[1] = NULL;
	if (bytes < sizeof(item->head) || bytes > WIRE_MAX_BYTES)
		return -EPROTO;
	memcpy(&item->head, message, sizeof(item->head));
	if (item->head.bytes != n)
		return -EPROTO;
	switch (item->head.type) {
	case NEWS_READY:
	case NEWS_STARTED:
	case NEWS_INPUT:
		return n ? -EPROTO : 0;
	case NEWS_STATE:
		return n || (item->head.arg != NEWS_RUNNING && item->head.arg != NEWS_PAUSED)
			       ? -EPROTO
			       : 0;
	case NEWS_FAILED:
		return parse_text(payload, n, item);
	case NEWS_OUTPUT:
		return parse_output(payload, n, item);
	case NEWS_STATS:
		return parse_stats(payload, n, item);
	case NEWS_EXIT:
		return parse_exit(payload, n, item);
	}
	return -EPROTO;
}
