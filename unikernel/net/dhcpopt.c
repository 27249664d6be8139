/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dhcpopt.c: the domain name (option 15, RFC 2132, 3.17), which lwIP's DHCP client neither asks
 * for nor reads. For resolv.conf's search.
 */
#include "lwip/pbuf.h"
#include "lwip/prot/dhcp.h"

#include "lwip_hooks.h"
#include "stack.h"

#define DOMAIN 15

char net_dhcp_domain[64];

/* A server's word goes into a file: letters, digits, and what else is in a name. */
static bool is_name(const char *s, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		char c = s[i], lower = (char)(c | 0x20);

		if (!(lower >= 'a' && lower <= 'z') && !(c >= '0' && c <= '9') && c != '.' &&
		    c != '-' && c != '_')
			return false;
	}
	return n;
}

/* One more in the list of what is asked for. */
void net_dhcp_ask(struct dhcp_msg *msg, u16_t *bytes)
{
	u8_t *o = msg->options;
	u16_t i = 0;

	while (i + 1 < *bytes && o[i] != DHCP_OPTION_PARAMETER_REQUEST_LIST)
		i = (u16_t)(i + 2 + o[i + 1]);
	if (i + 1 >= *bytes || *bytes + 2u > sizeof(msg->options)) /* the end needs a byte, too */
		return;
	i = (u16_t)(i + 2 + o[i + 1]++);
	memmove(o + i + 1, o + i, (size_t)(*bytes - i));
	o[i] = DOMAIN;
	++*bytes;
}

void net_dhcp_told(u8_t option, u8_t len, const struct pbuf *p, u16_t offset)
{
	char name[sizeof(net_dhcp_domain)] = {0};

	if (option != DOMAIN || len >= sizeof(name) ||
	    pbuf_copy_partial(p, name, len, offset) < len)
		return;
	while (len && !name[len - 1])
		len--; /* some servers end it */
	if (is_name(name, len))
		memcpy(net_dhcp_domain, name, sizeof(name));
}
