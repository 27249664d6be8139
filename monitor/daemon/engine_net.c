/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine_net.c: net devices, opened one after the other, by processes of their own.
 *
 *   for a VM that starts   before it gets a shell; START hands them on, but for sockets that are
 *                          still to be bound (NET_OPENED_BIND, before Linux 6.4): a shell in its
 *                          jail cannot, so it is made for this VM, and SPAWN hands them on
 *   for a shell of a flavour that has some   before it is made; SPAWN hands them on, and
 *                                            START only tells who the VM is
 *
 * Then they are the shell's alone.
 */
#include <errno.h>
#include <stdlib.h>

#include "engine_own.h"
#include "net_job.h"

/* ---- for a start ---- */

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
	s->spawn_net |= (handed->wire.opened.flags & NET_OPENED_BIND) != 0;
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

	if (!net || s->nnet == net->n || start_flavour(e, r) >= 0) {
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

/* ---- for a shell ---- */

struct shell_net {
	struct engine *engine;
	struct shell *shell;
	struct vm_net *net;
	struct net_job *opening;
	unsigned n; /* that are open */
	struct net_handed handed[NOXS_NET_MAX];
};

static void open_next(struct shell_net *n, struct err *err);

static void shell_is_open(void *arg, const struct net_handed *handed, int failure,
			  const struct err *why)
{
	struct shell_net *n = arg;
	struct engine *e = n->engine;
	struct shell *shell = n->shell;
	struct err err = {0};

	n->opening = NULL;
	if (!failure) {
		n->handed[n->n++] = *handed;
		if (n->n == n->net->n) {
			pool_spawn(e, shell);
			return;
		}
		open_next(n, &err);
		if (n->opening)
			return;
		why = &err;
	}
	pool_shell_failed(e, shell, why, 0);
	shell_gone(e, shell, NULL);
}

static void open_next(struct shell_net *n, struct err *err)
{
	n->opening = net_job_start(n->engine->loop, &n->net->device[n->n], shell_is_open, n, err);
}

int shell_open_net(struct engine *e, struct shell *shell, const char *key, struct err *err)
{
	struct shell_net *n = calloc(1, sizeof(*n));

	if (!n)
		return err_set(err, ENOMEM, "no memory for a shell's net devices");
	n->engine = e;
	n->shell = shell;
	shell->net = n;
	if (vm_net_of_flavour(key, &n->net, err))
		return -EINVAL;
	open_next(n, err);
	return n->opening ? 0 : -EBUSY;
}

unsigned shell_net_handed(const struct shell *shell, const struct net_handed **handed)
{
	const struct record *r = shell->bound ? shell->record : NULL;

	*handed = NULL;
	if (shell->net) {
		*handed = shell->net->handed;
		return shell->net->n;
	}
	if (!r || !r->start || !r->start->spawn_net)
		return 0;
	*handed = r->start->net;
	return r->start->nnet;
}

const char *shell_net_key(const struct shell *shell)
{
	return shell->net ? shell->net->net->key : "";
}

void shell_net_sent(struct shell *shell)
{
	const struct net_handed *handed;
	unsigned n = shell_net_handed(shell, &handed);

	for (unsigned i = 0; i < n; i++) {
		net_handed_close(&handed[i]);
		((struct net_handed *)handed)[i].wire.prepared = 1;
	}
}

void shell_net_drop(struct shell *shell)
{
	struct shell_net *n = shell->net;

	if (!n)
		return;
	shell->net = NULL;
	if (n->opening)
		net_job_cancel(n->opening);
	for (unsigned i = 0; i < n->n; i++)
		net_handed_close(&n->handed[i]);
	free(n->net);
	free(n);
}

int start_take_net(struct record *r, const struct shell *shell)
{
	const struct net_handed *handed;
	struct start *s = r->start;
	unsigned n = shell_net_handed(shell, &handed);

	if (!n || s->spawn_net)
		return 0;
	if (!s->net)
		s->net = calloc(n, sizeof(*s->net));
	if (!s->net)
		return -ENOMEM;
	for (s->nnet = 0; s->nnet < n; s->nnet++) {
		s->net[s->nnet] = handed[s->nnet];
		vm_net_take(&r->vm.net->device[s->nnet], &s->net[s->nnet].wire);
	}
	return 0;
}
