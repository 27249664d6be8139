/* SPDX-License-Identifier: Apache-2.0 */
/* badptr.c: whatever address a call is given, the answer is EFAULT or another error: no crash. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "check.h"

static int fd, pipe_fd[2], zero_fd;

/* Calls that must fail with EFAULT: BAD stands for the bad address. */
#define BAD 0x5bad
static const struct {
	short nr;
	bool write; /* a read-only page is as bad */
	long arg[5];
} calls[] = {
	{SYS_write, false, {-1, BAD, 10}},
	{SYS_read, true, {-2, BAD, 10}},
	{SYS_pread64, true, {-2, BAD, 10, 0}},
	{SYS_pwrite64, false, {-1, BAD, 10, 0}},
	{SYS_readv, false, {-2, BAD, 1}},
	{SYS_writev, false, {-1, BAD, 1}},
	{SYS_open, false, {BAD, 0}},
	{SYS_openat, false, {AT_FDCWD, BAD, 0}},
	{SYS_stat, false, {BAD, 0}},
	{SYS_fstat, true, {-1, BAD}},
	{SYS_access, false, {BAD, 0}},
	{SYS_chdir, false, {BAD}},
	{SYS_getcwd, true, {BAD, 100}},
	{SYS_mkdir, false, {BAD, 0700}},
	{SYS_unlink, false, {BAD}},
	{SYS_rename, false, {BAD, BAD}},
	{SYS_link, false, {BAD, BAD}},
	{SYS_symlink, false, {BAD, BAD}},
	{SYS_readlink, false, {BAD, BAD, 10}},
	{SYS_chmod, false, {BAD, 0}},
	{SYS_truncate, false, {BAD, 0}},
	{SYS_pipe, true, {BAD}},
	{SYS_pipe2, true, {BAD, 0}},
	{SYS_poll, true, {BAD, 1, 0}},
	{SYS_select, false, {1, BAD, 0, 0, 0}},
	{SYS_rt_sigaction, false, {10, BAD, 0, 8}},
	{SYS_rt_sigaction, true, {10, 0, BAD, 8}},
	{SYS_rt_sigprocmask, false, {0, BAD, 0, 8}},
	{SYS_rt_sigprocmask, true, {0, 0, BAD, 8}},
	{SYS_rt_sigpending, true, {BAD, 8}},
	{SYS_rt_sigtimedwait, false, {BAD, 0, 0, 8}},
	{SYS_sigaltstack, false, {BAD, 0}},
	{SYS_sigaltstack, true, {0, BAD}},
	{SYS_nanosleep, false, {BAD, 0}},
	{SYS_clock_gettime, true, {1, BAD}},
	{SYS_clock_getres, true, {1, BAD}},
	{SYS_clock_nanosleep, false, {1, 0, BAD, 0}},
	{SYS_gettimeofday, true, {BAD, 0}},
	{SYS_time, true, {BAD}},
	{SYS_times, true, {BAD}},
	{SYS_getrusage, true, {0, BAD}},
	{SYS_getitimer, true, {0, BAD}},
	{SYS_setitimer, false, {0, BAD, 0}},
	{SYS_getrlimit, true, {7, BAD}},
	{SYS_setrlimit, false, {7, BAD}},
	{SYS_prlimit64, true, {0, 7, 0, BAD}},
	{SYS_uname, true, {BAD}},
	{SYS_sysinfo, true, {BAD}},
	{SYS_getrandom, true, {BAD, 16, 0}},
	{SYS_getresuid, true, {BAD, BAD, BAD}},
	{SYS_sched_getaffinity, true, {0, 128, BAD}},
	{SYS_sched_setaffinity, false, {0, 128, BAD}},
	{SYS_getcpu, true, {BAD, 0, 0}},
	{SYS_arch_prctl, true, {0x1003, BAD}}, /* ARCH_GET_FS */
	{SYS_statx, false, {AT_FDCWD, BAD, 0, 0, BAD}},
	{SYS_statfs, false, {BAD, BAD}},
	{SYS_fstatfs, true, {-1, BAD}},
	{SYS_utimensat, false, {AT_FDCWD, BAD, 0, 0}},
};

