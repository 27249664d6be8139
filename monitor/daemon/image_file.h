/* SPDX-License-Identifier: Apache-2.0 */
/* image_file.h: a program's ELF file: opening it, what it is called, which one it is. */
#ifndef MAYFLY_IMAGE_FILE_H
#define MAYFLY_IMAGE_FILE_H

#include <stdbool.h>
#include <sys/stat.h>

#include "../err.h"

/* Opens path beneath root (a directory's descriptor, or -1: as it is), to be read. A
 * descriptor, or -errno and a message with the exit code of `mayfly run`. */
int image_file_open(int root, const char *path, struct err *err);

/* Whether it can be run, as far as that shows from outside. 0, or -errno and a message. */
int image_file_check(int fd, const char *path, struct stat *st, struct err *err);

/* Its path, absolute and without links, in root's terms if it is beneath root_path (""; none).
 * For the caller to free; NULL: no memory. path: if it cannot be told. */
char *image_file_path(int fd, const char *root_path, const char *path);

bool image_file_same(const struct stat *a, const struct stat *b);

/* Whether it was changed long enough ago for a further change to show in its times. */
bool image_file_settled(const struct stat *st);

/* Opens the file's prepared image in the cache; -1: it is not there, or not of our version. */
int image_file_cached(int run_dir, const struct stat *st);

/* Whether fd looks like a prepared image of our version (the shell checks all of it). */
bool image_file_is_prepared(int fd);

#endif
