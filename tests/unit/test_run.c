/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_run.c: the run loop against guests that keep the rules and guests that do not. KVM is
 * played here: each KVM_RUN calls the test's guest, which computes, rings, or whatever it
 * likes. Suspend is what this is mostly about; what needs a CPU is tested with real ones.
 */
/* clang-format off */
/* sources: monitor/run.c monitor/vcpu.c monitor/kick.c monitor/power.c monitor/console.c monitor/device.c monitor/doorbell.c monitor/x86_machine.c monitor/err.c */
/* clang-format on */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <linux/kvm.h>

#include "../../monitor/net.h"
#include "../../monitor/run.h"

#define MS 1000000ull

static struct noxs_control control;
static struct noxs_page page;
static struct noxs_kernel kernel = {
	.rodata_off = 0x16000,
	.entry = NOXS_GVA_KERNEL + 0x1000,
	.preempt = NOXS_GVA_KERNEL + 0x2000,
	.vdso = NOXS_GVA_KERNEL + 0x15000,
};
static uint8_t rings[NOXS_NSTREAMS][NOXS_STDIN_BYTES];
static struct kvm_run vcpu;
static struct kvm_regs regs;
static struct guest guest;
static struct vm vm;
static struct console c;
static struct run_options options;
static struct run_result result;
static struct err err;
static int out[2], port[2];
static struct run_port the_port;
static unsigned set_clock, preempted, runs;

/* What the guest does at each KVM_RUN: returns 0 with an exit in vcpu, or -EINTR. */
static int (*guest_runs)(void);

void guest_set_clock(struct noxs_clock *clock, uint32_t tsc_khz)
{
	(void)clock, (void)tsc_khz;
	set_clock++;
}

/* No network here: test_net_rings.c has it. */
unsigned net_count;

uint32_t net_wait(uint32_t events, struct pollfd *fds, unsigned *n, int64_t *retry_ns)
{
	(void)events, (void)fds, (void)n, (void)retry_ns;
	return 0;
}

uint32_t net_look(uint32_t events)
{
	(void)events;
	return 0;
}

void net_woken(void)
{
}

bool net_rang(uint64_t slot)
{
	(void)slot;
	return false;
}

void net_serve(void)
{
}

bool net_fall_back(void)
{
	return false;
}

void net_stop(void)
{
}

int guest_grow(struct guest *g, struct vm *v, uint64_t bytes)
{
	(void)g, (void)v, (void)bytes;
	return 0;
}

int vm_ioctl(struct vm *v, int fd, unsigned long request, unsigned long arg)
{
	(void)v, (void)fd;
	switch (request) {
	case KVM_RUN:
		runs++;
		if (vcpu.immediate_exit)
			return -EINTR;
		return guest_runs();
	case KVM_GET_REGS:
		*(struct kvm_regs *)arg = regs;
		return 0;
	case KVM_SET_REGS:
		regs = *(const struct kvm_regs *)arg;
		preempted += regs.rip == kernel.preempt;
		return 0;
	}
	return -ENOTTY;
}

static uint64_t mono_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* ---- a guest's doings ---- */

static int rings_doorbell(unsigned slot, uint64_t value)
{
	vcpu.exit_reason = KVM_EXIT_MMIO;
	vcpu.mmio.phys_addr = NOXS_GPA_DOORBELL + slot * 8;
	vcpu.mmio.len = 8;
	vcpu.mmio.is_write = 1;
	memcpy(vcpu.mmio.data, &value, 8);
	return 0;
}

static int waits(uint32_t events, uint64_t deadline_ns)
{
	control.wait = (struct noxs_wait){.events = events, .deadline_ns = deadline_ns};
	return rings_doorbell(NOXS_DB_WAIT, 0);
}

/* Until a signal of the monitor's ends it. */
static int computes(void)
{
	while (!vcpu.immediate_exit)
		nanosleep(&(struct timespec){0, 1000000}, NULL);
	return -EINTR;
}

static void prints(const char *text)
{
	struct noxs_ring *r = &control.console.ring[NOXS_STDOUT];

	memcpy(rings[NOXS_STDOUT] + r->tail, text, strlen(text));
	r->tail += (uint32_t)strlen(text);
}

static bool has_request(void)
{
	return control.power.request != control.power.ack;
}

/* ---- the monitor's caller ---- */

static unsigned long_calls, ready_calls, suspends, resumes;
static int (*on_ready)(struct run *run);
static struct run *the_run;
static struct run_counters counters;

static void on_long(void *arg)
{
	assert_ptr_equal(arg, &options);
	long_calls++;
}

static void (*on_suspended)(bool is);

