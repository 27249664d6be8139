/* SPDX-License-Identifier: Apache-2.0 */
/* proc.c: what programs look up about themselves and the machine in /proc and /sys. */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"

static char text[1 << 16];

static const char *text_of(const char *path)
{
	int fd = open(path, O_RDONLY);
	ssize_t n, size = 0;

	CHECK(fd >= 0);
	while ((n = read(fd, text + size, sizeof(text) - 1 - (size_t)size)) > 0)
		size += n;
	CHECK(n == 0 && size > 0 && close(fd) == 0);
	text[size] = 0;
	return text;
}

/* Is there a line of /proc/self/maps around this address with these permissions? */
static int mapped(const void *at, const char *perms)
{
	for (const char *line = text_of("/proc/self/maps"); line && *line;) {
		unsigned long start, end;
		char p[8];

		CHECK(sscanf(line, "%lx-%lx %7s", &start, &end, p) == 3);
		if (start <= (unsigned long)at && (unsigned long)at < end)
			return !strncmp(p, perms, strlen(perms));
		line = strchr(line, '\n');
		line = line ? line + 1 : NULL;
	}
	return 0;
}

int main(int argc, char **argv)
{
	char buf[PATH_MAX], cwd[PATH_MAX], want[64];
	struct stat st;
	ssize_t n;
	DIR *dir;
	int pid, seen = 0, fd, local = 0;

	CHECK(argc >= 1);
	n = readlink("/proc/self/exe", buf, sizeof(buf) - 1);
	CHECK(n > 0);
	buf[n] = 0;
	CHECK(buf[0] == '/' &&
	      strstr(buf, strrchr(argv[0], '/') ? strrchr(argv[0], '/') : argv[0]));
	CHECK(mapped((void *)main, "r-x") && mapped(&local, "rw-") && mapped(text, "rw-"));

	CHECK(!strcmp(text_of("/proc/self/cmdline"), argv[0]));
	CHECK(sscanf(text_of("/proc/self/stat"), "%d (", &pid) == 1 && pid == getpid());
	snprintf(want, sizeof(want), "Pid:\t%d\n", getpid());
	CHECK(strstr(text_of("/proc/self/status"), want));
	CHECK(strstr(text, "VmRSS:") && strstr(text, "Threads:\t1\n"));
	CHECK(atol(text_of("/proc/self/statm")) > 0);
	CHECK(readlink("/proc/self/cwd", buf, sizeof(buf)) ==
	      (ssize_t)strlen(getcwd(cwd, PATH_MAX)));
	n = readlink("/proc/self", buf, sizeof(buf) - 1);
	CHECK(n > 0);
	buf[n] = 0;
	CHECK(atoi(buf) == getpid());
	CHECK(stat("/proc/self/", &st) == 0 && S_ISDIR(st.st_mode));

	/* /proc/self/fd has what is open, and only that */
	fd = open("/dev/null", O_RDONLY);
	CHECK(fd >= 0);
	dir = opendir("/proc/self/fd");
	CHECK(dir);
	for (struct dirent *d; (d = readdir(dir));)
		seen |= atoi(d->d_name) == fd && d->d_type == DT_LNK;
	CHECK(seen && closedir(dir) == 0);
	snprintf(want, sizeof(want), "/proc/self/fd/%d", fd);
	n = readlink(want, buf, sizeof(buf));
	CHECK(n == 9 && !memcmp(buf, "/dev/null", 9));
	CHECK(stat(want, &st) == 0 && S_ISCHR(st.st_mode));
	CHECK(lstat(want, &st) == 0 && S_ISLNK(st.st_mode));
	CHECK(close(fd) == 0);
	CHECK_ERR(readlink(want, buf, sizeof(buf)), ENOENT);

	CHECK(strstr(text_of("/proc/meminfo"), "MemTotal:"));
	CHECK(strstr(text_of("/proc/cpuinfo"), "processor"));
	CHECK(strstr(text_of("/proc/stat"), "btime "));
	CHECK(atof(text_of("/proc/uptime")) > 0);
	CHECK(strstr(text_of("/proc/version"), "Linux version"));
	CHECK(strchr(text_of("/proc/loadavg"), '.'));
	CHECK(strlen(text_of("/proc/sys/kernel/random/boot_id")) == 37);
	CHECK(text_of("/sys/devices/system/cpu/online")[0] == '0');
	CHECK_ERR(mkdir("/proc/x", 0755), ENOENT);
	CHECK_ERR(unlink("/proc/version"), EPERM);
	return success();
}
