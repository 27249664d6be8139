/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shell_output.c: where a VM's output goes when it has no descriptors of a caller's: kept
 * for NEWS_EXIT (and sent ahead when it is more than a page or two), or framed into the log.
 * Both are bounded: what is beyond the limit is counted, not kept.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "shell.h"

/* What is kept and then data, in messages of the greatest size that there is. */
static void send_output(struct shell *s, int stream, const char *data, size_t bytes)
{
	const size_t most = WIRE_MAX_BYTES - sizeof(struct news);
	struct shell_output *o = &s->output;

	while (o->held[stream] || bytes) {
		size_t room = most - o->held[stream], n = bytes < room ? bytes : room;
		struct iovec part[2] = {{o->kept[stream], o->held[stream]}, {(void *)data, n}};

		shell_tell_parts(s, NEWS_OUTPUT, (uint64_t)stream, part, 2);
		o->held[stream] = 0;
		data += n;
		bytes -= n;
	}
}

ssize_t shell_capture(void *arg, int stream, const void *data, size_t bytes)
{
	struct shell *s = arg;
	struct shell_output *o = &s->output;
	uint64_t room = o->limit - o->taken[stream];
	size_t n = bytes < room ? bytes : room;

	if (n < bytes) {
		o->truncated |= 1u << stream;
		o->lost += bytes - n;
	}
	o->taken[stream] += n;
	if (o->held[stream] + n <= sizeof(o->kept[stream])) {
		memcpy(o->kept[stream] + o->held[stream], data, n);
		o->held[stream] += (uint32_t)n;
	} else {
		send_output(s, stream, data, n);
	}
	return (ssize_t)bytes; /* to the guest all of it was written */
}

static bool write_frame(int fd, struct log_frame *frame, const void *data)
{
	struct iovec iov[2] = {{frame, sizeof(*frame)}, {(void *)data, frame->bytes}};

	/* A short one (disk full) leaves a damaged frame, which readers skip by its magic. */
	return writev(fd, iov, 2) == (ssize_t)(sizeof(*frame) + frame->bytes);
}

ssize_t shell_log(void *arg, int stream, const void *data, size_t bytes)
{
	struct shell *s = arg;
	struct shell_output *o = &s->output;
	uint64_t room = o->limit - o->log_bytes;
	struct log_frame frame = {
		.magic = LOG_MAGIC,
		.stream = (uint16_t)stream,
		.bytes = (uint32_t)bytes,
	};
	struct timespec now;

	/* The last frame says that it is the last, so there must be room for its head. */
	if (o->log_full || room < 2 * sizeof(frame)) {
		o->log_full = true;
		o->lost += bytes;
		return (ssize_t)bytes;
	}
	if (bytes > room - 2 * sizeof(frame)) {
		frame.bytes = (uint32_t)(room - 2 * sizeof(frame));
		frame.flags = 1;
		o->log_full = true;
		o->truncated |= 1u << stream;
	}
	clock_gettime(CLOCK_REALTIME, &now);
	frame.real_ns = now.tv_sec * 1000000000ll + now.tv_nsec;
	if (!write_frame(s->log, &frame, data)) {
		o->log_full = true;
		frame.bytes = 0;
	}
	o->log_bytes += sizeof(frame) + frame.bytes;
	o->lost += bytes - frame.bytes;
	return (ssize_t)bytes;
}
