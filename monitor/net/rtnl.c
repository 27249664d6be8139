/* SPDX-License-Identifier: Apache-2.0 */
/* rtnl.c: see rtnl.h. */
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "rtnl.h"

int rtnl_open(struct rtnl *nl, struct err *err)
{
	nl->seq = 0;
	nl->inet = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	nl->netlink = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	if (!nl->netlink || mnl_socket_bind(nl->netlink, 0, MNL_SOCKET_AUTOPID) < 0)
		return err_set(err, errno, "cannot talk to the kernel's network by netlink");
	return 0;
}

void rtnl_close(struct rtnl *nl)
{
	mnl_socket_close(nl->netlink);
	close(nl->inet);
}

struct nlmsghdr *rtnl_link_message(char *buf, uint16_t type, int flags, int index)
{
	struct nlmsghdr *message = mnl_nlmsg_put_header(buf);
	struct ifinfomsg *info;

	message->nlmsg_type = type;
	message->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | NLM_F_ACK | flags);
	info = mnl_nlmsg_put_extra_header(message, sizeof(*info));
	info->ifi_family = AF_UNSPEC;
	info->ifi_index = index;
	return message;
}

int rtnl_talk(struct rtnl *nl, struct nlmsghdr *message, mnl_cb_t each, void *data)
{
	unsigned port = mnl_socket_get_portid(nl->netlink);
	char reply[32768];
	ssize_t len;
	int ret;

	message->nlmsg_seq = ++nl->seq;
	if (mnl_socket_sendto(nl->netlink, message, message->nlmsg_len) < 0)
		return -errno;
	do {
		len = mnl_socket_recvfrom(nl->netlink, reply, sizeof(reply));
		if (len < 0)
			return -errno;
		ret = mnl_cb_run(reply, (size_t)len, nl->seq, port, each, data);
	} while (ret > 0);
	return ret < 0 ? -errno : 0;
}

/* ---- looking ---- */

static void copy_text(char *to, size_t size, const struct nlattr *attr)
{
	snprintf(to, size, "%s", mnl_attr_get_str(attr));
}

static void parse_info(struct rtnl_link *link, const struct nlattr *nest)
{
	struct nlattr *attr;

	mnl_attr_for_each_nested(attr, nest)
	{
		if (mnl_attr_get_type(attr) == IFLA_INFO_KIND)
			copy_text(link->kind, sizeof(link->kind), attr);
		else if (mnl_attr_get_type(attr) == IFLA_INFO_SLAVE_KIND)
			copy_text(link->port_kind, sizeof(link->port_kind), attr);
	}
}

static void parse_xdp(struct rtnl_link *link, const struct nlattr *nest)
{
	struct nlattr *attr;

	mnl_attr_for_each_nested(attr, nest)
	{
		switch (mnl_attr_get_type(attr)) {
		case IFLA_XDP_PROG_ID:
		case IFLA_XDP_DRV_PROG_ID:
		case IFLA_XDP_SKB_PROG_ID:
		case IFLA_XDP_HW_PROG_ID:
			if (!link->xdp_program)
				link->xdp_program = mnl_attr_get_u32(attr);
			break;
		case IFLA_XDP_ATTACHED:
			link->xdp_generic = mnl_attr_get_u8(attr) == XDP_ATTACHED_SKB;
			break;
		default:
			break;
		}
	}
}

static void parse_link(const struct nlmsghdr *message, struct rtnl_link *link)
{
	const struct ifinfomsg *info = mnl_nlmsg_get_payload(message);
	struct nlattr *attr;

	*link = (struct rtnl_link){.index = info->ifi_index, .flags = info->ifi_flags};
	mnl_attr_for_each(attr, message, sizeof(*info))
	{
		switch (mnl_attr_get_type(attr)) {
		case IFLA_IFNAME:
			copy_text(link->name, sizeof(link->name), attr);
			break;
		case IFLA_IFALIAS:
			copy_text(link->alias, sizeof(link->alias), attr);
			break;
		case IFLA_ADDRESS:
			if (mnl_attr_get_payload_len(attr) == sizeof(link->mac))
				memcpy(link->mac, mnl_attr_get_payload(attr), sizeof(link->mac));
			break;
		case IFLA_MTU:
			link->mtu = mnl_attr_get_u32(attr);
			break;
		case IFLA_MASTER:
			link->master = (int)mnl_attr_get_u32(attr);
			break;
		case IFLA_LINK:
			link->lower = (int)mnl_attr_get_u32(attr);
			break;
		case IFLA_LINKINFO:
			parse_info(link, attr);
			break;
		case IFLA_XDP:
			parse_xdp(link, attr);
			break;
		default:
			break;
		}
	}
}