static void on_state(void *arg, bool is)
{
	assert_ptr_equal(arg, &options);
	suspends += is;
	resumes += !is;
	counters = run_counters(the_run);
	if (on_suspended)
		on_suspended(is);
}

static char command;

static int ready(void *arg, struct run *run, struct err *e)
{
	ssize_t n;

	(void)e;
	assert_ptr_equal(arg, &port);
	the_run = run;
	ready_calls++;
	while ((n = recv(port[0], &command, 1, MSG_DONTWAIT)) == 1)
		if (on_ready && on_ready(run))
			return err_set(e, EIO, "the port says so");
	return 0;
}

static void send_command(char what)
{
	assert_int_equal(send(port[1], &what, 1, 0), 1);
}

static int setup(void **state)
{
	(void)state;
	memset(&control, 0, sizeof(control));
	memset(&vcpu, 0, sizeof(vcpu));
	memset(&err, 0, sizeof(err));
	control.console.front = (struct noxs_front){NOXS_READY, 0, NOXS_CONSOLE_DOORBELL};
	control.power.front = (struct noxs_front){
		NOXS_READY,
		0,
		NOXS_POWER_SIGNAL | NOXS_POWER_SHUTDOWN | NOXS_POWER_SUSPEND,
	};
	guest = (struct guest){
		.control = &control,
		.page = &page,
		.kernel = &kernel,
		.ring = {rings[0], rings[1], rings[2]},
	};
	vm = (struct vm){.run = &vcpu};
	regs = (struct kvm_regs){.rip = 0x400000};
	console_init(&c, &guest);
	if (pipe(out) || socketpair(AF_UNIX, SOCK_DGRAM, 0, port))
		return -1;
	fcntl(out[0], F_SETFL, O_NONBLOCK);
	c.fd[0] = -1;
	c.input_open = true;
	c.fd[1] = c.fd[2] = out[1];
	the_port = (struct run_port){.fd = port[0], .ready = ready, .arg = &port};
	options = (struct run_options){
		.timeout_ns = 5000 * MS,
		.tsc_khz = 1000000,
		.port = &the_port,
		.long_running = on_long,
		.suspended = on_state,
		.arg = &options,
	};
	long_calls = ready_calls = suspends = resumes = set_clock = preempted = runs = 0;
	on_ready = NULL;
	on_suspended = NULL;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	close(out[0]);
	close(out[1]);
	close(port[0]);
	close(port[1]);
	return 0;
}

static int run(int (*what)(void))
{
	guest_runs = what;
	return run_guest(&vm, &guest, &c, &options, &result, &err);
}

static void output_is(const char *text)
{
	char got[256] = {0};

	(void)!read(out[0], got, sizeof(got) - 1);
	assert_string_equal(got, text);
}

/* ---- start and end ---- */

static int says_hello(void)
{
	prints("hello");
	return rings_doorbell(NOXS_DB_EXIT, 0x103);
}

static void a_short_program_bothers_nobody(void **state)
{
	(void)state;
	send_command('x');
	assert_int_equal(run(says_hello), 0);
	assert_int_equal(result.end, RUN_EXITED);
	assert_int_equal(result.status, 3);
	assert_true(result.end_tsc > result.start_tsc);
	assert_int_equal(runs, 1);
	assert_int_equal(ready_calls + long_calls, 0);
	assert_int_equal(vcpu.kvm_dirty_regs, KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS);
	output_is("hello");
}

static int parks(void)
{
	return rings_doorbell(NOXS_DB_PARK, 0);
}

static int parks_after_a_signal(void)
{
	return runs == 1 ? -EINTR : parks();
}

static void a_parked_kernel_goes_on_where_it_stands(void **state)
{
	(void)state;
	guest_runs = parks_after_a_signal;
	assert_int_equal(run_to_park(&vm, &guest, &err), 0);
	assert_int_equal(runs, 2);
	assert_int_equal(vcpu.kvm_dirty_regs, KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS);
	vcpu.kvm_dirty_regs = 0;
	options.parked = true;
	assert_int_equal(run(says_hello), 0);
	assert_int_equal(vcpu.kvm_dirty_regs, 0);
	/* And one that does not wait for a program is none. */
	guest_runs = says_hello;
	assert_int_equal(run_to_park(&vm, &guest, &err), -EPROTO);
	assert_non_null(strstr(err.message, "not PARK"));
	/* There is one time to park. */
	assert_int_equal(run(parks), -EPROTO);
	assert_non_null(strstr(err.message, "doorbell 4,"));
}

/* ---- the port ---- */

