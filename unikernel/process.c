/* SPDX-License-Identifier: Apache-2.0 */
/*
 * process.c: who and where the program is, and its end. There is one process with one
 * thread; what it asks of itself is answered as Linux would answer.
 */
#include <asm/errno.h>
#include <asm/prctl.h>
#include <linux/prctl.h>
#include <linux/sysinfo.h>
#include <linux/utsname.h>

#include "arch.h"
#include "net/net.h"
#include "signal.h"

#define GOODBYE_NS 1000000000ull /* what was sent last may take so long to arrive */

UK_SYSCALL(exit_group)
{
	if (uk_net_live)
		net_goodbye(GOODBYE_NS);
	for (;;)
		uk_doorbell(NOXS_DB_EXIT, a & 0xff);
}

UK_SYSCALL(exit)
{
	return sys_exit_group(a, b, c, d, e, f);
}

UK_SYSCALL(arch_prctl)
{
	uint64_t base;

	switch (a) {
	case ARCH_SET_FS:
	case ARCH_SET_GS:
		if (b >= NOXS_GVA_END)
			return -EPERM;
		if (a == ARCH_SET_FS)
			uk_set_fs(b);
		else
			uk_set_gs(b);
		return 0;
	case ARCH_GET_FS:
	case ARCH_GET_GS:
		base = a == ARCH_GET_FS ? uk_fs() : uk_gs();
		return uk_copy_out(b, &base, sizeof(base));
	}
	return -EINVAL;
}

bool uk_self(uint64_t pid)
{
	return !(uint32_t)pid || (uint32_t)pid == UK_NOXS->pid;
}

static char comm[16];

UK_SYSCALL(prctl)
{
	switch (a) {
	case PR_SET_NAME: {
		char name[16];
		long n = uk_copy_str(name, b, sizeof(name));

		if (n < 0 && n != -ENAMETOOLONG)
			return n;
		memcpy(comm, name, sizeof(comm) - 1);
		return 0;
	}
	case PR_GET_NAME:
		return uk_copy_out(b, comm, sizeof(comm));
	case PR_GET_DUMPABLE:
		return 1;
	case PR_SET_DUMPABLE:
	case PR_SET_PDEATHSIG:
	case PR_SET_NO_NEW_PRIVS:
	case PR_SET_VMA:
		return 0;
	case PR_GET_NO_NEW_PRIVS:
		return 1;
	}
	return -EINVAL;
}

UK_SYSCALL(set_tid_address)
{
	return UK_NOXS->pid;
}

UK_SYSCALL(uname)
{
	struct new_utsname u;

	memset(&u, 0, sizeof(u));
	/* The interface is Linux', so programs that look for its version find one. */
	memcpy(u.sysname, "Linux", 6);
	memcpy(u.release, UK_RELEASE, sizeof(UK_RELEASE));
	memcpy(u.version, "#1 mayfly library kernel", 25);
	memcpy(u.machine, "x86_64", 7);
	memcpy(u.domainname, "(none)", 7);
	memcpy(u.nodename, UK_NOXS->hostname, sizeof(u.nodename) - 1);
	return uk_copy_out(a, &u, sizeof(u));
}

UK_SYSCALL(sysinfo)
{
	uint64_t total, left, mapped;
	struct sysinfo si;

	uk_mm_usage(&total, &left, &mapped);
	memset(&si, 0, sizeof(si));
	si.uptime = (long)(uk_uptime_ns() / 1000000000);
	si.totalram = total;
	si.freeram = left;
	si.procs = 1;
	si.mem_unit = 1;
	return uk_copy_out(a, &si, sizeof(si));
}

#define ANSWER(name, value)     \
	UK_SYSCALL(name)        \
	{                       \
		return (value); \
	}
ANSWER(getpid, UK_NOXS->pid)
ANSWER(gettid, UK_NOXS->pid)
ANSWER(getppid, 0)
ANSWER(getuid, UK_NOXS->uid)
ANSWER(geteuid, UK_NOXS->uid)
ANSWER(getgid, UK_NOXS->gid)
ANSWER(getegid, UK_NOXS->gid)
ANSWER(getgroups, 0)
ANSWER(getpgrp, UK_NOXS->pid)
ANSWER(getpgid, uk_self(a) ? (long)UK_NOXS->pid : -ESRCH)
ANSWER(getsid, uk_self(a) ? (long)UK_NOXS->pid : -ESRCH)
ANSWER(setpgid, uk_self(a) && uk_self(b) ? 0 : -ESRCH)
ANSWER(setsid, -EPERM) /* a session's leader already */
ANSWER(setuid, (uint32_t)a == UK_NOXS->uid ? 0 : -EPERM)
ANSWER(setgid, (uint32_t)a == UK_NOXS->gid ? 0 : -EPERM)

/* There is one user and one group; -1 leaves as it is. */
static bool same(uint64_t id, uint32_t own)
{
	return (uint32_t)id == own || (uint32_t)id == UINT32_MAX;
}

static long stay(uint64_t a, uint64_t b, uint64_t c, uint32_t own)
{
	return same(a, own) && same(b, own) && same(c, own) ? 0 : -EPERM;
}
ANSWER(setreuid, stay(a, b, b, UK_NOXS->uid))
ANSWER(setregid, stay(a, b, b, UK_NOXS->gid))
ANSWER(setresuid, stay(a, b, c, UK_NOXS->uid))
ANSWER(setresgid, stay(a, b, c, UK_NOXS->gid))

static long three_ids(uint64_t a, uint64_t b, uint64_t c, uint32_t id)
{
	if (uk_copy_out(a, &id, 4) || uk_copy_out(b, &id, 4) || uk_copy_out(c, &id, 4))
		return -EFAULT;
	return 0;
}
ANSWER(getresuid, three_ids(a, b, c, UK_NOXS->uid))
ANSWER(getresgid, three_ids(a, b, c, UK_NOXS->gid))

UK_SYSCALL(getrandom)
{
	char buf[256];
	uint64_t done = 0;

	if (c & ~7ull)
		return -EINVAL;
	while (done < b && done < INT32_MAX) {
		size_t part = uk_min(b - done, sizeof(buf));

		uk_random(buf, part);
		if (uk_copy_out(a + done, buf, part))
			return done ? (long)done : -EFAULT;
		done += part;
	}
	return (long)done;
}
