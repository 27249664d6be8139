/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pair.c: AF_XDP behind a veth pair that is the VM's own.
 *
 *   at a bridge                          sharing an interface
 *
 *    bridge                               IFACE ---- XDP: steer.bpf.c
 *      |                                    |             \ unicast for the VM
 *      |  (port: its MAC only)              | macvlan      \
 *    mfXXXXXXXX                             | (MAC)         |
 *  ....|.....................             ..|...............|......
 *      |     no name's namespace          up0 <--> guard <- port0
 *    vm0 -- XDP: port.bpf.c                                 |
 *      |                                                   vm0 -- XDP: port.bpf.c
 *   AF_XDP socket                                           |
 *                                                      AF_XDP socket
 *
 * The network namespace has no name: only the socket keeps it. When the VM's process is gone,
 * however it went, the kernel takes socket, namespace, veth and macvlan down, in this order.
 *
 * Sharing, the macvlan is what makes the interface take frames for the MAC, brings broadcast and
 * multicast to all VMs and to the host (XDP cannot copy a frame for the host), and carries what
 * VMs send: to each other, and out. The XDP program is the short way for what comes in.
 */
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "open.h"
#include "port.h"
#include "program.h"
#include "steer.h"

#define TRIES   256  /* for a slot, of PORT_SLOTS */
#define GONE_MS 2000 /* until the macvlan of a VM with the same MAC that has ended is gone */

static const char vm_end[] = "vm0", far_end[] = "port0", uplink[] = "up0";

struct pair {
	struct rtnl own; /* the VM's namespace, which we are in */
	int host_ns;
	struct port port;
	uint32_t slot; /* number of the VM's end */
};

/* From here on the process is in the VM's namespace; o->host still talks to the host's. */
static int enter_namespace(struct pair *p, struct err *err)
{
	int ret = port_get(&p->port, err);

	if (ret)
		return ret;
	p->host_ns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (p->host_ns < 0)
		return err_set(err, errno, "cannot open /proc/self/ns/net");
	if (unshare(CLONE_NEWNET))
		return err_set(err, errno, "cannot make a network namespace for the VM");
	return rtnl_open(&p->own, err);
}

static void put_end(struct nlmsghdr *message, const char *name, const uint8_t mac[6], unsigned mtu)
{
	mnl_attr_put_strz(message, IFLA_IFNAME, name);
	mnl_attr_put(message, IFLA_ADDRESS, 6, mac);
	mnl_attr_put_u32(message, IFLA_MTU, mtu);
	/* Native XDP wants as many queues at the one end as at the other. */
	mnl_attr_put_u32(message, IFLA_NUM_TX_QUEUES, 1);
	mnl_attr_put_u32(message, IFLA_NUM_RX_QUEUES, 1);
}

/* A veth pair: vm_end here, with the slot's number, the other where it is wanted. */
static int make_pair(const struct opening *o, struct pair *p, const char *name, bool at_host)
{
	char buf[RTNL_BYTES];
	struct nlmsghdr *message =
		rtnl_link_message(buf, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, (int)p->slot);
	struct nlattr *info, *data, *peer;
	struct ifinfomsg *far;
	uint8_t mac[6];

	rtnl_random_mac(mac, 0xfe);
	put_end(message, vm_end, o->mac, o->link.mtu);
	info = mnl_attr_nest_start(message, IFLA_LINKINFO);
	mnl_attr_put_strz(message, IFLA_INFO_KIND, "veth");
	data = mnl_attr_nest_start(message, IFLA_INFO_DATA);
	peer = mnl_attr_nest_start(message, VETH_INFO_PEER);
	far = mnl_nlmsg_put_extra_header(message, sizeof(*far));
	far->ifi_index = at_host ? 0 : (int)(p->slot + PORT_FAR);
	put_end(message, name, mac, o->link.mtu);
	if (at_host)
		mnl_attr_put_u32(message, IFLA_NET_NS_FD, (uint32_t)p->host_ns);
	mnl_attr_nest_end(message, peer);
	mnl_attr_nest_end(message, data);
	mnl_attr_nest_end(message, info);
	return rtnl_talk(&p->own, message, NULL, NULL);
}

