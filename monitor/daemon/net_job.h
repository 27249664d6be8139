/* SPDX-License-Identifier: Apache-2.0 */
/* net_job.h: one run of `mayfly net-open`: it opens a net device for a VM. */
#ifndef MAYFLY_NET_JOB_H
#define MAYFLY_NET_JOB_H

#include "vm_net.h"

struct net_job;
struct loop;

/* handed: the device, whose descriptors are the caller's then; or NULL, failure is an enum
 * engine_failure and err says why. */
typedef void net_job_done(void *arg, const struct net_handed *handed, int failure,
			  const struct err *err);

/* Opens device d, which stays as it is until then. done is called from the loop. NULL and a
 * message: it cannot be run. */
struct net_job *net_job_start(struct loop *loop, const struct vm_net_device *d, net_job_done *done,
			      void *arg, struct err *err);

/* Ends it; done is not called. */
void net_job_cancel(struct net_job *job);

#endif
