/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls.c: thread-local variables with initialisers (.tdata), without (.tbss), and with an
 * alignment, which the C library has to lay out from PT_TLS before main runs.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int target = 5;

static __thread int initialised = 0x12345678;
static __thread char text[32] = "thread local text";
static __thread int *pointer = &target; /* needs relocation in a PIE */
static __thread double number = 2.5;
static __thread unsigned char zero[5000];
static __thread struct {
	char c;
	_Alignas(64) uint64_t value;
} aligned = {'a', 0xfeedfacecafebeefu};

__thread long exported = -7; /* not static: the general access models */

static int wrong;

static void check(int good, const char *what)
{
	printf("%s: %s\n", what, good ? "good" : "WRONG");
	wrong += !good;
}

int main(void)
{
	size_t i, set = 0;

	check(initialised == 0x12345678, "int");
	check(strcmp(text, "thread local text") == 0, "array");
	check(pointer == &target && *pointer == 5, "pointer");
	check(number == 2.5, "double");
	check(aligned.c == 'a' && aligned.value == 0xfeedfacecafebeefu, "struct");
	check((uintptr_t)&aligned.value % 64 == 0, "alignment of 64");
	check(exported == -7, "exported");
	for (i = 0; i < sizeof(zero); i++)
		set += zero[i] != 0;
	check(set == 0, "zeroes");

	initialised++;
	memset(zero, 0xff, sizeof(zero));
	check(initialised == 0x12345679 && aligned.c == 'a' && exported == -7, "written");
	errno = 0;
	check(close(-1) == -1 && errno == EBADF, "errno");

	if (wrong)
		return 1;
	puts("SUCCESS");
	return 0;
}
