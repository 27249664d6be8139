/* SPDX-License-Identifier: Apache-2.0 */
/* rundir.c: see rundir.h. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rundir.h"

#define LOCK_NAME "lock"

static int check(int fd, const char *path, struct err *err)
{
	struct stat st;

	if (fstat(fd, &st))
		return err_set(err, errno, "cannot examine the run directory %s", path);
	if (st.st_uid != geteuid())
		return err_set(err, 0,
			       "the run directory %s belongs to user %u, not to us (%u); name "
			       "another by $MAYFLY_RUN_DIR",
			       path, (unsigned)st.st_uid, (unsigned)geteuid());
	/* What others can write into is not to be trusted with code. */
	if ((st.st_mode & 077) && fchmod(fd, 0700))
		return err_set(err, errno, "cannot make the run directory %s ours alone", path);
	return 0;
}

static int open_dir(const char *path, struct err *err)
{
	int fd, ret;

	if (mkdir(path, 0700) && errno != EEXIST)
		return err_set(err, errno, "cannot make the run directory %s", path);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return err_set(err, errno, "cannot open the run directory %s", path);
	ret = check(fd, path, err);
	if (ret) {
		close(fd);
		return ret;
	}
	return fd;
}

/* The lock is on the file, not in it: what stands there is for people. */
static int lock(int dir, const char *path, struct err *err)
{
	char text[32] = "";
	int fd = openat(dir, LOCK_NAME, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	ssize_t n;

	if (fd < 0)
		return err_set(err, errno, "cannot open %s/" LOCK_NAME, path);
	if (!flock(fd, LOCK_EX | LOCK_NB)) {
		n = snprintf(text, sizeof(text), "%d\n", (int)getpid());
		if (ftruncate(fd, 0) || pwrite(fd, text, (size_t)n, 0) != n)
			return err_set(err, errno, "cannot write %s/" LOCK_NAME, path);
		return 0; /* and stays open */
	}
	if (errno != EWOULDBLOCK)
		return err_set(err, errno, "cannot lock %s/" LOCK_NAME, path);
	n = pread(fd, text, sizeof(text) - 1, 0);
	close(fd);
	return err_set(err, 0,
		       "another daemon, of pid %ld, has the run directory %s; end it, or name "
		       "another directory by $MAYFLY_RUN_DIR",
		       n > 0 ? strtol(text, NULL, 10) : 0l, path);
}

/* The directory `name`, there and empty. */
static int make_empty(int dir, const char *path, const char *name, struct err *err)
{
	const struct dirent *entry;
	DIR *list;
	int fd;

	if (mkdirat(dir, name, 0700) && errno != EEXIST)
		return err_set(err, errno, "cannot make %s/%s", path, name);
	fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	list = fd < 0 ? NULL : fdopendir(fd);
	if (!list)
		return err_set(err, errno, "cannot open %s/%s", path, name);
	while ((entry = readdir(list)))
		if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
			unlinkat(fd, entry->d_name, 0);
	closedir(list);
	return 0;
}

int rundir_enter(const char *path, struct err *err)
{
	int dir = open_dir(path, err), ret;

	if (dir < 0)
		return dir;
	if (!(ret = lock(dir, path, err)) && !(ret = make_empty(dir, path, "shell", err)))
		ret = make_empty(dir, path, "log", err);
	if (!ret && fchdir(dir))
		ret = err_set(err, errno, "cannot enter the run directory %s", path);
	close(dir);
	return ret;
}
