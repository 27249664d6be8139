/* SPDX-License-Identifier: Apache-2.0 */
/* faults.c ATTACK [ADDRESS]: exceptions, jumps and system calls that are up to no good. */
#include <signal.h>

#include "hostile.h"

static uint64_t faults;

static void count(int sig)
{
	(void)sig;
	if (++faults == 100000)
		_exit(0);
}

static long call(long nr, const uint64_t a[6])
{
	register uint64_t r10 __asm__("r10") = a[3], r8 __asm__("r8") = a[4],
			      r9 __asm__("r9") = a[5];
	long ret = nr;

	__asm__ volatile("syscall"
			 : "+a"(ret)
			 : "D"(a[0]), "S"(a[1]), "d"(a[2]), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return ret;
}

/* Numbers that would end, stop or replace the program, or wait, are not what is asked. */
static int harmless(unsigned nr)
{
	static const unsigned char not [] = {0,  7,  15,  23,  34,  35,  37,  57,  58,  59, 60,
					     61, 62, 128, 130, 200, 202, 230, 231, 232, 234};

	for (size_t i = 0; i < sizeof(not ); i++)
		if (nr == not [i])
			return 0;
	return nr != 247 && nr != 270 && nr != 271 && nr != 281;
}

int main(int argc, char **argv)
{
	const uint64_t at = number(argc, argv, 2);

	if (is(argv, "loop")) { /* a handler that returns to the fault */
		signal(SIGSEGV, count);
		*(volatile char *)8 = 0;
	} else if (is(argv, "jump")) {
		((void (*)(void))at)();
	} else if (is(argv, "sweep")) { /* into the kernel's text, wherever it leads */
		((void (*)(void))(NOXS_GVA_KERNEL + at))();
	} else if (is(argv, "kstack")) { /* the kernel's and the exceptions' stacks */
		memset((void *)NOXS_GVA_IST1, 0xff, NOXS_GVA_IST1_END - NOXS_GVA_IST1);
		memset((void *)NOXS_GVA_IST3, 0xff, NOXS_GVA_IST3_END - NOXS_GVA_IST3);
		memset((void *)NOXS_GVA_KSTACK, 0xff, NOXS_GVA_KSTACK_END - NOXS_GVA_KSTACK);
		*(volatile char *)8 = 0;
	} else if (is(argv, "kdata")) { /* all that the kernel knows */
		const struct noxs_kernel *k = (void *)NOXS_GVA_KERNEL;

		memset((void *)(NOXS_GVA_KERNEL + k->data_off), (int)at, k->end_off - k->data_off);
		call(39, (uint64_t[6]){0});
		*(volatile char *)8 = 0;
	} else if (is(argv, "syscalls")) {
		static const uint64_t odd[] = {0,
					       8,
					       UINT64_MAX,
					       1ull << 63,
					       NOXS_GVA_DOORBELL,
					       NOXS_GVA_KERNEL,
					       0x7fffffff,
					       NOXS_GVA_END - 1};

		for (unsigned nr = 1; nr < 470; nr++)
			for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++)
				if (harmless(nr) && nr != 11 && nr != 10 && nr != 25 && nr != 9)
					call(nr, (uint64_t[6]){odd[i], odd[(i + 1) % 8],
							       odd[(i + 3) % 8], odd[(i + 5) % 8],
							       odd[(i + 2) % 8], odd[(i + 7) % 8]});
		call((long)UINT64_MAX, (uint64_t[6]){0});
		call((long)(1ull << 32), (uint64_t[6]){0});
	} else if (is(argv, "syscall-stack")) { /* SYSCALL with no stack at all */
		__asm__ volatile("mov %0, %%rsp; mov $39, %%eax; syscall; "
				 "mov $231, %%eax; xor %%edi, %%edi; syscall" ::"r"(at));
	} else {
		return unknown_attack(argv);
	}
	return 0;
}
