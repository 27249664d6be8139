/* SPDX-License-Identifier: Apache-2.0 */
/* api_control.c: kill, pause, resume, stdin. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "api.h"
#include "api_request.h"

#define INPUT_BYTES 60000u /* of one engine_input */

/* ---- kill ---- */

/* 0: it has replied. */
static int wanted_signal(struct request *r)
{
	const char *text = query(r, "signal");
	struct err err = {0};
	int number = SIGKILL;

	if (text) {
		number = signal_parse(text);
		if (!number)
			reply_errorf(r, ENGINE_BAD,
				     "there is no signal '%.32s'; there is TERM, or 15", text);
		return number;
	}
	if (kill_request_parse(r->body, r->body_bytes, &number, &err)) {
		reply_error(r, ENGINE_BAD, &err);
		return 0;
	}
	return number;
}

void api_kill(struct request *r)
{
	int number = wanted_signal(r), failure;
	struct err err = {0};
	struct vm *vm;

	vm = number ? request_vm(r) : NULL;
	if (!vm)
		return;
	failure = engine_kill(r->engine, vm, number, &err);
	if (failure)
		reply_error(r, failure, &err);
	else
		reply_vm(r, 200, vm);
}

/* ---- pause, resume ---- */

static void stands(void *arg, struct vm *vm, int failure, const struct err *err)
{
	struct request *r = arg;

	if (!request_release(r))
		return;
	if (failure)
		reply_error(r, failure, err);
	else
		reply_vm(r, 200, vm);
}

static void pause_or_resume(struct request *r, bool pause)
{
	struct vm *vm = request_vm(r);
	struct err err = {0};
	int failure;

	if (!vm)
		return;
	request_hold(r);
	failure = engine_pause(r->engine, vm, pause, stands, r, &err);
	if (failure && request_release(r))
		reply_error(r, failure, &err);
}

void api_pause(struct request *r)
{
	pause_or_resume(r, true);
}

void api_resume(struct request *r)
{
	pause_or_resume(r, false);
}

/* ---- stdin: the body in pieces that fit into a message; r->count has been taken ---- */

static void reply_accepted(struct request *r, bool eof)
{
	struct out o = {0};

	out_open(&o, NULL, '{');
	out_uint(&o, "accepted", r->count);
	out_bool(&o, "eof", eof);
	out_close(&o, '}');
	reply_json(r, 200, &o);
}

static size_t next_piece(const struct request *r)
{
	size_t left = r->body_bytes - (size_t)r->count;

	return left < INPUT_BYTES ? left : INPUT_BYTES;
}

/* Busy, and the message is how much of the piece it took: engine.h. */
static void not_fed(struct request *r, int failure, const struct err *err)
{
	size_t took = strtoul(err->message, NULL, 10), piece = next_piece(r);

	if (failure == ENGINE_BUSY) {
		r->count += took < piece ? took : piece;
		reply_accepted(r, false);
	} else {
		reply_error(r, failure, err);
	}
}

static void feed(void *arg);

static void gone(struct request *r)
{
	loop_cancel(r->loop, r->timer);
}

/* The next piece does not follow from within: the engine takes one answer for the answer to
 * all that has been asked by then. */
static void fed(void *arg, struct vm *vm, int failure, const struct err *err)
{
	struct request *r = arg;

	(void)vm;
	if (!request_release(r))
		return;
	if (failure) {
		not_fed(r, failure, err);
		return;
	}
	r->count += next_piece(r);
	if (r->count == r->body_bytes) {
		reply_accepted(r, r->flag);
		return;
	}
	r->gone = gone;
	r->timer = loop_after(r->loop, 0, feed, r);
	if (!r->timer)
		reply_accepted(r, false);
}

static void feed(void *arg)
{
	struct request *r = arg;
	struct vm *vm = request_vm(r);
	size_t piece = next_piece(r);
	bool is_last = r->count + piece == r->body_bytes;
	struct err err = {0};
	int failure;

	r->timer = 0;
	if (!vm)
		return;
	request_hold(r);
	failure = engine_input(r->engine, vm, r->body + r->count, piece, r->flag && is_last, fed, r,
			       &err);
	if (failure && request_release(r))
		not_fed(r, failure, &err);
}

/* r->flag: the end of input follows. */
void api_stdin(struct request *r)
{
	struct vm *vm;

	if (!query_bool(r, "eof", &r->flag))
		return;
	vm = request_vm(r);
	if (!vm)
		return;
	memcpy(r->id, vm->id, sizeof(vm->id)); /* not by a name that may become another's */
	if (r->body_bytes || r->flag)
		feed(r);
	else
		reply_accepted(r, false);
}
