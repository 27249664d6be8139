/* SPDX-License-Identifier: Apache-2.0 */
/* engine.c: the engine's life, its list of VMs; see engine.h, and engine_own.h for the parts. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

#include "../../noxs/noxs.h"
#include "engine_own.h"
#include "vm_spec.h"

#define LOCK_TRIES 1000         /* of 10 ms */
#define MIN_MEMORY (4ull << 20) /* the library kernel, the rings, a page or two of a program */

/* ---- options ---- */

static int copy_options(struct engine *e, const struct engine_options *o, struct err *err)
{
	struct engine_options *mine = &e->options;

	*mine = *o;
	mine->run_dir = strdup(o->run_dir);
	mine->root = o->root ? strdup(o->root) : NULL;
	mine->cgroup = o->cgroup ? strdup(o->cgroup) : NULL;
	mine->memory_bytes = (o->memory_bytes + NOXS_PAGE - 1) & ~(uint64_t)(NOXS_PAGE - 1);
	if (!mine->run_dir || (o->root && !mine->root) || (o->cgroup && !mine->cgroup))
		return err_set(err, ENOMEM, "no memory for the options");
	return engine_check_memory(mine->memory_bytes, err) ? -EINVAL : 0;
}

static void free_options(struct engine *e)
{
	free((char *)e->options.run_dir);
	free((char *)e->options.root);
	free((char *)e->options.cgroup);
}

int engine_check_memory(uint64_t bytes, struct err *err)
{
	static uint64_t host; /* asked once: a start pays for it */

	if (!host)
		host = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
	if (bytes >= MIN_MEMORY && bytes <= host)
		return 0;
	err_set(err, 0, "a VM has %llu MiB of memory at least, and at most the machine's %llu MiB",
		MIN_MEMORY >> 20, (unsigned long long)host >> 20);
	return ENGINE_BAD;
}

/* ---- opening, closing ---- */

static void image_was_prepared(void *arg, const char *path)
{
	event_tell(arg, "image", NULL, path);
}

static int open_cgroups(struct engine *e, struct err *err)
{
	const char *missing;

	if (!e->options.cgroup)
		return 0;
	e->cgroups = cgroups_open(e->options.cgroup, err);
	if (!e->cgroups)
		return -EIO;
	missing = cgroups_missing(e->cgroups);
	if (missing)
		fprintf(stderr, "mayfly daemon: cgroups: %s\n", missing);
	return 0;
}

/*
 * The zygote gets this very descriptor, and the lock goes with the last that has it: a daemon
 * that was killed leaves a zygote for a moment, whose shells still make sockets and logs.
 */
static int open_run_dir(struct engine *e, const char *path, struct err *err)
{
	e->run_dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (e->run_dir < 0)
		return err_set(err, errno, "cannot open the run directory %s", path);
	for (int i = 0; flock(e->run_dir, LOCK_EX | LOCK_NB); i++) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return err_set(err, errno, "cannot lock the run directory %s", path);
		if (i == LOCK_TRIES)
			return err_set(err, 0,
				       "the zygote of an earlier daemon is still in the run "
				       "directory %s; end it (mayfly zygote), and try again",
				       path);
		nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
	}
	return 0;
}

/* In this order: what a later one needs is there, and the zygote comes last. */
static int open_parts(struct engine *e, struct err *err)
{
	int ret;

	if ((ret = vms_init(&e->vms, err)) ||
	    (ret = shells_init(&e->shells, e->options.uid_first, e->options.uid_count, err)) ||
	    (ret = events_open(e, err)) || (ret = news_open(e, err)) ||
	    (ret = control_open(&e->control, err)) || (ret = open_cgroups(e, err)))
		return ret;
	e->images = images_open(e->loop, e->options.run_dir, e->run_dir, e->options.root,
				image_was_prepared, e, err);
	if (!e->images)
		return -EIO;
	ret = pool_open(e, err);
	return ret ? ret : zygote_open(e, err);
}

struct engine *engine_open(struct loop *loop, const struct engine_options *options, struct err *err)
{
	struct engine *e = calloc(1, sizeof(*e));

	if (!e) {
		err_set(err, ENOMEM, "no memory for the engine");
		return NULL;
	}
	e->loop = loop;
	e->control.socket = -1;
	list_init(&e->listening);
	list_init(&e->vms.order);
	list_init(&e->zygote.kills);
	e->zygote.process.link = e->zygote.process.news = e->zygote.process.pidfd = -1;
	tsc_init(&e->tsc);
	e->metrics.started_ns = real_now_ns();
	if (!open_run_dir(e, options->run_dir, err) && !copy_options(e, options, err) &&
	    !open_parts(e, err))
		return e;
	engine_close(e);
	return NULL;
}

