/* SPDX-License-Identifier: Apache-2.0 */
/* privilege.h: what the daemon may do, as root: no more than it needs. */
#ifndef MAYFLY_PRIVILEGE_H
#define MAYFLY_PRIVILEGE_H

#include "../err.h"

/* Drops all capabilities, also from the bounding set, but those that the daemon or its zygote
 * needs; asks not to be among the first when memory ends. 0, or -errno and a message. */
int privilege_reduce(struct err *err);

#endif
