/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_net_outage.c: lwIP's TCP, with what stands around it (recovery.c, resend.c, tcpclock.c), on
 * a line that carries nothing for a while, with the link up and down: when it is asked again, and
 * that all of it comes in the end. The peer is this file.
 */
/* sources: unikernel/net/recovery.c unikernel/net/resend.c unikernel/net/tcpclock.c */
/* sources: unikernel/net/checksum.c */
/* sources: tests/unit/lwip_host.c tests/unit/uk_mock.c */
#include "uk_mock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#include "lwip/init.h"
#include "lwip/ip4.h"
#include "lwip/priv/tcp_priv.h"
#include "lwip/prot/ip4.h"

#include "../../unikernel/net/inet.h"
#include "../../unikernel/net/stack.h"

#define OURS   0x0a090002
#define THEIRS 0x0a090001
#define PORT   4000
#define FIRST  0xfffff000u /* numbers wrap */
#define MSS    1000u
#define MS     1000000ull
#define STEP   10u /* ms: recovery.c's */
#define DELAY  40u /* ms: of an acknowledgement, as Linux has it */

void uk_panic(const char *fmt, ...)
{
	va_list args;
	const char *what;

	va_start(args, fmt);
	what = va_arg(args, const char *);
	va_end(args);
	fail_msg("lwIP: %s", what);
	abort();
}

bool tcp_syn_is_over(const struct tcp_pcb *pcb)
{
	(void)pcb;
	return false;
}

static struct netif line;
static struct tcp_pcb *pcb;
static bool dead;         /* what is sent is lost */
static uint32_t has;      /* of the peer: all before this number */
static uint32_t again[8]; /* ms: when the first segment of what it has not was sent */
static unsigned nagain;

static uint32_t now_ms(void)
{
	return (uint32_t)(uk_mock.mono_ns / MS);
}

static err_t line_output(struct netif *netif, struct pbuf *p, const ip4_addr_t *to)
{
	struct tcp_hdr tcp;
	uint32_t sequence, end;

	(void)netif, (void)to;
	pbuf_copy_partial(p, &tcp, sizeof(tcp), IP_HLEN);
	sequence = lwip_ntohl(tcp.seqno);
	end = sequence + p->tot_len - IP_HLEN - TCPH_HDRLEN_BYTES(&tcp);
	if (TCP_SEQ_GT(sequence, has) || TCP_SEQ_LEQ(end, has))
		return ERR_OK;
	if (!dead)
		has = end;
	else if (nagain < uk_countof(again))
		again[nagain++] = now_ms();
	return ERR_OK;
}

static err_t line_init(struct netif *netif)
{
	netif->output = line_output;
	netif->mtu = 1500;
	netif->flags = NETIF_FLAG_LINK_UP;
	return ERR_OK;
}

/* The peer acknowledges what it has: one segment later than two. */
static void acknowledge(void)
{
	static uint32_t since_ms;
	struct pbuf *p;
	struct ip_hdr *ip;
	struct tcp_hdr *tcp;

	if (has == pcb->lastack) {
		since_ms = now_ms();
		return;
	}
	if (has - pcb->lastack < 2 * MSS && now_ms() - since_ms < DELAY)
		return;
	since_ms = now_ms();
	p = pbuf_alloc(PBUF_RAW, IP_HLEN + TCP_HLEN, PBUF_RAM);
	assert_non_null(p);
	ip = p->payload;
	memset(ip, 0, IP_HLEN + TCP_HLEN);
	IPH_VHL_SET(ip, 4, 5);
	IPH_LEN_SET(ip, lwip_htons(IP_HLEN + TCP_HLEN));
	IPH_TTL_SET(ip, 64);
	IPH_PROTO_SET(ip, IP_PROTO_TCP);
	ip->src.addr = PP_HTONL(THEIRS);
	ip->dest.addr = PP_HTONL(OURS);
	tcp = (void *)((uint8_t *)ip + IP_HLEN);
	tcp->src = lwip_htons(PORT);
	tcp->dest = lwip_htons(PORT);
	tcp->seqno = lwip_htonl(pcb->rcv_nxt);
	tcp->ackno = lwip_htonl(has);
	TCPH_HDRLEN_FLAGS_SET(tcp, TCP_HLEN / 4, TCP_ACK);
	tcp->wnd = lwip_htons(60000);
	if (ip4_input(p, &line) != ERR_OK)
		pbuf_free(p);
	net_recovery_after();
}

