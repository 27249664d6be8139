/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_net_guard.c: TCP of lwIP, with what stands around it (guard.c, demux.c, recovery.c),
 * against a peer that sends what no stack does. An assertion of lwIP's would be the VM's end, and
 * is the test's. The peer is this file: it sees each segment that lwIP sends.
 */
/* sources: unikernel/net/guard.c unikernel/net/demux.c unikernel/net/recovery.c */
/* sources: unikernel/net/resend.c */
/* sources: unikernel/net/timewait.c unikernel/net/checksum.c */
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

#include "../../unikernel/net/lwip/lwip_hooks.h"
#include "../../unikernel/net/stack.h"
#include "../../unikernel/net/tcpsock.h"

#define PORT  80
#define PEERS 6u
#define MSS   1000u

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

/* ---- the two ends ---- */

static struct netif line;
static struct tcp_pcb *listener;

/* A connection: ours (t), and what the peer knows of it. */
static struct end {
	struct tcp_sock t;
	uint32_t next, edge; /* the peer's sequence numbers: its next one; the window's end */
	uint32_t has;        /* what it has of ours */
	bool alive, reads;   /* reads: the program takes what comes, at once */
	uint32_t unread, came;
} end[PEERS];

/* What lwIP sent last. */
static struct {
	uint32_t n, sequence, ack, window, bytes;
	uint8_t flags;
	uint16_t port;
} sent;

static struct end *of_port(uint16_t port)
{
	return port >= 4000 && port < 4000 + PEERS ? &end[port - 4000] : NULL;
}

static err_t line_output(struct netif *netif, struct pbuf *p, const ip4_addr_t *to)
{
	uint8_t packet[70000];
	const struct tcp_hdr *tcp = (const void *)(packet + IP_HLEN);
	struct end *e;
	uint32_t end;

	(void)netif, (void)to;
	pbuf_copy_partial(p, packet, p->tot_len, 0);
	sent.n++;
	sent.sequence = lwip_ntohl(tcp->seqno);
	sent.ack = lwip_ntohl(tcp->ackno);
	sent.flags = TCPH_FLAGS(tcp);
	sent.bytes = p->tot_len - IP_HLEN - TCPH_HDRLEN_BYTES(tcp);
	sent.window = lwip_ntohs(tcp->wnd);
	sent.port = lwip_ntohs(tcp->dest);
	e = of_port(sent.port);
	if (e) {
		if (sent.flags & TCP_ACK)
			e->edge = sent.ack + sent.window;
		end = sent.sequence + sent.bytes + !!(sent.flags & (TCP_SYN | TCP_FIN));
		if (TCP_SEQ_LEQ(sent.sequence, e->has) && TCP_SEQ_GT(end, e->has) &&
		    !(sent.flags & TCP_RST))
			e->has = end;
	}
	return ERR_OK;
}

static err_t line_init(struct netif *netif)
{
	netif->output = line_output;
	netif->mtu = 1500;
	netif->flags = NETIF_FLAG_LINK_UP;
	return ERR_OK;
}

/* Every node once, and as many as there should be. */
static void list_is_sane(void)
{
	uint32_t n = 0, held = 0;

	for (const struct tcp_pcb *p = tcp_active_pcbs; p; p = p->next) {
		assert_true(++n < 1000);
		for (uint32_t i = 0; i < PEERS; i++)
			held += end[i].t.pcb == p;
	}
	for (uint32_t i = 0; i < PEERS; i++)
		if (end[i].t.pcb)
			held--;
	assert_int_equal(held, 0);
}

struct options {
	uint32_t bytes;
	uint8_t option[40];
};

static const struct options none, mss1 = {4, {2, 4, 0, 1}}, mss1000 = {4, {2, 4, 3, 232}};

