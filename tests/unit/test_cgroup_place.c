/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_cgroup_place.c: where a daemon's cgroups are, for real: beside another daemon's, after
 * one that was killed, in a named parent; on v2 beneath, beside and in a namespace of others.
 * tests/amdv/scripts runs it on v1 and on v2.
 */
/* sources: tests/unit/cgroup_world.c monitor/daemon/cgroup.c monitor/daemon/cgroup_limits.c */
/* sources: monitor/daemon/cgroup_tree.c monitor/daemon/cgroup_place.c */
/* sources: monitor/daemon/cgroup_parse.c monitor/err.c */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cgroup_world.h"

#define V2_ROOT "/sys/fs/cgroup"

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
				execl("/proc/self/exe", "test_cgroup_place", "--wait", NULL);
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
	assert_int_equal(WEXITSTATUS(ended(run(1, NULL, touch_mib, 1))), 7);
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

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(daemons_side_by_side), TEST(leftovers),    TEST(named_parent),
		TEST(parents_refused),      TEST(unprivileged), TEST(v2_leaf),
		TEST(v2_sibling),           TEST(v2_namespace), TEST(v2_missing),
	};

	if (argc == 2 && !strcmp(argv[1], "--wait")) {
		alarm(2 * PATIENCE_S);
		for (;;)
			pause();
	}
	return run_on_cgroups(tests, sizeof(tests) / sizeof(tests[0]));
}
