/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_net_spec.c: any bytes as --net and -p arguments, one a line. They must be refused with
 * a message of printable characters, or be printed as a text that is read as the same again.
 */
/* sources: monitor/net_spec.c monitor/net_address.c monitor/net_spec_print.c */
/* sources: monitor/net_port.c monitor/err.c */
#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../monitor/net_spec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define MUST(condition)                                                         \
	do {                                                                    \
		if (!(condition)) {                                             \
			fprintf(stderr, "line %d: %s\n", __LINE__, #condition); \
			abort();                                                \
		}                                                               \
	} while (0)

static void refused(int ret, const struct err *err)
{
	MUST(ret < 0 && err->message[0]);
	for (const char *at = err->message; *at; at++)
		MUST(isprint((unsigned char)*at));
}

static void valid(const struct net_spec *spec)
{
	const struct noxs_net_config *c = &spec->config;

	MUST(spec->kind >= NET_XDP && spec->kind <= NET_USER);
	MUST(spec->kind != NET_XDP || !net_ifname_check(spec->ifname));
	MUST(!c->mtu || (c->mtu >= NOXS_NET_MIN_MTU && c->mtu <= NOXS_NET_MAX_MTU));
	MUST(!(c->mac[0] & 1));
	MUST(memchr(c->domain, 0, sizeof(c->domain)) && memchr(c->name, 0, sizeof(c->name)));
	for (int i = 0; i < NOXS_NET_ADDRESSES; i++)
		MUST(!c->address[i].family ||
		     (c->address[i].prefix >= 1 && c->address[i].prefix <= 128));
}

static void again(const struct net_spec *spec)
{
	char text[NET_SPEC_TEXT], second[NET_SPEC_TEXT];
	struct net_spec copy;
	struct err err = {0};

	MUST(net_spec_print(spec, text, sizeof(text)) < sizeof(text));
	MUST(!net_spec_parse(&copy, text, &err));
	MUST(net_spec_print(&copy, second, sizeof(second)) == strlen(text));
	MUST(!strcmp(text, second));
	MUST(copy.has_ip == spec->has_ip && copy.has_mac == spec->has_mac);
	MUST(!memcmp(&copy.config, &spec->config, sizeof(copy.config)));
	MUST(copy.kind == spec->kind && copy.fd == spec->fd && copy.queue == spec->queue);
	MUST(!strcmp(copy.ifname, spec->ifname) && !strcmp(copy.bridge, spec->bridge));
}

static void port_again(const struct net_port *port)
{
	struct net_spec copy = {0};
	struct err err = {0};
	char text[128];

	MUST(port->host && port->guest && port->count);
	MUST(port->host + port->count <= 65536 && port->guest + port->count <= 65536);
	MUST(net_port_print(port, text, sizeof(text)) < sizeof(text));
	MUST(!net_port_parse(&copy, text, &err));
	MUST(!memcmp(&copy.port[0], port, sizeof(*port)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const uint8_t random[NOXS_NET_MAX][6];
	struct net_spec spec[NOXS_NET_MAX], ports = {0};
	char *text = malloc(n + 1), *line, *rest = text;
	struct err err = {0};
	unsigned nspecs = 0;
	int ret;

	memcpy(text, data, n);
	text[n] = 0;
	while ((line = strsep(&rest, "\n"))) {
		unsigned before = ports.nports;

		ret = net_port_parse(&ports, line, &err);
		if (ret) {
			refused(ret, &err);
			MUST(ports.nports == before);
		} else {
			port_again(&ports.port[before]);
		}
		if (nspecs == NOXS_NET_MAX)
			continue;
		ret = net_spec_parse(&spec[nspecs], line, &err);
		if (ret) {
			refused(ret, &err);
			continue;
		}
		valid(&spec[nspecs]);
		again(&spec[nspecs++]);
	}
	ret = net_spec_finish(spec, nspecs, random, &err);
	if (ret)
		refused(ret, &err);
	for (unsigned i = 0; i < nspecs && !ret; i++)
		MUST(spec[i].config.name[0] && (spec[i].config.mac[0] || spec[i].config.mac[5]));
	free(text);
	return 0;
}
