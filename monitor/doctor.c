/* SPDX-License-Identifier: Apache-2.0 */
/*
 * doctor.c: KVM: is it there, can it do what we need, does a VM run; see doctor.h.
 *
 * The checks use the functions that a run uses, so that they cannot pass where it would
 * fail. Only what is cached is asked anew: it may not be true any more.
 */
#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <linux/kvm.h>

#include "doctor.h"
#include "guest.h"
#include "vm.h"
#include "x86_cpuid.h"
#include "x86_machine.h"
#include "x86_paging.h"

#define PROBE_PAGES 32
#define PROBE_VALUE 0x796c6679616d2121ull
#define PROBE_LIMIT 2    /* seconds: a guest that never exits must not hang the doctor */
#define LEAST_KHZ   1000 /* anything below is not a TSC */

/* ---- /dev/kvm ---- */

enum cpu_virt { CPU_NONE, CPU_VMX, CPU_SVM };

static enum cpu_virt cpu_virt(void)
{
	unsigned a, b, c, d;

	if (__get_cpuid(1, &a, &b, &c, &d) && (c & 1u << 5))
		return CPU_VMX;
	if (__get_cpuid(0x80000001, &a, &b, &c, &d) && (c & 1u << 2))
		return CPU_SVM;
	return CPU_NONE;
}

static void fix_no_driver(struct doctor *d)
{
	char dev[16];

	if (doctor_read("/sys/class/misc/kvm/dev", dev, sizeof(dev)))
		doctor_fix(d,
			   "the kernel has KVM (%s) but this container has no device for it: "
			   "start it with --device /dev/kvm",
			   dev);
	else if (cpu_virt() == CPU_VMX)
		doctor_fix(d, "as root: modprobe kvm_intel");
	else if (cpu_virt() == CPU_SVM)
		doctor_fix(d, "as root: modprobe kvm_amd");
	else
		doctor_fix(d, "this CPU shows no VT-x or AMD-V: switch it on in the firmware, use "
			      "a cloud machine with nested virtualization, or a kernel with "
			      "KVM-PVM (modprobe kvm_pvm)");
}

static void fix_permission(struct doctor *d, const struct stat *st)
{
	const struct group *group = getgrgid(st->st_gid);
	const struct passwd *user = getpwuid(geteuid());

	if ((st->st_mode & 060) == 060 && st->st_gid)
		doctor_fix(d,
			   "as root: usermod -aG %s %s, then log in again; for a container: "
			   "--group-add %u",
			   group ? group->gr_name : "kvm", user ? user->pw_name : "USER",
			   (unsigned)st->st_gid);
	else
		doctor_fix(d,
			   "as root: chgrp kvm /dev/kvm && chmod 660 /dev/kvm && usermod -aG kvm "
			   "%s, then log in again",
			   user ? user->pw_name : "USER");
}

/* The open /dev/kvm, or -1. */
static int check_device(struct doctor *d)
{
	static const char name[] = "kvm-device";
	struct stat st;
	int fd;

	if (stat("/dev/kvm", &st)) {
		doctor_add(d, name, CHECK_FAIL, "/dev/kvm: %s", strerror(errno));
		fix_no_driver(d);
		return -1;
	}
	if (!S_ISCHR(st.st_mode)) {
		doctor_add(d, name, CHECK_FAIL, "/dev/kvm is not a device");
		doctor_fix(d, "as root: rm /dev/kvm && mknod /dev/kvm c 10 232");
		return -1;
	}
	fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (fd >= 0) {
		doctor_add(d, name, CHECK_OK, "/dev/kvm opens (mode %03o)", st.st_mode & 0777);
		return fd;
	}
	doctor_add(d, name, CHECK_FAIL, "/dev/kvm is there but does not open: %s", strerror(errno));
	if (errno == EACCES)
		fix_permission(d, &st);
	else if (errno == EPERM)
		doctor_fix(d, "a device cgroup forbids it: start the container with --device "
			      "/dev/kvm, the service with DeviceAllow=/dev/kvm rw");
	else
		fix_no_driver(d);
	return -1;
}

static bool check_api(struct doctor *d, int kvm)
{
	int version = ioctl(kvm, KVM_GET_API_VERSION, 0);

	doctor_add(d, "kvm-api", version == KVM_API_VERSION ? CHECK_OK : CHECK_FAIL, "version %d",
		   version);
	if (version == KVM_API_VERSION)
		return true;
	doctor_fix(d,
		   "mayfly needs version %d: this /dev/kvm is not Linux' KVM, which is device "
		   "10:232; as root: rm /dev/kvm && mknod /dev/kvm c 10 232",
		   KVM_API_VERSION);
	return false;
}

