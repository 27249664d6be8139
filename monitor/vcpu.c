/* SPDX-License-Identifier: Apache-2.0 */
/* vcpu.c: see vcpu.h. */
#include <errno.h>
#include <string.h>

#include <linux/kvm.h>

#include "vcpu.h"
#include "x86_machine.h"

void vcpu_start(struct vm *vm, const struct guest *guest)
{
	struct kvm_run *run = vm->run;

	machine_sregs(&run->s.regs.sregs, guest->cr3);
	machine_regs(&run->s.regs.regs, guest->kernel);
	run->kvm_dirty_regs = KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS;
}

/* The vCPU stopped for something a guest of ours does not do. */
static int unexpected(struct vm *vm, const char *what, uint64_t detail, struct err *err)
{
	struct kvm_regs regs = {0};

	vm_ioctl(vm, vm->vcpu, KVM_GET_REGS, (unsigned long)&regs);
	return err_set(err, EPROTO, "the virtual CPU stopped at 0x%llx: %s (0x%llx)",
		       (unsigned long long)regs.rip, what, (unsigned long long)detail);
}

/* KVM_RUN returned 0. Which doorbell was it? Anything else is an error. */
static int exit_slot(struct vm *vm, uint64_t *slot, uint64_t *value, struct err *err)
{
	struct kvm_run *run = vm->run;
	uint64_t at;

	switch (run->exit_reason) {
	case KVM_EXIT_MMIO:
		at = run->mmio.phys_addr - NOXS_GPA_DOORBELL;
		if (!run->mmio.is_write || run->mmio.len != 8 || at >= NOXS_PAGE || (at & 7))
			return unexpected(vm, "access outside of memory", run->mmio.phys_addr, err);
		memcpy(value, run->mmio.data, sizeof(*value));
		*slot = at / 8;
		vm->counters.exits++;
		return 0;
	case KVM_EXIT_INTR:
		return -EINTR;
	case KVM_EXIT_SHUTDOWN:
		return unexpected(vm, "triple fault", 0, err);
	case KVM_EXIT_INTERNAL_ERROR:
		return unexpected(vm, "KVM could not emulate an instruction",
				  run->internal.suberror, err);
	case KVM_EXIT_FAIL_ENTRY:
		return unexpected(vm, "KVM could not enter the guest",
				  run->fail_entry.hardware_entry_failure_reason, err);
	}
	return unexpected(vm, "exit reason", run->exit_reason, err);
}

int vcpu_run(struct vm *vm, uint64_t *slot, uint64_t *value, struct err *err)
{
	int ret = vm_ioctl(vm, vm->vcpu, KVM_RUN, 0);

	if (ret == -EINTR)
		return -EINTR;
	/* The vCPU waits to be initialised: KVM has reset it, for want of memory for example. */
	if (ret == -EAGAIN)
		return err_set(
			err, EAGAIN,
			"the virtual CPU was reset by KVM: a limit on memory (cgroup) that is "
			"too small is the likeliest reason");
	if (ret < 0)
		return err_set(err, -ret, "cannot run the virtual CPU");
	return exit_slot(vm, slot, value, err);
}

/* Its own code, or the vDSO's, which stands with the kernel's but runs as the program's. */
static bool is_program(const struct noxs_kernel *kernel, uint64_t rip)
{
	return rip < NOXS_GVA_KERNEL ||
	       (rip >= kernel->vdso && rip < NOXS_GVA_KERNEL + kernel->rodata_off);
}

bool vcpu_preempt(struct vm *vm, const struct guest *guest)
{
	struct kvm_regs regs;

	if (vm_ioctl(vm, vm->vcpu, KVM_GET_REGS, (unsigned long)&regs) < 0)
		return false;
	if (!is_program(guest->kernel, regs.rip))
		return false;
	guest->control->power.resume_rip = regs.rip;
	regs.rip = guest->kernel->preempt;
	return vm_ioctl(vm, vm->vcpu, KVM_SET_REGS, (unsigned long)&regs) >= 0;
}
