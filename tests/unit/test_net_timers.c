/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_net_timers.c: whom a VM asks for MACs and when, what it believes without asking, what it
 * wakes for, over minutes and hours of made-up time. lwIP's ARP is the real one; all else that has
 * timers is counted here.
 */
/* sources: unikernel/net/timers.c unikernel/net/neighbour.c unikernel/net/nobody.c */
/* sources: tests/unit/uk_mock.c */
#include "lwip/dhcp.h"
#include "lwip/etharp.h"
#include "lwip/igmp.h"
#include "lwip/ip4.h"
#include "lwip/ip4_frag.h"
#include "lwip/ip6_frag.h"
#include "lwip/mld6.h"
#include "lwip/nd6.h"
#include "lwip/priv/nd6_priv.h"
#include "lwip/priv/tcp_priv.h"

#include "../../unikernel/net/inet.h"
#include "../../unikernel/net/stack.h"
#include "uk_mock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define MS     1000000ull
#define SECOND (1000 * MS)
#define ADDRESS(a, b, c, d) \
	((uint32_t)(a) | (uint32_t)(b) << 8 | (uint32_t)(c) << 16 | (uint32_t)(d) << 24)
#define OURS    ADDRESS(10, 9, 0, 2)
#define PEER    ADDRESS(10, 9, 0, 7)
#define GATEWAY ADDRESS(10, 9, 0, 1)

static const uint8_t mac_ours[6] = {2, 0, 0, 0, 0, 2}, mac_peer[6] = {2, 0, 0, 0, 0, 7},
		     mac_new[6] = {2, 0, 0, 0, 0, 8}, mac_router[6] = {2, 0, 0, 0, 0, 1},
		     mac_all[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

/* ---- lwIP, as far as it is not here, and the rest of the kernel ---- */

struct nd6_neighbor_cache_entry neighbor_cache[LWIP_ND6_NUM_NEIGHBORS];
struct nd6_destination_cache_entry destination_cache[LWIP_ND6_NUM_DESTINATIONS];
struct tcp_pcb *tcp_active_pcbs, *tcp_tw_pcbs;
u32_t tcp_ticks;
uint32_t uk_net_ndevs;
struct net_iface *net_ifaces[NOXS_NET_MAX];
bool net_early;
const struct eth_addr ethbroadcast = {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}}, ethzero;
static unsigned nd6_ticks, igmp_ticks, mld6_ticks, reassembly_ticks;

void nd6_tmr(void)
{
	nd6_ticks++;
}

void igmp_tmr(void)
{
	struct igmp_group *g = netif_igmp_data(&net_ifaces[0]->netif);

	igmp_ticks++;
	if (g && g->timer)
		g->timer--;
}

void mld6_tmr(void)
{
	struct mld_group *g = netif_mld6_data(&net_ifaces[0]->netif);

	mld6_ticks++;
	if (g && g->timer)
		g->timer--;
}

void ip_reass_tmr(void)
{
	reassembly_ticks++;
}

void ip6_reass_tmr(void)
{
}

void tcp_tmr(void)
{
}

void dhcp_fine_tmr(void)
{
}

uint64_t net_lease_in_ms(void)
{
	return UINT64_MAX;
}

void net_lease_run(void)
{
}

void net_pmtu_age(void)
{
}

void tcp_pcb_purge(struct tcp_pcb *pcb)
{
	(void)pcb;
}

void tcp_free_ooseq(struct tcp_pcb *pcb)
{
	(void)pcb;
}

void tcp_connect_early(void)
{
}

bool net_recovery_ticks(void)
{
	return false;
}

void net_tcp_tick(void)
{
}

void net_recovery_tick(struct tcp_pcb *pcb)
{
	(void)pcb;
}

void net_recovery_fast(void)
{
}

void uk_panic(const char *fmt, ...)
{
	(void)fmt;
	abort();
}

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

struct netif *ip4_route(const ip4_addr_t *to)
{
	(void)to;
	return &net_ifaces[0]->netif;
}

static struct tcp_pcb *failed[4];
static unsigned nfailed;

void tcp_failed(const ip_addr_t *to, uint16_t port, uint16_t local_port, uint32_t sequence,
		int error)
{
	(void)to;
	(void)port;
	(void)sequence;
	assert_int_equal(error, EHOSTUNREACH);
	for (struct tcp_pcb *pcb = tcp_active_pcbs; pcb; pcb = pcb->next)
		if (pcb->local_port == local_port)
			failed[nfailed++] = pcb;
}

