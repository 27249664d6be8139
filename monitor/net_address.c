/* SPDX-License-Identifier: Apache-2.0 */
/* net_address.c: see net_spec_own.h: what --net says of addresses. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "net_spec_own.h"

#define ONE_IPV4                                                                     \
	"a device has one IPv4 address, of its own or by dhcp; give the VM a second" \
	" --net for another"

static unsigned bytes_of(const struct noxs_net_address *a)
{
	return a->family == 6 ? 16 : 4;
}

/* Neither "any", loopback, multicast, broadcast nor an IPv4 one in IPv6's clothes. */
static bool is_unicast(const struct noxs_net_address *a)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	const uint8_t *byte = a->address;

	if (a->family == 4)
		return byte[0] != 0 && byte[0] != 127 && byte[0] < 224;
	return byte[0] != 0xff && memcmp(byte, mapped, 12) != 0 &&
	       !(is_zero(byte, 15) && byte[15] <= 1);
}

static bool link_local(const struct noxs_net_address *a)
{
	return a->family == 6 && a->address[0] == 0xfe && (a->address[1] & 0xc0) == 0x80;
}

/* The bits behind the prefix: all 0, all 1, or neither. */
static bool host_bits_are(const struct noxs_net_address *a, bool set)
{
	for (unsigned bit = a->prefix; bit < bytes_of(a) * 8; bit++)
		if (!(a->address[bit / 8] & 0x80 >> bit % 8) == set)
			return false;
	return true;
}

static bool same_net(const struct noxs_net_address *net, const struct noxs_net_address *a)
{
	unsigned whole = net->prefix / 8, rest = net->prefix % 8;

	return net->family == a->family && !memcmp(net->address, a->address, whole) &&
	       (!rest || !((net->address[whole] ^ a->address[whole]) & 0xff00 >> rest));
}

static bool same_address(const struct noxs_net_address *a, const struct noxs_net_address *b)
{
	return a->family == b->family && !memcmp(a->address, b->address, sizeof(a->address));
}

/* A device has one IPv4 address (lwIP's interface has one): DHCP's or a static one. */
static bool has_ipv4(const struct noxs_net_config *c)
{
	for (int i = 0; i < NOXS_NET_ADDRESSES; i++)
		if (c->address[i].family == 4)
			return true;
	return c->flags & NOXS_NET_DHCP;
}

/* Any address: 0, or -EINVAL. */
static int address(struct noxs_net_address *a, const char *value)
{
	*a = (struct noxs_net_address){.family = strchr(value, ':') ? 6 : 4};
	return inet_pton(a->family == 6 ? AF_INET6 : AF_INET, value, a->address) == 1 ? 0 : -EINVAL;
}

