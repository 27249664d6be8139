/* SPDX-License-Identifier: Apache-2.0 */
/* identity.c: who, where and on what the program is, and its limits. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "check.h"

static void files_limit(void)
{
	struct rlimit l, less;
	int fd[64], n = 0;

	CHECK(getrlimit(RLIMIT_NOFILE, &l) == 0 && l.rlim_cur >= 64 && l.rlim_cur <= l.rlim_max);
	less = (struct rlimit){16, l.rlim_max};
	CHECK(setrlimit(RLIMIT_NOFILE, &less) == 0);
	while (n < 64 && (fd[n] = open("/dev/null", O_RDONLY)) >= 0)
		n++;
	CHECK(errno == EMFILE && n > 8 && n < 16 && fd[n - 1] == 15);
	CHECK_ERR(dup2(0, 16), EBADF);
	CHECK(setrlimit(RLIMIT_NOFILE, &l) == 0 && dup2(fd[0], 40) == 40 && close(40) == 0);
	while (n)
		CHECK(close(fd[--n]) == 0);
	less = (struct rlimit){10, 5};
	CHECK_ERR(setrlimit(RLIMIT_NOFILE, &less), EINVAL);
	CHECK(sysconf(_SC_OPEN_MAX) == (long)l.rlim_cur);
}

int main(void)
{
	struct sched_param param = {.sched_priority = 5};
	unsigned char a[512], b[512] = {0};
	struct utsname u;
	struct sysinfo si;
	struct rlimit l, old;
	uid_t uids[3];
	gid_t gids[3];
	char name[17] = "";
	cpu_set_t cpus;
	unsigned cpu, node;
	int zeroes = 0;

	CHECK(getpid() > 0 && syscall(SYS_gettid) == getpid() && getppid() >= 0);
	CHECK(getuid() == geteuid() && getgid() == getegid());
	CHECK(getresuid(&uids[0], &uids[1], &uids[2]) == 0 && uids[0] == getuid() &&
	      uids[2] == uids[1]);
	CHECK(getresgid(&gids[0], &gids[1], &gids[2]) == 0 && gids[0] == getgid());
	CHECK(setuid(getuid()) == 0 && setgid(getgid()) == 0 && getgroups(0, NULL) >= 0);
	CHECK(setresuid(-1, getuid(), -1) == 0 && setresgid(-1, -1, getgid()) == 0);
	CHECK(getpgrp() == getpgid(0) && getsid(0) >= 0);

	CHECK(uname(&u) == 0 && !strcmp(u.sysname, "Linux") && !strcmp(u.machine, "x86_64"));
	CHECK(atoi(u.release) >= 5 && u.nodename[0] && u.version[0]);
	CHECK(gethostname((char *)a, sizeof(a)) == 0 && !strcmp((char *)a, u.nodename));
	CHECK(sysinfo(&si) == 0 && si.totalram > 0 && si.mem_unit > 0 && si.procs > 0);
	CHECK(si.freeram <= si.totalram && si.uptime >= 0);
	CHECK(sysconf(_SC_PAGESIZE) == 4096 && sysconf(_SC_NPROCESSORS_ONLN) >= 1);
	CHECK(sysconf(_SC_CLK_TCK) == 100);

	CHECK(getrlimit(RLIMIT_STACK, &l) == 0 && l.rlim_cur >= 1 << 20);
	CHECK(prlimit(0, RLIMIT_CORE, NULL, &l) == 0);
	l.rlim_cur = 0;
	CHECK(prlimit(getpid(), RLIMIT_CORE, &l, &old) == 0 && getrlimit(RLIMIT_CORE, &old) == 0);
	CHECK(old.rlim_cur == 0);
	CHECK_ERR(getrlimit(99, &l), EINVAL);
	files_limit();

	CHECK(getrandom(a, sizeof(a), 0) == sizeof(a) &&
	      getrandom(b, sizeof(b), GRND_NONBLOCK) > 0);
	CHECK(memcmp(a, b, sizeof(a)) != 0);
	for (size_t i = 0; i < sizeof(a); i++)
		zeroes += !a[i];
	CHECK(zeroes < 20);
	CHECK_ERR(getrandom(a, 1, 0x1000), EINVAL);

	CHECK(sched_yield() == 0 && sched_getaffinity(0, sizeof(cpus), &cpus) == 0);
	CHECK(CPU_COUNT(&cpus) >= 1 && sched_setaffinity(0, sizeof(cpus), &cpus) == 0);
	CPU_ZERO(&cpus);
	CHECK_ERR(sched_setaffinity(0, sizeof(cpus), &cpus), EINVAL);
	CHECK_ERR(syscall(SYS_sched_getaffinity, 0, 1, &cpus), EINVAL);
	CHECK(syscall(SYS_getcpu, &cpu, &node, NULL) == 0 && cpu < 4096);
	CHECK(syscall(SYS_sched_getscheduler, 0) == SCHED_OTHER);
	CHECK(syscall(SYS_sched_getparam, 0, &param) == 0 && param.sched_priority == 0);
	CHECK(sched_get_priority_max(SCHED_FIFO) == 99 && sched_get_priority_min(SCHED_FIFO) == 1);
	CHECK(sched_get_priority_max(SCHED_OTHER) == 0);
	CHECK_ERR(sched_get_priority_max(77), EINVAL);
	CHECK(getpriority(PRIO_PROCESS, 0) >= -20 && setpriority(PRIO_PROCESS, 0, 19) == 0);

	CHECK(prctl(PR_SET_NAME, "a-long-name-of-a-thread") == 0 && prctl(PR_GET_NAME, name) == 0);
	CHECK(!strcmp(name, "a-long-name-of-"));
	CHECK(prctl(PR_SET_NAME, "x") == 0 && prctl(PR_GET_NAME, name) == 0 && !strcmp(name, "x"));
	CHECK_ERR(prctl(9999), EINVAL);
	return success();
}
