/* SPDX-License-Identifier: Apache-2.0 */
/* vm_net.c: see vm_net.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "vm_net.h"

#define PORT_TEXT 128 /* of one port or range */

/* The whole request, read: 0 or -EINVAL. */
static int parse(const struct vm_spec *spec, struct net_spec *s, unsigned *n, struct err *err)
{
	static struct net_spec ports;
	uint8_t random[NOXS_NET_MAX][6];

	ports.nports = 0;
	*n = 0;
	for (size_t i = 0; i < spec->nnet; i++) {
		if (*n == NOXS_NET_MAX)
			return err_set(err, 0, "a VM has at most %u net devices", NOXS_NET_MAX);
		if (net_spec_parse(&s[*n], spec->net[i], err))
			return -EINVAL;
		if (s[*n].fd >= 0)
			return err_set(
				err, 0,
				"--net %s: the daemon has not the caller's descriptors; name "
				"the tap",
				spec->net[i]);
		(*n)++;
	}
	for (size_t i = 0; i < spec->npublish; i++)
		if (net_port_parse(&ports, spec->publish[i], err))
			return -EINVAL;
	if (net_spec_publish(s, n, &ports, err))
		return -EINVAL;
	if (getrandom(random, sizeof(random), 0) != sizeof(random))
		return err_set(err, errno, "cannot make a MAC address");
	return net_spec_finish(s, *n, random, err);
}

/* What of it says how it is opened, and nothing that is only told to the guest. */
static void print_open(const struct net_spec *spec, char *buf, size_t size)
{
	struct net_spec open = *spec;

	open.has_mac = open.has_ip = false;
	open.config = (struct noxs_net_config){.flags = NOXS_NET_LINK_UP};
	net_spec_print(&open, buf, size);
}

static const char *append(char **at, const char *text)
{
	const char *copy = *at;

	*at = stpcpy(*at, text) + 1;
	return copy;
}

static void copy_device(struct vm_net_device *d, const struct net_spec *spec, char **at)
{
	char text[NET_SPEC_TEXT];

	d->kind = (uint8_t)spec->kind;
	d->config = spec->config;
	memcpy(d->opened.ifname, spec->ifname, sizeof(d->opened.ifname));
	net_spec_print(spec, text, sizeof(text));
	d->spec = append(at, text);
	print_open(spec, text, sizeof(text));
	d->open = append(at, text);
	d->nports = (uint16_t)spec->nports;
	d->ports = *at;
	for (unsigned i = 0; i < spec->nports; i++) {
		net_port_print(&spec->port[i], text, PORT_TEXT);
		append(at, text);
	}
}

int vm_net_make(const struct vm_spec *spec, struct vm_net **net, struct err *err)
{
	static struct net_spec s[NOXS_NET_MAX]; /* one thread; 2 KiB each */
	size_t bytes = 0;
	struct vm_net *v;
	unsigned n;
	char *at;

	*net = NULL;
	if (!spec->nnet && !spec->npublish)
		return 0;
	if (parse(spec, s, &n, err))
		return ENGINE_BAD;
	for (unsigned i = 0; i < n; i++)
		bytes += 2 * (net_spec_print(&s[i], NULL, 0) + 1) + s[i].nports * PORT_TEXT;
	v = calloc(1, sizeof(*v) + bytes);
	if (!v) {
		err_set(err, ENOMEM, "no memory for a VM's net devices");
		return ENGINE_BUSY;
	}
	v->n = n;
	at = v->text;
	for (unsigned i = 0; i < n; i++)
		copy_device(&v->device[i], &s[i], &at);
	*net = v;
	return 0;
}

void vm_net_count(struct vm_net *net, const struct news_net *counters, unsigned n)
{
	for (unsigned i = 0; net && i < n && i < net->n; i++)
		net->device[i].counters = counters[i];
}

void net_handed_close(const struct net_handed *h)
{
	for (unsigned i = 0; i < 1 + h->wire.nfds; i++)
		close(h->fd[i]);
}
