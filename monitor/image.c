/* SPDX-License-Identifier: Apache-2.0 */
/* image.c: see image.h. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../noxs/noxs.h"
#include "host.h"
#include "image.h"
#include "image_key.h"

#define HELPER "mayfly-image"

/* Descriptors as the helper sees them. */
#define HELPER_IN  "3"
#define HELPER_OUT "4"

/* Path of a helper: beside this executable, or in ../libexec/mayfly when installed. */
static int helper_path(const char *name, char *path, size_t size, struct err *err)
{
	static const char *const places[] = {"%.*s/%s", "%.*s/../libexec/mayfly/%s"};
	char self[4096];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (n <= 0)
		return err_set(err, errno, "cannot find the helper %s: no /proc/self/exe", name);
	self[n] = 0;
	n = strrchr(self, '/') - self;
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		snprintf(path, size, places[i], (int)n, self, name);
		if (!access(path, X_OK))
			return 0;
	}
	return err_set(err, ENOENT, "cannot find the helper %s beside %s; install mayfly again",
		       name, self);
}

int helper_exec(const char *name, char **argv, struct err *err)
{
	char path[4096 + 64];
	int ret = helper_path(name, path, sizeof(path), err);

	if (ret)
		return ret;
	argv[0] = path;
	execv(path, argv);
	return err_set(err, errno, "cannot run the helper %s", path);
}

int helper_run(const char *name, char **argv, const int *fds, int nfds, struct err *err)
{
	extern char **environ;
	posix_spawn_file_actions_t actions;
	char path[4096 + 64];
	int ret = helper_path(name, path, sizeof(path), err), status, high[HELPER_MAX_FDS];
	pid_t pid;

	if (ret)
		return ret;
	argv[0] = path;
	posix_spawn_file_actions_init(&actions);
	for (int i = 0; i < nfds; i++) {
		/* Out of the way first: fds[1] may be 3. */
		high[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 3 + nfds);
		posix_spawn_file_actions_adddup2(&actions, high[i], 3 + i);
	}
	ret = posix_spawn(&pid, path, &actions, NULL, argv, environ);
	for (int i = 0; i < nfds; i++)
		close(high[i]);
	posix_spawn_file_actions_destroy(&actions);
	if (ret)
		return err_set(err, ret, "cannot run the helper %s", path);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return err_set(err, errno, "cannot wait for the helper %s", path);
	if (WIFSIGNALED(status))
		return err_set(err, 0, "the helper %s was ended by signal %d", path,
			       WTERMSIG(status));
	return WEXITSTATUS(status);
}

int prepared_check(const struct prepared_header *h, uint64_t file_bytes)
{
	uint64_t last = h->pie ? 0 : NOXS_GVA_MIN;
	uint64_t room = h->pie ? NOXS_GVA_PIE_END - NOXS_GVA_PIE : NOXS_GVA_USER_END;
	const uint64_t mask = NOXS_PAGE - 1;

	if (h->magic != PREPARED_MAGIC || h->version != PREPARED_VERSION ||
	    h->noxs_fast_entry != NOXS_GVA_FAST_ENTRY || h->file_bytes != file_bytes ||
	    !h->nsegments || h->nsegments > PREPARED_MAX_SEGMENTS || h->pie > 1)
		return -EINVAL;
	if (h->align < NOXS_PAGE || h->align > 1ull << 21 || (h->align & (h->align - 1)))
		return -EINVAL;
	for (uint32_t i = 0; i < h->nsegments; i++) {
		const struct prepared_segment *s = &h->segment[i];

		if (((s->vaddr | s->mem_bytes | s->file_off | s->file_bytes) & mask) ||
		    !s->mem_bytes || s->vaddr < last || s->vaddr > room ||
		    s->mem_bytes > room - s->vaddr || s->file_bytes > s->mem_bytes ||
		    s->file_off < PREPARED_HEADER_BYTES || s->file_off > file_bytes ||
		    s->file_bytes > file_bytes - s->file_off || (s->prot & ~7u) ||
		    ((s->prot & PREPARED_W) && (s->prot & PREPARED_X)))
			return -EINVAL;
		last = s->vaddr + s->mem_bytes;
	}
	if (h->entry >= last || h->brk < last || h->brk > room || (h->brk & mask) || h->phdr > last)
		return -EINVAL;
	return 0;
}

