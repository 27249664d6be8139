/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine_end.c: the end of a VM, of its shell, of its record.
 *
 *   NEWS_EXIT --> the VM is EXITED, whoever waits is told        the kernel destroys the VM
 *   ZYGOTE_ENDED --> the shell's socket, cgroups, uid are free   (and without EXIT before: the
 *                                                                 VM is EXITED now, a failure)
 *   the record goes when it is removed, or is the oldest of too many
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

#include "engine_own.h"
#include "text.h"

int64_t real_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return now.tv_sec * 1000000000ll + now.tv_nsec;
}

/* ---- VMs ---- */

void vm_booted(struct engine *e, struct record *r, uint64_t boot_tsc)
{
	enum engine_start_path path = r->vm.warm ? ENGINE_WARM : ENGINE_COLD;

	r->booted = true;
	/* The guest writes that stamp: one that cannot be is none. */
	if (boot_tsc < r->vm.parsed_tsc || boot_tsc > __rdtsc())
		return;
	r->vm.boot_us = tsc_us(&e->tsc, r->vm.parsed_tsc, boot_tsc);
	metrics_count_us(&e->metrics.boot[path], r->vm.boot_us);
}

static void tell_exit(struct engine *e, const struct record *r)
{
	char detail[sizeof(((struct event *)0)->detail)];

	if (r->vm.reason)
		snprintf(detail, sizeof(detail), "%d: %s", r->vm.exit_code, r->vm.reason);
	else
		snprintf(detail, sizeof(detail), "%d", r->vm.exit_code);
	event_tell(e, "exit", r, detail);
}

/* What is kept of those that have ended is bounded: the oldest go. */
static void keep_ended(struct engine *e, struct record *r)
{
	struct vms *vms = &e->vms;

	if (r->vm.remove) {
		record_remove(e, r);
		return;
	}
	list_add(&vms->ended, &r->queue);
	vms->ended_count++;
	while (vms->ended_count > e->options.keep)
		record_remove(e, LIST_OF(list_first(&vms->ended), struct record, queue));
}

/* Lets go of everything that only a VM that lives needs. */
static void let_go(struct engine *e, struct record *r)
{
	struct shell *shell = r->process;

	start_unqueue(e, r);
	stop_cancel(e, r);
	input_drop(e, r);
	record_drop_start(r);
	r->process = NULL;
	if (!shell)
		return;
	shell->record = NULL;
	if (shell->state == SHELL_TAKEN)
		shells_set_state(&e->shells, shell, SHELL_LEAVING);
	pool_watch(e);
}

/* Whoever waits for a start that will not be. */
static void tell_starter(struct record *r, engine_done *done, void *arg, const struct vm_ended *how)
{
	struct err err;

	if (!done)
		return;
	if (how->err) {
		done(arg, &r->vm, how->failure, how->err);
		return;
	}
	err_set(&err, 0, "%s", r->vm.reason ? r->vm.reason : "it was ended before it had started");
	done(arg, &r->vm, ENGINE_CONFLICT, &err);
}

void vm_end(struct engine *e, struct record *r, const struct vm_ended *how)
{
	engine_done *done = r->start ? r->start->done : NULL;
	void *arg = r->start ? r->start->arg : NULL;

	if (r->vm.state == VM_EXITED)
		return;
	record_hold(r);
	if (how->reason && *how->reason && !r->vm.reason)
		r->vm.reason = strdup(how->reason); /* none, if there is no memory */
	r->vm.end = (uint8_t)how->end;
	r->vm.exit_code = how->exit_code;
	r->vm.signal = how->signal;
	r->vm.ended_ns = real_now_ns();
	vms_set_state(&e->vms, r, VM_EXITED);
	let_go(e, r);
	metrics_count_end(e, r);
	tell_exit(e, r);
	tell_starter(r, done, arg, how);
	asks_fail(e, r);
	waiters_call(e, r);
	if (!r->removed)
		keep_ended(e, r);
	record_release(r);
}

void vm_end_failed(struct engine *e, struct record *r, const char *reason)
{
	vm_end(e, r,
	       &(struct vm_ended){.end = END_FAILED, .exit_code = ERR_EXIT_SELF, .reason = reason});
}

void vm_ended_by_news(struct engine *e, struct record *r, const struct news_item *item)
{
	const struct news_exit *x = &item->exit;
	char reason[NEWS_MAX_TEXT + 1];
	struct vm_ended how = {
		.end = x->end,
		.exit_code = x->exit_code & 0xff,
		.signal = x->signal,
		.reason = reason,
	};

	memcpy(reason, item->text, item->text_bytes);
	reason[text_clean(reason, item->text_bytes)] = 0;
	r->vm.counters = item->counters;
	vm_net_count(r->vm.net, item->net, item->nnet);
	r->vm.truncated |= x->truncated;
	if (!r->booted)
		vm_booted(e, r, x->boot_tsc);
	/* One that never began, or says what cannot be, has run for no time. */
	if (x->boot_tsc >= r->vm.parsed_tsc && x->end_tsc <= __rdtsc())
		r->vm.run_us = tsc_us(&e->tsc, x->boot_tsc, x->end_tsc);
	/* The crash of one whose signal is not told apart: 128 + n. */
	if (how.end == END_CRASHED && !how.signal && how.exit_code > 128)
		how.signal = how.exit_code - 128;
	vm_end(e, r, &how);
}

