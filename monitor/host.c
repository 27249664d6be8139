/* SPDX-License-Identifier: Apache-2.0 */
/* host.c: see host.h. */
#include <errno.h>
#include <fcntl.h>
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

#define KEPT_NAME    "host"
#define KEPT_VERSION 1u

/* The file in the run directory. It is ours alone (0700), but checked all the same. */
struct kept {
	uint32_t version;
	uint32_t tsc_khz;
	/* It holds for this boot and this /dev/kvm (made anew when a KVM module is loaded). */
	int64_t boot_s;
	uint64_t kvm_ino;
	int64_t kvm_ctime_s, kvm_ctime_ns;
	uint64_t xcr0;
	uint32_t xsave_bytes;
	uint32_t ncpuid;
	uint8_t cpuid[HOST_MAX_CPUID * 40];
};

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

static bool load_kept(struct host *host, const struct stat *kvm, int64_t boot)
{
	struct kvm_cpuid2 *cpuid = (struct kvm_cpuid2 *)host->cpuid;
	struct kept kept;
	int fd = openat(host->run_dir, KEPT_NAME, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	ssize_t n;

	if (fd < 0)
		return false;
	n = read(fd, &kept, sizeof(kept));
	close(fd);
	if (n != sizeof(kept) || kept.version != KEPT_VERSION || kept.ncpuid > HOST_MAX_CPUID ||
	    llabs(kept.boot_s - boot) > 2 || kept.kvm_ino != kvm->st_ino ||
	    kept.kvm_ctime_s != kvm->st_ctim.tv_sec || kept.kvm_ctime_ns != kvm->st_ctim.tv_nsec)
		return false;
	host->tsc_khz = kept.tsc_khz;
	host->xcr0 = kept.xcr0;
	host->xsave_bytes = kept.xsave_bytes;
	cpuid->nent = kept.ncpuid;
	memcpy(cpuid->entries, kept.cpuid, kept.ncpuid * sizeof(cpuid->entries[0]));
	return true;
}

/* Best effort: a run that cannot keep it asks again next time. */
static void keep(const struct host *host, const struct stat *kvm, int64_t boot)
{
	const struct kvm_cpuid2 *cpuid = (const struct kvm_cpuid2 *)host->cpuid;
	static struct kept kept;
	char name[32];
	int fd;

	kept = (struct kept){
		.version = KEPT_VERSION,
		.tsc_khz = host->tsc_khz,
		.boot_s = boot,
		.kvm_ino = kvm->st_ino,
		.kvm_ctime_s = kvm->st_ctim.tv_sec,
		.kvm_ctime_ns = kvm->st_ctim.tv_nsec,
		.xcr0 = host->xcr0,
		.xsave_bytes = host->xsave_bytes,
		.ncpuid = cpuid->nent,
	};
	memcpy(kept.cpuid, cpuid->entries, cpuid->nent * sizeof(cpuid->entries[0]));
	snprintf(name, sizeof(name), KEPT_NAME ".%d", (int)getpid());
	fd = openat(host->run_dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return;
	if (write(fd, &kept, sizeof(kept)) != sizeof(kept) ||
	    renameat(host->run_dir, name, host->run_dir, KEPT_NAME))
		unlinkat(host->run_dir, name, 0);
	close(fd);
}

static int ask_kvm(struct host *host, int kvm, struct err *err)
{
	struct kvm_cpuid2 *cpuid = (struct kvm_cpuid2 *)host->cpuid;
	int vm, khz;

	cpuid->nent = HOST_MAX_CPUID;
	if (ioctl(kvm, KVM_GET_SUPPORTED_CPUID, cpuid) < 0)
		return err_set(err, errno, "cannot ask KVM for the supported CPUID");
	/* A VM answers for the frequency that new vCPUs get (KVM_CAP_GET_TSC_KHZ). */
	vm = ioctl(kvm, KVM_CREATE_VM, 0);
	if (vm < 0)
		return err_set(err, errno, "cannot create a virtual machine");
	khz = ioctl(vm, KVM_CREATE_VCPU, 0);
	if (khz >= 0) {
		int vcpu = khz;

		khz = ioctl(vcpu, KVM_GET_TSC_KHZ, 0);
		close(vcpu);
	}
	close(vm);
	if (khz <= 0)
		return err_set(err, errno, "cannot ask KVM for the TSC's frequency");
	host->tsc_khz = (uint32_t)khz;
	return cpuid_filter(cpuid, &host->xcr0, &host->xsave_bytes, err);
}

int host_load(struct host *host, int kvm, struct err *err)
{
	int64_t boot = boot_time();
	struct stat st;
	int ret;

	host->run_dir = host_open_run_dir();
	if (fstat(kvm, &st))
		return err_set(err, errno, "cannot examine /dev/kvm");
	host->reaps = end_orphans_are_reaped(host->run_dir);
	if (host->run_dir >= 0 && load_kept(host, &st, boot))
		return 0;
	host->fresh = true;
	ret = ask_kvm(host, kvm, err);
	if (!ret && host->run_dir >= 0) {
		keep(host, &st, boot);
		end_probe_reaper(host->run_dir);
	}
	return ret;
}
