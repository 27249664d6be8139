/* SPDX-License-Identifier: Apache-2.0 */
/* net_spec.c: see net_spec.h: --net arguments, read. */
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net_spec_own.h"

#define KINDS "IFACE, xdp=IFACE, tap, tap=IFACE, tap=fd:N or user"

enum { XDP = 1 << NET_XDP, TAP = 1 << NET_TAP, USER = 1 << NET_USER, ANY = XDP | TAP | USER };

const char *const net_kind_name[] = {"", "xdp", "tap", "user"};
const char *const net_mode_name[] = {"auto", "native", "generic"};
const char *const net_copy_name[] = {"auto", "copy", "zerocopy"};

const char *net_quote(char *buf, size_t size, const char *text)
{
	size_t n = 0;

	for (; *text && n + 1 < size; text++)
		buf[n++] = isprint((unsigned char)*text) && !(*text & 0x80) ? *text : '?';
	buf[n] = 0;
	if (*text && n > 3)
		memcpy(buf + n - 3, "...", 3);
	return buf;
}

int net_spec_bad(struct err *err, const char *key, const char *value, const char *why)
{
	char shown[64];

	return err_set(err, 0, "--net: %s=%s: %s", key, net_quote(shown, sizeof(shown), value),
		       why);
}

/* ---- values ---- */
int net_ifname_check(const char *name)
{
	size_t n = strlen(name);

	if (!n || n > 15 || !strcmp(name, ".") || !strcmp(name, ".."))
		return -EINVAL;
	/* As the kernel's dev_valid_name; and no %, which it would fill in. */
	for (size_t i = 0; i < n; i++)
		if (!isgraph((unsigned char)name[i]) || strchr("/:%", name[i]))
			return -EINVAL;
	return 0;
}

static int set_ifname(char *to, const char *key, const char *value, struct err *err)
{
	if (net_ifname_check(value))
		return net_spec_bad(
			err, key, value,
			"an interface's name has 1 to 15 characters, no blank, no '/', ':' "
			"or '%'");
	strcpy(to, value);
	return 0;
}

static int hex(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *at = c ? strchr(digits, tolower((unsigned char)c)) : NULL;

	return at ? (int)(at - digits) : -1;
}

static int set_mac(struct net_spec *spec, const char *value, struct err *err)
{
	uint8_t *mac = spec->config.mac;

	if (strlen(value) != 17)
		return net_spec_bad(err, "mac", value, "write six bytes, as in 52:54:00:12:34:56");
	for (int i = 0; i < 6; i++) {
		int high = hex(value[3 * i]), low = hex(value[3 * i + 1]);

		if (high < 0 || low < 0 || value[3 * i + 2] != (i < 5 ? ':' : 0))
			return net_spec_bad(err, "mac", value,
					    "write six bytes, as in 52:54:00:12:34:56");
		mac[i] = (uint8_t)(high << 4 | low);
	}
	if (mac[0] & 1)
		return net_spec_bad(
			err, "mac", value,
			"it is a multicast address (its first byte is odd), which no device "
			"can have");
	if (is_zero(mac, 6))
		return net_spec_bad(err, "mac", value, "all zero is no device's address");
	spec->has_mac = true;
	return 0;
}

/* A decimal number and nothing else: -1 if it is not one, or larger than max. */
long net_spec_number(const char *text, long max)
{
	size_t n = strlen(text);
	long value;

	if (!n || n > 9 || strspn(text, "0123456789") != n)
		return -1;
	value = strtol(text, NULL, 10);
	return value <= max ? value : -1;
}

static int set_mtu(struct net_spec *spec, const char *value, struct err *err)
{
	long mtu = net_spec_number(value, NOXS_NET_MAX_MTU);
	char why[64];

	if (mtu < (long)NOXS_NET_MIN_MTU) {
		snprintf(why, sizeof(why), "an MTU is from %u to %u", NOXS_NET_MIN_MTU,
			 NOXS_NET_MAX_MTU);
		return net_spec_bad(err, "mtu", value, why);
	}
	spec->config.mtu = (uint16_t)mtu;
	return 0;
}

static int set_queue(struct net_spec *spec, const char *value, struct err *err)
{
	long queue = net_spec_number(value, 65535);

	if (queue < 0)
		return net_spec_bad(err, "queue", value, "write the number of a queue: 0, 1, ...");
	spec->queue = (int)queue;
	return 0;
}

/* Which of n words value is; -1: none. */
static int word(const char *const *words, int n, const char *value)
{
	while (--n >= 0 && strcmp(words[n], value) != 0)
		;
	return n;
}

static int set_mode(struct net_spec *spec, const char *value, struct err *err)
{
	int n = word(net_mode_name, 3, value);

	if (n < 0)
		return net_spec_bad(err, "mode", value, "it may be auto, native or generic");
	spec->mode = (enum net_mode)n;
	return 0;
}

