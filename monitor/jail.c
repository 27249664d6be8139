/* SPDX-License-Identifier: Apache-2.0 */
/* jail.c: see jail.h. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>

#include "jail.h"
#include "jail_filter.inc"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* An empty root is mounted over a directory that is there wherever /dev/kvm is. */
#define ANY_DIRECTORY "/dev"
#define HOST_NAME     "shell"
/* Far above any program's: it is the VMs that are to go when memory ends. */
#define OOM_SCORE "800"

/* Address space beside the VM's: our text and data (1 MiB), a START's strings and input. */
#define MORE_MEMORY (64ull << 20)

/* Who forked us, for PR_SET_PDEATHSIG; 0: jail_world was not called. */
static pid_t zygote;

static int set_caps(uint64_t caps)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {
		{.effective = (uint32_t)caps, .permitted = (uint32_t)caps},
		{.effective = (uint32_t)(caps >> 32), .permitted = (uint32_t)(caps >> 32)},
	};

	return (int)syscall(SYS_capset, &head, data);
}

struct limit {
	int what;
	rlim_t most;
};

static int set_limits(const struct limit *l, size_t n, struct err *err)
{
	for (size_t i = 0; i < n; i++) {
		struct rlimit value = {l[i].most, l[i].most};

		/* Refused where the limit is lower already: that will do. */
		if (setrlimit(l[i].what, &value) &&
		    (errno != EPERM || getrlimit(l[i].what, &value) || value.rlim_max > l[i].most))
			return err_set(err, errno, "cannot set limit %d to %llu", l[i].what,
				       (unsigned long long)l[i].most);
	}
	return 0;
}

/* ---- the world: once ---- */

static int empty_root(struct err *err)
{
	/* No mount made from now on shows outside, and none from outside here. */
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		return err_set(err, errno, "cannot make the jail's mounts its own");
	if (mount("mayfly", ANY_DIRECTORY, "tmpfs", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC,
		  "size=4k,nr_inodes=1,mode=0555"))
		return err_set(err, errno, "cannot mount the jail's empty root over %s",
			       ANY_DIRECTORY);
	/* pivot_root(2): with both the same, the old root ends up on top of the new one. */
	if (chdir(ANY_DIRECTORY) || syscall(SYS_pivot_root, ".", ".") || umount2(".", MNT_DETACH) ||
	    chdir("/"))
		return err_set(err, errno, "cannot enter the jail's empty root");
	if (sethostname(HOST_NAME, sizeof(HOST_NAME) - 1) || setdomainname("", 0))
		return err_set(err, errno, "cannot set the jail's host name");
	return 0;
}

/* Our shells inherit it. Raising it is everybody's right. */
static bool volunteer_for_oom(void)
{
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	bool done = fd >= 0 && write(fd, OOM_SCORE, sizeof(OOM_SCORE) - 1) > 0;

	if (fd >= 0)
		close(fd);
	return done;
}

/* What a zygote does with privilege: become others, signal them, let them run faster; and use
 * the run directory, whoever owns it. */
static int keep_zygote_caps(struct err *err)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2];
	uint64_t keep = 1ull << CAP_SETUID | 1ull << CAP_SETGID | 1ull << CAP_KILL |
			1ull << CAP_SYS_NICE | 1ull << CAP_DAC_OVERRIDE;

	/* Fails without CAP_SETPCAP: then there is no privilege that an exec could give. */
	for (int cap = 0; cap <= 63; cap++)
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0))
			break;
	if (syscall(SYS_capget, &head, data))
		return err_set(err, errno, "cannot read capabilities");
	keep &= data[0].permitted | (uint64_t)data[1].permitted << 32;
	return set_caps(keep) ? err_set(err, errno, "cannot drop capabilities") : 0;
}

/* What is the same for all: set once, inherited. */
static int limit_world(struct err *err)
{
	static const struct limit limits[] = {
		{RLIMIT_CORE, 0},        {RLIMIT_MEMLOCK, 0}, {RLIMIT_MSGQUEUE, 0},
		{RLIMIT_SIGPENDING, 16}, {RLIMIT_RTPRIO, 0},  {RLIMIT_NICE, 0},
	};

	return set_limits(limits, COUNT(limits), err);
}

