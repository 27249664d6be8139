/* SPDX-License-Identifier: Apache-2.0 */
/* tap.c: a tap (Linux, Documentation/networking/tuntap.rst): one that exists, or a new one. */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "caps.h"
#include "open.h"

#define DEVICE "/dev/net/tun"

static int open_device(struct err *err)
{
	int fd = open(DEVICE, O_RDWR | O_CLOEXEC | O_NONBLOCK);

	if (fd >= 0)
		return fd;
	if (errno == ENOENT || errno == ENODEV || errno == ENXIO)
		return err_set(err, errno,
			       "cannot open " DEVICE
			       " (modprobe tun; for a container: --device " DEVICE
			       "; or use --net user)");
	return err_set(err, errno,
		       "cannot open " DEVICE
		       " (run as root, or let it be opened; or use --net user)");
}

/* Makes the tap, or joins the one of this name. */
static int attach(const struct opening *o, int fd, bool exists, const char *name, bool vnet,
		  struct err *err)
{
	struct ifreq request = {0};
	int ret;

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	request.ifr_flags = (short)(IFF_TAP | IFF_NO_PI | (vnet ? IFF_VNET_HDR : 0));
	ret = ioctl(fd, TUNSETIFF, &request);
	if (ret && errno == EINVAL && exists) {
		/* One that was made with multi_queue wants to be asked so. */
		request.ifr_flags |= IFF_MULTI_QUEUE;
		ret = ioctl(fd, TUNSETIFF, &request);
	}
	if (!ret)
		return 0;
	switch (errno) {
	case EBUSY:
		return err_set(err, 0, "%s is in use by another process", name);
	case EPERM:
		ret = caps_check(CAPS_ADMIN, exists ? "a tap of another user" : "making a tap",
				 err);
		return ret ? ret : err_set(err, EPERM, "cannot open the tap %s", name);
	case EINVAL:
		if (exists)
			return err_set(err, 0,
				       "%s is not a tap (%s): leave its name out to have one made",
				       name, *o->link.kind ? o->link.kind : "an interface");
		break;
	default:
		break;
	}
	return err_set(err, errno, "cannot open the tap %s", name);
}

static int set_offload(int fd, struct err *err)
{
	int header = sizeof(struct noxs_net_vnet);

	if (ioctl(fd, TUNSETVNETHDRSZ, &header) ||
	    ioctl(fd, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6))
		return err_set(err, errno,
			       "cannot set the tap's offload (offload=off does without)");
	return 0;
}

static int set_mtu(struct rtnl *nl, int index, unsigned mtu)
{
	char buf[RTNL_BYTES];
	struct nlmsghdr *message = rtnl_link_message(buf, RTM_NEWLINK, 0, index);

	mnl_attr_put_u32(message, IFLA_MTU, mtu);
	return rtnl_talk(nl, message, NULL, NULL);
}

/* The MTU: of a tap that exists, its own or less; of a new one, the bridge's. */
static int choose_mtu(struct opening *o, const struct rtnl_link *bridge, bool exists,
		      struct err *err)
{
	unsigned most = exists ? o->link.mtu : *bridge->name ? bridge->mtu : NOXS_NET_MAX_MTU;
	unsigned asked = o->spec->config.mtu, mtu = asked ? asked : most;
	const char *name = exists ? o->link.name : *bridge->name ? bridge->name : "a tap";
	int ret = 0;

	if (mtu > NOXS_NET_MAX_MTU && !asked)
		return err_set(err, 0, "%s has an MTU of %u, and a VM's frames hold %u: add mtu=%u",
			       name, mtu, NOXS_NET_MAX_MTU, NOXS_NET_MAX_MTU);
	if (mtu > most || mtu > NOXS_NET_MAX_MTU || mtu < NOXS_NET_MIN_MTU)
		return err_set(err, 0, "an MTU of %u: for %s it is %u to %u", mtu, name,
			       NOXS_NET_MIN_MTU, most < NOXS_NET_MAX_MTU ? most : NOXS_NET_MAX_MTU);
	/* A port that is smaller would make the whole bridge smaller. */
	if (!exists)
		ret = set_mtu(&o->host, o->link.index, *bridge->name ? bridge->mtu : mtu);
	o->answer.mtu = (uint16_t)mtu;
	return ret ? err_set(err, -ret, "cannot set the MTU of %s to %u", o->link.name, mtu) : 0;
}

