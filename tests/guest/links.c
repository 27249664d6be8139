/* SPDX-License-Identifier: Apache-2.0 */
/* links.c: hard links share a file, symbolic links are followed where Linux does so. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"

int main(void)
{
	char base[] = "/tmp/mayfly-links-XXXXXX", buf[PATH_MAX], name[16];
	struct stat a, b;
	int fd;

	CHECK(mkdtemp(base) && chdir(base) == 0);
	fd = open("a", O_CREAT | O_RDWR, 0644);
	CHECK(fd >= 0 && link("a", "b") == 0);
	CHECK(stat("a", &a) == 0 && stat("b", &b) == 0);
	CHECK(a.st_ino == b.st_ino && a.st_dev == b.st_dev && b.st_nlink == 2);
	CHECK(write(fd, "same", 4) == 4 && stat("b", &b) == 0 && b.st_size == 4);
	CHECK(rename("a", "b") == 0 && access("a", F_OK) == 0); /* nothing happens */
	CHECK_ERR(link("a", "b"), EEXIST);
	CHECK_ERR(link(".", "dir"), EPERM);
	CHECK_ERR(link("none", "x"), ENOENT);
	CHECK(unlink("a") == 0 && fstat(fd, &a) == 0 && a.st_nlink == 1);
	CHECK(close(fd) == 0);

	CHECK(symlink("b", "s") == 0);
	CHECK_ERR(symlink("b", "s"), EEXIST);
	CHECK_ERR(symlink("", "empty"), ENOENT);
	CHECK(readlink("s", buf, sizeof(buf)) == 1 && buf[0] == 'b');
	CHECK_ERR(readlink("b", buf, sizeof(buf)), EINVAL);
	CHECK(lstat("s", &a) == 0 && S_ISLNK(a.st_mode) && a.st_size == 1);
	CHECK(stat("s", &a) == 0 && S_ISREG(a.st_mode) && a.st_size == 4);
	CHECK_ERR(open("s", O_RDONLY | O_NOFOLLOW), ELOOP);
	CHECK_ERR(open("s", O_CREAT | O_EXCL | O_RDWR, 0600), EEXIST);

	/* a link to nothing: opening with O_CREAT makes what it names */
	CHECK(symlink("made", "dangling") == 0);
	CHECK_ERR(stat("dangling", &a), ENOENT);
	CHECK_ERR(mkdir("dangling", 0700), EEXIST);
	fd = open("dangling", O_CREAT | O_WRONLY, 0600);
	CHECK(fd >= 0 && close(fd) == 0 && lstat("made", &a) == 0 && S_ISREG(a.st_mode));

	/* 40 links are followed, 41 are not */
	CHECK(symlink("b", "l1") == 0);
	for (int i = 2; i <= 41; i++) {
		snprintf(buf, sizeof(buf), "l%d", i - 1);
		snprintf(name, sizeof(name), "l%d", i);
		CHECK(symlink(buf, name) == 0);
	}
	CHECK(access("l40", F_OK) == 0);
	CHECK_ERR(access("l41", F_OK), ELOOP);
	for (int i = 1; i <= 41; i++) {
		snprintf(name, sizeof(name), "l%d", i);
		CHECK(unlink(name) == 0);
	}

	/* directories by way of links */
	CHECK(mkdir("d", 0755) == 0 && symlink("d", "ld") == 0);
	CHECK(symlink("../b", "ld/up") == 0 && access("d/up", F_OK) == 0);
	CHECK(lstat("ld/", &a) == 0 && S_ISDIR(a.st_mode));
	CHECK(lstat("ld", &a) == 0 && S_ISLNK(a.st_mode));
	CHECK_ERR(rmdir("ld"), ENOTDIR);
	CHECK_ERR(unlink("ld/"), ENOTDIR);
	CHECK(realpath("ld/up", buf));
	CHECK(!strncmp(buf, base, strlen(base)) && !strcmp(buf + strlen(base), "/b"));
	CHECK(linkat(AT_FDCWD, "s", AT_FDCWD, "s2", 0) == 0 && lstat("s2", &a) == 0);
	CHECK(S_ISLNK(a.st_mode) && a.st_nlink == 2);
	CHECK(linkat(AT_FDCWD, "s", AT_FDCWD, "s3", AT_SYMLINK_FOLLOW) == 0);
	CHECK(lstat("s3", &a) == 0 && S_ISREG(a.st_mode));

	CHECK(unlink("d/up") == 0 && rmdir("d") == 0);
	CHECK(!unlink("ld") && !unlink("s") && !unlink("s2") && !unlink("s3") && !unlink("b"));
	CHECK(unlink("dangling") == 0 && unlink("made") == 0);
	CHECK(chdir("/") == 0 && rmdir(base) == 0);
	return success();
}
