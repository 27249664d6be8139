/* SPDX-License-Identifier: Apache-2.0 */
/* files.c: reading, writing, seeking, appending, truncating; holes read as zeros. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "check.h"

int main(void)
{
	char path[] = "/tmp/mayfly-files-XXXXXX", buf[64];
	struct iovec iov[3] = {{"one", 3}, {"", 0}, {"two", 3}};
	struct stat st;
	int fd = mkstemp(path), at;

	CHECK(fd >= 0);
	CHECK(writev(fd, iov, 3) == 6);
	CHECK(lseek(fd, 0, SEEK_CUR) == 6);
	CHECK(lseek(fd, -3, SEEK_END) == 3);
	CHECK(read(fd, buf, sizeof(buf)) == 3 && !memcmp(buf, "two", 3));
	CHECK(read(fd, buf, sizeof(buf)) == 0);
	CHECK(pwrite(fd, "X", 1, 1) == 1 && pread(fd, buf, 3, 0) == 3 && !memcmp(buf, "oXe", 3));
	CHECK(lseek(fd, 0, SEEK_CUR) == 6);
	CHECK_ERR(lseek(fd, -1, SEEK_SET), EINVAL);
	CHECK_ERR(lseek(fd, 0, 77), EINVAL);
	CHECK_ERR(pread(fd, buf, 1, -1), EINVAL);
	CHECK_ERR(pread(fd, BAD_POINTER, 1, 0), EFAULT);
	CHECK_ERR(write(fd, BAD_POINTER, 1), EFAULT);
	CHECK_ERR(readv(fd, iov, (int)check_minus_one), EINVAL);
	CHECK_ERR(read(-1, buf, 1), EBADF);

	/* append: each write goes to the end, wherever the offset is, and even pwrite */
	at = open(path, O_WRONLY | O_APPEND);
	CHECK(at >= 0 && write(at, "end", 3) == 3 && lseek(at, 0, SEEK_CUR) == 9);
	CHECK(pwrite(at, "!", 1, 0) == 1);
	CHECK(pread(fd, buf, 64, 0) == 10 && !memcmp(buf, "oXetwoend!", 10));
	CHECK_ERR(read(at, buf, 1), EBADF);
	CHECK(close(at) == 0);
	at = open(path, O_RDONLY);
	CHECK_ERR(write(at, "x", 1), EBADF);
	CHECK_ERR(ftruncate(at, 0), EINVAL);
	CHECK(close(at) == 0);

	/* what is cut off does not come back */
	CHECK(ftruncate(fd, 4) == 0 && ftruncate(fd, 8) == 0);
	CHECK(pread(fd, buf, 64, 0) == 8 && !memcmp(buf, "oXet\0\0\0\0", 8));
	CHECK_ERR(ftruncate(fd, -1), EINVAL);
	CHECK(truncate(path, 2) == 0 && fstat(fd, &st) == 0 && st.st_size == 2);

	/* a hole takes no memory and reads as zeros */
	CHECK(pwrite(fd, "far", 3, 1ll << 36) == 3);
	CHECK(fstat(fd, &st) == 0 && st.st_size == (1ll << 36) + 3 && st.st_blocks <= 64);
	CHECK(pread(fd, buf, 8, (1ll << 36) - 4) == 7 && !memcmp(buf, "\0\0\0\0far", 7));
	CHECK(lseek(fd, 1 << 20, SEEK_DATA) == 1ll << 36);
	CHECK(lseek(fd, 0, SEEK_HOLE) == 4096);
	CHECK_ERR(lseek(fd, (1ll << 36) + 3, SEEK_DATA), ENXIO);
	CHECK(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 1, 100) == 0);
	CHECK(pread(fd, buf, 2, 0) == 2 && buf[0] == 'o' && buf[1] == 0);

	/* a file lives as long as it is open */
	CHECK(unlink(path) == 0 && fstat(fd, &st) == 0 && st.st_nlink == 0);
	CHECK(pwrite(fd, "still", 5, 0) == 5 && pread(fd, buf, 5, 0) == 5);
	CHECK(close(fd) == 0);
	CHECK_ERR(open(path, O_RDWR), ENOENT);

	CHECK_ERR(open("/tmp", O_RDWR), EISDIR);
	CHECK_ERR(open("/tmp/none/x", O_CREAT | O_RDWR, 0600), ENOENT);
	fd = open(path, O_CREAT | O_EXCL | O_RDWR, 0600);
	CHECK(fd >= 0 && write(fd, "abc", 3) == 3);
	CHECK_ERR(open(path, O_CREAT | O_EXCL | O_RDWR, 0600), EEXIST);
	CHECK_ERR(open(path, O_DIRECTORY), ENOTDIR);
	at = open(path, O_WRONLY | O_TRUNC);
	CHECK(at >= 0 && fstat(fd, &st) == 0 && st.st_size == 0);
	CHECK(close(at) == 0 && close(fd) == 0 && unlink(path) == 0);
	return success();
}
