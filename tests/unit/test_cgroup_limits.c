/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_cgroup_limits.c: real cgroups, of whichever version this machine has: processes that
 * join are limited and counted, and nothing is left. tests/amdv/scripts runs it on both.
 */
/* sources: tests/unit/cgroup_world.c monitor/daemon/cgroup.c monitor/daemon/cgroup_limits.c */
/* sources: monitor/daemon/cgroup_tree.c monitor/daemon/cgroup_place.c */
/* sources: monitor/daemon/cgroup_parse.c monitor/err.c */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cgroup_world.h"

static int touch_and_wait(int mib)
{
	return touch_mib(mib) == 7 ? wait_for_stop(0) : 101;
}

/* How many more processes there can be. */
static int fork_many(int most)
{
	pid_t pid[16];
	int n = 0, why = 0;

	for (; n < most; n++) {
		pid[n] = fork();
		if (pid[n] == 0)
			wait_for_stop(0);
		if (pid[n] < 0) {
			why = errno;
			break;
		}
	}
	for (int i = 0; i < n; i++) {
		kill(pid[i], SIGKILL);
		waitpid(pid[i], NULL, 0);
	}
	return n < most && why != EAGAIN ? 102 : n;
}

static int burn_ms(int ms)
{
	while (now_ns(CLOCK_PROCESS_CPUTIME_ID) < (uint64_t)ms * 1000000)
		;
	return 7;
}

/* Burns CPU 0, in competition with the other, until told to stop. */
static int compete(int which)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(0, &one);
	if (sched_setaffinity(0, sizeof(one), &one))
		return 103;
	shared->ready++;
	while (shared->ready < 2)
		sched_yield();
	while (!shared->stop)
		shared->cpu_ns[which] = now_ns(CLOCK_PROCESS_CPUTIME_ID);
	return 7;
}

/* ---- tests ---- */

static void join_and_leave(void **state)
{
	struct cgroup_usage u;
	char name[64], line[512];
	int inside = 0;
	pid_t pid;
	FILE *f;

	(void)state;
	cs = open_or_fail("auto");
	assert_int_equal(cgroups_usage(cs, 1, &u), -ENOENT);
	pid = run(1, NULL, touch_and_wait, 1);
	while (!shared->ready)
		pause_ms(1);

	snprintf(name, sizeof(name), "/proc/%d/cgroup", pid);
	f = fopen(name, "r");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		inside += strstr(line, "/shell-1\n") != NULL;
	fclose(f);
	assert_true(inside >= 1);

	assert_int_equal(cgroups_usage(cs, 1, &u), 0);
	assert_int_equal(u.pids, 1);
	assert_true(u.memory_bytes >= MIB && u.memory_bytes < 64 * MIB);
	assert_int_equal(u.oom_kills, 0);
	assert_true(u.cpu_ns == CGROUP_UNKNOWN || u.cpu_ns < PATIENCE_S * 1000000000ull);
	assert_false(cgroups_out_of_memory(cs, 1));

	/* It cannot be removed yet, and is when the process has ended. */
	cgroups_remove(cs, 1);
	assert_true(cgroups_collect(cs) > 0);
	assert_int_equal(cgroups_usage(cs, 1, &u), 0);
	kill(pid, SIGKILL);
	ended(pid);
	collect_all();
	assert_int_equal(cgroups_usage(cs, 1, &u), -ENOENT);
	gone(cgroups_path(cs), "/shell-1");
}

static void numbers_are_kept_apart(void **state)
{
	int fds[ZYGOTE_MAX_CGROUPS], n;
	struct cgroup_usage u;
	struct err err = {0};

	(void)state;
	cs = open_or_fail("auto");
	n = cgroups_create(cs, UINT64_MAX, NULL, fds, &err);
	assert_true(n > 0);
	/* A second one of this number would be the first. */
	assert_int_equal(cgroups_create(cs, UINT64_MAX, NULL, fds + 0, &err), -EEXIST);
	assert_non_null(strstr(err.message, "shell-18446744073709551615"));
	assert_int_equal(cgroups_usage(cs, UINT64_MAX, &u), 0);
	for (int i = 0; i < n; i++)
		close(fds[i]);
	cgroups_remove(cs, UINT64_MAX);
	assert_int_equal(cgroups_collect(cs), 0);
	assert_int_equal(cgroups_usage(cs, UINT64_MAX, &u), -ENOENT);
	cgroups_remove(cs, UINT64_MAX); /* what is not there is nothing to come back to */
	assert_int_equal(cgroups_collect(cs), 0);
}

static void memory_max(void **state)
{
	const struct cgroup_limits limits = {.memory_max_bytes = 16 * MIB};
	pid_t pid;
	int status;

	(void)state;
	cs = open_or_fail("auto");
	pid = run(1, &limits, touch_mib, 8);
	status = ended(pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 7);
	assert_false(cgroups_out_of_memory(cs, 1));

	pid = run(2, &limits, touch_mib, 64);
	status = ended(pid);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGKILL);
	assert_true(cgroups_out_of_memory(cs, 2));
	assert_false(cgroups_out_of_memory(cs, 1));
	cgroups_remove(cs, 1);
	cgroups_remove(cs, 2);
	collect_all();
}

