/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lwipopts.h: how lwIP is built for the library kernel: one thread, no sockets of its own,
 * memory from the kernel's heap, so that no table's size limits the number of connections.
 * What is not said here is as lwIP's own opt.h has it.
 */
#ifndef LWIPOPTS_H
#define LWIPOPTS_H

#define NO_SYS               1
#define SYS_LIGHTWEIGHT_PROT 0
#define LWIP_SOCKET          0
#define LWIP_NETCONN         0
#define LWIP_STATS           0
#define LWIP_TIMERS_CUSTOM   1 /* timers.c: a VM with nothing to do is not woken by them */
#define LWIP_HOOK_FILENAME   "lwip_hooks.h"

/* ---- memory (memory.c) ---- */
#define MEM_LIBC_MALLOC 1
#define MEMP_MEM_MALLOC 1
#define MEM_ALIGNMENT   8
#define mem_clib_malloc net_malloc
#define mem_clib_calloc net_calloc
#define mem_clib_free   net_free
/* Sizes that are known are copied in line; else it is uk.h's memcpy. */
#define SMEMCPY(dst, src, n)     __builtin_memcpy(dst, src, n)
#define PBUF_POOL_BUFSIZE        1664 /* only a size: they come from the heap, too */
#define LWIP_PBUF_REF_T          u16_t
#define LWIP_SUPPORT_CUSTOM_PBUF 1 /* stack.c: received frames stay where they are */

/* ---- interfaces ---- */
#define LWIP_NETIF_HOSTNAME          1
#define LWIP_NETIF_STATUS_CALLBACK   1
#define LWIP_NETIF_LINK_CALLBACK     1
#define LWIP_NETIF_HWADDRHINT        1
#define LWIP_NETIF_LOOPBACK          1
#define LWIP_HAVE_LOOPIF             1
#define LWIP_LOOPIF_MULTICAST        1
#define LWIP_CHECKSUM_CTRL_PER_NETIF 1 /* loopback has none; NOXS_NET_SEGMENTS does without */
/* Over data that is about to be copied to the device, if that needs it at all: at the time of
 * the write it is not known which interface it goes to. */
#define LWIP_CHECKSUM_ON_COPY 0
#define LWIP_CHKSUM           net_checksum /* checksum.c */

/* ---- IPv4 ---- */
#define LWIP_IPV4           1
#define ARP_TABLE_SIZE      64
#define ARP_QUEUEING        1
#define ARP_QUEUE_LEN       16
#define LWIP_IGMP           1
#define LWIP_DHCP           1
#define DHCP_DOES_ARP_CHECK 0 /* seconds; the server has looked */
#define IP_REASS_MAX_PBUFS  96
#define MEMP_NUM_REASSDATA  16
#define IP_DEFAULT_TTL      64
#define IP_SOF_BROADCAST    1 /* sending only: on Linux everybody receives them */
/* DHCP and router advertisements tell name servers through dns_setserver, which is stack.c's.
 * lwIP's resolver is not linked: programs have their own. */
#define LWIP_DNS        1
#define DNS_MAX_SERVERS 6 /* three of each */
/* lwIP reads as many of a server's option, and has room for these: with less it stops. */
#define LWIP_DHCP_MAX_DNS_SERVERS DNS_MAX_SERVERS

/* ---- IPv6 ---- */
#define LWIP_IPV6                      1
#define LWIP_IPV6_NUM_ADDRESSES        6
#define IPV6_FRAG_COPYHEADER           1 /* pointers are 64 bits */
#define LWIP_ND6_NUM_NEIGHBORS         32
#define LWIP_ND6_NUM_DESTINATIONS      32
#define LWIP_ND6_RDNSS_MAX_DNS_SERVERS 3
#define MEMP_NUM_ND6_QUEUE             64
#define LWIP_ICMP6_DATASIZE            0 /* as much as fits */
#define LWIP_ICMP6_HL                  64

/* ---- raw, UDP ---- */
#define LWIP_RAW         1
#define SO_REUSE         1
#define SO_REUSE_RXTOALL 1

/* ---- TCP ---- */
/* The largest segment that lwIP makes; what goes to an interface is bounded by its MTU. So it
 * is this on the loopback, whose MTU is larger. */
#define TCP_MSS                        32000
#define TCP_OVERSIZE                   1460
#define TCP_WND                        (512 * 1024)
#define LWIP_WND_SCALE                 1
#define TCP_RCV_SCALE                  4
#define TCP_SND_BUF                    (512 * 1024)
#define TCP_SND_QUEUELEN               8192 /* pbufs */
#define TCP_SNDLOWAT                   (TCP_SND_BUF / 3)
#define TCP_SNDQUEUELOWAT              (TCP_SND_QUEUELEN / 2)
#define TCP_WND_UPDATE_THRESHOLD       (TCP_WND / 4) /* what was received is acknowledged anyway */
#define LWIP_DISABLE_TCP_SANITY_CHECKS 1             /* they take a window for 16 bits */
#define LWIP_TCP_SACK_OUT              1
/* What came out of order, for each connection: a window of full segments, and of tiny ones not as
 * many as fit into it. */
#define TCP_OOSEQ_MAX_PBUFS 512
/* lwIP's own backlog counts to 255; tcp.c has one, and by this is asked when a SYN comes. */
#define TCP_LISTEN_BACKLOG        0
#define LWIP_TCP_PCB_NUM_EXT_ARGS 6 /* tcplisten.c, and recovery.c five */
#define LWIP_TCP_KEEPALIVE        1
/* ms. Delayed acknowledgements as Linux has them, and half as often a look at
 * retransmissions: the shortest time-out is three of those, 300 ms (Linux: 200). */
#define TCP_TMR_INTERVAL                50
#define TCP_MSL                         30000 /* ms: TIME_WAIT is twice that, as on Linux */
#define TCP_SYNMAXRTX                   12    /* the most that lwIP takes; tcp_syn_is_over tells */
#define LWIP_TCP_CALC_INITIAL_CWND(mss) ((tcpwnd_size_t)(10 * (mss))) /* RFC 6928 */
/* Linux's ip_local_port_range; of a power of two, for lwIP starts anywhere in it. */
#define TCP_LOCAL_PORT_RANGE_START     0x8000
#define TCP_LOCAL_PORT_RANGE_END       0xbfff
#define TCP_ENSURE_LOCAL_PORT_RANGE(p) ((u16_t)(((p)&0x3fff) + 0x8000))
#define UDP_LOCAL_PORT_RANGE_START     0x8000
#define UDP_LOCAL_PORT_RANGE_END       0xbfff
#define UDP_ENSURE_LOCAL_PORT_RANGE(p) ((u16_t)(((p)&0x3fff) + 0x8000))

#endif
