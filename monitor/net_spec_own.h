/* SPDX-License-Identifier: Apache-2.0 */
/* net_spec_own.h: what net_spec.c and net_address.c share; nobody else includes it. */
#ifndef MAYFLY_NET_SPEC_OWN_H
#define MAYFLY_NET_SPEC_OWN_H

#include "net_spec.h"

#define MAX_PART 128 /* characters of KEY=VALUE; no valid one is longer */

static inline bool is_zero(const void *at, size_t n)
{
	const uint8_t *byte = at;

	while (n && !*byte)
		byte++, n--;
	return !n;
}

/* ---- net_spec.c ---- */
/* A message about the part KEY=VALUE: -EINVAL. */
int net_spec_bad(struct err *err, const char *key, const char *value, const char *why);
/* A decimal number from 0 to max; -1: it is none. */
long net_spec_number(const char *text, long max);

/* ---- net_address.c ---- */
/* ip=, gw=, dns=: 0, or -EINVAL with a message. */
int net_set_ip(struct net_spec *spec, const char *value, struct err *err);
int net_set_gateway(struct net_spec *spec, const char *value, struct err *err);
int net_set_dns(struct net_spec *spec, const char *value, struct err *err);
/* Once all have been read: do they go together? */
int net_check_addresses(const struct net_spec *spec, struct err *err);

#endif
