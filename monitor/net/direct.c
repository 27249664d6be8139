/* SPDX-License-Identifier: Apache-2.0 */
/* direct.c: an AF_XDP socket on a queue of the host's interface itself. */
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/if_packet.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "open.h"
#include "steer.h"
#include "steer_maps.h"

/* How many queues the interface receives on; 1 where the driver does not say. */
static unsigned count_queues(const struct opening *o)
{
	struct ethtool_channels channels = {.cmd = ETHTOOL_GCHANNELS};
	struct ifreq request = {.ifr_data = (void *)&channels};
	unsigned n;

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", o->link.name);
	if (ioctl(o->host.inet, SIOCETHTOOL, &request))
		return 1;
	n = channels.combined_count + channels.rx_count;
	return n < 1 ? 1 : n > STEER_QUEUES ? STEER_QUEUES : n;
}

/* The interface is to take frames for the VM's MAC, too, or all. That lasts as long as the socket.
 */
static int take_mac(struct opening *o, struct err *err)
{
	struct packet_mreq request = {.mr_ifindex = o->link.index,
				      .mr_type = o->spec->promisc ? PACKET_MR_PROMISC
								  : PACKET_MR_UNICAST,
				      .mr_alen = 6};
	int fd;

	/* A veth takes everything; it would only log that it does. */
	if (!strcmp(o->link.kind, "veth") || (!o->spec->promisc && !memcmp(o->link.mac, o->mac, 6)))
		return 0;
	fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	memcpy(request.mr_address, o->mac, 6);
	if (fd < 0 || setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &request, sizeof(request)))
		return err_set(err, errno, "cannot make %s take frames for %s", o->link.name,
			       rtnl_mac_text(o->mac));
	opening_hold(o, fd);
	return 0;
}

/* Which queues are free, by trying: for a message. */
static int say_busy(struct opening *o, unsigned queue, unsigned queues, struct err *err)
{
	char list[96] = "";
	size_t len = 0;

	for (unsigned i = 0; i < queues && len < sizeof(list) - 12; i++) {
		struct xsk_opened opened;
		int fd = xsk_open(o->link.index, i, NET_COPY_COPY, false, &o->memory, &opened);

		if (fd < 0)
			continue;
		len += (size_t)snprintf(list + len, sizeof(list) - len, " %u", i);
		close(fd);
	}
	if (len)
		return err_set(err, 0,
			       "queue %u of %s is taken; free:%s. Or let VMs share it: share",
			       queue, o->link.name, list);
	return err_set(err, 0,
		       "all %u queues of %s are taken: let the VMs share it (share, each of them)",
		       queues, o->link.name);
}

static int open_queue(struct opening *o, enum net_copy copy, struct xsk_opened *opened,
		      struct err *err)
{
	unsigned queues = count_queues(o), first = 0, last = queues - 1;
	int fd = -EBUSY;

	if (o->spec->queue >= (int)queues)
		return err_set(err, 0, "%s has no queue %d: its queues are 0 to %u", o->link.name,
			       o->spec->queue, queues - 1);
	if (o->spec->queue < 0 && queues > 1)
		return err_set(err, 0,
			       "%s receives on %u queues, and a socket sees one: give queue=N and "
			       "lead its frames there (ethtool -N, or ethtool -L to have one), or "
			       "share",
			       o->link.name, queues);
	if (o->spec->queue >= 0)
		first = last = (unsigned)o->spec->queue;
	for (unsigned i = first; fd == -EBUSY && i <= last; i++) {
		o->answer.queue = (int)i;
		fd = xsk_open(o->link.index, i, copy, true, &o->memory, opened);
	}
	if (fd == -EBUSY)
		return say_busy(o, first, queues, err);
	return fd < 0 ? opening_xsk_error(o, fd, (unsigned)o->answer.queue, err) : fd;
}

int open_direct(struct opening *o, struct err *err)
{
	enum net_copy copy = o->spec->copy;
	struct xsk_opened opened;
	struct steer steer;
	int ret, sock;

	if (!(o->link.flags & IFF_UP))
		return err_set(err, 0, "%s is down: ip link set %s up", o->link.name, o->link.name);
	ret = steer_lock(err);
	if (ret)
		return ret;
	ret = steer_attach(&steer, &o->host, &o->link, o->spec->mode, STEER_QUEUE, err);
	if (ret)
		return ret;
	/* Generic XDP sees frames after the driver has taken them out of its queue. */
	if (!steer.native && copy == NET_COPY_AUTO)
		copy = NET_COPY_COPY;
	if (!steer.native && copy == NET_COPY_ZERO)
		return err_set(err, 0, "copy=zerocopy needs native mode, which %s has not",
			       o->link.name);
	sock = open_queue(o, copy, &opened, err);
	if (sock < 0)
		return sock;
	opening_hold_xsk(o, sock, o->link.index, &opened);
	opening_watch(o, o->link.index);
	opening_hold(o, steer.link);
	ret = take_mac(o, err);
	if (ret)
		return ret;
	o->answer.flags |= steer.native ? NET_OPENED_NATIVE : 0u;
	snprintf(o->answer.ifname, sizeof(o->answer.ifname), "%s", o->link.name);
	return steer_queue(&steer, (unsigned)o->answer.queue, o->mac, o->spec->promisc, sock, err);
}
