/* SPDX-License-Identifier: Apache-2.0 */
/* loop.h: one epoll loop with timers, on one thread. */
#ifndef MAYFLY_LOOP_H
#define MAYFLY_LOOP_H

#include <stdbool.h>
#include <stdint.h>

struct loop;

/* events is a mask of EPOLLIN, EPOLLOUT, ... as they came. */
typedef void loop_ready(void *arg, uint32_t events);
typedef void loop_expired(void *arg);

struct loop *loop_new(void); /* NULL: errno says why */
void loop_free(struct loop *l);

/* Watches fd (level-triggered). 0 or -errno. The descriptor stays the caller's. */
int loop_watch(struct loop *l, int fd, uint32_t events, loop_ready *ready, void *arg);
/* Changes what is watched for, or, with 0, forgets fd. Safe from within a callback. */
void loop_change(struct loop *l, int fd, uint32_t events);

/* Calls expired(arg) once, after ns. A token for loop_cancel, never 0; 0: no memory. */
uint64_t loop_after(struct loop *l, uint64_t ns, loop_expired *expired, void *arg);
void loop_cancel(struct loop *l, uint64_t token);

/* Called each time before the loop sleeps: for libraries with a queue of their own. before
 * NULL: no more, for that arg. At most 4. */
void loop_before_sleep(struct loop *l, loop_expired *before, void *arg);

/* Runs until loop_stop. 0 or -errno. */
int loop_run(struct loop *l);
void loop_stop(struct loop *l);

uint64_t loop_now_ns(void); /* CLOCK_MONOTONIC */

#endif
