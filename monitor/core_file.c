/* SPDX-License-Identifier: Apache-2.0 */
/* core_file.c: core_save: a core file that is there as a whole or not at all. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core.h"

#define TRIES 100

/* A new file beside path, whose name goes to temp. Descriptor or -1 and errno. */
static int open_temp(const char *path, char *temp, size_t size)
{
	const char *slash = strrchr(path, '/');
	int dir = slash ? (int)(slash - path) + 1 : 0, fd = -1;

	for (int i = 0; i < TRIES; i++) {
		if ((size_t)snprintf(temp, size, "%.*s.mayfly-core-%d-%d", dir, path, (int)getpid(),
				     i) >= size) {
			errno = ENAMETOOLONG;
			return -1;
		}
		fd = open(temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (fd >= 0 || errno != EEXIST)
			break;
	}
	return fd;
}

/* The rename itself must last, too. What cannot be synced (some file systems) need not. */
static void sync_directory(const char *path)
{
	char copy[4096];
	int fd;

	snprintf(copy, sizeof(copy), "%s", path);
	fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0) {
		fsync(fd);
		close(fd);
	}
}

static int save_file(const struct core_source *src, const char *path, bool *whole, struct err *err)
{
	char temp[4096];
	int fd = open_temp(path, temp, sizeof(temp)), ret;

	if (fd < 0)
		return err_set(err, errno, "cannot make the core file %s", path);
	ret = core_write(src, CORE_FULL, fd, path, whole, err);
	if (!ret && fsync(fd))
		ret = err_set(err, errno, "cannot write the core file %s to disk", path);
	if (close(fd) && !ret)
		ret = err_set(err, errno, "cannot write the core file %s", path);
	if (!ret && rename(temp, path))
		ret = err_set(err, errno, "cannot name the core file %s", path);
	if (ret)
		unlink(temp);
	else
		sync_directory(path);
	return ret;
}

static int save_stream(const struct core_source *src, const char *path, bool *whole,
		       struct err *err)
{
	/* O_NONBLOCK: a FIFO that nobody reads is an error, not a reason to hang. */
	int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK), ret;

	if (fd < 0 || fcntl(fd, F_SETFL, 0))
		return err_set(err, errno, "cannot open %s for the core file", path);
	ret = core_write(src, CORE_FULL, fd, path, whole, err);
	if (close(fd) && !ret)
		ret = err_set(err, errno, "cannot write the core file %s", path);
	return ret;
}

static int save(const struct core_source *src, const char *path, bool *whole, struct err *err)
{
	struct stat st;

	if (lstat(path, &st)) {
		if (errno != ENOENT || !*path)
			return err_set(err, errno, "cannot make the core file %s", path);
		return save_file(src, path, whole, err);
	}
	if (S_ISREG(st.st_mode))
		return save_file(src, path, whole, err);
	if (S_ISDIR(st.st_mode) || S_ISLNK(st.st_mode))
		return err_set(err, 0, "cannot write the core file %s: it is a %s", path,
			       S_ISDIR(st.st_mode) ? "directory" : "symbolic link");
	return save_stream(src, path, whole, err);
}

static void stop(int sig)
{
	(void)sig;
	core_stop = 1;
}

int core_save(const struct core_source *src, const char *path, bool *whole, struct err *err)
{
	static const int ending[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
	const struct sigaction act = {.sa_handler = stop}, ignore = {.sa_handler = SIG_IGN};
	struct sigaction old[4], old_xfsz, old_pipe;
	int ret;

	core_stop = 0;
	for (size_t i = 0; i < 4; i++) {
		sigaction(ending[i], NULL, &old[i]);
		if (old[i].sa_handler != SIG_IGN)
			sigaction(ending[i], &act, NULL);
	}
	/* RLIMIT_FSIZE and a reader that has gone are errors to report. */
	sigaction(SIGXFSZ, &ignore, &old_xfsz);
	sigaction(SIGPIPE, &ignore, &old_pipe);
	*whole = false;
	ret = save(src, path, whole, err);
	sigaction(SIGPIPE, &old_pipe, NULL);
	sigaction(SIGXFSZ, &old_xfsz, NULL);
	for (size_t i = 0; i < 4; i++)
		sigaction(ending[i], &old[i], NULL);
	return ret;
}
