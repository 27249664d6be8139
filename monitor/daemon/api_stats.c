/* SPDX-License-Identifier: Apache-2.0 */
/* api_stats.c: a VM's counters, once or as a stream of lines. */
#include <stdlib.h>
#include <string.h>

#include "api.h"

#define DEFAULT_INTERVAL_MS 1000u
#define MIN_INTERVAL_MS     100u
#define MAX_INTERVAL_MS     3600000u

/* Only a VM that runs can be asked. */
static bool can_tell(const struct vm *vm)
{
	return vm->state == VM_RUNNING || vm->state == VM_PAUSED;
}

/* ---- once ---- */

static void reply_stats(struct request *r, const struct vm *vm)
{
	struct out o = {0};

	out_stats(&o, vm);
	reply_json(r, 200, &o);
}

static void told(void *arg, struct vm *vm, int failure, const struct err *err)
{
	struct request *r = arg;

	if (!request_release(r))
		return;
	if (failure)
		reply_error(r, failure, err);
	else
		reply_stats(r, vm);
}

static void once(struct request *r, struct vm *vm)
{
	struct err err = {0};
	int failure;

	if (!can_tell(vm)) {
		reply_stats(r, vm);
		return;
	}
	request_hold(r);
	failure = engine_stats(r->engine, vm, told, r, &err);
	if (failure && request_release(r))
		reply_error(r, failure, &err);
}

/* ---- a stream: asked, told, written, and again after the interval ---- */

struct stats_stream {
	struct out lines;
	size_t sent;
	uint64_t interval_ns;
	bool is_over;
};

static void line(struct stats_stream *s, const struct vm *vm)
{
	out_stats(&s->lines, vm);
	out_add(&s->lines, "\n", 1);
}

static void ask(void *arg);

static void told_again(void *arg, struct vm *vm, int failure, const struct err *err)
{
	struct request *r = arg;
	struct stats_stream *s;

	(void)err;
	if (!request_release(r))
		return;
	s = r->state;
	if (s->is_over)
		return;
	/* A slow reader gets fewer lines. One that the VM did not give is left out. */
	if (!failure && !s->lines.bytes)
		line(s, vm);
	r->timer = vm ? loop_after(r->loop, s->interval_ns, ask, r) : 0;
	if (!r->timer)
		s->is_over = true;
	stream_wake(r);
}

static void ask(void *arg)
{
	struct request *r = arg;
	struct vm *vm = engine_find(r->engine, r->id);
	struct err err = {0};

	r->timer = 0;
	request_hold(r);
	if (!vm || engine_stats(r->engine, vm, told_again, r, &err))
		told_again(r, vm, ENGINE_FAILED, &err);
}

static void over(void *arg, struct vm *vm, int failure, const struct err *err)
{
	struct request *r = arg;
	struct stats_stream *s = r->state;

	(void)failure;
	(void)err;
	r->wait = 0;
	r->flag = true;
	loop_cancel(r->loop, r->timer);
	r->timer = 0;
	line(s, vm);
	s->is_over = true;
	stream_wake(r);
}

static ssize_t read_lines(struct request *r, char *to, size_t bytes)
{
	struct stats_stream *s = r->state;
	size_t n = out_take(&s->lines, &s->sent, to, bytes);

	if (s->lines.failed)
		return STREAM_BROKEN;
	return n ? (ssize_t)n : s->is_over ? STREAM_END : 0;
}

static void close_lines(struct request *r)
{
	struct stats_stream *s = r->state;

	engine_cancel(r->engine, r->wait);
	loop_cancel(r->loop, r->timer);
	out_free(&s->lines);
	free(s);
}

static void stream(struct request *r, struct vm *vm, uint64_t interval_ms)
{
	static const struct stream stream = {read_lines, close_lines};
	struct stats_stream *s = calloc(1, sizeof(*s));

	if (!s) {
		reply_errorf(r, ENGINE_BUSY, "out of memory: cannot follow VM %s", vm->id);
		return;
	}
	s->interval_ns = interval_ms * 1000000;
	memcpy(r->id, vm->id, sizeof(vm->id)); /* not by a name that may become another's */
	r->state = s;
	reply_stream(r, TYPE_LINES, &stream);
	r->wait = engine_wait(r->engine, vm, over, r);
	if (!r->flag)
		ask(r);
}

void api_stats(struct request *r)
{
	uint64_t interval_ms = DEFAULT_INTERVAL_MS;
	bool is_stream = false;
	struct vm *vm;

	if (!query_bool(r, "stream", &is_stream) ||
	    !query_uint(r, "interval_ms", MAX_INTERVAL_MS, &interval_ms))
		return;
	if (interval_ms < MIN_INTERVAL_MS) {
		reply_errorf(r, ENGINE_BAD, "interval_ms is %u at least", MIN_INTERVAL_MS);
		return;
	}
	vm = request_vm(r);
	if (vm && !is_stream)
		once(r, vm);
	else if (vm && may_wait(r))
		stream(r, vm, interval_ms);
}
