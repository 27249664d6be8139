/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine_start.c: from a request to START.
 *
 *   engine_start -> image (known, or being prepared)
 *     -> net devices, if it has any (engine_net.c)
 *     -> a shell (ready, or being made: the record waits)
 *       -> limits, START in one message -> RUNNING
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <x86intrin.h>

#include "engine_own.h"
#include "net_job.h"
#include "vm_address.h"

#define RETRY_NS    1000000ull /* START did not fit into the socket's buffer */
#define RETRIES_MAX 10         /* each waits twice as long: 1 s in all */

void start_failed(struct engine *e, struct record *r, int failure, const struct err *err)
{
	vm_end(e, r,
	       &(struct vm_ended){
		       .end = END_FAILED,
		       .exit_code = err->exit ? err->exit : ERR_EXIT_SELF,
		       .reason = err->message,
		       .failure = failure,
		       .err = err,
	       });
}

/* ---- START ---- */

static void send_start(struct engine *e, struct record *r);

static void retry(void *arg)
{
	struct record *r = arg;

	r->start->retry = 0;
	send_start(r->start->engine, r);
}

static void is_running(struct engine *e, struct record *r, uint64_t sent_tsc)
{
	engine_done *done = r->start->done;
	void *arg = r->start->arg;

	r->vm.queue_us = tsc_us(&e->tsc, r->vm.parsed_tsc, sent_tsc);
	r->vm.started_ns = real_now_ns();
	vms_set_state(&e->vms, r, VM_RUNNING);
	record_hold(r);
	input_begin(e, r);
	record_drop_start(r);
	event_tell(e, "start", r, r->vm.warm ? "warm" : "cold");
	if (done)
		done(arg, &r->vm, 0, NULL);
	record_release(r);
}

/* Its socket does not take it: it cannot be of use to anybody. */
static void without_shell(struct engine *e, struct record *r)
{
	struct shell *shell = r->process;

	r->process = NULL;
	shell->record = NULL;
	shell_discard(e, shell);
}

static void send_start(struct engine *e, struct record *r)
{
	struct start *s = r->start;
	struct err err = {0};
	/* Before: the shell may be faster than our way back from the kernel. */
	uint64_t sent_tsc = __rdtsc();
	int ret = control_start(&e->control, r->process->number, r, s->image->fd, s->image->path,
				&err);

	if (!ret) {
		is_running(e, r, sent_tsc);
		return;
	}
	if (ret == -EAGAIN && s->tries < RETRIES_MAX) {
		s->retry = loop_after(e->loop, RETRY_NS << s->tries++, retry, r);
		if (s->retry)
			return;
	}
	without_shell(e, r);
	if (ret == -ESRCH) {
		start_find_shell(e, r);
		return;
	}
	if (ret == -EAGAIN)
		err_set(&err, 0, "a shell did not take its program: the machine is overloaded");
	start_failed(e, r, ENGINE_BUSY, &err);
}

void start_with_shell(struct engine *e, struct record *r, struct shell *shell)
{
	struct err err = {0};

	if (shell->state != SHELL_TAKEN)
		shells_set_state(&e->shells, shell, SHELL_TAKEN);
	shell->record = r;
	r->process = shell;
	r->vm.shell = shell->number;
	r->vm.pid = shell->pid;
	/* From here on the log goes with the record, if it is to have one. */
	r->has_log = shell->has_log && r->start->log_bytes;
	if (r->has_log)
		shell->has_log = false;
	/* A shell that was made for this VM has had its limits from the beginning. */
	if (r->start->limited && !shell->bound &&
	    cgroups_set(e->cgroups, shell->number, &r->start->limits, &err)) {
		without_shell(e, r);
		start_failed(e, r, ENGINE_FAILED, &err);
		return;
	}
	if (input_keep_rest(r, r->start) || start_take_net(r, shell)) {
		without_shell(e, r);
		err_set(&err, ENOMEM, "cannot keep what a VM starts with");
		start_failed(e, r, ENGINE_BUSY, &err);
		return;
	}
	send_start(e, r);
}

