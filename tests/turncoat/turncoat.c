/* SPDX-License-Identifier: Apache-2.0 */
/*
 * turncoat.c: a monitor that its guest has taken over.
 *
 * Linked into a mayfly of its own with -Wl,--wrap=run_guest. Where the program's first
 * argument is turn=NAME, the process does what NAME says when the guest should begin to run,
 * and does not run it: its exit status then tells what came of it, if it lived to tell.
 *
 *   WORKED         nobody stopped it
 *   UNKNOWN        there is no such try
 *   anything else  the errno that it got
 *
 * Arguments are chosen such that little is broken where nobody stops it. After "forge" the
 * guest runs.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <linux/kvm.h>

#include "../../monitor/run.h"
#include "../../monitor/wire.h"
#include "../../monitor/x86_paging.h"

#define WORKED  200
#define UNKNOWN 201

#define MAX_FDS     1024
#define MAX_THREADS 16
#define NOWHERE     "/nonexistent/x"

int __real_run_guest(struct vm *vm, struct guest *guest, struct console *console,
		     const struct run_options *options, struct run_result *result, struct err *err);
int __wrap_run_guest(struct vm *vm, struct guest *guest, struct console *console,
		     const struct run_options *options, struct run_result *result, struct err *err);

/* ---- what system calls point to ---- */
static char page[4096] __attribute__((aligned(4096)));
static char *no_args[] = {NULL};
static struct sockaddr_un neighbour = {AF_UNIX, "shell/1"};
static struct rlimit many = {4096, 4096};
static struct iovec piece = {page, 16};
static struct msghdr letter = {
	.msg_name = &neighbour,
	.msg_namelen = sizeof(neighbour),
	.msg_iov = &piece,
	.msg_iovlen = 1,
};
static const int one = 1;

/* ---- tries of one system call ---- */
#define P(pointer) ((long)(pointer))
#define CALL(name, nr, ...)         \
	{                           \
		name, nr,           \
		{                   \
			__VA_ARGS__ \
		}                   \
	}

