/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_cgroup_live.c: real cgroups, of whichever version this machine has: processes that join
 * are limited and counted, and nothing is left. `make check-amdv` runs it on v2, too.
 */
/* sources: monitor/daemon/cgroup.c monitor/daemon/cgroup_limits.c monitor/daemon/cgroup_tree.c
 * monitor/daemon/cgroup_place.c monitor/daemon/cgroup_parse.c monitor/err.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../../monitor/daemon/cgroup.h"

#define MIB        (1ull << 20)
#define PATIENCE_S 30
#define V2_ROOT    "/sys/fs/cgroup"

/* Shared with children. */
static struct shared {
	atomic_int ready, stop;
	uint64_t cpu_ns[2];
	char text[512];
	pid_t pid;
} * shared;

static struct cgroups *cs; /* of the test that runs */
static pid_t alive[8];     /* to be killed after it, whatever comes */

static uint64_t now_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void pause_ms(unsigned ms)
{
	nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
}

/* The sources under test write the message; a test that fails should show it. */
static struct cgroups *open_or_fail(const char *parent)
{
	struct err err = {0};
	struct cgroups *c = cgroups_open(parent, &err);

	if (!c)
		fail_msg("cgroups_open(%s): %s", parent, err.message);
	return c;
}

static int before(void **state)
{
	(void)state;
	memset(shared, 0, sizeof(*shared));
	memset(alive, 0, sizeof(alive));
	cs = NULL;
	return 0;
}

/* Ends the children that a failed test left, then what it made. */
static int after(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(alive) / sizeof(alive[0]); i++)
		if (alive[i] > 0) {
			kill(alive[i], SIGKILL);
			waitpid(alive[i], NULL, 0);
		}
	for (int i = 0; cs && i < 100 && cgroups_collect(cs); i++)
		pause_ms(10);
	cgroups_close(cs);
	return 0;
}

static void forget(pid_t pid)
{
	for (size_t i = 0; i < sizeof(alive) / sizeof(alive[0]); i++)
		if (alive[i] == pid)
			alive[i] = 0;
}

/* waitpid's status, of a process that should end by itself. */
static int ended(pid_t pid)
{
	uint64_t end = now_ns(CLOCK_MONOTONIC) + PATIENCE_S * 1000000000ull;
	int status;

	while (waitpid(pid, &status, WNOHANG) == 0) {
		if (now_ns(CLOCK_MONOTONIC) > end)
			fail_msg("process %d does not end", pid);
		pause_ms(2);
	}
	forget(pid);
	return status;
}

/* Starts work(arg) in the cgroups behind fds, which it closes here. */
static pid_t start(int *fds, int n, int (*work)(int), int arg)
{
	pid_t pid = fork();

	if (pid == 0) {
		for (int i = 0; i < n; i++)
			if (write(fds[i], "0", 1) != 1)
				_exit(100);
		_exit(work(arg));
	}
	for (int i = 0; i < n; i++)
		close(fds[i]);
	assert_true(pid > 0);
	for (size_t i = 0; i < sizeof(alive) / sizeof(alive[0]); i++)
		if (!alive[i]) {
			alive[i] = pid;
			break;
		}
	return pid;
}

/* A new cgroup with limits and a process in it. */
static pid_t run(uint64_t shell, const struct cgroup_limits *limits, int (*work)(int), int arg)
{
	int fds[ZYGOTE_MAX_CGROUPS], n;
	struct err err = {0};

	n = cgroups_create(cs, shell, limits, fds, &err);
	if (n <= 0)
		fail_msg("cgroups_create: %d, %s", n, err.message);
	return start(fds, n, work, arg);
}

/* ---- what children do ---- */

static int wait_for_stop(int unused)
{
	alarm(2 * PATIENCE_S); /* should the test itself be killed */
	shared->ready++;
	while (!shared->stop)
		pause();
	return unused;
}

static int touch_mib(int mib)
{
	char *p = mmap(NULL, (size_t)mib << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		       -1, 0);

	if (p == MAP_FAILED)
		return 101;
	for (size_t i = 0; i < (size_t)mib << 20; i += 4096)
		*(volatile char *)(p + i) = 1;
	return 7;
}

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

static void gone(const char *path, const char *name)
{
	char text[700];

	snprintf(text, sizeof(text), "%s%s", path, name);
	if (access(text, F_OK) == 0)
		fail_msg("%s is left", text);
}

static void collect_all(void)
{
	for (int i = 0; cgroups_collect(cs); i++) {
		if (i == 500)
			fail_msg("%zu cgroups are left", cgroups_collect(cs));
		pause_ms(10);
	}
}

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

