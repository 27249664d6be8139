/* SPDX-License-Identifier: Apache-2.0 */
/* api_net.c: a VM's net devices as JSON: NetDevice and NetStats of openapi.yaml. */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "api.h"
#include "vm_net.h"

static void mac(struct out *o, const uint8_t *m)
{
	char text[18];

	snprintf(text, sizeof(text), "%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4],
		 m[5]);
	out_string(o, "mac", text);
}

static void addresses(struct out *o, const struct noxs_net_address *a, int n)
{
	char text[INET6_ADDRSTRLEN + 8];

	for (; n--; a++) {
		if (!a->family)
			continue;
		inet_ntop(a->family == 6 ? AF_INET6 : AF_INET, a->address, text, INET6_ADDRSTRLEN);
		if (a->prefix)
			sprintf(text + strlen(text), "/%u", a->prefix);
		out_string(o, NULL, text);
	}
}

static void device(struct out *o, const struct vm_net_device *d, bool lives)
{
	const struct noxs_net_config *c = &d->config;
	const char *port = d->ports;

	out_open(o, NULL, '{');
	out_string(o, "name", c->name);
	out_string(o, "kind", net_kind_name[d->kind]);
	out_string(o, "interface", d->opened.ifname);
	mac(o, c->mac);
	out_uint(o, "mtu", c->mtu);
	out_open(o, "addresses", '[');
	addresses(o, c->address, NOXS_NET_ADDRESSES);
	if (c->flags & NOXS_NET_DHCP)
		out_string(o, NULL, "dhcp");
	if (c->flags & NOXS_NET_SLAAC)
		out_string(o, NULL, "auto");
	out_close(o, ']');
	if (lives) {
		out_open(o, "guest_addresses", '[');
		addresses(o, d->counters.claimed, NOXS_NET_ADDRESSES);
		out_close(o, ']');
	}
	out_open(o, "gateways", '[');
	addresses(o, c->gateway, 2);
	out_close(o, ']');
	out_open(o, "dns", '[');
	addresses(o, c->dns, NOXS_NET_DNS);
	out_close(o, ']');
	out_string(o, "domain", c->domain);
	out_open(o, "publish", '[');
	for (unsigned i = 0; i < d->nports; i++, port += strlen(port) + 1)
		out_string(o, NULL, port);
	out_close(o, ']');
	if (d->is_open && d->kind == NET_XDP) {
		out_int(o, "queue", d->opened.queue);
		out_bool(o, "native", d->opened.flags & NET_OPENED_NATIVE);
		out_bool(o, "zerocopy", d->opened.flags & NET_OPENED_ZEROCOPY);
		out_bool(o, "shared", d->opened.flags & NET_OPENED_SHARED);
	}
	if (d->is_open && d->kind == NET_TAP)
		out_bool(o, "offload", d->opened.flags & NET_OPENED_VNET);
	out_close(o, '}');
}

void out_net(struct out *o, const struct vm *vm)
{
	const struct vm_net *net = vm->net;

	if (!net)
		return;
	out_open(o, "net", '[');
	for (unsigned i = 0; i < net->n; i++)
		device(o, &net->device[i], vm->state == VM_RUNNING || vm->state == VM_PAUSED);
	out_close(o, ']');
}

void out_net_stats(struct out *o, const struct vm_net *net)
{
	if (!net)
		return;
	out_open(o, "net", '[');
	for (unsigned i = 0; i < net->n; i++) {
		const struct news_net *c = &net->device[i].counters;

		out_open(o, NULL, '{');
		out_string(o, "name", net->device[i].config.name);
		out_uint(o, "rx_frames", c->rx_frames);
		out_uint(o, "rx_bytes", c->rx_bytes);
		out_uint(o, "rx_dropped", c->rx_dropped);
		out_uint(o, "tx_frames", c->tx_frames);
		out_uint(o, "tx_bytes", c->tx_bytes);
		out_uint(o, "tx_dropped", c->tx_dropped);
		out_uint(o, "kicks", c->kicks);
		out_bool(o, "copying", c->copying);
		out_bool(o, "broken", c->broken);
		out_close(o, '}');
	}
	out_close(o, ']');
}
