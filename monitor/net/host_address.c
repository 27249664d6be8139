/* SPDX-License-Identifier: Apache-2.0 */
/* host_address.c: addresses for networks of the host's own; see host.h. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host.h"

int host_address_parse(const char *text, struct rtnl_address *address, struct err *err)
{
	char buf[INET6_ADDRSTRLEN];
	const char *slash = strchr(text, '/');
	char *end = NULL;
	long prefix =
		slash && slash[1] >= '0' && slash[1] <= '9' ? strtol(slash + 1, &end, 10) : -1;
	bool fits = slash && (size_t)(slash - text) < sizeof(buf);

	*address = (struct rtnl_address){.prefix = (int)prefix};
	if (fits) {
		memcpy(buf, text, (size_t)(slash - text));
		buf[slash - text] = 0;
		address->family = strchr(buf, ':') ? AF_INET6 : AF_INET;
	}
	if (!fits || !end || *end || inet_pton(address->family, buf, address->address) != 1 ||
	    prefix < 1 || prefix > (address->family == AF_INET ? 32 : 128))
		return err_set(err, 0,
			       "--address %s: not an address with a prefix, as 10.77.0.1/24 or "
			       "fd00::1/64",
			       text);
	return 0;
}

static uint32_t ipv4(const struct rtnl_address *a)
{
	return (uint32_t)a->address[0] << 24 | (uint32_t)a->address[1] << 16 |
	       (uint32_t)a->address[2] << 8 | a->address[3];
}

/* Is an address of the host in the same network as the candidate, or the other way round? */
static int overlaps(const struct rtnl_address *a, void *data)
{
	const struct rtnl_address *candidate = data;
	int prefix = a->prefix < candidate->prefix ? a->prefix : candidate->prefix;

	if (a->family != AF_INET)
		return 0;
	return !prefix || (ipv4(a) ^ ipv4(candidate)) >> (32 - prefix) == 0;
}

int host_address_free(struct rtnl *nl, struct rtnl_address *address, struct err *err)
{
	for (unsigned i = 0; i < 256; i++) {
		int ret;

		*address = (struct rtnl_address){
			.family = AF_INET, .prefix = 24, .address = {10, 77, (uint8_t)i, 1}};
		ret = rtnl_addresses(nl, overlaps, address);
		if (!ret)
			return 0;
		if (ret < 0)
			return err_set(err, -ret, "cannot look at the host's addresses");
	}
	return err_set(err, 0, "all of 10.77.0.0/16 is in use here: choose an --address");
}

void host_address_own(struct rtnl_address *address)
{
	*address = (struct rtnl_address){.family = AF_INET6, .prefix = 64, .address = {0xfd}};
	rtnl_random(address->address + 1, 5);
	address->address[15] = 1;
}

char *host_address_text(const struct rtnl_address *address, int prefix, char *buf)
{
	char text[INET6_ADDRSTRLEN] = "?";

	inet_ntop(address->family, address->address, text, sizeof(text));
	if (prefix < 0)
		snprintf(buf, HOST_ADDRESS_TEXT, "%s", text);
	else
		snprintf(buf, HOST_ADDRESS_TEXT, "%s/%d", text, prefix);
	return buf;
}
