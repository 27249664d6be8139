/* SPDX-License-Identifier: Apache-2.0 */
/*
 * doctor_vm.c: makes a VM as a run does and lets it execute one instruction; see doctor.h.
 *
 * Its one page of code runs at ring 3, as all that mayfly's guests do, and writes a value
 * to the doorbell. That it arrives proves page tables, segments, CPUID, MSRs and exits.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
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

static bool check_cpu(struct doctor *d, int kvm, struct host *host)
{
	struct kvm_cpuid2 *cpuid = (struct kvm_cpuid2 *)host->cpuid;
	struct err err = {0};

	cpuid->nent = HOST_MAX_CPUID;
	if (ioctl(kvm, KVM_GET_SUPPORTED_CPUID, cpuid) < 0) {
		doctor_add(d, "cpu-features", CHECK_FAIL,
			   "KVM does not say what guests may see: %s", strerror(errno));
		doctor_fix(d, "use a newer kernel");
		return false;
	}
	if (cpuid_filter(cpuid, &host->xcr0, &host->xsave_bytes, &err)) {
		doctor_add(d, "cpu-features", CHECK_FAIL, "%s", err.message);
		doctor_fix(d, "if this is a virtual machine, give it its host's CPU model (QEMU: "
			      "-cpu host)");
		return false;
	}
	doctor_add(d, "cpu-features", CHECK_OK, "all that guests need; vectors up to %s",
		   host->xcr0 & 0x20   ? "AVX-512"
		   : host->xcr0 & 0x04 ? "AVX"
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

void doctor_vm_checks(struct doctor *d, int kvm)
{
	static struct host host;

	if (check_cpu(d, kvm, &host))
		check_run(d, kvm, &host);
}
