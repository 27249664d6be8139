/* SPDX-License-Identifier: Apache-2.0 */
/* madvise.c: MADV_DONTNEED: anonymous memory is zero again, a file's mapping the file. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "check.h"
#include "fault.h"

#define PAGE 4096ul
#define BIG  (9ul << 20)

static char bss[16 * PAGE] __attribute__((aligned(4096)));

static void all(const char *p, size_t bytes, char value)
{
	for (size_t i = 0; i < bytes; i += 256)
		CHECK(p[i] == value);
}

int main(void)
{
	char path[] = "/tmp/mayfly-madvise-XXXXXX", stack[8 * PAGE], *aligned;
	char *p = mmap(NULL, BIG, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int fd = mkstemp(path);
	unsigned char in[4];

	fault_catch();
	CHECK(p != MAP_FAILED && fd >= 0 && unlink(path) == 0);
	for (int round = 0; round < 3; round++) {
		memset(p, 1, BIG);
		CHECK(madvise(p + 3 * PAGE, 2 * PAGE, MADV_DONTNEED) == 0);
		all(p, 3 * PAGE, 1);
		all(p + 3 * PAGE, 2 * PAGE, 0);
		all(p + 5 * PAGE, BIG - 5 * PAGE, 1);
		CHECK(madvise(p, BIG, MADV_DONTNEED) == 0);
		all(p, BIG, 0);
	}
	memset(bss, 2, sizeof(bss));
	CHECK(madvise(bss + PAGE, 4 * PAGE, MADV_DONTNEED) == 0);
	all(bss, PAGE, 2);
	all(bss + PAGE, 4 * PAGE, 0);
	all(bss + 5 * PAGE, 11 * PAGE, 2);
	aligned = (char *)(((unsigned long)stack + PAGE - 1) & ~(PAGE - 1));
	memset(stack, 3, sizeof(stack));
	CHECK(madvise(aligned, 4 * PAGE, MADV_DONTNEED) == 0);
	all(aligned, 4 * PAGE, 0);
	CHECK(aligned[4 * PAGE] == 3);

	/* a private mapping of a file shows the file again */
	for (int i = 0; i < 4; i++) {
		memset(bss, '0' + i, PAGE);
		CHECK(write(fd, bss, PAGE) == PAGE);
	}
	p = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	CHECK(p != MAP_FAILED);
	memset(p, 'x', 4 * PAGE);
	CHECK(madvise(p + PAGE, 2 * PAGE, MADV_DONTNEED) == 0);
	CHECK(p[0] == 'x' && p[PAGE] == '1' && p[2 * PAGE] == '2' && p[3 * PAGE] == 'x');

	CHECK(mincore(p, 2 * PAGE, in) == 0 && in[0] & 1);
	CHECK_ERR(madvise(p + 1, PAGE, MADV_DONTNEED), EINVAL);
	CHECK_ERR(madvise(p, PAGE, 12345), EINVAL);
	CHECK(munmap(p + PAGE, PAGE) == 0);
	memset(p + 2 * PAGE, 'y', PAGE);
	/* a hole is told of, but the rest is done */
	CHECK_ERR(madvise(p, 4 * PAGE, MADV_DONTNEED), ENOMEM);
	CHECK(p[0] == '0' && p[2 * PAGE] == '2');
	CHECK_ERR(mincore(p, 2 * PAGE, in), ENOMEM);
	CHECK(mlock(p, PAGE) == 0 && munlock(p, PAGE) == 0 && msync(p, PAGE, MS_SYNC) == 0);
	CHECK_ERR(msync(p + PAGE, PAGE, MS_SYNC), ENOMEM);
	return success();
}