/* The timers as timers.c has them; a round trip takes a step. */
static void passes(uint32_t ms)
{
	for (uint32_t i = 0; i < ms; i += STEP) {
		uk_mock.mono_ns += STEP * MS;
		net_tcp_clock(uk_mock.mono_ns);
		if (!dead && netif_is_link_up(&line))
			acknowledge();
		net_recovery_fast();
		if (now_ms() % TCP_TMR_INTERVAL)
			continue;
		net_tcp_tick();
		tcp_tmr();
	}
}

static void writes(uint32_t bytes)
{
	static char data[10000];

	assert_true(bytes <= sizeof(data));
	assert_int_equal(tcp_write(pcb, data, (u16_t)bytes, TCP_WRITE_FLAG_COPY), ERR_OK);
	tcp_output(pcb);
}

/* A connection on which something was sent. */
static int begin(void **state)
{
	static bool made;
	ip4_addr_t ip = {PP_HTONL(OURS)}, mask = {PP_HTONL(0xffffff00)}, none = {0};

	(void)state;
	if (!made) {
		uk_mock.mono_ns = 1000 * MS;
		lwip_init();
		assert_non_null(netif_add(&line, &ip, &mask, &none, NULL, line_init, ip_input));
		NETIF_SET_CHECKSUM_CTRL(&line, 0);
		netif_set_default(&line);
		netif_set_up(&line);
		made = true;
	}
	dead = false;
	nagain = 0;
	pcb = tcp_new();
	assert_non_null(pcb);
	ip_addr_set_ip4_u32_val(pcb->local_ip, PP_HTONL(OURS));
	ip_addr_set_ip4_u32_val(pcb->remote_ip, PP_HTONL(THEIRS));
	pcb->local_port = pcb->remote_port = PORT;
	pcb->state = ESTABLISHED;
	tcp_set_flags(pcb, TF_SACK);
	pcb->mss = MSS;
	pcb->snd_wnd = pcb->snd_wnd_max = 60000;
	pcb->cwnd = 40 * MSS;
	pcb->snd_lbb = pcb->snd_nxt = pcb->lastack = has = FIRST;
	pcb->snd_wl2 = FIRST;
	TCP_REG_ACTIVE(pcb);
	for (int i = 0; i < 20; i++) {
		writes(2 * MSS);
		passes(STEP);
	}
	passes(500);
	assert_int_equal(has, FIRST + 40 * MSS);
	assert_null(pcb->unacked);
	return 0;
}

static int finish(void **state)
{
	(void)state;
	tcp_abort(pcb);
	return 0;
}

/* It is asked soon, some times; then by time-outs, of which each is twice the one before, from the
 * shortest on: 300 ms. */
static void time_outs_double(void **state)
{
	uint32_t longest = 300;

	(void)state;
	dead = true;
	writes(6 * MSS);
	passes(8000);
	assert_true(nagain >= 6);
	for (unsigned i = 1; i < nagain; i++) {
		uint32_t pause = again[i] - again[i - 1];

		assert_true(pause <= 2 * longest + TCP_TMR_INTERVAL);
		longest = uk_max(longest, pause);
	}
	dead = false;
	passes(16000);
	assert_int_equal(has, FIRST + 46 * MSS);
	assert_null(pcb->unacked);
}

/* Before any time-out: nothing came of what is under way, so the peer delays what it says of each
 * segment, if there is no other behind it. */
static void the_line_was_dead_for_a_moment(void **state)
{
	(void)state;
	dead = true;
	for (int i = 0; i < 6; i++)
		writes(5 * MSS);
	passes(60);
	dead = false;
	passes(500);
	assert_int_equal(has, FIRST + 70 * MSS);
	assert_null(pcb->unacked);
}

/* What was to be sent again could not be, when the time was out: lwIP comes upon it in unsent. */
static void the_link_was_down(void **state)
{
	static const uint32_t for_ms[] = {30, 100, 250, 400, 900};
	uint32_t all = has;

	(void)state;
	for (unsigned i = 0; i < uk_countof(for_ms); i++) {
		dead = true;
		writes(10 * MSS);
		netif_set_link_down(&line);
		passes(for_ms[i]);
		writes(10 * MSS);
		dead = false;
		netif_set_link_up(&line);
		passes(4 * for_ms[i] + 800);
		all += 20 * MSS;
		assert_int_equal(has, all);
		assert_null(pcb->unacked);
		assert_null(pcb->unsent);
	}
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, finish)
	const struct CMUnitTest tests[] = {
		TEST(time_outs_double),
		TEST(the_line_was_dead_for_a_moment),
		TEST(the_link_was_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