static void end_vms(struct engine *e)
{
	struct record *r = vms_next(&e->vms, NULL);

	while (r) {
		if (r->vm.state != VM_EXITED && r->vm.state != VM_CREATED) {
			vm_end_failed(e, r, "the daemon was ended");
			/* Whoever was told may have removed others. */
			r = vms_next(&e->vms, NULL);
		} else {
			r = vms_next(&e->vms, r);
		}
	}
}

/* With their logs: nobody can ask for them any more. */
static void remove_vms(struct engine *e)
{
	struct record *r;

	while ((r = vms_next(&e->vms, NULL)))
		record_remove(e, r);
}

void engine_end_all(struct engine *e, void (*done)(void *arg), void *arg)
{
	e->ending = true;
	e->ended = done;
	e->ended_arg = arg;
	zygote_end(e);
	end_vms(e);
	if (!e->zygote.process.pid)
		done(arg);
}

void engine_close(struct engine *e)
{
	e->ending = true;
	e->ended = NULL;
	zygote_close(e);
	if (e->images)
		images_close(e->images);
	if (e->vms.by_id.bucket) {
		end_vms(e);
		remove_vms(e);
		vms_free(&e->vms);
	}
	pool_close(e);
	if (e->shells.by_number.bucket)
		shells_free(&e->shells);
	if (e->cgroups) {
		loop_cancel(e->loop, e->collect_timer);
		cgroups_close(e->cgroups);
	}
	control_close(&e->control);
	news_close(e);
	events_close(e);
	slots_free(&e->waiters);
	if (e->run_dir >= 0)
		close(e->run_dir);
	free_options(e);
	free(e);
}

/* ---- VMs ---- */

static int check_limits(const struct engine *e, const struct vm_spec *spec, struct err *err)
{
	const struct cgroup_limits limits = {spec->memory_max_bytes, spec->pids_max,
					     spec->cpu_weight, spec->cpu_max_milli};
	int ret;

	if (!limits.memory_max_bytes && !limits.pids_max && !limits.cpu_weight &&
	    !limits.cpu_max_milli)
		return 0;
	if (e->cgroups)
		ret = cgroups_check(e->cgroups, &limits, err);
	else
		ret = err_set(err, ENOTSUP,
			      "limits need cgroups, and the daemon runs without "
			      "(--cgroup)");
	return ret ? ENGINE_BAD : 0;
}

int engine_create(struct engine *e, const struct vm_spec *spec, struct vm **vm, struct err *err)
{
	uint64_t memory = spec->memory_bytes ? spec->memory_bytes : e->options.memory_bytes;
	struct record *r;
	int ret;

	memory = (memory + NOXS_PAGE - 1) & ~(uint64_t)(NOXS_PAGE - 1);
	ret = engine_check_memory(memory, err);
	if (!ret)
		ret = check_limits(e, spec, err);
	if (ret) {
		vm_spec_close(spec);
		return ret;
	}
	ret = vms_create(&e->vms, spec, memory, &r, err);
	if (ret)
		return ret;
	r->engine = e;
	if (!r->vm.parsed_tsc)
		r->vm.parsed_tsc = __rdtsc();
	if (r->captures && !r->capture_bytes)
		r->capture_bytes = e->options.capture_bytes;
	if (!r->captures && !(r->start->flags & START_FDS))
		r->start->log_bytes = e->options.log_bytes;
	event_tell(e, "create", r, r->vm.image);
	*vm = &r->vm;
	return 0;
}

struct vm *engine_find(struct engine *e, const char *id_or_name)
{
	struct record *r = vms_find(&e->vms, id_or_name);

	return r ? &r->vm : NULL;
}

struct vm *engine_next(struct engine *e, struct vm *vm)
{
	struct record *r = vms_next(&e->vms, vm ? record_of(vm) : NULL);

	return r ? &r->vm : NULL;
}

int engine_open_log(struct engine *e, const struct vm *vm)
{
	const struct record *r = vm->private;
	char name[SHELL_NAME_BYTES];

	if (!r->has_log)
		return -1;
	shell_log_name(vm->shell, name);
	return openat(e->run_dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
}
