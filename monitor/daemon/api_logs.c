/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api_logs.c: GET /v1/vms/{id}/logs.
 *
 *   log file --api_log.h--> pieces --tail, streams--> text or JSON lines --> the client
 *
 * With tail the file is read twice: lines are counted first. No call reads more than SLICE, so
 * that a long log does not keep others waiting. A log that is followed is looked at every
 * FOLLOW_NS: that costs an fstat, works for any file system, and needs no inotify watch, of
 * which a user has few.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api.h"
#include "api_log.h"

#define SLICE     (1u << 20)
#define FOLLOW_NS (25 * 1000000ull)
#define NO_TAIL   UINT64_MAX

struct log_stream {
	bool follow, timestamps, is_json, wanted[2]; /* stdout, stderr */
	uint64_t tail;
	bool is_counting; /* the first of two readings */
	bool is_over;     /* the VM has ended: nothing is added */
	bool is_done, is_broken;
	uint64_t skip; /* lines before the tail */
	struct log_lines lines;
	struct out out;
	size_t sent;
	struct log_reader reader;
};

/* ---- pieces to text ---- */

static void text_line(struct log_stream *s, const struct log_piece *p, const char *data, size_t n,
		      bool begins)
{
	char time[TIME_BYTES];

	if (s->timestamps && begins) {
		time_text(time, p->real_ns);
		out_printf(&s->out, "%s ", time);
	}
	out_add(&s->out, data, n);
}

static void json_begin(struct log_stream *s, const struct log_piece *p)
{
	out_open(&s->out, NULL, '{');
	out_time(&s->out, "time", p->real_ns);
	out_string(&s->out, "stream", p->stream ? "stderr" : "stdout");
}

static void json_end(struct log_stream *s)
{
	out_close(&s->out, '}');
	out_add(&s->out, "\n", 1);
}

static void json_piece(struct log_stream *s, const struct log_piece *p, const char *data, size_t n)
{
	json_begin(s, p);
	if (utf8_prefix(data, n) == n)
		out_text(&s->out, "text", data, n);
	else
		out_base64(&s->out, "base64", data, n);
	json_end(s);
}

/* Lines of one piece have rising numbers: what is not skipped is its end. */
static void lines_out(struct log_stream *s, const struct log_piece *p)
{
	const char *at = p->data, *end = p->data + p->bytes;

	while (at < end) {
		uint64_t line;
		bool begins;
		size_t n = log_line(&s->lines, p->stream, at, (size_t)(end - at), &line, &begins);

		if (s->is_counting || line < s->skip) {
			at += n;
			continue;
		}
		if (s->is_json) {
			size_t rest = (size_t)(end - at);

			json_piece(s, p, at, rest);
			while ((at += n) < end)
				n = log_line(&s->lines, p->stream, at, (size_t)(end - at), &line,
					     &begins);
			return;
		}
		text_line(s, p, at, n, begins);
		at += n;
	}
}

static void piece_out(struct log_stream *s, const struct log_piece *p)
{
	if (!s->wanted[p->stream])
		return;
	if (s->tail != NO_TAIL || s->timestamps)
		lines_out(s, p);
	else if (!s->is_json)
		out_add(&s->out, p->data, p->bytes);
	else if (p->bytes)
		json_piece(s, p, p->data, p->bytes);
	if (p->is_last && s->is_json && !s->is_counting) {
		json_begin(s, p);
		out_bool(&s->out, "truncated", true);
		json_end(s);
	}
}

static void damaged(struct log_stream *s)
{
	char text[96];

	snprintf(text, sizeof(text), "the log is damaged at byte %llu",
		 (unsigned long long)log_position(&s->reader));
	s->is_done = true;
	s->is_broken = !s->is_json;
	if (s->is_json) {
		out_open(&s->out, NULL, '{');
		out_string(&s->out, "error", text);
		json_end(s);
	}
}

/* ---- reading ---- */

/* Lines have been counted: now the log is read from its beginning. What was added meanwhile is
 * new and not skipped. */
static void counted(struct log_stream *s)
{
	uint64_t lines = s->lines.begun;

	s->is_counting = false;
	s->skip = lines > s->tail ? lines - s->tail : 0;
	s->lines = (struct log_lines){0};
	log_open(&s->reader, s->reader.fd);
}

/* Reads until there is something to send, or nothing more to read, or a slice was. */
static enum log_result read_slice(struct log_stream *s)
{
	uint64_t from = s->reader.at;
	enum log_result ret = LOG_PIECE;
	struct log_piece piece;

	while (!s->out.bytes && s->reader.at - from < SLICE) {
		ret = log_next(&s->reader, s->is_over || s->is_counting, &piece);
		if (ret != LOG_PIECE)
			break;
		piece_out(s, &piece);
	}
	return ret;
}

static void look_again(void *arg);

/* The reader is called again by look_again. */
static ssize_t later(struct request *r, uint64_t ns)
{
	r->timer = loop_after(r->loop, ns, look_again, r);
	return r->timer ? 0 : STREAM_BROKEN;
}

static ssize_t read_log(struct request *r, char *to, size_t bytes)
{
	struct log_stream *s = r->state;
	enum log_result ret = LOG_PIECE;

	if (!s->out.bytes && !s->is_done) {
		ret = s->reader.fd < 0 ? LOG_NONE : read_slice(s);
		if (s->is_counting && ret != LOG_PIECE) {
			counted(s);
			ret = read_slice(s);
		}
		if (ret == LOG_DAMAGED)
			damaged(s);
		else if (ret == LOG_NONE && !s->out.bytes && (s->is_over || !s->follow))
			s->is_done = true;
	}
	if (s->out.failed)
		return STREAM_BROKEN;
	if (s->out.bytes)
		return (ssize_t)out_take(&s->out, &s->sent, to, bytes);
	if (s->is_done)
		return s->is_broken ? STREAM_BROKEN : STREAM_END;
	return later(r, ret == LOG_PIECE ? 0 : FOLLOW_NS);
}

