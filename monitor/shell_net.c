/* SPDX-License-Identifier: Apache-2.0 */
/* shell_net.c: see shell.h: a shell's net devices, which others have opened. */
#include <errno.h>
#include <string.h>

#include "net.h"
#include "shell.h"

unsigned shell_net_fds(const struct wire_net *net, unsigned n)
{
	unsigned fds = 0;

	for (unsigned i = 0; i < n; i++)
		if (!net[i].prepared)
			fds += 1 + (net[i].nfds < NET_WIRE_FDS ? net[i].nfds : NET_WIRE_FDS);
	return fds;
}

int shell_net_add(struct shell *s, const struct wire_net *net, const int **fd, unsigned *n,
		  struct err *err)
{
	struct net_link link = {
		.opened = net->opened,
		.fd = {-1, -1, -1, -1},
		.memory = -1,
		.frame_bytes = net->frame_bytes,
		.buffers = net->buffers,
		.config = net->config,
	};
	int ret;

	if (!net->nfds || net->nfds > NET_WIRE_FDS || *n < 1 + net->nfds || s->nnet >= NOXS_NET_MAX)
		return err_set(err, EPROTO, "a net device has not the descriptors that it needs");
	link.memory = (*fd)[0];
	memcpy(link.fd, *fd + 1, net->nfds * sizeof(int));
	*fd += 1 + net->nfds;
	*n -= 1 + net->nfds;
	link.opened.ifname[sizeof(link.opened.ifname) - 1] = 0;
	ret = net_prepare(&s->vm, &s->guest, s->nnet, &link, err);
	if (ret)
		return ret;
	net_configure(s->nnet++, &net->config);
	return 0;
}

unsigned shell_net_counters(const struct shell *s, struct news_net *net)
{
	for (unsigned i = 0; i < s->nnet; i++) {
		const struct net_counters c = net_counters(i);

		net[i] = (struct news_net){
			.rx_frames = c.rx_frames,
			.rx_bytes = c.rx_bytes,
			.rx_dropped = c.rx_dropped,
			.tx_frames = c.tx_frames,
			.tx_bytes = c.tx_bytes,
			.tx_dropped = c.tx_dropped,
			.kicks = c.kicks,
			.copying = c.copying,
			.broken = c.broken != NULL,
		};
		net_claimed(i, net[i].claimed);
	}
	return s->nnet;
}
