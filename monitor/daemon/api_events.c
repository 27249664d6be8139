/* SPDX-License-Identifier: Apache-2.0 */
/* api_events.c: GET /v1/events, a line for each event. */
#include <stdio.h>
#include <stdlib.h>

#include "api.h"

#define MAX_QUEUED (1u << 20) /* bytes that a slow reader may leave unread */

struct event_stream {
	struct out lines;
	size_t sent;
	uint64_t token, lost;
	bool follow;
};

static uint64_t events_lost;

uint64_t api_events_lost(void)
{
	return events_lost;
}

static void tell_lost(struct event_stream *s)
{
	char count[24];

	snprintf(count, sizeof(count), "%llu", (unsigned long long)s->lost);
	out_open(&s->lines, NULL, '{');
	out_string(&s->lines, "type", "lost");
	out_string(&s->lines, "detail", count);
	out_close(&s->lines, '}');
	out_add(&s->lines, "\n", 1);
	s->lost = 0;
}

static void happened(void *arg, const struct event *event)
{
	struct request *r = arg;
	struct event_stream *s = r->state;

	if (s->lines.bytes - s->sent > MAX_QUEUED) {
		s->lost++;
		events_lost++;
		return;
	}
	if (s->lost)
		tell_lost(s);
	out_event(&s->lines, event);
	stream_wake(r);
}

static ssize_t read_events(struct request *r, char *to, size_t bytes)
{
	struct event_stream *s = r->state;
	size_t n = out_take(&s->lines, &s->sent, to, bytes);

	if (s->lines.failed)
		return STREAM_BROKEN;
	return n ? (ssize_t)n : s->follow ? 0 : STREAM_END;
}

static void close_events(struct request *r)
{
	struct event_stream *s = r->state;

	engine_unlisten(r->engine, s->token);
	out_free(&s->lines);
	free(s);
}

void api_events(struct request *r)
{
	static const struct stream stream = {read_events, close_events};
	struct event_stream *s;
	uint64_t since = UINT64_MAX;
	bool follow = true;

	if (!query_bool(r, "follow", &follow) || !query_uint(r, "since", UINT64_MAX - 1, &since) ||
	    (follow && !may_wait(r)))
		return;
	s = calloc(1, sizeof(*s));
	if (!s) {
		reply_errorf(r, ENGINE_BUSY, "out of memory: cannot follow the events");
		return;
	}
	s->follow = follow;
	r->state = s;
	/* UINT64_MAX + 1 is 0, the engine's "only new ones". */
	if (!follow && since == UINT64_MAX)
		since = 0;
	reply_stream(r, TYPE_LINES, &stream);
	s->token = engine_listen(r->engine, since + 1, happened, r);
}
