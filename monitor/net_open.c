/* SPDX-License-Identifier: Apache-2.0 */
/* net_open.c: see net.h: from what is asked for to open descriptors. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "image.h"
#include "net_open.h"

#define HELPER "mayfly-net"

/* The window, but for the pages of rings that the kernel makes. Its size stays: nobody whom it
 * is shown can make it shorter under the guest's, or our, feet. */
static int make_memory(struct net_link *link, struct err *err)
{
	const off_t bytes = NOXS_NET_OFF_BUFFERS + (off_t)link->buffers * link->frame_bytes;

	link->memory = memfd_create("mayfly-net", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (link->memory < 0 || ftruncate(link->memory, bytes) ||
	    fcntl(link->memory, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK))
		return err_set(err, errno, "cannot make memory for a net device's buffers");
	return 0;
}

/* The helper's answer. */
static int take_answer(struct net_link *link, int from, struct err *err)
{
	union {
		struct cmsghdr head;
		char space[CMSG_SPACE(sizeof(link->fd))];
	} control;
	struct iovec iov = {&link->opened, sizeof(link->opened)};
	struct msghdr m = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = CMSG_LEN(sizeof(link->fd)),
	};
	ssize_t n = recvmsg(from, &m, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	struct cmsghdr *c = n < 0 ? NULL : CMSG_FIRSTHDR(&m);

	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
		memcpy(link->fd, CMSG_DATA(c), c->cmsg_len - CMSG_LEN(0));
	if (n != sizeof(link->opened) || (m.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) ||
	    link->fd[0] < 0 || link->opened.version != NET_WIRE_VERSION)
		return err_set(err, EPROTO,
			       "the helper " HELPER " is of another version; install mayfly again");
	link->opened.ifname[sizeof(link->opened.ifname) - 1] = 0;
	return 0;
}

static int ask_helper(struct net_link *link, const struct net_spec *spec, struct err *err)
{
	char text[NET_SPEC_TEXT];
	char *argv[] = {NULL, "open", text, NULL};
	int pair[2], ret;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return err_set(err, errno, "cannot make a socket for the helper " HELPER);
	net_spec_print(spec, text, sizeof(text));
	_Static_assert(NET_WIRE_RESULT == 3 && NET_WIRE_MEMORY == 4, "as helper_run counts");
	ret = helper_run(HELPER, argv, (int[]){pair[1], link->memory}, 2, err);
	close(pair[1]);
	if (!ret) {
		ret = take_answer(link, pair[0], err);
	} else if (ret > 0) {
		/* It has said what is wrong. */
		err->exit = ret;
		err->message[0] = 0;
		ret = -EIO;
	}
	close(pair[0]);
	return ret;
}

int net_open(struct net_link *link, const struct net_spec *spec, struct err *err)
{
	static const uint8_t none[6];
	int ret;

	*link = (struct net_link){
		.fd = {-1, -1, -1, -1},
		.memory = -1,
		.frame_bytes = NOXS_NET_FRAME_BYTES,
		.buffers = NOXS_NET_MAX_BUFFERS,
		.config = spec->config,
	};
	_Static_assert(NET_WIRE_FDS == 4, "fd");
	ret = make_memory(link, err);
	if (!ret && spec->kind == NET_USER)
		ret = net_open_user(link, spec, err);
	else if (!ret && spec->kind == NET_TAP && !spec->bridge[0])
		ret = net_open_tap(link, spec, err);
	else if (!ret)
		ret = ask_helper(link, spec, err);
	if (ret) {
		net_close(link);
		return ret;
	}
	if (memcmp(link->opened.mac, none, 6) != 0)
		memcpy(link->config.mac, link->opened.mac, 6);
	else
		memcpy(link->opened.mac, link->config.mac, 6);
	if (!link->config.mtu)
		link->config.mtu = link->opened.mtu;
	if (!link->config.mtu || link->config.mtu > NOXS_NET_MAX_MTU)
		link->config.mtu = NOXS_NET_MAX_MTU;
	return 0;
}

void net_close(struct net_link *link)
{
	for (int i = 0; i < NET_WIRE_FDS; i++)
		if (link->fd[i] >= 0)
			close(link->fd[i]);
	if (link->memory >= 0)
		close(link->memory);
	memset(link->fd, -1, sizeof(link->fd));
	link->memory = -1;
}
