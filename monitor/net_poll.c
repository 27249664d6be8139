/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net_poll.c: a thread that looks at the rings while the guest runs.
 *
 * A WAIT is an exit, and there is KVM where one takes 100 us, ten times what a request does. So
 * a guest whose waits are short is offered something else: this thread polls its TX rings (and
 * receives, where the kernel does not), and says so: noxs_net.awake is set, and NEED_WAKEUP is
 * gone from TX. Meanwhile the guest need not ring, and looks at its RX rings instead of waiting.
 * When nothing has moved for SPIN_NS, or the guest WAITs all the same, that is taken back; the
 * thread sleeps on the doorbells, and an idle VM costs nothing.
 *
 * While the guest is in a WAIT its rings are left to the run's thread, which does all there is
 * to do then.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "net_backend.h"

/*
 * About what an exit and two wake-ups take at worst: then waiting has cost at most twice as much
 * as it needed to.
 */
#define SPIN_NS     200000ull
#define SHORT_NS    (2 * SPIN_NS) /* a wait that it had better spun for: its end is waking up */
#define SOON_NS     1000000ull    /* after a doorbell the next: it has much to send */
#define LOOKS       20u           /* in vain, at least, before it stops */
#define MANY        4u            /* of them in a row, */
#define MOST        32u           /* more after each time that polling was in vain */
#define STACK_BYTES 32768

static struct {
	struct vm *vm;
	pthread_mutex_t lock; /* of all devices, and of asleep */
	pthread_t thread;
	int event; /* the doorbells ring it, and so do we */
	bool made, failed;
	bool asleep; /* the guest is in a WAIT */
	bool told;   /* it knows that we poll */
	atomic_bool on, stop;
	unsigned streak;
	atomic_uint need; /* of streak */
	uint64_t since_ns, rang_ns;
	uint32_t seen[NOXS_NET_MAX][2]; /* how far TX and RX were */
} polling = {.lock = PTHREAD_MUTEX_INITIALIZER, .event = -1, .need = MANY};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

void net_lock(void)
{
	if (polling.made)
		pthread_mutex_lock(&polling.lock);
}

void net_unlock(void)
{
	if (polling.made)
		pthread_mutex_unlock(&polling.lock);
}

bool net_polls(void)
{
	return polling.on;
}

/* Tells the guest that somebody polls, or does not. With the lock held. */
static void tell(bool polls)
{
	if (polling.told == polls)
		return;
	polling.told = polls;
	for (unsigned i = 0; i < net_count; i++) {
		struct noxs_net *page = (struct noxs_net *)net_devs[i].window;

		__atomic_store_n(net_devs[i].ring[NOXS_NET_TX].flags,
				 polls ? 0 : NOXS_NET_NEED_WAKEUP, __ATOMIC_RELAXED);
		__atomic_store_n(&page->awake, polls, __ATOMIC_RELAXED);
	}
	/* It sees that it is to ring, or we see what it has written before that. */
	atomic_thread_fence(memory_order_seq_cst);
}

/* Has anything been sent or received since the last look? */
static bool moved(void)
{
	bool is = false;

	for (unsigned i = 0; i < net_count; i++) {
		const struct net_ring *ring = net_devs[i].ring;
		uint32_t tx = __atomic_load_n(ring[NOXS_NET_TX].consumer, __ATOMIC_RELAXED);
		uint32_t rx = __atomic_load_n(ring[NOXS_NET_RX].producer, __ATOMIC_RELAXED);

		is |= tx != polling.seen[i][0] || rx != polling.seen[i][1];
		polling.seen[i][0] = tx;
		polling.seen[i][1] = rx;
	}
	return is;
}

/* While the guest is in a WAIT its rings are the other thread's: then false. */
static bool serve_if_awake(bool polls)
{
	bool awake;

	pthread_mutex_lock(&polling.lock);
	awake = !polling.asleep;
	if (awake) {
		/* Each time: it is told when we do run, not when we are about to. */
		tell(polls);
		net_serve_all();
	}
	pthread_mutex_unlock(&polling.lock);
	return awake;
}

