/* SPDX-License-Identifier: Apache-2.0 */
/* store.h: reading a program's file, and the cache of prepared images. */
#ifndef MAYFLY_STORE_H
#define MAYFLY_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "../err.h"

struct store_file {
	void *bytes; /* the whole file: a copy, later changes do not matter */
	size_t n;
	struct stat st;
	bool settled; /* last changed so long ago that a new change would show in *st */
};

/* A larger program is refused. */
#define STORE_MAX_BYTES (4ull << 30)

/*
 * store_read: read all of the regular file fd. name is for messages. Returns 0, and the
 * caller frees with store_free; or a negative errno with *err set: a file that changes
 * while it is read is an error, as is anything but a regular file.
 */
int store_read(int fd, const char *name, struct store_file *out, struct err *err);
void store_free(struct store_file *file);

/* store_write: write bytes[0..n) to the empty file fd, from its start. */
int store_write(int fd, const void *bytes, size_t n, const char *name, struct err *err);

/*
 * store_publish: give the prepared image in fd (an O_TMPFILE in directory dir, whose
 * header page is *header and whose length is n) its name sha256-<digest>, and, if the
 * program's file is settled, the name that prepared_idkey makes of it. Existing names are
 * kept where they have the same contents. A cache that cannot be written is no error: then
 * nothing happens, and the next start prepares the image again.
 */
void store_publish(int fd, const char *dir, const void *header, size_t n, const uint8_t digest[32],
		   const struct store_file *file);

#endif
