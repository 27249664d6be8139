/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ring0.c ATTACK: what a guest can do that has made the page-table gate write where it
 * should not: its own IDT, its page tables, the noxs page, instructions at ring 0.
 */
#include "hostile.h"

/* In the kernel's text, behind what a write uses and before the vDSO, which counts as the program.
 */
#define COLD_TEXT (NOXS_GVA_KERNEL + 0x10000)

#define P_W_U 0x27ull
#define LARGE 0x80ull

static volatile int landed;

#define RING0(name, code)                                     \
	static __attribute__((naked)) void ring0_##name(void) \
	{                                                     \
		__asm__ volatile(code "; iretq");             \
	}
RING0(nothing, "incl landed(%rip)")
RING0(hlt, "hlt")
RING0(sti_hlt, "sti; hlt")
RING0(spin, "cli; 1: jmp 1b")
RING0(out, "mov $0xfe, %al; out %al, $0x64")
RING0(in, "in $0x60, %al")
RING0(outs, "mov $0x3f8, %edx; mov $65536, %ecx; mov $0x7fffff0000, %rsi; rep outsb")
RING0(cr3, "mov $0x7ffffffff000, %rax; mov %rax, %cr3")
RING0(cr3_zero, "xor %eax, %eax; mov %rax, %cr3")
RING0(cr0, "xor %eax, %eax; mov %rax, %cr0")
RING0(cr4, "xor %eax, %eax; mov %rax, %cr4")
RING0(cr8, "mov $15, %eax; mov %rax, %cr8; xor %eax, %eax; mov %rax, %cr8")
RING0(efer, "mov $0xc0000080, %ecx; xor %eax, %eax; xor %edx, %edx; wrmsr")
RING0(lstar, "mov $0xc0000082, %ecx; mov $-1, %eax; mov $0x7fff, %edx; wrmsr")
RING0(apic, "mov $0x1b, %ecx; mov $0xfee00d00, %eax; xor %edx, %edx; wrmsr")
RING0(kvmclock, "mov $0x4b564d01, %ecx; mov $-1, %eax; mov $0xfff, %edx; wrmsr")
RING0(async_pf, "mov $0x4b564d02, %ecx; mov $0x200001, %eax; xor %edx, %edx; wrmsr")
RING0(xsetbv, "xor %ecx, %ecx; xor %edx, %edx; mov $7, %eax; xsetbv")
RING0(lidt, "sub $16, %rsp; movq $0, (%rsp); movq $0, 8(%rsp); lidt (%rsp); int3")
RING0(lgdt,
      "sub $16, %rsp; movq $0, (%rsp); movq $0, 8(%rsp); lgdt (%rsp); mov $8, %eax; mov %eax, %ds")
RING0(vmcall, "mov $100000, %r12d; 1: mov $5, %eax; vmcall; dec %r12d; jnz 1b")
RING0(vmmcall, "mov $100000, %r12d; 1: mov $5, %eax; vmmcall; dec %r12d; jnz 1b")
RING0(vmrun, "mov $0x200000, %eax; vmrun %rax")
RING0(int_loop, "int3; jmp ring0_int_loop")
RING0(rsp, "xor %esp, %esp; push %rax")
RING0(dr7, "mov $0x401, %eax; mov %rax, %dr7; xor %eax, %eax; mov %rax, %dr0")
RING0(wbinvd, "mov $100, %ecx; 1: wbinvd; loop 1b")
RING0(apic_page, "mov $0xfee00000, %eax; mov (%rax), %eax")

static const struct {
	const char *name;
	void (*code)(void);
} codes[] = {
#define CODE(name)                  \
	{                           \
#name, ring0_##name \
	}
	CODE(nothing), CODE(hlt),   CODE(sti_hlt),  CODE(spin),      CODE(out),      CODE(in),
	CODE(outs),    CODE(cr3),   CODE(cr3_zero), CODE(cr0),       CODE(cr4),      CODE(cr8),
	CODE(efer),    CODE(lstar), CODE(apic),     CODE(kvmclock),  CODE(async_pf), CODE(xsetbv),
	CODE(lidt),    CODE(lgdt),  CODE(vmcall),   CODE(vmmcall),   CODE(vmrun),    CODE(int_loop),
	CODE(rsp),     CODE(dr7),   CODE(wbinvd),   CODE(apic_page),
};

