/* SPDX-License-Identifier: Apache-2.0 */
/* doorbell.c: see doorbell.h. */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include <linux/kvm.h>

#include "doorbell.h"

/* After each wake-up the thread lets output gather for so long: a guest that prints or rings
 * all the time costs the host a thousand wake-ups a second, whatever it does. */
#define GATHER_MS 1
#define RETRY_MS  4       /* a sink that took nothing */
#define OFTEN_NS  4000000 /* a ring that soon after the one before is one of many */
#define PATIENCE  50      /* ms, for the thread to finish what it has in hand */

static struct {
	struct console *console;
	int event; /* the slots ring it, and so does doorbell_stop */
	bool on, failed, bound;
	bool made; /* thread has been, and is to be joined before there is another */
	pthread_t thread;
	atomic_bool stop;
	_Atomic uint64_t rung;
	bool asked; /* the guest to ring */
	bool often; /* it rang twice in a short time, and has not been asked again */
	int64_t rang_ns;
} bell;

static void pause_ms(int ms)
{
	poll(NULL, 0, ms);
}

/* Sleeps until the guest rings, or what could not be passed on may be. */
static void sleep_for_ring(void)
{
	const struct console *c = bell.console;
	struct pollfd p[NOXS_NSTREAMS] = {{.fd = bell.event, .events = POLLIN}};
	bool pending = console_pending(c);
	uint64_t count;

	for (int s = NOXS_STDOUT; s < NOXS_NSTREAMS; s++)
		p[s] = (struct pollfd){
			.fd = pending && !c->put && console_holds(c, s) ? c->fd[s] : -1,
			.events = POLLOUT,
		};
	poll(p, NOXS_NSTREAMS, pending && c->put ? RETRY_MS : -1);
	if (read(bell.event, &count, sizeof(count)) == sizeof(count))
		bell.rung += count;
}

static void *pass_output_on(void *unused)
{
	struct err ignored; /* a guest that breaks its console: the run's thread finds it, too */

	(void)unused;
	while (!bell.stop) {
		/* Asked first, then looked: what is written in between rings. */
		console_ask(bell.console);
		if (console_drain_aside(bell.console, &ignored) < 0)
			break;
		sleep_for_ring();
		if (bell.stop || console_drain_aside(bell.console, &ignored) < 0)
			break;
		pause_ms(GATHER_MS);
	}
	return NULL;
}

static bool start_thread(void)
{
	/* Of our own, so that it takes no mapping to have it. */
	static char stack[32768] __attribute__((aligned(64)));
	sigset_t all, old;
	pthread_attr_t attr;
	int ret;

	pthread_attr_init(&attr);
	pthread_attr_setstack(&attr, stack, sizeof(stack));
	/* Signals are to end KVM_RUN: they are the other thread's. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	ret = pthread_create(&bell.thread, &attr, pass_output_on, NULL);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attr);
	return !ret;
}

static bool bind_slot(struct vm *vm, unsigned slot, bool on)
{
	struct kvm_ioeventfd bind = {
		.addr = NOXS_GPA_DOORBELL + slot * 8,
		.len = 8,
		.fd = bell.event,
		.flags = on ? 0 : KVM_IOEVENTFD_FLAG_DEASSIGN,
	};

	return vm_ioctl(vm, vm->fd, KVM_IOEVENTFD, (unsigned long)&bind) >= 0;
}

static void unbind_queues(struct vm *vm)
{
	for (unsigned s = NOXS_STDOUT; s <= NOXS_STDERR; s++)
		bind_slot(vm, DEVICE_CONSOLE_SLOT + s, false);
	close(bell.event);
	bell.bound = false;
}

/* Both output queues ring one eventfd. What is bound stays so: it goes with the VM. */
static bool bind_queues(struct vm *vm)
{
	const unsigned out = DEVICE_CONSOLE_SLOT + NOXS_STDOUT;

	if (bell.bound)
		return true;
	bell.event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (bell.event < 0)
		return false;
	if (bind_slot(vm, out, true)) {
		bell.bound = bind_slot(vm, out + 1, true);
		if (bell.bound)
			return true;
		bind_slot(vm, out, false);
	}
	close(bell.event);
	return false;
}

bool doorbell_start(struct vm *vm, struct console *console)
{
	if (bell.on || bell.failed)
		return bell.on;
	if (bell.made)
		pthread_join(bell.thread, NULL);
	bell.made = false;
	bell.console = console;
	bell.stop = false;
	bell.on = bind_queues(vm);
	if (bell.on && !start_thread()) {
		unbind_queues(vm); /* rung as exits they are at least heard */
		bell.on = false;
	}
	bell.made = bell.on;
	bell.failed = !bell.on;
	return bell.on;
}
_Static_assert(NOXS_STDERR == NOXS_STDOUT + 1, "two slots in a row");

bool doorbell_is_on(void)
{
	return bell.on;
}

bool doorbell_tick(struct vm *vm, struct console *console, bool moved)
{
	/* It rang, rang again soon, and has written more since: a thread is worth it. */
	if (bell.on || (bell.often && moved && doorbell_start(vm, console)))
		bell.asked = true;
	else if (!bell.asked || bell.often)
		bell.asked = console_ask(console);
	bell.often = false;
	return bell.asked;
}

int doorbell_rang(struct console *console, struct err *err)
{
	struct timespec t;
	int64_t now, since;
	int moved = console_drain(console, err);

	if (moved < 0)
		return moved;
	clock_gettime(CLOCK_MONOTONIC, &t);
	now = t.tv_sec * 1000000000ll + t.tv_nsec;
	since = now - bell.rang_ns;
	bell.rang_ns = now;
	bell.rung++;
	if (bell.on) /* it was on its way when the slot was bound */
		return 0;
	if (since >= OFTEN_NS) {
		console_ask(console);
		return 0;
	}
	if (bell.often)
		return 0; /* nobody asked for that one */
	bell.often = true;
	return 1;
}

void doorbell_stop(void)
{
	const uint64_t one = 1;

	bell.asked = bell.often = false;
	bell.rang_ns = 0;
	if (!bell.on)
		return;
	bell.stop = true;
	bell.on = false;
	if (write(bell.event, &one, sizeof(one)) < 0)
		return;
	/* Who has the console's output for good keeps the thread from it. */
	for (int i = 0; i < PATIENCE; i++) {
		if (console_close(bell.console))
			return;
		pause_ms(1);
	}
	bell.failed = true; /* nobody can wait for it: there is no second one */
}

uint64_t doorbell_rung(void)
{
	return bell.rung;
}
