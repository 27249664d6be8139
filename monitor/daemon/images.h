/* SPDX-License-Identifier: Apache-2.0 */
/*
 * images.h: prepared images of programs: open ones, those of the cache, new ones.
 *
 *   path --open beneath root, check--> ELF file --its identity--> an open prepared image (LRU)
 *                                                             --> "id-..." in the run directory
 *                                                             --> mayfly-image prepares it
 *
 * The identity is what ../image_key.h makes a name of: a file that changes gets another. Those
 * that ask for the same while it is being prepared share the work.
 */
#ifndef MAYFLY_IMAGES_H
#define MAYFLY_IMAGES_H

#include <sys/stat.h>

#include "engine.h"

struct images;

/* An open prepared image; whoever has it gives it back with image_put. */
struct image_ref {
	int fd;     /* read-only */
	char *path; /* of the program: absolute (beneath the root), without links */
	/* ours: */
	struct stat identity;
	unsigned refs;
	uint64_t used;
};

/* ref NULL: failure (an enum engine_failure) and err say why. Otherwise it is the caller's. */
typedef void images_done(void *arg, struct image_ref *ref, int failure, const struct err *err);

/* run_dir: its path and descriptor. prepared(arg, path) is called for each image that was not
 * in the cache. */
struct images *images_open(struct loop *loop, const char *run_dir, int run_dir_fd, const char *root,
			   void (*prepared)(void *arg, const char *path), void *arg,
			   struct err *err);
/* Whoever waits hears that it is the end. */
void images_close(struct images *im);

#define IMAGES_LATER 1
/*
 * images_get: the image of the program at path, or of the open elf_fd (-1: none; the caller's),
 * which path then only names. 0: *ref is set. IMAGES_LATER: done will be called, from the
 * loop. Otherwise an enum engine_failure and a message.
 */
int images_get(struct images *im, const char *path, int elf_fd, images_done *done, void *arg,
	       struct image_ref **ref, struct err *err);
void image_put(struct image_ref *ref);

void images_counts(const struct images *im, uint64_t *prepared, uint64_t *hits);

#endif
