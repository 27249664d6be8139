/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net_open_user.c: user networking: passt(1), which translates between the guest's frames and
 * sockets of the host, and needs no privilege.
 *
 * Unless the user says otherwise the guest's addresses are fixed: no DHCP, no waiting. They
 * are the same for every VM, for they mean nothing outside. The host's loopback interface is
 * not reachable for the guest.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net_open.h"

#define MAX_ARGS 128  /* fixed ones, and two a port */
#define TEXT     8192 /* what they point to */

/* As QEMU's user networking has them; RFC 4193 for IPv6. */
static const struct user_net {
	int family;
	const char *address, *gateway, *dns;
	uint8_t prefix;
} user_net[2] = {
	{AF_INET, "10.0.2.15", "10.0.2.2", "10.0.2.3", 24},
	{AF_INET6, "fd6d:6179:666c::15", "fd6d:6179:666c::2", "fd6d:6179:666c::3", 64},
};

/* passt's command line. */
struct command {
	char *argv[MAX_ARGS];
	int argc;
	char text[TEXT];
	size_t used;
};

__attribute__((format(printf, 3, 4))) static void add(struct command *c, const char *option,
						      const char *fmt, ...)
{
	va_list args;

	c->argv[c->argc++] = (char *)option;
	if (!fmt)
		return;
	va_start(args, fmt);
	c->argv[c->argc++] = c->text + c->used;
	c->used += (size_t)vsnprintf(c->text + c->used, sizeof(c->text) - c->used, fmt, args) + 1;
	va_end(args);
}

static void add_address(struct command *c, const char *option, const struct noxs_net_address *a)
{
	char text[INET6_ADDRSTRLEN];

	inet_ntop(a->family == 6 ? AF_INET6 : AF_INET, a->address, text, sizeof(text));
	add(c, option, "%s", text);
}

/* ---- what the host has ---- */

/* As root passt becomes nobody, and gives up where it cannot: then it is to stay as it is. */
static bool may_change_user(void)
{
	const unsigned long long both = 1ull << 6 | 1ull << 7; /* CAP_SETGID, CAP_SETUID */
	unsigned long long caps = both;
	FILE *f = fopen("/proc/self/status", "re");
	char line[256];

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "CapEff: %llx", &caps) == 1)
			break;
	if (f)
		fclose(f);
	return (caps & both) == both;
}

/* Has the host a default route: v4, v6? proc(5), net/route and net/ipv6_route. */
static bool default_route(bool v6)
{
	FILE *f = fopen(v6 ? "/proc/net/ipv6_route" : "/proc/net/route", "re");
	char line[256], dest[33], mask[33], device[33];
	unsigned flags;
	bool found = false;

	while (f && !found && fgets(line, sizeof(line), f)) {
		if (v6)
			found = sscanf(line, "%32s %2s %*s %*s %*s %*s %*s %*s %x %32s", dest, mask,
				       &flags, device) == 4 &&
				strspn(dest, "0") == 32 && !strcmp(mask, "00") && (flags & 2) &&
				strcmp(device, "lo") != 0; /* RTF_GATEWAY */
		else
			found = sscanf(line, "%*s %32s %*s %x %*s %*s %*s %32s", dest, &flags,
				       mask) == 3 &&
				(flags & 1) && !strcmp(dest, "00000000") &&
				!strcmp(mask, "00000000");
	}
	if (f)
		fclose(f);
	return found;
}

/* Has the host a name server of that family? resolv.conf(5). */
static bool has_name_server(bool v6)
{
	FILE *f = fopen("/etc/resolv.conf", "re");
	char line[256], server[64];
	bool found = false;

	while (f && !found && fgets(line, sizeof(line), f))
		found = sscanf(line, "nameserver %63s", server) == 1 && !strchr(server, ':') == !v6;
	if (f)
		fclose(f);
	return found;
}

/* ---- the guest's addresses ---- */

static struct noxs_net_address address(const struct user_net *n, const char *text, uint8_t prefix)
{
	struct noxs_net_address a = {.family = n->family == AF_INET6 ? 6 : 4, .prefix = prefix};

	inet_pton(n->family, text, a.address);
	return a;
}

/* A host without a way out: passt wants an interface, and takes its MAC, all the same. */
static void alone(struct command *c)
{
	add(c, "-i", "lo");
	add(c, "-M", "52:55:0a:00:02:02");
}

/* Nothing was said: fixed addresses, of the families that the host has. */
static void fixed(struct noxs_net_config *config, struct command *c)
{
	const bool route[2] = {default_route(false), default_route(true)};
	const bool dns = !config->dns[0].family;
	int n = 0, ndns = 0;

	config->flags &= ~(uint32_t)(NOXS_NET_DHCP | NOXS_NET_SLAAC);
	for (int v6 = 0; v6 < 2; v6++) {
		const struct user_net *net = &user_net[v6];

		/* Without a way out there is still the host. */
		if (!route[v6] && (v6 || route[1]))
			continue;
		config->address[n++] = address(net, net->address, net->prefix);
		config->gateway[v6] = address(net, net->gateway, 0);
		add(c, "-a", "%s", net->address);
		add(c, "-g", "%s", net->gateway);
		if (!v6)
			add(c, "-n", "%u", net->prefix);
		if (!dns || !has_name_server(v6))
			continue;
		config->dns[ndns++] = address(net, net->dns, 0);
		add(c, "--dns-forward", "%s", net->dns);
	}
	if (!route[1])
		add(c, "-4", NULL);
	else if (!route[0])
		add(c, "-6", NULL);
	if (!route[0] && !route[1])
		alone(c);
}

