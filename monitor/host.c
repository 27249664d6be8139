/* SPDX-License-Identifier: Apache-2.0 */
/* host.c: see host.h. */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <linux/kvm.h>

#include "end.h"
#include "host.h"
#include "x86_cpuid.h"

#define FACTS_NAME    "host"
#define FACTS_VERSION 2u

const char *host_run_dir(void)
{
	static char path[256];
	const char *dir = getenv("MAYFLY_RUN_DIR");

	if (path[0])
		return path;
	if (dir && *dir)
		snprintf(path, sizeof(path), "%s", dir);
	else if (geteuid() == 0)
		snprintf(path, sizeof(path), "/run/mayfly");
	else if ((dir = getenv("XDG_RUNTIME_DIR")) && *dir)
		snprintf(path, sizeof(path), "%s/mayfly", dir);
	else
		snprintf(path, sizeof(path), "/tmp/mayfly-%u", (unsigned)geteuid());
	return path;
}

int host_open_run_dir(void)
{
	const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	const char *path = host_run_dir();
	int fd = open(path, flags);
	struct stat st;

	if (fd < 0 && errno == ENOENT && (!mkdir(path, 0700) || errno == EEXIST))
		fd = open(path, flags);
	if (fd < 0)
		return -1;
	/* What others can write into is not to be trusted with code. */
	if (fstat(fd, &st) || st.st_uid != geteuid() || (st.st_mode & 022)) {
		close(fd);
		return -1;
	}
	return fd;
}

/* Seconds since the epoch at boot, to tell one boot from another. */
static int64_t boot_time(void)
{
	struct timespec now, up;

	clock_gettime(CLOCK_REALTIME, &now);
	clock_gettime(CLOCK_BOOTTIME, &up);
	return now.tv_sec - up.tv_sec;
}

/* Are facts, just read or just made, of this boot and this /dev/kvm? */
static bool still_true(const struct host_facts *f, const struct stat *kvm, int64_t boot)
{
	return f->version == FACTS_VERSION && f->cpuid.nent <= HOST_MAX_CPUID &&
	       llabs(f->boot_s - boot) <= 2 && f->kvm_ino == kvm->st_ino &&
	       f->kvm_ctime_s == kvm->st_ctim.tv_sec && f->kvm_ctime_ns == kvm->st_ctim.tv_nsec;
}

static bool load_kept(struct host *host)
{
	int fd = openat(host->run_dir, FACTS_NAME, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	ssize_t n;

	if (fd < 0)
		return false;
	n = read(fd, &host->facts, sizeof(host->facts));
	close(fd);
	return n == sizeof(host->facts);
}

/* Best effort: a run that cannot keep it asks again next time. */
static void keep(const struct host *host)
{
	char name[32];
	int fd;

	snprintf(name, sizeof(name), FACTS_NAME ".%d", (int)getpid());
	fd = openat(host->run_dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return;
	if (write(fd, &host->facts, sizeof(host->facts)) != sizeof(host->facts) ||
	    renameat(host->run_dir, name, host->run_dir, FACTS_NAME))
		unlinkat(host->run_dir, name, 0);
	close(fd);
}

static int ask_kvm(struct host_facts *f, int kvm, struct err *err)
{
	struct kvm_cpuid2 *cpuid = (struct kvm_cpuid2 *)&f->cpuid;
	int vm, vcpu, khz;

	cpuid->nent = HOST_MAX_CPUID;
	if (ioctl(kvm, KVM_GET_SUPPORTED_CPUID, cpuid) < 0)
		return err_set(err, errno, "cannot ask KVM for the supported CPUID");
	/* The frequency that new vCPUs get is told by one of them (KVM_CAP_GET_TSC_KHZ). */
	vm = ioctl(kvm, KVM_CREATE_VM, 0);
	if (vm < 0)
		return err_set(err, errno, "cannot create a virtual machine");
	vcpu = ioctl(vm, KVM_CREATE_VCPU, 0);
	khz = vcpu < 0 ? -1 : ioctl(vcpu, KVM_GET_TSC_KHZ, 0);
	if (khz <= 0)
		err_set(err, errno, "cannot ask KVM for the TSC's frequency");
	if (vcpu >= 0)
		close(vcpu);
	close(vm);
	if (khz <= 0)
		return -ENOTSUP;
	f->tsc_khz = (uint32_t)khz;
	return cpuid_filter(cpuid, &f->xcr0, &f->xsave_bytes, err);
}

int host_load(struct host *host, int kvm, int run_dir, struct err *err)
{
	struct host_facts *f = &host->facts;
	int64_t boot = boot_time();
	struct stat st;
	int ret;

	_Static_assert(sizeof(struct kvm_cpuid_entry2) == sizeof(f->cpuid.entries[0]), "its size");
	_Static_assert(offsetof(struct kvm_cpuid2, entries) == 8, "its head");
	host->run_dir = run_dir;
	host->exe = -1;
	if (fstat(kvm, &st))
		return err_set(err, errno, "cannot examine /dev/kvm");
	host->reaps = end_orphans_are_reaped(host->run_dir);
	if (host->run_dir >= 0 && load_kept(host) && still_true(f, &st, boot))
		return 0;
	*f = (struct host_facts){
		.version = FACTS_VERSION,
		.boot_s = boot,
		.kvm_ino = st.st_ino,
		.kvm_ctime_s = st.st_ctim.tv_sec,
		.kvm_ctime_ns = st.st_ctim.tv_nsec,
	};
	ret = ask_kvm(f, kvm, err);
	/* Not by PID 1, the zygote: it reaps its own orphans, which says nothing of the others'
	 * init. Who finds no facts kept tries that out. */
	if (!ret && host->run_dir >= 0 && getpid() != 1) {
		keep(host);
		end_probe_reaper(host->run_dir);
	}
	return ret;
}
