/* SPDX-License-Identifier: Apache-2.0 */
/* trim.h: keeping the cache of prepared images from growing for ever. */
#ifndef MAYFLY_IMAGE_TRIM_H
#define MAYFLY_IMAGE_TRIM_H

#include <stdint.h>

/* The run directory is usually in memory: this is what the cache may take of it. */
#define TRIM_MAX_BYTES (256ull << 20)

/*
 * trim_cache: if the sha256-* files in dir_fd take more than max_bytes, remove the oldest
 * until three quarters of that are left, and the id-* links to them. A VM that has one
 * mapped keeps it. What cannot be removed stays; that is no error.
 */
void trim_cache(int dir_fd, uint64_t max_bytes);

#endif
