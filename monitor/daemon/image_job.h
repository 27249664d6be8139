/* SPDX-License-Identifier: Apache-2.0 */
/* image_job.h: one run of mayfly-image: it reads a hostile file, so it has few rights and an
 * end in sight. */
#ifndef MAYFLY_IMAGE_JOB_H
#define MAYFLY_IMAGE_JOB_H

#include <stdint.h>

#include "../err.h"

struct image_job;
struct loop;

/* fd: of the prepared image, read-only, the caller's; or -1, and err says why (with err->exit). */
typedef void image_job_done(void *arg, int fd, const struct err *err);

/* Prepares the ELF file elf_fd (the caller's), named path in messages; the result is put into
 * the cache in run_dir, too. done is called from the loop. NULL and a message: it cannot be
 * run. */
struct image_job *image_job_start(struct loop *loop, const char *run_dir, int run_dir_fd,
				  int elf_fd, const char *path, image_job_done *done, void *arg,
				  struct err *err);

/* Ends it; done is not called. */
void image_job_cancel(struct image_job *job);

#endif
