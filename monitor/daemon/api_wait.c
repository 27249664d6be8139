/* SPDX-License-Identifier: Apache-2.0 */
/* api_wait.c: /wait and /stop: replies that come with a VM's end. */
#include "api.h"

#define MAX_WAIT_MS      86400000u
#define MAX_GRACE_MS     3600000u
#define DEFAULT_GRACE_MS 10000u
#define NO_LIMIT         UINT64_MAX

static void ended(void *arg, struct vm *vm, int failure, const struct err *err)
{
	struct request *r = arg;

	(void)failure;
	(void)err;
	r->wait = 0;
	r->flag = true;
	loop_cancel(r->loop, r->timer);
	reply_exit(r, vm);
}

static void gone(struct request *r)
{
	engine_cancel(r->engine, r->wait);
	loop_cancel(r->loop, r->timer);
}

static void too_late(void *arg)
{
	struct request *r = arg;

	r->timer = 0;
	engine_cancel(r->engine, r->wait);
	reply_errorf(r, 504, "VM %s has not ended in %llu ms", r->id, (unsigned long long)r->count);
}

static void wait_for_end(struct request *r, struct vm *vm, uint64_t limit_ms)
{
	r->gone = gone;
	r->count = limit_ms;
	r->wait = engine_wait(r->engine, vm, ended, r);
	if (r->flag)
		return;
	if (r->wait && limit_ms != NO_LIMIT)
		r->timer = loop_after(r->loop, limit_ms * 1000000, too_late, r);
	if (!r->wait || (limit_ms != NO_LIMIT && !r->timer)) {
		gone(r);
		reply_errorf(r, ENGINE_BUSY, "out of memory: cannot wait for VM %s", vm->id);
	}
}

void api_wait(struct request *r)
{
	uint64_t limit_ms = NO_LIMIT;
	struct vm *vm;

	if (!query_uint(r, "timeout_ms", MAX_WAIT_MS, &limit_ms))
		return;
	vm = request_vm(r);
	if (vm && may_wait(r))
		wait_for_end(r, vm, limit_ms);
}

/* What has ended is stopped: no error, as a program may end by itself just before. */
void api_stop(struct request *r)
{
	uint64_t grace_ms = DEFAULT_GRACE_MS;
	struct err err = {0};
	bool wait = true;
	struct vm *vm;
	int failure = 0;

	if (!query_uint(r, "grace_ms", MAX_GRACE_MS, &grace_ms) || !query_bool(r, "wait", &wait))
		return;
	vm = request_vm(r);
	if (!vm || (wait && !may_wait(r)))
		return;
	if (vm->state != VM_EXITED)
		failure = engine_stop(r->engine, vm, (unsigned)grace_ms, &err);
	if (failure)
		reply_error(r, failure, &err);
	else if (wait)
		wait_for_end(r, vm, NO_LIMIT);
	else
		reply_vm(r, 202, vm);
}
