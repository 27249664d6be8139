/* SPDX-License-Identifier: Apache-2.0 */
/* image.h: getting a program's prepared image, from the cache or from the helper. */
#ifndef MAYFLY_IMAGE_H
#define MAYFLY_IMAGE_H

#include <stdbool.h>

#include "err.h"
#include "prepared.h"

struct image {
	int fd; /* of the prepared image */
	bool cached;
	char path[256]; /* of the program: absolute, without links; cut if it is longer */
	struct prepared_header head; /* checked */
};

/* Opens the program at path and finds its prepared image in run_dir's cache, or has the
 * helper make it (run_dir -1: without a cache). Errors carry err_exit's codes: 127 no
 * such file, 126 cannot run. */
int image_open(struct image *image, const char *path, int run_dir, struct err *err);

/* Reads and checks the header of the prepared image that image->fd is. path: for messages. */
int image_head(struct image *image, const char *path, struct err *err);

/* Checks a prepared image's header, which is not trusted: 0 or -EINVAL. file_bytes is the
 * length of the file that it came from. */
int prepared_check(const struct prepared_header *h, uint64_t file_bytes);

#define HELPER_MAX_FDS 4

/* Runs the helper of that name (found beside this executable or in its libexec) with
 * argv, whose [0] is filled in, and fds (at most HELPER_MAX_FDS) as its descriptors 3 and up. Its
 * exit status, or -errno. */
int helper_run(const char *name, char **argv, const int *fds, int nfds, struct err *err);

/* The same without coming back: exec. */
int helper_exec(const char *name, char **argv, struct err *err);

#endif
