/* SPDX-License-Identifier: Apache-2.0 */
/* api_vms.c: listing, inspecting and removing VMs. */
#include <string.h>

#include "api.h"
#include "vm_net.h"

/* ---- GET /v1/vms ---- */

struct filter {
	bool all;
	uint32_t states;   /* bits by enum vm_state; 0: any that all allows */
	const char *wrong; /* a state that there is not */
	const char *name;
	const struct vm *vm; /* that is looked at */
	bool fits;
};

static bool read_states(void *arg, const char *name, const char *value)
{
	struct filter *f = arg;
	int state;

	if (strcmp(name, "state"))
		return true;
	state = vm_state_parse(value);
	if (state < 0) {
		f->wrong = value;
		return false;
	}
	f->states |= 1u << state;
	return true;
}

/* wanted is KEY or KEY=VALUE. A key with = in it is not found so. */
static bool has_label(const struct vm *vm, const char *wanted)
{
	size_t key = strcspn(wanted, "=");

	for (uint32_t i = 0; i < vm->nlabels; i++) {
		const struct label *l = &vm->labels[i];

		if (!strncmp(l->key, wanted, key) && !l->key[key] &&
		    (!wanted[key] || !strcmp(l->value, wanted + key + 1)))
			return true;
	}
	return false;
}

static bool check_label(void *arg, const char *name, const char *value)
{
	struct filter *f = arg;

	f->fits = strcmp(name, "label") || has_label(f->vm, value);
	return f->fits;
}

static bool is_listed(struct request *r, struct filter *f)
{
	const struct vm *vm = f->vm;
	uint32_t states = f->states;

	if (!states)
		states = f->all ? ~0u : 1u << VM_STARTING | 1u << VM_RUNNING | 1u << VM_PAUSED;
	if (!(states & 1u << vm->state) || (f->name && (!vm->name || strcmp(f->name, vm->name))))
		return false;
	f->fits = true;
	query_each(r, check_label, f);
	return f->fits;
}

void api_list(struct request *r)
{
	struct filter f = {.name = query(r, "name")};
	struct out o = {0};

	if (!query_bool(r, "all", &f.all))
		return;
	query_each(r, read_states, &f);
	if (f.wrong) {
		reply_errorf(r, ENGINE_BAD,
			     "there is no state '%.64s'; a VM is created, starting, running, "
			     "paused or exited",
			     f.wrong);
		return;
	}
	out_open(&o, NULL, '{');
	out_open(&o, "vms", '[');
	for (struct vm *vm = engine_next(r->engine, NULL); vm; vm = engine_next(r->engine, vm)) {
		f.vm = vm;
		if (is_listed(r, &f))
			out_vm(&o, NULL, vm);
	}
	out_close(&o, ']');
	out_close(&o, '}');
	reply_json(r, 200, &o);
}

/* ---- one VM ---- */

/* What addresses were given to it by others only itself can tell, so it is asked; if it does not
 * answer, what was known before will do. */
static void asked(void *arg, struct vm *vm, int failure, const struct err *err)
{
	struct request *r = arg;

	(void)failure;
	(void)err;
	if (request_release(r))
		reply_vm(r, 200, vm);
}

void api_inspect(struct request *r)
{
	struct vm *vm = request_vm(r);
	struct err err = {0};

	if (!vm)
		return;
	request_hold(r);
	if ((!vm_net_is_given(vm->net) || engine_stats(r->engine, vm, asked, r, &err)) &&
	    request_release(r))
		reply_vm(r, 200, vm);
}

void api_remove(struct request *r)
{
	struct out nothing = {0};
	struct err err = {0};
	bool force = false;
	struct vm *vm;
	int failure;

	if (!query_bool(r, "force", &force))
		return;
	vm = request_vm(r);
	if (!vm)
		return;
	failure = engine_remove(r->engine, vm, force, &err);
	if (failure)
		reply_error(r, failure, &err);
	else
		reply(r, 204, NULL, &nothing);
}
