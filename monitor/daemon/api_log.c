/* SPDX-License-Identifier: Apache-2.0 */
/* api_log.c: see api_log.h. */
#include <string.h>
#include <unistd.h>

#include "../wire.h"
#include "api_log.h"

#define FLAG_LAST 1 /* wire.h, struct log_frame */

void log_open(struct log_reader *l, int fd)
{
	memset(l, 0, offsetof(struct log_reader, buf));
	l->fd = fd;
}

uint64_t log_position(const struct log_reader *l)
{
	return l->at - (l->have - l->used);
}

/* More of the file behind what is in buf and not used. False: there is none now. */
static bool fill(struct log_reader *l)
{
	size_t rest = l->have - l->used, room;
	ssize_t n;

	memmove(l->buf, l->buf + l->used, rest);
	l->have = rest;
	l->used = 0;
	room = sizeof(l->buf) - rest;
	n = room ? pread(l->fd, l->buf + rest, room, (off_t)l->at) : 0;
	if (n <= 0)
		return false;
	l->have += (size_t)n;
	l->at += (uint64_t)n;
	return true;
}

/* The head of the next frame, copied, then checked. */
static enum log_result next_head(struct log_reader *l)
{
	struct log_frame head;

	while (l->have - l->used < sizeof(head))
		if (!fill(l))
			return LOG_NONE;
	memcpy(&head, l->buf + l->used, sizeof(head));
	if (head.magic != LOG_MAGIC || head.stream < 1 || head.stream > 2 ||
	    head.flags & ~FLAG_LAST)
		return LOG_DAMAGED;
	l->used += sizeof(head);
	l->in_frame = true;
	l->left = head.bytes;
	l->stream = head.stream - 1;
	l->is_last = head.flags & FLAG_LAST;
	l->real_ns = head.real_ns;
	return LOG_PIECE;
}

/* What is there of the frame: all of it, or as much as there is room for. */
static size_t gather(struct log_reader *l)
{
	size_t have;

	while ((have = l->have - l->used) < l->left && have < sizeof(l->buf))
		if (!fill(l))
			break;
	return have < l->left ? have : l->left;
}

enum log_result log_next(struct log_reader *l, bool is_over, struct log_piece *piece)
{
	size_t have;

	if (!l->in_frame) {
		enum log_result ret = next_head(l);

		if (ret == LOG_NONE && is_over && l->have > l->used)
			return LOG_DAMAGED; /* cut off inside a head */
		if (ret != LOG_PIECE)
			return ret;
	}
	have = gather(l);
	if (have < l->left && have < sizeof(l->buf)) {
		if (!is_over)
			return LOG_NONE;
		if (!have)
			return LOG_DAMAGED;
	}
	*piece = (struct log_piece){
		.stream = l->stream,
		.real_ns = l->real_ns,
		.data = l->buf + l->used,
		.bytes = have,
	};
	l->used += have;
	l->left -= (uint32_t)have;
	if (!l->left) {
		l->in_frame = false;
		piece->is_last = l->is_last;
	}
	return LOG_PIECE;
}

size_t log_line(struct log_lines *l, int stream, const char *data, size_t bytes, uint64_t *line,
		bool *begins)
{
	const char *end = memchr(data, '\n', bytes);

	*begins = !l->is_inside[stream];
	if (*begins)
		l->line[stream] = l->begun++;
	*line = l->line[stream];
	l->is_inside[stream] = !end;
	return end ? (size_t)(end - data) + 1 : bytes;
}
