/* SPDX-License-Identifier: Apache-2.0 */
/* run_net.c: see run_net.h. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "cmd.h"
#include "net.h"
#include "run_net.h"
#include "wire.h"

static struct run_net {
	unsigned n;
	struct net_spec spec[NOXS_NET_MAX];
	struct net_spec ports; /* only those, until it is known whose they are */
	struct net_link link[NOXS_NET_MAX];
	const char *text[NOXS_NET_MAX + 1], *port_text[NET_MAX_PORTS + 1];
	unsigned nports;
} net;

int run_net_add(const char *text, struct err *err)
{
	int ret;

	if (net.n == NOXS_NET_MAX)
		return err_set(err, 0, "--net %s: a VM has at most %u net devices", text,
			       NOXS_NET_MAX);
	ret = net_spec_parse(&net.spec[net.n], text, err);
	if (!ret)
		net.text[net.n++] = text;
	return ret;
}

int run_net_publish(const char *text, struct err *err)
{
	int ret = net_port_parse(&net.ports, text, err);

	if (!ret)
		net.port_text[net.nports++] = text;
	return ret;
}

const char *const *run_net_texts(void)
{
	return net.text;
}

const char *const *run_net_ports(void)
{
	return net.port_text;
}

int run_net_finish(struct err *err)
{
	uint8_t random[NOXS_NET_MAX][6];

	if (!net.n && !net.ports.nports)
		return 0;
	if (net_spec_publish(net.spec, &net.n, &net.ports, err))
		return -EINVAL;
	if (getrandom(random, sizeof(random), 0) != sizeof(random))
		return err_set(err, errno, "cannot make a MAC address");
	return net_spec_finish(net.spec, net.n, random, err);
}

int run_net_open(struct err *err)
{
	for (unsigned i = 0; i < net.n; i++) {
		int ret = net_open(&net.link[i], &net.spec[i], err);

		if (ret)
			return ret;
	}
	return 0;
}

int run_net_attach(struct vm *vm, struct guest *guest, struct err *err)
{
	for (unsigned i = 0; i < net.n; i++) {
		int ret = net_prepare(vm, guest, i, &net.link[i], err);

		if (ret)
			return ret;
		net_configure(i, &net.link[i].config);
	}
	return 0;
}

/* The guest's word: nothing here depends on it. */
static void print_claimed(FILE *f, unsigned index)
{
	struct noxs_net_address all[NOXS_NET_ADDRESSES];
	const char *before = "; the guest says it has ";
	char text[INET6_ADDRSTRLEN];

	net_claimed(index, all);
	for (unsigned i = 0; i < NOXS_NET_ADDRESSES; i++) {
		if (!all[i].family)
			continue;
		inet_ntop(all[i].family == 6 ? AF_INET6 : AF_INET, all[i].address, text,
			  sizeof(text));
		fprintf(f, "%s%s/%u", before, text, all[i].prefix);
		before = ", ";
	}
}

void run_net_stats(FILE *f)
{
	static const char *const backend[] = {"?", "xdp", "tap", "user"};

	for (unsigned i = 0; i < net.n; i++) {
		const struct net_counters c = net_counters(i);
		const struct net_opened *o = &net.link[i].opened;

		fprintf(f,
			"mayfly: net %s: %s %s: in %" PRIu64 " frames, %" PRIu64 " bytes, %" PRIu64
			" dropped; out %" PRIu64 ", %" PRIu64 ", %" PRIu64 "; kicks %" PRIu64
			"%s%s%s",
			net.link[i].config.name, backend[o->backend <= 3 ? o->backend : 0],
			o->ifname, c.rx_frames, c.rx_bytes, c.rx_dropped, c.tx_frames, c.tx_bytes,
			c.tx_dropped, c.kicks, c.copying ? "; rings copied" : "",
			c.broken ? "; " : "", c.broken ? c.broken : "");
		print_claimed(f, i);
		fputc('\n', f);
	}
}

/* ---- for the daemon ---- */

/* Answers with what was opened. */
static int hand_over(const struct net_link *link, struct err *err)
{
	struct wire_net answer = {
		.opened = link->opened,
		.frame_bytes = link->frame_bytes,
		.buffers = link->buffers,
		.config = link->config,
	};
	union {
		struct cmsghdr head;
		char space[CMSG_SPACE((1 + NET_WIRE_FDS) * sizeof(int))];
	} control = {0};
	struct iovec iov = {&answer, sizeof(answer)};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control};
	int fd[1 + NET_WIRE_FDS] = {link->memory};

	for (int i = 0; i < NET_WIRE_FDS; i++)
		if (link->fd[i] >= 0)
			fd[++answer.nfds] = link->fd[i];
	m.msg_controllen = CMSG_SPACE((1 + answer.nfds) * sizeof(int));
	control.head.cmsg_len = CMSG_LEN((1 + answer.nfds) * sizeof(int));
	control.head.cmsg_level = SOL_SOCKET;
	control.head.cmsg_type = SCM_RIGHTS;
	memcpy(CMSG_DATA(&control.head), fd, (1 + answer.nfds) * sizeof(int));
	if (sendmsg(NET_WIRE_RESULT, &m, MSG_NOSIGNAL) != sizeof(answer))
		return err_set(err, errno, "cannot hand over a net device");
	return 0;
}

int cmd_net_open(int argc, char **argv)
{
	struct err err = {0};
	int ret = 0;

	if (argc < 2)
		return cmd_usage("net-open", "the daemon starts it");
	ret = run_net_add(argv[1], &err);
	for (int i = 2; i < argc && !ret; i++)
		ret = run_net_publish(argv[i], &err);
	if (ret || (ret = run_net_finish(&err)) || (ret = run_net_open(&err)) ||
	    (ret = hand_over(&net.link[0], &err)))
		return cmd_fail(&err);
	return 0;
}
