/* SPDX-License-Identifier: Apache-2.0 */
/* dirs.c: making, listing, renaming and removing directories and what is in them. */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"

#define N 200

static void make(const char *path)
{
	int fd = open(path, O_CREAT | O_WRONLY, 0644);

	CHECK(fd >= 0 && close(fd) == 0);
}

/* Entries other than . and .., each seen once. */
static int count(const char *path)
{
	DIR *dir = opendir(path);
	int n = 0, dots = 0;

	CHECK(dir);
	for (struct dirent *d; (d = readdir(dir));) {
		if (!strcmp(d->d_name, ".") || !strcmp(d->d_name, ".."))
			dots++;
		else
			n++;
	}
	CHECK(dots == 2 && closedir(dir) == 0);
	return n;
}

int main(void)
{
	char base[] = "/tmp/mayfly-dirs-XXXXXX", buf[256], seen[N] = {0};
	struct stat st;
	DIR *dir;
	int fd;

	CHECK(mkdtemp(base) && chdir(base) == 0);
	CHECK(getcwd(buf, sizeof(buf)) && !strcmp(buf, base));
	CHECK_ERR((getcwd(buf, 3) ? 0 : -1), ERANGE);
	CHECK(mkdir("a", 0755) == 0 && mkdir("a/b", 0755) == 0);
	CHECK_ERR(mkdir("a", 0755), EEXIST);
	CHECK_ERR(mkdir("x/y", 0755), ENOENT);
	CHECK(stat("a", &st) == 0 && S_ISDIR(st.st_mode) && st.st_nlink == 3);
	make("f");
	CHECK_ERR(mkdir("f/x", 0755), ENOTDIR);
	CHECK_ERR(rmdir("f"), ENOTDIR);
	CHECK_ERR(unlink("a"), EISDIR);
	CHECK_ERR(rmdir("a"), ENOTEMPTY);
	CHECK_ERR(rmdir("a/b/."), EINVAL);
	CHECK_ERR(rmdir("a/b/.."), ENOTEMPTY);

	/* rename: over what is there, not into itself */
	CHECK(rename("f", "g") == 0);
	CHECK_ERR(rename("f", "h"), ENOENT);
	make("f");
	CHECK(rename("f", "g") == 0);
	CHECK_ERR(access("f", F_OK), ENOENT);
	CHECK_ERR(rename("g", "a"), EISDIR);
	CHECK_ERR(rename("a", "g"), ENOTDIR);
	CHECK_ERR(rename("a", "a/b/c"), EINVAL);
	CHECK_ERR(rename("a/b", "a"), ENOTEMPTY);
	CHECK_ERR(rename("g", "h/"), ENOTDIR);
	CHECK(mkdir("empty", 0755) == 0 && rename("a", "empty") == 0);
	CHECK(stat("empty/b", &st) == 0);
	CHECK_ERR(access("a", F_OK), ENOENT);
	CHECK(rename("empty", "a/") == 0);
	CHECK(unlink("g") == 0);

	/* every name is listed once, though they are removed as they are listed */
	for (int i = 0; i < N; i++) {
		snprintf(buf, sizeof(buf), "a/b/file-with-a-long-name-%d", i);
		make(buf);
	}
	CHECK(count("a/b") == N);
	dir = opendir("a/b");
	CHECK(dir);
	for (struct dirent *d; (d = readdir(dir));) {
		int i;

		if (sscanf(d->d_name, "file-with-a-long-name-%d", &i) != 1)
			continue;
		CHECK(d->d_type == DT_REG && i >= 0 && i < N && !seen[i]);
		seen[i] = 1;
		CHECK(unlinkat(dirfd(dir), d->d_name, 0) == 0);
	}
	for (int i = 0; i < N; i++)
		CHECK(seen[i]);
	rewinddir(dir);
	CHECK(closedir(dir) == 0 && count("a/b") == 0);

	/* a directory that is gone but is somebody's current one */
	CHECK(chdir("a/b") == 0 && rmdir("../b") == 0);
	CHECK_ERR(open("x", O_CREAT | O_WRONLY, 0644), ENOENT);
	CHECK(chdir("..") == 0);
	fd = open(".", O_RDONLY | O_DIRECTORY);
	CHECK(fd >= 0 && chdir("/") == 0 && fchdir(fd) == 0);
	CHECK_ERR(read(fd, buf, 1), EISDIR);
	CHECK(mkdirat(fd, "sub", 0700) == 0 && unlinkat(fd, "sub", AT_REMOVEDIR) == 0);
	CHECK(close(fd) == 0);
	CHECK_ERR(chdir("none"), ENOENT);
	CHECK(chdir("/") == 0);
	snprintf(buf, sizeof(buf), "%s/a", base);
	CHECK(rmdir(buf) == 0 && rmdir(base) == 0);
	return success();
}
