/* SPDX-License-Identifier: Apache-2.0 */
/* mapshared.c: a shared mapping of a file is the file: stores, writes, sizes, and its end. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "fault.h"

#define PAGE 4096l
#define RW   (PROT_READ | PROT_WRITE)

static char *map(int fd, long bytes, int prot, long off)
{
	return mmap(NULL, (size_t)bytes, prot, MAP_SHARED, fd, off);
}

int main(void)
{
	char path[] = "/tmp/mayfly-shared-XXXXXX", buf[64];
	int fd = mkstemp(path), ro;
	char *p, *q, *r;
	struct stat st;

	fault_catch();
	CHECK(fd >= 0 && ftruncate(fd, 8 * PAGE) == 0);
	p = map(fd, 8 * PAGE, RW, 0);
	q = map(fd, 4 * PAGE, RW, 2 * PAGE);
	CHECK(p != MAP_FAILED && q != MAP_FAILED);
	for (long i = 0; i < 8 * PAGE; i += 512)
		CHECK(p[i] == 0);
	/* mapping, file, and the other mapping say the same */
	strcpy(p + 10, "stored");
	CHECK(pread(fd, buf, 7, 10) == 7 && !strcmp(buf, "stored"));
	CHECK(pwrite(fd, "written", 8, 3 * PAGE) == 8 && !strcmp(p + 3 * PAGE, "written"));
	CHECK(!strcmp(q + PAGE, "written"));
	q[PAGE] = 'W';
	CHECK(p[3 * PAGE] == 'W' && pread(fd, buf, 8, 3 * PAGE) == 8 && !strcmp(buf, "Written"));
	CHECK(msync(p, 8 * PAGE, MS_SYNC) == 0);
	/* a private one sees it, and keeps its own stores to itself */
	r = mmap(NULL, 4 * PAGE, RW, MAP_PRIVATE, fd, 3 * PAGE);
	CHECK(r != MAP_FAILED && !strcmp(r, "Written"));
	r[0] = 'P';
	CHECK(p[3 * PAGE] == 'W' && munmap(r, 4 * PAGE) == 0);

	/* protection */
	CHECK(mprotect(q, PAGE, PROT_READ) == 0 && fault_code(q, true) == SEGV_ACCERR);
	CHECK(mprotect(q, PAGE, RW) == 0 && fault_code(q, true) == 0);
	ro = open(path, O_RDONLY);
	CHECK(ro >= 0 && map(ro, PAGE, RW, 0) == MAP_FAILED && errno == EACCES);
	r = map(ro, PAGE, PROT_READ, 0);
	CHECK(r != MAP_FAILED && !strcmp(r + 10, "stored"));
	CHECK_ERR(mprotect(r, PAGE, RW), EACCES);
	p[10] = 'S';
	CHECK(r[10] == 'S' && munmap(r, PAGE) == 0 && close(ro) == 0);

	/* part of it goes, or moves */
	CHECK(munmap(p + 4 * PAGE, PAGE) == 0 && p[3 * PAGE] == 'W');
	p[5 * PAGE] = 'x';
	CHECK(pread(fd, buf, 1, 5 * PAGE) == 1 && buf[0] == 'x');
	r = mremap(q, 4 * PAGE, 6 * PAGE, MREMAP_MAYMOVE);
	CHECK(r != MAP_FAILED && !strcmp(r + PAGE, "Written") && r[3 * PAGE] == 'x');
	r[5 * PAGE] = 'y';
	CHECK(pread(fd, buf, 1, 7 * PAGE) == 1 && buf[0] == 'y' && p[7 * PAGE] == 'y');
	CHECK(madvise(r, PAGE, MADV_DONTNEED) == 0 && madvise(p, PAGE, MADV_DONTNEED) == 0);
	CHECK(!strcmp(p + 10, "Stored"));

	/* cut off and made longer: zero again */
	CHECK(ftruncate(fd, PAGE + 100) == 0 && ftruncate(fd, 8 * PAGE) == 0);
	CHECK(p[3 * PAGE] == 0 && p[7 * PAGE] == 0 && p[10] == 'S');
	CHECK(pread(fd, buf, 8, 3 * PAGE) == 8 && buf[0] == 0);
	p[7 * PAGE] = 'z';
	CHECK(pread(fd, buf, 1, 7 * PAGE) == 1 && buf[0] == 'z');
	/* what is stored behind the end stays out of the file */
	CHECK(ftruncate(fd, 100) == 0);
	p[200] = 'o';
	CHECK(fstat(fd, &st) == 0 && st.st_size == 100 && pread(fd, buf, 64, 100) == 0);
	CHECK(munmap(p, 8 * PAGE) == 0 && munmap(r, 6 * PAGE) == 0);

	/* grown file, then a mapping that reaches over its end */
	CHECK(ftruncate(fd, 0) == 0 && ftruncate(fd, PAGE / 2) == 0);
	p = map(fd, 3 * PAGE, RW, 0);
	CHECK(p != MAP_FAILED && p[0] == 0 && p[PAGE - 1] == 0);
	CHECK(fault_code(p + PAGE, false) == BUS_ADRERR && fault_signal == SIGBUS);
	CHECK(fault_address == p + PAGE);
	CHECK(ftruncate(fd, 2 * PAGE) == 0 && fault_code(p + PAGE, true) == 0);
	p[PAGE] = 'g';

	/* the mapping outlives descriptor and name */
	CHECK(close(fd) == 0);
	fd = open(path, O_RDWR);
	CHECK(fd >= 0 && pread(fd, buf, 1, PAGE) == 1 && buf[0] == 'g');
	CHECK(unlink(path) == 0 && close(fd) == 0 && p[PAGE] == 'g');
	p[0] = 1;
	CHECK(munmap(p, 3 * PAGE) == 0);

	/* many files one after the other: their memory comes back */
	for (int i = 0; i < 200; i++) {
		char name[] = "/tmp/mayfly-shared-XXXXXX";

		fd = mkstemp(name);
		CHECK(fd >= 0 && unlink(name) == 0 && ftruncate(fd, 1l << 20) == 0);
		p = map(fd, 1l << 20, RW, 0);
		CHECK(p != MAP_FAILED && close(fd) == 0);
		for (long k = 0; k < 1l << 20; k += PAGE) {
			CHECK(p[k] == 0);
			p[k] = 1;
		}
		CHECK(munmap(p, 1ul << 20) == 0);
	}
	/* without a file: there is nobody to share it with */
	p = mmap(NULL, PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(p != MAP_FAILED && p[5] == 0);
	p[5] = 1;
	CHECK(munmap(p, PAGE) == 0);
	return success();
}