static void all_calls(long bad, bool writes_only)
{
	for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++) {
		long a[5];

		if (writes_only && !calls[i].write)
			continue;
		for (int k = 0; k < 5; k++)
			a[k] = calls[i].arg[k] == BAD ? bad : calls[i].arg[k];
		if (a[0] == -1)
			a[0] = fd;
		else if (a[0] == -2)
			a[0] = fd;
		errno = 0;
		lseek(fd, 0, SEEK_SET);
		if (bad == 0 &&
		    (calls[i].nr == SYS_time || calls[i].nr == SYS_times ||
		     calls[i].nr == SYS_getcpu || calls[i].nr == SYS_select ||
		     calls[i].nr == SYS_gettimeofday || calls[i].nr == SYS_sigaltstack ||
		     calls[i].nr == SYS_rt_sigaction || calls[i].nr == SYS_rt_sigprocmask ||
		     calls[i].nr == SYS_prlimit64 || calls[i].nr == SYS_clock_getres ||
		     calls[i].nr == SYS_setitimer || calls[i].nr == SYS_utimensat))
			continue; /* there it means "none" */
		if (syscall(calls[i].nr, a[0], a[1], a[2], a[3], a[4], 0) != -1 ||
		    errno != EFAULT) {
			printf("call %d with %#lx: errno %d\n", calls[i].nr, bad, errno);
			exit(1);
		}
	}
}

int main(void)
{
	char path[] = "/tmp/mayfly-badptr-XXXXXX", *p, *edge;

	fd = mkstemp(path);
	zero_fd = open("/dev/zero", O_RDONLY);
	CHECK(fd >= 0 && zero_fd >= 0 && pipe(pipe_fd) == 0 && unlink(path) == 0);
	CHECK(write(fd, path, sizeof(path)) == sizeof(path));
	p = mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(p != MAP_FAILED && munmap(p + 4096, 4096) == 0);
	edge = p + 4096 - 3;

	all_calls(0, false);
	all_calls(8, false);
	all_calls((long)(p + 4096), false);
	all_calls(0x7ffff00000, true); /* where the library kernel is */
	all_calls(0x7ffff00000, false);
	all_calls(0x7fffff0000, false); /* its page from the monitor */
	all_calls(0x6000200000, false); /* all memory in a row */
	all_calls(0x7fffff3000, false);
	all_calls(0x7ffffff000, false);
	all_calls(1l << 47, false);
	all_calls((long)0x8000000000000000ul, false); /* not canonical */
	all_calls(-4096, false);
	all_calls(-1, false);
	CHECK(mprotect(p, 4096, PROT_READ) == 0);
	all_calls((long)p, true);
	CHECK(mprotect(p, 4096, PROT_READ | PROT_WRITE) == 0);

	/* over the edge: what a string or a small buffer has before it counts */
	memcpy(edge, "/a", 3);
	CHECK_ERR(open(edge, O_RDONLY), ENOENT);
	memcpy(edge, "/ab", 3);
	CHECK_ERR(open(edge, O_RDONLY), EFAULT);
	CHECK(lseek(fd, 0, SEEK_SET) == 0);
	CHECK(read(fd, edge, 3) == 3 && !memcmp(edge, path, 3));
	CHECK(write(pipe_fd[1], edge, 3) == 3);
	CHECK_ERR(write(pipe_fd[1], p + 4096, 3), EFAULT);
	CHECK_ERR(syscall(SYS_uname, edge), EFAULT);
	CHECK_ERR(syscall(SYS_fstat, fd, edge), EFAULT);
	/* the length is so that the end wraps */
	CHECK(syscall(SYS_write, fd, p, check_minus_one) == -1);
	CHECK(errno == EFAULT || errno == EINVAL);
	return success();
}
