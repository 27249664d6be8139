/* SPDX-License-Identifier: Apache-2.0 */
/* open.c: see open.h and ../net_wire.h. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "caps.h"
#include "open.h"
#include "program.h"

void opening_hold(struct opening *o, int fd)
{
	o->fd[o->nfds++] = fd;
}

void opening_hold_xsk(struct opening *o, int fd, int ifindex, const struct xsk_opened *opened)
{
	opening_hold(o, fd);
	if (opened->zerocopy)
		o->answer.flags |= NET_OPENED_ZEROCOPY;
	if (!opened->unbound)
		return;
	o->answer.flags |= NET_OPENED_BIND;
	o->answer.ifindex = (uint32_t)ifindex;
	o->answer.bind_flags = opened->bind_flags;
}

int opening_xsk_error(struct opening *o, int ret, unsigned queue, struct err *err)
{
	const char *name = o->link.name;

	if (ret == -ENOBUFS)
		return err_set(err, 0,
			       "the frames of %s need %zu KiB of locked memory: raise "
			       "RLIMIT_MEMLOCK, or give CAP_IPC_LOCK",
			       name, o->memory.bytes / 1024);
	if ((ret == -EOPNOTSUPP || ret == -EINVAL) && o->spec->copy == NET_COPY_ZERO)
		return err_set(err, -ret, "%s has no zero-copy mode: leave copy=zerocopy out",
			       name);
	if (ret == -EAFNOSUPPORT)
		return err_set(err, 0, "this kernel has no AF_XDP: use tap=NAME, or --net user");
	return err_set(err, -ret, "cannot open an AF_XDP socket on queue %u of %s", queue, name);
}

/* The MTU that the VM gets: what it asked for, else the interface's. */
static int choose_mtu(struct opening *o, struct err *err)
{
	unsigned asked = o->spec->config.mtu, mtu = asked ? asked : o->link.mtu;

	if (mtu > NOXS_NET_MAX_MTU)
		return err_set(err, 0,
			       "%s has an MTU of %u, and a VM's frames hold %u: add mtu=%u, if "
			       "nobody there sends more",
			       o->link.name, mtu, NOXS_NET_MAX_MTU, NOXS_NET_MAX_MTU);
	if (mtu > o->link.mtu)
		return err_set(err, 0, "mtu=%u is more than the %u of %s", mtu, o->link.mtu,
			       o->link.name);
	if (mtu < NOXS_NET_MIN_MTU)
		return err_set(err, 0, "%s has an MTU of %u, and IP needs %u", o->link.name, mtu,
			       NOXS_NET_MIN_MTU);
	o->answer.mtu = (uint16_t)mtu;
	return 0;
}

static int open_xdp(struct opening *o, struct err *err)
{
	const struct net_spec *spec = o->spec;
	char what[32];
	bool bridge;
	int ret;

	ret = xsk_memory_map(&o->memory, NET_WIRE_MEMORY, err);
	if (ret)
		return ret;
	ret = rtnl_link_get(&o->host, spec->ifname, &o->link);
	if (ret)
		return err_set(err, ret == -ENODEV ? 0 : -ret,
			       "there is no interface %s (nor a kind of network of that "
			       "name): see `ip link`, or make one: mayfly net create %s",
			       spec->ifname, spec->ifname);
	bridge = !strcmp(o->link.kind, "bridge");
	snprintf(what, sizeof(what), "--net xdp=%s", spec->ifname);
	ret = caps_check(CAPS_ADMIN | CAPS_RAW | CAPS_BPF | (bridge || spec->share ? CAPS_SYS : 0),
			 what, err);
	if (ret)
		return ret;
	ret = choose_mtu(o, err);
	if (ret)
		return ret;
	o->answer.backend = NOXS_NET_XDP;
	o->answer.entries = o->memory.entries;
	if ((bridge || spec->share) && spec->queue > 0)
		return err_set(err, 0, "%s: queue= is for an interface of one's own, not %s", what,
			       bridge ? "a bridge" : "share");
	if ((bridge || spec->share) && spec->promisc)
		return err_set(err, 0, "%s: promisc is for an interface of one's own, not %s", what,
			       bridge ? "a bridge" : "share");
	if (!bridge && spec->quiet)
		return err_set(err, 0, "%s: flood=off is for a VM at a bridge", what);
	program_quiet();
	return bridge        ? open_bridged(o, err)
	       : spec->share ? open_shared(o, err)
			     : open_direct(o, err);
}

static int send_answer(const struct opening *o, struct err *err)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(o->fd))];
	} control = {0};
	struct iovec iov = {(void *)&o->answer, sizeof(o->answer)};
	struct msghdr message = {.msg_iov = &iov,
				 .msg_iovlen = 1,
				 .msg_control = control.bytes,
				 .msg_controllen = CMSG_SPACE(o->nfds * sizeof(int))};
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);

	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(o->nfds * sizeof(int));
	memcpy(CMSG_DATA(header), o->fd, o->nfds * sizeof(int));
	if (sendmsg(NET_WIRE_RESULT, &message, MSG_NOSIGNAL) < 0)
		return err_set(err, errno,
			       "cannot answer on descriptor %d (this is for mayfly run)",
			       NET_WIRE_RESULT);
	return 0;
}

static int open_spec(const char *text, struct err *err)
{
	struct net_spec spec;
	struct opening o = {.spec = &spec, .answer = {.version = NET_WIRE_VERSION}};
	uint8_t mac[6];
	int ret = net_spec_parse(&spec, text, err);

	if (ret)
		return ret;
	memcpy(mac, spec.config.mac, 6);
	if (!spec.has_mac && !(mac[0] | mac[1] | mac[2] | mac[3] | mac[4] | mac[5]))
		rtnl_random_mac(mac, 0x02);
	o.mac = mac;
	memcpy(o.answer.mac, mac, 6);
	ret = rtnl_open(&o.host, err);
	if (ret)
		return ret;
	if (spec.kind == NET_XDP)
		ret = open_xdp(&o, err);
	else if (spec.kind == NET_TAP && spec.fd < 0)
		ret = open_tap(&o, err);
	else
		ret = err_set(err, 0, "--net %s is nothing that mayfly-net opens", text);
	return ret ? ret : send_answer(&o, err);
}

int open_main(const char *text)
{
	struct err err = {0};

	if (!open_spec(text, &err))
		return 0;
	fprintf(stderr, "mayfly: %s\n", err.message);
	return ERR_EXIT_SELF;
}
