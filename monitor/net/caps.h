/* SPDX-License-Identifier: Apache-2.0 */
/* caps.h: which capability (capabilities(7)) is missing, in words. */
#ifndef MAYFLY_NET_CAPS_H
#define MAYFLY_NET_CAPS_H

#include "../err.h"

enum caps_need {
	CAPS_ADMIN = 1, /* interfaces: CAP_NET_ADMIN */
	CAPS_RAW = 2,   /* AF_XDP: CAP_NET_RAW */
	CAPS_BPF = 4,   /* programs: CAP_BPF, or CAP_SYS_ADMIN */
	CAPS_SYS = 8,   /* a network namespace: CAP_SYS_ADMIN */
};

/* 0, or -EPERM and a message that names what of need (a sum) we have not got. what: "--net
 * xdp=br0". Having them all is no promise: they may be of another user namespace. */
int caps_check(unsigned need, const char *what, struct err *err);

#endif
