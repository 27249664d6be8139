/* SPDX-License-Identifier: Apache-2.0 */
/*
 * x86_machine.h: the machine state that a guest finds: descriptor tables, control
 * registers, MSRs. The guest changes none of it.
 */
#ifndef MAYFLY_X86_MACHINE_H
#define MAYFLY_X86_MACHINE_H

#include "gmem.h"

struct kvm_sregs;
struct kvm_regs;

/* Writes GDT, TSS and IDT into the machine page. */
void machine_page(void *page, const struct noxs_kernel *kernel);

/* Registers of a vCPU about to run the kernel's entry at ring 3, tables at cr3. */
void machine_sregs(struct kvm_sregs *sregs, uint64_t cr3);
void machine_regs(struct kvm_regs *regs, const struct noxs_kernel *kernel);

#endif
