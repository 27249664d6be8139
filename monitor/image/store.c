/* SPDX-License-Identifier: Apache-2.0 */
/* store.c: reads programs, writes and publishes prepared images; see store.h. */
#define _GNU_SOURCE /* O_TMPFILE and friends */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "../image_key.h"
#include "../prepared.h"
#include "store.h"
#include "trim.h"

/*
 * A file that was changed this recently may be changed again without a new time stamp
 * (the kernel's clock for them ticks every 1 to 10 ms; git calls it "racily clean").
 */
#define SETTLED_NS 50000000ll

static bool same_time(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

static bool older(const struct timespec *then, const struct timespec *now)
{
	int64_t sec = now->tv_sec - then->tv_sec;

	if (sec > 1 || sec < -1)
		return sec > 0;
	return sec * 1000000000ll + (now->tv_nsec - then->tv_nsec) >= SETTLED_NS;
}

static int changed(const char *name, struct err *err)
{
	return err_set(err, 0, "prepare %s: the file changed while it was being read; try again",
		       name);
}

static int check_kind(const struct stat *st, const char *name, struct err *err)
{
	if (S_ISDIR(st->st_mode))
		return err_set_exit(err, ERR_EXIT_IMAGE, 0,
				    "%s: cannot run: it is a directory; name a program in it",
				    name);
	if (!S_ISREG(st->st_mode))
		return err_set_exit(err, ERR_EXIT_IMAGE, 0,
				    "%s: cannot run: it is not a regular file", name);
	if ((uint64_t)st->st_size > STORE_MAX_BYTES)
		return err_set_exit(err, ERR_EXIT_IMAGE, 0,
				    "%s: cannot run: %lld bytes are more than the %llu that are "
				    "allowed; strip it",
				    name, (long long)st->st_size, STORE_MAX_BYTES);
	return 0;
}

static int read_all(int fd, const char *name, struct store_file *out, struct err *err)
{
	struct stat after;
	size_t done = 0;

	while (done < out->n) {
		ssize_t n = pread(fd, (char *)out->bytes + done, out->n - done, (off_t)done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_set(err, errno, "read %s", name);
		if (!n)
			return changed(name, err);
		done += (size_t)n;
	}
	if (fstat(fd, &after))
		return err_set(err, errno, "stat %s", name);
	if (after.st_size != out->st.st_size || !same_time(&after.st_mtim, &out->st.st_mtim) ||
	    !same_time(&after.st_ctim, &out->st.st_ctim))
		return changed(name, err);
	return 0;
}

int store_read(int fd, const char *name, struct store_file *out, struct err *err)
{
	struct timespec now;
	int ret;

	*out = (struct store_file){0};
	clock_gettime(CLOCK_REALTIME, &now);
	if (fstat(fd, &out->st))
		return err_set(err, errno, "stat %s", name);
	ret = check_kind(&out->st, name, err);
	if (ret)
		return ret;
	/* A modification time in the future is somebody's wish; the change time is not. */
	out->settled = older(&out->st.st_ctim, &now) &&
		       (older(&out->st.st_mtim, &now) || out->st.st_mtim.tv_sec > now.tv_sec + 1);
	out->n = (size_t)out->st.st_size;
	out->bytes =
		mmap(NULL, out->n + 1, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (out->bytes == MAP_FAILED) {
		out->bytes = NULL;
		return err_set(err, ENOMEM, "read %s: %zu bytes", name, out->n);
	}
	ret = read_all(fd, name, out, err);
	if (ret)
		store_free(out);
	return ret;
}

void store_free(struct store_file *file)
{
	if (file->bytes)
		munmap(file->bytes, file->n + 1);
	*file = (struct store_file){0};
}

int store_write(int fd, const void *bytes, size_t n, const char *name, struct err *err)
{
	size_t done = 0;

	while (done < n) {
		ssize_t ret = pwrite(fd, (const char *)bytes + done, n - done, (off_t)done);

		if (ret < 0 && errno == EINTR)
			continue;
		if (ret < 0)
			return err_set(err, errno, "write the prepared image of %s", name);
		done += (size_t)ret;
	}
	return 0;
}

/*
 * Does dir/name hold what we have? It has the same digest in its name, but may have been
 * made by another version, or cut short by a full disk. Only the header is compared.
 */
static bool same_image(int dir_fd, const char *name, const void *header, size_t n)
{
	char old[PREPARED_HEADER_BYTES];
	struct stat st;
	bool same = false;
	int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	if (fd < 0)
		return false;
	if (!fstat(fd, &st) && S_ISREG(st.st_mode) && (uint64_t)st.st_size == n &&
	    pread(fd, old, sizeof(old), 0) == (ssize_t)sizeof(old))
		same = !memcmp(old, header, sizeof(old));
	close(fd);
	return same;
}

static void temp_name(char *buf, size_t bytes)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	snprintf(buf, bytes, "tmp-%ld-%lx", (long)getpid(), (unsigned long)now.tv_nsec);
}

/* Link the unnamed file fd as dir/name; replace what is there if it is not the same. */
static int publish_image(int fd, int dir_fd, const char *name, const void *header, size_t n)
{
	char self[64], temp[64];

	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	if (!linkat(AT_FDCWD, self, dir_fd, name, AT_SYMLINK_FOLLOW))
		return 0;
	if (errno != EEXIST)
		return -errno;
	if (same_image(dir_fd, name, header, n))
		return 0;
	temp_name(temp, sizeof(temp));
	if (linkat(AT_FDCWD, self, dir_fd, temp, AT_SYMLINK_FOLLOW))
		return -errno;
	if (renameat(dir_fd, temp, dir_fd, name)) {
		unlinkat(dir_fd, temp, 0);
		return -EIO;
	}
	return 0;
}

/* symlink(2) does not replace; rename(2) does, and readers see the old or the new. */
static void publish_key(int dir_fd, const char *key, const char *target)
{
	char temp[64];

	if (!symlinkat(target, dir_fd, key))
		return;
	if (errno != EEXIST)
		return;
	temp_name(temp, sizeof(temp));
	if (symlinkat(target, dir_fd, temp))
		return;
	if (renameat(dir_fd, temp, dir_fd, key))
		unlinkat(dir_fd, temp, 0);
}

void store_publish(int fd, const char *dir, const void *header, size_t n, const uint8_t digest[32],
		   const struct store_file *file)
{
	char name[sizeof("sha256-") + 64], key[PREPARED_IDKEY_BYTES];
	int len = snprintf(name, sizeof(name), "sha256-");
	int dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (dir_fd < 0)
		return;
	for (int i = 0; i < 32; i++)
		len += snprintf(name + len, sizeof(name) - (size_t)len, "%02x", digest[i]);
	if (!publish_image(fd, dir_fd, name, header, n) && file->settled &&
	    prepared_idkey(&file->st, key, sizeof(key)) > 0)
		publish_key(dir_fd, key, name);
	/* Looking at every entry takes a while: one new image in sixteen does it. */
	if (digest[31] % 16 == 0)
		trim_cache(dir_fd, TRIM_MAX_BYTES);
	close(dir_fd);
}