int image_head(struct image *image, const char *path, struct err *err)
{
	struct stat st;

	if (pread(image->fd, &image->head, sizeof(image->head), 0) != sizeof(image->head) ||
	    fstat(image->fd, &st) || prepared_check(&image->head, (uint64_t)st.st_size))
		return err_set(err, 0,
			       "the prepared image of %s is damaged; remove the cache in the run "
			       "directory and try again",
			       path);
	return 0;
}

static bool from_cache(struct image *image, const struct stat *st, int run_dir)
{
	char key[PREPARED_IDKEY_BYTES];
	struct err ignored;

	if (prepared_idkey(st, key, sizeof(key)) < 0)
		return false;
	image->fd = openat(run_dir, key, O_RDONLY | O_CLOEXEC);
	if (image->fd < 0)
		return false;
	if (!image_head(image, key, &ignored)) {
		image->cached = true;
		return true;
	}
	/* Damaged, or of another version: make it anew. */
	close(image->fd);
	unlinkat(run_dir, key, 0);
	return false;
}

static int prepare(struct image *image, const char *path, int elf, int run_dir, struct err *err)
{
	char *argv[] = {NULL,       "prepare",    "--in-fd", HELPER_IN,
			"--out-fd", HELPER_OUT,   "--cache", (char *)host_run_dir(),
			"--",       (char *)path, NULL};
	char *plain[] = {NULL,       "prepare", "--in-fd",    HELPER_IN, "--out-fd",
			 HELPER_OUT, "--",      (char *)path, NULL};
	int status;

	/* A file that grows too large is to be an error, not the end of us. */
	signal(SIGXFSZ, SIG_IGN);
	image->fd = -1;
	if (run_dir >= 0)
		image->fd = openat(run_dir, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (image->fd < 0) {
		run_dir = -1;
		image->fd = memfd_create("mayfly-image", MFD_CLOEXEC);
	}
	if (image->fd < 0)
		return err_set(err, errno, "cannot make a file for the prepared image");
	status = helper_run(HELPER, run_dir >= 0 ? argv : plain, (int[]){elf, image->fd}, 2, err);
	if (status < 0)
		return status;
	if (status) {
		/* The helper has said what is wrong. */
		err->exit = status;
		err->message[0] = 0;
		return -ENOEXEC;
	}
	return image_head(image, path, err);
}

/* What /proc/self/exe is to show. */
static void real_path(struct image *image, int elf, const char *path)
{
	char link[32];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", elf);
	n = readlink(link, image->path, sizeof(image->path) - 1);
	if (n > 0)
		image->path[n] = 0;
	else
		snprintf(image->path, sizeof(image->path), "%s", path);
}

int image_open(struct image *image, const char *path, int run_dir, struct err *err)
{
	int elf = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK), ret;
	struct stat st;

	if (elf < 0)
		return err_set_exit(err,
				    errno == ENOENT || errno == ENOTDIR ? ERR_EXIT_NOT_FOUND
									: ERR_EXIT_IMAGE,
				    errno, "cannot open the image %s", path);
	if (fstat(elf, &st))
		return err_set(err, errno, "cannot examine the image %s", path);
	if (!S_ISREG(st.st_mode))
		return err_set_exit(err, ERR_EXIT_IMAGE, 0, "cannot run %s: %s", path,
				    S_ISDIR(st.st_mode) ? "it is a directory"
							: "it is not a regular file");
	if (!(st.st_mode & 0111))
		return err_set_exit(err, ERR_EXIT_IMAGE, 0,
				    "cannot run %s: it is not executable (chmod +x %s)", path,
				    path);
	image->cached = false;
	real_path(image, elf, path);
	ret = run_dir >= 0 && from_cache(image, &st, run_dir)
		      ? 0
		      : prepare(image, path, elf, run_dir, err);
	close(elf);
	return ret;
}
