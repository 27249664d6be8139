/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rules.c: the system calls that a jailed process can make. What is not here ends it.
 *
 * Order matters a little: the filter looks in this order, so what is hot stands first.
 * musl makes some calls in its own way (open, not openat); glibc, which the helper that
 * names functions is linked against, in another.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <linux/if_xdp.h>
#include <linux/kvm.h>

#include "rules.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

/* musl hands an int to the kernel with its sign extended, as 0xffffffff8090ae81 for
 * KVM_GET_REGS, so all 64 bits can be compared; but for what is passed through "...". */
#define LOW  0x00000000ffffffffull
#define HIGH 0xffffffff00000000ull

/* musl adds it to what it sets; to the kernel it means nothing. */
#define LARGE_FILE 0100000u

/* All three filters; the two of a run; those who have this rule alone. */
#define ALL  (JAIL_SHELL | JAIL_RUN | JAIL_CORE)
#define RUNS (JAIL_RUN | JAIL_CORE)

#define ANY                .nargs = 0
#define IS(n, value)       SCMP_CMP64(n, SCMP_CMP_EQ, (uint64_t)(int32_t)(value))
#define HAS(n, mask, bits) SCMP_CMP64(n, SCMP_CMP_MASKED_EQ, HIGH | (mask), bits)
#define NULL_IS(n)         SCMP_CMP64(n, SCMP_CMP_EQ, 0)
#define FLAGS(n, value)    SCMP_CMP64(n, SCMP_CMP_MASKED_EQ, LOW & ~(uint64_t)LARGE_FILE, value)
#define ONE(a)             .args = {a}, .nargs = 1
#define TWO(a, b)          .args = {a, b}, .nargs = 2
#define THREE(a, b, c)     .args = {a, b, c}, .nargs = 3
#define ALLOW(who, name, cond, text, reason)                                               \
	{                                                                                  \
		.sets = (who), .nr = SCMP_SYS(name), cond, .what = (text), .why = (reason) \
	}

/* The flags of clone(2) for a thread of musl's (bit 22 is CLONE_DETACHED), for posix_spawn, and for
 * the twin of end.c. */
#define THREAD_FLAGS                                                                        \
	(CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM | \
	 CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID | 0x400000)
#define SPAWN_FLAGS (CLONE_VM | CLONE_VFORK | SIGCHLD)
#define TWIN_FLAGS  (CLONE_VM | CLONE_FILES)

/* Of open(2)'s flags: what could change a file. O_TMPFILE is O_DIRECTORY and a bit. */
#define WRITES ((uint64_t)(O_ACCMODE | O_CREAT | O_TRUNC | (O_TMPFILE & ~O_DIRECTORY)))

