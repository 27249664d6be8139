/* SPDX-License-Identifier: Apache-2.0 */
/* test_engine.c: the life of VMs in the daemon's engine, with stand-ins for VMs. */
/* sources: tests/unit/engine_world.c monitor/err.c monitor/daemon/control.c */
/* sources: monitor/daemon/engine.c monitor/daemon/engine_ask.c monitor/daemon/engine_end.c */
/* sources: monitor/daemon/engine_events.c monitor/daemon/engine_flavours.c */
/* sources: monitor/daemon/engine_input.c */
/* sources: monitor/daemon/engine_metrics.c monitor/daemon/engine_news.c */
/* sources: monitor/daemon/engine_pool.c monitor/daemon/engine_signal.c */
/* sources: monitor/daemon/engine_start.c monitor/daemon/engine_wait.c */
/* sources: monitor/daemon/engine_zygote.c monitor/daemon/image_file.c monitor/daemon/images.c */
/* sources: monitor/daemon/limits.c monitor/daemon/loop.c monitor/daemon/news.c */
/* sources: monitor/daemon/pool.c monitor/daemon/shells.c monitor/daemon/slots.c */
/* sources: monitor/daemon/text.c monitor/daemon/timers.c monitor/daemon/tsc.c */
/* sources: monitor/daemon/vm_spec.c monitor/daemon/vms.c monitor/daemon/vm_net.c */
/* sources: monitor/daemon/vm_address.c */
/* sources: monitor/daemon/engine_net.c monitor/net_spec.c monitor/net_address.c */
/* sources: monitor/net_spec_print.c monitor/net_port.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../monitor/daemon/vm_net.h"
#include "engine_world.h"

#define E (world.engine)

static int setup(void **state)
{
	(void)state;
	world_open(NULL);
	world_ready(2);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	world_close();
	return 0;
}

/* What a call of an engine_done was. */
struct told {
	int calls, failure;
	char message[512], id[ENGINE_ID_BYTES];
	enum vm_state state;
};

static void tell(void *arg, struct vm *vm, int failure, const struct err *err)
{
	struct told *t = arg;

	t->calls++;
	t->failure = failure;
	t->state = vm->state;
	strcpy(t->id, vm->id);
	if (err)
		strcpy(t->message, err->message);
}

static bool was_told(void *arg)
{
	return ((struct told *)arg)->calls > 0;
}

static struct flavour_level level(void)
{
	struct flavour_level l[ENGINE_MAX_FLAVOURS];

	assert_true(engine_pool(E, l) >= 1);
	return l[0];
}

/* ---- net devices ---- */