static void daemons_side_by_side(void **state)
{
	struct cgroups *other;
	struct cgroup_usage u;
	struct err err = {0};
	int fds[ZYGOTE_MAX_CGROUPS], n;
	char path[512];

	(void)state;
	cs = open_or_fail("auto");
	n = cgroups_create(cs, 1, NULL, fds, &err);
	assert_true(n > 0);
	for (int i = 0; i < n; i++)
		close(fds[i]);
	other = open_or_fail("auto");
	assert_string_not_equal(cgroups_path(cs), cgroups_path(other));
	snprintf(path, sizeof(path), "%s", cgroups_path(other));
	/* Empty as it is, the first one's cgroup is no leftover. */
	assert_int_equal(cgroups_usage(cs, 1, &u), 0);
	assert_int_equal(cgroups_usage(other, 1, &u), -ENOENT);
	cgroups_close(other);
	gone(path, "");
	assert_int_equal(cgroups_usage(cs, 1, &u), 0);
	cgroups_remove(cs, 1);
	assert_int_equal(cgroups_collect(cs), 0);
}

/* A daemon with five shells, one of which lives on, is killed; shared tells of both. */
static void be_killed(void)
{
	int fds[ZYGOTE_MAX_CGROUPS], n;
	struct err err = {0};

	cs = cgroups_open("auto", &err);
	if (!cs)
		_exit(1);
	snprintf(shared->text, sizeof(shared->text), "%s", cgroups_path(cs));
	for (uint64_t shell = 1; shell <= 5; shell++) {
		n = cgroups_create(cs, shell, NULL, fds, &err);
		if (n <= 0)
			_exit(2);
		if (shell == 3) {
			/* As the zygote is executed, what holds the daemon's lock is closed. */
			pid_t pid = fork();

			if (!pid) {
				for (int i = 0; i < n; i++)
					if (write(fds[i], "0", 1) != 1)
						_exit(3);
				shared->ready++;
				execl("/proc/self/exe", "test_cgroup_live", "--wait", NULL);
				_exit(4);
			}
			shared->pid = pid;
			while (!shared->ready)
				pause_ms(1);
		}
	}
	kill(getpid(), SIGKILL);
}

static void leftovers(void **state)
{
	pid_t daemon;
	char path[512];
	int status;

	(void)state;
	/* So that the one that lives on is ours to wait for. */
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	daemon = fork();
	if (!daemon)
		be_killed();
	alive[0] = daemon;
	status = ended(daemon);
	alive[1] = shared->pid;
	assert_true(WIFSIGNALED(status));
	assert_true(shared->pid > 0);
	snprintf(path, sizeof(path), "%s", shared->text);
	assert_int_equal(access(path, F_OK), 0);

	/* The lock goes when the last copy of its descriptor does: at the survivor's exec. */
	for (int i = 0;; i++) {
		char shell[600];

		snprintf(shell, sizeof(shell), "%s/shell-1", path);
		cs = open_or_fail("auto");
		if (access(shell, F_OK))
			break;
		assert_true(i < 200);
		cgroups_close(cs);
		cs = NULL;
		pause_ms(10);
	}
	gone(path, "/shell-2");
	gone(path, "/shell-4");
	gone(path, "/shell-5");
	{
		char shell[600];

		snprintf(shell, sizeof(shell), "%s/shell-3", path);
		assert_int_equal(access(shell, F_OK), 0);
	}
	assert_true(cgroups_collect(cs) > 0);
	kill(shared->pid, SIGKILL);
	ended(shared->pid);
	collect_all();
	gone(path, "");
}

static void named_parent(void **state)
{
	char parent[64], path[512];

	(void)state;
	snprintf(parent, sizeof(parent), "/mayfly-test-%d/a b/vms", getpid());
	cs = open_or_fail(parent);
	assert_non_null(strstr(cgroups_path(cs), parent));
	assert_int_equal(WEXITSTATUS(ended(run(1, NULL, burn_ms, 1))), 7);
	cgroups_remove(cs, 1);
	collect_all();
	snprintf(path, sizeof(path), "%s", cgroups_path(cs));
	cgroups_close(cs);
	cs = NULL;
	/* All that was made for it goes: three levels. */
	gone(path, "");
	gone(path, "/..");
	*strstr(path, "/a b") = '\0';
	gone(path, "");

	/* What was there before stays. */
	assert_int_equal(mkdir(path, 0755), 0);
	cs = open_or_fail(parent);
	cgroups_close(cs);
	cs = NULL;
	assert_int_equal(rmdir(path), 0);
}

