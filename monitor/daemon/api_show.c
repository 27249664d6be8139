/* SPDX-License-Identifier: Apache-2.0 */
/* api_show.c: the engine's things as JSON. The schemas with the same names are in openapi.yaml. */
#include <string.h>
#include <time.h>

#include "api.h"

static const char *const states[] = {
	[VM_CREATED] = "created", [VM_STARTING] = "starting", [VM_RUNNING] = "running",
	[VM_PAUSED] = "paused",   [VM_EXITED] = "exited",
};

static const char *const ends[] = {
	[0] = "",
	[END_EXITED] = "exited",
	[END_CRASHED] = "crashed",
	[END_TIMEOUT] = "timeout",
	[END_SIGNAL] = "signal",
	[END_FAILED] = "failed",
};

const char *vm_state_name(unsigned state)
{
	return states[state];
}

int vm_state_parse(const char *name)
{
	for (int i = 0; i <= VM_EXITED; i++)
		if (!strcmp(states[i], name))
			return i;
	return -1;
}

const char *end_name(unsigned end)
{
	return ends[end];
}

static void timing(struct out *o, const struct vm *vm)
{
	out_open(o, "timing", '{');
	out_uint(o, "queue_us", vm->queue_us);
	out_uint(o, "boot_us", vm->boot_us);
	out_uint(o, "run_us", vm->run_us);
	out_close(o, '}');
}

static void how_it_ended(struct out *o, const struct vm *vm)
{
	out_int(o, "exit_code", vm->exit_code);
	out_string(o, "end", ends[vm->end]);
	out_int(o, "signal", vm->signal);
	out_string(o, "reason", vm->reason);
	timing(o, vm);
}

static void labels(struct out *o, const struct vm *vm)
{
	out_open(o, "labels", '{');
	for (uint32_t i = 0; i < vm->nlabels; i++)
		out_pair(o, vm->labels[i].key, vm->labels[i].value);
	out_close(o, '}');
}

void out_vm(struct out *o, const char *key, const struct vm *vm)
{
	out_open(o, key, '{');
	out_string(o, "id", vm->id);
	out_string(o, "name", vm->name);
	out_string(o, "image", vm->image);
	out_string(o, "command", vm->args);
	out_string(o, "state", states[vm->state]);
	labels(o, vm);
	out_mib(o, "memory_mib", vm->memory_bytes);
	out_uint(o, "timeout_ms", vm->timeout_ns / 1000000);
	out_bool(o, "rm", vm->remove);
	out_time(o, "created_at", vm->created_ns);
	if (vm->started_ns) {
		out_time(o, "started_at", vm->started_ns);
		out_string(o, "path", vm->warm ? "warm" : "cold");
	}
	if (vm->pid)
		out_int(o, "pid", vm->pid);
	out_net(o, vm);
	if (vm->state == VM_EXITED) {
		out_time(o, "ended_at", vm->ended_ns);
		how_it_ended(o, vm);
	} else if (vm->started_ns) {
		timing(o, vm);
	}
	out_close(o, '}');
}

void out_exit(struct out *o, const struct vm *vm)
{
	out_open(o, NULL, '{');
	out_string(o, "id", vm->id);
	how_it_ended(o, vm);
	out_close(o, '}');
}

void out_run_result(struct out *o, const struct vm *vm)
{
	static const char *const names[][3] = {
		{"stdout", "stdout_base64", "stdout_truncated"},
		{"stderr", "stderr_base64", "stderr_truncated"},
	};

	out_open(o, NULL, '{');
	out_string(o, "id", vm->id);
	how_it_ended(o, vm);
	for (int i = 0; i < 2; i++) {
		const char *text = vm->out[i] ? vm->out[i] : "";
		size_t bytes = vm->out[i] ? vm->out_bytes[i] : 0;

		if (utf8_prefix(text, bytes) == bytes)
			out_text(o, names[i][0], text, bytes);
		else
			out_base64(o, names[i][1], text, bytes);
		/* Bit 1 and bit 2: wire.h, struct news_exit. */
		out_bool(o, names[i][2], vm->truncated & 2u << i);
	}
	out_close(o, '}');
}

void out_stats(struct out *o, const struct vm *vm)
{
	const struct news_counters *c = &vm->counters;
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	out_open(o, NULL, '{');
	out_string(o, "id", vm->id);
	out_time(o, "time", now.tv_sec * 1000000000ll + now.tv_nsec);
	out_string(o, "state", states[vm->state]);
	out_mib(o, "memory_mib", vm->memory_bytes);
	out_uint(o, "exits", c->exits);
	out_uint(o, "waits", c->waits);
	out_uint(o, "kicks", c->kicks);
	out_uint(o, "ioctls", c->ioctls);
	out_uint(o, "syscalls", c->syscalls);
	out_uint(o, "faults", c->faults);
	out_uint(o, "stdout_bytes", c->stdout_bytes);
	out_uint(o, "stderr_bytes", c->stderr_bytes);
	out_uint(o, "stdin_bytes", c->stdin_bytes);
	out_uint(o, "lost_bytes", c->lost_bytes);
	out_uint(o, "resident_bytes", c->resident_bytes);
	out_uint(o, "run_ns", c->run_ns);
	out_net_stats(o, vm->net);
	out_close(o, '}');
}

void out_event(struct out *o, const struct event *event)
{
	out_open(o, NULL, '{');
	out_uint(o, "number", event->number);
	out_time(o, "time", event->real_ns);
	out_string(o, "type", event->type);
	out_string(o, "id", event->id);
	out_string(o, "name", event->name);
	out_string(o, "detail", event->detail);
	out_close(o, '}');
	out_add(o, "\n", 1);
}