static int open_fds(void)
{
	int n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void net_devices_are_opened_and_handed_on(void **state)
{
	static const char *const net[] = {"tap=t0,ip=10.0.0.7/24,gw=10.0.0.1", "user,name=out"};
	static const char *const publish[] = {"8080:80", "53:53/udp"};
	const char expected[] = "eth0 7 2 wire|out 0 2 wire|";
	struct vm_spec spec = world_spec("net", "exit:0", NULL);
	int before = open_fds();
	struct vm *vm;

	(void)state;
	spec.net = net;
	spec.nnet = 2;
	spec.publish = publish;
	spec.npublish = 2;
	vm = world_start(&spec);
	world_wait(vm);
	assert_int_equal(vm->end, END_EXITED);
	assert_int_equal(vm->out_bytes[0], strlen(expected));
	assert_memory_equal(vm->out[0], expected, strlen(expected));
	assert_int_equal(world.nets_open, 2);
	assert_int_equal(open_fds(), before); /* nothing of them is left with us */
	assert_int_equal(vm->net->n, 2);
	assert_true(vm->net->device[0].is_open);
	assert_string_equal(vm->net->device[0].opened.ifname, "t0");
	assert_int_equal(vm->net->device[0].nports, 0);
	assert_int_equal(vm->net->device[1].nports, 2);
	assert_string_equal(vm->net->device[1].ports, "8080:80/tcp");
	assert_int_equal(vm->net->device[0].counters.rx_frames, 10);
	assert_int_equal(vm->net->device[1].counters.rx_frames, 11);
}

static void net_devices_with_large_arguments(void **state)
{
	static const char *const net[] = {"tap,ip=10.0.0.9/24"};
	static char large[100000];
	struct vm_spec spec = world_spec("net", "exit:0", large, NULL);
	struct vm *vm;

	(void)state;
	memset(large, 'x', sizeof(large) - 1);
	spec.net = net;
	spec.nnet = 1;
	vm = world_start(&spec);
	world_wait(vm);
	assert_int_equal(vm->end, END_EXITED);
	assert_memory_equal(vm->out[0], "eth0 9 2 wire|", 14);
}

static void an_address_is_one_vms(void **state)
{
	static const char *const first[] = {"tap,bridge=br0,ip=10.0.0.7/24,ip=fd00::7/64"};
	static const char *const same[] = {"user", "xdp=br0,ip=fd00::7/48"};
	static const char *const twice[] = {"tap,bridge=br0,ip=10.0.0.8/24",
					    "xdp=br0,ip=10.0.0.8/24"};
	static const char *const elsewhere[] = {"tap,bridge=br1,ip=10.0.0.7/24",
						"tap,ip=10.0.0.7/24"};
	struct vm_spec spec = world_spec("serve", NULL), brief;
	struct told t = {0};
	struct err err = {0};
	struct vm *one, *two, *other;

	(void)state;
	spec.name = "first";
	spec.net = first;
	spec.nnet = 1;
	one = world_start(&spec);
	brief = world_spec("exit:0", NULL);
	brief.net = same;
	brief.nnet = 2;
	assert_int_equal(engine_create(E, &brief, &two, &err), 0); /* it may be for later */
	assert_int_equal(engine_start(E, two, tell, &t, &err), 0);
	assert_int_equal(t.calls, 1);
	assert_int_equal(t.failure, ENGINE_CONFLICT);
	assert_non_null(strstr(t.message, "ip=fd00::7/48 is VM first's, which is on br0, too"));
	assert_int_equal(t.state, VM_EXITED);
	brief.net = twice;
	assert_int_equal(engine_create(E, &brief, &two, &err), 0);
	assert_int_equal(engine_start(E, two, tell, &t, &err), 0);
	assert_int_equal(t.failure, ENGINE_CONFLICT);
	assert_non_null(
		strstr(t.message, "two of the VM's net devices on br0 have ip=10.0.0.8/24"));
	brief.net = elsewhere;
	other = world_start(&brief);
	world_wait(other);
	assert_int_equal(other->end, END_EXITED);
	/* Once it has ended. */
	assert_int_equal(engine_kill(E, one, SIGKILL, &err), 0);
	world_wait(one);
	brief.net = first;
	brief.nnet = 1;
	two = world_start(&brief);
	world_wait(two);
	assert_int_equal(two->end, END_EXITED);
}

static bool net_has_begun(void *arg)
{
	(void)arg;
	return world.nets_begun > 0;
}

static bool second_is_ready(void *arg)
{
	struct flavour_level l[ENGINE_MAX_FLAVOURS];

	return engine_pool(E, l) == 2 && l[1].ready == *(unsigned *)arg;
}

static void flavours_with_net(void **state)
{
	static const char *const net[] = {"tap,ip=10.0.0.7/24,name=lan", "xdp=e0"};
	static const char *const other[] = {"tap,bridge=br0"};
	struct flavour f[2] = {{.memory_bytes = 64 << 20, .minimum = 2, .maximum = 2},
			       {.memory_bytes = 64 << 20, .minimum = 1, .maximum = 1}};
	const char expected[] = "lan 7 0 wire|eth0 0 0 wire|";
	struct vm_spec spec = world_spec("net", "exit:0", NULL);
	struct flavour_level l[ENGINE_MAX_FLAVOURS];
	unsigned one = 1;
	struct err err = {0};
	int before = open_fds();
	struct vm *vm;

	(void)state;
	strcpy(f[1].net, "tap\nxdp=e0,mode=auto,copy=auto");
	assert_int_equal(engine_set_pool(E, f, 2, &err), 0);
	world_until(second_is_ready, &one, "a shell with net devices");
	assert_int_equal(world.nets_open, 2);
	assert_int_equal(open_fds(), before);
	spec.net = net;
	spec.nnet = 2;
	vm = world_start(&spec);
	world_wait(vm);
	assert_true(vm->warm);
	assert_int_equal(vm->out_bytes[0], strlen(expected));
	assert_memory_equal(vm->out[0], expected, strlen(expected));
	assert_true(vm->net->device[1].is_open);
	engine_pool(E, l);
	assert_int_equal(l[1].taken, 1);
	/* It is replaced; another's devices are opened for it alone. */
	world_until(second_is_ready, &one, "another");
	assert_int_equal(world.nets_open, 4);
	spec.net = other;
	spec.nnet = 1;
	vm = world_start(&spec);
	world_wait(vm);
	assert_memory_equal(vm->out[0], "eth0 0 2 wire|", 14);
	assert_int_equal(world.nets_open, 5);
	engine_pool(E, l);
	assert_int_equal(l[1].taken, 1);
	assert_int_equal(l[0].taken, 1);
}

static void a_flavour_goes_while_somebody_waits(void **state)
{
	static const char *const net[] = {"tap,ip=10.0.0.7/24"};
	const struct flavour f[2] = {{.memory_bytes = 64 << 20, .minimum = 2, .maximum = 2},
				     {.memory_bytes = 64 << 20, .maximum = 1, .net = "tap"}};
	struct vm_spec spec = world_spec("net", "exit:0", NULL);
	struct told t = {0};
	struct err err = {0};
	struct vm *vm;

	(void)state;
	world.nets_slow = true;
	assert_int_equal(engine_set_pool(E, f, 2, &err), 0);
	spec.net = net;
	spec.nnet = 1;
	assert_int_equal(engine_create(E, &spec, &vm, &err), 0);
	assert_int_equal(engine_start(E, vm, tell, &t, &err), 0);
	world_until(net_has_begun, NULL, "the flavour's net device");
	assert_int_equal(t.calls, 0);
	world.nets_slow = false;
	/* Then it gets one of its own. */
	assert_int_equal(engine_set_pool(E, f, 1, &err), 0);
	world_until(was_told, &t, "the start");
	assert_int_equal(t.failure, 0);
	world_wait(vm);
	assert_memory_equal(vm->out[0], "eth0 7 2 wire|", 14);
	assert_int_equal(world.nets_begun, 2);
}

static void a_flavour_whose_net_cannot_be_opened(void **state)
{
	static const char *const net[] = {"xdp=gone0"};
	const struct flavour f[2] = {
		{.memory_bytes = 64 << 20, .minimum = 2, .maximum = 2},
		{.memory_bytes = 64 << 20, .maximum = 1, .net = "xdp=gone0,mode=auto,copy=auto"}};
	struct vm_spec spec = world_spec("exit:0", NULL);
	struct told t = {0};
	struct err err = {0};
	int before = open_fds();
	struct vm *vm;

	(void)state;
	world.nets_fail = true;
	assert_int_equal(engine_set_pool(E, f, 2, &err), 0);
	spec.net = net;
	spec.nnet = 1;
	assert_int_equal(engine_create(E, &spec, &vm, &err), 0);
	assert_int_equal(engine_start(E, vm, tell, &t, &err), 0);
	world_until(was_told, &t, "the start to fail");
	assert_int_equal(t.failure, ENGINE_BUSY);
	assert_string_equal(t.message, "no such interface");
	assert_int_equal(open_fds(), before);
	/* Others start as ever. */
	spec.nnet = 0;
	vm = world_start(&spec);
	world_wait(vm);
	assert_int_equal(vm->end, END_EXITED);
}

static void net_that_makes_no_sense(void **state)
{
	static const struct {
		const char *net[5], *publish, *words;
	} bad[] = {
		{{"tup=a"}, NULL, "there is no kind 'tup'"},
		{{"tap=fd:4"}, NULL, "name the tap"},
		{{"tap", "tap", "tap", "tap", "tap"}, NULL, "at most 4"},
		{{"tap,name=a", "tap,name=a"}, NULL, "two devices are called a"},
		{{"tap"}, "8080:80", "add --net user"},
		{{"user"}, "8080", "both ports"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct vm_spec spec = world_spec("exit:0", NULL);
		struct err err = {0};
		struct vm *vm;

		spec.net = bad[i].net;
		while (spec.nnet < 5 && bad[i].net[spec.nnet])
			spec.nnet++;
		spec.publish = &bad[i].publish;
		spec.npublish = bad[i].publish != NULL;
		assert_int_equal(engine_create(E, &spec, &vm, &err), ENGINE_BAD);
		if (!strstr(err.message, bad[i].words))
			fail_msg("%s", err.message);
	}
}

static void net_that_cannot_be_opened(void **state)
{
	static const char *const net[] = {"xdp=gone0"};
	struct vm_spec spec = world_spec("exit:0", NULL);
	struct told t = {0};
	struct err err = {0};
	int before = open_fds();
	struct vm *vm;

	(void)state;
	world.nets_fail = true;
	spec.net = net;
	spec.nnet = 1;
	assert_int_equal(engine_create(E, &spec, &vm, &err), 0);
	assert_int_equal(engine_start(E, vm, tell, &t, &err), 0);
	world_until(was_told, &t, "the start to fail");
	assert_int_equal(t.failure, ENGINE_CONFLICT);
	assert_string_equal(t.message, "no such interface");
	assert_int_equal(vm->state, VM_EXITED);
	assert_int_equal(vm->end, END_FAILED);
	assert_string_equal(vm->reason, "no such interface");
	assert_int_equal(open_fds(), before);
	assert_int_equal(level().ready, 2); /* no shell was spent on it */
}

static void ended_while_its_net_is_opened(void **state)
{
	static const char *const net[] = {"xdp=slow0"};
	struct vm_spec spec = world_spec("exit:0", NULL);
	struct told t = {0};
	struct err err = {0};
	struct vm *vm;

	(void)state;
	world.nets_slow = true;
	spec.net = net;
	spec.nnet = 1;
	assert_int_equal(engine_create(E, &spec, &vm, &err), 0);
	assert_int_equal(engine_start(E, vm, tell, &t, &err), 0);
	world_until(net_has_begun, NULL, "its net device");
	assert_int_equal(t.calls, 0);
	assert_int_equal(engine_remove(E, vm, true, &err), 0);
	assert_int_equal(t.calls, 1);
	assert_int_equal(t.failure, ENGINE_CONFLICT);
	assert_int_equal(world.nets_cancelled, 1);
}

/* ---- from create to exit ---- */

static void a_warm_start(void **state)
{
	struct vm_spec spec = world_spec("start", "exit:3", NULL);
	char expected[300];
	struct vm *vm;

	(void)state;
	spec.name = "web";
	spec.workdir = "/srv";
	spec.timeout_ns = 1000000000;
	vm = world_start(&spec);
	world_wait(vm);
	assert_true(vm->warm);
	assert_int_equal(vm->end, END_EXITED);
	assert_int_equal(vm->exit_code, 3);
	assert_null(vm->reason);
	snprintf(expected, sizeof(expected), "%s|/srv|web|argc 3 envc 0|flags %d|timeout",
		 world.program, START_CAPTURE);
	assert_int_equal(vm->out_bytes[0], strlen(expected));
	assert_memory_equal(vm->out[0], expected, strlen(expected));
	assert_null(vm->out[1]);
	assert_true(vm->created_ns && vm->created_ns <= vm->started_ns &&
		    vm->started_ns <= vm->ended_ns);
	assert_in_range(vm->queue_us, 1, 5000000);
	assert_true(vm->boot_us >= vm->queue_us && vm->boot_us < 5000000);
	assert_true(vm->pid > 0 && vm->shell > 0);
	assert_int_equal(vm->counters.exits, 1);
	assert_int_equal(level().taken, 1);
	assert_int_equal(level().cold, 0);
	world_ready(2);
}

static void done_and_wait_are_each_called_once(void **state)
{
	struct vm_spec spec = world_spec("exit:0", NULL);
	struct told started = {0}, ended = {0}, cancelled = {0}, late = {0};
	struct err err;
	struct vm *vm;
	uint64_t token;

	(void)state;
	assert_int_equal(engine_create(E, &spec, &vm, &err), 0);
	assert_true(engine_wait(E, vm, tell, &ended));
	token = engine_wait(E, vm, tell, &cancelled);
	engine_cancel(E, token);
	engine_cancel(E, token);
	assert_int_equal(engine_start(E, vm, tell, &started, &err), 0);
	assert_int_equal(engine_start(E, vm, tell, &started, &err), ENGINE_CONFLICT);
	world_until(was_told, &ended, "its end was told");
	assert_int_equal(started.calls, 1);
	assert_int_equal(started.failure, 0);
	assert_int_equal(started.state, VM_RUNNING);
	assert_int_equal(ended.calls, 1);
	assert_int_equal(ended.state, VM_EXITED);
	assert_int_equal(cancelled.calls, 0);
	engine_wait(E, vm, tell, &late);
	assert_int_equal(late.calls, 1);
}

struct many {
	struct vm *vm[40];
	struct told started[40];
};

static bool all_ended(void *arg)
{
	struct many *m = arg;

	for (int i = 0; i < 40; i++)
		if (m->vm[i]->state != VM_EXITED)
			return false;
	return true;
}

static void many_at_once(void **state)
{
	static struct many m;
	struct vm_spec spec = world_spec("exit:0", NULL);
	int warm = 0;
	struct err err;

	(void)state;
	memset(&m, 0, sizeof(m));
	for (int i = 0; i < 40; i++) {
		assert_int_equal(engine_create(E, &spec, &m.vm[i], &err), 0);
		assert_int_equal(engine_start(E, m.vm[i], tell, &m.started[i], &err), 0);
	}
	world_until(all_ended, &m, "all have ended");
	for (int i = 0; i < 40; i++) {
		assert_int_equal(m.started[i].calls, 1);
		assert_int_equal(m.started[i].failure, 0);
		assert_int_equal(m.vm[i]->exit_code, 0);
		warm += m.vm[i]->warm;
	}
	assert_int_equal(warm, level().taken);
	assert_int_equal(40 - warm, level().cold);
	assert_in_range(warm, 2, 10);
	/* They asked for the same image, which was prepared for all but what came too early. */
	assert_in_range(world.images_prepared, 1, 40);
}

static void a_size_of_its_own_is_cold(void **state)
{
	struct vm_spec spec = world_spec("exit:0", NULL);
	struct vm *vm;

	(void)state;
	spec.memory_bytes = (100 << 20) + 1;
	vm = world_start(&spec);
	world_wait(vm);
	assert_int_equal(vm->exit_code, 0);
	assert_false(vm->warm);
	assert_int_equal(vm->memory_bytes, (100 << 20) + 4096);
	assert_true(world.knobs->last_urgent || world.knobs->spawns > 3);
	assert_int_equal(level().taken, 0);
	assert_int_equal(level().cold, 0);
}

static void impossible_sizes(void **state)
{
	struct vm_spec spec = world_spec("exit:0", NULL);
	struct err err;
	struct vm *vm;

	(void)state;
	spec.memory_bytes = 4096;
	assert_int_equal(engine_create(E, &spec, &vm, &err), ENGINE_BAD);
	spec.memory_bytes = 1ull << 60;
	assert_int_equal(engine_create(E, &spec, &vm, &err), ENGINE_BAD);
	spec.memory_bytes = ~0ull;
	assert_int_equal(engine_create(E, &spec, &vm, &err), ENGINE_BAD);
	spec.memory_bytes = 0;
	spec.pids_max = 5;
	assert_int_equal(engine_create(E, &spec, &vm, &err), ENGINE_BAD);
	assert_non_null(strstr(err.message, "--cgroup"));
}

static void images_that_cannot_run(void **state)
{
	static const struct {
		const char *path, *says;
		int exit;
	} bad[] = {
		{"/nowhere/at/all", "cannot open", 127},
		{"/", "directory", 126},
		{"/dev/null", "regular", 126},
		{"/etc/passwd", "executable", 126},
		{"bad", "it is bad", 126},
	};
	struct vm_spec spec = world_spec("exit:0", NULL);

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct told started = {0}, ended = {0};
		char path[200];
		struct err err;
		struct vm *vm;

		snprintf(path, sizeof(path), "%s%s%s", *bad[i].path == '/' ? "" : world.dir,
			 *bad[i].path == '/' ? "" : "/", bad[i].path);
		spec.image = path;
		assert_int_equal(engine_create(E, &spec, &vm, &err), 0);
		engine_wait(E, vm, tell, &ended);
		assert_int_equal(engine_start(E, vm, tell, &started, &err), 0);
		world_until(was_told, &ended, "its end was told");
		assert_int_equal(started.calls, 1);
		assert_int_equal(started.failure, ENGINE_IMAGE);
		assert_non_null(strstr(started.message, bad[i].says));
		assert_int_equal(vm->state, VM_EXITED);
		assert_int_equal(vm->end, END_FAILED);
		assert_int_equal(vm->exit_code, bad[i].exit);
		assert_string_equal(vm->reason, started.message);
	}
}

static void large_arguments_and_environments(void **state)
{
	static char value[100000];
	char *envp[] = {value, NULL};
	struct vm_spec spec = world_spec("start", "stdin", NULL);
	struct vm *vm;

	(void)state;
	memset(value, 'v', sizeof(value) - 1);
	spec.envp = envp;
	vm = world_start(&spec);
	world_wait(vm);
	assert_int_equal(vm->exit_code, 0);
	assert_non_null(memmem(vm->out[0], vm->out_bytes[0], "envc 1", 6));
}

static void callers_descriptors(void **state)
{
	struct vm_spec spec = world_spec("fds:through and through", "exit:0", NULL);
	char text[64] = "";
	int pipes[2];
	struct vm *vm;

	(void)state;
	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	spec.capture = false;
	spec.fds[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
	spec.fds[1] = pipes[1];
	spec.fds[2] = dup(pipes[1]);
	spec.image_fd = open(world.program, O_RDONLY | O_CLOEXEC);
	spec.image = "its name";
	vm = world_start(&spec);
	world_wait(vm);
	assert_int_equal(vm->exit_code, 0);
	assert_string_equal(vm->image, "its name");
	/* Ours are closed, and there is an end. */
	assert_int_equal(read(pipes[0], text, sizeof(text)), 19);
	assert_string_equal(text, "through and through");
	assert_int_equal(read(pipes[0], text, sizeof(text)), 0);
	assert_int_equal(engine_open_log(E, vm), -1);
	close(pipes[0]);
}

/* ---- output and logs ---- */

static void captured_output_comes_in_pieces(void **state)
{
	struct vm_spec spec = world_spec("send:one ", "send:two ", "out:three", "exit:0", NULL);
	struct vm *vm = world_start(&spec);

	(void)state;
	world_wait(vm);
	assert_int_equal(vm->out_bytes[0], 13);
	assert_memory_equal(vm->out[0], "one two three", 13);
}

static void logs_live_as_long_as_their_record(void **state)
{
	struct vm_spec spec = world_spec("log:hello", "exit:0", NULL);
	struct log_frame frame;
	char text[10] = "";
	struct err err;
	struct vm *vm;
	int fd;

	(void)state;
	spec.capture = false;
	vm = world_start(&spec);
	world_wait(vm);
	fd = engine_open_log(E, vm);
	assert_true(fd >= 0);
	assert_int_equal(read(fd, &frame, sizeof(frame)), sizeof(frame));
	assert_int_equal(frame.magic, LOG_MAGIC);
	assert_int_equal(read(fd, text, sizeof(text)), 5);
	assert_string_equal(text, "hello");
	close(fd);
	world_ready(2);
	assert_int_equal(world_count("log"), 3); /* and two of ready shells */
	assert_int_equal(engine_remove(E, vm, false, &err), 0);
	assert_int_equal(world_count("log"), 2);
}

static bool only_ready_shells(void *arg)
{
	(void)arg;
	return world_count("shell") == 2 && world_count("log") == 2;
}

static void captured_vms_leave_no_log(void **state)
{
	struct vm_spec spec = world_spec("exit:0", NULL);
	struct vm *vm = world_start(&spec);

	(void)state;
	world_wait(vm);
	assert_int_equal(engine_open_log(E, vm), -1);
	world_until(only_ready_shells, NULL, "only ready shells have names");
}

static void the_oldest_records_go(void **state)
{
	struct engine_options options = world_options();
	struct vm_spec spec;
	char id[6][ENGINE_ID_BYTES];

	(void)state;
	options.keep = 3;
	world_open(&options);
	spec = world_spec("exit:0", NULL);
	spec.capture = false;
	for (int i = 0; i < 6; i++) {
		struct vm *vm = world_start(&spec);

		strcpy(id[i], vm->id);
		world_wait(vm);
	}
	for (int i = 0; i < 6; i++)
		assert_int_equal(engine_find(E, id[i]) != NULL, i >= 3);
	world_close();
}

static void marked_remove_it_goes_after_those_who_wait(void **state)
{
	struct vm_spec spec = world_spec("exit:5", NULL);
	struct told ended[2] = {0};
	struct err err;
	struct vm *vm;

	(void)state;
	spec.remove = true;
	assert_int_equal(engine_create(E, &spec, &vm, &err), 0);
	engine_wait(E, vm, tell, &ended[0]);
	engine_wait(E, vm, tell, &ended[1]);
	assert_int_equal(engine_start(E, vm, tell, &(struct told){0}, &err), 0);
	world_until(was_told, &ended[1], "its end was told");
	assert_int_equal(ended[0].calls, 1);
	assert_null(engine_find(E, ended[0].id));
	assert_null(engine_next(E, NULL));
}

/* ---- signals ---- */

static void killed_by_the_caller(void **state)
{
	struct vm_spec spec = world_spec("serve", NULL);
	struct vm *vm = world_start(&spec);
	struct err err;

	(void)state;
	assert_int_equal(engine_kill(E, vm, 0, &err), ENGINE_BAD);
	assert_int_equal(engine_kill(E, vm, 65, &err), ENGINE_BAD);
	assert_int_equal(engine_kill(E, vm, SIGKILL, &err), 0);
	world_wait(vm);
	assert_int_equal(vm->end, END_SIGNAL);
	assert_int_equal(vm->signal, SIGKILL);
	assert_int_equal(vm->exit_code, 137);
	assert_null(vm->reason);
	assert_int_equal(engine_kill(E, vm, SIGKILL, &err), ENGINE_CONFLICT);
}

static void signalled_by_the_caller(void **state)
{
	struct vm_spec spec = world_spec("serve", NULL);
	struct vm *vm = world_start(&spec);
	struct err err;

	(void)state;
	assert_int_equal(engine_kill(E, vm, SIGHUP, &err), 0);
	world_wait(vm);
	assert_int_equal(vm->end, END_SIGNAL);
	assert_int_equal(vm->exit_code, 128 + SIGHUP);
}

static void killed_from_outside(void **state)
{
	struct vm_spec spec = world_spec("serve", NULL);
	struct engine_metrics m;
	struct vm *vm = world_start(&spec);

	(void)state;
	kill(vm->pid, SIGKILL);
	world_wait(vm);
	assert_int_equal(vm->end, END_FAILED);
	assert_int_equal(vm->exit_code, 125);
	assert_string_equal(vm->reason, "its process was ended by signal 9");
	engine_metrics(E, &m);
	assert_int_equal(m.killed, 1);
	assert_int_equal(m.ended[END_FAILED], 1);
}

static void a_violation_of_the_filter_has_a_reason(void **state)
{
	struct vm_spec spec = world_spec("die:31", NULL);
	struct vm *vm = world_start(&spec);

	(void)state;
	world_wait(vm);
	assert_int_equal(vm->end, END_FAILED);
	assert_non_null(strstr(vm->reason, "SIGSYS"));
}

static void stopped_gently(void **state)
{
	struct vm_spec spec = world_spec("serve", NULL);
	struct vm *vm = world_start(&spec);
	struct err err;

	(void)state;
	assert_int_equal(engine_stop(E, vm, 10000, &err), 0);
	world_wait(vm);
	assert_int_equal(vm->signal, SIGTERM);
	assert_int_equal(vm->exit_code, 143);
	assert_true(vm->stopping);
}

static void stopped_when_grace_is_over(void **state)
{
	static const char *const programs[] = {"stubborn", "deaf"};

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct vm_spec spec = world_spec(programs[i], NULL);
		struct vm *vm = world_start(&spec);
		uint64_t begin = loop_now_ns();
		struct err err;

		assert_int_equal(engine_stop(E, vm, 50, &err), 0);
		world_wait(vm);
		assert_int_equal(vm->signal, SIGKILL);
		assert_int_equal(vm->end, END_SIGNAL);
		assert_in_range(loop_now_ns() - begin, 50000000, 5000000000ull);
	}
}

static void ended_before_it_has_started(void **state)
{
	struct vm_spec spec = world_spec("exit:0", NULL);

	(void)state;
	world.knobs->never_ready = 100;
	spec.memory_bytes = 100 << 20;
	for (int way = 0; way < 4; way++) {
		struct told started = {0}, ended = {0};
		struct err err;
		struct vm *vm;

		assert_int_equal(engine_create(E, &spec, &vm, &err), 0);
		assert_int_equal(engine_kill(E, vm, SIGKILL, &err), ENGINE_CONFLICT);
		engine_wait(E, vm, tell, &ended);
		assert_int_equal(engine_start(E, vm, tell, &started, &err), 0);
		for (int turns = 0; turns < way * 3; turns++)
			world_until(was_told, &(struct told){.calls = 1}, "");
		if (way % 2)
			assert_int_equal(engine_kill(E, vm, SIGKILL, &err), 0);
		else
			assert_int_equal(engine_remove(E, vm, true, &err), 0);
		assert_int_equal(started.calls, 1);
		assert_int_equal(started.failure, ENGINE_CONFLICT);
		assert_int_equal(ended.calls, 1);
	}
	world_ready(2);
}

/* ---- questions ---- */

static void paused_and_resumed(void **state)
{
	struct vm_spec spec = world_spec("serve", NULL);
	struct vm *vm = world_start(&spec);
	struct told told = {0}, again = {0};
	struct err err;

	(void)state;
	assert_int_equal(engine_pause(E, vm, false, tell, &told, &err), ENGINE_CONFLICT);
	assert_int_equal(engine_pause(E, vm, true, tell, &told, &err), 0);
	assert_int_equal(engine_pause(E, vm, true, tell, &told, &err), ENGINE_CONFLICT);
	assert_int_equal(engine_pause(E, vm, false, tell, &told, &err), ENGINE_CONFLICT);
	world_until(was_told, &told, "it is paused");
	assert_int_equal(told.failure, 0);
	assert_int_equal(vm->state, VM_PAUSED);
	assert_int_equal(engine_pause(E, vm, true, tell, &told, &err), ENGINE_CONFLICT);
	assert_int_equal(engine_pause(E, vm, false, tell, &again, &err), 0);
	world_until(was_told, &again, "it is resumed");
	assert_int_equal(vm->state, VM_RUNNING);
	assert_int_equal(engine_kill(E, vm, SIGKILL, &err), 0);
	world_wait(vm);
	assert_int_equal(engine_pause(E, vm, true, tell, &told, &err), ENGINE_CONFLICT);
}

static void who_does_not_answer(void **state)
{
	struct vm_spec spec = world_spec("deaf", NULL);
	struct vm *vm = world_start(&spec);
	struct told pause = {0}, stats = {0}, more = {0}, last = {0};
	uint64_t begin = loop_now_ns();
	struct err err;

	(void)state;
	assert_int_equal(engine_pause(E, vm, true, tell, &pause, &err), 0);
	assert_int_equal(engine_stats(E, vm, tell, &stats, &err), 0);
	assert_int_equal(engine_stats(E, vm, tell, &more, &err), 0);
	world_until(was_told, &more, "2 s are over");
	assert_in_range(loop_now_ns() - begin, 1900000000, 5000000000ull);
	assert_int_equal(pause.failure, ENGINE_FAILED);
	assert_int_equal(stats.failure, ENGINE_FAILED);
	assert_non_null(strstr(stats.message, "2 s"));
	assert_int_equal(vm->state, VM_RUNNING);
	/* One that ends meanwhile. */
	assert_int_equal(engine_stats(E, vm, tell, &last, &err), 0);
	engine_kill(E, vm, SIGKILL, &err);
	world_wait(vm);
	assert_int_equal(last.calls, 1);
	assert_int_equal(last.failure, ENGINE_CONFLICT);
}

static void stats_are_shared_by_who_asks_together(void **state)
{
	struct vm_spec spec = world_spec("serve", NULL);
	struct vm *vm = world_start(&spec);
	struct told told[3] = {0};
	struct err err;

	(void)state;
	for (int i = 0; i < 3; i++)
		assert_int_equal(engine_stats(E, vm, tell, &told[i], &err), 0);
	world_until(was_told, &told[2], "the figures have come");
	for (int i = 0; i < 3; i++) {
		assert_int_equal(told[i].calls, 1);
		assert_int_equal(told[i].failure, 0);
	}
	assert_int_equal(vm->counters.waits, 42);
	assert_int_equal(vm->counters.resident_bytes, 1 << 20);
}

/* ---- input ---- */

static void input_with_the_request(void **state)
{
	struct vm_spec spec = world_spec("stdin", NULL);
	struct told told = {0};
	struct err err;
	struct vm *vm;

	(void)state;
	spec.stdin_data = "some input";
	spec.stdin_bytes = 10;
	vm = world_start(&spec);
	assert_true(engine_input(E, vm, "x", 1, false, tell, &told, &err) == ENGINE_CONFLICT);
	world_wait(vm);
	assert_int_equal(vm->out_bytes[0], 10);
	assert_memory_equal(vm->out[0], "some input", 10);
}

static void input_that_is_larger_than_the_ring(void **state)
{
	struct vm_spec spec = world_spec("stdin", NULL);
	const size_t bytes = 700001;
	char *data = calloc(1, bytes);
	struct vm *vm;

	(void)state;
	spec.stdin_data = data;
	spec.stdin_bytes = bytes;
	vm = world_start(&spec);
	free(data);
	world_wait(vm);
	assert_memory_equal(vm->out[0], "700001 bytes", 12);
}

static void input_that_comes_later(void **state)
{
	static char much[60001];
	struct vm_spec spec = world_spec("stdin", NULL);
	struct told told[4] = {0};
	struct err err;
	struct vm *vm;

	(void)state;
	spec.stdin_open = true;
	vm = world_start(&spec);
	assert_int_equal(engine_input(E, vm, much, 60001, false, tell, &told[0], &err),
			 ENGINE_TOO_LARGE);
	assert_int_equal(engine_input(E, vm, "abc", 3, false, tell, &told[0], &err), 0);
	/* One at a time. */
	assert_int_equal(engine_input(E, vm, "abc", 3, false, tell, &told[1], &err), ENGINE_BUSY);
	assert_string_equal(err.message, "0");
	world_until(was_told, &told[0], "it was taken");
	assert_int_equal(told[0].failure, 0);
	/* More than the ring has room for. */
	assert_int_equal(engine_input(E, vm, much, 60000, true, tell, &told[1], &err), 0);
	world_until(was_told, &told[1], "some was taken");
	assert_int_equal(told[1].failure, ENGINE_BUSY);
	assert_string_equal(told[1].message, "20000");
	assert_int_equal(engine_input(E, vm, "end", 3, true, tell, &told[2], &err), 0);
	world_wait(vm);
	assert_int_equal(told[2].failure, 0);
	assert_int_equal(engine_input(E, vm, "x", 1, true, tell, &told[3], &err), ENGINE_CONFLICT);
	assert_memory_equal(vm->out[0], "20006 bytes", 11);
}

/* ---- events ---- */

struct log {
	char text[400];
	uint64_t first, last;
	int count;
	uint64_t token;
};

static void listen_to(void *arg, const struct event *event)
{
	struct log *l = arg;

	if (!l->count++)
		l->first = event->number;
	assert_true(!l->last || event->number == l->last + 1);
	l->last = event->number;
	if (strlen(l->text) < 300)
		sprintf(l->text + strlen(l->text), "%s ", event->type);
}

static void events_in_order(void **state)
{
	struct vm_spec spec = world_spec("exit:4", NULL);
	struct log log = {0}, late = {0};
	struct vm *vm;

	(void)state;
	log.token = engine_listen(E, 0, listen_to, &log);
	assert_true(log.token);
	spec.remove = false;
	vm = world_start(&spec);
	world_wait(vm);
	engine_remove(E, vm, false, &(struct err){0});
	assert_string_equal(log.text, "create image start exit remove ");
	/* Who comes late gets what is kept. */
	engine_unlisten(E, log.token);
	engine_unlisten(E, log.token);
	late.token = engine_listen(E, log.first, listen_to, &late);
	assert_string_equal(late.text, log.text);
	engine_unlisten(E, late.token);
	late = (struct log){0};
	late.token = engine_listen(E, log.last + 100, listen_to, &late);
	assert_int_equal(late.count, 0);
	engine_unlisten(E, late.token);
}

static void old_events_are_lost_and_counted(void **state)
{
	struct vm_spec spec = world_spec("exit:4", NULL);
	struct engine_metrics m;
	struct log log = {0};
	struct err err;
	struct vm *vm;

	(void)state;
	for (int i = 0; i < 800; i++) {
		assert_int_equal(engine_create(E, &spec, &vm, &err), 0);
		assert_int_equal(engine_remove(E, vm, false, &err), 0);
	}
	engine_unlisten(E, engine_listen(E, 1, listen_to, &log));
	assert_int_equal(log.count, 1024);
	engine_metrics(E, &m);
	assert_int_equal(m.events_lost, log.first - 1);
}

/* ---- limits ---- */

static void limits_go_to_cgroups(void **state)
{
	struct engine_options options = world_options();
	struct vm_spec spec;
	struct err err;
	struct vm *vm;

	(void)state;
	options.cgroup = "auto";
	world_open(&options);
	world_ready(2);
	assert_int_equal(world.cgroups_made, 2);
	spec = world_spec("exit:0", NULL);
	spec.pids_max = 1;
	assert_int_equal(engine_create(E, &spec, &vm, &err), ENGINE_BAD);
	spec.pids_max = 0;
	/* A warm shell gets them at its start, one that is made for it from the beginning. */
	spec.memory_max_bytes = 50 << 20;
	world_wait(world_start(&spec));
	assert_int_equal(world.cgroups_set, 1);
	assert_int_equal(world.last_memory_max, 50 << 20);
	spec.memory_max_bytes = 70 << 20;
	spec.memory_bytes = 100 << 20;
	world_wait(world_start(&spec));
	assert_int_equal(world.cgroups_set, 1);
	assert_int_equal(world.last_memory_max, 70 << 20);
	/* The kernel has ended it. */
	spec = world_spec("die:9", NULL);
	spec.memory_max_bytes = 12345678;
	vm = world_start(&spec);
	world_wait(vm);
	assert_non_null(strstr(vm->reason, "memory limit"));
	/* They cannot be set: it does not start without. */
	world_ready(2);
	world.cgroups_fail = 1;
	vm = world_start(&spec);
	assert_int_equal(vm->state, VM_EXITED);
	assert_non_null(strstr(vm->reason, "cannot set the limit"));
	world.cgroups_fail = 0;
	world_close();
}

#define IN_WORLD(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_WORLD(net_devices_are_opened_and_handed_on),
		IN_WORLD(net_devices_with_large_arguments),
		IN_WORLD(an_address_is_one_vms),
		IN_WORLD(flavours_with_net),
		IN_WORLD(a_flavour_goes_while_somebody_waits),
		IN_WORLD(a_flavour_whose_net_cannot_be_opened),
		IN_WORLD(net_that_makes_no_sense),
		IN_WORLD(net_that_cannot_be_opened),
		IN_WORLD(ended_while_its_net_is_opened),
		IN_WORLD(a_warm_start),
		IN_WORLD(done_and_wait_are_each_called_once),
		IN_WORLD(many_at_once),
		IN_WORLD(a_size_of_its_own_is_cold),
		IN_WORLD(impossible_sizes),
		IN_WORLD(images_that_cannot_run),
		IN_WORLD(large_arguments_and_environments),
		IN_WORLD(callers_descriptors),
		IN_WORLD(captured_output_comes_in_pieces),
		IN_WORLD(logs_live_as_long_as_their_record),
		IN_WORLD(captured_vms_leave_no_log),
		cmocka_unit_test(the_oldest_records_go),
		IN_WORLD(marked_remove_it_goes_after_those_who_wait),
		IN_WORLD(killed_by_the_caller),
		IN_WORLD(signalled_by_the_caller),
		IN_WORLD(killed_from_outside),
		IN_WORLD(a_violation_of_the_filter_has_a_reason),
		IN_WORLD(stopped_gently),
		IN_WORLD(stopped_when_grace_is_over),
		IN_WORLD(ended_before_it_has_started),
		IN_WORLD(paused_and_resumed),
		IN_WORLD(who_does_not_answer),
		IN_WORLD(stats_are_shared_by_who_asks_together),
		IN_WORLD(input_with_the_request),
		IN_WORLD(input_that_is_larger_than_the_ring),
		IN_WORLD(input_that_comes_later),
		IN_WORLD(events_in_order),
		IN_WORLD(old_events_are_lost_and_counted),
		cmocka_unit_test(limits_go_to_cgroups),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
