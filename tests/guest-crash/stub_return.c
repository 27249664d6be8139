/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stub_return.c: dies of SIGABRT by a system call that is rewritten such that it returns to
 * a stub (technique B in monitor/image/README.md): what stands behind it is moved there.
 */
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

static long stub_return(long pid)
{
	register long rax __asm__("rax") = SYS_tgkill;
	register long rdi __asm__("rdi") = pid;
	register long rsi __asm__("rsi") = pid;
	register long rdx __asm__("rdx") = SIGABRT;

	/* The load is one that could fault, which nothing in a stub may: the jump comes after. */
	__asm__ volatile("mov (%4), %%rcx\n\t"
			 "syscall\n\t"
			 "mov %%rax, %%rcx\n\t"
			 "mov %%rcx, %%rdx\n\t"
			 "add %%rdx, %%rax"
			 : "+r"(rax), "+r"(rdx)
			 : "r"(rdi), "r"(rsi), "r"(&pid)
			 : "rcx", "r11", "memory");
	return rax;
}

int main(void)
{
	return (int)stub_return(getpid());
}
