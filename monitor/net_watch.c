/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net_watch.c: what becomes of the interface behind an AF_XDP socket. mayfly-net has opened the
 * socket that tells (net/watch.c): messages of rtnetlink(7), about that interface only.
 */
#include <errno.h>
#include <net/if.h>
#include <unistd.h>

#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include "net_backend.h"

#define LOWER_UP 0x10000u /* IFF_LOWER_UP of linux/if.h: it has a carrier */

void net_watch_read(struct net_dev *d)
{
	struct {
		struct nlmsghdr head;
		struct ifinfomsg link;
	} m; /* the attributes behind it are cut off */
	bool up = net_link_is_up(d);

	for (;;) {
		ssize_t n = read(net_watch_fd(d), &m, sizeof(m));

		if (n < 0 && errno == ENOBUFS)
			continue;
		if (n < (ssize_t)sizeof(m))
			break;
		/* A bridge's port that leaves it is not gone: the bridge says so as AF_BRIDGE. */
		if (m.link.ifi_family != AF_UNSPEC)
			continue;
		if (m.head.nlmsg_type == RTM_DELLINK) {
			net_break(d, "the interface %s is gone", d->link.opened.ifname);
			return;
		}
		if (m.head.nlmsg_type == RTM_NEWLINK)
			up = m.link.ifi_flags & IFF_UP && m.link.ifi_flags & LOWER_UP;
	}
	net_link_up(d, up);
}