/* Its process has ended, and has not said why. */
static void ended_by_status(struct engine *e, struct record *r, const struct shell *shell)
{
	int sig = WIFSIGNALED(shell->status) ? WTERMSIG(shell->status) : 0;
	char reason[160];

	if (sig == SIGKILL && r->killed) {
		vm_end(e, r,
		       &(struct vm_ended){
			       .end = END_SIGNAL, .exit_code = 128 + SIGKILL, .signal = SIGKILL});
		return;
	}
	if (sig == SIGKILL && shell->has_cgroup && cgroups_out_of_memory(e->cgroups, shell->number))
		snprintf(reason, sizeof(reason),
			 "its process was ended by the kernel: the VM's memory limit was reached");
	else if (sig == SIGSYS)
		snprintf(reason, sizeof(reason),
			 "its process was ended by the system-call filter (SIGSYS): it tried what "
			 "no VM needs");
	else if (sig)
		snprintf(reason, sizeof(reason), "its process was ended by signal %d", sig);
	else
		snprintf(reason, sizeof(reason), "its process exited with %d and without a word",
			 WEXITSTATUS(shell->status));
	e->metrics.killed++;
	vm_end_failed(e, r, reason);
}

/* ---- shells ---- */

static void collect(void *arg)
{
	struct engine *e = arg;

	e->collect_timer = 0;
	if (cgroups_collect(e->cgroups))
		e->collect_timer = loop_after(e->loop, 100000000, collect, e);
}

static void unlink_names(struct engine *e, const struct shell *shell)
{
	char name[SHELL_NAME_BYTES];

	shell_socket_name(shell->number, name);
	unlinkat(e->run_dir, name, 0);
	if (!shell->has_log)
		return;
	shell_log_name(shell->number, name);
	unlinkat(e->run_dir, name, 0);
}

static void status_error(const struct shell *shell, const char *why, struct err *err)
{
	int sig = WIFSIGNALED(shell->status) ? WTERMSIG(shell->status) : 0;

	if (why)
		err_set(err, 0, "%s", why);
	else if (sig)
		err_set(err, 0, "a shell was ended by signal %d while it was prepared", sig);
	else
		err_set(err, 0, "a shell exited with %d while it was prepared",
			WEXITSTATUS(shell->status));
}

void shell_gone(struct engine *e, struct shell *shell, const char *why)
{
	struct record *r = shell->record;
	struct err err;

	shell->ended = true;
	if (shell->state == SHELL_PREPARING) {
		status_error(shell, why, &err);
		pool_shell_failed(e, shell, &err, 0);
	} else if (shell->state == SHELL_READY) {
		pool_shell_lost(e, shell);
	} else if (r && r->start && !why) {
		/* It went before START reached it: another will do. */
		r->process = NULL;
		shell->record = NULL;
		start_find_shell(e, r);
	} else if (r && why) {
		e->metrics.killed++;
		vm_end_failed(e, r, why);
	} else if (r) {
		ended_by_status(e, r, shell);
	}
	shell_net_drop(shell);
	unlink_names(e, shell);
	if (shell->has_cgroup) {
		cgroups_remove(e->cgroups, shell->number);
		if (!e->collect_timer)
			e->collect_timer = loop_after(e->loop, 100000000, collect, e);
	}
	shells_remove(&e->shells, shell);
}

void shell_discard(struct engine *e, struct shell *shell)
{
	zygote_kill(e, shell, SIGKILL);
	/* One of the pool that is being prepared is missed when it has ended. */
	if (shell->state == SHELL_PREPARING && !shell->bound)
		return;
	if (shell->state == SHELL_PREPARING)
		e->bound_preparing--;
	if (shell->state == SHELL_READY)
		pool_shell_lost(e, shell);
	shells_set_state(&e->shells, shell, SHELL_LEAVING);
	pool_watch(e);
}

/* ---- records ---- */

void record_remove(struct engine *e, struct record *r)
{
	char name[SHELL_NAME_BYTES];

	if (r->removed)
		return;
	if (r->has_log) {
		shell_log_name(r->vm.shell, name);
		unlinkat(e->run_dir, name, 0);
	}
	event_tell(e, "remove", r, "");
	vms_remove(&e->vms, r);
}

int engine_remove(struct engine *e, struct vm *vm, bool force, struct err *err)
{
	struct record *r = record_of(vm);
	struct shell *shell = r->process;
	bool lives = vm->state != VM_EXITED && vm->state != VM_CREATED;

	if (r->removed)
		return 0;
	if (lives && !force) {
		err_set(err, 0, "VM %s is running; stop it, or remove it by force", vm->id);
		return ENGINE_CONFLICT;
	}
	record_hold(r);
	if (shell)
		shell_discard(e, shell);
	if (vm->state != VM_EXITED) {
		r->killed = true;
		vm_end(e, r,
		       &(struct vm_ended){
			       .end = END_SIGNAL,
			       .exit_code = 128 + SIGKILL,
			       .signal = SIGKILL,
			       .reason = lives ? "it was removed" : "it was removed unstarted",
		       });
	}
	record_remove(e, r);
	record_release(r);
	return 0;
}
