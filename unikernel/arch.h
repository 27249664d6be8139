/* SPDX-License-Identifier: Apache-2.0 */
/* arch.h: x86-64: the saved registers, and what only entry.S can do. */
#ifndef UK_ARCH_H
#define UK_ARCH_H

#include "uk.h"

/* The program's registers while the kernel works; entry.S pushes it, IRETQ pops its end. */
struct uk_frame {
	uint64_t r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi;
	uint64_t how;   /* 0 fast entry, 1 SYSCALL, 2 preempted; in a fault: the vector */
	uint64_t error; /* of a fault; for a call: its number */
	uint64_t rip, cs, rflags, rsp, ss;
};
_Static_assert(offsetof(struct uk_frame, rdi) == 0x70, "entry.S");
_Static_assert(offsetof(struct uk_frame, how) == 0x78, "entry.S");
_Static_assert(offsetof(struct uk_frame, rip) == 0x88, "entry.S");
_Static_assert(offsetof(struct uk_frame, rsp) == 0xa0, "entry.S");
_Static_assert(sizeof(struct uk_frame) == 0xb0, "entry.S");
_Static_assert(offsetof(struct noxs_control, power.resume_rip) == 0x1f8, "kernel.ld");

/* RFLAGS bits. */
#define UK_FLAG_TF    0x100ull
#define UK_FLAG_DF    0x400ull
#define UK_FLAGS_USER 0x240dd5ull /* what a signal frame may set: CF PF AF ZF SF TF DF OF AC ID */

/* x86 page-table entries. */
#define PTE_P    0x1ull
#define PTE_W    0x2ull
#define PTE_U    0x4ull
#define PTE_PS   0x80ull
#define PTE_NX   (1ull << 63)
#define PTE_ADDR 0x000ffffffffff000ull

/* entry.S */
_Noreturn void uk_run_program(uint64_t rip, uint64_t rsp);
void uk_gate(uint64_t *dst, const uint64_t *src, size_t n);
long uk_user_copy(void *dst, const void *src, size_t n);
long uk_user_zero(void *dst, size_t n);
long uk_user_xsave(void *area, uint64_t mask);
long uk_user_xrstor(const void *area, uint64_t mask);
extern char uk_user_begin[], uk_user_end[], uk_user_fault[];

/* Stores value into a doorbell slot; for the slots below NOXS_DB_QUEUE this is an exit. */
#if __STDC_HOSTED__
void uk_doorbell(unsigned slot, uint64_t value); /* a unit test's: it plays the monitor */
#else
static inline void uk_doorbell(unsigned slot, uint64_t value)
{
	__asm__ volatile("mov %0, %1"
			 :
			 : "r"(value), "m"(((volatile uint64_t *)NOXS_GVA_DOORBELL)[slot])
			 : "memory");
}
#endif

static inline uint64_t uk_rdtsc(void)
{
	uint32_t lo, hi;

	__asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
	return (uint64_t)hi << 32 | lo;
}

static inline void uk_set_fs(uint64_t base)
{
	__asm__ volatile("wrfsbase %0" : : "r"(base));
}
static inline void uk_set_gs(uint64_t base)
{
	__asm__ volatile("wrgsbase %0" : : "r"(base));
}
static inline uint64_t uk_fs(void)
{
	uint64_t v;

	__asm__ volatile("rdfsbase %0" : "=r"(v));
	return v;
}
static inline uint64_t uk_gs(void)
{
	uint64_t v;

	__asm__ volatile("rdgsbase %0" : "=r"(v));
	return v;
}

/* syscall.c, fault.c, signal.c: called from entry.S or by each other with a frame. */
int uk_syscall(struct uk_frame *f);
int uk_exception(struct uk_frame *f, uint64_t cr2);
void uk_fault_signal(struct uk_frame *f);
void uk_preempted(struct uk_frame *f);

/* The frame of the system call under way (for sigreturn, restarts, crash reports). */
extern struct uk_frame *uk_frame;

#endif