/* ---- the wire ---- */

static struct {
	unsigned requests, packets; /* ARP requests, all else */
	uint8_t asked[6], to[6];    /* where the last request, the last packet went */
	uint32_t target;
} sent;
static const uint8_t *owner; /* of PEER: answers; NULL: nobody does */

static void answer(struct netif *netif, uint32_t address, const uint8_t mac[6])
{
	struct pbuf *p = pbuf_alloc(PBUF_RAW, SIZEOF_ETHARP_HDR, PBUF_RAM);
	struct etharp_hdr *arp = p->payload;
	const uint32_t ours = OURS;

	*arp = (struct etharp_hdr){
		.hwtype = PP_HTONS(1),
		.proto = PP_HTONS(ETHTYPE_IP),
		.hwlen = 6,
		.protolen = 4,
		.opcode = PP_HTONS(ARP_REPLY),
	};
	memcpy(&arp->shwaddr, mac, 6);
	memcpy(&arp->sipaddr, &address, 4);
	memcpy(&arp->dhwaddr, mac_ours, 6);
	memcpy(&arp->dipaddr, &ours, 4);
	etharp_input(p, netif);
}

static bool answering; /* a request's answer comes when it was sent, not in between */

err_t ethernet_output(struct netif *netif, struct pbuf *p, const struct eth_addr *src,
		      const struct eth_addr *dst, u16_t type)
{
	struct etharp_hdr *arp = p->payload;
	uint32_t target;

	assert_memory_equal(src, mac_ours, 6);
	if (type != ETHTYPE_ARP) {
		sent.packets++;
		memcpy(sent.to, dst, 6);
		return ERR_OK;
	}
	assert_int_equal(arp->opcode, PP_HTONS(ARP_REQUEST));
	memcpy(&target, &arp->dipaddr, 4);
	sent.requests++;
	sent.target = target;
	memcpy(sent.asked, dst, 6);
	/* As link_output does. */
	net_arp_asks();
	net_nobody_asked(netif, &target);
	answering |=
		owner && target == PEER && (!memcmp(dst, mac_all, 6) || !memcmp(dst, owner, 6));
	return ERR_OK;
}

static struct net_iface iface;

static void answers(void)
{
	if (answering)
		answer(&iface.netif, PEER, owner);
	answering = false;
}

/* A packet of ours. Copied, as TCP's segments are not: they are referred to while they wait. */
static void say(uint32_t to)
{
	struct pbuf *p = pbuf_alloc(PBUF_LINK, 40, PBUF_RAM);
	const ip4_addr_t at = {to};

	assert_int_equal(net_neighbour_output(&iface.netif, p, &at), ERR_OK);
	pbuf_free(p);
	answers();
}

static struct net_frame frame_of(uint8_t bytes[64], uint32_t from, const uint8_t mac[6])
{
	const uint32_t ours = OURS;

	memset(bytes, 0, 64);
	memcpy(bytes, mac_ours, 6);
	memcpy(bytes + 6, mac, 6);
	bytes[12] = 8;
	bytes[14] = 0x45;
	bytes[14 + 8] = 64;
	memcpy(bytes + 14 + 12, &from, 4);
	memcpy(bytes + 14 + 16, &ours, 4);
	return (struct net_frame){.bytes = 64, .npieces = 1, .piece = {{bytes, 64, 0}}};
}

static void hear(uint32_t from, const uint8_t mac[6])
{
	uint8_t bytes[64];
	struct net_frame f = frame_of(bytes, from, mac);

	net_neighbour_heard(&iface, &f);
}

/* ---- time ---- */

static uint64_t now;

/* What uk_net_service does, and when the VM would have to wake next. */
static uint64_t service(void)
{
	uk_mock.mono_ns = now;
	net_timers_age(now);
	net_timers_run(now);
	answers();
	return net_timers_next(now);
}

/* Awake for that long: it looks every 20 ms. */
static void awake(uint64_t ns)
{
	for (uint64_t end = now + ns; now < end; now += 20 * MS)
		service();
	service();
}

/* Asleep, but for what its own timers want: how often it woke. */
static unsigned asleep(uint64_t ns)
{
	const uint64_t end = now + ns;
	unsigned woke = 0;

	for (;;) {
		uint64_t next = service();

		if (next >= end)
			break;
		now = next;
		woke++;
	}
	now = end;
	return woke;
}