const struct rule jail_rules[] = {
	/* ---- the run loop ---- */
	ALLOW(ALL, ioctl, ONE(IS(1, KVM_RUN)), "KVM_RUN", "the guest runs"),
	ALLOW(ALL, setitimer, ANY, NULL, "ticks, and the time limit"),
	ALLOW(ALL, rt_sigprocmask, ANY, NULL, "no signal between the look at them and ppoll"),
	ALLOW(ALL, rt_sigreturn, ANY, NULL, "out of the handler that ends KVM_RUN"),
	ALLOW(ALL, ppoll, ANY, NULL, "the guest waits: for input, output, messages, time"),
	ALLOW(ALL, poll, ANY, NULL, "is there room for output?"),
	ALLOW(ALL, write, ANY, NULL,
	      "output, log, news: to descriptors that are there, and no other address"),
	ALLOW(ALL, writev, ANY, NULL, NULL),
	ALLOW(ALL, read, ANY, NULL, "input"),
	ALLOW(ALL, readv, ANY, NULL, NULL),
	/* ---- net_xdp.c: a socket that is there is to look at its rings ---- */
	ALLOW(ALL, sendto, THREE(NULL_IS(1), IS(3, MSG_DONTWAIT), NULL_IS(4)),
	      "no bytes, no address", "frames are to be sent that stand in an AF_XDP ring"),
	ALLOW(RUNS, recvfrom, TWO(NULL_IS(1), IS(3, MSG_DONTWAIT)), "no bytes",
	      "buffers are there, in an AF_XDP ring"),
	ALLOW(ALL, clock_gettime, ANY, NULL, "where the vDSO cannot tell the time"),
	ALLOW(ALL, ioctl, ONE(IS(1, KVM_GET_REGS)), "KVM_GET_REGS",
	      "preemption, and where a guest went wrong"),
	ALLOW(ALL, ioctl, ONE(IS(1, KVM_SET_REGS)), "KVM_SET_REGS", NULL),
	ALLOW(ALL, ioctl, ONE(IS(1, KVM_SET_USER_MEMORY_REGION)), "KVM_SET_USER_MEMORY_REGION",
	      "the guest wants to use more of its memory"),
	ALLOW(ALL, madvise, ONE(IS(2, MADV_DONTNEED)), "MADV_DONTNEED", "memory the guest freed"),
	ALLOW(ALL, madvise, ONE(IS(2, MADV_POPULATE_WRITE)), "MADV_POPULATE_WRITE",
	      "pages that the guest will touch"),
	/* ---- doorbell.c: a thread that passes output on ---- */
	ALLOW(ALL, eventfd2, ANY, NULL, "what the guest's doorbells ring"),
	ALLOW(ALL, ioctl, ONE(IS(1, KVM_IOEVENTFD)), "KVM_IOEVENTFD", NULL),
	ALLOW(ALL, clone, ONE(IS(0, THREAD_FLAGS)), "as a thread",
	      "passes output on; a shell can have two threads more (RLIMIT_NPROC)"),
	ALLOW(ALL, futex, ANY, NULL, "libc's locks"),
	ALLOW(ALL, exit, ANY, NULL, "the thread's end"),
	ALLOW(ALL, sched_yield, ANY, NULL, "net_poll.c: others first"),
	ALLOW(JAIL_SHELL, sched_getaffinity, ANY, NULL, "net_poll.c: is there a second CPU?"),
	/* ---- a shell's messages ---- */
	ALLOW(JAIL_SHELL, recvmsg, ANY, NULL, "the daemon's messages"),
	ALLOW(JAIL_SHELL, recvfrom, ANY, NULL, NULL),
	/* ---- a program comes in ---- */
	ALLOW(JAIL_SHELL, prlimit64, TWO(IS(0, 0), IS(1, RLIMIT_FSIZE)), "own, RLIMIT_FSIZE",
	      "a log does not grow beyond its limit; it cannot be raised again"),
	ALLOW(JAIL_SHELL, mmap, TWO(HAS(2, PROT_EXEC, 0), HAS(3, MAP_TYPE, MAP_PRIVATE)),
	      "private, not executable", "the image; libc's memory"),
	ALLOW(RUNS, mmap, ANY, NULL, NULL),
	ALLOW(JAIL_SHELL, mmap,
	      TWO(HAS(2, PROT_EXEC, 0), HAS(3, MAP_TYPE | MAP_ANONYMOUS, MAP_SHARED)),
	      "shared, of a descriptor, not executable",
	      "a net device's memory and rings come with the program"),
	ALLOW(JAIL_SHELL, getsockopt, ONE(IS(1, SOL_XDP)), "of AF_XDP", "where its rings are"),
	ALLOW(JAIL_SHELL, sched_getaffinity, ANY, NULL, "is there a CPU to poll on?"),
	ALLOW(ALL, munmap, ANY, NULL, "libc's memory"),
	ALLOW(ALL, brk, ANY, NULL, NULL),
	ALLOW(JAIL_SHELL, mprotect, ONE(HAS(2, PROT_EXEC, 0)), "not executable", NULL),
	ALLOW(RUNS, mprotect, ANY, NULL, "a library's text is mapped when the helper is executed"),
	ALLOW(ALL, fstat, ANY, NULL, "what are stdin, stdout, stderr, the image?"),
	ALLOW(ALL, pread64, ANY, NULL, "the prepared image's head"),
	ALLOW(ALL, fcntl, ONE(IS(1, F_GETFL)), "F_GETFL", "is the stream open?"),
	ALLOW(JAIL_SHELL, gettid, ANY, NULL, "a message ends KVM_RUN"),
	ALLOW(JAIL_SHELL, fcntl, ONE(IS(1, F_SETOWN_EX)), "F_SETOWN_EX", NULL),
	ALLOW(JAIL_SHELL, fcntl, TWO(IS(1, F_SETFL), FLAGS(2, O_RDWR | O_ASYNC)),
	      "F_SETFL to O_ASYNC", "O_NONBLOCK would be the other shells', too"),
	ALLOW(ALL, ioctl, ONE(IS(1, TIOCGWINSZ)), "TIOCGWINSZ", "is the stream a terminal?"),
	ALLOW(ALL, close, ANY, NULL, "what is no longer needed"),
	ALLOW(ALL, getrandom, ANY, NULL, "the guest's seed"),
	ALLOW(ALL, rt_sigaction, ANY, NULL, "which signals end KVM_RUN"),
	ALLOW(ALL, mincore, ANY, NULL, "how much of the guest's memory is there"),
	ALLOW(ALL, exit_group, ANY, NULL, "the end"),
	/* ---- a run reports a crash: what it and the helper take; nothing that changes a file ----
	 */
	ALLOW(RUNS, open, ONE(HAS(1, WRITES, 0)), "to read", "the program's and the debug files"),
	ALLOW(RUNS, openat, ONE(HAS(2, WRITES, 0)), "to read", NULL),
	ALLOW(RUNS, readlink, ANY, NULL, NULL),
	ALLOW(RUNS, getcwd, ANY, NULL, NULL),
	ALLOW(RUNS, access, ANY, NULL, NULL),
	ALLOW(RUNS, newfstatat, ANY, NULL, NULL),
	ALLOW(RUNS, lseek, ANY, NULL, NULL),
	ALLOW(RUNS, memfd_create, ANY, NULL, "the guest's memory for the helper, and its answer"),
	ALLOW(RUNS, fcntl, ONE(IS(1, F_DUPFD_CLOEXEC)), "F_DUPFD_CLOEXEC", NULL),
	ALLOW(RUNS, fcntl, ONE(IS(1, F_SETFD)), "F_SETFD", NULL),
	ALLOW(RUNS, fcntl, ONE(IS(1, F_GETFD)), "F_GETFD", NULL),
	ALLOW(RUNS, pipe2, ANY, NULL, "libc's posix_spawn"),
	ALLOW(RUNS, clone, ONE(IS(0, SPAWN_FLAGS)), "as posix_spawn", NULL),
	ALLOW(RUNS, dup2, ANY, NULL, NULL),
	ALLOW(RUNS, execve, ANY, NULL, "the helper, which is under this filter, too"),
	ALLOW(RUNS, wait4, ANY, NULL, NULL),
	ALLOW(RUNS, mremap, ANY, NULL, NULL),
	ALLOW(RUNS, sysinfo, ANY, NULL, "libc's qsort"),
	ALLOW(RUNS, alarm, ANY, NULL, "its time limit"),
	/* libdw gets a network library ready, whether it will ask a server or not (it will not). */
	{.sets = RUNS, .nr = SCMP_SYS(socketpair), .refuse = EACCES, .why = "libdw's start"},
	{.sets = RUNS, .nr = SCMP_SYS(prlimit64), .refuse = EPERM, .why = "libc's start"},
	ALLOW(RUNS, arch_prctl, ANY, NULL, "libc's start"),
	ALLOW(RUNS, set_tid_address, ANY, NULL, NULL),
	ALLOW(RUNS, set_robust_list, ANY, NULL, NULL),
	ALLOW(RUNS, rseq, ANY, NULL, NULL),
	/* ---- and leaves a twin ---- */
	ALLOW(RUNS, getpid, ANY, NULL, "end.c: a twin takes the VM down"),
	ALLOW(RUNS, clone, ONE(IS(0, TWIN_FLAGS)), "as the twin", NULL),
	ALLOW(RUNS, prctl, ONE(IS(0, PR_SET_PDEATHSIG)), "PR_SET_PDEATHSIG", NULL),
	ALLOW(RUNS, getppid, ANY, NULL, NULL),
	ALLOW(RUNS, pause, ANY, NULL, NULL),
	/* ---- --core: a file of the caller's is written ---- */
	ALLOW(JAIL_CORE, ioctl, ONE(IS(1, KVM_GET_XSAVE)), "KVM_GET_XSAVE", "the core file"),
	ALLOW(JAIL_CORE, lstat, ANY, NULL, NULL),
	ALLOW(JAIL_CORE, open, ANY, NULL, NULL),
	ALLOW(JAIL_CORE, fcntl, TWO(IS(1, F_SETFL), FLAGS(2, 0)), "F_SETFL to 0", NULL),
	ALLOW(JAIL_CORE, ftruncate, ANY, NULL, NULL),
	ALLOW(JAIL_CORE, fsync, ANY, NULL, NULL),
	ALLOW(JAIL_CORE, rename, ANY, NULL, NULL),
	ALLOW(JAIL_CORE, unlink, ANY, NULL, NULL),
};
const size_t jail_nrules = sizeof(jail_rules) / sizeof(jail_rules[0]);
