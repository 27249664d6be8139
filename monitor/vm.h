/* SPDX-License-Identifier: Apache-2.0 */
/* vm.h: KVM's objects for one VM: one memslot of RAM, one vCPU. */
#ifndef MAYFLY_VM_H
#define MAYFLY_VM_H

#include "err.h"
#include "gmem.h"
#include "host.h"

struct kvm_run;

struct vm_counters {
	uint32_t ioctls; /* all to KVM */
	uint32_t exits;  /* KVM_RUN returned for something the guest did */
	uint32_t kicks;  /* KVM_RUN returned for a signal to the monitor */
	uint32_t waits;  /* of exits: WAIT */
};

struct vm {
	int kvm, fd, vcpu;
	struct kvm_run *run; /* shared with KVM */
	struct gmem ram;
	uint64_t backed_bytes; /* of ram, from its start: in memslots */
	unsigned slots;
	/* Memory beside RAM: what vm_add_memory was given before there was a VM. */
	struct vm_memory {
		uint64_t gpa, bytes;
		void *host;
	} more[4];
	unsigned nmore;
	struct vm_counters counters;
};

/* Opens /dev/kvm. Negative errno with a message that says how to get it. */
int vm_open_kvm(struct err *err);

/* An ioctl on a KVM descriptor, counted. Result or -errno. */
int vm_ioctl(struct vm *vm, int fd, unsigned long request, unsigned long arg);

/* Reserves ram_bytes of guest RAM: lazily backed, zero, not yet the VM's. */
int vm_reserve_ram(struct vm *vm, uint64_t ram_bytes, struct err *err);

/* Makes the VM with that RAM and its vCPU, CPUID, XCR0 and MSRs; lstar is where SYSCALL
 * lands. vm->kvm is open. What fails half-way is released by the process' end. */
int vm_create(struct vm *vm, const struct host *host, uint64_t lstar, struct err *err);

/*
 * Lets the guest use at least the first bytes of its RAM, which is then in one more memslot.
 * Each step at least doubles what there is, so a guest that asks and asks gets few. What KVM
 * keeps for a memslot (10 bytes a page where it shadows page tables) is zeroed when it is
 * made: a VM that stays small is made faster, and costs 150 KiB less.
 * 0 or -errno; more than there is RAM: -EINVAL.
 */
int vm_grow(struct vm *vm, uint64_t bytes);

/*
 * Gives the VM memory beside its RAM, at gpa, both page-aligned: a device's window. Before or
 * after vm_create, also when the vCPU has run. 0 or -errno.
 */
int vm_add_memory(struct vm *vm, uint64_t gpa, void *host, uint64_t bytes);

/* A doorbell slot is to ring the eventfd fd from now on instead of ending KVM_RUN. 0 or -errno. */
int vm_bind_doorbell(struct vm *vm, unsigned slot, int fd);

#endif