static int find_bridge(struct opening *o, struct rtnl_link *bridge, struct err *err)
{
	const char *name = o->spec->bridge;
	int ret;

	if (!*name)
		return 0;
	ret = rtnl_link_get(&o->host, name, bridge);
	if (ret)
		return err_set(err, ret == -ENODEV ? 0 : -ret,
			       "there is no bridge %s: make one: mayfly net create %s", name, name);
	return strcmp(bridge->kind, "bridge")
		       ? err_set(err, 0, "%s is not a bridge (%s)", name,
				 *bridge->kind ? bridge->kind : "an interface")
		       : 0;
}

/* A new tap is as safe a port as a veth; how one that exists behaves, its owner has set. */
static int join_bridge(struct opening *o, const struct rtnl_link *bridge, bool exists,
		       struct err *err)
{
	uint8_t mac[6];
	struct ifreq request = {.ifr_hwaddr.sa_family = 1 /* ARPHRD_ETHER */};
	int ret;

	if (exists && o->link.master == bridge->index)
		return 0;
	if (exists && o->link.master)
		return err_set(err, 0, "%s is a port of something other than %s", o->link.name,
			       bridge->name);
	if (!exists) {
		rtnl_random_mac(mac, 0xfe);
		memcpy(request.ifr_hwaddr.sa_data, mac, 6);
		memcpy(request.ifr_name, o->link.name, sizeof(request.ifr_name));
		ioctl(o->host.inet, SIOCSIFHWADDR, &request);
	}
	ret = rtnl_quiet(&o->host, o->link.index, exists ? NULL : RTNL_ALIAS_PORT, bridge->index);
	if (ret)
		return err_set(err, -ret, "cannot make %s a port of %s", o->link.name,
			       bridge->name);
	return exists ? 0
		      : rtnl_bridge_port(&o->host, bridge, o->link.index, o->mac, o->spec->quiet,
					 err);
}

int open_tap(struct opening *o, struct err *err)
{
	bool vnet = o->spec->offload != 0, exists = false;
	struct rtnl_link bridge = {0};
	char name[16];
	int fd, ret;

	ret = find_bridge(o, &bridge, err);
	if (ret)
		return ret;
	if (*o->spec->ifname) {
		memcpy(name, o->spec->ifname, sizeof(name));
		exists = !rtnl_link_get(&o->host, name, &o->link);
	} else {
		rtnl_random_name(name);
	}
	if (exists && o->spec->quiet)
		return err_set(err, 0,
			       "%s is there already: set it yourself (bridge link set dev %s "
			       "bcast_flood off mcast_flood off), without flood=off",
			       name, name);
	fd = open_device(err);
	if (fd < 0)
		return fd;
	ret = attach(o, fd, exists, name, vnet, err);
	if (!ret && vnet)
		ret = set_offload(fd, err);
	if (ret)
		return ret;
	opening_hold(o, fd);
	ret = exists ? 0 : rtnl_link_get(&o->host, name, &o->link);
	if (ret)
		return err_set(err, -ret, "cannot look at the tap %s", name);
	ret = choose_mtu(o, &bridge, exists, err);
	if (!ret && *bridge.name)
		ret = join_bridge(o, &bridge, exists, err);
	if (ret)
		return ret;
	if (!(o->link.flags & IFF_UP))
		ret = rtnl_up(&o->host, o->link.index);
	if (ret)
		return err_set(err, -ret, "cannot set the tap %s up", name);
	o->answer.backend = NOXS_NET_TAP;
	o->answer.flags = vnet ? NET_OPENED_VNET : 0;
	memcpy(o->answer.ifname, name, sizeof(o->answer.ifname));
	return 0;
}