static int start(void **state)
{
	struct netif *netif = &iface.netif;

	(void)state;
	etharp_cleanup_netif(netif);
	net_neighbour_forget();
	net_nobody_forget();
	memset(neighbor_cache, 0, sizeof(neighbor_cache));
	memset(destination_cache, 0, sizeof(destination_cache));
	memset(&iface, 0, sizeof(iface));
	tcp_active_pcbs = NULL;
	nfailed = 0;
	owner = NULL;
	answering = false;
	netif->flags =
		NETIF_FLAG_UP | NETIF_FLAG_LINK_UP | NETIF_FLAG_ETHARP | NETIF_FLAG_BROADCAST;
	netif->hwaddr_len = 6;
	memcpy(netif->hwaddr, mac_ours, 6);
	ip_addr_set_ip4_u32(&netif->ip_addr, OURS);
	ip_addr_set_ip4_u32(&netif->netmask, ADDRESS(255, 255, 255, 0));
	ip_addr_set_ip4_u32(&netif->gw, GATEWAY);
	net_ifaces[0] = &iface;
	uk_net_ndevs = 1;
	now = (now / SECOND + 1000) * SECOND;
	asleep(20 * SECOND); /* what the last test has left */
	service();
	memset(&sent, 0, sizeof(sent));
	nd6_ticks = igmp_ticks = mld6_ticks = reassembly_ticks = 0;
	return 0;
}

/* ---- who is believed ---- */

static void who_calls_is_answered_without_being_asked(void **state)
{
	(void)state;
	owner = mac_peer;
	hear(PEER, mac_peer);
	say(PEER);
	assert_int_equal(sent.requests, 0);
	assert_int_equal(sent.packets, 1);
	assert_memory_equal(sent.to, mac_peer, 6);
	/* But is, two seconds later, where all hear it; once. */
	awake(3 * SECOND);
	assert_int_equal(sent.requests, 1);
	assert_int_equal(sent.target, PEER);
	assert_memory_equal(sent.asked, mac_all, 6);
	hear(PEER, mac_peer);
	say(PEER);
	awake(3 * SECOND);
	assert_int_equal(sent.requests, 1);
}

static void who_asks_for_us_need_not_be_asked(void **state)
{
	uint8_t bytes[64] = {0};
	struct net_frame f = {.bytes = 42, .npieces = 1, .piece = {{bytes, 42, 0}}};
	const uint32_t peer = PEER;

	(void)state;
	owner = mac_peer;
	hear(PEER, mac_peer);
	say(PEER);
	asleep(5 * SECOND);
	service();
	/* As stack.c shows it: lwIP's own part of it is answer's. */
	memcpy(bytes, mac_all, 6);
	bytes[12] = 8;
	bytes[13] = 6;
	memcpy(bytes + 28, &peer, 4);
	net_neighbour_heard(&iface, &f);
	answer(&iface.netif, PEER, mac_peer);
	awake(10 * SECOND);
	assert_int_equal(sent.requests, 0);
}

static void nothing_wakes_for_that(void **state)
{
	(void)state;
	owner = mac_peer;
	hear(PEER, mac_peer);
	say(PEER);
	assert_int_equal(asleep(600 * SECOND), 0);
	assert_int_equal(sent.requests, 0);
}

static void who_forges_a_neighbour_from_afar_is_found_out(void **state)
{
	(void)state;
	owner = mac_peer;
	hear(PEER, mac_router);
	say(PEER);
	assert_memory_equal(sent.to, mac_router, 6);
	awake(3 * SECOND);
	hear(PEER, mac_router); /* not again: the neighbour has answered */
	say(PEER);
	assert_memory_equal(sent.to, mac_peer, 6);
}