/* The router, where none was named: the first address of the prefix, or the second. */
static struct noxs_net_address router(const struct noxs_net_address *a)
{
	struct noxs_net_address r = {.family = a->family};
	const unsigned bytes = a->family == 6 ? 16 : 4;

	for (unsigned bit = 0; bit < a->prefix; bit++)
		r.address[bit / 8] |= a->address[bit / 8] & 0x80 >> bit % 8;
	r.address[bytes - 1] |= 1;
	if (!memcmp(r.address, a->address, bytes))
		r.address[bytes - 1] ^= 3;
	return r;
}

/* As it was asked for; what is dynamic, passt's DHCP and router advertisements tell. */
static void asked(struct noxs_net_config *config, struct command *c)
{
	const bool dns = !config->dns[0].family;
	bool had[2] = {0};
	int ndns = 0;

	for (int i = 0; i < NOXS_NET_ADDRESSES; i++) {
		const struct noxs_net_address *a = &config->address[i];

		if (!a->family || had[a->family == 6])
			continue; /* passt knows one of each */
		had[a->family == 6] = true;
		add_address(c, "-a", a);
		if (a->family == 4)
			add(c, "-n", "%u", a->prefix);
		if (!config->gateway[a->family == 6].family &&
		    a->prefix <= (a->family == 4 ? 30 : 126))
			config->gateway[a->family == 6] = router(a);
	}
	if ((had[0] || had[1]) && !default_route(false) && !default_route(true))
		alone(c);
	for (int v6 = 0; v6 < 2; v6++) {
		if (!config->gateway[v6].family)
			continue;
		add_address(c, "-g", &config->gateway[v6]);
		if (!dns || !has_name_server(v6))
			continue;
		config->dns[ndns++] = config->gateway[v6];
		add_address(c, "--dns-forward", &config->gateway[v6]);
	}
}

/* ---- ports ---- */

/* passt's form: [ADDRESS/]FIRST[-LAST][:FIRST[-LAST]]. */
static void add_port(struct command *c, const struct net_port *p)
{
	const char *option = p->udp ? "-u" : "-t", *slash = p->address[0] ? "/" : "";

	if (p->count == 1)
		add(c, option, "%s%s%u:%u", p->address, slash, p->host, p->guest);
	else
		add(c, option, "%s%s%u-%u:%u-%u", p->address, slash, p->host,
		    p->host + p->count - 1, p->guest, p->guest + p->count - 1);
}

/* ---- all of it ---- */

/*
 * passt sends frames to MAC 0 until it has seen one of the guest's. Who connects to a port before
 * the guest has said a word would wait for ever. So this is said for it: an ARP announcement
 * (RFC 5227, 2.3), which waits in the socket until passt reads.
 */
static int announce(int sock, const struct noxs_net_config *config, struct err *err)
{
	struct {
		uint32_t bytes; /* of the frame: it is how passt's stream goes */
		uint8_t to[6], from[6];
		uint16_t type, hardware, protocol;
		uint8_t hardware_bytes, protocol_bytes;
		uint16_t operation;
		uint8_t sender_mac[6], sender[4], target_mac[6], target[4];
	} __attribute__((packed)) frame = {
		.bytes = htonl(sizeof(frame) - sizeof(uint32_t)),
		.to = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
		.type = htons(0x0806),
		.hardware = htons(1),
		.protocol = htons(0x0800),
		.hardware_bytes = 6,
		.protocol_bytes = 4,
		.operation = htons(1),
	};

	memcpy(frame.from, config->mac, 6);
	memcpy(frame.sender_mac, config->mac, 6);
	for (int i = NOXS_NET_ADDRESSES; i--;)
		if (config->address[i].family == 4)
			memcpy(frame.sender, config->address[i].address, 4);
	memcpy(frame.target, frame.sender, 4);
	if (send(sock, &frame, sizeof(frame), MSG_NOSIGNAL) != sizeof(frame))
		return err_set(err, errno, "cannot speak to passt");
	return 0;
}

int net_open_user(struct net_link *link, const struct net_spec *spec, struct err *err)
{
	static struct command c;
	struct noxs_net_config *config = &link->config;
	int pair[2], ret = net_passt_check_ports(spec, err);

	if (ret)
		return ret;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		return err_set(err, errno, "cannot make a socket for passt");
	/* passt drops what does not fit, and goes on after 2 s: room for a window. Only a wish. */
	setsockopt(pair[1], SOL_SOCKET, SO_SNDBUF, &(int){4 << 20}, sizeof(int));
	c.argc = 0;
	c.used = 0;
	link->opened = (struct net_opened){
		.version = NET_WIRE_VERSION,
		.backend = NOXS_NET_STREAM,
		.mtu = config->mtu ? config->mtu : NOXS_NET_MAX_MTU,
		.ifname = "passt",
	};
	add(&c, "passt", NULL);
	add(&c, "-q", NULL);
	add(&c, "-F", "3");
	add(&c, "--no-map-gw", NULL);
	add(&c, "-m", "%u", link->opened.mtu);
	if (!geteuid() && !may_change_user())
		add(&c, "--runas", "0:0");
	if (spec->has_ip)
		asked(config, &c);
	else
		fixed(config, &c);
	for (unsigned i = 0; i < spec->nports; i++)
		add_port(&c, &spec->port[i]);
	c.argv[c.argc] = NULL;
	ret = announce(pair[0], config, err);
	if (!ret)
		ret = net_passt_start(c.argv, pair[1], err);
	close(pair[1]);
	link->fd[0] = pair[0];
	if (!ret && fcntl(pair[0], F_SETFL, O_RDWR | O_NONBLOCK))
		ret = err_set(err, errno, "cannot use passt's socket");
	return ret;
}