/* ---- tables ---- */

static uint64_t linear(uint64_t gpa)
{
	return NOXS_GVA_LINEAR + gpa;
}

/* A frame of free RAM, from its end; it is in the linear map, writable. */
static uint64_t frame(void)
{
	static uint64_t next;

	if (!next) {
		next = (NOXS_GPA_RAM + page->ram_bytes) & ~0x1fffffull;
		ring(NOXS_DB_GROW, page->free_bytes);
	}
	next -= 0x1000;
	return next;
}

/* PML4 slot -> PDPT, all of whose entries are one PD's, and so on: 128 TiB of nothing. */
static void maze(uint64_t last)
{
	uint64_t table = last;
	uint64_t slot[511];

	for (int level = 0; level < 3; level++) {
		uint64_t gpa = frame(), *entry = (void *)linear(gpa);

		for (int i = 0; i < 512; i++)
			entry[i] = table;
		table = gpa | P_W_U;
	}
	/* Slot 0 is the guest itself. */
	for (int i = 0; i < 255; i++)
		slot[i] = table;
	gate(linear(page->cr3) + 8, slot, 255);
}

/* Regions as the monitor would have written them, but without an end. */
static void regions(uint64_t start, uint64_t end)
{
	static struct noxs_region r[NOXS_MAX_REGIONS];

	for (int i = 0; i < NOXS_MAX_REGIONS; i++)
		r[i] = (struct noxs_region){start, end, 0, NOXS_R | NOXS_X, NOXS_REGION_IMAGE};
	r[0].kind = NOXS_REGION_STUBS;
	r[0].start = 0;
	gate(NOXS_GVA_NOXS + offsetof(struct noxs_page, region), r, sizeof(r) / 8);
	poke(NOXS_GVA_NOXS + offsetof(struct noxs_page, nregions), 0xffffffffffffffff);
}

/* What crash.c takes for a return into a stub: lea 8(%rip),%rcx; jmp *(%rip). */
static void crash_in_stub(uint32_t kind)
{
	static const uint8_t stub[32] = {0x48, 0x8d, 0x0d, 8, 0, 0, 0, 0xff, 0x25};

	control->crash.kind = kind;
	control->crash.signal = 11;
	control->crash.vector = 14;
	control->crash.si_code = 1;
	control->crash.regs.rip = (uint64_t)stub + 15;
	control->crash.regs.rsp = (uint64_t)__builtin_frame_address(0);
	ring(NOXS_DB_CRASH, 11);
}