static void parents_refused(void **state)
{
	static const char *const bad[] = {"", "/", "..", "a/../../b", "a\nb"};
	char longest[400] = "mayfly-test-";
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		memset(&err, 0, sizeof(err));
		assert_null(cgroups_open(bad[i], &err));
		assert_non_null(strstr(err.message, "auto"));
	}
	memset(longest + 12, 'a', sizeof(longest) - 13);
	memset(&err, 0, sizeof(err));
	assert_null(cgroups_open(longest, &err));
	assert_non_null(strstr(err.message, "too long"));
}

/* In a process of its own, for what it does to itself: 0, or the number of a check. */
static void in_child(int (*work)(void))
{
	pid_t pid = fork();
	int status;

	if (!pid)
		_exit(work());
	alive[0] = pid;
	status = ended(pid);
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		fail_msg("status %#x: %s", (unsigned)status, shared->text);
}

#define EXPECT(what)                                                                        \
	do {                                                                                \
		if (!(what)) {                                                              \
			snprintf(shared->text, sizeof(shared->text), "line %d: %s: %.300s", \
				 __LINE__, #what, err.message);                             \
			return 1;                                                           \
		}                                                                           \
	} while (0)

static int as_nobody(void)
{
	struct err err = {0};

	EXPECT(!setgid(65534) && !setuid(65534));
	EXPECT(!cgroups_open("auto", &err));
	EXPECT(strstr(err.message, "Delegate=yes"));
	EXPECT(strstr(err.message, "--cgroup"));
	return 0;
}

static void unprivileged(void **state)
{
	(void)state;
	in_child(as_nobody);
}

/* ---- v2 only: where there is no room beneath one's own cgroup ---- */

#define HOME V2_ROOT "/mayfly-test-v2"

static bool need_v2(void)
{
	char text[256] = "";
	int fd = open(V2_ROOT "/cgroup.controllers", O_RDONLY);

	if (fd >= 0) {
		ssize_t n = read(fd, text, sizeof(text) - 1);

		text[n > 0 ? n : 0] = '\0';
		close(fd);
	}
	if (strstr(text, "memory"))
		return true;
	puts("this machine's controllers are v1's (make check-amdv runs this)");
	return false;
}

static int put(const char *file, const char *text)
{
	int fd = open(file, O_WRONLY), r;

	if (fd < 0)
		return -1;
	r = write(fd, text, strlen(text)) < 0 ? -1 : 0;
	close(fd);
	return r;
}

static bool is_in(const char *path)
{
	char text[512] = "";
	int fd = open("/proc/self/cgroup", O_RDONLY);
	ssize_t n = read(fd, text, sizeof(text) - 1);

	close(fd);
	text[n > 0 ? n : 0] = '\0';
	return strstr(text, path) != NULL;
}

/* A cgroup as a unit has it, with this process in it. */
static int move_home(void)
{
	if (put(V2_ROOT "/cgroup.subtree_control", "+memory +cpu +pids") ||
	    (mkdir(HOME, 0755) && errno != EEXIST))
		return -1;
	return put(HOME "/cgroup.procs", "0");
}

static int shell_works(struct err *perr)
{
	const struct cgroup_limits limits = {.memory_max_bytes = 16 * MIB,
					     .pids_max = 4,
					     .cpu_weight = 50,
					     .cpu_max_milli = 500};
	int fds[ZYGOTE_MAX_CGROUPS], n, status = -1;
	pid_t pid;

	n = cgroups_create(cs, 1, &limits, fds, perr);
	if (n != 1)
		return 1;
	pid = fork();
	if (!pid)
		_exit(write(fds[0], "0", 1) == 1 ? touch_mib(64) : 100);
	close(fds[0]);
	waitpid(pid, &status, 0);
	if (!WIFSIGNALED(status) || !cgroups_out_of_memory(cs, 1))
		return 2;
	cgroups_remove(cs, 1);
	for (int i = 0; i < 500 && cgroups_collect(cs); i++)
		pause_ms(10);
	return (int)cgroups_collect(cs);
}

static int go_into_leaf(void)
{
	struct err err = {0};

	EXPECT(!move_home());
	cs = cgroups_open("auto", &err);
	EXPECT(cs);
	EXPECT(!cgroups_missing(cs));
	EXPECT(is_in("/mayfly-test-v2/mayfly-daemon\n"));
	EXPECT(strstr(cgroups_path(cs), HOME "/mayfly/daemon-"));
	EXPECT(!shell_works(&err));
	cgroups_close(cs);
	/* All as it was. */
	EXPECT(is_in("/mayfly-test-v2\n"));
	EXPECT(access(HOME "/mayfly", F_OK) && access(HOME "/mayfly-daemon", F_OK));
	return 0;
}

static int go_beside(void)
{
	struct err err = {0};
	pid_t other;
	int ok;

	EXPECT(!move_home());
	other = fork();
	if (!other) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		wait_for_stop(0);
	}
	cs = cgroups_open("auto", &err);
	ok = cs && is_in("/mayfly-test-v2\n") &&
	     strstr(cgroups_path(cs), V2_ROOT "/mayfly/daemon-") && !shell_works(&err);
	kill(other, SIGKILL);
	waitpid(other, NULL, 0);
	EXPECT(ok);
	cgroups_close(cs);
	EXPECT(access(HOME "/mayfly-daemon", F_OK) && access(V2_ROOT "/mayfly", F_OK));
	return 0;
}

