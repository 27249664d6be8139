/* SPDX-License-Identifier: Apache-2.0 */
/* caps.c: see caps.h. */
#include <cap-ng.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "caps.h"

#ifndef CAP_BPF
#define CAP_BPF 39
#endif

static bool have(unsigned capability)
{
	return capng_have_capability(CAPNG_EFFECTIVE, capability);
}

int caps_check(unsigned need, const char *what, struct err *err)
{
	bool sys = have(CAP_SYS_ADMIN);
	char missing[96] = "";
	size_t len = 0;

	if (need & CAPS_ADMIN && !have(CAP_NET_ADMIN))
		len += (size_t)snprintf(missing + len, sizeof(missing) - len, " CAP_NET_ADMIN");
	if (need & CAPS_RAW && !have(CAP_NET_RAW))
		len += (size_t)snprintf(missing + len, sizeof(missing) - len, " CAP_NET_RAW");
	if (need & CAPS_SYS && !sys)
		len += (size_t)snprintf(missing + len, sizeof(missing) - len, " CAP_SYS_ADMIN");
	else if (need & CAPS_BPF && !sys && !have(CAP_BPF))
		len += (size_t)snprintf(missing + len, sizeof(missing) - len, " CAP_BPF");
	if (!len)
		return 0;
	err_set(err, 0,
		"%s needs%s: run as root, or give the container --cap-add; --net user needs none",
		what, missing);
	return -EPERM;
}
