/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vm.c: see vm.h. API: Linux' Documentation/virt/kvm/api.rst.
 *
 * Every ioctl costs several microseconds and some cost hundreds (kvm-facts in the
 * project's README), so there are exactly as many as it takes: registers travel with
 * KVM_RUN (KVM_CAP_SYNC_REGS), and the version checks are the doctor's.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <x86intrin.h>

#include <linux/kvm.h>

#include "vm.h"

#define MSR_TSC    0x10
#define MSR_STAR   0xc0000081
#define MSR_LSTAR  0xc0000082
#define MSR_SFMASK 0xc0000084

/* RAM that is in a memslot from the start; a power of two. */
#define FIRST_SLOT (4ull << 20)

/* kvm_run, the PIO page and the coalesced MMIO ring; we use the first page alone. */
#define RUN_BYTES 4096

int vm_open_kvm(struct err *err)
{
	int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);

	if (fd >= 0 && ioctl(fd, KVM_GET_API_VERSION, 0) == KVM_API_VERSION)
		return fd;
	if (fd >= 0) {
		close(fd);
		return err_set(err, 0,
			       "/dev/kvm is not KVM's device, or not of API version %d; 'mayfly "
			       "doctor' tells more",
			       KVM_API_VERSION);
	}
	if (errno == ENOENT)
		return err_set(err, ENOENT,
			       "cannot open /dev/kvm: load a KVM module (modprobe kvm-intel or "
			       "kvm-amd), or give the container --device /dev/kvm");
	if (errno == EACCES)
		return err_set(err, EACCES,
			       "cannot open /dev/kvm: join its group (usermod -aG kvm USER) or run "
			       "as root");
	return err_set(err, errno, "cannot open /dev/kvm");
}

int vm_ioctl(struct vm *vm, int fd, unsigned long request, unsigned long arg)
{
	int ret = ioctl(fd, request, arg);

	vm->counters.ioctls++;
	return ret < 0 ? -errno : ret;
}

int vm_reserve_ram(struct vm *vm, uint64_t ram_bytes, struct err *err)
{
	void *ram = mmap(NULL, ram_bytes, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (ram == MAP_FAILED)
		return err_set(err, errno, "cannot reserve %llu MiB of guest memory",
			       (unsigned long long)(ram_bytes >> 20));
	vm->ram = (struct gmem){.host = ram, .bytes = ram_bytes};
	return 0;
}

static int create_vcpu(struct vm *vm, const struct host *host, uint64_t lstar, struct err *err)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry[4];
	} msrs = {
		.head.nmsrs = 4,
		.entry =
			{
				{.index = MSR_STAR, .data = NOXS_STAR},
				{.index = MSR_LSTAR, .data = lstar},
				{.index = MSR_SFMASK, .data = NOXS_SFMASK},
				{.index = MSR_TSC},
			},
	};
	struct kvm_xcrs xcrs = {.nr_xcrs = 1, .xcrs = {{.xcr = 0, .value = host->facts.xcr0}}};
	int ret;

	vm->vcpu = vm_ioctl(vm, vm->fd, KVM_CREATE_VCPU, 0);
	if (vm->vcpu < 0)
		return err_set(err, -vm->vcpu, "cannot create a virtual CPU");
	vm->run = mmap(NULL, RUN_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, vm->vcpu, 0);
	if (vm->run == MAP_FAILED)
		return err_set(err, errno, "cannot map the virtual CPU's state");
	ret = vm_ioctl(vm, vm->vcpu, KVM_SET_CPUID2, (unsigned long)&host->facts.cpuid);
	if (ret < 0)
		return err_set(err, -ret, "cannot set the guest's CPUID");
	ret = vm_ioctl(vm, vm->vcpu, KVM_SET_XCRS, (unsigned long)&xcrs);
	if (ret < 0)
		return err_set(err, -ret, "cannot enable the guest's vector state");
	/* Guest and host TSC alike, so that one clock page serves: PVM has it so anyway. */
	msrs.entry[3].data = __rdtsc();
	ret = vm_ioctl(vm, vm->vcpu, KVM_SET_MSRS, (unsigned long)&msrs);
	if (ret != 4)
		return err_set(err, ret < 0 ? -ret : EINVAL, "cannot set the guest's MSRs");
	return 0;
}

int vm_grow(struct vm *vm, uint64_t bytes)
{
	uint64_t at = vm->backed_bytes, end = at ? 2 * at : FIRST_SLOT;
	struct kvm_userspace_memory_region slot;
	int ret;

	if (bytes > vm->ram.bytes)
		return -EINVAL;
	if (bytes <= at)
		return 0;
	while (end < bytes)
		end *= 2;
	if (end > vm->ram.bytes)
		end = vm->ram.bytes;
	slot = (struct kvm_userspace_memory_region){
		.slot = vm->slots,
		.guest_phys_addr = NOXS_GPA_RAM + at,
		.memory_size = end - at,
		.userspace_addr = (uintptr_t)vm->ram.host + at,
	};
	ret = vm_ioctl(vm, vm->fd, KVM_SET_USER_MEMORY_REGION, (unsigned long)&slot);
	if (ret < 0)
		return ret;
	vm->slots++;
	vm->backed_bytes = end;
	return 0;
}

static int add_slot(struct vm *vm, const struct vm_memory *m)
{
	struct kvm_userspace_memory_region slot = {
		.slot = vm->slots,
		.guest_phys_addr = m->gpa,
		.memory_size = m->bytes,
		.userspace_addr = (uintptr_t)m->host,
	};
	int ret = vm_ioctl(vm, vm->fd, KVM_SET_USER_MEMORY_REGION, (unsigned long)&slot);

	if (ret >= 0)
		vm->slots++;
	return ret < 0 ? ret : 0;
}

int vm_add_memory(struct vm *vm, uint64_t gpa, void *host, uint64_t bytes)
{
	const struct vm_memory m = {gpa, bytes, host};

	if (vm->run)
		return add_slot(vm, &m);
	if (vm->nmore == sizeof(vm->more) / sizeof(vm->more[0]))
		return -ENOSPC;
	vm->more[vm->nmore++] = m;
	return 0;
}

int vm_bind_doorbell(struct vm *vm, unsigned slot, int fd)
{
	struct kvm_ioeventfd bind = {
		.addr = NOXS_GPA_DOORBELL + slot * 8,
		.len = 8,
		.fd = fd,
	};
	int ret = vm_ioctl(vm, vm->fd, KVM_IOEVENTFD, (unsigned long)&bind);

	return ret < 0 ? ret : 0;
}

int vm_create(struct vm *vm, const struct host *host, uint64_t lstar, struct err *err)
{
	int ret;

	vm->fd = vm_ioctl(vm, vm->kvm, KVM_CREATE_VM, 0);
	if (vm->fd < 0)
		return err_set(err, -vm->fd, "cannot create a virtual machine");
	ret = vm_grow(vm, 1);
	if (ret < 0)
		return err_set(err, -ret, "cannot give the VM its %llu MiB of memory",
			       (unsigned long long)(vm->ram.bytes >> 20));
	for (unsigned i = 0; i < vm->nmore; i++) {
		ret = add_slot(vm, &vm->more[i]);
		if (ret)
			return err_set(err, -ret, "cannot give the VM the memory of a device");
	}
	return create_vcpu(vm, host, lstar, err);
}