/* As in a container: a cgroup namespace, whose root is no root to the kernel. */
static int in_namespace(void)
{
	struct err err = {0};

	EXPECT(!move_home());
	EXPECT(!unshare(CLONE_NEWCGROUP | CLONE_NEWNS));
	EXPECT(!mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
	EXPECT(is_in("0::/\n"));
	/* The old mount shows "/..": whose child we are it does not tell. */
	EXPECT(!cgroups_open("auto", &err));
	EXPECT(strstr(err.message, "does not show"));
	EXPECT(!umount2(V2_ROOT, MNT_DETACH));
	EXPECT(!mount("none", V2_ROOT, "cgroup2", 0, NULL));
	cs = cgroups_open("auto", &err);
	EXPECT(cs);
	EXPECT(is_in("0::/mayfly-daemon\n"));
	EXPECT(strstr(cgroups_path(cs), V2_ROOT "/mayfly/daemon-"));
	EXPECT(!shell_works(&err));
	cgroups_close(cs);
	EXPECT(is_in("0::/\n"));
	return 0;
}

/* Some controllers only: what is missing is said, and refused. */
static int without_cpu(void)
{
	const struct cgroup_limits memory = {.memory_max_bytes = MIB}, cpu = {.cpu_weight = 5};
	struct err err = {0};

	EXPECT(!move_home());
	EXPECT(!put(V2_ROOT "/cgroup.subtree_control", "-cpu"));
	cs = cgroups_open("auto", &err);
	EXPECT(cs);
	EXPECT(cgroups_missing(cs));
	EXPECT(!strncmp(cgroups_missing(cs), "cpu: ", 5));
	EXPECT(strstr(cgroups_missing(cs), "Delegate=yes"));
	EXPECT(!cgroups_check(cs, &memory, &err));
	EXPECT(cgroups_check(cs, &cpu, &err) == -ENOTSUP);
	EXPECT(strstr(err.message, "cpu"));
	cgroups_close(cs);
	/* None at all. */
	EXPECT(!put(V2_ROOT "/cgroup.subtree_control", "-memory -pids"));
	EXPECT(!cgroups_open("auto", &err));
	EXPECT(strstr(err.message, "none of memory, cpu, pids"));
	return 0;
}

static void v2_case(int (*work)(void))
{
	if (!need_v2())
		skip();
	in_child(work);
	assert_int_equal(rmdir(HOME), 0);
}

static void v2_leaf(void **state)
{
	(void)state;
	v2_case(go_into_leaf);
}

static void v2_sibling(void **state)
{
	(void)state;
	v2_case(go_beside);
}

static void v2_namespace(void **state)
{
	(void)state;
	v2_case(in_namespace);
}

static void v2_missing(void **state)
{
	(void)state;
	v2_case(without_cpu);
}

/* One reason for all where no cgroups can be had, as in a container without privilege. */
static void nothing_here(void **state)
{
	(void)state;
	puts(shared->text);
	skip();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, before, after)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(join_and_leave), TEST(numbers_are_kept_apart),
		TEST(memory_max),     TEST(memory_max_later),
		TEST(pids_max),       TEST(cpu_max),
		TEST(cpu_weight),     TEST(limits_refused),
		TEST(leftovers),      TEST(daemons_side_by_side),
		TEST(named_parent),   TEST(parents_refused),
		TEST(unprivileged),   TEST(v2_leaf),
		TEST(v2_sibling),     TEST(v2_namespace),
		TEST(v2_missing),
	};
	const struct CMUnitTest none[] = {cmocka_unit_test(nothing_here)};
	struct err err = {0};

	if (argc == 2 && !strcmp(argv[1], "--wait")) {
		alarm(2 * PATIENCE_S);
		for (;;)
			pause();
	}
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (shared == MAP_FAILED)
		return 1;
	cs = cgroups_open("auto", &err);
	if (!cs || cgroups_missing(cs)) {
		snprintf(shared->text, sizeof(shared->text), "no cgroups to test here: %.400s",
			 cs ? cgroups_missing(cs) : err.message);
		cgroups_close(cs);
		return cmocka_run_group_tests(none, NULL, NULL);
	}
	cgroups_close(cs);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
