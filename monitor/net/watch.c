/* SPDX-License-Identifier: Apache-2.0 */
/*
 * watch.c: an rtnetlink socket that tells the monitor when an interface goes down, up or away
 * (rtnetlink(7), RTNLGRP_LINK). An AF_XDP socket tells only who sends.
 *
 * The monitor is a guest's to take over, perhaps, so this socket is good for nothing else: the
 * kernel leaves out what is not about the interface, and what is written to it comes back, for it
 * is connected to itself. Without the right to connect it there is none, and the link stays up.
 */
#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stddef.h>
#include <sys/socket.h>
#include <unistd.h>

#include "open.h"

#define AT_INDEX (NLMSG_HDRLEN + offsetof(struct ifinfomsg, ifi_index))

/* Only messages about the interface. A filter's loads turn bytes around. */
static int filter(int fd, int ifindex)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, AT_INDEX),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htonl((uint32_t)ifindex), 0, 1),
		BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	const struct sock_fprog program = {sizeof(code) / sizeof(code[0]), code};

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program));
}

void opening_watch(struct opening *o, int ifindex)
{
	struct sockaddr_nl address = {.nl_family = AF_NETLINK};
	socklen_t bytes = sizeof(address);
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
	int group = RTNLGRP_LINK;

	if (fd < 0)
		return;
	if (filter(fd, ifindex) || bind(fd, (struct sockaddr *)&address, bytes) ||
	    getsockname(fd, (struct sockaddr *)&address, &bytes) ||
	    connect(fd, (struct sockaddr *)&address, bytes) ||
	    setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group))) {
		close(fd);
		return;
	}
	opening_hold(o, fd);
	o->answer.flags |= NET_OPENED_WATCH;
}
