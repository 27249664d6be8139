/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image_key.h: the name under which a program's prepared image stands in the cache.
 *
 * Both the image helper, which makes the name, and the monitor, which looks it up before
 * it starts a helper, include this. Only libc is used.
 */
#ifndef MAYFLY_IMAGE_KEY_H
#define MAYFLY_IMAGE_KEY_H

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

/* Bytes that hold any key with its final NUL. */
#define PREPARED_IDKEY_BYTES 160

/*
 * prepared_idkey: write the key of the file that *st (of fstat) describes to buf:
 * "id-<dev>-<ino>-<size>-<mtime>-<ctime>", numbers in hexadecimal, times as sec.nsec.
 * Two files, or one file before and after a change, have different keys; the change time
 * cannot be set by a user, so a key cannot be forged without owning the clock. (A change
 * inside one tick of the file system's clock keeps the key: the helper therefore
 * publishes no key of a file that was changed just now.)
 * Returns the length, or -ENAMETOOLONG if bytes is too small.
 */
static inline int prepared_idkey(const struct stat *st, char *buf, size_t bytes)
{
	int n = snprintf(buf, bytes, "id-%llx-%llx-%llx-%llx.%lx-%llx.%lx",
			 (unsigned long long)st->st_dev, (unsigned long long)st->st_ino,
			 (unsigned long long)st->st_size, (unsigned long long)st->st_mtim.tv_sec,
			 (unsigned long)st->st_mtim.tv_nsec, (unsigned long long)st->st_ctim.tv_sec,
			 (unsigned long)st->st_ctim.tv_nsec);

	return n < 0 || (size_t)n >= bytes ? -ENAMETOOLONG : n;
}

#endif