static const struct {
	const char *name;
	long nr, arg[6];
} calls[] = {
	/* files */
	CALL("open", SYS_open, P("/"), O_RDONLY),
	CALL("open_write", SYS_open, P("/tmp/mayfly-turncoat"), O_WRONLY | O_CREAT, 0600),
	CALL("openat", SYS_openat, AT_FDCWD, P("."), O_RDONLY),
	CALL("openat_tmpfile", SYS_openat, AT_FDCWD, P("/tmp"), O_TMPFILE | O_RDWR, 0600),
	CALL("openat2", SYS_openat2, AT_FDCWD, P("/"), P(page), 24),
	CALL("creat", SYS_creat, P(NOWHERE), 0600),
	CALL("proc_mem", SYS_open, P("/proc/1/mem"), O_RDWR),
	CALL("stat", SYS_stat, P("/"), P(page)),
	CALL("statx", SYS_statx, AT_FDCWD, P("/"), 0, 0, P(page)),
	CALL("readlink", SYS_readlink, P("/proc/self/exe"), P(page), sizeof(page)),
	CALL("truncate", SYS_truncate, P(NOWHERE), 0),
	CALL("mkdir", SYS_mkdir, P(NOWHERE), 0700),
	CALL("unlink", SYS_unlink, P(NOWHERE)),
	CALL("rename", SYS_rename, P(NOWHERE), P("/nonexistent/y")),
	CALL("link", SYS_link, P(NOWHERE), P("/nonexistent/y")),
	CALL("symlink", SYS_symlink, P("x"), P(NOWHERE)),
	CALL("mknod", SYS_mknod, P(NOWHERE), 0020600, 0),
	CALL("chmod", SYS_chmod, P(NOWHERE), 0777),
	CALL("chown", SYS_chown, P(NOWHERE), 0, 0),
	CALL("chdir", SYS_chdir, P("/")),
	CALL("name_to_handle_at", SYS_name_to_handle_at, AT_FDCWD, P("/"), P(page), P(page), 0),
	CALL("open_by_handle_at", SYS_open_by_handle_at, AT_FDCWD, P(page), O_RDONLY),
	CALL("inotify_init", SYS_inotify_init),
	CALL("fanotify_init", SYS_fanotify_init, 0, 0),
	CALL("memfd_create", SYS_memfd_create, P("x"), 0),
	CALL("memfd_secret", 447, 0),
	/* what it has: its descriptors, among them the news socket, which is all shells' */
	CALL("dup", SYS_dup, 2),
	CALL("setfl_nonblock", SYS_fcntl, 4, F_SETFL, O_NONBLOCK | O_RDWR),
	CALL("setsig", SYS_fcntl, 4, 10 /* F_SETSIG */, SIGKILL),
	CALL("setlk", SYS_fcntl, 4, F_SETLK, P(page)),
	CALL("fionbio", SYS_ioctl, 4, FIONBIO, P(&one)),
	CALL("tiocsti", SYS_ioctl, 0, 0x5412 /* TIOCSTI */, P(page)),
	CALL("shutdown", SYS_shutdown, 4, SHUT_RDWR),
	CALL("setsockopt", SYS_setsockopt, 4, SOL_SOCKET, SO_SNDBUF, P(&one), sizeof(one)),
	/* other processes */
	CALL("execve", SYS_execve, P("/proc/self/exe"), P(no_args), P(no_args)),
	CALL("execveat", SYS_execveat, 0, P(""), P(no_args), P(no_args), AT_EMPTY_PATH),
	CALL("clone3", SYS_clone3, P(page), 64),
	CALL("kill", SYS_kill, 1, 0),
	CALL("kill_all", SYS_kill, -1, 0),
	CALL("tgkill", SYS_tgkill, 1, 1, 0),
	CALL("rt_sigqueueinfo", SYS_rt_sigqueueinfo, 1, 0, P(page)),
	CALL("pidfd_open", SYS_pidfd_open, 1, 0),
	CALL("pidfd_getfd", SYS_pidfd_getfd, 4, 0, 0),
	CALL("ptrace", SYS_ptrace, 16 /* PTRACE_ATTACH */, 0, 0, 0),
	CALL("process_vm_readv", SYS_process_vm_readv, 1, P(&piece), 1, P(&piece), 1, 0),
	CALL("process_vm_writev", SYS_process_vm_writev, 1, P(&piece), 0, P(&piece), 0, 0),
	CALL("process_madvise", SYS_process_madvise, 4, P(&piece), 1, 0, 0),
	CALL("kcmp", SYS_kcmp, 1, 1, 0, 0, 0),
	CALL("prlimit_other", SYS_prlimit64, 1, RLIMIT_NOFILE, 0, P(page)),
	/* sockets */
	CALL("socket_unix", SYS_socket, AF_UNIX, SOCK_DGRAM, 0),
	CALL("socket_inet", SYS_socket, AF_INET, SOCK_STREAM, 0),
	CALL("socket_netlink", SYS_socket, AF_NETLINK, SOCK_RAW, 0),
	CALL("socket_packet", SYS_socket, AF_PACKET, SOCK_RAW, 0),
	CALL("socket_vsock", SYS_socket, AF_VSOCK, SOCK_STREAM, 0),
	CALL("socketpair", SYS_socketpair, AF_UNIX, SOCK_STREAM, 0, P(page)),
	CALL("connect", SYS_connect, 4, P(&neighbour), sizeof(neighbour)),
	CALL("bind", SYS_bind, 4, P(&neighbour), sizeof(neighbour)),
	CALL("accept", SYS_accept, 4, 0, 0),
	CALL("sendto", SYS_sendto, 4, P(page), 16, 0, P(&neighbour), sizeof(neighbour)),
	/* As the network's, but with bytes, or to somebody. */
	CALL("sendto_bytes", SYS_sendto, 4, P(page), 16, MSG_DONTWAIT, 0, 0),
	CALL("sendto_empty", SYS_sendto, 4, 0, 0, MSG_DONTWAIT, P(&neighbour), sizeof(neighbour)),
	CALL("sendmsg", SYS_sendmsg, 4, P(&letter), 0),
	CALL("sendmmsg", SYS_sendmmsg, 4, P(&letter), 1, 0),
	/* privilege */
	CALL("setuid", SYS_setuid, 0),
	CALL("setresuid", SYS_setresuid, 0, 0, 0),
	CALL("setgid", SYS_setgid, 0),
	CALL("setgroups", SYS_setgroups, 0, 0),
	CALL("capset", SYS_capset, P(page), P(page)),
	CALL("dumpable", SYS_prctl, PR_SET_DUMPABLE, 1, 0, 0, 0),
	CALL("keepcaps", SYS_prctl, PR_SET_KEEPCAPS, 1, 0, 0, 0),
	CALL("no_pdeathsig", SYS_prctl, PR_SET_PDEATHSIG, 0, 0, 0, 0),
	CALL("seccomp", SYS_seccomp, 2 /* SECCOMP_GET_ACTION_AVAIL */, 0, P(page)),
	CALL("setrlimit", SYS_setrlimit, RLIMIT_NOFILE, P(&many)),
	CALL("prlimit", SYS_prlimit64, 0, RLIMIT_NOFILE, P(&many), 0),
	CALL("setpriority", SYS_setpriority, PRIO_PROCESS, 0, -20),
	CALL("sched_setscheduler", SYS_sched_setscheduler, 0, SCHED_OTHER, P(page)),
	CALL("sched_setaffinity", SYS_sched_setaffinity, 0, 8, P(page)),
	CALL("ioprio_set", SYS_ioprio_set, 1, 0, 2 << 13),
	CALL("personality", SYS_personality, 0xffffffff),
	CALL("setsid", SYS_setsid),
	/* the world */
	CALL("mount", SYS_mount, P("x"), P(NOWHERE), P("tmpfs"), 0, 0),
	CALL("umount", SYS_umount2, P(NOWHERE), 0),
	CALL("fsopen", SYS_fsopen, P("tmpfs"), 0),
	CALL("open_tree", SYS_open_tree, AT_FDCWD, P("/"), 0),
	CALL("pivot_root", SYS_pivot_root, P(NOWHERE), P(NOWHERE)),
	CALL("chroot", SYS_chroot, P(NOWHERE)),
	CALL("unshare", SYS_unshare, CLONE_NEWUTS),
	CALL("unshare_user", SYS_unshare, CLONE_NEWUSER),
	CALL("setns", SYS_setns, -1, 0),
	CALL("sethostname", SYS_sethostname, P(page), -1),
	/* the kernel */
	CALL("bpf", SYS_bpf, 0, P(page), 0),
	CALL("perf_event_open", SYS_perf_event_open, P(page), 0, -1, -1, 0),
	CALL("userfaultfd", SYS_userfaultfd, 0),
	CALL("io_uring_setup", SYS_io_uring_setup, 1, P(page)),
	CALL("keyctl", SYS_keyctl, 0, -3, 0),
	CALL("add_key", SYS_add_key, P("user"), P("x"), P(page), 1, -2),
	CALL("request_key", SYS_request_key, P("user"), P("x"), 0, -2),
	CALL("init_module", SYS_init_module, P(page), 0, P("")),
	CALL("kexec_load", SYS_kexec_load, 0, 0, 0, -1),
	CALL("reboot", SYS_reboot, 0, 0, 0, 0),
	CALL("syslog", SYS_syslog, 10, 0, 0),
	CALL("swapon", SYS_swapon, P(NOWHERE), 0),
	CALL("acct", SYS_acct, P(NOWHERE)),
	CALL("clock_settime", SYS_clock_settime, 0, 0),
	CALL("iopl", SYS_iopl, 0),
	CALL("modify_ldt", SYS_modify_ldt, 0, P(page), 16),
	CALL("shmget", SYS_shmget, 0, 4096, 0600),
	CALL("msgget", SYS_msgget, 1, 0),
	CALL("semget", SYS_semget, 1, 0, 0),
	CALL("mq_open", SYS_mq_open, P("x"), 0, 0, 0),
	CALL("timer_create", SYS_timer_create, CLOCK_MONOTONIC, P(page), P(page)),
	CALL("timerfd_create", SYS_timerfd_create, CLOCK_MONOTONIC, 0),
	CALL("epoll_create1", SYS_epoll_create1, 0),
	CALL("landlock", SYS_landlock_create_ruleset, P(page), 0, 1),
	/* memory */
	CALL("mmap_exec", SYS_mmap, 0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS,
	     -1),
	CALL("mmap_shared", SYS_mmap, 0, 4096, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1),
	CALL("mprotect_exec", SYS_mprotect, P(page), 4096, PROT_READ | PROT_EXEC),
	CALL("pkey_mprotect", SYS_pkey_mprotect, P(page), 4096, PROT_READ, -1),
	CALL("mremap", SYS_mremap, P(page), 4096, 8192, MREMAP_MAYMOVE),
	CALL("mlock", SYS_mlock, P(page), 4096),
	CALL("mergeable", SYS_madvise, P(page), 4096, MADV_MERGEABLE),
	/* other ways into the kernel: x32's getpid */
	CALL("x32", 0x40000000 | SYS_getpid),
};

