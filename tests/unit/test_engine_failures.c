/* SPDX-License-Identifier: Apache-2.0 */
/* test_engine_failures.c: what goes wrong around the daemon's engine, and hostile shells. */
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
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

static struct engine_metrics metrics(void)
{
	struct engine_metrics m;

	engine_metrics(E, &m);
	return m;
}

static struct flavour_level level(void)
{
	struct flavour_level l[ENGINE_MAX_FLAVOURS];

	assert_true(engine_pool(E, l) >= 1);
	return l[0];
}

/* Takes all ready shells, so that the next start has to wait for one. */
static void empty_the_pool(void)
{
	struct flavour none = {64 << 20, 0, 0, ""};
	struct err err;

	assert_int_equal(engine_set_pool(E, &none, 1, &err), 0);
	world_ready(0);
}

/* ---- hostile shells ---- */

static void nobody_speaks_for_another(void **state)
{
	struct vm_spec victim_spec = world_spec("serve", NULL), spec;
	struct vm *victim = world_start(&victim_spec), *vm;
	struct err err;

	(void)state;
	world_ready(2);
	spec = world_spec("evil:spoof", "exit:0", NULL);
	vm = world_start(&spec);
	world_wait(vm);
	assert_int_equal(victim->state, VM_RUNNING);
	assert_in_range(metrics().news_rejected, 10, 100);
	/* It is ended for it: that often is no accident. */
	assert_int_equal(vm->end, END_FAILED);
	assert_non_null(strstr(vm->reason, "rules"));
	assert_int_equal(engine_kill(E, victim, SIGKILL, &err), 0);
	world_wait(victim);
	assert_int_equal(victim->exit_code, 137);
}

static void noise_ends_its_maker(void **state)
{
	struct vm_spec spec = world_spec("evil:noise", "serve", NULL);
	struct vm *vm = world_start(&spec);

	(void)state;
	world_wait(vm);
	assert_int_equal(vm->end, END_FAILED);
	assert_int_equal(vm->exit_code, 125);
	assert_non_null(strstr(vm->reason, "rules"));
}

static void a_bit_of_noise_is_only_counted(void **state)
{
	struct vm_spec spec = world_spec("evil:noise-a-bit", "exit:3", NULL);
	struct vm *vm = world_start(&spec);

	(void)state;
	world_wait(vm);
	assert_int_equal(vm->end, END_EXITED);
	assert_int_equal(vm->exit_code, 3);
	assert_int_equal(metrics().news_rejected, 5);
}

static void answers_that_nobody_asked_for(void **state)
{
	struct vm_spec spec = world_spec("evil:unasked", "exit:3", NULL);
	struct vm *vm = world_start(&spec);

	(void)state;
	world_wait(vm);
	assert_int_equal(vm->exit_code, 3);
	assert_int_equal(metrics().news_rejected, 4);
}

static void captured_output_is_bounded(void **state)
{
	struct vm_spec spec = world_spec("evil:too-much", "exit:0", NULL);
	struct vm *vm;

	(void)state;
	spec.capture_bytes = 70000;
	vm = world_start(&spec);
	world_wait(vm);
	assert_int_equal(vm->out_bytes[0], 60000);
	assert_int_equal(metrics().news_rejected, 2);
}

static void the_first_exit_counts(void **state)
{
	struct vm_spec spec = world_spec("evil:twice", "exit:3", NULL);
	struct vm *vm = world_start(&spec);

	(void)state;
	world_wait(vm);
	assert_int_equal(vm->exit_code, 1);
	assert_int_equal(metrics().ended[END_EXITED], 1);
}

static void reasons_are_fit_to_be_shown(void **state)
{
	struct vm_spec spec = world_spec("evil:escapes", "exit:3", NULL);
	struct vm *vm = world_start(&spec);

	(void)state;
	world_wait(vm);
	assert_string_equal(vm->reason, "?[2Jgone ?");
}

static bool has_no_process(void *arg)
{
	return kill(*(pid_t *)arg, 0) && errno == ESRCH;
}

static void one_that_does_not_go_is_ended(void **state)
{
	struct vm_spec spec = world_spec("evil:stays", NULL);
	struct vm *vm = world_start(&spec);
	pid_t pid = vm->pid;

	(void)state;
	world_wait(vm);
	assert_int_equal(vm->end, END_EXITED);
	assert_int_equal(kill(pid, 0), 0);
	world_until(has_no_process, &pid, "its process is gone");
}

/* ---- shells that are not to be had ---- */

static struct vm *try_start(void)
{
	struct vm_spec spec = world_spec("exit:0", NULL);
	struct vm *vm = world_start(&spec);

	world_wait(vm);
	return vm;
}

static void out_of_processes(void **state)
{
	struct vm *vm;

	(void)state;
	empty_the_pool();
	world.knobs->errnum = EAGAIN;
	world.knobs->fail_spawns = 1;
	vm = try_start();
	assert_int_equal(vm->end, END_FAILED);
	assert_non_null(strstr(vm->reason, "cannot fork a shell"));
	assert_non_null(strstr(vm->reason, "pid_max"));
	assert_int_equal(level().failed, 1);
	/* And it lives on. */
	assert_int_equal(try_start()->exit_code, 0);
}