static void look_again(void *arg)
{
	struct request *r = arg;
	struct log_stream *s = r->state;
	const struct vm *vm;
	struct stat st;

	r->timer = 0;
	if (s->reader.fd < 0 && !s->is_over) {
		vm = engine_find(r->engine, r->id);
		s->reader.fd = vm ? engine_open_log(r->engine, vm) : -1;
		s->is_over = !vm;
	}
	if (!s->is_over && (s->reader.fd < 0 ||
			    (!fstat(s->reader.fd, &st) && (uint64_t)st.st_size <= s->reader.at))) {
		r->timer = loop_after(r->loop, FOLLOW_NS, look_again, r);
		if (r->timer)
			return;
	}
	stream_wake(r);
}

/* ---- the VM's end, and output that is in its record ---- */

static void captured(struct log_stream *s, const struct vm *vm)
{
	for (int i = 0; i < 2; i++) {
		struct log_piece piece = {
			.stream = i,
			.real_ns = vm->ended_ns,
			.is_last = vm->truncated & 2u << i,
			.data = vm->out[i],
			.bytes = vm->out_bytes[i],
		};

		if (vm->out[i])
			piece_out(s, &piece);
	}
}

static void vm_ended(struct request *r, struct log_stream *s, const struct vm *vm)
{
	s->is_over = true;
	if (s->reader.fd < 0)
		s->reader.fd = engine_open_log(r->engine, vm);
	if (s->reader.fd >= 0)
		return;
	captured(s, vm);
	if (s->is_counting) {
		counted(s);
		captured(s, vm);
	}
}

static void ended(void *arg, struct vm *vm, int failure, const struct err *err)
{
	struct request *r = arg;

	(void)failure;
	(void)err;
	r->wait = 0;
	vm_ended(r, r->state, vm);
	loop_cancel(r->loop, r->timer);
	r->timer = 0;
	stream_wake(r);
}

/* ---- the request ---- */

static void close_log(struct request *r)
{
	struct log_stream *s = r->state;

	engine_cancel(r->engine, r->wait);
	loop_cancel(r->loop, r->timer);
	if (s->reader.fd >= 0)
		close(s->reader.fd);
	out_free(&s->out);
	free(s);
}

/* One that is asked for means: not the other, unless that is asked for, too. */
static bool read_streams(struct request *r, struct log_stream *s)
{
	static const char *const names[2] = {"stdout", "stderr"};
	bool said[2];

	for (int i = 0; i < 2; i++) {
		said[i] = query(r, names[i]);
		if (!query_bool(r, names[i], &s->wanted[i]))
			return false;
	}
	for (int i = 0; i < 2; i++)
		if (!said[i])
			s->wanted[i] = !said[!i] || !s->wanted[!i];
	if (s->wanted[0] || s->wanted[1])
		return true;
	reply_errorf(r, ENGINE_BAD, "neither stdout nor stderr is asked for");
	return false;
}

static bool read_options(struct request *r, struct log_stream *s)
{
	const char *format = query(r, "format");

	s->is_json = format && !strcmp(format, "json");
	if (format && !s->is_json && strcmp(format, "text")) {
		reply_errorf(r, ENGINE_BAD, "format is text or json, not '%.64s'", format);
		return false;
	}
	s->tail = NO_TAIL;
	return read_streams(r, s) && query_bool(r, "follow", &s->follow) &&
	       query_bool(r, "timestamps", &s->timestamps) &&
	       query_uint(r, "tail", NO_TAIL - 1, &s->tail) && (!s->follow || may_wait(r));
}

static void stream(struct request *r, struct log_stream *s, struct vm *vm)
{
	static const struct stream stream = {read_log, close_log};

	memcpy(r->id, vm->id, sizeof(vm->id)); /* not by a name that may become another's */
	s->is_counting = s->tail != NO_TAIL;
	s->timestamps = s->timestamps && !s->is_json;
	r->state = s;
	if (vm->state == VM_EXITED)
		vm_ended(r, s, vm);
	else if (s->follow)
		r->wait = engine_wait(r->engine, vm, ended, r);
	reply_stream(r, s->is_json ? TYPE_LINES : TYPE_BINARY, &stream);
}

/* False: there is one, and it cannot be opened. */
static bool open_log(struct request *r, struct log_stream *s, const struct vm *vm)
{
	errno = 0;
	log_open(&s->reader, engine_open_log(r->engine, vm));
	if (s->reader.fd >= 0 || (errno != EMFILE && errno != ENFILE && errno != ENOMEM))
		return true;
	reply_errorf(r, ENGINE_BUSY, "cannot open the log of VM %s: %s", vm->id, strerror(errno));
	return false;
}

void api_logs(struct request *r)
{
	struct log_stream *s = malloc(sizeof(*s));
	struct vm *vm;

	if (!s) {
		reply_errorf(r, ENGINE_BUSY, "out of memory: cannot read the log of %s", r->id);
		return;
	}
	memset(s, 0, offsetof(struct log_stream, reader)); /* its buffer may be left as it is */
	vm = read_options(r, s) ? request_vm(r) : NULL;
	if (vm && open_log(r, s, vm))
		stream(r, s, vm);
	else
		free(s);
}