/* ---- tries that take more ---- */

static long with_kvm_on_each(unsigned long request)
{
	for (int fd = 0; fd < MAX_FDS; fd++)
		if (ioctl(fd, (int)request, 0) >= 0)
			return 0;
	return -1;
}

static long create_vm(void)
{
	return with_kvm_on_each(KVM_CREATE_VM);
}

static long create_vcpu(void)
{
	return with_kvm_on_each(KVM_CREATE_VCPU);
}

static long child(void)
{
	long pid = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);

	if (!pid)
		syscall(SYS_exit_group, 0);
	return pid;
}

/* The 32-bit getpid. */
static long int80(void)
{
	long ret;

	__asm__ volatile("int $0x80" : "=a"(ret) : "a"(20l) : "memory");
	return ret;
}

static void *sleeper(void *unused)
{
	poll(NULL, 0, -1);
	return unused;
}

/* As many threads as there can be; the errno at which that ended. */
static long threads(void)
{
	pthread_t thread;
	int ret = 0, n = 0;

	while (n < MAX_THREADS && !ret)
		if (!(ret = pthread_create(&thread, NULL, sleeper, NULL)))
			n++;
	if (n > 2)
		return 0;
	errno = ret;
	return -1;
}

/* News of other shells' ends, and noise, to every descriptor. Where it arrives is the test's
 * to see. */