/* A segment of peer i, as stack.c gives lwIP one. */
static void segment(uint32_t i, uint8_t flags, uint32_t sequence, uint32_t ack, uint32_t window,
		    uint32_t bytes, const struct options *o)
{
	uint32_t head = IP_HLEN + TCP_HLEN + o->bytes;
	struct pbuf *p = pbuf_alloc(PBUF_RAW, (u16_t)(head + bytes), PBUF_RAM);
	struct ip_hdr *ip;
	struct tcp_hdr *tcp;

	assert_non_null(p);
	ip = p->payload;
	memset(ip, 0, head);
	IPH_VHL_SET(ip, 4, 5);
	IPH_LEN_SET(ip, lwip_htons((u16_t)(head + bytes)));
	IPH_TTL_SET(ip, 64);
	IPH_PROTO_SET(ip, IP_PROTO_TCP);
	ip->src.addr = PP_HTONL(0x0a090001);
	ip->dest.addr = PP_HTONL(0x0a090002);
	tcp = (void *)((uint8_t *)ip + IP_HLEN);
	tcp->src = lwip_htons((u16_t)(4000 + i));
	tcp->dest = lwip_htons(PORT);
	tcp->seqno = lwip_htonl(sequence);
	tcp->ackno = lwip_htonl(ack);
	TCPH_HDRLEN_FLAGS_SET(tcp, (TCP_HLEN + o->bytes) / 4, flags);
	tcp->wnd = lwip_htons((u16_t)window);
	memcpy(tcp + 1, o->option, o->bytes);
	memset((uint8_t *)(tcp + 1) + o->bytes, 'x', bytes);
	if (ip4_input(p, &line) != ERR_OK)
		pbuf_free(p);
	net_recovery_after();
	net_demux_restore();
	list_is_sane();
}

static void passes(uint32_t ms)
{
	for (; ms; ms -= TCP_TMR_INTERVAL) {
		uk_mock.mono_ns += TCP_TMR_INTERVAL * 1000000ull;
		for (struct tcp_pcb *p = tcp_active_pcbs, *next; p; p = next) {
			next = p->next;
			net_recovery_tick(p);
		}
		tcp_tmr();
	}
	list_is_sane();
}

/* ---- our program ---- */

static void died(void *arg, err_t error)
{
	struct end *e = arg;

	(void)error;
	net_demux_remove(&e->t);
	e->t.pcb = NULL;
	e->alive = false;
}

/* From here on it is lwIP's alone, as in tcp.c. */
static void let_go(struct end *e)
{
	struct tcp_pcb *pcb = e->t.pcb;

	net_demux_remove(&e->t);
	e->t.pcb = NULL;
	tcp_arg(pcb, NULL);
	tcp_recv(pcb, NULL);
	tcp_err(pcb, NULL);
}

static err_t came(void *arg, struct tcp_pcb *pcb, struct pbuf *p, err_t error)
{
	struct end *e = arg;

	(void)error;
	if (!p) {
		if (pcb->state == CLOSING || pcb->state == TIME_WAIT)
			let_go(e);
		return ERR_OK;
	}
	e->came += p->tot_len;
	if (e->reads)
		tcp_recved(pcb, p->tot_len);
	else
		e->unread += p->tot_len;
	pbuf_free(p);
	return ERR_OK;
}

static void read_all(struct end *e)
{
	for (; e->unread && e->t.pcb; e->unread -= LWIP_MIN(e->unread, 60000))
		tcp_recved(e->t.pcb, (u16_t)LWIP_MIN(e->unread, 60000));
}

static err_t accepted(void *arg, struct tcp_pcb *pcb, err_t error)
{
	struct end *e = of_port(pcb->remote_port);

	(void)arg, (void)error;
	assert_non_null(e);
	assert_null(e->t.pcb);
	e->t.pcb = pcb;
	e->alive = true;
	net_demux_add(&e->t);
	tcp_arg(pcb, e);
	tcp_err(pcb, died);
	tcp_recv(pcb, came);
	return ERR_OK;
}

static struct end *connect_peer(uint32_t i, uint32_t isn, uint32_t window)
{
	struct end *e = &end[i];

	if (e->t.pcb)
		tcp_abort(e->t.pcb);
	*e = (struct end){.next = isn + 1, .reads = true};
	segment(i, TCP_SYN, isn, 0, window, 0, &mss1000);
	assert_int_equal(sent.flags, TCP_SYN | TCP_ACK);
	e->has = sent.sequence + 1;
	segment(i, TCP_ACK, e->next, e->has, window, 0, &none);
	assert_true(e->alive);
	return e;
}

