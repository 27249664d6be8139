/* SPDX-License-Identifier: Apache-2.0 */
/* cc.h: compiler and C library, as lwIP wants to know them: there is no library but uk.h. */
#ifndef LWIP_ARCH_CC_H
#define LWIP_ARCH_CC_H

#include "../../../uk.h"

#define BYTE_ORDER         LITTLE_ENDIAN
#define LWIP_NO_LIMITS_H   1
#define LWIP_NO_CTYPE_H    1
#define LWIP_NO_INTTYPES_H 1
#define LWIP_NO_UNISTD_H   1
#define INT_MAX            __INT_MAX__
#define SSIZE_MAX          INT64_MAX /* so that ssize_t is uk.h's */

#define lwip_htons(x) __builtin_bswap16((u16_t)(x))
#define lwip_htonl(x) __builtin_bswap32((u32_t)(x))

#define LWIP_PLATFORM_DIAG(x)   ((void)0)
#define LWIP_PLATFORM_ASSERT(x) uk_panic("lwIP: %s", x)

#define LWIP_RAND() net_random()
uint32_t net_random(void); /* timers.c */

/* memory.c. Not zeroed, but by calloc; NULL: the network has had its share. */
void *net_malloc(size_t bytes);
void *net_calloc(size_t n, size_t bytes);
void net_free(void *p);
/* More than half of the share is in use: what is received must not take the rest. */
bool net_memory_scarce(void);

/* checksum.c: the Internet checksum's sum (RFC 1071), not inverted, in memory's byte order. */
uint16_t net_checksum(const void *data, int bytes);

#endif