int jail_world(struct err *err, char *text, size_t size)
{
	bool alone = getpid() == 1, oom = volunteer_for_oom();
	int ret = alone ? empty_root(err) : 0;

	if (ret)
		return ret;
	zygote = getpid();
	/* A shell can have it sent (F_SETOWN) to any process of its user, which would end it.
	 * Who wants it sets a handler. */
	signal(SIGIO, SIG_IGN);
	syscall(SYS_setgroups, 0, NULL); /* refused to who has no right to, and has none to lose */
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return err_set(err, errno, "cannot set no_new_privs");
	if ((ret = limit_world(err)) || (ret = keep_zygote_caps(err)))
		return ret;
	snprintf(text, size, "%s%s",
		 alone ? "pid, mount, net, ipc, uts namespaces"
		       : "no namespaces: shells see the host's files, network and processes",
		 oom ? "" : "; oom_score_adj could not be set");
	return 0;
}

/* ---- a shell ---- */

static int close_others(const struct jail *j, struct err *err)
{
	unsigned next = 0;

	if (j->nkeep > JAIL_MAX_KEEP)
		return err_set(err, 0, "a jail keeps at most %d descriptors", JAIL_MAX_KEEP);
	for (;;) {
		int least = -1;

		for (size_t i = 0; i < j->nkeep; i++)
			if (j->keep[i] >= (int)next && (least < 0 || j->keep[i] < least))
				least = j->keep[i];
		if (least != (int)next &&
		    syscall(SYS_close_range, next, least < 0 ? ~0u : (unsigned)least - 1, 0u))
			return err_set(err, errno, "cannot close descriptors");
		if (least < 0)
			return 0;
		next = (unsigned)least + 1;
	}
}

static int limit_shell(const struct jail *j, struct err *err)
{
	/* A user of its own has the process and the threads of doorbell.c and net_poll.c, which
	 * a VM can do without: where many share a user, a limit to them all could not allow it. */
	const bool alone = j->uid != JAIL_STAY;
	const struct limit limits[] = {
		{RLIMIT_NOFILE, JAIL_FILES},
		{RLIMIT_FSIZE, j->file_bytes},
		{RLIMIT_AS, j->memory_bytes ? j->memory_bytes + MORE_MEMORY : RLIM_INFINITY},
		{RLIMIT_NPROC, alone ? 3 : 0},
	};

	return set_limits(limits, COUNT(limits), err);
}

int jail_limit_files(uint64_t bytes, struct err *err)
{
	const struct limit files = {RLIMIT_FSIZE, bytes};

	return set_limits(&files, 1, err);
}

static int become(const struct jail *j, struct err *err)
{
	/* Not musl's: there is one thread, and these are for all of them. */
	if (syscall(SYS_setgroups, 0, NULL) && j->gid != JAIL_STAY)
		return err_set(err, errno, "cannot drop supplementary groups");
	if (j->gid != JAIL_STAY && syscall(SYS_setresgid, j->gid, j->gid, j->gid))
		return err_set(err, errno, "cannot become group %u", j->gid);
	if (j->uid != JAIL_STAY && syscall(SYS_setresuid, j->uid, j->uid, j->uid))
		return err_set(err, errno, "cannot become user %u", j->uid);
	if (set_caps(0))
		return err_set(err, errno, "cannot drop capabilities");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0))
		return err_set(err, errno, "cannot set no_new_privs");
	return 0;
}

/* After the change of user, which resets what it sets. */
static int follow_parent(struct err *err)
{
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0))
		return err_set(err, errno, "cannot bind the shell's life to the zygote's");
	if (zygote && getppid() != zygote)
		return err_set(err, 0, "the zygote has gone");
	return 0;
}

static int filter(const struct sock_filter *insns, size_t n, struct err *err)
{
	struct sock_fprog program = {.len = (unsigned short)n, .filter = (void *)insns};

	/* No flag: an administrator who has the kernel mitigate speculation for what is under a
	 * filter means us. Where nobody asked for it, the kernel does not. */
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0u, &program))
		return err_set(err, errno, "cannot install the system-call filter");
	return 0;
}

int jail_enter(const struct jail *j, struct err *err)
{
	int ret;

	if (chdir("/"))
		return err_set(err, errno, "cannot leave the working directory");
	if ((ret = close_others(j, err)) || (ret = limit_shell(j, err)) || (ret = become(j, err)) ||
	    (ret = follow_parent(err)))
		return ret;
	return filter(jail_shell, COUNT(jail_shell), err);
}

int jail_self(bool core, struct err *err)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return err_set(err, errno, "cannot set no_new_privs");
	return core ? filter(jail_core, COUNT(jail_core), err)
		    : filter(jail_run, COUNT(jail_run), err);
}