/* Data from the peer, in order. */
static void data(struct end *e, uint32_t bytes, uint32_t window)
{
	segment((uint32_t)(e - end), TCP_ACK, e->next, e->has, window, bytes, &none);
	e->next += bytes;
}

/* The program does not read, until the window has only so much left. */
static void leave_window(struct end *e, uint32_t bytes)
{
	e->reads = false;
	while (e->t.pcb->rcv_wnd > bytes)
		data(e, LWIP_MIN(e->t.pcb->rcv_wnd - bytes, MSS), 60000);
	assert_int_equal(e->t.pcb->rcv_wnd, bytes);
}

static int begin(void **state)
{
	static bool made;
	ip4_addr_t ip = {PP_HTONL(0x0a090002)}, mask = {PP_HTONL(0xffffff00)}, gw = {0};

	(void)state;
	uk_mock.mono_ns = 1000000000;
	if (!made) {
		lwip_init();
		assert_non_null(netif_add(&line, &ip, &mask, &gw, NULL, line_init, ip4_input));
		NETIF_SET_CHECKSUM_CTRL(&line, 0);
		netif_set_default(&line);
		netif_set_up(&line);
		listener = tcp_new();
		assert_int_equal(tcp_bind(listener, IP4_ADDR_ANY, PORT), ERR_OK);
		listener = tcp_listen(listener);
		tcp_accept(listener, accepted);
		made = true;
	}
	return 0;
}

static int finish(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < PEERS; i++)
		if (end[i].t.pcb)
			tcp_abort(end[i].t.pcb);
	while (tcp_active_pcbs)
		tcp_abort(tcp_active_pcbs);
	while (tcp_tw_pcbs)
		tcp_abort(tcp_tw_pcbs);
	memset(end, 0, sizeof(end));
	return 0;
}

/* ---- what stands around it ---- */

static void honest_peers_notice_nothing(void **state)
{
	static const uint8_t out[3000];
	struct end *e = connect_peer(0, 0xffffff00, 60000);

	(void)state;
	data(e, 1000, 60000);
	data(e, 1000, 60000);
	/* Out of order, overlapping, again; over the end of the sequence numbers. */
	segment(0, TCP_ACK, e->next + 500, e->has, 60000, 1000, &none);
	segment(0, TCP_ACK, e->next + 1000, e->has, 60000, 1000, &none);
	segment(0, TCP_ACK, e->next - 500, e->has, 60000, 500, &none);
	segment(0, TCP_ACK, e->next - 500, e->has, 60000, 1200, &none);
	e->next += 2000;
	assert_int_equal(e->came, 4000);
	passes(100);
	assert_int_equal(sent.ack, e->next);
	/* More than there is room for is cut at the window's end. */
	e->came = 0;
	leave_window(e, 700);
	e->came = 0;
	segment(0, TCP_ACK, e->next, e->has, 60000, 1000, &none);
	assert_int_equal(e->came, 700);
	e->next += 700;
	passes(100);
	assert_int_equal(sent.ack, e->next);
	assert_int_equal(sent.window, 0);
	read_all(e);
	segment(0, TCP_ACK, e->next, e->has, 60000, 300, &none);
	e->next += 300;
	assert_int_equal(e->came, 1000);
	/* A keep-alive is answered. */
	sent.n = 0;
	segment(0, TCP_ACK, e->next - 1, e->has, 60000, 0, &none);
	assert_int_equal(sent.n, 1);
	/* And the other way, to the end. */
	assert_int_equal(tcp_write(e->t.pcb, out, sizeof(out), TCP_WRITE_FLAG_COPY), ERR_OK);
	tcp_output(e->t.pcb);
	segment(0, TCP_ACK, e->next, e->has, 60000, 0, &none);
	assert_null(e->t.pcb->unacked);
	segment(0, TCP_ACK | TCP_FIN, e->next, e->has, 60000, 0, &none);
	assert_int_equal(e->t.pcb->state, CLOSE_WAIT);
}