static int to_the_end(struct run *r)
{
	run_signal(r, SIGKILL);
	return 0;
}

static void messages_are_heard_while_it_computes(void **state)
{
	(void)state;
	/* One that came before, and ... */
	send_command('x');
	on_ready = to_the_end;
	assert_int_equal(run(computes), 0);
	assert_int_equal(result.end, RUN_SIGNAL);
	assert_int_equal(result.signal, SIGKILL);
	assert_int_equal(long_calls, 1);
}

static int sends_then_computes(void)
{
	static unsigned ticks;
	uint64_t start = mono_ns();

	if (++ticks < 12)
		return computes();
	send_command('x'); /* ... one that comes when ticks have become rare */
	computes();
	assert_true(mono_ns() - start < 20 * MS);
	return -EINTR;
}

static void messages_end_kvm_run(void **state)
{
	(void)state;
	on_ready = to_the_end;
	assert_int_equal(run(sends_then_computes), 0);
	assert_int_equal(result.end, RUN_SIGNAL);
}

static int gives_input(struct run *r)
{
	(void)r;
	assert_int_equal(console_give(&c, "line", 4), 4);
	return 0;
}

static int waits_for_input(void)
{
	if (runs == 1) {
		send_command('x');
		return waits(NOXS_EV_STDIN, NOXS_FOREVER);
	}
	assert_int_equal(control.wait.ready, NOXS_EV_STDIN);
	assert_memory_equal(rings[NOXS_STDIN], "line", 4);
	return rings_doorbell(NOXS_DB_EXIT, 0);
}

static void messages_are_heard_while_it_waits(void **state)
{
	(void)state;
	on_ready = gives_input;
	assert_int_equal(run(waits_for_input), 0);
	assert_int_equal(result.end, RUN_EXITED);
	assert_int_equal(long_calls, 1);
	assert_int_equal(runs, 2);
}

static int fails(struct run *r)
{
	(void)r;
	return -EIO;
}

static void a_port_that_fails_ends_the_run(void **state)
{
	(void)state;
	send_command('x');
	on_ready = fails;
	assert_int_equal(run(waits_for_input), -EIO);
	assert_string_equal(err.message, "the port says so: Input/output error");
}

/* ---- suspend ---- */

static int by_command(struct run *r)
{
	if (command == 's' || command == 'r')
		run_suspend(r, command == 's');
	else if (command == 't')
		run_signal(r, SIGTERM);
	else if (command == 'd')
		run_shutdown(r);
	else if (command == 'k')
		run_signal(r, SIGKILL);
	return 0;
}

static unsigned runs_when_suspended;

static void resumes_later(bool is)
{
	if (is) {
		runs_when_suspended = runs;
		send_command('r');
	}
}

/* The library kernel: computes; preempted, it takes requests as they come. */
static int well_behaved(void)
{
	if (runs == 1)
		send_command('s');
	if (regs.rip == kernel.preempt || control.wait.ready) {
		regs.rip = 0x400000;
		control.wait.ready = 0;
		control.power.ack = control.power.request;
		if (NOXS_REQUEST_WHAT(control.power.ack) == NOXS_REQ_SUSPEND)
			return waits(NOXS_EV_POWER, NOXS_FOREVER);
		assert_int_equal(NOXS_REQUEST_WHAT(control.power.ack), NOXS_REQ_RESUME);
		return rings_doorbell(NOXS_DB_EXIT, 0);
	}
	return computes();
}

static void a_computing_guest_is_preempted_and_suspends(void **state)
{
	(void)state;
	on_ready = by_command;
	on_suspended = resumes_later;
	assert_int_equal(run(well_behaved), 0);
	assert_int_equal(result.end, RUN_EXITED);
	assert_int_equal(preempted, 1);
	assert_int_equal(suspends, 1);
	assert_int_equal(resumes, 1);
	assert_int_equal(runs, runs_when_suspended + 1);
	assert_int_equal(counters.unacknowledged, 0);
}

static int in_the_vdso(void)
{
	if (runs == 1)
		regs.rip = kernel.vdso + 0x700;
	return well_behaved();
}

static void also_one_that_looks_at_the_clock_all_the_time(void **state)
{
	(void)state;
	on_ready = by_command;
	on_suspended = resumes_later;
	assert_int_equal(run(in_the_vdso), 0);
	assert_int_equal(preempted, 1);
	assert_int_equal(counters.unacknowledged, 0);
}

static uint64_t asked_ns, held_ns;

static void resumes_at_once(bool is)
{
	if (is)
		held_ns = mono_ns();
	resumes_later(is);
}

