/* SPDX-License-Identifier: Apache-2.0 */
/* vm_net.c: see vm_net.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "vm_net.h"

#define PORT_TEXT 128 /* of one port or range */

/* The whole request, read: 0 or -EINVAL. */
static int parse(const struct vm_spec *spec, struct net_spec *s, unsigned *n, unsigned *own_macs,
		 struct err *err)
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
		*own_macs |= (unsigned)s[*n].has_mac << *n;
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
static size_t print_open(const struct net_spec *spec, char *buf, size_t size)
{
	struct net_spec open = *spec;

	open.has_mac = open.has_ip = false;
	open.config = (struct noxs_net_config){.flags = NOXS_NET_LINK_UP};
	return net_spec_print(&open, buf, size);
}

/* Its MAC is told to a switch, or a steering program, when it is opened: it cannot be another's. */
static bool has_fixed_mac(const struct net_spec *spec)
{
	return spec->kind == NET_XDP || (spec->kind == NET_TAP && spec->bridge[0]);
}

/* False: it says what only a device of its own can have: ports, passt's addresses, a MAC where
 * that has to be known when it is opened. */
static bool print_key(const struct vm_net_device *d, const struct net_spec *spec, unsigned n,
		      char *key, size_t size)
{
	size_t at = 0;

	*key = 0;
	for (unsigned i = 0; i < n; i++) {
		if (spec[i].nports || (spec[i].kind == NET_USER && d[i].own_ip) ||
		    (d[i].own_mac && has_fixed_mac(&spec[i])))
			return false;
		if (at && at + 1 < size)
			key[at++] = '\n';
		at += print_open(&spec[i], key + at, size - at);
		if (at >= size)
			return false;
	}
	return true;
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
	d->own_ip = spec->has_ip;
	memcpy(d->segment, spec->kind == NET_XDP ? spec->ifname : spec->bridge, sizeof(d->segment));
	memcpy(d->opened.ifname, spec->ifname, sizeof(d->opened.ifname));
	net_spec_print(spec, text, sizeof(text));
	d->spec = append(at, text);
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
	unsigned n, own_macs = 0;
	char key[ENGINE_NET_BYTES];
	size_t bytes = sizeof(key);
	struct vm_net *v;
	char *at;

	*net = NULL;
	if (!spec->nnet && !spec->npublish)
		return 0;
	if (parse(spec, s, &n, &own_macs, err))
		return ENGINE_BAD;
	for (unsigned i = 0; i < n; i++)
		bytes += net_spec_print(&s[i], NULL, 0) + 1 + s[i].nports * PORT_TEXT;
	v = calloc(1, sizeof(*v) + bytes);
	if (!v) {
		err_set(err, ENOMEM, "no memory for a VM's net devices");
		return ENGINE_BUSY;
	}
	v->n = n;
	at = v->text;
	for (unsigned i = 0; i < n; i++) {
		copy_device(&v->device[i], &s[i], &at);
		v->device[i].own_mac = own_macs & 1u << i;
	}
	v->key = append(&at, print_key(v->device, s, n, key, sizeof(key)) ? key : "");
	*net = v;
	return 0;
}

/* ---- flavours ---- */

int vm_net_flavour(const char *const *net, size_t n, char key[ENGINE_NET_BYTES], struct err *err)
{
	static struct net_spec s[NOXS_NET_MAX];
	struct vm_net_device d[NOXS_NET_MAX] = {0};

	if (n > NOXS_NET_MAX)
		return err_set(err, 0, "a flavour has at most %u net devices", NOXS_NET_MAX);
	for (size_t i = 0; i < n; i++) {
		const struct noxs_net_config *c = &s[i].config;

		if (net_spec_parse(&s[i], net[i], err))
			return -EINVAL;
		if (s[i].has_mac || s[i].has_ip || s[i].fd >= 0 || c->dns[0].family ||
		    c->domain[0] || c->name[0] || c->mtu)
			return err_set(
				err, 0,
				"--net %s: a flavour says how a device is opened; mac, ip, gw, "
				"dns, domain, name and mtu are what each VM says",
				net[i]);
	}
	if (!print_key(d, s, (unsigned)n, key, ENGINE_NET_BYTES))
		return err_set(err, 0, "a flavour's net devices are too long a text");
	return 0;
}

int vm_net_of_flavour(const char *key, struct vm_net **net, struct err *err)
{
	const char *list[NOXS_NET_MAX];
	struct vm_spec spec = {.net = list};
	char text[ENGINE_NET_BYTES], *rest = text, *line;

	snprintf(text, sizeof(text), "%s", key);
	while (spec.nnet < NOXS_NET_MAX && (line = strsep(&rest, "\n")))
		list[spec.nnet++] = line;
	return vm_net_make(&spec, net, err);
}

void vm_net_take(struct vm_net_device *d, struct wire_net *h)
{
	struct noxs_net_config *c = &d->config;
	const struct noxs_net_config *had = &h->config;

	if (!d->own_mac)
		memcpy(c->mac, had->mac, sizeof(c->mac));
	if (!c->mtu || c->mtu > had->mtu)
		c->mtu = had->mtu;
	if (d->kind == NET_USER) {
		memcpy(c->address, had->address, sizeof(c->address));
		memcpy(c->gateway, had->gateway, sizeof(c->gateway));
		if (!c->dns[0].family)
			memcpy(c->dns, had->dns, sizeof(c->dns));
		c->flags = had->flags;
	}
	h->config = *c;
	d->opened = h->opened;
	d->is_open = true;
}

bool vm_net_is_given(const struct vm_net *net)
{
	for (unsigned i = 0; net && i < net->n; i++)
		if (net->device[i].config.flags & (NOXS_NET_DHCP | NOXS_NET_SLAAC))
			return true;
	return false;
}

void vm_net_count(struct vm_net *net, const struct news_net *counters, unsigned n)
{
	for (unsigned i = 0; net && i < n && i < net->n; i++)
		net->device[i].counters = counters[i];
}

void net_handed_close(const struct net_handed *h)
{
	for (unsigned i = 0; i < net_handed_fds(h); i++)
		close(h->fd[i]);
}
