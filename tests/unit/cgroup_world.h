/* SPDX-License-Identifier: Apache-2.0 */
/* cgroup_world.h: what tests of real cgroups share: processes that join, and their end. */
#ifndef MAYFLY_TEST_CGROUP_WORLD_H
#define MAYFLY_TEST_CGROUP_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdatomic.h>
#include <sys/types.h>
#include <time.h>

#include "../../monitor/daemon/cgroup.h"

#define MIB        (1ull << 20)
#define PATIENCE_S 30

/* In memory that children share. */
struct shared {
	atomic_int ready, stop;
	uint64_t cpu_ns[2];
	char text[512];
	pid_t pid;
};
extern struct shared *shared;

extern struct cgroups *cs; /* of the test that runs: closed after it */
extern pid_t alive[8];     /* killed after it, whatever comes */

uint64_t now_ns(clockid_t clock);
void pause_ms(unsigned ms);

/* cgroups_open; its message is shown if it fails. */
struct cgroups *open_or_fail(const char *parent);

/* waitpid's status, of a process that should end by itself. */
int ended(pid_t pid);

/* Starts work(arg) in the cgroups behind fds, which it closes here. */
pid_t start(int *fds, int n, int (*work)(int), int arg);
/* The same in a new cgroup of cs. */
pid_t run(uint64_t shell, const struct cgroup_limits *limits, int (*work)(int), int arg);

/* What children do: wait; touch memory (7 is their exit code). */
int wait_for_stop(int code);
int touch_mib(int mib);

/* path and name together must not exist. */
void gone(const char *path, const char *name);
/* cgroups_collect until nothing is left. */
void collect_all(void);

/* Runs a group, or, where no cgroups can be had (in a container without privilege, say), a
 * single test that is skipped with the reason. */
int run_on_cgroups(const struct CMUnitTest *tests, size_t n);
int before(void **state);
int after(void **state);

#define TEST(name) cmocka_unit_test_setup_teardown(name, before, after)

#endif