static long forge(void)
{
	for (int fd = 0; fd < MAX_FDS; fd++) {
		struct {
			struct news head;
			struct news_exit exit;
		} news = {
			.head = {.type = NEWS_EXIT, .bytes = sizeof(news.exit)},
			.exit = {.end = END_EXITED, .exit_code = 77},
		};

		for (uint64_t shell = 0; shell < 64; shell++) {
			news.head.shell = shell;
			if (write(fd, &news, sizeof(news)) < 0)
				break;
		}
		if (write(fd, &news, 5) < 0)
			continue;
		news.head.bytes = 0xffffffff;
		if (write(fd, &news, sizeof(news)) < 0)
			continue;
	}
	return 0;
}

static const struct {
	const char *name;
	long (*run)(void);
	bool goes_on; /* with the guest */
} deeds[] = {
	{"create_vm", create_vm, false}, {"create_vcpu", create_vcpu, false},
	{"child", child, false},         {"int80", int80, false},
	{"threads", threads, false},     {"forge", forge, true},
};

/* ---- which ---- */

/* The program's argument number i, from where the guest will find it. */
static bool argument(const struct vm *vm, const struct guest *guest, unsigned i, char *text,
		     size_t size)
{
	uint64_t argc = 0, at = 0;
	size_t n;

	if (pt_read(&vm->ram, guest->cr3, guest->page->rsp, &argc, 8) != 8 || i >= argc ||
	    pt_read(&vm->ram, guest->cr3, guest->page->rsp + 8 + 8 * i, &at, 8) != 8)
		return false;
	n = pt_read(&vm->ram, guest->cr3, at, text, size - 1);
	text[n] = 0;
	return true;
}

static int outcome(long ret)
{
	return ret >= 0 ? WORKED : errno;
}

int __wrap_run_guest(struct vm *vm, struct guest *guest, struct console *console,
		     const struct run_options *options, struct run_result *result, struct err *err)
{
	static const char key[] = "turn=";
	char text[40];
	const char *name = text + sizeof(key) - 1;
	int status = UNKNOWN;

	if (!argument(vm, guest, 1, text, sizeof(text)) || strncmp(text, key, sizeof(key) - 1))
		return __real_run_guest(vm, guest, console, options, result, err);
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		const long *a = calls[i].arg;

		if (!strcmp(name, calls[i].name))
			status = outcome(syscall(calls[i].nr, a[0], a[1], a[2], a[3], a[4], a[5]));
	}
	for (size_t i = 0; i < sizeof(deeds) / sizeof(deeds[0]); i++) {
		if (strcmp(name, deeds[i].name))
			continue;
		status = outcome(deeds[i].run());
		if (deeds[i].goes_on)
			return __real_run_guest(vm, guest, console, options, result, err);
	}
	*result = (struct run_result){.end = RUN_EXITED, .status = status};
	return 0;
}
