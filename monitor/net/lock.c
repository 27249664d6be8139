/* SPDX-License-Identifier: Apache-2.0 */
/* lock.c: see steer.h: steer_lock. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "steer.h"

#define NAME    "net.lock"
#define SECONDS 10

static void ignore(int signal)
{
	(void)signal;
}

/* As ../host.c chooses it. */
static void choose_dir(char *path, size_t size)
{
	const char *dir = getenv("MAYFLY_RUN_DIR");

	if (dir && *dir)
		snprintf(path, size, "%s", dir);
	else if (geteuid() == 0)
		snprintf(path, size, "/run/mayfly");
	else if ((dir = getenv("XDG_RUNTIME_DIR")) && *dir)
		snprintf(path, size, "%s/mayfly", dir);
	else
		snprintf(path, size, "/tmp/mayfly-%u", (unsigned)geteuid());
}

/* Whoever can open a file can lock it (flock(2)), so one that is ours alone. */
static int open_lock(const char *path, struct err *err)
{
	int dir, fd;
	struct stat st;

	if (mkdir(path, 0700) && errno != EEXIST)
		return err_set(err, errno, "cannot make the run directory %s", path);
	dir = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir < 0 || fstat(dir, &st))
		return err_set(err, errno, "cannot open the run directory %s", path);
	if (st.st_uid != geteuid() || (st.st_mode & 022))
		return err_set(err, 0,
			       "others can write into the run directory %s: name another by "
			       "$MAYFLY_RUN_DIR",
			       path);
	fd = openat(dir, NAME, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		err_set(err, errno, "cannot open %s/" NAME, path);
	close(dir);
	return fd < 0 ? -EACCES : fd;
}

int steer_lock(struct err *err)
{
	struct sigaction alarmed = {.sa_handler = ignore};
	char path[256];
	int fd, ret;

	choose_dir(path, sizeof(path));
	fd = open_lock(path, err);
	if (fd < 0)
		return fd;
	sigaction(SIGALRM, &alarmed, NULL);
	alarm(SECONDS);
	ret = flock(fd, LOCK_EX); /* and stays open */
	alarm(0);
	if (ret && errno == EINTR)
		return err_set(err, 0, "another mayfly-net has been busy for %d seconds", SECONDS);
	return ret ? err_set(err, errno, "cannot lock %s/" NAME, path) : 0;
}
