/* SPDX-License-Identifier: Apache-2.0 */
/* skip_fault.c: repairs faults in handlers: prints what siginfo and ucontext say; exits with 0. */
#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

static char *page;
static struct {
	int sig, code, at_rip;
	long addr, trapno, err, cr2;
} seen;

/* Steps over the instruction, which is as long as seen through skip. */
static int skip;

static void handler(int sig, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;
	greg_t *regs = uc->uc_mcontext.gregs;

	seen.sig = sig;
	seen.code = info->si_code;
	seen.at_rip = (greg_t)(uintptr_t)info->si_addr == regs[REG_RIP];
	seen.addr = page ? (char *)info->si_addr - page : (long)(uintptr_t)info->si_addr;
	seen.trapno = regs[REG_TRAPNO];
	seen.err = regs[REG_ERR];
	seen.cr2 = regs[REG_CR2];
	regs[REG_RIP] += skip;
}

static void show(const char *what)
{
	printf("%-12s sig %d code %d trap %ld", what, seen.sig, seen.code, seen.trapno);
	if (seen.trapno == 14)
		printf(" err %ld addr %ld", seen.err, seen.addr);
	else
		printf(" at rip: %d", seen.at_rip);
	printf("\n");
	memset(&seen, 0, sizeof(seen));
}

int main(void)
{
	struct sigaction act = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO};
	const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP};

	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		sigaction(signals[i], &act, NULL);

	skip = 2;
	__asm__ volatile("mov (%%rax), %%eax" : : "a"(0x123) : "memory");
	show("read");
	__asm__ volatile("mov %%eax, (%%rax)" : : "a"(0x456) : "memory");
	show("write");
	__asm__ volatile("mov %%eax, (%%rax)" : : "a"((uintptr_t)main & ~3ull) : "memory");
	seen.addr = 0; /* differs from run to run */
	show("write text");
	__asm__ volatile("mov (%%rax), %%eax" : : "a"(0x5a5a5a5a5a5a5a5aull) : "memory");
	show("wild");
	__asm__ volatile("ud2");
	show("ud2");
	__asm__ volatile("div %%ecx" : : "a"(1), "d"(0), "c"(0));
	show("div");
	skip = 1;
	__asm__ volatile("hlt");
	show("hlt");
	skip = 0;
	__asm__ volatile("int3");
	show("int3");

	skip = 3;
	page = mmap(0, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	page[0] = 1;
	mprotect(page, 4096, PROT_READ);
	__asm__ volatile("mov %%al, 8(%%rax)" : : "a"(page) : "memory");
	show("read-only");
	mprotect(page, 4096, PROT_NONE);
	__asm__ volatile("mov 8(%%rax), %%al" : : "a"(page) : "memory");
	show("no access");
	munmap(page, 4096);
	__asm__ volatile("mov 8(%%rax), %%al" : : "a"(page) : "memory");
	show("unmapped");
	printf("second page: %d\n", page[4096]);
	return 0;
}
