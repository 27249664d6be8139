/* SPDX-License-Identifier: Apache-2.0 */
/* netlink.h: between netlink.c (sockets, messages' frames) and rtnetlink.c (what they say). */
#ifndef UK_NETLINK_H
#define UK_NETLINK_H

#include <linux/netlink.h>

#include "sock.h"

/* Answers to one request, gathered in datagrams of a page. */
struct nl_datagram {
	struct nl_datagram *next;
	uint32_t bytes;
	uint8_t data[4064]; /* with the above and the heap's head a page */
};

struct nl_answer {
	struct nl_datagram *first, *last;
	const struct nlmsghdr *request;
	struct nlmsghdr *message; /* being written */
	uint32_t port;            /* whose request it was */
	bool failed;              /* memory is out, or a message is too long */
};

/* Begins a message; its fixed part has bytes and is copied from body. */
void nl_begin(struct nl_answer *a, uint16_t type, uint16_t flags, const void *body, uint32_t bytes);
void nl_attribute(struct nl_answer *a, uint16_t type, const void *value, uint32_t bytes);
void nl_u32(struct nl_answer *a, uint16_t type, uint32_t value);

/* ---- rtnetlink.c ---- */
/* 0, -errno to be reported to the asker, or -EINTR: it has its answer and wants no ACK. */
long rtnetlink_request(const struct nlmsghdr *request, struct nl_answer *answer);

#endif