static void a_segment_size_counts_in_a_syn_only(void **state)
{
	static const uint8_t out[20000];
	struct end *e = connect_peer(0, 5000, 3000);
	static const uint8_t flags[] = {TCP_ACK, TCP_ACK | TCP_PSH, TCP_ACK | TCP_SYN, 0, TCP_SYN};

	(void)state;
	/* More than the window takes: it waits, in segments that have their size. */
	assert_int_equal(tcp_write(e->t.pcb, out, sizeof(out), TCP_WRITE_FLAG_COPY), ERR_OK);
	tcp_output(e->t.pcb);
	for (uint32_t i = 0; i < uk_countof(flags); i++) {
		segment(0, flags[i], e->next, e->has, 3000, 0, &mss1);
		assert_int_equal(e->t.pcb->mss, MSS);
		/* Behind others, and cut short. */
		segment(0, flags[i], e->next, e->has, 3000, 0,
			&(struct options){8, {1, 1, 5, 2, 2, 4, 0, 1}});
		segment(0, flags[i], e->next, e->has, 3000, 0, &(struct options){4, {1, 1, 2, 4}});
		segment(0, flags[i], e->next, e->has, 3000, 0, &(struct options){4, {2, 3, 0, 1}});
		segment(0, flags[i], e->next, e->has, 3000, 0, &(struct options){4, {9, 0, 2, 4}});
		assert_int_equal(e->t.pcb->mss, MSS);
		assert_int_equal(tcp_write(e->t.pcb, out, 500, TCP_WRITE_FLAG_COPY), ERR_OK);
	}
	/* In a SYN it does, but not a size that makes all others work. */
	segment(1, TCP_SYN, 100, 0, 3000, 0, &mss1);
	assert_int_equal(tcp_active_pcbs->remote_port, 4001);
	assert_int_equal(tcp_active_pcbs->mss, 48);
	segment(1, TCP_SYN, 100, 0, 3000, 0, &mss1000);
	assert_int_equal(tcp_active_pcbs->mss, 48);
}

static void beyond_the_window_out_of_order(void **state)
{
	struct end *e = connect_peer(0, 0xffff0000, 60000);

	(void)state;
	leave_window(e, 1500);
	segment(0, TCP_ACK, e->next + 1000, e->has, 60000, 1000, &none);
	segment(0, TCP_ACK | TCP_FIN, e->next + 1000, e->has, 60000, 500, &none);
	assert_null(e->t.pcb->ooseq);
	/* As far as the window goes it is kept. */
	segment(0, TCP_ACK, e->next + 1000, e->has, 60000, 500, &none);
	assert_non_null(e->t.pcb->ooseq);
	/* One that is larger, in its place. */
	segment(0, TCP_ACK, e->next + 1000, e->has, 60000, 600, &none);
	segment(0, TCP_ACK, e->next + 900, e->has, 60000, 700, &none);
	e->came = 0;
	segment(0, TCP_ACK, e->next, e->has, 60000, 1000, &none);
	assert_int_equal(e->came, 1500);
	assert_int_equal(e->t.pcb->rcv_wnd, 0);
	segment(0, TCP_ACK, e->next + 1500, e->has, 60000, 1, &none);
	assert_int_equal(e->came, 1500);
}

static void data_behind_a_fin(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++) {
		struct end *e = connect_peer(0, 77, 60000);

		leave_window(e, 1000);
		segment(0, TCP_ACK | TCP_FIN, e->next + 500, e->has, 60000, i == 1 ? 100 : 0,
			&none);
		assert_non_null(e->t.pcb->ooseq);
		if (i == 2)
			segment(0, TCP_ACK, e->next + 200, e->has, 60000, 800, &none);
		segment(0, TCP_ACK, e->next, e->has, 60000, 1000, &none);
		segment(0, TCP_ACK, e->next, e->has, 60000, 1001, &none);
		segment(0, TCP_ACK | TCP_FIN, e->next, e->has, 60000, 1000, &none);
		assert_true(e->t.pcb->rcv_wnd <= 1000);
		passes(1000);
	}
}