static int deaf(void)
{
	regs.rip = NOXS_GVA_KERNEL + 0x3000; /* in its kernel, for ever */
	if (runs == 1)
		send_command('s');
	if (!asked_ns && has_request())
		asked_ns = mono_ns();
	if (suspends && !has_request())
		return rings_doorbell(NOXS_DB_EXIT, 0);
	if (suspends && NOXS_REQUEST_WHAT(control.power.request) == NOXS_REQ_RESUME)
		control.power.ack = control.power.request;
	return computes();
}

static void a_guest_that_never_acknowledges_is_held(void **state)
{
	(void)state;
	on_ready = by_command;
	on_suspended = resumes_at_once;
	asked_ns = 0;
	assert_int_equal(run(deaf), 0);
	assert_int_equal(result.end, RUN_EXITED);
	assert_int_equal(suspends, 1);
	assert_int_equal(counters.unacknowledged, 1);
	assert_int_equal(preempted, 0);
	assert_in_range(held_ns - asked_ns, 30 * MS, 200 * MS);
}

/* Acknowledges, but goes on as if nothing were. */
static int liar(void)
{
	if (runs == 1)
		send_command('s');
	control.power.ack = control.power.request;
	if (suspends)
		return rings_doorbell(NOXS_DB_EXIT, 0);
	return waits(NOXS_EV_STDOUT, 0);
}

static uint64_t cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static uint64_t held_cpu_ns;

static void starts_the_clock(bool is)
{
	if (!is)
		return;
	held_cpu_ns = cpu_ns();
	runs_when_suspended = runs;
}

static void a_held_guest_takes_no_time(void **state)
{
	(void)state;
	on_ready = by_command;
	on_suspended = starts_the_clock;
	options.timeout_ns = 500 * MS;
	control.power.timer_ns = 1; /* and it wants to be looked at */
	asked_ns = 0;
	assert_int_equal(run(deaf), 0);
	assert_int_equal(result.end, RUN_TIMEOUT);
	assert_int_equal(suspends, 1);
	assert_true(cpu_ns() - held_cpu_ns < 50 * MS);
	assert_int_equal(runs, runs_when_suspended);
}

static void *resumes_in_a_while(void *arg)
{
	(void)arg;
	nanosleep(&(struct timespec){0, 100000000}, NULL);
	send_command('r');
	return NULL;
}

static void waits_then_resumes(bool is)
{
	pthread_t thread;
	sigset_t all, old;

	if (!is)
		return;
	runs_when_suspended = runs;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	pthread_create(&thread, NULL, resumes_in_a_while, NULL);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_detach(thread);
}

static void a_guest_that_only_says_so_does_not_run_either(void **state)
{
	(void)state;
	on_ready = by_command;
	on_suspended = waits_then_resumes;
	assert_int_equal(run(liar), 0);
	assert_int_equal(suspends, 1);
	assert_int_equal(resumes, 1);
	assert_int_equal(runs, runs_when_suspended + 1);
}

static int prints_then_stands_still(void)
{
	if (runs == 1) {
		send_command('s');
		/* More than the pipe takes at once: the rest goes while it is suspended. */
		memset(rings[NOXS_STDOUT], 'x', NOXS_STDOUT_BYTES);
		control.console.ring[NOXS_STDOUT].tail = NOXS_STDOUT_BYTES;
		fcntl(out[1], F_SETPIPE_SZ, 4096);
		return waits(0, NOXS_FOREVER);
	}
	control.power.ack = control.power.request;
	if (NOXS_REQUEST_WHAT(control.power.ack) == NOXS_REQ_RESUME)
		return rings_doorbell(NOXS_DB_EXIT, 0);
	return waits(NOXS_EV_POWER, NOXS_FOREVER);
}

static void *reads_all(void *arg)
{
	char buf[4096];
	size_t n = 0;

	(void)arg;
	while (n < NOXS_STDOUT_BYTES) {
		ssize_t k = read(out[0], buf, sizeof(buf));

		if (k > 0)
			n += (size_t)k;
		else
			nanosleep(&(struct timespec){0, 1000000}, NULL);
	}
	/* It all came, and the guest is still suspended: nobody else would let it go on. */
	send_command('r');
	return NULL;
}

static void output_is_passed_on_while_suspended(void **state)
{
	pthread_t reader;
	sigset_t all, old;

	(void)state;
	on_ready = by_command;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	pthread_create(&reader, NULL, reads_all, NULL);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	assert_int_equal(run(prints_then_stands_still), 0);
	pthread_join(reader, NULL);
	assert_int_equal(result.end, RUN_EXITED);
	assert_int_equal(suspends, 1);
	assert_int_equal(c.bytes[NOXS_STDOUT], NOXS_STDOUT_BYTES);
}

