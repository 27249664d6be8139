/* SPDX-License-Identifier: Apache-2.0 */
/* ifaddr.c: interfaces as ioctls have them: netdevice(7), and SIOCADDRT for a default route. */
#include <linux/errno.h>
#include <linux/sockios.h>

#include "if.h"
#include "sock.h"

struct ifaddr_in { /* struct sockaddr_in */
	uint16_t family, port;
	uint32_t address;
	uint8_t zero[8];
};

struct ifreq {
	char name[16];
	union {
		struct ifaddr_in in;
		struct {
			uint16_t family;
			uint8_t data[14];
		} hw;
		int16_t flags;
		int32_t value;
		char newname[16];
		uint8_t size[24]; /* of struct ifmap, the longest */
	};
};
_Static_assert(sizeof(struct ifreq) == 40, "netdevice(7)");

struct rtentry { /* linux/route.h wants linux/if.h */
	uint64_t pad1;
	struct ifaddr_in destination, gateway, mask;
	uint16_t flags;
	int16_t pad2;
	uint64_t pad3, pad4;
	int16_t metric;
	uint64_t device; /* the program's address: its name */
	uint64_t mtu, window;
	uint16_t irtt;
};
_Static_assert(offsetof(struct rtentry, device) == 88 && sizeof(struct rtentry) == 120,
	       "linux/route.h");

struct net_dev *net_if_device(uint32_t index)
{
	for (uint32_t i = 0; i < uk_net_ndevs; i++)
		if (uk_net_dev[i].id + 2 == index)
			return &uk_net_dev[i];
	return NULL;
}

static struct ifaddr_in in_address(uint32_t address)
{
	return (struct ifaddr_in){.family = AF_INET, .address = address};
}

/* SIOCGIFCONF: the interfaces that have an IPv4 address. */
static long conf(uint64_t arg)
{
	struct {
		int32_t bytes;
		uint64_t buffer;
	} c;
	int32_t done = 0;

	if (uk_copy_in(&c, arg, sizeof(c)))
		return -EFAULT;
	for (uint32_t i = 1; i < IF_INDEX_END; i++) {
		struct ifreq r = {.name = ""};
		struct net_if nif;

		if (!net_if_get(i, &nif) || !nif.ip4)
			continue;
		memcpy(r.name, nif.name, sizeof(r.name));
		r.in = in_address(nif.ip4);
		if (c.buffer) {
			if (c.bytes - done < (int32_t)sizeof(r))
				break;
			if (uk_copy_out(c.buffer + (uint32_t)done, &r, sizeof(r)))
				return -EFAULT;
		}
		done += (int32_t)sizeof(r);
	}
	return uk_copy_out(arg, &done, sizeof(done)) ? -EFAULT : 0;
}

static long get(uint32_t cmd, struct ifreq *r, const struct net_if *nif)
{
	switch (cmd) {
	case SIOCGIFFLAGS:
		r->flags = (int16_t)nif->flags;
		return 0;
	case SIOCGIFADDR:
		r->in = in_address(nif->ip4);
		break;
	case SIOCGIFNETMASK:
		r->in = in_address(nif->mask4);
		break;
	case SIOCGIFBRDADDR:
		r->in = in_address(nif->broadcast4);
		break;
	case SIOCGIFDSTADDR:
		r->in = in_address(nif->ip4);
		break;
	case SIOCGIFHWADDR:
		r->hw.family = nif->index == IF_LOOPBACK_INDEX ? ARPHRD_LOOPBACK : ARPHRD_ETHER;
		memset(r->hw.data, 0, sizeof(r->hw.data));
		memcpy(r->hw.data, nif->mac, sizeof(nif->mac));
		return 0;
	case SIOCGIFMTU:
		r->value = (int32_t)nif->mtu;
		return 0;
	case SIOCGIFINDEX:
		r->value = (int32_t)nif->index;
		return 0;
	case SIOCGIFTXQLEN:
		r->value = nif->index == IF_LOOPBACK_INDEX ? 1000 : (int32_t)IF_QUEUE_LENGTH;
		return 0;
	case SIOCGIFMETRIC:
		r->value = 0;
		return 0;
	default: /* SIOCGIFMAP */
		memset(r->size, 0, sizeof(r->size));
		return 0;
	}
	return nif->ip4 ? 0 : -EADDRNOTAVAIL;
}

/* A class's mask, as devinet_ioctl of Linux makes it where none is given yet. */
static uint32_t class_mask(uint32_t address)
{
	uint8_t first = (uint8_t)address;

	return if_mask4(first < 128 ? 8 : first < 192 ? 16 : 24);
}

