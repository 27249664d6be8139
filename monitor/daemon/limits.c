/* SPDX-License-Identifier: Apache-2.0 */
/* limits.c: see limits.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "limits.h"

static ssize_t read_text(const char *path, char *text, size_t bytes)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -1;
	n = read(fd, text, bytes - 1);
	close(fd);
	text[n > 0 ? n : 0] = 0;
	return n;
}

/* A file with one number; 0: there is none ("max", too). */
static unsigned long long number(const char *path)
{
	char text[64];

	return read_text(path, text, sizeof(text)) > 0 ? strtoull(text, NULL, 10) : 0;
}

/* All tasks of the machine: the number behind the '/' of /proc/loadavg (proc(5)). */
static unsigned long long tasks(void)
{
	char text[128], *slash;

	if (read_text("/proc/loadavg", text, sizeof(text)) <= 0)
		return 0;
	slash = strchr(text, '/');
	return slash ? strtoull(slash + 1, NULL, 10) : 0;
}

static bool nearly(unsigned long long used, unsigned long long limit)
{
	return limit && used + limit / 50 + 8 >= limit;
}

/* Our cgroup's limit of tasks, on v1 ("N:pids:/path") and on v2 ("0::/path"). */
static bool pids_cgroup(char *text, size_t bytes)
{
	char list[4096], *line, *rest = list, path[512];
	unsigned long long used, limit;

	if (read_text("/proc/self/cgroup", list, sizeof(list)) <= 0)
		return false;
	while ((line = strsep(&rest, "\n"))) {
		char *at = strstr(line, ":pids:"), *base = (char *)"/sys/fs/cgroup/pids";

		if (at) {
			at += strlen(":pids:");
		} else if (!strncmp(line, "0::", 3)) {
			at = line + 3;
			base = (char *)"/sys/fs/cgroup";
		} else {
			continue;
		}
		snprintf(path, sizeof(path), "%s%.300s/pids.max", base, at);
		limit = number(path);
		snprintf(path, sizeof(path), "%s%.300s/pids.current", base, at);
		used = number(path);
		if (nearly(used, limit)) {
			snprintf(text, bytes,
				 " (the cgroup %.200s has %llu of at most %llu tasks: "
				 "raise its pids.max)",
				 at, used, limit);
			return true;
		}
	}
	return false;
}

static void explain_tasks(char *text, size_t bytes)
{
	unsigned long long used = tasks(), most = number("/proc/sys/kernel/pid_max");
	unsigned long long threads = number("/proc/sys/kernel/threads-max");
	struct rlimit mine = {RLIM_INFINITY, RLIM_INFINITY};

	getrlimit(RLIMIT_NPROC, &mine);
	if (pids_cgroup(text, bytes))
		return;
	if (nearly(used, most))
		snprintf(text, bytes,
			 " (kernel.pid_max is %llu, %llu are in use, and a VM takes two: sysctl -w "
			 "kernel.pid_max=4194304)",
			 most, used);
	else if (nearly(used, threads))
		snprintf(text, bytes, " (kernel.threads-max is %llu, %llu are in use)", threads,
			 used);
	else
		snprintf(text, bytes,
			 " (limits: kernel.pid_max %llu, of which %llu in use; RLIMIT_NPROC %lld; "
			 "the pids cgroup)",
			 most, used,
			 mine.rlim_cur == RLIM_INFINITY ? -1 : (long long)mine.rlim_cur);
}

static void explain_memory(char *text, size_t bytes)
{
	char list[1024], *at;

	if (read_text("/proc/meminfo", list, sizeof(list)) <= 0)
		return;
	at = strstr(list, "MemAvailable:");
	if (at)
		snprintf(text, bytes,
			 " (%llu MiB of memory are available; see also RLIMIT_AS, the memory "
			 "cgroup, vm.overcommit_memory and kernel.pid_max)",
			 strtoull(at + strlen("MemAvailable:"), NULL, 10) / 1024);
}

void limits_explain(int errnum, char *text, size_t bytes)
{
	struct rlimit files;

	*text = 0;
	switch (errnum < 0 ? -errnum : errnum) {
	case EAGAIN:
		explain_tasks(text, bytes);
		break;
	case ENOMEM:
		explain_memory(text, bytes);
		break;
	case EMFILE:
		if (!getrlimit(RLIMIT_NOFILE, &files))
			snprintf(text, bytes,
				 " (RLIMIT_NOFILE is %llu: ulimit -n, LimitNOFILE= of the unit)",
				 (unsigned long long)files.rlim_cur);
		break;
	case ENFILE:
		snprintf(text, bytes, " (fs.file-max is %llu)", number("/proc/sys/fs/file-max"));
		break;
	case ENOSPC:
	case EDQUOT:
		snprintf(text, bytes,
			 " (is the run directory's file system full? It holds sockets, "
			 "logs and prepared images)");
		break;
	}
}

void limits_raise_files(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files))
		return;
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
}