static void what_is_not_believed(void **state)
{
	static const struct {
		uint32_t from;
		unsigned at;
		uint8_t byte;
	} bad[] = {
		{PEER, 14 + 8, 63},                   /* TTL: somebody has passed it on */
		{PEER, 14 + 8, 254},                  /* */
		{PEER, 6, 3},                         /* sent by a group */
		{PEER, 0, 3},                         /* sent to one */
		{PEER, 12, 0x81},                     /* with a VLAN's tag */
		{ADDRESS(10, 9, 1, 7), 63, 0},        /* not on this link */
		{ADDRESS(10, 9, 0, 255), 63, 0},      /* all */
		{ADDRESS(255, 255, 255, 255), 63, 0}, /* */
		{ADDRESS(0, 0, 0, 0), 63, 0},         /* nobody */
		{ADDRESS(224, 0, 0, 1), 63, 0},       /* many */
		{OURS, 63, 0},                        /* we ourselves */
	};
	struct eth_addr *mac;
	const ip4_addr_t *ip;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		ip4_addr_t from = {bad[i].from};
		uint8_t bytes[64];
		struct net_frame f = frame_of(bytes, bad[i].from, mac_peer);
		struct pbuf *p = pbuf_alloc(PBUF_LINK, 40, PBUF_RAM);

		bytes[bad[i].at] = bad[i].byte;
		net_neighbour_heard(&iface, &f);
		net_neighbour_output(&iface.netif, p, &from);
		pbuf_free(p);
		if (etharp_find_addr(&iface.netif, &from, &mac, &ip) >= 0)
			fail_msg("%zu was believed", i);
	}
	/* One that is too short for its addresses. */
	uint8_t bytes[64];
	struct net_frame f = frame_of(bytes, PEER, mac_peer);

	f.bytes = f.piece[0].bytes = 33;
	net_neighbour_heard(&iface, &f);
	sent.requests = 0;
	etharp_cleanup_netif(&iface.netif);
	say(PEER);
	assert_int_equal(sent.requests, 1);
}

static void before_there_is_an_address_nobody_is_believed(void **state)
{
	(void)state;
	ip_addr_set_ip4_u32(&iface.netif.ip_addr, 0);
	hear(PEER, mac_peer);
	ip_addr_set_ip4_u32(&iface.netif.ip_addr, OURS);
	say(PEER);
	assert_int_equal(sent.requests, 1);
	/* DHCP's server is heard again when there is one. */
	awake(SECOND);
	hear(PEER, mac_peer);
	say(PEER);
	assert_memory_equal(sent.to, mac_peer, 6);
}

static void what_was_heard_long_ago_is_forgotten(void **state)
{
	(void)state;
	hear(PEER, mac_peer);
	awake(2 * SECOND);
	say(PEER);
	assert_int_equal(sent.requests, 1);
	assert_int_equal(sent.packets, 0);
	/* And a new MAC is not taken for what one has heard already. */
	start(NULL);
	hear(PEER, mac_peer);
	hear(PEER, mac_new);
	say(PEER);
	assert_memory_equal(sent.to, mac_new, 6);
}

static void so_many_at_once_are_asked_for(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 8; i++) {
		hear(ADDRESS(10, 9, 0, 100 + i), mac_peer);
		say(ADDRESS(10, 9, 0, 100 + i));
	}
	assert_int_equal(sent.requests, 0);
	hear(ADDRESS(10, 9, 0, 108), mac_peer);
	say(ADDRESS(10, 9, 0, 108));
	assert_int_equal(sent.requests, 1);
	awake(3 * SECOND);
	assert_true(sent.requests >= 9);
	hear(ADDRESS(10, 9, 0, 109), mac_peer);
	sent.packets = 0;
	say(ADDRESS(10, 9, 0, 109));
	assert_int_equal(sent.packets, 1);
}

static void a_new_mac_is_found_when_the_old_one_is_old(void **state)
{
	unsigned s = 0;

	(void)state;
	owner = mac_peer;
	hear(PEER, mac_peer);
	say(PEER);
	awake(3 * SECOND); /* and it was asked */
	owner = mac_new;   /* silently */
	for (; s < 400 && memcmp(sent.to, mac_new, 6) != 0; s++) {
		hear(PEER, mac_new);
		say(PEER);
		awake(SECOND);
	}
	assert_in_range(s, 250, 300);
}

static void neighbours_are_forgotten_in_a_long_sleep(void **state)
{
	(void)state;
	owner = mac_peer;
	say(PEER);
	assert_int_equal(sent.requests, 1);
	asleep(290 * SECOND);
	service();
	say(PEER); /* still known, but asked for again */
	assert_int_equal(sent.packets, 2);
	asleep(400 * SECOND);
	service();
	sent.requests = 0;
	owner = NULL;
	say(PEER);
	assert_int_equal(sent.requests, 1);
	assert_int_equal(sent.packets, 2);
}

/* ---- who does not answer ---- */

static void nobody_is_asked_five_times_and_then_no_more(void **state)
{
	(void)state;
	say(PEER);
	assert_in_range(asleep(60 * SECOND), 5, 7);
	assert_int_equal(sent.requests, 5);
	assert_int_equal(sent.packets, 0);
}