static void the_time_limit_counts_while_suspended(void **state)
{
	(void)state;
	on_ready = by_command;
	options.timeout_ns = 100 * MS;
	assert_int_equal(run(well_behaved), 0);
	assert_int_equal(result.end, RUN_TIMEOUT);
	assert_int_equal(suspends, 1);
	assert_int_equal(resumes, 0);
}

static void signals_wait_but_not_the_last(bool is)
{
	runs_when_suspended = runs;
	if (is) {
		control.power.handled = 1ull << (SIGTERM - 1);
		send_command('t');
		send_command('k');
	}
}

static void a_suspended_guest_can_be_killed(void **state)
{
	(void)state;
	on_ready = by_command;
	on_suspended = signals_wait_but_not_the_last;
	assert_int_equal(run(well_behaved), 0);
	assert_int_equal(result.end, RUN_SIGNAL);
	assert_int_equal(result.signal, SIGKILL);
	assert_int_equal(runs, runs_when_suspended);
}

static void asks_again(bool is)
{
	if (is && suspends == 1) {
		send_command('s'); /* it is so already: told again */
		send_command('r');
		send_command('s');
	} else if (is && suspends == 3) {
		send_command('r');
	}
}

static void every_request_is_answered(void **state)
{
	(void)state;
	on_ready = by_command;
	on_suspended = asks_again;
	assert_int_equal(run(well_behaved), 0);
	assert_int_equal(result.end, RUN_EXITED);
	assert_int_equal(suspends, 3);
	assert_int_equal(resumes, 2);
}

/* ---- breaches ---- */

static int acknowledges_nonsense(void)
{
	control.power.ack = 0x12345;
	return computes();
}

static int moves_back(void)
{
	if (runs == 1)
		return computes();
	control.power.front.state = NOXS_INIT;
	return computes();
}

static int breaks_console(void)
{
	control.console.front.state = 77;
	return waits(NOXS_EV_STDOUT, 0);
}

static int unknown_slot(void)
{
	return rings_doorbell(DEVICE_CONSOLE_SLOT + NOXS_NSTREAMS, 0);
}

static void breaches_end_the_guest(void **state)
{
	(void)state;
	assert_int_equal(run(acknowledges_nonsense), -EPROTO);
	assert_non_null(strstr(err.message, "not made"));
	setup(NULL);
	assert_int_equal(run(moves_back), -EPROTO);
	assert_non_null(strstr(err.message, "cannot follow"));
	setup(NULL);
	assert_int_equal(run(breaks_console), -EPROTO);
	assert_non_null(strstr(err.message, "console"));
	setup(NULL);
	assert_int_equal(run(unknown_slot), -EPROTO);
	assert_non_null(strstr(err.message, "doorbell 19,"));
}

/* ---- rings that are exits ---- */

static uint32_t last_wake;

static int rings_for_each_line(void)
{
	if (control.console.ring[NOXS_STDOUT].tail >= 15)
		return rings_doorbell(NOXS_DB_EXIT, 0);
	if (control.console.wake[NOXS_STDOUT] == last_wake)
		return computes();
	last_wake = control.console.wake[NOXS_STDOUT];
	prints("line\n");
	return rings_doorbell(DEVICE_CONSOLE_SLOT + NOXS_STDOUT, 0);
}

static void a_guest_is_asked_to_ring_at_its_first_tick(void **state)
{
	(void)state;
	last_wake = 0;
	assert_int_equal(run(rings_for_each_line), 0);
	assert_int_equal(result.end, RUN_EXITED);
	output_is("line\nline\nline\n");
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(a_short_program_bothers_nobody),
		CASE(a_parked_kernel_goes_on_where_it_stands),
		CASE(messages_are_heard_while_it_computes),
		CASE(messages_end_kvm_run),
		CASE(messages_are_heard_while_it_waits),
		CASE(a_port_that_fails_ends_the_run),
		CASE(a_computing_guest_is_preempted_and_suspends),
		CASE(also_one_that_looks_at_the_clock_all_the_time),
		CASE(a_guest_that_never_acknowledges_is_held),
		CASE(a_held_guest_takes_no_time),
		CASE(a_guest_that_only_says_so_does_not_run_either),
		CASE(output_is_passed_on_while_suspended),
		CASE(the_time_limit_counts_while_suspended),
		CASE(a_suspended_guest_can_be_killed),
		CASE(every_request_is_answered),
		CASE(breaches_end_the_guest),
		CASE(a_guest_is_asked_to_ring_at_its_first_tick),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
