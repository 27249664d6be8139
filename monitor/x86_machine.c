/* SPDX-License-Identifier: Apache-2.0 */
/*
 * x86_machine.c: see x86_machine.h. Descriptor formats: AMD64 APM vol. 2, ch. 4 and 12;
 * Intel SDM vol. 3A, 3.4.5, 6.14, 7.7.
 *
 * Every exception has a gate to ring 0 on an IST stack: a few instructions there read CR2
 * and go on at ring 3 (unikernel/entry.S). CR0.WP is 0: the page tables are mapped
 * read-only for ring 3, and the gate at ring 0 is to write them through that mapping.
 * SMEP and SMAP stay off, for those few instructions are on the kernel's user pages.
 */
#include <string.h>

#include <linux/kvm.h>

#include "x86_machine.h"

#define CR0_PE         (1u << 0)
#define CR0_MP         (1u << 1)
#define CR0_NE         (1u << 5)
#define CR0_PG         (1u << 31)
#define CR4_PAE        (1u << 5)
#define CR4_OSFXSR     (1u << 9)
#define CR4_OSXMMEXCPT (1u << 10)
#define CR4_FSGSBASE   (1u << 16)
#define CR4_OSXSAVE    (1u << 18)
#define EFER_SCE       (1u << 0)
#define EFER_LME       (1u << 8)
#define EFER_LMA       (1u << 10)
#define EFER_NXE       (1u << 11)

/* Offsets in the machine page. */
#define GDT_OFF   0x000
#define GDT_BYTES 0x40
#define TSS_OFF   0x080
#define TSS_BYTES 0x68
#define IDT_OFF   0x100
#define IDT_BYTES (NOXS_NVECTORS * 16)

#define CODE64 0x00209b0000000000ull /* L, P, S, code: execute-read, accessed */
#define DATA   0x00cf93000000ffffull /* P, S, data: read-write, accessed */
#define DPL3   0x0000600000000000ull

#define GATE_PRESENT_INTERRUPT 0x8eull
#define VECTOR_UD              6
#define VECTOR_DF              8

void machine_page(void *page, const struct noxs_kernel *kernel)
{
	uint64_t *gdt = (uint64_t *)((char *)page + GDT_OFF);
	uint64_t *idt = (uint64_t *)((char *)page + IDT_OFF);
	char *tss = (char *)page + TSS_OFF;
	uint64_t tss_gva = NOXS_GVA_MACHINE + TSS_OFF;
	uint64_t ist[] = {NOXS_GVA_IST1_END, NOXS_GVA_IST2_END, NOXS_GVA_IST3_END};

	gdt[NOXS_SEL_KCODE / 8] = CODE64;
	gdt[NOXS_SEL_KDATA / 8] = DATA;
	gdt[NOXS_SEL_UDATA / 8] = DATA | DPL3;
	gdt[NOXS_SEL_UCODE / 8] = CODE64 | DPL3;
	gdt[NOXS_SEL_TSS / 8] = (TSS_BYTES - 1) | (tss_gva & 0xffffff) << 16 | 0x8bull << 40 |
				(tss_gva >> 24 & 0xff) << 56;
	gdt[NOXS_SEL_TSS / 8 + 1] = tss_gva >> 32;

	memcpy(tss + 0x04, &ist[0], 8); /* RSP0: not used, every gate has an IST stack */
	memcpy(tss + 0x24, ist, sizeof(ist));
	tss[0x66] = TSS_BYTES; /* no I/O bitmap */

	for (int v = 0; v < NOXS_NVECTORS; v++) {
		uint64_t at = kernel->vector[v];
		uint64_t number = v == VECTOR_DF ? 2 : v == VECTOR_UD ? 3 : 1;

		idt[2 * v] = (at & 0xffff) | (uint64_t)NOXS_SEL_KCODE << 16 | number << 32 |
			     GATE_PRESENT_INTERRUPT << 40 | (at >> 16 & 0xffff) << 48;
		idt[2 * v + 1] = at >> 32;
	}
}

void machine_sregs(struct kvm_sregs *s, uint64_t cr3)
{
	struct kvm_segment code = {
		.limit = UINT32_MAX,
		.selector = NOXS_SEL_UCODE,
		.type = 11,
		.present = 1,
		.dpl = 3,
		.s = 1,
		.l = 1,
		.g = 1,
	};
	struct kvm_segment data = {
		.limit = UINT32_MAX,
		.selector = NOXS_SEL_UDATA,
		.type = 3,
		.present = 1,
		.dpl = 3,
		.db = 1,
		.s = 1,
		.g = 1,
	};

	memset(s, 0, sizeof(*s));
	s->cs = code;
	s->ds = s->es = s->fs = s->gs = s->ss = data;
	s->tr = (struct kvm_segment){
		.base = NOXS_GVA_MACHINE + TSS_OFF,
		.limit = TSS_BYTES - 1,
		.selector = NOXS_SEL_TSS,
		.type = 11,
		.present = 1,
	};
	s->ldt = (struct kvm_segment){.type = 2, .unusable = 1};
	s->gdt.base = NOXS_GVA_MACHINE + GDT_OFF;
	s->gdt.limit = GDT_BYTES - 1;
	s->idt.base = NOXS_GVA_MACHINE + IDT_OFF;
	s->idt.limit = IDT_BYTES - 1;
	s->cr0 = CR0_PE | CR0_MP | CR0_NE | CR0_PG;
	s->cr3 = cr3;
	s->cr4 = CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_FSGSBASE | CR4_OSXSAVE;
	s->efer = EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE;
	s->apic_base = 0xfee00900; /* the reset value: boot processor, enabled */
}

void machine_regs(struct kvm_regs *r, const struct noxs_kernel *kernel)
{
	memset(r, 0, sizeof(*r));
	r->rip = kernel->entry;
	r->rsp = NOXS_GVA_KSTACK_END;
	r->rflags = 0x202;
}
