/* SPDX-License-Identifier: Apache-2.0 */
/* machine.c: see machine.h. */
#define _GNU_SOURCE
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "machine.h"
#include "stats.h"
#include "tool.h"

#define STEADY_BYTES    (256 * 1024)
#define SETTLE_LIMIT_MS 4000
#define QUIET_STEP_NS   200000u
#define TICKS_NS        10000000u /* USER_HZ is 100 on every Linux that KVM runs on */

/* A small file as a string; false if it cannot be read. */
static bool read_text(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = -1;

	if (fd >= 0) {
		n = read(fd, text, size - 1);
		close(fd);
	}
	text[n > 0 ? n : 0] = 0;
	return n > 0;
}

/* ---- memory ---- */

int64_t machine_meminfo(const char *name)
{
	char text[8192], *at;
	size_t n = strlen(name);

	if (!read_text("/proc/meminfo", text, sizeof(text)))
		return -1;
	for (at = text; at; at = strchr(at, '\n')) {
		at += *at == '\n';
		if (!strncmp(at, name, n) && at[n] == ':')
			return strtoll(at + n + 1, NULL, 10) * 1024;
	}
	return -1;
}

/* The kernel's counters are per CPU and gathered each second; root may ask for it at once. */
static void refresh(void)
{
	char text[16];

	read_text("/proc/sys/vm/stat_refresh", text, sizeof(text));
}

int64_t machine_available_settled(unsigned ms)
{
	int64_t last = -1, now;

	for (unsigned waited = 0;; waited += ms) {
		refresh();
		now = machine_meminfo("MemAvailable");
		if (now < 0)
			die("/proc/meminfo has no MemAvailable", NULL);
		if ((last >= 0 && llabs(now - last) < STEADY_BYTES) || waited > SETTLE_LIMIT_MS)
			return now;
		last = now;
		tool_sleep_ns(ms * 1000000ull);
	}
}

/* ---- CPU time ---- */

static uint64_t ticks_ns(void)
{
	char text[4096];
	unsigned long long user, nice, system, idle, iowait, irq, softirq;

	if (!read_text("/proc/stat", text, sizeof(text)) ||
	    sscanf(text, "cpu %llu %llu %llu %llu %llu %llu %llu", &user, &nice, &system, &idle,
		   &iowait, &irq, &softirq) != 7)
		die("/proc/stat cannot be read", NULL);
	return (user + nice + system + irq + softirq) * TICKS_NS;
}

uint64_t machine_cpu_ns(void)
{
	/* cgroup v1, in two customs of mounting it; in v2's root the figure is one of ticks. */
	static const char *const path[] = {
		"/sys/fs/cgroup/cpuacct/cpuacct.usage",
		"/sys/fs/cgroup/cpu,cpuacct/cpuacct.usage",
	};
	char text[64];

	for (unsigned i = 0; i < sizeof(path) / sizeof(path[0]); i++)
		if (read_text(path[i], text, sizeof(text)))
			return strtoull(text, NULL, 10);
	return ticks_ns();
}

uint64_t machine_process_ns(pid_t pid)
{
	struct timespec t;
	clockid_t clock;

	if (clock_getcpuclockid(pid, &clock) || clock_gettime(clock, &t))
		return 0;
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* /proc/PID/stat from its fourth field on: what stands before may hold any character. */
static const char *stat_rest(pid_t pid, char *text, size_t size)
{
	char path[32], *at;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	if (!read_text(path, text, size) || !(at = strrchr(text, ')')) || strlen(at) < 5)
		return NULL;
	return at + 4;
}

uint64_t machine_reaped_ns(pid_t pid)
{
	char text[1024];
	const char *rest = stat_rest(pid, text, sizeof(text));
	unsigned long long user, system;

	if (!rest || sscanf(rest, "%*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %llu %llu",
			    &user, &system) != 2)
		return 0;
	return (user + system) * TICKS_NS;
}

/* ---- quiet ---- */

bool machine_quiet(unsigned ms)
{
	uint64_t limit = stats_now_ns() + ms * 1000000ull;
	unsigned running, alone = 0;
	char text[128];

	for (;;) {
		if (!read_text("/proc/loadavg", text, sizeof(text)) ||
		    sscanf(text, "%*s %*s %*s %u/", &running) != 1)
			die("/proc/loadavg cannot be read", NULL);
		alone = running <= 1 ? alone + 1 : 0;
		if (alone == 3)
			return true;
		if (stats_now_ns() > limit)
			return false;
		tool_sleep_ns(QUIET_STEP_NS);
	}
}

/* ---- processes ---- */

static unsigned children(pid_t parent, pid_t *first, uint64_t *cpu_ns)
{
	DIR *d = opendir("/proc");
	const struct dirent *e;
	unsigned n = 0;

	if (!d)
		die_errno("/proc");
	while ((e = readdir(d))) {
		pid_t pid = (pid_t)atoi(e->d_name);
		char text[1024];
		const char *rest;

		if (!isdigit((unsigned char)e->d_name[0]) ||
		    !(rest = stat_rest(pid, text, sizeof(text))) || atoi(rest) != parent)
			continue;
		if (!n++ && first)
			*first = pid;
		if (cpu_ns)
			*cpu_ns += machine_process_ns(pid);
	}
	closedir(d);
	return n;
}

pid_t machine_child(pid_t parent)
{
	pid_t pid = 0;

	children(parent, &pid, NULL);
	return pid;
}

unsigned machine_children(pid_t parent, uint64_t *cpu_ns)
{
	if (cpu_ns)
		*cpu_ns = 0;
	return children(parent, NULL, cpu_ns);
}

int64_t machine_rss(pid_t pid)
{
	char path[32], text[4096];
	const char *at;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	if (!read_text(path, text, sizeof(text)) || !(at = strstr(text, "\nVmRSS:")))
		return -1;
	return strtoll(at + 7, NULL, 10) * 1024;
}

int machine_descriptors(pid_t pid)
{
	const struct dirent *e;
	char path[32];
	int n = 0;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	d = opendir(path);
	if (!d)
		return -1;
	while ((e = readdir(d)))
		n += e->d_name[0] != '.';
	closedir(d);
	return n;
}