/* ---- a shell ---- */

int start_flavour(const struct engine *e, const struct record *r)
{
	const struct vm_net *net = r->vm.net;
	const struct start *s = r->start;

	if (s->spawn_net)
		return -1;
	/* Those that were opened for it go with any shell; none was: only with one that has some.
	 */
	if (!net || (s->nnet == net->n && !s->net[0].wire.prepared))
		return pool_find(&e->pool, r->vm.memory_bytes, "");
	if (!*net->key || (s->nnet && !s->net[0].wire.prepared))
		return -1;
	return pool_find(&e->pool, r->vm.memory_bytes, net->key);
}

void start_unqueue(struct engine *e, struct record *r)
{
	int flavour;

	if (!r->start)
		return;
	flavour = start_flavour(e, r);
	loop_cancel(e->loop, r->start->retry);
	r->start->retry = 0;
	if (r->start->opening)
		net_job_cancel(r->start->opening);
	r->start->opening = NULL;
	if (!r->start->queued_ns)
		return;
	r->start->queued_ns = 0;
	if (list_empty(&r->queue))
		return;
	list_remove(&r->queue);
	if (flavour >= 0)
		pool_gave_up(&e->pool, flavour);
}

void start_find_shell(struct engine *e, struct record *r)
{
	struct start *s = r->start;
	int flavour = start_flavour(e, r);
	struct shell *shell;

	loop_cancel(e->loop, s->retry);
	s->retry = 0;
	/* Those of a shell that is gone are gone with it. */
	if (s->nnet && s->net[0].wire.prepared) {
		s->nnet = 0;
		s->spawn_net = false;
	}
	if (r->vm.net && s->nnet < r->vm.net->n && flavour < 0) {
		start_open_net(e, r);
		return;
	}
	shell = flavour >= 0 ? pool_ready_shell(e, flavour) : NULL;
	r->vm.warm = shell;
	if (shell) {
		start_with_shell(e, r, shell);
		return;
	}
	r->start->queued_ns = loop_now_ns();
	list_add(flavour >= 0 ? &e->waiting[flavour] : &e->waiting_bound, &r->queue);
	pool_watch(e);
}

/* ---- an image ---- */

static void have_image(struct engine *e, struct record *r, struct image_ref *image)
{
	r->start->image = image;
	start_open_net(e, r);
}

static void image_is_prepared(void *arg, struct image_ref *image, int failure,
			      const struct err *err)
{
	struct record *r = arg;
	struct start *s = r->start;

	/* It may have been ended meanwhile; then it has no start any more. */
	if (image && s)
		have_image(s->engine, r, image);
	else if (image)
		image_put(image);
	else if (s)
		start_failed(s->engine, r, failure, err);
	record_release(r);
}

int engine_start(struct engine *e, struct vm *vm, engine_done *done, void *arg, struct err *err)
{
	struct record *r = record_of(vm);
	struct image_ref *image = NULL;
	struct err why = {0};
	int ret;

	if (vm->state != VM_CREATED || r->removed) {
		err_set(err, 0, "VM %s cannot be started: it has been before", vm->id);
		return ENGINE_CONFLICT;
	}
	r->start->engine = e;
	r->start->done = done;
	r->start->arg = arg;
	vms_set_state(&e->vms, r, VM_STARTING);
	record_hold(r);
	ret = e->ending ? ENGINE_BUSY : vm_address_take(&e->vms, r, &why);
	if (!ret)
		ret = images_get(e->images, vm->image, r->start->image_fd, image_is_prepared, r,
				 &image, &why);
	if (ret == IMAGES_LATER)
		return 0; /* held until then */
	if (e->ending)
		err_set(&why, 0, "the daemon is ending");
	if (ret)
		start_failed(e, r, ret, &why);
	else
		have_image(e, r, image);
	record_release(r);
	return 0;
}