static int set_copy(struct net_spec *spec, const char *value, struct err *err)
{
	int n = word(net_copy_name, 3, value);

	if (n < 0)
		return net_spec_bad(err, "copy", value, "it may be auto, copy or zerocopy");
	spec->copy = (enum net_copy)n;
	return 0;
}

static const char *const off_on[] = {"off", "on"};

static int set_offload(struct net_spec *spec, const char *value, struct err *err)
{
	spec->offload = word(off_on, 2, value);
	return spec->offload < 0 ? net_spec_bad(err, "offload", value, "it may be on or off") : 0;
}

static int set_flood(struct net_spec *spec, const char *value, struct err *err)
{
	int on = word(off_on, 2, value);

	spec->quiet = !on;
	return on < 0 ? net_spec_bad(err, "flood", value, "it may be on or off") : 0;
}

static int set_share(struct net_spec *spec, const char *value, struct err *err)
{
	if (*value)
		return net_spec_bad(err, "share", value, "it takes no value");
	spec->share = true;
	return 0;
}

static int set_promisc(struct net_spec *spec, const char *value, struct err *err)
{
	if (*value)
		return net_spec_bad(err, "promisc", value, "it takes no value");
	spec->promisc = true;
	return 0;
}

static int set_bridge(struct net_spec *spec, const char *value, struct err *err)
{
	return set_ifname(spec->bridge, "bridge", value, err);
}

static int set_name(struct net_spec *spec, const char *value, struct err *err)
{
	if (!strcmp(value, "lo"))
		return net_spec_bad(err, "name", value, "it is the guest's loopback interface");
	return set_ifname(spec->config.name, "name", value, err);
}

static int set_domain(struct net_spec *spec, const char *value, struct err *err)
{
	size_t n = strlen(value);

	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)value[i]) && !strchr("-._", value[i]))
			return net_spec_bad(err, "domain", value,
					    "a domain has letters, digits, '-', '_' and '.'");
	if (!n || n >= sizeof(spec->config.domain))
		return net_spec_bad(err, "domain", value, "a domain has 1 to 63 characters");
	strcpy(spec->config.domain, value);
	return 0;
}

/* ---- one argument ---- */
static const struct key {
	const char *name;
	int (*set)(struct net_spec *spec, const char *value, struct err *err);
	unsigned kinds;
	bool repeats, alone;
} keys[] = {
	{"mac", set_mac, ANY, false, false},           {"ip", net_set_ip, ANY, true, false},
	{"gw", net_set_gateway, ANY, true, false},     {"dns", net_set_dns, ANY, true, false},
	{"domain", set_domain, ANY, false, false},     {"mtu", set_mtu, ANY, false, false},
	{"name", set_name, ANY, false, false},         {"queue", set_queue, XDP, false, false},
	{"mode", set_mode, XDP, false, false},         {"copy", set_copy, XDP, false, false},
	{"share", set_share, XDP, false, true},        {"bridge", set_bridge, TAP, false, false},
	{"offload", set_offload, TAP, false, false},   {"promisc", set_promisc, XDP, false, true},
	{"flood", set_flood, XDP | TAP, false, false},
};
#define NKEYS (sizeof(keys) / sizeof(keys[0]))

/* How many characters must be put in, taken out or changed to make b of a (Levenshtein). */
static unsigned distance(const char *a, const char *b)
{
	unsigned row[12], n = (unsigned)strlen(b);

	for (unsigned j = 0; j <= n; j++)
		row[j] = j;
	for (unsigned i = 0; a[i]; i++) {
		unsigned diagonal = row[0];

		row[0] = i + 1;
		for (unsigned j = 1; j <= n; j++) {
			unsigned best = diagonal + (a[i] != b[j - 1]);

			best = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
			best = row[j] + 1 < best ? row[j] + 1 : best;
			diagonal = row[j];
			row[j] = best;
		}
	}
	return row[n];
}

static int unknown_key(unsigned kind, const char *name, struct err *err)
{
	char shown[40], list[128] = "";
	const struct key *near = NULL;
	unsigned least = 3; /* what is further away is not a slip of the hand */

	net_quote(shown, sizeof(shown), name);
	for (const struct key *k = keys; k < keys + NKEYS; k++) {
		size_t n = strlen(list);

		if (!(k->kinds & 1u << kind))
			continue;
		snprintf(list + n, sizeof(list) - n, "%s%s", n ? ", " : "", k->name);
		if (distance(shown, k->name) < least) {
			least = distance(shown, k->name);
			near = k;
		}
	}
	if (near && least < strlen(near->name))
		return err_set(err, 0, "--net: there is no '%s'; is '%s' meant?", shown,
			       near->name);
	return err_set(err, 0, "--net: there is no '%s'; %s takes %s", shown, net_kind_name[kind],
		       list);
}