/* Quiet and up, an interface of the VM's namespace. */
static int start_end(struct pair *p, uint32_t index)
{
	int ret = rtnl_quiet(&p->own, (int)index, NULL, 0);

	return ret ? ret : rtnl_up(&p->own, (int)index);
}

/* Program, socket, and the way between them, at the VM's end. -EEXIST: the slot is taken. */
static int open_end(struct opening *o, struct pair *p, struct err *err)
{
	const struct net_spec *spec = o->spec;
	bool native = spec->mode != NET_MODE_GENERIC;
	struct xsk_opened opened;
	int sock, ret;

	ret = bpf_xdp_attach((int)p->slot, p->port.program,
			     native ? XDP_FLAGS_DRV_MODE : XDP_FLAGS_SKB_MODE, NULL);
	if (ret && spec->mode == NET_MODE_AUTO) {
		native = false;
		ret = bpf_xdp_attach((int)p->slot, p->port.program, XDP_FLAGS_SKB_MODE, NULL);
	}
	if (ret)
		return err_set(err, -ret, "cannot attach an XDP program to the VM's veth (%s)",
			       native ? "native" : "generic");
	ret = start_end(p, p->slot);
	if (ret)
		return err_set(err, -ret, "cannot set the VM's veth up");
	sock = xsk_open((int)p->slot, 0, spec->copy, true, &o->memory, &opened);
	if (sock < 0)
		return opening_xsk_error(o, sock, 0, err);
	ret = port_claim(&p->port, p->slot, o->mac, sock, err);
	if (ret) {
		close(sock);
		return ret;
	}
	opening_hold_xsk(o, sock, (int)p->slot, &opened);
	o->answer.flags |= native ? NET_OPENED_NATIVE : 0u;
	return 0;
}

/* A pair whose one end feeds the socket, the other is called far and down; in a slot that no
 * other VM of the host has. */
static int open_pair(struct opening *o, struct pair *p, bool at_host, struct err *err)
{
	const char *far = at_host ? o->answer.ifname : far_end;
	int ret = -EEXIST;

	for (int tries = 0; ret == -EEXIST && tries < TRIES; tries++) {
		if (at_host)
			rtnl_random_name(o->answer.ifname);
		rtnl_random(&p->slot, sizeof(p->slot));
		/* 1 is the loopback's. */
		p->slot = 2 + p->slot % (PORT_SLOTS - 2);
		ret = make_pair(o, p, far, at_host);
		if (ret == -EEXIST)
			continue;
		if (ret)
			return err_set(err, -ret, "cannot make a veth pair for a VM at %s",
				       o->link.name);
		ret = open_end(o, p, err);
		if (ret)
			rtnl_delete(&p->own, (int)p->slot);
	}
	return ret == -EEXIST
		       ? err_set(err, 0, "there is no place for one VM more at %s: it takes %u",
				 o->link.name, PORT_SLOTS - 2)
		       : ret;
}

int open_bridged(struct opening *o, struct err *err)
{
	struct rtnl_link far;
	struct pair p;
	int ret = enter_namespace(&p, err);

	if (!ret)
		ret = open_pair(o, &p, true, err);
	if (ret)
		return ret;
	ret = rtnl_link_get(&o->host, o->answer.ifname, &far);
	if (!ret)
		ret = rtnl_quiet(&o->host, far.index, RTNL_ALIAS_PORT, o->link.index);
	if (ret)
		return err_set(err, -ret, "cannot make %s a port of %s", o->answer.ifname,
			       o->link.name);
	ret = rtnl_bridge_port(&o->host, &o->link, far.index, o->mac, o->spec->quiet, err);
	if (ret)
		return ret;
	ret = rtnl_checksum_now(&o->host, o->answer.ifname);
	if (!ret)
		ret = rtnl_up(&o->host, far.index);
	if (ret)
		return err_set(err, -ret, "cannot set %s up", o->answer.ifname);
	/* It is down when the far end is, and gone when that is. */
	opening_watch(o, (int)p.slot);
	return 0;
}

/* ---- sharing ---- */

