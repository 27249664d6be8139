/* SPDX-License-Identifier: Apache-2.0 */
/* insn.c NAME: one instruction that ring 3 has no business with; "list" prints the names. */
#include <cpuid.h>

#include "hostile.h"

static volatile int none;

#define ATTACKS(X)                                                                                 \
	X(hlt, "hlt")                                                                              \
	X(cli, "cli")                                                                              \
	X(sti, "sti")                                                                              \
	X(in, "xor %%eax, %%eax; in $0x60, %%al")                                                  \
	X(out, "mov $0xfe, %%al; out %%al, $0x64")                                                 \
	X(insb, "mov $0x3f8, %%edx; mov $100, %%ecx; mov %%rsp, %%rdi; rep insb")                  \
	X(outs, "mov $0x402, %%edx; mov $100, %%ecx; mov %%rsp, %%rsi; rep outsb")                 \
	X(read_cr3, "mov %%cr3, %%rax")                                                            \
	X(write_cr3, "xor %%eax, %%eax; mov %%rax, %%cr3")                                         \
	X(write_cr0, "xor %%eax, %%eax; mov %%rax, %%cr0")                                         \
	X(write_cr8, "mov $15, %%eax; mov %%rax, %%cr8")                                           \
	X(write_dr7, "mov $0x3ff, %%eax; mov %%rax, %%dr7")                                        \
	X(rdmsr, "mov $0xc0000082, %%ecx; rdmsr")                                                  \
	X(wrmsr, "mov $0xc0000082, %%ecx; xor %%eax, %%eax; xor %%edx, %%edx; wrmsr")              \
	X(lgdt, "lgdt (%%rsp)")                                                                    \
	X(lidt, "lidt (%%rsp)")                                                                    \
	X(lldt, "mov $8, %%eax; lldt %%ax")                                                        \
	X(ltr, "mov $0x30, %%eax; ltr %%ax")                                                       \
	X(sgdt, "sgdt -64(%%rsp)")                                                                 \
	X(smsw, "smsw %%eax")                                                                      \
	X(lmsw, "xor %%eax, %%eax; lmsw %%ax")                                                     \
	X(clts, "clts")                                                                            \
	X(invd, "invd")                                                                            \
	X(wbinvd, "wbinvd")                                                                        \
	X(invlpg, "invlpg (%%rsp)")                                                                \
	X(invpcid, "xor %%eax, %%eax; invpcid (%%rsp), %%rax")                                     \
	X(swapgs, "swapgs")                                                                        \
	X(sysret, "sysretq")                                                                       \
	X(sysenter, "sysenter")                                                                    \
	X(sysexit, "sysexitl")                                                                     \
	X(vmcall, "mov $10000, %%r12d; 1: mov $9, %%eax; vmcall; dec %%r12d; jnz 1b")              \
	X(vmmcall, "mov $10000, %%r12d; 1: mov $9, %%eax; vmmcall; dec %%r12d; jnz 1b")            \
	X(vmrun, "xor %%eax, %%eax; vmrun %%rax")                                                  \
	X(vmload, "xor %%eax, %%eax; vmload %%rax")                                                \
	X(stgi, "stgi")                                                                            \
	X(clgi, "clgi")                                                                            \
	X(vmxon, "vmxon (%%rsp)")                                                                  \
	X(vmlaunch, "vmlaunch")                                                                    \
	X(vmfunc, "xor %%eax, %%eax; vmfunc")                                                      \
	X(xsetbv, "xor %%ecx, %%ecx; xor %%edx, %%edx; mov $7, %%eax; xsetbv")                     \
	X(monitor, "mov %%rsp, %%rax; xor %%ecx, %%ecx; xor %%edx, %%edx; monitor; mwait")         \
	X(int80, "mov $20, %%eax; int $0x80")                                                      \
	X(int3, "int3")                                                                            \
	X(int1, ".byte 0xf1")                                                                      \
	X(int8, "int $8")                                                                          \
	X(int14, "int $14")                                                                        \
	X(int32, "int $32")                                                                        \
	X(int255, "int $255")                                                                      \
	X(int6, "int $6")                                                                          \
	X(iret_kernel, "pushq $0x10; pushq %%rsp; pushq $2; pushq $8; pushq $0; iretq")            \
	X(iret_noncanonical,                                                                       \
	  "mov %%rsp, %%rax; movabs $0x8000000000000000, %%rcx; "                                  \
	  "pushq $0x23; pushq %%rax; pushq $2; pushq $0x2b; pushq %%rcx; iretq")                   \
	X(iret_null, "pushq $0; pushq $0; pushq $0; pushq $0; pushq $0; iretq")                    \
	X(iret_32bit, "pushq $0x23; pushq $0x1000; pushq $2; pushq $0x23; pushq $0x1000; iretq")   \
	X(popf_tf, "pushq $0x100; popfq; nop; nop")                                                \
	X(popf_ac, "pushq $0x40000; popfq; mov 1(%%rsp), %%rax; pushq $2; popfq")                  \
	X(popf_iopl, "pushq $0x3202; popfq; in $0x60, %%al")                                       \
	X(popf_vm, "pushq $0x60202; popfq; pushq $2; popfq")                                       \
	X(popf_nt, "pushq $0x4002; popfq; mov $39, %%eax; syscall; pushq $2; popfq")               \
	X(popf_df, "std; mov $39, %%eax; syscall; cld")                                            \
	X(popf_tf_syscall, "mov $39, %%eax; pushq $0x100; popfq; syscall; nop")                    \
	X(far_kernel, "pushq $8; lea 1f(%%rip), %%rax; pushq %%rax; lretq; 1:")                    \
	X(far_data, "pushq $0x10; lea 1f(%%rip), %%rax; pushq %%rax; lretq; 1:")                   \
	X(far_tss, "pushq $0x30; lea 1f(%%rip), %%rax; pushq %%rax; lretq; 1:")                    \
	X(far_wild, "pushq $0xfffb; lea 1f(%%rip), %%rax; pushq %%rax; lretq; 1:")                 \
	X(load_ss, "mov $0x10, %%eax; mov %%eax, %%ss")                                            \
	X(load_ds, "mov $0x30, %%eax; mov %%eax, %%ds")                                            \
	X(load_fs, "mov $0x23, %%eax; mov %%eax, %%fs")                                            \
	X(mov_ss_int3, "mov $0x23, %%eax; mov %%eax, %%ss; int3")                                  \
	X(wrfsbase, "movabs $0x7fffff1000, %%rax; wrfsbase %%rax; mov $39, %%eax; syscall")        \
	X(wrgsbase, "movabs $0x7ffffffff000, %%rax; wrgsbase %%rax; mov $39, %%eax; syscall")      \
	X(ud2, "ud2")                                                                              \
	X(nul, "movq $0, -8(%%rsp); lea -8(%%rsp), %%rax; jmp *%%rax")                             \
	X(lock_ud, ".byte 0xf0, 0x90")                                                             \
	X(long_insn,                                                                               \
	  ".byte 0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x90") \
	X(bound32, ".byte 0x62, 0x00, 0x00, 0x00")                                                 \
	X(rdpmc, "xor %%ecx, %%ecx; rdpmc")                                                        \
	X(rsm, "rsm")                                                                              \
	X(xrstor_bad, "sub $4096, %%rsp; and $-64, %%rsp; movq $-1, 520(%%rsp); mov $-1, %%eax; "  \
		      "mov $-1, %%edx; xrstor (%%rsp)")                                            \
	X(mxcsr, "pushq $-1; ldmxcsr (%%rsp)")                                                     \
	X(pvm_cpuid, ".byte 0x0f, 0x01, 0x3c, 0x25, 0x50, 0x56, 0x4d, 0xff, 0x0f, 0xa2")

