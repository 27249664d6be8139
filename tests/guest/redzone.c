/* SPDX-License-Identifier: Apache-2.0 */
/*
 * redzone.c: a system call keeps every register but rax, rcx and r11, and the 128 bytes
 * below the stack pointer. Once as `mov $nr, %eax; syscall`, which is rewritten when the
 * image is prepared, once with the number from memory, which is not; once with a signal
 * handler that runs in between.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <unistd.h>

#include "check.h"

struct regs {
	uint64_t rax, rbx, rcx, rdx, rsi, rdi, rbp, r8, r9, r10, r12, r13, r14, r15;
	uint64_t red[16]; /* from rsp - 128 upward */
};

static volatile int calls;

static void on_signal(int sig)
{
	(void)sig;
	calls++;
}

/*
 * void do_NAME(struct regs *r): loads all registers and the red zone from r, makes the
 * call, and stores them to r.
 */
#define MAKE(name, call)                                                             \
	void do_##name(struct regs *r);                                              \
	__asm__(".text\n"                                                            \
		".globl do_" #name "\n"                                              \
		"do_" #name ":\n"                                                    \
		"push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15\n" \
		"mov %rdi, saved_r(%rip)\n"                                          \
		"mov $0, %ecx\n"                                                     \
		"1: mov 112(%rdi,%rcx,8), %rax; mov %rax, -128(%rsp,%rcx,8)\n"       \
		"inc %ecx; cmp $16, %ecx; jne 1b\n"                                  \
		"mov 8(%rdi), %rbx; mov 24(%rdi), %rdx; mov 32(%rdi), %rsi\n"        \
		"mov 48(%rdi), %rbp; mov 56(%rdi), %r8; mov 64(%rdi), %r9\n"         \
		"mov 72(%rdi), %r10; mov 80(%rdi), %r12; mov 88(%rdi), %r13\n"       \
		"mov 96(%rdi), %r14; mov 104(%rdi), %r15\n"                          \
		"mov (%rdi), %rax; mov 40(%rdi), %rdi\n" call                        \
		"mov saved_r(%rip), %rcx; mov %rax, (%rcx); mov %rbx, 8(%rcx)\n"     \
		"mov %rdx, 24(%rcx); mov %rsi, 32(%rcx); mov %rdi, 40(%rcx)\n"       \
		"mov %rbp, 48(%rcx); mov %r8, 56(%rcx); mov %r9, 64(%rcx)\n"         \
		"mov %r10, 72(%rcx); mov %r12, 80(%rcx); mov %r13, 88(%rcx)\n"       \
		"mov %r14, 96(%rcx); mov %r15, 104(%rcx)\n"                          \
		"mov %rcx, %rdi; mov $0, %ecx\n"                                     \
		"2: mov -128(%rsp,%rcx,8), %rax; mov %rax, 112(%rdi,%rcx,8)\n"       \
		"inc %ecx; cmp $16, %ecx; jne 2b\n"                                  \
		"pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx; ret\n")

__asm__(".local saved_r\n.comm saved_r, 8, 8");
MAKE(fixed, "mov $39, %eax\nsyscall\n"); /* getpid */
MAKE(kill, "mov $62, %eax\nsyscall\n");
MAKE(variable, "syscall\n");

static void check(void (*make)(struct regs *), uint64_t nr, uint64_t rdi, uint64_t rsi,
		  uint64_t want)
{
	struct regs in = {.rax = nr,
			  .rbx = 0xb1b2b3b4b5b6b7b8,
			  .rdx = 0xd1d2d3d4d5d6d7d8,
			  .rsi = rsi,
			  .rdi = rdi,
			  .rbp = 0xe1e2e3e4e5e6e7e8,
			  .r8 = 0x8888,
			  .r9 = 0x9999999999999999,
			  .r10 = 0x1010,
			  .r12 = 0x1212121212121212,
			  .r13 = 0x1313,
			  .r14 = 0x1414141414141414,
			  .r15 = 0x1515};
	struct regs out;

	for (int i = 0; i < 16; i++)
		in.red[i] = 0x0101010101010101 * (uint64_t)(i + 1);
	out = in;
	make(&out);
	CHECK(out.rax == want);
	in.rax = out.rax;
	CHECK(!memcmp(&in, &out, sizeof(in)));
}

int main(void)
{
	struct sigaction sa = {.sa_handler = on_signal};
	uint64_t pid = (uint64_t)getpid();

	CHECK(sigaction(SIGUSR1, &sa, NULL) == 0);
	for (int i = 0; i < 100; i++) {
		check(do_fixed, 0, 0x1111111111111111, 0x2222222222222222, pid);
		check(do_variable, 39, 0x1111111111111111, 0x2222222222222222, pid);
		check(do_variable, 100000, 3, 4, (uint64_t)-ENOSYS);
		check(do_kill, 0, pid, SIGUSR1, 0);
		check(do_variable, 62, pid, SIGUSR1, 0);
	}
	CHECK(calls == 200);
	return success();
}
