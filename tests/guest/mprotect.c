/* SPDX-License-Identifier: Apache-2.0 */
/* mprotect.c: protection changes take effect at once, in both directions, and W^X holds. */
#define _GNU_SOURCE
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "check.h"
#include "fault.h"

#define PAGE 4096l
#define BIG  (5l << 20)

int main(void)
{
	static const unsigned char code[] = {0xb8, 42, 0, 0, 0, 0xc3}; /* mov $42, %eax; ret */
	const int rw = PROT_READ | PROT_WRITE;
	struct utsname u;
	char *p = mmap(NULL, BIG, rw, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	fault_catch();
	CHECK(p != MAP_FAILED);
	for (int i = 0; i < 3; i++) {
		p[100] = (char)i;
		CHECK(mprotect(p, PAGE, PROT_READ) == 0);
		CHECK(p[100] == i && fault_code(p + 100, true) == SEGV_ACCERR);
		CHECK(fault_address == p + 100 && fault_code(p + PAGE, true) == 0);
		CHECK(mprotect(p, PAGE, PROT_NONE) == 0);
		CHECK(fault_code(p + 100, false) == SEGV_ACCERR);
		CHECK(mprotect(p, PAGE, rw) == 0 && p[100] == i);
		CHECK(fault_code(p + 100, true) == 0);
	}
	/* pages that were not there yet */
	CHECK(mprotect(p + BIG - 2 * PAGE, PAGE, PROT_READ) == 0);
	CHECK(fault_code(p + BIG - 2 * PAGE, false) == 0);
	CHECK(fault_code(p + BIG - 2 * PAGE, true) == SEGV_ACCERR);
	CHECK(fault_code(p + BIG - PAGE, true) == 0);
	CHECK(mprotect(p + BIG - 2 * PAGE, PAGE, rw) == 0);

	/* a piece of a large page, and back to one piece */
	memset(p, 0x33, BIG);
	CHECK(mprotect(p + BIG / 2, 3 * PAGE, PROT_READ) == 0);
	CHECK(fault_code(p + BIG / 2, true) == SEGV_ACCERR);
	CHECK(fault_code(p + BIG / 2 + 3 * PAGE, true) == 0 &&
	      fault_code(p + BIG / 2 - 1, true) == 0);
	CHECK(mprotect(p, BIG, PROT_READ) == 0 && fault_code(p + 7 * PAGE, true) == SEGV_ACCERR);
	CHECK(mprotect(p, BIG, rw) == 0);
	for (long i = 0; i < BIG; i += 256)
		CHECK(p[i] == 0x33);

	/* code: written, then executed, never both */
	memcpy(p, code, sizeof(code));
	CHECK(mprotect(p, PAGE, PROT_READ | PROT_EXEC) == 0);
	CHECK(((int (*)(void))(void *)p)() == 42 && fault_code(p, true) == SEGV_ACCERR);
	CHECK(mprotect(p, PAGE, rw) == 0);
	p[1] = 43;
	CHECK(mprotect(p, PAGE, PROT_READ | PROT_EXEC) == 0);
	CHECK(((int (*)(void))(void *)p)() == 43);
	if (sigsetjmp(fault_out, 1) == 0) {
		((int (*)(void))(void *)(p + PAGE))();
		CHECK(!"data was executed");
	}
	CHECK(fault_signal == SIGSEGV && fault_si_code == SEGV_ACCERR);
	CHECK(fault_address == p + PAGE);
	CHECK(uname(&u) == 0);
	if (strstr(u.release, "mayfly")) {
		CHECK_ERR(mprotect(p, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC), EACCES);
		CHECK(mmap(NULL, PAGE, PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			   0) == MAP_FAILED);
		CHECK(errno == EACCES);
	}

	CHECK_ERR(syscall(SYS_mprotect, p + 1, PAGE, PROT_READ), EINVAL); /* musl aligns */
	CHECK_ERR(mprotect(p, PAGE, 1 << 20), EINVAL);
	CHECK(mprotect(p, 0, PROT_READ) == 0);
	CHECK(munmap(p + 4 * PAGE, PAGE) == 0);
	CHECK_ERR(mprotect(p + 4 * PAGE, PAGE, PROT_READ), ENOMEM);
	CHECK_ERR(mprotect(p + 2 * PAGE, 8 * PAGE, rw), ENOMEM);
	CHECK(munmap(p, BIG) == 0);
	return success();
}