static void the_background_pauses_and_recovers(void **state)
{
	struct flavour f = {64 << 20, 4, 8, ""};
	struct err err;
	int spawns;

	(void)state;
	world.knobs->errnum = ENOMEM;
	world.knobs->fail_spawns = 3;
	spawns = world.knobs->spawns;
	assert_int_equal(engine_set_pool(E, &f, 1, &err), 0);
	world_ready(4);
	assert_int_equal(level().failed, 3);
	/* It has not tried again and again meanwhile. */
	assert_in_range(world.knobs->spawns - spawns, 5, 6);
}

static void a_shell_that_dies_early(void **state)
{
	struct vm *vm;

	(void)state;
	empty_the_pool();
	world.knobs->die_early = 1;
	vm = try_start();
	assert_int_equal(vm->end, END_FAILED);
	assert_non_null(strstr(vm->reason, "exited with 7"));
	world.knobs->fail_early = 1;
	vm = try_start();
	assert_non_null(strstr(vm->reason, "no memory for a VM"));
	assert_non_null(strstr(vm->reason, "MiB of memory are available"));
	/* One of its own size, too. */
	struct vm_spec spec = world_spec("exit:0", NULL);

	spec.memory_bytes = 128 << 20;
	world.knobs->fail_early = 1;
	vm = world_start(&spec);
	world_wait(vm);
	assert_non_null(strstr(vm->reason, "no memory for a VM"));
	world.knobs->die_early = 1;
	vm = world_start(&spec);
	world_wait(vm);
	assert_non_null(strstr(vm->reason, "exited with 7"));
	vm = world_start(&spec);
	world_wait(vm);
	assert_int_equal(vm->exit_code, 0);
}

/* Has it ended? Reaped or not. */
static bool is_zombie(pid_t pid)
{
	char path[64], text[200] = "", *state;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	file = fopen(path, "r");
	if (!file)
		return true;
	state = fgets(text, sizeof(text), file) ? strrchr(text, ')') : NULL;
	fclose(file);
	return state && state[2] == 'Z';
}

static void await_end(pid_t pid)
{
	for (int i = 0; i < 1000 && !is_zombie(pid); i++)
		usleep(10000);
}

static void a_ready_shell_that_was_ended_is_replaced(void **state)
{
	int spawns = world.knobs->spawns, pid[2], n;
	char path[100];
	FILE *file;

	(void)state;
	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)world_zygote(),
		 (int)world_zygote());
	file = fopen(path, "r");
	assert_non_null(file);
	n = fscanf(file, "%d %d", &pid[0], &pid[1]);
	fclose(file);
	assert_int_equal(n, 2);
	for (int i = 0; i < 2; i++) {
		kill(pid[i], SIGKILL);
		await_end(pid[i]);
	}
	/* The loop has not run: the engine takes them for ready, and finds out. */
	assert_int_equal(level().ready, 2);
	for (int i = 0; i < 4; i++)
		assert_int_equal(try_start()->exit_code, 0);
	world_ready(2);
	assert_true(world.knobs->spawns >= spawns + 4);
}

/* ---- the zygote ---- */

static void when_the_zygote_ends_its_vms_end_and_another_comes(void **state)
{
	struct vm_spec spec = world_spec("serve", NULL);
	struct vm *vm[3];

	(void)state;
	for (int i = 0; i < 3; i++)
		vm[i] = world_start(&spec);
	kill(world_zygote(), SIGKILL);
	for (int i = 0; i < 3; i++) {
		world_wait(vm[i]);
		assert_int_equal(vm[i]->end, END_FAILED);
		assert_non_null(strstr(vm[i]->reason, "zygote was ended by signal 9"));
	}
	assert_int_equal(metrics().killed, 3);
	/* One that is started meanwhile waits for it. */
	assert_int_equal(try_start()->exit_code, 0);
	world_ready(2);
	assert_int_equal(world.knobs->zygotes, 2);
}

static void an_exit_that_was_told_counts_in_spite_of_it(void **state)
{
	struct vm_spec spec = world_spec("exit:9", NULL);
	pid_t zygote = world_zygote();
	struct vm *vm = world_start(&spec);

	(void)state;
	/* The loop does not run meanwhile: news and end are both unread when it looks. */
	await_end(vm->pid);
	kill(zygote, SIGKILL);
	await_end(zygote);
	world_wait(vm);
	assert_int_equal(vm->end, END_EXITED);
	assert_int_equal(vm->exit_code, 9);
}

/* ---- flavours ---- */