int net_set_ip(struct net_spec *spec, const char *value, struct err *err)
{
	struct noxs_net_address *all = spec->config.address, a;
	char text[MAX_PART], why[160];
	char *slash;
	long prefix, max;
	int n = 0;

	spec->has_ip = true;
	if (!strcmp(value, "dhcp") || !strcmp(value, "auto")) {
		uint32_t flag = *value == 'd' ? NOXS_NET_DHCP : NOXS_NET_SLAAC;

		if (spec->config.flags & flag)
			return net_spec_bad(err, "ip", value, "it is there twice");
		if (flag == NOXS_NET_DHCP && has_ipv4(&spec->config))
			return net_spec_bad(err, "ip", value, ONE_IPV4);
		spec->config.flags |= flag;
		return 0;
	}
	snprintf(text, sizeof(text), "%s", value);
	slash = strchr(text, '/');
	if (slash)
		*slash = 0;
	if (address(&a, text))
		return net_spec_bad(
			err, "ip", value,
			"it may be an address with its prefix (10.0.0.5/24, fd00::5/64), dhcp "
			"(IPv4) or auto (IPv6, from router advertisements)");
	max = a.family == 6 ? 128 : 32;
	prefix = slash ? net_spec_number(slash + 1, max) : -1;
	if (prefix < 1) {
		if (slash)
			snprintf(why, sizeof(why), "the prefix length is from 1 to %ld", max);
		else
			snprintf(why, sizeof(why), "write the prefix length, too: ip=%.50s/%d",
				 text, a.family == 6 ? 64 : 24);
		return net_spec_bad(err, "ip", value, why);
	}
	a.prefix = (uint8_t)prefix;
	if (!is_unicast(&a))
		return net_spec_bad(err, "ip", value,
				    "no device can have it: it is not a unicast address");
	if (max - prefix > 1 &&
	    (host_bits_are(&a, false) || (max == 32 && host_bits_are(&a, true))))
		return net_spec_bad(
			err, "ip", value,
			"no device can have it: it is the network's own, or its broadcast "
			"address");
	for (; n < NOXS_NET_ADDRESSES && all[n].family; n++)
		if (same_address(&all[n], &a))
			return net_spec_bad(err, "ip", value, "it is there twice");
	if (a.family == 4 && has_ipv4(&spec->config))
		return net_spec_bad(err, "ip", value, ONE_IPV4);
	if (n == NOXS_NET_ADDRESSES)
		return net_spec_bad(err, "ip", value, "a device has at most four addresses");
	all[n] = a;
	return 0;
}

int net_set_gateway(struct net_spec *spec, const char *value, struct err *err)
{
	struct noxs_net_address a;
	struct noxs_net_address *to;

	if (address(&a, value) || !is_unicast(&a))
		return net_spec_bad(
			err, "gw", value,
			"write a router's address without a prefix: 10.0.0.1 or fd00::1");
	to = &spec->config.gateway[a.family == 6];
	if (to->family)
		return net_spec_bad(err, "gw", value,
				    "there is one for IPv4 and one for IPv6 at most");
	*to = a;
	return 0;
}

int net_set_dns(struct net_spec *spec, const char *value, struct err *err)
{
	struct noxs_net_address *all = spec->config.dns, a;
	int n = 0;

	if (address(&a, value) || (!is_unicast(&a) && a.address[0] != 127))
		return net_spec_bad(
			err, "dns", value,
			"write a name server's address without a port: 9.9.9.9 or fd00::53");
	for (; n < NOXS_NET_DNS && all[n].family; n++)
		if (same_address(&all[n], &a))
			return net_spec_bad(err, "dns", value, "it is there twice");
	if (n == NOXS_NET_DNS)
		return net_spec_bad(err, "dns", value, "there are at most three name servers");
	all[n] = a;
	return 0;
}

int net_check_addresses(const struct net_spec *spec, struct err *err)
{
	const struct noxs_net_config *c = &spec->config;
	char text[INET6_ADDRSTRLEN];
	bool v6 = c->flags & NOXS_NET_SLAAC;

	for (int i = 0; i < NOXS_NET_ADDRESSES; i++)
		v6 |= c->address[i].family == 6;
	if (v6 && spec->has_ip && c->mtu && c->mtu < 1280)
		return err_set(err, 0, "--net: mtu=%u: IPv6 takes at least 1280 (RFC 8200)",
			       c->mtu);
	for (int g = 0; g < 2; g++) {
		const struct noxs_net_address *gw = &c->gateway[g];
		bool reached = !gw->family || (v6 && link_local(gw));

		for (int i = 0; i < NOXS_NET_ADDRESSES && gw->family; i++) {
			if (same_address(&c->address[i], gw))
				return err_set(err, 0, "--net: gw and ip are the same address");
			reached |= c->address[i].family && same_net(&c->address[i], gw);
		}
		if (!reached)
			return err_set(
				err, 0,
				"--net: gw=%s: it is in no prefix of an ip=ADDRESS/PREFIX "
				"here, so it cannot be reached",
				inet_ntop(g ? AF_INET6 : AF_INET, gw->address, text, sizeof(text)));
	}
	return 0;
}
