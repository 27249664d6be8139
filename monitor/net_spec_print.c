/* SPDX-License-Identifier: Apache-2.0 */
/* net_spec_print.c: see net_spec.h: what a VM's --net arguments mean together; and back to text. */
#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "net_spec.h"

/* ---- all of a VM's ---- */
static bool name_taken(const struct net_spec *spec, unsigned n, const char *name)
{
	for (unsigned i = 0; i < n; i++)
		if (!strcmp(spec[i].config.name, name))
			return true;
	return false;
}

int net_spec_finish(struct net_spec *spec, unsigned n, const uint8_t (*random)[6], struct err *err)
{
	for (unsigned i = 0, next = 0; i < n; i++) {
		struct noxs_net_config *c = &spec[i].config;

		while (!c->name[0]) {
			char name[16];

			snprintf(name, sizeof(name), "eth%u", next++);
			if (!name_taken(spec, n, name))
				strcpy(c->name, name);
		}
		if (spec[i].has_mac)
			continue;
		memcpy(c->mac, random[i], 6);
		c->mac[0] = (c->mac[0] & 0xfc) | 2; /* locally administered, unicast */
		/* A socket that has its interface for itself is that interface: mayfly-net tells
		 * its MAC. */
		spec[i].has_mac = spec[i].kind != NET_XDP || spec[i].share;
	}
	for (unsigned i = 0; i < n; i++)
		for (unsigned j = i + 1; j < n; j++) {
			const struct noxs_net_config *a = &spec[i].config, *b = &spec[j].config;

			if (!strcmp(a->name, b->name))
				return err_set(err, 0, "--net: two devices are called %s (name=)",
					       a->name);
			if (!memcmp(a->mac, b->mac, 6))
				return err_set(err, 0,
					       "--net: two devices have the same address "
					       "mac=%02x:%02x:%02x:%02x:%02x:%02x",
					       a->mac[0], a->mac[1], a->mac[2], a->mac[3],
					       a->mac[4], a->mac[5]);
		}
	return 0;
}

/* ---- and back ---- */
struct out {
	char *buf;
	size_t size, n;
};

__attribute__((format(printf, 2, 3))) static void put(struct out *out, const char *fmt, ...)
{
	va_list args;
	int n;

	va_start(args, fmt);
	n = vsnprintf(out->n < out->size ? out->buf + out->n : NULL,
		      out->n < out->size ? out->size - out->n : 0, fmt, args);
	va_end(args);
	out->n += n > 0 ? (size_t)n : 0;
}

static void put_addresses(struct out *out, const char *key, const struct noxs_net_address *a, int n)
{
	char text[INET6_ADDRSTRLEN];

	for (; n--; a++) {
		if (!a->family)
			continue;
		inet_ntop(a->family == 6 ? AF_INET6 : AF_INET, a->address, text, sizeof(text));
		put(out, ",%s=%s", key, text);
		if (a->prefix)
			put(out, "/%u", a->prefix);
	}
}

size_t net_spec_print(const struct net_spec *spec, char *buf, size_t size)
{
	const struct noxs_net_config *c = &spec->config;
	struct out out = {buf, size, 0};

	put(&out, "%s", net_kind_name[spec->kind]);
	if (spec->fd >= 0)
		put(&out, "=fd:%d", spec->fd);
	else if (spec->ifname[0])
		put(&out, "=%s", spec->ifname);
	if (spec->has_mac)
		put(&out, ",mac=%02x:%02x:%02x:%02x:%02x:%02x", c->mac[0], c->mac[1], c->mac[2],
		    c->mac[3], c->mac[4], c->mac[5]);
	put_addresses(&out, "ip", c->address, NOXS_NET_ADDRESSES);
	if (spec->has_ip && (c->flags & NOXS_NET_DHCP))
		put(&out, ",ip=dhcp");
	if (spec->has_ip && (c->flags & NOXS_NET_SLAAC))
		put(&out, ",ip=auto");
	put_addresses(&out, "gw", c->gateway, 2);
	put_addresses(&out, "dns", c->dns, NOXS_NET_DNS);
	if (c->domain[0])
		put(&out, ",domain=%s", c->domain);
	if (c->mtu)
		put(&out, ",mtu=%u", c->mtu);
	if (c->name[0])
		put(&out, ",name=%s", c->name);
	if (spec->kind == NET_XDP) {
		if (spec->queue >= 0)
			put(&out, ",queue=%d", spec->queue);
		put(&out, ",mode=%s,copy=%s%s%s", net_mode_name[spec->mode],
		    net_copy_name[spec->copy], spec->share ? ",share" : "",
		    spec->promisc ? ",promisc" : "");
	}
	if (spec->bridge[0])
		put(&out, ",bridge=%s", spec->bridge);
	if (spec->offload >= 0)
		put(&out, ",offload=%s", spec->offload ? "on" : "off");
	if (spec->quiet)
		put(&out, ",flood=off");
	return out.n;
}
