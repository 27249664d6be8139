/* SPDX-License-Identifier: Apache-2.0 */
/* doorbell.c ATTACK [SLOT|OFFSET [VALUE]]: the doorbell page, used in every wrong way. */
#include "hostile.h"

int main(int argc, char **argv)
{
	const uint64_t n = number(argc, argv, 2), value = number(argc, argv, 3);
	volatile char *at = (volatile char *)bell + n;

	if (is(argv, "slot"))
		ring((unsigned)n, value);
	else if (is(argv, "storm")) /* a queue's slot, again and again */
		for (uint64_t i = 0; i < value; i++)
			ring((unsigned)n, i);
	else if (is(argv, "often-storm")) { /* ... once it is bound to an eventfd */
		for (uint64_t end = mono_ns() + 50 * MS; mono_ns() < end;) {
			(void)!write(1, "often\n", 6);
			for (uint64_t until = mono_ns() + MS / 10; mono_ns() < until;)
				;
		}
		for (uint64_t i = 0; i < value; i++)
			ring((unsigned)n, i);
		say("the end\n");
		ring(NOXS_DB_EXIT, 0);
	} else if (is(argv, "store1"))
		__asm__ volatile("movb %b1, %0" : "=m"(*at) : "q"(value));
	else if (is(argv, "store2"))
		__asm__ volatile("movw %w1, %0" : "=m"(*(volatile uint16_t *)at) : "r"(value));
	else if (is(argv, "store4"))
		__asm__ volatile("movl %k1, %0" : "=m"(*(volatile uint32_t *)at) : "r"(value));
	else if (is(argv, "store8"))
		__asm__ volatile("movq %1, %0" : "=m"(*(volatile uint64_t *)at) : "r"(value));
	else if (is(argv, "store16"))
		__asm__ volatile("movups %%xmm0, %0" : "=m"(*at)::"memory");
	else if (is(argv, "load1"))
		return *(volatile uint8_t *)at & 0;
	else if (is(argv, "load8"))
		return *(volatile uint64_t *)at & 0;
	else if (is(argv, "xadd"))
		__asm__ volatile("lock xaddq %1, %0" : "+m"(*(volatile uint64_t *)at) : "r"(value));
	else if (is(argv, "string"))
		__asm__ volatile("rep stosq" ::"D"(at), "a"(value), "c"(512 - n / 8) : "memory");
	else if (is(argv, "copy"))
		__asm__ volatile("rep movsq" ::"D"(at), "S"(bell), "c"(4) : "memory");
	else if (is(argv, "stack"))
		__asm__ volatile("movq %0, %%rsp; push %1; call *%2" ::"r"(at), "r"(value),
				 "r"((uint64_t)main));
	else if (is(argv, "execute"))
		((void (*)(void))(uintptr_t)at)();
	else if (is(argv, "syscall")) /* the kernel's own copies hit the page */
		return write(1, (void *)at, 8) < 0 ? 3 : read(0, (void *)at, 8) < 0 ? 3 : 0;
	else
		return unknown_attack(argv);
	return 0;
}