int main(int argc, char **argv)
{
	const uint64_t zero[64] = {0};

	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		if (is(argv, "list"))
			puts(codes[i].name);
		if (!is(argv, codes[i].name))
			continue;
		take_ring0(codes[i].code);
		__asm__ volatile("int3" ::: "rax", "rcx", "rdx", "rsi", "r12", "memory");
		printf("landed: %d\n", landed);
		return 0;
	}
	if (is(argv, "list"))
		return 0;
	if (is(argv, "idt")) { /* no IDT, then a fault: a triple fault */
		gate(IDT, zero, 64);
		*(volatile char *)8 = 0;
	} else if (is(argv, "machine")) {
		for (int i = 0; i < 8; i++)
			gate(NOXS_GVA_MACHINE + (uint64_t)i * 512, zero, 64);
		*(volatile char *)8 = 0;
	} else if (is(argv, "pml4")) {
		poke(linear(page->cr3), 0);
	} else if (is(argv, "pml4-self")) {
		poke(linear(page->cr3), page->cr3 | P_W_U);
	} else if (is(argv, "pml4-ones")) {
		poke(linear(page->cr3), UINT64_MAX);
	} else if (is(argv, "pml4-beyond")) { /* a table where there is no RAM */
		poke(linear(page->cr3), 0x000ffffffffff000 | P_W_U);
	} else if (is(argv, "pml4-doorbell")) {
		poke(linear(page->cr3), NOXS_GPA_DOORBELL | P_W_U);
	} else if (is(argv, "physical")) { /* reads and writes all around RAM */
		static const uint64_t at[] = {0, 0xa0000, 0xfee00000, 0xfec00000, 1ull << 40};
		const uint64_t gpa = at[number(argc, argv, 2) % 5];
		uint64_t pd = frame(), pdpt = page->cr3;

		/* In place of the largest addresses below the linear map: they are free. */
		pdpt = *(uint64_t *)linear(pdpt) & 0xffffffffff000;
		*(uint64_t *)linear(pd) = (gpa & ~0x1fffffull) | P_W_U | LARGE;
		poke(linear(pdpt) + 8 * 0x17f, pd | P_W_U);
		*(volatile uint32_t *)((0x17full << 30) + (gpa & 0x1fffff)) = 0x5a;
		puts("it was written");
	} else if (is(argv, "maze")) { /* endless tables of nothing, and regions to match */
		maze(0);
		regions(0x10000, 1ull << 47);
		crash_in_stub(NOXS_CRASH_FAULT);
	} else if (is(argv, "maze-core")) { /* all that a core file looks at, page by page */
		uint64_t pd = frame(), pt = frame(), entry[0x17f];

		for (int i = 0; i < 512; i++) {
			((uint64_t *)linear(pd))[i] = pt | P_W_U;
			((uint64_t *)linear(pt))[i] = 1ull << 51 | P_W_U; /* no RAM */
		}
		for (int i = 0; i < 0x17f; i++)
			entry[i] = pd | P_W_U;
		/* But for the first GiB, where this program is. */
		gate(linear(*(uint64_t *)linear(page->cr3) & 0xffffffffff000) + 8, entry, 0x17e);
		crash_in_stub(NOXS_CRASH_FAULT);
	} else if (is(argv, "deaf")) { /* claims handlers, and is never back in the program */
		const uint64_t at = COLD_TEXT;

		poke(at, 0xfeeb);
		control->power.handled = UINT64_MAX;
		say("ready\n");
		((void (*)(void))at)();
	} else if (is(argv, "spin-kernel")) { /* where it cannot be preempted, and wants to be */
		const uint64_t at = COLD_TEXT;

		poke(at, 0xfeeb);
		control->power.timer_ns = 1;
		control->power.request = 0x10f;
		((void (*)(void))at)();
	} else if (is(argv, "maze-ram")) { /* endless tables, all of one page */
		maze(NOXS_GPA_RAM | P_W_U);
		regions(0x10000, 1ull << 47);
		crash_in_stub(NOXS_CRASH_FAULT);
	} else if (is(argv, "maze-kernel")) {
		maze(NOXS_GPA_RAM | P_W_U);
		regions(0, 1ull << 47);
		crash_in_stub(NOXS_CRASH_KERNEL);
	} else if (is(argv, "noxs")) { /* the page that the monitor wrote */
		for (int i = 0; i < 8; i++)
			gate(NOXS_GVA_NOXS + (uint64_t)i * 512,
			     (uint64_t[64]){[0 ... 63] = UINT64_MAX}, 64);
		control->wait.events = 0;
		control->wait.deadline_ns = 1;
		ring(NOXS_DB_WAIT, 0);
		crash_in_stub(NOXS_CRASH_FAULT);
	} else if (is(argv, "write-kernel")) { /* its text is shared with the monitor's file */
		for (int i = 0; i < 8; i++)
			gate(NOXS_GVA_KERNEL + 0x200 + (uint64_t)i * 8, zero, 1);
		say("written\n");
		ring(NOXS_DB_EXIT, 0);
	} else {
		return unknown_attack(argv);
	}
	return 0;
}