/* A warm shell's limits come after it has joined, and may change in both directions. */
static void memory_max_later(void **state)
{
	static const uint64_t mib[] = {32, 256, 16, 96};
	struct cgroup_limits limits = {0};
	int fds[ZYGOTE_MAX_CGROUPS], n, status;
	struct err err = {0};
	pid_t pid;

	(void)state;
	cs = open_or_fail("auto");
	n = cgroups_create(cs, 1, NULL, fds, &err);
	assert_true(n > 0);
	for (size_t i = 0; i < sizeof(mib) / sizeof(mib[0]); i++) {
		limits.memory_max_bytes = mib[i] * MIB;
		if (cgroups_set(cs, 1, &limits, &err))
			fail_msg("%s", err.message);
	}
	pid = start(fds, n, touch_mib, 64);
	status = ended(pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 7);
	/* The others stay as they are when only one is set. */
	limits = (struct cgroup_limits){.pids_max = 10};
	assert_int_equal(cgroups_set(cs, 1, &limits, &err), 0);
	cgroups_remove(cs, 1);

	assert_true(cgroups_set(cs, 99, &limits, &err) < 0);
	assert_non_null(strstr(err.message, "99"));
}

static void pids_max(void **state)
{
	const struct cgroup_limits limits = {.pids_max = 4};
	int status;

	(void)state;
	cs = open_or_fail("auto");
	status = ended(run(1, NULL, fork_many, 6));
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 6);
	status = ended(run(2, &limits, fork_many, 6));
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 3);
	cgroups_remove(cs, 1);
	cgroups_remove(cs, 2);
	collect_all();
}

static void cpu_max(void **state)
{
	const struct cgroup_limits limits = {.cpu_max_milli = 200};
	struct cgroup_usage u;
	uint64_t begin, took;
	int status;

	(void)state;
	cs = open_or_fail("auto");
	begin = now_ns(CLOCK_MONOTONIC);
	status = ended(run(1, &limits, burn_ms, 150));
	took = now_ns(CLOCK_MONOTONIC) - begin;
	assert_int_equal(WEXITSTATUS(status), 7);
	/* A fifth of a CPU: 750 ms, less what the first and the last period give ahead. */
	if (took < 500000000)
		fail_msg("150 ms of CPU time at a fifth of a CPU took %llu ms",
			 (unsigned long long)(took / 1000000));
	assert_int_equal(cgroups_usage(cs, 1, &u), 0);
	assert_true(u.cpu_ns == CGROUP_UNKNOWN || u.cpu_ns >= 140000000);
	cgroups_remove(cs, 1);
}

static void cpu_weight(void **state)
{
	const struct cgroup_limits light = {.cpu_weight = 100}, heavy = {.cpu_weight = 1000};
	pid_t a, b;

	(void)state;
	cs = open_or_fail("auto");
	a = run(1, &light, compete, 0);
	b = run(2, &heavy, compete, 1);
	while (shared->ready < 2)
		pause_ms(1);
	pause_ms(700);
	shared->stop = 1;
	assert_int_equal(WEXITSTATUS(ended(a)), 7);
	assert_int_equal(WEXITSTATUS(ended(b)), 7);
	if (shared->cpu_ns[1] < 4 * shared->cpu_ns[0])
		fail_msg("with ten times the weight it got %llu ms, the other %llu",
			 (unsigned long long)(shared->cpu_ns[1] / 1000000),
			 (unsigned long long)(shared->cpu_ns[0] / 1000000));
	cgroups_remove(cs, 1);
	cgroups_remove(cs, 2);
	collect_all();
}

static void limits_refused(void **state)
{
	static const struct {
		struct cgroup_limits limits;
		const char *says;
	} bad[] = {
		{{.cpu_weight = 10001}, "10001"},
		{{.cpu_max_milli = UINT32_MAX}, "4294967295"},
		{{.pids_max = 1}, "process"},
		{{.pids_max = UINT64_MAX}, "process"},
		{{.memory_max_bytes = UINT64_MAX}, "memory"},
	};
	int fds[ZYGOTE_MAX_CGROUPS];
	struct cgroup_usage u;

	(void)state;
	cs = open_or_fail("auto");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct err err = {0};

		assert_int_equal(cgroups_check(cs, &bad[i].limits, &err), -EINVAL);
		assert_non_null(strstr(err.message, bad[i].says));
		assert_int_equal(cgroups_create(cs, 1, &bad[i].limits, fds, &err), -EINVAL);
		assert_int_equal(cgroups_usage(cs, 1, &u), -ENOENT);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(join_and_leave), TEST(numbers_are_kept_apart),
		TEST(memory_max),     TEST(memory_max_later),
		TEST(pids_max),       TEST(cpu_max),
		TEST(cpu_weight),     TEST(limits_refused),
	};

	return run_on_cgroups(tests, sizeof(tests) / sizeof(tests[0]));
}