static long set(uint32_t cmd, const struct ifreq *r, const struct net_if *nif)
{
	uint32_t changed = ((uint16_t)r->flags ^ nif->flags) & 0xffff;
	long ret;

	if (UK_NOXS->uid)
		return -EPERM; /* no CAP_NET_ADMIN */
	switch (cmd) {
	case SIOCSIFFLAGS:
		return changed ? net_if_set_flags(nif->index, (uint16_t)r->flags) : 0;
	case SIOCSIFADDR:
		if (r->in.family != AF_INET)
			return -EINVAL;
		if (!r->in.address) /* none */
			ret = net_if_set_ip4(nif->index, 0, 0, 0);
		else
			ret = net_if_set_ip4(nif->index, r->in.address, class_mask(r->in.address),
					     nif->gateway4);
		break;
	case SIOCSIFNETMASK:
		if (!nif->ip4)
			return -EADDRNOTAVAIL;
		if (r->in.address != if_mask4(if_prefix4(r->in.address)))
			return -EINVAL;
		ret = net_if_set_ip4(nif->index, nif->ip4, r->in.address, nif->gateway4);
		break;
	case SIOCSIFBRDADDR: /* it follows from the two */
		return nif->ip4 ? 0 : -EADDRNOTAVAIL;
	case SIOCSIFMTU:
		return r->value == (int32_t)nif->mtu ? 0 : -EINVAL;
	default:
		return -EOPNOTSUPP;
	}
	if (!ret)
		net_packet_addresses_changed();
	return ret;
}

/* Is the gateway a neighbour on this interface? */
static bool neighbour(const struct net_if *nif, uint32_t gateway)
{
	return nif->ip4 && nif->index != IF_LOOPBACK_INDEX && !((nif->ip4 ^ gateway) & nif->mask4);
}

static long route(uint32_t cmd, uint64_t arg)
{
	struct rtentry rt;
	char name[16] = "";

	if (UK_NOXS->uid)
		return -EPERM;
	if (uk_copy_in(&rt, arg, sizeof(rt)))
		return -EFAULT;
	if (rt.device && uk_copy_str(name, rt.device, sizeof(name)) < 0)
		return -EFAULT;
	if (rt.destination.family != AF_INET)
		return -EAFNOSUPPORT;
	if (rt.destination.address || rt.mask.address)
		return -EOPNOTSUPP; /* one gateway is all there is */
	for (uint32_t i = 1; i < IF_INDEX_END; i++) {
		struct net_if nif;

		if (!net_if_get(i, &nif) || (name[0] && strcmp(name, nif.name)))
			continue;
		if (cmd == SIOCADDRT && neighbour(&nif, rt.gateway.address))
			return nif.gateway4
				       ? -EEXIST
				       : net_if_set_ip4(i, nif.ip4, nif.mask4, rt.gateway.address);
		if (cmd == SIOCDELRT && nif.gateway4 &&
		    (!rt.gateway.address || rt.gateway.address == nif.gateway4))
			return net_if_set_ip4(i, nif.ip4, nif.mask4, 0);
	}
	return cmd == SIOCADDRT ? -ENETUNREACH : -ESRCH;
}

long net_if_ioctl(uint32_t cmd, uint64_t arg)
{
	struct ifreq r;
	struct net_if nif;
	bool sets = false;
	long ret;

	switch (cmd) {
	case SIOCGIFCONF:
		return conf(arg);
	case SIOCADDRT:
	case SIOCDELRT:
		return route(cmd, arg);
	case SIOCGIFNAME:
	case SIOCGIFFLAGS:
	case SIOCGIFADDR:
	case SIOCGIFDSTADDR:
	case SIOCGIFNETMASK:
	case SIOCGIFBRDADDR:
	case SIOCGIFHWADDR:
	case SIOCGIFMTU:
	case SIOCGIFINDEX:
	case SIOCGIFTXQLEN:
	case SIOCGIFMETRIC:
	case SIOCGIFMAP:
		break;
	case SIOCSIFFLAGS:
	case SIOCSIFADDR:
	case SIOCSIFNETMASK:
	case SIOCSIFBRDADDR:
	case SIOCSIFMTU:
		sets = true;
		break;
	default:
		return -ENOTTY;
	}
	if (uk_copy_in(&r, arg, sizeof(r)))
		return -EFAULT;
	r.name[sizeof(r.name) - 1] = '\0';
	if (cmd == SIOCGIFNAME ? !net_if_get((uint32_t)r.value, &nif) : !net_if_find(r.name, &nif))
		return -ENODEV;
	memcpy(r.name, nif.name, sizeof(r.name));
	if (sets)
		return set(cmd, &r, &nif);
	ret = cmd == SIOCGIFNAME ? 0 : get(cmd, &r, &nif);
	if (ret)
		return ret;
	return uk_copy_out(arg, &r, sizeof(r)) ? -EFAULT : 0;
}
