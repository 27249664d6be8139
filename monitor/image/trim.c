/* SPDX-License-Identifier: Apache-2.0 */
/* trim.c: see trim.h. */
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "trim.h"

struct entry {
	char name[sizeof("sha256-") + 64];
	struct timespec made;
	uint64_t bytes;
};

static int older_first(const void *a, const void *b)
{
	const struct timespec *s = &((const struct entry *)a)->made,
			      *t = &((const struct entry *)b)->made;

	if (s->tv_sec != t->tv_sec)
		return s->tv_sec < t->tv_sec ? -1 : 1;
	return (s->tv_nsec > t->tv_nsec) - (s->tv_nsec < t->tv_nsec);
}

/* All images in the directory: their number, or 0; *list is the caller's to free. */
static size_t list_images(DIR *dir, struct entry **list, uint64_t *sum)
{
	size_t n = 0, room = 0;
	struct dirent *d;

	*list = NULL;
	*sum = 0;
	while ((d = readdir(dir))) {
		struct entry e;
		struct stat st;

		if (strncmp(d->d_name, "sha256-", 7) || strlen(d->d_name) >= sizeof(e.name) ||
		    fstatat(dirfd(dir), d->d_name, &st, AT_SYMLINK_NOFOLLOW) ||
		    !S_ISREG(st.st_mode))
			continue;
		if (n == room) {
			struct entry *more = realloc(*list, (room = 2 * room + 64) * sizeof(*more));

			if (!more)
				break;
			*list = more;
		}
		strcpy(e.name, d->d_name);
		e.made = st.st_mtim;
		e.bytes = (uint64_t)st.st_blocks * 512;
		*sum += e.bytes;
		(*list)[n++] = e;
	}
	return n;
}

static void remove_dangling_links(DIR *dir)
{
	struct dirent *d;
	struct stat st;

	rewinddir(dir);
	while ((d = readdir(dir)))
		if (!strncmp(d->d_name, "id-", 3) && fstatat(dirfd(dir), d->d_name, &st, 0))
			unlinkat(dirfd(dir), d->d_name, 0);
}

void trim_cache(int dir_fd, uint64_t max_bytes)
{
	int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct entry *list;
	uint64_t sum;
	size_t n;

	if (!dir) {
		if (fd >= 0)
			close(fd);
		return;
	}
	n = list_images(dir, &list, &sum);
	if (sum > max_bytes) {
		qsort(list, n, sizeof(*list), older_first);
		/* The newest stays, however large: it is about to be run. */
		for (size_t i = 0; i + 1 < n && sum > max_bytes / 4 * 3; i++)
			if (!unlinkat(dir_fd, list[i].name, 0))
				sum -= list[i].bytes;
		remove_dangling_links(dir);
	}
	free(list);
	closedir(dir);
}