static void check_kind(struct doctor *d)
{
	const enum cpu_virt cpu = cpu_virt();
	unsigned a, b, c, x;
	const char *where = __get_cpuid(1, &a, &b, &c, &x) && c >> 31
				    ? "in a virtual machine (nested)"
				    : "on the bare machine";

	if (cpu == CPU_VMX && !access("/sys/module/kvm_intel", F_OK)) {
		doctor_add(d, "kvm-kind", CHECK_OK, "VT-x %s", where);
	} else if (cpu == CPU_SVM && !access("/sys/module/kvm_amd", F_OK)) {
		doctor_add(d, "kvm-kind", CHECK_OK, "AMD-V %s", where);
	} else if (!access("/sys/module/kvm_pvm", F_OK)) {
		doctor_add(d, "kvm-kind", CHECK_OK,
			   "PVM: no hardware virtualization needed; programs compute at native "
			   "speed, changes of their mappings cost more");
	} else {
		doctor_add(d, "kvm-kind", CHECK_WARN,
			   "unknown: %s, and none of kvm_intel, kvm_amd, "
			   "kvm_pvm is in /sys/module",
			   cpu == CPU_NONE ? "the CPU shows no VT-x or AMD-V" : "the CPU can");
		doctor_fix(d, "none may be needed: see what vm-run below says");
	}
}

static bool check_capabilities(struct doctor *d, int kvm)
{
	static const struct {
		int cap;
		int least; /* a mask for SYNC_REGS, a number elsewhere */
		bool needed;
		const char *name;
	} caps[] = {
		{KVM_CAP_USER_MEMORY, 1, true, "USER_MEMORY"},
		{KVM_CAP_SYNC_REGS, KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS, true, "SYNC_REGS"},
		{KVM_CAP_IMMEDIATE_EXIT, 1, true, "IMMEDIATE_EXIT"},
		{KVM_CAP_EXT_CPUID, 1, true, "EXT_CPUID"},
		{KVM_CAP_XCRS, 1, true, "XCRS"},
		{KVM_CAP_GET_TSC_KHZ, 1, true, "GET_TSC_KHZ"},
		{KVM_CAP_IOEVENTFD, 1, false, "IOEVENTFD"},
		{KVM_CAP_READONLY_MEM, 1, false, "READONLY_MEM"},
		{KVM_CAP_NR_MEMSLOTS, 8, false, "NR_MEMSLOTS"},
	};
	char missing[160] = "";
	bool fails = false;

	for (size_t i = 0; i < sizeof(caps) / sizeof(caps[0]); i++) {
		int has = ioctl(kvm, KVM_CHECK_EXTENSION, caps[i].cap);
		bool enough = caps[i].cap == KVM_CAP_SYNC_REGS
				      ? (has & caps[i].least) == caps[i].least
				      : has >= caps[i].least;
		size_t len = strlen(missing);

		if (enough)
			continue;
		fails |= caps[i].needed;
		snprintf(missing + len, sizeof(missing) - len, " %s", caps[i].name);
	}
	if (!missing[0]) {
		doctor_add(d, "kvm-capabilities", CHECK_OK, "all that mayfly uses");
		return true;
	}
	doctor_add(d, "kvm-capabilities", fails ? CHECK_FAIL : CHECK_WARN, "missing:%s", missing);
	doctor_fix(
		d,
		fails ? "use a newer kernel (Linux 5.15 has them all)"
		      : "programs run, but not with network or block devices: use a newer kernel");
	return !fails;
}

/*
 * ---- a VM, made as a run does ----
 * Its one page of code runs at ring 3, as all that mayfly's guests do, and writes a value
 * to the doorbell. That it arrives proves page tables, segments, CPUID, MSRs and exits.
 */

static bool check_cpu(struct doctor *d, int kvm, struct host *host)
{
	struct kvm_cpuid2 *cpuid = (struct kvm_cpuid2 *)&host->facts.cpuid;
	struct err err = {0};

	cpuid->nent = HOST_MAX_CPUID;
	if (ioctl(kvm, KVM_GET_SUPPORTED_CPUID, cpuid) < 0) {
		doctor_add(d, "cpu-features", CHECK_FAIL,
			   "KVM does not say what guests may see: %s", strerror(errno));
		doctor_fix(d, "use a newer kernel");
		return false;
	}
	if (cpuid_filter(cpuid, &host->facts.xcr0, &host->facts.xsave_bytes, &err)) {
		doctor_add(d, "cpu-features", CHECK_FAIL, "%s", err.message);
		doctor_fix(d, "if this is a virtual machine, give it its host's CPU model (QEMU: "
			      "-cpu host)");
		return false;
	}
	doctor_add(d, "cpu-features", CHECK_OK, "all that guests need; vectors up to %s",
		   host->facts.xcr0 & 0x20   ? "AVX-512"
		   : host->facts.xcr0 & 0x04 ? "AVX"
					     : "SSE");
	return true;
}