#define FUNCTION(name, code)                                                                       \
	static __attribute__((noinline)) void attack_##name(void)                                  \
	{                                                                                          \
		__asm__ volatile("sub $256, %%rsp; " code "; cld" ::                               \
					 : "rax", "rcx", "rdx", "rsi", "rdi", "r10", "r11", "r12", \
					   "memory", "cc");                                        \
		_exit(0); /* the stack is not what it was */                                       \
	}
ATTACKS(FUNCTION)

/* Each leaf that there is, and what lies beyond. */
static void attack_cpuid(void)
{
	static const unsigned base[] = {0, 0x40000000, 0x40000100, 0x80000000, 0xc0000000, -16u};
	unsigned a, b, c, d;

	for (int round = 0; round < 10; round++)
		for (size_t i = 0; i < sizeof(base) / sizeof(base[0]); i++)
			for (unsigned leaf = 0; leaf < 64; leaf++)
				for (unsigned sub = 0; sub < 4; sub++)
					__cpuid_count(base[i] + leaf, sub, a, b, c, d);
	_exit(none);
}

static const struct {
	const char *name;
	void (*attack)(void);
} attacks[] = {
#define ENTRY(name, code) {#name, attack_##name},
	ATTACKS(ENTRY){"cpuid", attack_cpuid}};

int main(int argc, char **argv)
{
	(void)argc;
	for (size_t i = 0; i < sizeof(attacks) / sizeof(attacks[0]); i++) {
		if (is(argv, "list"))
			puts(attacks[i].name);
		else if (is(argv, attacks[i].name))
			attacks[i].attack();
	}
	return is(argv, "list") ? 0 : unknown_attack(argv);
}