static void a_window_that_closes_over_what_was_sent(void **state)
{
	static const uint8_t out[1000];
	struct end *e = connect_peer(0, 9000, 60000);
	uint32_t had = e->has;

	(void)state;
	assert_int_equal(tcp_write(e->t.pcb, out, sizeof(out), TCP_WRITE_FLAG_COPY), ERR_OK);
	tcp_output(e->t.pcb);
	assert_int_equal(e->has - had, sizeof(out));
	/* Nothing is acknowledged, and the window is closed: it is to be sent again. */
	for (int i = 0; i < 2; i++)
		segment(0, TCP_ACK, e->next++, had, 0, 1, &none);
	for (int i = 0; i < 100 && !e->t.pcb->persist_backoff; i++)
		passes(100);
	assert_int_not_equal(e->t.pcb->persist_backoff, 0);
	assert_non_null(e->t.pcb->unsent);
	/* It had been received all the same. */
	segment(0, TCP_ACK, e->next, e->has, 0, 0, &none);
	assert_null(e->t.pcb->unsent);
	passes(5000);
	/* And when it opens, what is written goes. */
	had = e->has;
	assert_int_equal(tcp_write(e->t.pcb, out, sizeof(out), TCP_WRITE_FLAG_COPY), ERR_OK);
	tcp_output(e->t.pcb);
	passes(1000);
	segment(0, TCP_ACK, e->next, had, 60000, 0, &none);
	passes(1000);
	assert_int_equal(e->has - had, sizeof(out));
}

static void forged_data_are_not_taken(void **state)
{
	static const uint8_t out[100];
	struct end *e = connect_peer(0, 1234, 5000);
	const uint8_t odd[] = {0, TCP_PSH, TCP_FIN, TCP_FIN | TCP_PSH | TCP_URG};

	(void)state;
	assert_int_equal(tcp_write(e->t.pcb, out, sizeof(out), TCP_WRITE_FLAG_COPY), ERR_OK);
	tcp_output(e->t.pcb);
	segment(0, TCP_ACK, e->next, e->has, 5000, 0, &none);
	/* Of what we never sent, and long before. */
	segment(0, TCP_ACK, e->next, e->has + 1, 5000, 100, &none);
	segment(0, TCP_ACK, e->next, e->has + 0x7fffffff, 5000, 100, &none);
	segment(0, TCP_ACK, e->next, e->has - 5001, 5000, 100, &none);
	segment(0, TCP_ACK | TCP_FIN, e->next, e->has + 0x80000000, 5000, 100, &none);
	for (uint32_t i = 0; i < uk_countof(odd); i++)
		segment(0, odd[i], e->next, e->has, 5000, 100, &none);
	assert_int_equal(e->came, 0);
	assert_int_equal(e->t.pcb->state, ESTABLISHED);
	/* A reset at another place of the window is asked about (RFC 5961, 3). */
	segment(0, TCP_RST, e->next + 1, 0, 0, 0, &none);
	assert_true(e->alive);
	assert_int_equal(sent.flags, TCP_ACK);
	/* One that is only late is taken. */
	segment(0, TCP_ACK, e->next, e->has - 100, 5000, 100, &none);
	assert_int_equal(e->came, 100);
	segment(0, TCP_RST, e->next + 100, 0, 0, 0, &none);
	assert_false(e->alive);
	/* The end of a handshake that is a SYN again, with data. */
	segment(1, TCP_SYN, 100, 0, 5000, 0, &none);
	segment(1, TCP_SYN | TCP_ACK, 101, sent.sequence + 1, 5000, 500, &none);
	assert_null(end[1].t.pcb);
}

static void out_of_order_there_is_a_limit(void **state)
{
	struct end *e = connect_peer(0, 1, 60000);
	uint32_t n = 0;

	(void)state;
	for (uint32_t i = 0; i < 3000; i++)
		segment(0, TCP_ACK, e->next + 1 + 2 * i, e->has, 60000, 1, &none);
	for (const struct tcp_seg *s = e->t.pcb->ooseq; s; s = s->next)
		n++;
	assert_true(n > 100 && n <= 600);
}

/* ---- anything ---- */

static uint32_t near(uint32_t at)
{
	static const uint32_t step[] = {0, 0, 0, 1, 2, 500, 999, 1000, 1001, 3000};
	uint32_t s = step[(unsigned)rand() % uk_countof(step)];

	return rand() % 3 ? at + s : at - s;
}