static void poll_rings(void)
{
	uint64_t last = now_ns(), now = last;
	unsigned moves = 0, empty = 0, asleep = 0;

	polling.on = true;
	/* Time alone does not tell: somebody else may have had the CPU. One that only runs while
	 * the guest sleeps has its CPU: woken again, it may get another. */
	while (!polling.stop && asleep < LOOKS && (now - last < SPIN_NS || empty < LOOKS)) {
		asleep = serve_if_awake(true) ? 0 : asleep + 1;
		now = now_ns();
		if (moved() && !asleep) {
			last = now;
			moves++;
			empty = 0;
		} else {
			empty++;
			sched_yield();
		}
	}
	if (moves > 2 * MANY)
		polling.need = MANY;
	else if (!asleep && polling.need < MOST)
		polling.need *= 2;
	polling.on = false;
	serve_if_awake(false); /* also what came before it saw that */
}

static void *run_thread(void *unused)
{
	uint64_t count;

	(void)unused;
	while (!polling.stop) {
		if (read(polling.event, &count, sizeof(count)) == sizeof(count) && !polling.stop)
			poll_rings();
	}
	return NULL;
}

static bool start_thread(void)
{
	static char stack[STACK_BYTES] __attribute__((aligned(64)));
	sigset_t all, old;
	pthread_attr_t attr;
	int ret;

	pthread_attr_init(&attr);
	pthread_attr_setstack(&attr, stack, sizeof(stack));
	/* Signals are to end KVM_RUN: they are the other thread's. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	ret = pthread_create(&polling.thread, &attr, run_thread, NULL);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attr);
	return !ret;
}

/* Thread, eventfd and doorbells, once. Without it all stays as it is. */
static bool make(void)
{
	if (polling.made || polling.failed)
		return polling.made;
	polling.failed = true;
	polling.event = eventfd(0, EFD_CLOEXEC);
	if (polling.event < 0)
		return false;
	/* Doorbells that could not be bound are exits, as before. */
	for (unsigned i = 0; i < net_count * NOXS_NET_NQUEUES; i++)
		if (vm_bind_doorbell(polling.vm, NOXS_NET_SLOT(0) + i, polling.event))
			break;
	polling.made = true; /* before there is somebody to keep out */
	if (start_thread())
		polling.failed = false;
	polling.made = !polling.failed;
	return polling.made;
}

void net_poll_prepare(struct vm *vm)
{
	cpu_set_t cpus;

	polling.vm = vm;
	/* One that spins takes from the other what it waits for. */
	if (!sched_getaffinity(0, sizeof(cpus), &cpus) && CPU_COUNT(&cpus) < 2)
		polling.failed = true;
}

void net_poll_sleep(void)
{
	if (polling.asleep)
		return;
	polling.asleep = true;
	polling.since_ns = now_ns();
	/* Nothing came, or the thread has lost its CPU: whatever it is, waits are waits again. */
	if (polling.made)
		tell(false);
}

/* An exit that polling would have saved, or not. */
static void count(bool saved)
{
	const uint64_t one = 1;

	polling.streak = saved ? polling.streak + 1 : polling.streak / 2;
	if (polling.streak < polling.need || polling.on || !make())
		return;
	polling.streak = 0;
	if (write(polling.event, &one, sizeof(one)) < 0)
		polling.need = MOST;
}

void net_poll_woken(void)
{
	uint64_t slept = 0;

	net_lock();
	if (polling.asleep)
		slept = now_ns() - polling.since_ns;
	polling.asleep = false;
	net_unlock();
	count(slept < SHORT_NS);
}

void net_poll_rang(void)
{
	uint64_t now = now_ns(), since = now - polling.rang_ns;

	polling.rang_ns = now;
	count(since < SOON_NS);
}

void net_poll_stop(void)
{
	const uint64_t one = 1;

	if (!polling.made)
		return;
	polling.stop = true;
	if (write(polling.event, &one, sizeof(one)) == sizeof(one))
		pthread_join(polling.thread, NULL);
	close(polling.event);
	polling.made = polling.stop = false;
	polling.streak = 0;
	polling.need = MANY;
}
