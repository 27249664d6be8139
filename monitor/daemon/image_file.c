/* SPDX-License-Identifier: Apache-2.0 */
/* image_file.c: see image_file.h. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "../../noxs/noxs.h"
#include "../image_key.h"
#include "../prepared.h"
#include "image_file.h"

/* As in image/store.c: the clock of files ticks every 1 to 10 ms. */
#define SETTLED_NS 50000000ll

/* A FIFO without a writer must not hang us, nor a terminal become ours. */
#define OPEN_FLAGS (O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK)

static int open_beneath(int root, const char *path)
{
	struct open_how how = {.flags = OPEN_FLAGS, .resolve = RESOLVE_IN_ROOT};
	long fd = -1;

	/* EAGAIN: something on the way was renamed meanwhile (openat2(2)). */
	for (int tries = 0; tries < 8; tries++) {
		fd = syscall(SYS_openat2, root, path, &how, sizeof(how));
		if (fd >= 0 || errno != EAGAIN)
			break;
	}
	return (int)fd;
}

int image_file_open(int root, const char *path, struct err *err)
{
	int fd = root < 0 ? open(path, OPEN_FLAGS) : open_beneath(root, path);

	if (fd >= 0)
		return fd;
	if (errno == EMFILE || errno == ENFILE || errno == ENOMEM)
		return err_set(err, errno, "cannot open the image %s", path);
	return err_set_exit(
		err, errno == ENOENT || errno == ENOTDIR ? ERR_EXIT_NOT_FOUND : ERR_EXIT_IMAGE,
		errno, "cannot open the image %s", path);
}

int image_file_check(int fd, const char *path, struct stat *st, struct err *err)
{
	if (fstat(fd, st))
		return err_set(err, errno, "cannot examine the image %s", path);
	if (!S_ISREG(st->st_mode))
		return err_set_exit(err, ERR_EXIT_IMAGE, 0, "cannot run %s: %s", path,
				    S_ISDIR(st->st_mode) ? "it is a directory"
							 : "it is not a regular file");
	if (!(st->st_mode & 0111))
		return err_set_exit(err, ERR_EXIT_IMAGE, 0,
				    "cannot run %s: it is not executable (chmod +x %s)", path,
				    path);
	return 0;
}

char *image_file_path(int fd, const char *root_path, const char *path)
{
	char link[32], real[PATH_MAX];
	size_t root = strlen(root_path);
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, real, sizeof(real) - 1);
	if (n <= 0)
		return strdup(path);
	real[n] = 0;
	if (!strncmp(real, root_path, root) && real[root] == '/')
		return strdup(real + root);
	return strdup(real);
}

static bool same_time(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

bool image_file_same(const struct stat *a, const struct stat *b)
{
	return a->st_ino == b->st_ino && a->st_dev == b->st_dev && a->st_size == b->st_size &&
	       same_time(&a->st_mtim, &b->st_mtim) && same_time(&a->st_ctim, &b->st_ctim);
}

bool image_file_settled(const struct stat *st)
{
	struct timespec now;
	int64_t s;

	clock_gettime(CLOCK_REALTIME, &now);
	s = now.tv_sec - st->st_ctim.tv_sec;
	if (s > 1 || s < -1)
		return s > 0;
	return s * 1000000000ll + (now.tv_nsec - st->st_ctim.tv_nsec) >= SETTLED_NS;
}

bool image_file_is_prepared(int fd)
{
	struct prepared_header h;
	struct stat st;

	return pread(fd, &h, sizeof(h), 0) == (ssize_t)sizeof(h) && !fstat(fd, &st) &&
	       h.magic == PREPARED_MAGIC && h.version == PREPARED_VERSION &&
	       h.noxs_fast_entry == NOXS_GVA_FAST_ENTRY && h.file_bytes == (uint64_t)st.st_size;
}

int image_file_cached(int run_dir, const struct stat *st)
{
	char key[PREPARED_IDKEY_BYTES];
	int fd;

	if (prepared_idkey(st, key, sizeof(key)) < 0)
		return -1;
	fd = openat(run_dir, key, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || image_file_is_prepared(fd))
		return fd;
	/* Damaged, or of another version: it is made anew. */
	close(fd);
	unlinkat(run_dir, key, 0);
	return -1;
}