/* RAM with the code and page tables for it. */
static int build_memory(struct vm *vm, uint64_t *cr3, struct err *err)
{
	static const uint8_t code[] = {0x48, 0x89, 0x07}; /* mov %rax,(%rdi) */
	struct pt_builder pt;
	int ret = vm_reserve_ram(vm, PROBE_PAGES * NOXS_PAGE, err);

	if (ret)
		return ret;
	memcpy(gmem_at(&vm->ram, NOXS_GPA_RAM, sizeof(code)), code, sizeof(code));
	ret = pt_init(&pt, &vm->ram, NOXS_GPA_RAM + NOXS_PAGE, (PROBE_PAGES - 1) * NOXS_PAGE);
	if (!ret)
		ret = pt_map(&pt, NOXS_GVA_MIN, NOXS_GPA_RAM, NOXS_PAGE, PT_USER | PT_EXEC);
	if (!ret)
		ret = pt_map(&pt, NOXS_GVA_DOORBELL, NOXS_GPA_DOORBELL, NOXS_PAGE,
			     PT_USER | PT_WRITE);
	*cr3 = pt.root;
	return ret ? err_set(err, -ret, "cannot build page tables") : 0;
}

static void on_alarm(int sig)
{
	(void)sig; /* it only has to end KVM_RUN */
}

static int run_probe(struct vm *vm, uint64_t cr3, struct err *err)
{
	static const struct noxs_kernel probe = {.entry = NOXS_GVA_MIN};
	struct sigaction act = {.sa_handler = on_alarm}, old;
	struct kvm_run *run = vm->run;
	uint64_t value;
	int ret;

	machine_sregs(&run->s.regs.sregs, cr3);
	machine_regs(&run->s.regs.regs, &probe);
	run->s.regs.regs.rax = PROBE_VALUE;
	run->s.regs.regs.rdi = NOXS_GVA_DOORBELL;
	run->kvm_dirty_regs = KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS;
	sigaction(SIGALRM, &act, &old);
	setitimer(ITIMER_REAL, &(struct itimerval){.it_value.tv_sec = PROBE_LIMIT}, NULL);
	ret = vm_ioctl(vm, vm->vcpu, KVM_RUN, 0);
	setitimer(ITIMER_REAL, &(struct itimerval){0}, NULL);
	sigaction(SIGALRM, &old, NULL);
	if (ret == -EINTR)
		return err_set(err, 0, "the virtual CPU did not get to its end in %d s",
			       PROBE_LIMIT);
	if (ret < 0)
		return err_set(err, -ret, "cannot run the virtual CPU");
	memcpy(&value, run->mmio.data, sizeof(value));
	if (run->exit_reason != KVM_EXIT_MMIO || run->mmio.phys_addr != NOXS_GPA_DOORBELL ||
	    run->mmio.len != sizeof(value) || value != PROBE_VALUE)
		return err_set(err, 0, "the virtual CPU stopped for the wrong reason (%u)",
			       run->exit_reason);
	return 0;
}

static double ms_since(const struct timespec *start)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)(now.tv_sec - start->tv_sec) * 1e3 +
	       (double)(now.tv_nsec - start->tv_nsec) / 1e6;
}

static void check_run(struct doctor *d, int kvm, const struct host *host)
{
	struct vm vm = {.kvm = kvm, .fd = -1, .vcpu = -1};
	struct err err = {0};
	struct timespec start;
	uint64_t cr3;
	int khz = 0, ret;

	clock_gettime(CLOCK_MONOTONIC, &start);
	ret = build_memory(&vm, &cr3, &err);
	if (!ret)
		ret = vm_create(&vm, host, guest_kernel()->lstar, &err);
	if (!ret)
		ret = run_probe(&vm, cr3, &err);
	if (!ret) {
		doctor_add(d, "vm-run", CHECK_OK, "made a VM and ran it at ring 3, in %.2f ms",
			   ms_since(&start));
		khz = ioctl(vm.vcpu, KVM_GET_TSC_KHZ, 0);
	} else {
		doctor_add(d, "vm-run", CHECK_FAIL, "%s", err.message);
		doctor_fix(d, "see what the kernel says of it: dmesg | grep -i kvm");
	}
	if (!ret && khz >= LEAST_KHZ) {
		doctor_add(d, "vm-tsc", CHECK_OK, "%.3f GHz", khz / 1e6);
	} else if (!ret) {
		doctor_add(d, "vm-tsc", CHECK_FAIL, "KVM does not tell the TSC's frequency");
		doctor_fix(d, "use a newer kernel, or a machine whose TSC is stable");
	}
	/* All of it is released by hand: the doctor goes on. */
	if (vm.run && vm.run != MAP_FAILED)
		munmap(vm.run, NOXS_PAGE);
	if (vm.vcpu >= 0)
		close(vm.vcpu);
	if (vm.fd >= 0)
		close(vm.fd);
	if (vm.ram.host)
		munmap(vm.ram.host, vm.ram.bytes);
}

void doctor_kvm_checks(struct doctor *d)
{
	static struct host host;
	int kvm = check_device(d);

	if (kvm < 0)
		return;
	if (check_api(d, kvm)) {
		check_kind(d);
		if (check_capabilities(d, kvm) && check_cpu(d, kvm, &host))
			check_run(d, kvm, &host);
	}
	close(kvm);
}