static void who_has_answered_is_not_waited_for(void **state)
{
	(void)state;
	owner = mac_peer;
	say(PEER);
	assert_int_equal(sent.packets, 1);
	assert_true(asleep(60 * SECOND) <= 2);
}

static void a_time_that_stood_still_gives_nobody_up(void **state)
{
	(void)state;
	say(PEER);
	now += 100 * SECOND; /* the host had other things to do */
	service();
	assert_int_equal(sent.requests, 2);
	answer(&iface.netif, PEER, mac_peer);
	assert_int_equal(sent.packets, 1);
	assert_memory_equal(sent.to, mac_peer, 6);
}

static struct tcp_pcb *connecting(struct tcp_pcb *pcb, uint32_t to, uint16_t port)
{
	*pcb = (struct tcp_pcb){.state = SYN_SENT, .local_port = port, .next = tcp_active_pcbs};
	ip_addr_set_ip4_u32(&pcb->remote_ip, to);
	tcp_active_pcbs = pcb;
	return pcb;
}

static void who_connects_to_nobody_is_told(void **state)
{
	struct tcp_pcb pcb[5];
	uint64_t began = now;

	(void)state;
	connecting(&pcb[0], PEER, 1);
	connecting(&pcb[1], ADDRESS(10, 9, 0, 9), 2);
	connecting(&pcb[2], ADDRESS(9, 9, 9, 9), 3);
	connecting(&pcb[3], PEER, 4)->state = ESTABLISHED;
	connecting(&pcb[4], PEER, 5);
	say(PEER);
	while (!nfailed && now < began + 10 * SECOND)
		awake(100 * MS);
	assert_in_range(now - began, 2 * SECOND, 5 * SECOND);
	assert_int_equal(nfailed, 2);
	assert_ptr_equal(failed[0], &pcb[4]);
	assert_ptr_equal(failed[1], &pcb[0]);
	/* The same by way of the gateway; what was before is over, if it is asked once more, too.
	 */
	tcp_active_pcbs = NULL;
	nfailed = 0;
	connecting(&pcb[0], PEER, 1);
	connecting(&pcb[1], ADDRESS(9, 9, 9, 9), 2);
	say(ADDRESS(9, 9, 9, 9));
	assert_int_equal(sent.target, GATEWAY);
	awake(5 * SECOND);
	assert_int_equal(nfailed, 1);
	assert_ptr_equal(failed[0], &pcb[1]);
}

static void who_connects_to_somebody_is_not(void **state)
{
	struct tcp_pcb pcb;

	(void)state;
	connecting(&pcb, PEER, 1);
	say(PEER);
	awake(2 * SECOND);
	owner = mac_peer; /* late */
	awake(10 * SECOND);
	assert_int_equal(nfailed, 0);
	assert_int_equal(sent.packets, 1);
}

static void ipv6_s_nobody_is_told_before_lwip_gives_it_up(void **state)
{
	static const ip6_addr_t near = {{0xfd, 0, 0, 7}, 0}, far = {{0xfe, 0, 0, 7}, 0};
	struct nd6_neighbor_cache_entry *e = &neighbor_cache[5];
	struct tcp_pcb pcb[2];

	(void)state;
	for (int i = 0; i < 2; i++) {
		connecting(&pcb[i], 0, (uint16_t)i);
		ip_addr_copy_from_ip6(pcb[i].remote_ip, *(i ? &far : &near));
		destination_cache[i].destination_addr = i ? far : near;
		destination_cache[i].next_hop_addr = near;
	}
	destination_cache[1].next_hop_addr = far;
	*e = (struct nd6_neighbor_cache_entry){.next_hop_address = near, .netif = &iface.netif};
	e->state = ND6_INCOMPLETE;
	e->counter.probes_sent = LWIP_ND6_MAX_MULTICAST_SOLICIT - 1;
	net_nobody_tick();
	assert_int_equal(nfailed, 0);
	e->counter.probes_sent++;
	e->isrouter = 1; /* asked for ever */
	net_nobody_tick();
	assert_int_equal(nfailed, 0);
	e->isrouter = 0;
	net_nobody_tick();
	assert_int_equal(nfailed, 1);
	assert_ptr_equal(failed[0], &pcb[0]);
}

/* ---- what ages, and when the VM wakes ---- */

