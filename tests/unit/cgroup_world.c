/* SPDX-License-Identifier: Apache-2.0 */
/* cgroup_world.c: see cgroup_world.h. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cgroup_world.h"

struct shared *shared;
struct cgroups *cs;
pid_t alive[8];

uint64_t now_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

void pause_ms(unsigned ms)
{
	nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
}

/* The sources under test write the message; a test that fails should show it. */
struct cgroups *open_or_fail(const char *parent)
{
	struct err err = {0};
	struct cgroups *c = cgroups_open(parent, &err);

	if (!c)
		fail_msg("cgroups_open(%s): %s", parent, err.message);
	return c;
}

int before(void **state)
{
	(void)state;
	memset(shared, 0, sizeof(*shared));
	memset(alive, 0, sizeof(alive));
	cs = NULL;
	return 0;
}

/* Ends the children that a failed test left, then what it made. */
int after(void **state)
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
int ended(pid_t pid)
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
pid_t start(int *fds, int n, int (*work)(int), int arg)
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
pid_t run(uint64_t shell, const struct cgroup_limits *limits, int (*work)(int), int arg)
{
	int fds[ZYGOTE_MAX_CGROUPS], n;
	struct err err = {0};

	n = cgroups_create(cs, shell, limits, fds, &err);
	if (n <= 0)
		fail_msg("cgroups_create: %d, %s", n, err.message);
	return start(fds, n, work, arg);
}

int wait_for_stop(int unused)
{
	alarm(2 * PATIENCE_S); /* should the test itself be killed */
	shared->ready++;
	while (!shared->stop)
		pause();
	return unused;
}

int touch_mib(int mib)
{
	char *p = mmap(NULL, (size_t)mib << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		       -1, 0);

	if (p == MAP_FAILED)
		return 101;
	for (size_t i = 0; i < (size_t)mib << 20; i += 4096)
		*(volatile char *)(p + i) = 1;
	return 7;
}

void gone(const char *path, const char *name)
{
	char text[700];

	snprintf(text, sizeof(text), "%s%s", path, name);
	if (access(text, F_OK) == 0)
		fail_msg("%s is left", text);
}

void collect_all(void)
{
	for (int i = 0; cgroups_collect(cs); i++) {
		if (i == 500)
			fail_msg("%zu cgroups are left", cgroups_collect(cs));
		pause_ms(10);
	}
}

static void nothing_here(void **state)
{
	(void)state;
	puts(shared->text);
	skip();
}

int run_on_cgroups(const struct CMUnitTest *tests, size_t n)
{
	const struct CMUnitTest none[] = {cmocka_unit_test(nothing_here)};
	struct err err = {0};

	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (shared == MAP_FAILED)
		return 1;
	cs = cgroups_open("auto", &err);
	if (cs && !cgroups_missing(cs)) {
		cgroups_close(cs);
		return _cmocka_run_group_tests("tests", tests, n, NULL, NULL);
	}
	snprintf(shared->text, sizeof(shared->text), "no cgroups to test here: %.400s",
		 cs ? cgroups_missing(cs) : err.message);
	cgroups_close(cs);
	return cmocka_run_group_tests(none, NULL, NULL);
}