static void flavours_are_checked(void **state)
{
	const struct {
		struct flavour f[2];
		size_t n;
		const char *says;
	} bad[] = {
		{{{64 << 20, 1, 2, ""}}, 0, "flavours"},
		{{{64 << 20, 3, 2, ""}}, 1, "minimum"},
		{{{64 << 20, 1, 1000000, ""}}, 1, "maximum"},
		{{{128 << 20, 1, 2, ""}}, 1, "default"},
		{{{64 << 20, 1, 2, ""}, {64 << 20, 1, 2, ""}}, 2, "two flavours"},
		{{{64 << 20, 1, 2, ""}, {4096, 1, 2, ""}}, 2, "at least"},
	};
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(engine_set_pool(E, bad[i].f, bad[i].n, &err), ENGINE_BAD);
		if (!strstr(err.message, bad[i].says))
			fail_msg("\"%s\" does not say \"%s\"", err.message, bad[i].says);
	}
	assert_int_equal(level().flavour.minimum, 2);
}

static bool one_and_two(void *arg)
{
	struct flavour_level l[ENGINE_MAX_FLAVOURS];

	(void)arg;
	return engine_pool(E, l) == 2 && l[0].ready == 1 && l[1].ready == 2;
}

static void flavours_come_and_go(void **state)
{
	const struct flavour two[] = {{64 << 20, 1, 4, ""}, {128 << 20, 2, 4, ""}};
	struct vm_spec spec = world_spec("exit:0", NULL);
	struct err err;
	struct vm *vm;

	(void)state;
	assert_int_equal(engine_set_pool(E, two, 2, &err), 0);
	world_until(one_and_two, NULL, "one and two are ready");
	spec.memory_bytes = 128 << 20;
	vm = world_start(&spec);
	assert_true(vm->warm);
	world_wait(vm);
	assert_int_equal(engine_set_pool(E, two, 1, &err), 0);
	world_ready(1);
	vm = world_start(&spec);
	assert_false(vm->warm);
	world_wait(vm);
}

static bool was_spawned(void *arg)
{
	return world.knobs->spawns > *(int *)arg;
}

static void ignore(void *arg, struct vm *vm, int failure, const struct err *err)
{
	(void)arg, (void)vm, (void)failure, (void)err;
}

static void what_waits_survives_a_change_of_flavours(void **state)
{
	const struct flavour two[] = {{64 << 20, 0, 0, ""}, {128 << 20, 0, 0, ""}};
	struct vm_spec spec = world_spec("exit:0", NULL);
	struct err err;
	struct vm *vm;
	int spawns;

	(void)state;
	assert_int_equal(engine_set_pool(E, two, 2, &err), 0);
	world_ready(0);
	spawns = world.knobs->spawns;
	world.knobs->never_ready = 1;
	spec.memory_bytes = 128 << 20;
	assert_int_equal(engine_create(E, &spec, &vm, &err), 0);
	assert_int_equal(engine_start(E, vm, ignore, NULL, &err), 0);
	world_until(was_spawned, &spawns, "a shell is made for it");
	assert_int_equal(vm->state, VM_STARTING);
	/* That one never becomes ready; but now it is alone with its size, and gets its own. */
	assert_int_equal(engine_set_pool(E, two, 1, &err), 0);
	world_wait(vm);
	assert_int_equal(vm->exit_code, 0);
}

/* ---- the end ---- */

static void is_over(void *arg)
{
	*(bool *)arg = true;
}

static bool was_over(void *arg)
{
	return *(bool *)arg;
}

static void all_end_in_order(void **state)
{
	struct vm_spec spec = world_spec("serve", NULL);
	struct vm *vm[3], *late;
	struct err err;
	bool over = false;

	(void)state;
	for (int i = 0; i < 3; i++)
		vm[i] = world_start(&spec);
	engine_end_all(E, is_over, &over);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(vm[i]->state, VM_EXITED);
		assert_non_null(strstr(vm[i]->reason, "daemon was ended"));
	}
	world_until(was_over, &over, "all processes have gone");
	assert_int_equal(world_count("shell"), 0);
	assert_int_equal(engine_create(E, &spec, &late, &err), 0);
	late = world_start(&spec);
	assert_non_null(strstr(late->reason, "ending"));
}

#define IN_WORLD(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_WORLD(nobody_speaks_for_another),
		IN_WORLD(noise_ends_its_maker),
		IN_WORLD(a_bit_of_noise_is_only_counted),
		IN_WORLD(answers_that_nobody_asked_for),
		IN_WORLD(captured_output_is_bounded),
		IN_WORLD(the_first_exit_counts),
		IN_WORLD(reasons_are_fit_to_be_shown),
		IN_WORLD(one_that_does_not_go_is_ended),
		IN_WORLD(out_of_processes),
		IN_WORLD(the_background_pauses_and_recovers),
		IN_WORLD(a_shell_that_dies_early),
		IN_WORLD(a_ready_shell_that_was_ended_is_replaced),
		IN_WORLD(when_the_zygote_ends_its_vms_end_and_another_comes),
		IN_WORLD(an_exit_that_was_told_counts_in_spite_of_it),
		IN_WORLD(flavours_are_checked),
		IN_WORLD(flavours_come_and_go),
		IN_WORLD(what_waits_survives_a_change_of_flavours),
		IN_WORLD(all_end_in_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
