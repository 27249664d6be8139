/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net_open_tap.c: a tap that is there, that the kernel makes when we ask for it, or that
 * somebody has opened for us. One that belongs to a bridge is mayfly-net's to open.
 * Linux, Documentation/networking/tuntap.rst.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/if_tun.h>

#include "net_open.h"

#define OFFLOAD_DEFAULT 1 /* segments cross in one piece */

static const char no_right[] =
	"takes the capability CAP_NET_ADMIN, or a tap that root has made for you ('ip tuntap add "
	"dev NAME mode tap user YOU'); --net user takes neither";

static int attach_failed(const struct net_spec *spec, int errnum, struct err *err)
{
	const char *name = spec->ifname;

	switch (errnum) {
	case EPERM:
		return err_set(err, errnum, "cannot use %s %s: it %s", *name ? "the tap" : "a new",
			       *name ? name : "tap", no_right);
	case EBUSY:
		return err_set(err, errnum,
			       "cannot use the tap %s: another program, or VM, has it open", name);
	case EINVAL:
		return err_set(err, 0,
			       "cannot use %s as a tap: it is an interface of another kind (for "
			       "those there is --net xdp=%s)",
			       name, name);
	}
	return err_set(err, errnum, "cannot use %s %s", *name ? "the tap" : "a new",
		       *name ? name : "tap");
}

static int open_device(const struct net_spec *spec, bool offload, struct ifreq *ifr,
		       struct err *err)
{
	const short flags = (short)(IFF_TAP | IFF_NO_PI | (offload ? IFF_VNET_HDR : 0));
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0 && (errno == EACCES || errno == EPERM))
		return err_set(err, errno, "cannot open /dev/net/tun: a tap %s", no_right);
	if (fd < 0)
		return err_set(err, errno,
			       "cannot open /dev/net/tun (is the kernel module there? 'modprobe "
			       "tun')");
	memset(ifr, 0, sizeof(*ifr));
	strcpy(ifr->ifr_name, spec->ifname);
	ifr->ifr_flags = flags;
	if (!ioctl(fd, TUNSETIFF, ifr))
		return fd;
	/* It may have been made for several queues; then we want to be one of them. */
	if (errno == EINVAL) {
		ifr->ifr_flags = flags | IFF_MULTI_QUEUE;
		if (!ioctl(fd, TUNSETIFF, ifr))
			return fd;
	}
	attach_failed(spec, errno, err);
	close(fd);
	return -EINVAL;
}

/* One that was handed over: what is it? */
static int take_device(int fd, struct ifreq *ifr, struct err *err)
{
	int copy;

	memset(ifr, 0, sizeof(*ifr));
	if (ioctl(fd, TUNGETIFF, ifr))
		return err_set(err, 0,
			       "--net tap=fd:%d: %s; the caller opens /dev/net/tun, attaches it "
			       "(TUNSETIFF) and leaves it open for mayfly",
			       fd,
			       errno == EBADF ? "this descriptor is not open"
					      : "this descriptor is not a tap's");
	if ((ifr->ifr_flags & (IFF_TAP | IFF_NO_PI)) != (IFF_TAP | IFF_NO_PI))
		return err_set(err, 0,
			       "--net tap=fd:%d: it must have been attached with IFF_TAP and "
			       "IFF_NO_PI",
			       fd);
	copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (copy < 0 || fcntl(copy, F_SETFL, O_RDWR | O_NONBLOCK))
		return err_set(err, errno, "cannot use the descriptor %d", fd);
	return copy;
}

/* Up, and its MTU. An interface that is down may be brought up later by whoever owns it. */
static int examine(struct net_link *link, const struct net_spec *spec, struct ifreq *ifr,
		   struct err *err)
{
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), ret = 0;
	int mtu = NOXS_NET_MAX_MTU;

	if (s >= 0 && !ioctl(s, SIOCGIFFLAGS, ifr) && !(ifr->ifr_flags & IFF_UP)) {
		ifr->ifr_flags |= IFF_UP;
		ioctl(s, SIOCSIFFLAGS, ifr);
	}
	if (s >= 0 && !ioctl(s, SIOCGIFMTU, ifr))
		mtu = ifr->ifr_mtu;
	if (s >= 0)
		close(s);
	if (mtu < (int)NOXS_NET_MIN_MTU || spec->config.mtu > mtu)
		ret = err_set(err, 0, "--net: the MTU of the tap %s is %d: %s", ifr->ifr_name, mtu,
			      spec->config.mtu ? "mtu= cannot be more" : "that is too small");
	link->opened.mtu = (uint16_t)(mtu > (int)NOXS_NET_MAX_MTU ? (int)NOXS_NET_MAX_MTU : mtu);
	return ret;
}

int net_open_tap(struct net_link *link, const struct net_spec *spec, struct err *err)
{
	const bool offload = spec->offload < 0 ? OFFLOAD_DEFAULT : spec->offload;
	const int header = sizeof(struct noxs_net_vnet);
	struct net_opened *o = &link->opened;
	struct ifreq ifr;
	int fd = spec->fd >= 0 ? take_device(spec->fd, &ifr, err)
			       : open_device(spec, offload, &ifr, err);

	if (fd < 0)
		return fd;
	link->fd[0] = fd;
	o->version = NET_WIRE_VERSION;
	o->backend = NOXS_NET_TAP;
	memcpy(o->ifname, ifr.ifr_name, sizeof(o->ifname));
	if (spec->fd >= 0 ? ifr.ifr_flags & IFF_VNET_HDR : offload)
		o->flags = NET_OPENED_VNET;
	/* What may come from the tap: segments and frames without a checksum, or nothing such. */
	if (o->flags & NET_OPENED_VNET &&
	    (ioctl(fd, TUNSETVNETHDRSZ, &header) ||
	     ioctl(fd, TUNSETOFFLOAD, offload ? TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 : 0)))
		return err_set(err, errno, "cannot set up the tap %s", o->ifname);
	return examine(link, spec, &ifr, err);
}
