/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nothreads.c: pthread_create for a program that insists on background threads and can do
 * without: it succeeds and starts nothing. Linked in with --wrap=pthread_create. What is handed
 * to such a thread is never done, so the program must be told not to hand out any work.
 */
#include <pthread.h>

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
			  void *(*start)(void *), void *argument)
{
	(void)attributes, (void)start, (void)argument;
	*thread = 0; /* no thread: what is not 0 would be cancelled and joined at the end */
	return 0;
}
