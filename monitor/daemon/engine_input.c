/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine_input.c: stdin: what a request brings beyond the guest's ring, and what comes later.
 *
 * A VM takes what its ring has room for and says how much that was. One message is on its
 * way at a time, so what is kept for a VM that does not read is what the request brought.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../../noxs/noxs.h"
#include "engine_own.h"

#define MESSAGE_BYTES 60000u
#define WAIT_NS       1000000ull /* its ring was full: how long until the next try */
#define WAIT_MAX_NS   200000000ull

/* What is left of a request's input. */
struct input_rest {
	struct engine *engine;
	struct record *record;
	uint64_t timer, wait_ns;
	bool end; /* and then it is over */
	uint32_t at, bytes;
	char data[];
};

int input_keep_rest(struct record *r, const struct start *s)
{
	const uint32_t bytes = s->stdin_bytes - NOXS_STDIN_BYTES;

	if (s->stdin_bytes <= NOXS_STDIN_BYTES || r->input)
		return 0;
	r->input = malloc(sizeof(*r->input) + bytes);
	if (!r->input)
		return -ENOMEM;
	*r->input = (struct input_rest){
		.engine = s->engine,
		.record = r,
		.wait_ns = WAIT_NS,
		.end = !(s->flags & START_STDIN),
		.bytes = bytes,
	};
	memcpy(r->input->data, s->text + s->text_bytes + NOXS_STDIN_BYTES, bytes);
	return 0;
}

void input_drop(struct engine *e, struct record *r)
{
	if (!r->input)
		return;
	loop_cancel(e->loop, r->input->timer);
	free(r->input);
	r->input = NULL;
}

static void send_rest(void *arg)
{
	struct input_rest *in = arg;
	uint32_t left = in->bytes - in->at;
	bool last = left <= MESSAGE_BYTES;
	struct err ignored;

	in->timer = 0;
	in->record->input_sent = last ? left : MESSAGE_BYTES;
	if (!control_send(in->record->vm.shell, SHELL_INPUT, last && in->end, in->data + in->at,
			  in->record->input_sent, &ignored)) {
		in->record->inputs_due++;
		return;
	}
	/* It does not take messages now, or is ending: then this goes with it. */
	in->timer = loop_after(in->engine->loop, WAIT_MAX_NS, send_rest, in);
}

void input_begin(struct engine *e, struct record *r)
{
	(void)e;
	if (r->input)
		send_rest(r->input);
}

static void take_rest(struct engine *e, struct record *r, uint64_t taken)
{
	struct input_rest *in = r->input;

	in->at += (uint32_t)taken;
	if (in->at == in->bytes) {
		input_drop(e, r);
		return;
	}
	if (taken == r->input_sent) {
		in->wait_ns = WAIT_NS;
		send_rest(in);
		return;
	}
	in->wait_ns = taken ? WAIT_NS : in->wait_ns * 2;
	if (in->wait_ns > WAIT_MAX_NS)
		in->wait_ns = WAIT_MAX_NS;
	in->timer = loop_after(e->loop, in->wait_ns, send_rest, in);
}

bool input_take_news(struct engine *e, struct record *r, uint64_t taken)
{
	struct err err;

	if (!r->inputs_due || taken > r->input_sent)
		return false;
	r->inputs_due--;
	if (r->input) {
		take_rest(e, r, taken);
		return true;
	}
	if (taken == r->input_sent) {
		r->takes_input = !r->input_ends;
		ask_answered(e, r, ASK_INPUT, 0, NULL);
		return true;
	}
	err_set(&err, 0, "%llu", (unsigned long long)taken);
	ask_answered(e, r, ASK_INPUT, ENGINE_BUSY, &err);
	return true;
}

int engine_input(struct engine *e, struct vm *vm, const void *data, size_t bytes, bool eof,
		 engine_done *done, void *arg, struct err *err)
{
	struct record *r = record_of(vm);
	int ret = vm_must_run(r, err);

	if (ret)
		return ret;
	if (bytes > MESSAGE_BYTES) {
		err_set(err, 0, "%zu bytes of input at once, %u at most", bytes, MESSAGE_BYTES);
		return ENGINE_TOO_LARGE;
	}
	if (!r->takes_input) {
		err_set(err, 0, "the stdin of VM %s is not open", vm->id);
		return ENGINE_CONFLICT;
	}
	if (r->input || r->inputs_due) {
		err_set(err, 0, "0");
		return ENGINE_BUSY;
	}
	ret = ask_send(e, r, ASK_INPUT, SHELL_INPUT, eof, data, bytes, done, arg, err);
	if (!ret) {
		r->inputs_due++;
		r->input_sent = (uint32_t)bytes;
		r->input_ends = eof;
	}
	return ret;
}
