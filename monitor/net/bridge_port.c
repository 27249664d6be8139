/* SPDX-License-Identifier: Apache-2.0 */
/* bridge_port.c: a VM's port of a bridge, so that it neither hears nor harms its neighbours. */
#include <errno.h>
#include <linux/if_bridge.h>
#include <linux/neighbour.h>
#include <time.h>

#include "rtnl.h"

/* How long the port of a VM that has ended with the same MAC may take to go: the kernel takes
 * network namespaces down in the background. */
#define GONE_MS 2000

static int port_flags(struct rtnl *nl, int port, bool quiet)
{
	char buf[RTNL_BYTES];
	struct nlmsghdr *message = rtnl_link_message(buf, RTM_SETLINK, 0, port);
	struct ifinfomsg *info = mnl_nlmsg_get_payload(message);
	struct nlattr *nest;

	info->ifi_family = AF_BRIDGE;
	nest = mnl_attr_nest_start(message, IFLA_PROTINFO);
	mnl_attr_put_u8(message, IFLA_BRPORT_LEARNING, 0);
	mnl_attr_put_u8(message, IFLA_BRPORT_UNICAST_FLOOD, 0);
	/* Only from addresses that the table has for this port: the guard against forged ones. */
	mnl_attr_put_u8(message, IFLA_BRPORT_LOCKED, 1);
	mnl_attr_put_u8(message, IFLA_BRPORT_GUARD, 1); /* no spanning tree of the VM's */
	if (quiet) {
		mnl_attr_put_u8(message, IFLA_BRPORT_BCAST_FLOOD, 0);
		mnl_attr_put_u8(message, IFLA_BRPORT_MCAST_FLOOD, 0);
	}
	mnl_attr_nest_end(message, nest);
	return rtnl_talk(nl, message, NULL, NULL);
}

static struct nlmsghdr *table_message(char *buf, uint16_t type, int flags, int port,
				      const uint8_t mac[6])
{
	struct nlmsghdr *message = mnl_nlmsg_put_header(buf);
	struct ndmsg *info;

	message->nlmsg_type = type;
	message->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | NLM_F_ACK | flags);
	info = mnl_nlmsg_put_extra_header(message, sizeof(*info));
	info->ndm_family = AF_BRIDGE;
	info->ndm_ifindex = port;
	mnl_attr_put(message, NDA_LLADDR, 6, mac);
	return message;
}

static int table_add(struct rtnl *nl, int port, const uint8_t mac[6], int flags)
{
	char buf[RTNL_BYTES];
	struct nlmsghdr *message = table_message(buf, RTM_NEWNEIGH, flags, port, mac);
	struct ndmsg *info = mnl_nlmsg_get_payload(message);

	info->ndm_state = NUD_NOARP; /* static */
	info->ndm_flags = NTF_MASTER;
	return rtnl_talk(nl, message, NULL, NULL);
}

struct entry {
	int port;
	bool fixed;
};

static int take_entry(const struct nlmsghdr *message, void *data)
{
	const struct ndmsg *info = mnl_nlmsg_get_payload(message);
	struct entry *e = data;

	e->port = info->ndm_ifindex;
	e->fixed = info->ndm_state & (NUD_NOARP | NUD_PERMANENT);
	return MNL_CB_OK;
}

static int table_get(struct rtnl *nl, int bridge, const uint8_t mac[6], struct entry *e)
{
	char buf[RTNL_BYTES];
	struct nlmsghdr *message = table_message(buf, RTM_GETNEIGH, 0, 0, mac);

	mnl_attr_put_u32(message, NDA_MASTER, (uint32_t)bridge);
	return rtnl_talk(nl, message, take_entry, e);
}

int rtnl_bridge_port(struct rtnl *nl, const struct rtnl_link *bridge, int port,
		     const uint8_t mac[6], bool quiet, struct err *err)
{
	static const struct timespec pause = {.tv_nsec = 5000000};
	int ret = port_flags(nl, port, quiet);

	if (ret)
		return err_set(err, -ret, "cannot make a port of %s safe (Linux 5.18 or newer can)",
			       bridge->name);
	for (int tries = 0; tries < GONE_MS / 5; tries++) {
		struct entry e = {0};

		ret = table_add(nl, port, mac, NLM_F_CREATE | NLM_F_EXCL);
		if (ret != -EEXIST)
			break;
		if (!table_get(nl, bridge->index, mac, &e) && !e.fixed) {
			/* It was learnt: the VM has moved here. */
			ret = table_add(nl, port, mac, NLM_F_CREATE | NLM_F_REPLACE);
			break;
		}
		nanosleep(&pause, NULL);
	}
	if (ret == -EEXIST)
		return err_set(err, 0, "%s is the address of another port of %s: give another mac=",
			       rtnl_mac_text(mac), bridge->name);
	return ret ? err_set(err, -ret, "cannot enter %s into the table of %s", rtnl_mac_text(mac),
			     bridge->name)
		   : 0;
}
