/* SPDX-License-Identifier: Apache-2.0 */
/* sigfpu.c: vector registers and FP control survive a handler that clobbers them all. */
#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <sys/time.h>

#include "check.h"

static volatile int calls;

__attribute__((noinline)) static void clobber(void)
{
	uint32_t mxcsr = 0x7f80;
	uint16_t cw = 0x0f7f;

	__asm__ volatile("ldmxcsr %0; fninit; fldcw %1; fldpi" : : "m"(mxcsr), "m"(cw));
	__asm__ volatile("pcmpeqd %%xmm0, %%xmm0; movdqa %%xmm0, %%xmm1; movdqa %%xmm0, %%xmm7;"
			 "movdqa %%xmm0, %%xmm15"
			 :
			 :
			 : "xmm0", "xmm1", "xmm7", "xmm15");
	if (__builtin_cpu_supports("avx"))
		__asm__ volatile("vcmptrueps %%ymm0, %%ymm0, %%ymm0; vmovaps %%ymm0, %%ymm15" ::
					 : "xmm0", "xmm15");
}

static void on_signal(int sig)
{
	char local[64] __attribute__((aligned(16)));
	uintptr_t frame = (uintptr_t)__builtin_frame_address(0);
	uint32_t mxcsr;

	(void)sig;
	calls++;
	CHECK(frame % 16 == 0);
	/* an aligned store, which faults if the stack is not what the compiler believes */
	__asm__ volatile("movaps %%xmm3, %0" : "=m"(*(char(*)[16])local));
	__asm__ volatile("stmxcsr %0" : "=m"(mxcsr));
	CHECK(mxcsr == 0x1f80); /* a handler starts with the default */
	clobber();
}

static void check_xmm(void)
{
	uint64_t in[2][2] = {{0x1111222233334444, 0x5555666677778888}, {0x99, 0xaa}}, out[2][2];
	uint32_t mxcsr = 0x3f80, mxcsr_out; /* round down */
	uint16_t cw = 0x027f, cw_out;
	long nr = 39 /* getpid */, pid, ret;

	__asm__ volatile("syscall" : "=a"(pid) : "a"(nr) : "rcx", "r11", "memory");
	__asm__ volatile("ldmxcsr %0; fldcw %1" : : "m"(mxcsr), "m"(cw));
	__asm__ volatile("movdqu %3, %%xmm1; movdqu %4, %%xmm15;"
			 "mov $62, %%eax; syscall;" /* kill(self, SIGUSR1) */
			 "movdqu %%xmm1, %0; movdqu %%xmm15, %1"
			 : "=m"(out[0]), "=m"(out[1]), "=&a"(ret)
			 : "m"(in[0]), "m"(in[1]), "D"(pid), "S"(SIGUSR1)
			 : "rcx", "r11", "memory", "xmm1", "xmm15");
	__asm__ volatile("stmxcsr %0; fnstcw %1" : "=m"(mxcsr_out), "=m"(cw_out));
	CHECK(ret == 0 && !memcmp(in, out, sizeof(in)));
	CHECK(mxcsr_out == mxcsr && cw_out == cw);
	mxcsr = 0x1f80;
	cw = 0x037f;
	__asm__ volatile("ldmxcsr %0; fldcw %1" : : "m"(mxcsr), "m"(cw));
}

/* In the middle of arithmetic, at any instruction: the result is what it is without. */
static double series(long n)
{
	double a = 0, b = 1, c = 0.5, d = 2;

	for (long i = 1; i <= n; i++) {
		a += 1.0 / (double)i;
		b = b * 1.0000001 + a;
		c += b / (double)(i + 1);
		d = d * 0.999999 + c;
	}
	return a + b + c + d;
}

int main(void)
{
	struct sigaction sa = {.sa_handler = on_signal};
	struct itimerval timer = {{0, 1000}, {0, 1000}}, off = {{0, 0}, {0, 0}};
	volatile long n = 200000; /* so that it is computed each time */
	double alone = series(n), busy = alone;

	CHECK(sigaction(SIGUSR1, &sa, NULL) == 0 && sigaction(SIGALRM, &sa, NULL) == 0);
	for (int i = 0; i < 20; i++)
		check_xmm();
	CHECK(calls == 20);
	CHECK(setitimer(ITIMER_REAL, &timer, NULL) == 0);
	for (int i = 0; i < 20000 && calls < 40 && busy == alone; i++)
		busy = series(n);
	CHECK(setitimer(ITIMER_REAL, &off, NULL) == 0);
	CHECK(busy == alone && calls >= 40);
	return success();
}
