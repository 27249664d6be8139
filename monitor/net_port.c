/* SPDX-License-Identifier: Apache-2.0 */
/* net_port.c: see net_spec.h: -p arguments, read and printed. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "net_spec.h"

static int bad(struct err *err, const char *text, const char *why)
{
	char shown[80];

	return err_set(err, 0, "-p %s: %s", net_quote(shown, sizeof(shown), text), why);
}

/* Digits at *at: a port, or 0. */
static unsigned port(const char **at)
{
	size_t n = strspn(*at, "0123456789");
	unsigned value = 0;

	if (!n || n > 5)
		return 0;
	while (n--)
		value = value * 10 + (unsigned)(*(*at)++ - '0');
	return value <= UINT16_MAX ? value : 0;
}

/* N or N-M. Its first port, or 0. */
static unsigned range(const char **at, unsigned *count)
{
	unsigned first = port(at), last = first;

	if (first && **at == '-') {
		(*at)++;
		last = port(at);
	}
	*count = last - first + 1;
	return last < first ? 0 : first;
}

/* ADDRESS: or [ADDRESS]: at the front, in its usual form. Returns what follows it, or NULL. */
static const char *host_address(char *address, size_t size, const char *text)
{
	const bool v6 = *text == '[';
	const char *end = strchr(text, v6 ? ']' : ':');
	uint8_t bytes[16];
	char part[64];
	size_t n;

	text += v6;
	n = end ? (size_t)(end - text) : sizeof(part);
	if (n >= sizeof(part))
		return NULL;
	memcpy(part, text, n);
	part[n] = 0;
	end += v6;
	if (*end != ':' || inet_pton(v6 ? AF_INET6 : AF_INET, part, bytes) != 1)
		return NULL;
	inet_ntop(v6 ? AF_INET6 : AF_INET, bytes, address, (socklen_t)size);
	return end + 1;
}

static bool is_any(const char *address)
{
	return !*address || !strcmp(address, "0.0.0.0") || !strcmp(address, "::");
}

static bool same_family(const char *a, const char *b)
{
	return !*a || !*b || !strchr(a, ':') == !strchr(b, ':');
}

/* Would both listen on one port of the host? */
static bool collide(const struct net_port *a, const struct net_port *b)
{
	return a->udp == b->udp && a->host < b->host + b->count && b->host < a->host + a->count &&
	       same_family(a->address, b->address) &&
	       (is_any(a->address) || is_any(b->address) || !strcmp(a->address, b->address));
}

int net_port_parse(struct net_spec *spec, const char *text, struct err *err)
{
	struct net_port p = {0};
	unsigned count = 0, guests = 0;
	const char *at = text;

	/* An address, unless the first colon is the one between the ports. */
	if (*at == '[' || strspn(at, "0123456789-") < strcspn(at, ":")) {
		at = host_address(p.address, sizeof(p.address), at);
		if (!at)
			return bad(err, text,
				   "write [ADDRESS:]HOST:GUEST[/tcp|/udp], an IPv6 address in "
				   "brackets");
	}
	p.host = (uint16_t)range(&at, &count);
	if (!p.host)
		return bad(err, text,
			   "the host's port is to be a number from 1 to 65535, or a range as in "
			   "8000-8010");
	if (*at != ':')
		return bad(err, text, "write HOST:GUEST, both ports, as in 8080:80");
	at++;
	p.guest = (uint16_t)range(&at, &guests);
	if (!p.guest)
		return bad(err, text,
			   "the guest's port is to be a number from 1 to 65535, or a range as in "
			   "8000-8010");
	if (guests != count)
		return bad(err, text, "the two ranges are not of the same size");
	p.count = (uint16_t)count;
	p.udp = !strcmp(at, "/udp");
	if (*at && !p.udp && strcmp(at, "/tcp") != 0)
		return bad(err, text, "behind the ports there may be /tcp or /udp");
	for (unsigned i = 0; i < spec->nports; i++)
		if (collide(&spec->port[i], &p))
			return bad(err, text, "the host's port is published twice");
	if (spec->nports == NET_MAX_PORTS)
		return bad(err, text, "at most 32 ports and ranges can be published");
	spec->port[spec->nports++] = p;
	return 0;
}

int net_spec_publish(struct net_spec *spec, unsigned *n, const struct net_spec *ports,
		     struct err *err)
{
	unsigned user = 0;

	if (!ports->nports)
		return 0;
	if (!*n && net_spec_parse(&spec[(*n)++], "user", err))
		return -EINVAL;
	while (user < *n && spec[user].kind != NET_USER)
		user++;
	if (user == *n)
		return err_set(err, 0,
			       "-p: ports are published by user networking; a VM on a tap or an "
			       "interface is reached at its own address: leave -p out, or add "
			       "--net user");
	spec[user].nports = ports->nports;
	memcpy(spec[user].port, ports->port, sizeof(ports->port));
	return 0;
}

size_t net_port_print(const struct net_port *p, char *buf, size_t size)
{
	const bool v6 = strchr(p->address, ':');
	char host[16] = "", guest[16] = "";
	int n;

	if (p->count > 1) {
		snprintf(host, sizeof(host), "-%u", p->host + p->count - 1u);
		snprintf(guest, sizeof(guest), "-%u", p->guest + p->count - 1u);
	}
	n = snprintf(buf, size, "%s%s%s%s%u%s:%u%s/%s", v6 ? "[" : "", p->address, v6 ? "]" : "",
		     p->address[0] ? ":" : "", p->host, host, p->guest, guest,
		     p->udp ? "udp" : "tcp");
	return n > 0 ? (size_t)n : 0;
}
