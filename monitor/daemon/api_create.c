/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api_create.c: POST /v1/vms and /v1/vms/{id}/start.
 *
 *   parsed -> created -> started --+-- replied: the VM                    (no wait)
 *                                  '-- ended, replied: output and all     (wait)
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <x86intrin.h>

#include "api.h"
#include "api_request.h"

/* One that could not be started, and that the client knows nothing of. */
static void remove_unstarted(struct engine *engine, struct vm *vm)
{
	struct err ignored;

	engine_remove(engine, vm, true, &ignored);
}

/* ---- without wait ---- */

static void created(void *arg, struct vm *vm, int failure, const struct err *err)
{
	struct request *r = arg;
	struct engine *engine = r->engine;

	if (request_release(r)) {
		if (failure)
			reply_error(r, failure, err);
		else
			reply_vm(r, 201, vm);
	}
	if (failure)
		remove_unstarted(engine, vm);
}

/* ---- with wait ---- */

static void ended(void *arg, struct vm *vm, int failure, const struct err *err)
{
	struct request *r = arg;
	struct out o = {0};

	(void)failure;
	(void)err;
	r->wait = 0;
	r->flag = true;
	out_run_result(&o, vm);
	reply_json(r, 200, &o);
}

static void kill_unwanted(struct engine *engine, struct vm *vm)
{
	struct err err;

	if (vm && vm->remove)
		engine_kill(engine, vm, SIGKILL, &err);
}

static void waiter_gone(struct request *r)
{
	engine_cancel(r->engine, r->wait);
	kill_unwanted(r->engine, engine_find(r->engine, r->id));
}

static void started(void *arg, struct vm *vm, int failure, const struct err *err)
{
	struct request *r = arg;
	struct engine *engine = r->engine;
	bool is_wanted = request_release(r);

	if (failure) {
		if (is_wanted)
			reply_error(r, failure, err);
		remove_unstarted(engine, vm);
		return;
	}
	if (!is_wanted) {
		kill_unwanted(engine, vm);
		return;
	}
	memcpy(r->id, vm->id, sizeof(vm->id));
	r->gone = waiter_gone;
	r->flag = false;
	r->wait = engine_wait(engine, vm, ended, r);
	if (!r->wait && !r->flag)
		reply_errorf(r, ENGINE_BUSY, "out of memory: cannot wait for VM %s", vm->id);
}

/* ---- the requests ---- */

static void start(struct request *r, struct vm *vm, engine_done *done)
{
	struct err err = {0};
	int failure;

	request_hold(r);
	failure = engine_start(r->engine, vm, done, r, &err);
	if (failure && request_release(r))
		reply_error(r, failure, &err);
}

static void create(struct request *r, struct create_request *c)
{
	struct err err = {0};
	struct vm *vm;
	int failure;

	if (c->wait && !may_wait(r))
		return;
	failure = engine_create(r->engine, &c->spec, &vm, &err);
	if (failure)
		reply_error(r, failure, &err);
	else if (!c->start)
		reply_vm(r, 201, vm);
	else
		start(r, vm, c->wait ? started : created);
}

void api_create(struct request *r)
{
	struct create_request c;
	struct err err = {0};
	int ret = create_request_parse(r->body, r->body_bytes, &c, &err);

	c.spec.parsed_tsc = __rdtsc();
	if (ret)
		reply_error(r, ret == -ENOMEM ? ENGINE_BUSY : ENGINE_BAD, &err);
	else
		create(r, &c);
	create_request_free(&c);
}

static void started_later(void *arg, struct vm *vm, int failure, const struct err *err)
{
	struct request *r = arg;

	if (!request_release(r))
		return;
	if (failure)
		reply_error(r, failure, err);
	else
		reply_vm(r, 200, vm);
}

void api_start(struct request *r)
{
	struct vm *vm = request_vm(r);

	if (!vm)
		return;
	if (vm->state == VM_CREATED)
		vm->parsed_tsc = __rdtsc(); /* this is the request that boot_us counts from */
	start(r, vm, started_later);
}