static int take_link(const struct nlmsghdr *message, void *data)
{
	parse_link(message, data);
	return MNL_CB_OK;
}

int rtnl_link_get_index(struct rtnl *nl, int index, struct rtnl_link *link)
{
	char buf[RTNL_BYTES];

	return rtnl_talk(nl, rtnl_link_message(buf, RTM_GETLINK, 0, index), take_link, link);
}

int rtnl_link_get(struct rtnl *nl, const char *name, struct rtnl_link *link)
{
	char buf[RTNL_BYTES];
	struct nlmsghdr *message = rtnl_link_message(buf, RTM_GETLINK, 0, 0);

	mnl_attr_put_strz(message, IFLA_IFNAME, name);
	return rtnl_talk(nl, message, take_link, link);
}

struct each_link {
	int (*each)(const struct rtnl_link *, void *);
	void *data;
	int ret;
};

static int pass_link(const struct nlmsghdr *message, void *data)
{
	struct each_link *e = data;
	struct rtnl_link link;

	parse_link(message, &link);
	if (!e->ret)
		e->ret = e->each(&link, e->data);
	return MNL_CB_OK;
}

int rtnl_links(struct rtnl *nl, int (*each)(const struct rtnl_link *, void *), void *data)
{
	struct each_link e = {.each = each, .data = data};
	char buf[RTNL_BYTES];
	int ret = rtnl_talk(nl, rtnl_link_message(buf, RTM_GETLINK, NLM_F_DUMP, 0), pass_link, &e);

	return ret ? ret : e.ret;
}

struct each_address {
	int (*each)(const struct rtnl_address *, void *);
	void *data;
	int ret;
};

static int pass_address(const struct nlmsghdr *message, void *data)
{
	const struct ifaddrmsg *info = mnl_nlmsg_get_payload(message);
	struct each_address *e = data;
	struct rtnl_address a = {.index = (int)info->ifa_index,
				 .family = info->ifa_family,
				 .prefix = info->ifa_prefixlen};
	bool local = false;
	struct nlattr *attr;

	/* IFA_LOCAL is ours where IFA_ADDRESS is a peer's; IPv6 often has only the latter. */
	mnl_attr_for_each(attr, message, sizeof(*info))
	{
		unsigned type = mnl_attr_get_type(attr), len = mnl_attr_get_payload_len(attr);

		if ((type == IFA_LOCAL || (type == IFA_ADDRESS && !local)) && len <= 16) {
			memcpy(a.address, mnl_attr_get_payload(attr), len);
			local = type == IFA_LOCAL;
		}
	}
	if (!e->ret)
		e->ret = e->each(&a, e->data);
	return MNL_CB_OK;
}

int rtnl_addresses(struct rtnl *nl, int (*each)(const struct rtnl_address *, void *), void *data)
{
	struct each_address e = {.each = each, .data = data};
	char buf[RTNL_BYTES];
	struct nlmsghdr *message = mnl_nlmsg_put_header(buf);
	int ret;

	message->nlmsg_type = RTM_GETADDR;
	message->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	mnl_nlmsg_put_extra_header(message, sizeof(struct ifaddrmsg));
	ret = rtnl_talk(nl, message, pass_address, &e);
	return ret ? ret : e.ret;
}

/* ---- changing ---- */

