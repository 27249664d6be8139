/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine_net.c: net devices of a VM that starts: opened one after the other, by processes of
 * their own, before it gets a shell. START hands them on, and then they are the shell's alone.
 */
#include <errno.h>
#include <stdlib.h>

#include "engine_own.h"
#include "net_job.h"

static void is_open(void *arg, const struct net_handed *handed, int failure, const struct err *err)
{
	struct record *r = arg;
	struct start *s = r->start;
	struct vm_net_device *d = &r->vm.net->device[s->nnet];

	s->opening = NULL;
	if (failure) {
		start_failed(s->engine, r, failure, err);
		return;
	}
	s->net[s->nnet++] = *handed;
	d->opened = handed->wire.opened;
	d->config = handed->wire.config;
	d->is_open = true;
	start_open_net(s->engine, r);
}

void start_open_net(struct engine *e, struct record *r)
{
	struct vm_net *net = r->vm.net;
	struct start *s = r->start;
	struct err err = {0};

	if (!net || s->nnet == net->n) {
		start_find_shell(e, r);
		return;
	}
	if (!s->net)
		s->net = calloc(net->n, sizeof(*s->net));
	if (s->net)
		s->opening = net_job_start(e->loop, &net->device[s->nnet], is_open, r, &err);
	else
		err_set(&err, ENOMEM, "no memory for a VM's net devices");
	if (!s->opening)
		start_failed(e, r, ENGINE_BUSY, &err);
}