static void some_options(struct options *o)
{
	o->bytes = 4 * ((uint32_t)rand() % 11);
	for (uint32_t i = 0; i < o->bytes; i++) {
		static const uint8_t likely[] = {0, 1, 1, 2, 3, 4, 5, 8, 10, 18};

		o->option[i] = rand() % 3 ? likely[(unsigned)rand() % uk_countof(likely)]
					  : (uint8_t)rand();
	}
}

static void random_segment(uint32_t i)
{
	static const uint8_t usual[] = {TCP_ACK, TCP_ACK, TCP_ACK, TCP_ACK | TCP_PSH,
					TCP_ACK | TCP_FIN};
	struct end *e = &end[i];
	uint32_t edge = e->t.pcb ? e->t.pcb->rcv_nxt + e->t.pcb->rcv_wnd : e->edge;
	uint32_t next = e->t.pcb ? e->t.pcb->rcv_nxt : e->next, at = next, bytes = 0, ack, window;
	struct options o = {0};
	uint8_t flags = usual[(unsigned)rand() % uk_countof(usual)];

	if (rand() % 40 == 0)
		flags = (uint8_t)rand() & 0x3f;
	else if (rand() % 8)
		flags &= (uint8_t)~TCP_FIN;
	if (rand() % 2)
		at = near(rand() % 2 ? next : edge);
	if (rand() % 4)
		bytes = rand() % 3 ? (uint32_t)rand() % 1400 : edge - at;
	if (bytes > 40000)
		bytes = 1000;
	if (rand() % 4 == 0)
		some_options(&o);
	ack = rand() % 4 ? e->has : near(e->has);
	window = rand() % 3 ? 60000 : (uint32_t)rand() % 3000 * (uint32_t)(rand() % 2);
	segment(i, flags, at, ack, window, bytes, &o);
}

static void anything_at_all(void **state)
{
	static const uint8_t out[6000];

	(void)state;
	srand(11);
	for (uint32_t round = 0; round < 300000; round++) {
		uint32_t i = (uint32_t)rand() % PEERS;
		struct end *e = &end[i];

		if (!e->t.pcb) {
			/* One that has just closed may not be gone yet. */
			while (tcp_tw_pcbs)
				tcp_abort(tcp_tw_pcbs);
			for (struct tcp_pcb *p = tcp_active_pcbs, *next; p; p = next) {
				next = p->next;
				if (p->remote_port == 4000 + i)
					tcp_abort(p);
			}
			connect_peer(i, (uint32_t)rand() * 3u, 60000);
			e->reads = rand() % 2;
		}
		switch (rand() % 16) {
		case 0:
			read_all(e);
			break;
		case 1:
			tcp_write(e->t.pcb, out, 1 + (u16_t)(rand() % 6000), TCP_WRITE_FLAG_COPY);
			tcp_output(e->t.pcb);
			break;
		case 2:
			passes(50u * (1 + (uint32_t)rand() % 8));
			break;
		case 3:
			net_recovery_fast();
			break;
		case 4:
			e->reads = rand() % 2;
			break;
		case 5:
			if (rand() % 50 == 0) {
				struct tcp_pcb *pcb = e->t.pcb;

				let_go(e);
				tcp_close(pcb);
			} else if (rand() % 50 == 0) {
				tcp_shutdown(e->t.pcb, 0, 1);
				if (e->t.pcb->state >= CLOSING && e->t.pcb->state != LAST_ACK)
					let_go(e);
			}
			break;
		default:
			random_segment(i);
			break;
		}
		assert_true(!e->t.pcb || e->t.pcb->rcv_wnd <= TCP_WND_MAX(e->t.pcb));
	}
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, finish)
	const struct CMUnitTest tests[] = {
		TEST(honest_peers_notice_nothing),
		TEST(a_segment_size_counts_in_a_syn_only),
		TEST(beyond_the_window_out_of_order),
		TEST(data_behind_a_fin),
		TEST(a_window_that_closes_over_what_was_sent),
		TEST(forged_data_are_not_taken),
		TEST(out_of_order_there_is_a_limit),
		TEST(anything_at_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