static void who_wakes_at_odd_times_ages_as_others(void **state)
{
	(void)state;
	service();
	nd6_ticks = igmp_ticks = reassembly_ticks = 0;
	for (int i = 0; i < 100; i++) {
		now += 1990 * MS;
		service();
	}
	assert_in_range(nd6_ticks, 198, 200);
	assert_in_range(reassembly_ticks, 198, 200);
	assert_in_range(igmp_ticks, 1989, 1991);
	service();
	nd6_ticks = igmp_ticks = 0;
	for (int i = 0; i < 1000; i++) {
		now += 190 * MS;
		service();
	}
	assert_in_range(nd6_ticks, 189, 191);
	assert_in_range(igmp_ticks, 1899, 1901);
}

static void an_hour_is_enough_of_a_long_sleep(void **state)
{
	(void)state;
	service();
	nd6_ticks = 0;
	now += 100 * 3600 * SECOND;
	service();
	assert_int_equal(nd6_ticks, 3600);
}

static void a_link_that_is_down_wakes_nobody(void **state)
{
	(void)state;
	iface.netif.rs_count = 3;
	iface.netif.ip6_addr_state[1] = IP6_ADDR_TENTATIVE;
	iface.netif.flags &= (u8_t)~NETIF_FLAG_LINK_UP;
	assert_int_equal(asleep(600 * SECOND), 0);
	iface.netif.flags |= NETIF_FLAG_LINK_UP;
	assert_true(asleep(10 * SECOND) >= 9);
	iface.netif.ip6_addr_state[1] = IP6_ADDR_PREFERRED;
	assert_true(asleep(10 * SECOND) >= 9);
	iface.netif.rs_count = 0;
	assert_true(asleep(600 * SECOND) <= 1);
	for (unsigned s = ND6_INCOMPLETE; s <= ND6_PROBE; s++) {
		bool asks = s == ND6_INCOMPLETE || s == ND6_DELAY || s == ND6_PROBE;

		neighbor_cache[3].state = (u8_t)s;
		assert_in_range(asleep(10 * SECOND), asks ? 9 : 0, asks ? 10 : 1);
	}
}

static void a_querier_is_answered_in_time(void **state)
{
	struct mld_group group = {.timer = 40};

	(void)state;
	netif_set_client_data(&iface.netif, LWIP_NETIF_CLIENT_DATA_INDEX_MLD6, &group);
	/* Of its own accord, it may wait. */
	assert_int_equal(asleep(600 * SECOND), 0);
	service();
	assert_int_equal(group.timer, 0);
	/* Whatever it wakes for in between. */
	for (uint64_t step = 130 * MS; step < 2 * SECOND; step += 290 * MS) {
		const uint64_t asked = now;

		group.timer = 40;
		net_groups_asked();
		while (group.timer) {
			uint64_t next = service();

			now = next < now + step ? next : now + step;
			service();
		}
		assert_in_range(now - asked, 3800 * MS, 4100 * MS);
	}
	assert_true(asleep(600 * SECOND) <= 1);
	netif_set_client_data(&iface.netif, LWIP_NETIF_CLIENT_DATA_INDEX_MLD6, NULL);
}

#define TEST(name) cmocka_unit_test_setup(name, start)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(who_calls_is_answered_without_being_asked),
		TEST(who_asks_for_us_need_not_be_asked),
		TEST(nothing_wakes_for_that),
		TEST(who_forges_a_neighbour_from_afar_is_found_out),
		TEST(what_is_not_believed),
		TEST(before_there_is_an_address_nobody_is_believed),
		TEST(what_was_heard_long_ago_is_forgotten),
		TEST(so_many_at_once_are_asked_for),
		TEST(a_new_mac_is_found_when_the_old_one_is_old),
		TEST(neighbours_are_forgotten_in_a_long_sleep),
		TEST(nobody_is_asked_five_times_and_then_no_more),
		TEST(who_has_answered_is_not_waited_for),
		TEST(a_time_that_stood_still_gives_nobody_up),
		TEST(who_connects_to_nobody_is_told),
		TEST(who_connects_to_somebody_is_not),
		TEST(ipv6_s_nobody_is_told_before_lwip_gives_it_up),
		TEST(who_wakes_at_odd_times_ages_as_others),
		TEST(an_hour_is_enough_of_a_long_sleep),
		TEST(a_link_that_is_down_wakes_nobody),
		TEST(a_querier_is_answered_in_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
