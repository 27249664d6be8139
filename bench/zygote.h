/* SPDX-License-Identifier: Apache-2.0 */
/*
 * zygote.h: the daemon's part of monitor/wire.h, without HTTP, images or a pool: it starts a
 * zygote, has it fork shells, sends START, reads news. What fails ends the benchmark.
 */
#ifndef MAYFLY_BENCH_ZYGOTE_H
#define MAYFLY_BENCH_ZYGOTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "../monitor/wire.h"

struct zygote {
	pid_t pid;
	int link, news, out; /* out: messages to shells leave by it */
	int run_dir;
	uint64_t shells; /* numbers given so far */
	uint64_t memory_bytes;
};

/* Starts `mayfly zygote` with run_dir (made if need be, emptied of shells). The caller's
 * working directory becomes run_dir: shells are reached by paths relative to it. */
void zygote_start(struct zygote *z, const char *mayfly, const char *run_dir, bool jail);

/* Ends it, and the kernel with it all its shells. */
void zygote_stop(struct zygote *z);

/* Asks for a shell; its number. */
uint64_t zygote_spawn(struct zygote *z, bool urgent);

/* The next of the news, waited for. A shell that failed ends the benchmark. */
struct zygote_news {
	struct news head;
	struct news_exit exit; /* of NEWS_EXIT */
	pid_t pid;             /* who sent it */
	char text[4096]; /* of NEWS_EXIT: reason, stdout and stderr, as far as they fit, and NUL */
	size_t text_bytes;
};
void zygote_news(struct zygote *z, struct zygote_news *n);

/* START: program is its path for argv[0]; image its prepared image. Output is captured.
 * parsed_tsc: the stamp that boot_tsc is compared with. */
void zygote_start_program(struct zygote *z, uint64_t shell, int image, const char *program,
			  uint64_t parsed_tsc);

/* Takes replies off the link until none is there. A shell that was killed ends the benchmark. */
void zygote_reap(struct zygote *z);

/* Removes the socket of a shell that has ended. */
void zygote_forget(struct zygote *z, uint64_t shell);

/* The prepared image of the program in run_dir's cache, as a descriptor. */
int zygote_image(const struct zygote *z, const char *program);

#endif
