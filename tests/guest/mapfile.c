/* SPDX-License-Identifier: Apache-2.0 */
/* mapfile.c: a private mapping of a file has its bytes, and writing leaves the file alone. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "check.h"

#define BYTES (3 * 4096 + 100)

int main(void)
{
	char path[] = "/tmp/mayfly-mapfile-XXXXXX";
	static char data[BYTES], back[BYTES];
	int fd = mkstemp(path), write_only;
	char *p;

	for (int i = 0; i < BYTES; i++)
		data[i] = (char)(i * 31 >> 3);
	CHECK(fd >= 0 && write(fd, data, BYTES) == BYTES);
	p = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	CHECK(p != MAP_FAILED && !memcmp(p, data, BYTES));
	for (int i = BYTES; i < 4 * 4096; i++)
		CHECK(p[i] == 0); /* the last page's rest */
	p[5000] ^= 1;
	CHECK(pread(fd, back, BYTES, 0) == BYTES && !memcmp(back, data, BYTES));
	CHECK(munmap(p, BYTES) == 0);

	/* from an offset, and after the descriptor is closed */
	p = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 8192);
	CHECK(p != MAP_FAILED && !memcmp(p, data + 8192, 4096));
	CHECK((mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 100) == MAP_FAILED));
	CHECK(errno == EINVAL);
	write_only = open(path, O_WRONLY);
	CHECK(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, write_only, 0) == MAP_FAILED);
	CHECK(errno == EACCES && close(write_only) == 0);
	CHECK(close(fd) == 0 && unlink(path) == 0);
	CHECK(!memcmp(p, data + 8192, 4096) && munmap(p, 4096) == 0);
	CHECK(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0) == MAP_FAILED && errno == EBADF);

	fd = open("/dev/zero", O_RDWR);
	p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	CHECK(p != MAP_FAILED && p[0] == 0 && p[4095] == 0);
	p[7] = 1;
	CHECK(munmap(p, 4096) == 0 && close(fd) == 0);
	return success();
}