static int make_macvlan(struct opening *o, const struct pair *p)
{
	char buf[RTNL_BYTES];
	struct nlmsghdr *message = rtnl_link_message(buf, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL,
						     (int)(p->slot + PORT_UPLINK));
	struct nlattr *info, *data;

	put_end(message, uplink, o->mac, o->link.mtu);
	mnl_attr_put_u32(message, IFLA_LINK, (uint32_t)o->link.index);
	mnl_attr_put_u32(message, IFLA_NET_NS_PID, (uint32_t)getpid());
	info = mnl_attr_nest_start(message, IFLA_LINKINFO);
	mnl_attr_put_strz(message, IFLA_INFO_KIND, "macvlan");
	data = mnl_attr_nest_start(message, IFLA_INFO_DATA);
	mnl_attr_put_u32(message, IFLA_MACVLAN_MODE, MACVLAN_MODE_BRIDGE);
	mnl_attr_nest_end(message, data);
	mnl_attr_nest_end(message, info);
	return rtnl_talk(&o->host, message, NULL, NULL);
}

/* All multicast: the stack of this namespace, which would join groups, is not used. */
static int hear_all(struct pair *p)
{
	char buf[RTNL_BYTES];
	struct nlmsghdr *message =
		rtnl_link_message(buf, RTM_NEWLINK, 0, (int)(p->slot + PORT_UPLINK));
	struct ifinfomsg *info = mnl_nlmsg_get_payload(message);

	info->ifi_flags = info->ifi_change = IFF_ALLMULTI;
	return rtnl_talk(&p->own, message, NULL, NULL);
}

static int start_uplink(const struct opening *o, struct pair *p, struct err *err)
{
	static const struct timespec pause = {.tv_nsec = 5000000};
	int ret = hear_all(p);

	for (int tries = 0; !ret && tries < GONE_MS / 5; tries++) {
		ret = start_end(p, p->slot + PORT_UPLINK);
		if (ret != -EBUSY && ret != -EADDRINUSE)
			break;
		nanosleep(&pause, NULL);
		ret = tries + 1 < GONE_MS / 5 ? 0 : ret;
	}
	if (ret == -EBUSY || ret == -EADDRINUSE)
		return err_set(err, 0, "%s is in use on %s already: give another mac=",
			       rtnl_mac_text(o->mac), o->link.name);
	return ret ? err_set(err, -ret, "cannot set the VM's macvlan on %s up", o->link.name) : 0;
}

static int open_uplink(struct opening *o, struct pair *p, struct err *err)
{
	int ret = make_macvlan(o, p);

	if (ret)
		return err_set(err, -ret, "cannot make a macvlan on %s%s", o->link.name,
			       ret == -EBUSY ? ", which is the port of something" : "");
	ret = port_guard(&p->port, p->slot, err);
	if (ret)
		return ret;
	ret = rtnl_checksum_now(&p->own, far_end);
	if (!ret)
		ret = start_end(p, p->slot + PORT_FAR);
	return ret ? err_set(err, -ret, "cannot set a veth pair for a VM on %s up", o->link.name)
		   : start_uplink(o, p, err);
}

int open_shared(struct opening *o, struct err *err)
{
	struct steer steer;
	struct pair p;
	int ret;

	if (!(o->link.flags & IFF_UP))
		return err_set(err, 0, "%s is down: ip link set %s up", o->link.name, o->link.name);
	ret = steer_lock(err);
	if (!ret)
		ret = steer_attach(&steer, &o->host, &o->link, o->spec->mode, STEER_SHARE, err);
	if (!ret)
		ret = enter_namespace(&p, err);
	if (!ret)
		ret = open_pair(o, &p, false, err);
	if (!ret)
		ret = open_uplink(o, &p, err);
	if (!ret)
		ret = steer_port(&steer, o->mac, (int)(p.slot + PORT_FAR), err);
	if (ret)
		return ret;
	opening_watch(o, (int)(p.slot + PORT_UPLINK)); /* is what the interface is */
	opening_hold(o, steer.link);
	o->answer.flags |= NET_OPENED_SHARED;
	if (!steer.native)
		o->answer.flags &= ~(unsigned)NET_OPENED_NATIVE;
	snprintf(o->answer.ifname, sizeof(o->answer.ifname), "%s", o->link.name);
	return 0;
}
