/* SPDX-License-Identifier: Apache-2.0 */
/* lwip_hooks.h: where lwIP asks the port (opt.h, LWIP_HOOK_*). */
#ifndef LWIP_HOOKS_H
#define LWIP_HOOKS_H

#include "lwip/err.h"
#include "lwip/ip_addr.h"

struct netif;
struct pbuf;
struct tcp_hdr;
struct tcp_pcb;

/* isn.c: RFC 6528, nobody can guess a connection's first sequence number. */
u32_t net_tcp_isn(const ip_addr_t *local, u16_t local_port, const ip_addr_t *remote,
		  u16_t remote_port);
#define LWIP_HOOK_TCP_ISN net_tcp_isn

/* interface.c: static IPv6 gateways. NULL: lwIP decides. */
const ip6_addr_t *net_nd6_gateway(struct netif *netif, const ip6_addr_t *dest);
struct netif *net_ip6_route(const ip6_addr_t *src, const ip6_addr_t *dest);
#define LWIP_HOOK_ND6_GET_GW net_nd6_gateway
#define LWIP_HOOK_IP6_ROUTE  net_ip6_route

/* timewait.c: a SYN to a connection in TIME_WAIT; demux.c: whose is it? */
int net_time_wait_ip4(struct pbuf *p, struct netif *netif);
int net_time_wait_ip6(struct pbuf *p, struct netif *netif);
int net_demux_ip4(struct pbuf *p, struct netif *netif);
int net_demux_ip6(struct pbuf *p, struct netif *netif);
#define LWIP_HOOK_IP4_INPUT net_demux_ip4
#define LWIP_HOOK_IP6_INPUT net_demux_ip6

/* dhcpopt.c: the domain name. */
struct dhcp_msg;
void net_dhcp_ask(struct dhcp_msg *msg, u16_t *bytes);
void net_dhcp_told(u8_t option, u8_t len, const struct pbuf *p, u16_t offset);
#define LWIP_HOOK_DHCP_APPEND_OPTIONS(netif, dhcp, state, msg, type, bytes) net_dhcp_ask(msg, bytes)
#define LWIP_HOOK_DHCP_PARSE_OPTION(netif, dhcp, state, msg, type, option, len, p, offset) \
	net_dhcp_told(option, len, p, offset)

/* Before lwIP looks at a segment. guard.c: it is none that lwIP stumbles over; cookie.c: is it the
 * end of a handshake that was forgotten? offload.c: large ones; pmtu.c: how large those to send may
 * be; recovery.c: losses; stack.c: is there memory for it? */
err_t net_guard_tcp(struct tcp_pcb *pcb, struct tcp_hdr *hdr, u16_t all_options, u16_t options,
		    const struct pbuf *p);
err_t net_cookie_came(struct tcp_pcb *pcb, struct tcp_hdr *hdr, struct pbuf *p);
void net_gro_tcp_input(struct tcp_pcb *pcb);
void net_offload_tcp_input(struct tcp_pcb *pcb);
void net_pmtu_tcp_input(struct tcp_pcb *pcb);
void net_recovery_before(struct tcp_pcb *pcb, const struct tcp_hdr *hdr, u16_t options);
err_t net_tcp_may_take(const struct tcp_pcb *pcb, const struct tcp_hdr *hdr, const struct pbuf *p);
#define LWIP_HOOK_TCP_INPACKET_PCB(pcb, hdr, optlen, opt1len, opt2, p)                           \
	(net_guard_tcp(pcb, hdr, optlen, opt1len, p) != ERR_OK ||                                \
			 net_cookie_came(pcb, hdr, p) != ERR_OK                                  \
		 ? ERR_VAL                                                                       \
		 : (net_gro_tcp_input(pcb), net_offload_tcp_input(pcb), net_pmtu_tcp_input(pcb), \
		    net_recovery_before(pcb, hdr, opt1len), net_tcp_may_take(pcb, hdr, p)))

#endif
