/* SPDX-License-Identifier: Apache-2.0 */
/*
 * syscall.c: what a system call costs, in nanoseconds, as the program itself sees it.
 * bench/syscall.sh runs it natively and in a VM, and checks that the forms are what they
 * claim to be.
 *
 * Prints a line for each form: its name, the median over the batches, the calls made.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define CALLS   1000 /* in a batch */
#define BATCHES 300

#define NR_GETPPID "110"

/* As C libraries have it: a function with a type and a size, whose instructions can be
 * read from start to end. `mov $nr, %eax; syscall` can be rewritten into a jump. */
static void getppid_plain(void)
{
	long ret;

	__asm__ volatile("mov $" NR_GETPPID ", %%eax\n\tsyscall"
			 : "=a"(ret)
			 :
			 : "rcx", "r11", "memory");
}

/* The same instructions, but nothing says where the function starts and ends, so that
 * nobody can prove that no jump leads into the middle. This one stays a SYSCALL. */
void getppid_unproven(void);
__asm__(".text\n"
	"	.globl getppid_unproven\n"
	"getppid_unproven:\n"
	"	mov $" NR_GETPPID ", %eax\n"
	"	syscall\n"
	"	ret\n");

/* libc's, which finds the vDSO by itself: no system call where there is one. */
static void clock_libc(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int ascending(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void measure(const char *name, void (*call)(void))
{
	static uint64_t batch[BATCHES];

	for (int i = 0; i < CALLS; i++)
		call();
	for (int b = 0; b < BATCHES; b++) {
		uint64_t start = now_ns();

		for (int i = 0; i < CALLS; i++)
			call();
		batch[b] = now_ns() - start;
	}
	/* The median: a batch that was interrupted is no cost of the call's. */
	qsort(batch, BATCHES, sizeof(batch[0]), ascending);
	printf("%s %.1f %d\n", name, (double)batch[BATCHES / 2] / CALLS, CALLS * (BATCHES + 1));
}

int main(void)
{
	measure("getppid", getppid_plain);
	measure("getppid-trapped", getppid_unproven);
	measure("clock_gettime", clock_libc);
	return 0;
}
