/* SPDX-License-Identifier: Apache-2.0 */
/* tls.c: thread-local storage of the main thread: values, alignment, and the base of FS. */
#define _GNU_SOURCE
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "check.h"

#define ARCH_SET_GS 0x1001
#define ARCH_SET_FS 0x1002
#define ARCH_GET_FS 0x1003
#define ARCH_GET_GS 0x1004

static __thread int number = 42;
static __thread char zero[3000];
static __thread struct {
	char text[64];
} aligned __attribute__((aligned(64))) = {"initialised"};

int main(void)
{
	unsigned long fs = 0, gs = 1, self, value = 0x1234567890;

	CHECK(number == 42 && !strcmp(aligned.text, "initialised"));
	CHECK((uintptr_t)&aligned % 64 == 0);
	for (size_t i = 0; i < sizeof(zero); i++)
		CHECK(zero[i] == 0);
	number++;
	memset(zero, 1, sizeof(zero));
	CHECK(number == 43 && aligned.text[0] == 'i');

	CHECK(syscall(SYS_arch_prctl, ARCH_GET_FS, &fs) == 0);
	__asm__ volatile("mov %%fs:0, %0" : "=r"(self));
	CHECK(fs == self); /* the ABI's pointer to itself */
	CHECK(syscall(SYS_arch_prctl, ARCH_SET_GS, &value) == 0);
	CHECK(syscall(SYS_arch_prctl, ARCH_GET_GS, &gs) == 0 && gs == (unsigned long)&value);
	__asm__ volatile("mov %%gs:0, %0" : "=r"(self));
	CHECK(self == value);
	CHECK_ERR(syscall(SYS_arch_prctl, ARCH_SET_FS, -1l), EPERM);
	CHECK_ERR(syscall(SYS_arch_prctl, 0x9999, 0), EINVAL);
	errno = 7;
	CHECK(errno == 7 && number == 43);
	return success();
}
