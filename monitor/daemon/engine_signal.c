/* SPDX-License-Identifier: Apache-2.0 */
/* engine_signal.c: kill and stop. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "engine_own.h"

/* Before its program runs there is nobody to handle a signal: it just does not start. */
static void end_unstarted(struct engine *e, struct record *r, int signal)
{
	struct shell *shell = r->process;

	if (shell)
		shell_discard(e, shell);
	vm_end(e, r,
	       &(struct vm_ended){.end = END_SIGNAL, .exit_code = 128 + signal, .signal = signal});
}

/* The zygote does it: as the parent it cannot hit another process. */
static void kill_process(struct engine *e, struct record *r)
{
	r->killed = true;
	if (r->process)
		zygote_kill(e, r->process, SIGKILL);
}

/* signal(7): "Ign" and "Cont" are no reason for a program not to start. */
static bool ends_by_default(int signal)
{
	return signal != SIGCHLD && signal != SIGCONT && signal != SIGURG && signal != SIGWINCH;
}

static int send_signal(const struct record *r, int signal, struct err *err)
{
	int ret = control_send(r->vm.shell, SHELL_SIGNAL, (uint64_t)signal, NULL, 0, err);

	if (!ret)
		return 0;
	return ret == -ESRCH ? ENGINE_CONFLICT : ENGINE_BUSY;
}

static void tell_kill(struct engine *e, const struct record *r, int signal)
{
	const char *name = sigabbrev_np(signal);
	char detail[24];

	if (name)
		snprintf(detail, sizeof(detail), "SIG%s", name);
	else
		snprintf(detail, sizeof(detail), "%d", signal);
	event_tell(e, "kill", r, detail);
}

int engine_kill(struct engine *e, struct vm *vm, int signal, struct err *err)
{
	struct record *r = record_of(vm);
	int ret = 0;

	if (signal < 1 || signal > 64) {
		err_set(err, 0, "there is no signal %d", signal);
		return ENGINE_BAD;
	}
	if (vm->state == VM_STARTING) {
		tell_kill(e, r, signal);
		if (ends_by_default(signal))
			end_unstarted(e, r, signal);
		return 0;
	}
	ret = vm_must_run(r, err);
	if (!ret && signal != SIGKILL)
		ret = send_signal(r, signal, err);
	if (ret)
		return ret;
	if (signal == SIGKILL)
		kill_process(e, r);
	tell_kill(e, r, signal);
	return 0;
}

static void grace_is_over(void *arg)
{
	struct record *r = arg;

	r->stop_timer = 0;
	kill_process(r->engine, r);
}

void stop_cancel(struct engine *e, struct record *r)
{
	loop_cancel(e->loop, r->stop_timer);
	r->stop_timer = 0;
}

int engine_stop(struct engine *e, struct vm *vm, unsigned grace_ms, struct err *err)
{
	struct record *r = record_of(vm);
	struct err ignored;
	int ret;

	if (vm->state == VM_STARTING) {
		event_tell(e, "stop", r, "");
		end_unstarted(e, r, SIGTERM);
		return 0;
	}
	ret = vm_must_run(r, err);
	if (ret)
		return ret;
	vm->stopping = true;
	stop_cancel(e, r);
	r->engine = e;
	/* One that does not even take the message is ended when its time is up. */
	if (grace_ms && send_signal(r, SIGTERM, &ignored) != ENGINE_CONFLICT)
		r->stop_timer = loop_after(e->loop, grace_ms * 1000000ull, grace_is_over, r);
	if (!r->stop_timer)
		kill_process(e, r);
	event_tell(e, "stop", r, "");
	return 0;
}
