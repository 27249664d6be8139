/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lwip_host.c: what lwIP needs of the library kernel, for a unit test that has it: memory,
 * clock, random numbers; and hooks that do nothing, where the test does not link the real ones.
 * The test's net_demux_ip4 and so on are called by lwIP; it is the test that calls lwIP.
 */
#include "uk_mock.h"

#include "lwip/dns.h"
#include "lwip/tcp.h"
#include "lwip/timeouts.h"

#include "../../unikernel/net/lwip/lwip_hooks.h"

#include <stdlib.h>

#define WEAK __attribute__((weak))

void *net_malloc(size_t bytes)
{
	return malloc(bytes);
}

void *net_calloc(size_t n, size_t bytes)
{
	return calloc(n, bytes);
}

void net_free(void *p)
{
	free(p);
}

uint32_t net_random(void)
{
	return (uint32_t)rand();
}

u32_t sys_now(void)
{
	return (u32_t)(uk_mock.mono_ns / 1000000);
}

void sys_timeouts_init(void)
{
}

void tcp_timer_needed(void)
{
}

void dns_init(void)
{
}

void dns_setserver(u8_t n, const ip_addr_t *server)
{
	(void)n, (void)server;
}

const ip_addr_t *dns_getserver(u8_t n)
{
	(void)n;
	return IP_ADDR_ANY;
}

/* ---- hooks ---- */

WEAK u32_t net_tcp_isn(const ip_addr_t *local, u16_t local_port, const ip_addr_t *remote,
		       u16_t remote_port)
{
	(void)local, (void)local_port, (void)remote, (void)remote_port;
	return 0xffffff00; /* soon to wrap around */
}

WEAK const ip6_addr_t *net_nd6_gateway(struct netif *netif, const ip6_addr_t *dest)
{
	(void)netif, (void)dest;
	return NULL;
}

WEAK struct netif *net_ip6_route(const ip6_addr_t *src, const ip6_addr_t *dest)
{
	(void)src, (void)dest;
	return NULL;
}

WEAK int net_demux_ip4(struct pbuf *p, struct netif *netif)
{
	(void)p, (void)netif;
	return 0;
}

WEAK int net_demux_ip6(struct pbuf *p, struct netif *netif)
{
	(void)p, (void)netif;
	return 0;
}

WEAK void net_dhcp_ask(struct dhcp_msg *msg, u16_t *bytes)
{
	(void)msg, (void)bytes;
}

WEAK void net_dhcp_told(u8_t option, u8_t len, const struct pbuf *p, u16_t offset)
{
	(void)option, (void)len, (void)p, (void)offset;
}

WEAK err_t net_guard_tcp(struct tcp_pcb *pcb, struct tcp_hdr *hdr, u16_t all_options, u16_t options,
			 const struct pbuf *p)
{
	(void)pcb, (void)hdr, (void)all_options, (void)options, (void)p;
	return ERR_OK;
}

WEAK err_t net_cookie_came(struct tcp_pcb *pcb, struct tcp_hdr *hdr, struct pbuf *p)
{
	(void)pcb, (void)hdr, (void)p;
	return ERR_OK;
}

WEAK void net_gro_tcp_input(struct tcp_pcb *pcb)
{
	(void)pcb;
}

WEAK void net_offload_tcp_input(struct tcp_pcb *pcb)
{
	(void)pcb;
}

WEAK void net_pmtu_tcp_input(struct tcp_pcb *pcb)
{
	(void)pcb;
}

WEAK void net_recovery_before(struct tcp_pcb *pcb, const struct tcp_hdr *hdr, u16_t options)
{
	(void)pcb, (void)hdr, (void)options;
}

WEAK err_t net_tcp_may_take(const struct tcp_pcb *pcb, const struct tcp_hdr *hdr,
			    const struct pbuf *p)
{
	(void)pcb, (void)hdr, (void)p;
	return ERR_OK;
}