int rtnl_quiet(struct rtnl *nl, int index, const char *alias, int master)
{
	char buf[RTNL_BYTES];
	struct nlmsghdr *message = rtnl_link_message(buf, RTM_NEWLINK, 0, index);
	struct nlattr *spec, *inet6;

	if (alias)
		mnl_attr_put_strz(message, IFLA_IFALIAS, alias);
	if (master)
		mnl_attr_put_u32(message, IFLA_MASTER, (uint32_t)master);
	spec = mnl_attr_nest_start(message, IFLA_AF_SPEC);
	inet6 = mnl_attr_nest_start(message, AF_INET6);
	mnl_attr_put_u8(message, IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE);
	mnl_attr_nest_end(message, inet6);
	mnl_attr_nest_end(message, spec);
	return rtnl_talk(nl, message, NULL, NULL);
}

int rtnl_up(struct rtnl *nl, int index)
{
	char buf[RTNL_BYTES];
	struct nlmsghdr *message = rtnl_link_message(buf, RTM_NEWLINK, 0, index);
	struct ifinfomsg *info = mnl_nlmsg_get_payload(message);

	info->ifi_flags = info->ifi_change = IFF_UP;
	return rtnl_talk(nl, message, NULL, NULL);
}

int rtnl_delete(struct rtnl *nl, int index)
{
	char buf[RTNL_BYTES];

	return rtnl_talk(nl, rtnl_link_message(buf, RTM_DELLINK, 0, index), NULL, NULL);
}

int rtnl_address_add(struct rtnl *nl, const struct rtnl_address *address)
{
	char buf[RTNL_BYTES];
	struct nlmsghdr *message = mnl_nlmsg_put_header(buf);
	struct ifaddrmsg *info;
	size_t bytes = address->family == AF_INET ? 4 : 16;

	message->nlmsg_type = RTM_NEWADDR;
	message->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL;
	info = mnl_nlmsg_put_extra_header(message, sizeof(*info));
	info->ifa_family = (uint8_t)address->family;
	info->ifa_prefixlen = (uint8_t)address->prefix;
	info->ifa_index = (uint32_t)address->index;
	/* Nobody else has it, and a VM should not wait for the kernel to find that out. */
	info->ifa_flags = address->family == AF_INET6 ? IFA_F_NODAD : 0;
	mnl_attr_put(message, IFA_LOCAL, bytes, address->address);
	mnl_attr_put(message, IFA_ADDRESS, bytes, address->address);
	if (address->family == AF_INET && address->prefix < 31) {
		uint8_t broadcast[4];

		for (int i = 0; i < 4; i++) {
			int host_bits = 32 - address->prefix - 8 * (3 - i);
			int mask = host_bits >= 8 ? 0xff : host_bits > 0 ? (1 << host_bits) - 1 : 0;

			broadcast[i] = address->address[i] | (uint8_t)mask;
		}
		mnl_attr_put(message, IFA_BROADCAST, sizeof(broadcast), broadcast);
	}
	return rtnl_talk(nl, message, NULL, NULL);
}

int rtnl_checksum_now(struct rtnl *nl, const char *name)
{
	struct ethtool_value value = {.cmd = ETHTOOL_STXCSUM};
	struct ifreq request = {.ifr_data = (void *)&value};

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	return ioctl(nl->inet, SIOCETHTOOL, &request) ? -errno : 0;
}

/* ---- names ---- */

void rtnl_random(void *to, size_t bytes)
{
	if (getrandom(to, bytes, 0) != (ssize_t)bytes) {
		struct timespec now;

		clock_gettime(CLOCK_REALTIME, &now);
		memcpy(to, &now.tv_nsec, bytes < sizeof(long) ? bytes : sizeof(long));
	}
}

void rtnl_random_mac(uint8_t mac[6], uint8_t first)
{
	rtnl_random(mac + 1, 5);
	mac[0] = first;
}

void rtnl_random_name(char name[16])
{
	uint32_t n = 0;

	rtnl_random(&n, sizeof(n));
	snprintf(name, 16, "mf%08x", n);
}

const char *rtnl_mac_text(const uint8_t mac[6])
{
	static char text[4][18];
	static unsigned next;
	char *to = text[next++ % 4];

	snprintf(to, sizeof(text[0]), "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2],
		 mac[3], mac[4], mac[5]);
	return to;
}