/* One KEY[=VALUE]; had: which were there before. */
static int set_key(struct net_spec *spec, char *part, unsigned *had, struct err *err)
{
	char *value = strchr(part, '=');
	const struct key *k = keys;

	if (value)
		*value++ = 0;
	while (k < keys + NKEYS && strcmp(k->name, part) != 0)
		k++;
	if (k == keys + NKEYS)
		return unknown_key(spec->kind, part, err);
	if (!(k->kinds & 1u << spec->kind))
		return err_set(err, 0, "--net: '%s' is for %s, not for %s", k->name,
			       k->kinds == XDP   ? "xdp"
			       : k->kinds == TAP ? "tap"
						 : "xdp and tap",
			       net_kind_name[spec->kind]);
	if (!k->alone && (!value || !*value))
		return err_set(err, 0, "--net: '%s' takes a value: %s=...", k->name, k->name);
	if (!k->repeats && (*had & 1u << (k - keys)))
		return err_set(err, 0, "--net: '%s' is there twice", k->name);
	*had |= 1u << (k - keys);
	return k->set(spec, value ? value : "", err);
}

/* KIND[=NAME], or the name of an interface alone: the kind that was measured to be better. */
static int set_kind(struct net_spec *spec, char *part, struct err *err)
{
	char *name = strchr(part, '='), shown[64];
	int kind;
	long fd;

	if (name)
		*name++ = 0;
	kind = word(net_kind_name, 4, part);
	if (kind < 0 && !name && !net_ifname_check(part)) {
		kind = NET_XDP;
		name = part;
	}
	if (kind <= 0)
		return err_set(err, 0, "--net: there is no kind '%s': it may be " KINDS,
			       net_quote(shown, sizeof(shown), part));
	spec->kind = (enum net_kind)kind;
	if (kind == NET_XDP && !name)
		return err_set(err, 0,
			       "--net: xdp takes the name of an interface: xdp=IFACE ('ip link' "
			       "lists them)");
	if (kind == NET_USER && name)
		return net_spec_bad(err, "user", name, "it takes no name; ports are given with -p");
	if (!name)
		return 0;
	if (kind == NET_XDP || strncmp(name, "fd:", 3) != 0)
		return set_ifname(spec->ifname, net_kind_name[kind], name, err);
	fd = net_spec_number(name + 3, INT_MAX);
	if (fd < 3)
		return net_spec_bad(
			err, "tap", name,
			"write the number of an open descriptor that is not a standard stream: "
			"tap=fd:3");
	spec->fd = (int)fd;
	return 0;
}

/* What can only be told when all parts are there. */
static int check(struct net_spec *spec, struct err *err)
{
	int ret = net_check_addresses(spec, err);

	if (ret)
		return ret;
	if (spec->fd >= 0 && spec->bridge[0])
		return err_set(err, 0,
			       "--net: bridge=%s: a tap that is handed over open (tap=fd:%d) is "
			       "attached by whoever opened it",
			       spec->bridge, spec->fd);
	if (spec->quiet && spec->kind == NET_TAP && !spec->bridge[0])
		return err_set(err, 0,
			       "--net: flood=off: it is for a VM at a bridge: bridge=IFACE");
	if (spec->quiet && spec->config.flags & NOXS_NET_SLAAC)
		return err_set(
			err, 0,
			"--net: flood=off: a router's advertisements (ip=auto) are multicast, "
			"which this VM does not get; give ip=ADDRESS/PREFIX");
	if (spec->kind == NET_USER && !spec->has_ip)
		spec->config.flags |= NOXS_NET_DHCP | NOXS_NET_SLAAC;
	return 0;
}

int net_spec_parse(struct net_spec *spec, const char *text, struct err *err)
{
	char part[MAX_PART], shown[64];
	unsigned had = 0;
	int ret = 0;

	*spec = (struct net_spec){.fd = -1, .queue = -1, .offload = -1};
	spec->config.flags = NOXS_NET_LINK_UP;
	for (bool first = true; !ret; first = false) {
		size_t n = strcspn(text, ",");

		if (n >= sizeof(part) || (!n && !first))
			return err_set(err, 0, "--net: %s, at '%s'",
				       n ? "a part is too long" : "nothing between commas",
				       net_quote(shown, sizeof(shown), text));
		memcpy(part, text, n);
		part[n] = 0;
		ret = first ? set_kind(spec, part, err) : set_key(spec, part, &had, err);
		if (!text[n])
			break;
		text += n + 1;
	}
	return ret ? ret : check(spec, err);
}
