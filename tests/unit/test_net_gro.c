/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_net_gro.c: which segments reach lwIP as one, and which do not: all that differs but
 * sequence number, length and checksum keeps two apart; the order is kept; what is merged has
 * right lengths and checksums, and every byte; nothing is freed twice, or never.
 */
/* sources: unikernel/net/gro.c unikernel/net/checksum.c */
/* sources: tests/unit/lwip_host.c tests/unit/uk_mock.c */
#include "uk_mock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#include "lwip/inet_chksum.h"
#include "lwip/ip.h"
#include "lwip/priv/tcp_priv.h"

#include "../../unikernel/net/lwip/lwip_hooks.h"
#include "../../unikernel/net/stack.h"

/* PLAIN is there to be overridden in places. */
#pragma GCC diagnostic ignored "-Woverride-init"

#define ETH  14u
#define DATA 1000u

void uk_panic(const char *fmt, ...)
{
	fail_msg("%s", fmt);
	abort();
}

/* ---- segments ---- */

/* One as all others are, and what a test changes of it. */
struct seg {
	bool v6, bad_sum, bad_ip_sum;
	uint32_t at, bytes; /* offset of the data in the stream */
	uint32_t ack, window, options;
	uint8_t flags;
	uint32_t pieces; /* pbufs, the first with the headers */
	uint32_t extra;  /* bytes behind the packet: Ethernet's padding */
	/* frame[poke_at] ^= poke, before checksums are made */
	uint32_t poke_at;
	uint8_t poke;
};

#define PLAIN .bytes = DATA, .ack = 7, .window = 500, .flags = TCP_ACK, .pieces = 1
#define START 0xfffff000u /* sequence numbers wrap around under way */

static uint32_t freed, made;

struct frame {
	struct pbuf_custom custom;
	uint8_t bytes[];
};

static void frame_free(struct pbuf *p)
{
	freed++;
	free(p);
}

static void put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v);
}

static uint32_t get16(const uint8_t *p)
{
	return (uint32_t)p[0] << 8 | p[1];
}

static uint8_t stream_byte(uint32_t at)
{
	return (uint8_t)(at * 31 + (at >> 8));
}

static uint16_t tcp_sum(const uint8_t *ip, bool v6, const uint8_t *tcp, uint32_t bytes)
{
	uint8_t all[70000];
	uint32_t n = v6 ? 32 : 8;

	memcpy(all, ip + (v6 ? 8 : 12), n);
	put32(all + n, bytes);
	put32(all + n + 4, IP_PROTO_TCP);
	memcpy(all + n + 8, tcp, bytes);
	return inet_chksum(all, (u16_t)(n + 8 + bytes));
}

/* Pieces of a frame, each with exactly its bytes: ASAN sees who reads behind them. */
static struct pbuf *pbufs(const uint8_t *frame, uint32_t bytes, uint32_t headers, uint32_t pieces)
{
	struct pbuf *first = NULL;

	for (uint32_t i = 0, at = 0; i < pieces; i++) {
		uint32_t rest = bytes - at;
		uint32_t n = i + 1 == pieces ? rest
			     : i             ? rest / 2
					     : headers + (bytes - headers) / 3;
		struct frame *f = malloc(sizeof(*f) + n);
		struct pbuf *p;

		assert_non_null(f);
		f->custom.custom_free_function = frame_free;
		memcpy(f->bytes, frame + at, n);
		p = pbuf_alloced_custom(PBUF_RAW, (u16_t)n, PBUF_REF, &f->custom, f->bytes,
					(u16_t)n);
		assert_non_null(p);
		made++;
		if (first)
			pbuf_cat(first, p);
		else
			first = p;
		at += n;
	}
	return first;
}

static struct pbuf *make(const struct seg *s)
{
	static uint8_t frame[70000];
	uint8_t *ip = frame + ETH, *tcp = ip + (s->v6 ? 40 : 20);
	uint32_t head = 20 + s->options, bytes = (uint32_t)(tcp - frame) + head + s->bytes;
	uint16_t sum;

	memset(frame, 0, bytes + s->extra);
	memcpy(frame, "\x02\x00\x00\x00\x00\x01\x02\x00\x00\x00\x00\x02", 12);
	put16(frame + 12, s->v6 ? 0x86dd : 0x0800);
	if (s->v6) {
		ip[0] = 0x60;
		put16(ip + 4, head + s->bytes);
		ip[6] = IP_PROTO_TCP;
		ip[7] = 64;
		memset(ip + 8, 0xfd, 16);
		memset(ip + 24, 0xfe, 16);
	} else {
		ip[0] = 0x45;
		put16(ip + 2, 20 + head + s->bytes);
		put16(ip + 4, s->at); /* the identification tells nothing */
		ip[6] = 0x40;
		ip[8] = 64;
		ip[9] = IP_PROTO_TCP;
		memcpy(ip + 12, "\x0a\x09\x00\x01\x0a\x09\x00\x02", 8);
	}
	put16(tcp, 40000);
	put16(tcp + 2, 80);
	put32(tcp + 4, START + s->at);
	put32(tcp + 8, s->ack);
	tcp[12] = (uint8_t)(head / 4 << 4);
	tcp[13] = s->flags;
	put16(tcp + 14, s->window);
	memset(tcp + 20, 1, s->options);
	for (uint32_t i = 0; i < s->bytes; i++)
		tcp[head + i] = stream_byte(s->at + i);
	frame[s->poke_at] ^= s->poke;
	if (!s->v6) {
		sum = inet_chksum(ip, 20);
		memcpy(ip + 10, &sum, 2);
		ip[10] ^= s->bad_ip_sum;
	}
	sum = tcp_sum(ip, s->v6, tcp, head + s->bytes);
	memcpy(tcp + 16, &sum, 2);
	tcp[16] ^= s->bad_sum;
	return pbufs(frame, bytes + s->extra, (uint32_t)(tcp - frame) + head, s->pieces);
}

/* ---- what lwIP gets ---- */

static struct got {
	const struct net_iface *iface;
	bool good, v6, pushed;
	uint32_t at, bytes, frame_bytes;
} got[64];
static uint32_t ngot;
static struct tcp_pcb *looked_at_by;

void net_stack_input(struct net_iface *iface, struct pbuf *p, bool good)
{
	static uint8_t frame[70000];
	uint32_t bytes = p->tot_len, len = 0, before;
	struct got *g = &got[ngot];
	const uint8_t *ip = frame + ETH, *tcp;

	assert_true(ngot < uk_countof(got));
	ngot++;
	for (const struct pbuf *q = p; q; q = q->next) {
		assert_int_equal(q->tot_len, bytes - len);
		len += q->len;
	}
	assert_int_equal(len, bytes);
	assert_int_equal(pbuf_copy_partial(p, frame, p->tot_len, 0), bytes);
	if (looked_at_by)
		net_gro_tcp_input(looked_at_by);
	pbuf_free(p);
	*g = (struct got){.iface = iface, .good = good, .frame_bytes = bytes};
	if (get16(frame + 12) != 0x0800 && get16(frame + 12) != 0x86dd)
		return;
	g->v6 = get16(frame + 12) == 0x86dd;
	before = g->v6 ? 40 : 20;
	tcp = ip + before;
	g->at = (get16(tcp + 4) << 16 | get16(tcp + 6)) - START;
	g->pushed = tcp[13] & TCP_PSH;
	g->bytes = bytes - ETH - before - (tcp[12] >> 4) * 4u;
	if (!good)
		return;
	/* lwIP does not look at TCP's sum again; at all else it does. */
	assert_int_equal(g->v6 ? get16(ip + 4) + 40 : get16(ip + 2), bytes - ETH);
	assert_true(g->v6 || !inet_chksum(ip, 20));
	for (uint32_t i = 0; i < g->bytes; i++)
		assert_int_equal(tcp[(tcp[12] >> 4) * 4 + i], stream_byte(g->at + i));
}

static struct net_iface one, two;

static void give(const struct seg *s, bool good)
{
	net_gro_input(&one, make(s), good);
}

static void nothing_left(void)
{
	net_gro_flush();
	assert_int_equal(freed, made);
}

static int start(void **state)
{
	(void)state;
	uk_mock_reset();
	ngot = freed = made = 0;
	looked_at_by = NULL;
	return 0;
}

/* ---- merged ---- */

static void consecutive_ones_are_one(void **state)
{
	(void)state;
	for (int v6 = 0; v6 < 2; v6++)
		for (int good = 0; good < 2; good++)
			for (uint32_t pieces = 1; pieces <= 3; pieces++) {
				struct seg s = {PLAIN, .v6 = v6, .pieces = pieces, .options = 12};

				start(NULL);
				for (s.at = 0; s.at < 10 * DATA; s.at += DATA) {
					give(&s, good);
					assert_int_equal(ngot, 0);
				}
				nothing_left();
				assert_int_equal(ngot, 1);
				assert_int_equal(got[0].bytes, 10 * DATA);
				assert_int_equal(got[0].at, 0);
				assert_int_equal(got[0].v6, v6);
				assert_true(got[0].good && !got[0].pushed);
				assert_ptr_equal(got[0].iface, &one);
			}
}

static void the_last_one_ends_it(void **state)
{
	struct seg pushed = {PLAIN, .at = DATA, .flags = TCP_ACK | TCP_PSH};
	struct seg shorter = {PLAIN, .at = DATA, .bytes = DATA - 1};
	struct seg first = {PLAIN};

	(void)state;
	give(&first, true);
	give(&pushed, true);
	assert_int_equal(ngot, 1);
	assert_int_equal(got[0].bytes, 2 * DATA);
	assert_true(got[0].pushed);
	give(&first, true);
	give(&shorter, true);
	assert_int_equal(ngot, 2);
	assert_int_equal(got[1].bytes, 2 * DATA - 1);
	first.flags |= TCP_PSH;
	give(&first, true);
	assert_int_equal(ngot, 3);
	assert_int_equal(got[2].bytes, DATA);
	nothing_left();
}

static void not_too_many_and_not_too_long(void **state)
{
	struct seg s = {PLAIN};

	(void)state;
	for (s.at = 0; s.at < 40 * DATA; s.at += DATA)
		give(&s, true);
	nothing_left();
	assert_int_equal(ngot, 3);
	assert_int_equal(got[0].bytes, 16 * DATA);
	assert_int_equal(got[2].bytes, 8 * DATA);
	/* lwIP's lengths are of 16 bits. */
	start(NULL);
	s.bytes = 9000;
	for (s.at = 0; s.at < 20 * 9000; s.at += 9000)
		give(&s, true);
	nothing_left();
	for (uint32_t i = 0, at = 0; i < ngot; at += got[i++].bytes) {
		assert_int_equal(got[i].at, at);
		assert_true(got[i].frame_bytes <= 40000);
	}
	start(NULL);
	s = (struct seg){PLAIN, .bytes = 65000, .pieces = 3};
	give(&s, true);
	s.at = 65000;
	give(&s, true);
	nothing_left();
	assert_int_equal(ngot, 2);
	assert_int_equal(got[1].bytes, 65000);
}

/* ---- kept apart ---- */

static void apart(const struct seg *a, const struct seg *b, const char *what)
{
	start(NULL);
	give(a, true);
	give(b, true);
	nothing_left();
	if (ngot != 2 || got[0].at != a->at || got[1].at != b->at || got[0].bytes != a->bytes ||
	    got[1].bytes != b->bytes)
		fail_msg("%s: %u segments, the first of %u bytes", what, ngot, got[0].bytes);
}

static void others_are_kept_apart(void **state)
{
	const struct seg first = {PLAIN};
	const struct {
		const char *what;
		struct seg s;
	} other[] = {
		{"a gap", {PLAIN, .at = DATA + 1}},
		{"an overlap", {PLAIN, .at = DATA - 1}},
		{"the same again", {PLAIN, .at = 0}},
		{"the one before", {PLAIN, .at = -DATA}},
		{"FIN", {PLAIN, .at = DATA, .flags = TCP_ACK | TCP_FIN}},
		{"RST", {PLAIN, .at = DATA, .flags = TCP_ACK | TCP_RST}},
		{"SYN", {PLAIN, .at = DATA, .flags = TCP_ACK | TCP_SYN}},
		{"URG", {PLAIN, .at = DATA, .flags = TCP_ACK | TCP_URG}},
		{"ECE", {PLAIN, .at = DATA, .flags = TCP_ACK | TCP_ECE}},
		{"CWR", {PLAIN, .at = DATA, .flags = TCP_ACK | TCP_CWR}},
		{"no ACK", {PLAIN, .at = DATA, .flags = 0}},
		{"another acknowledgement", {PLAIN, .at = DATA, .ack = 8}},
		{"another window", {PLAIN, .at = DATA, .window = 501}},
		{"a window of none", {PLAIN, .at = DATA, .window = 0}},
		{"options", {PLAIN, .at = DATA, .options = 12}},
		{"no data", {PLAIN, .at = DATA, .bytes = 0}},
		{"reserved bits", {PLAIN, .at = DATA, .poke_at = ETH + 20 + 12, .poke = 1}},
		{"a source address", {PLAIN, .at = DATA, .poke_at = ETH + 15, .poke = 1}},
		{"a destination", {PLAIN, .at = DATA, .poke_at = ETH + 19, .poke = 1}},
		{"a source port", {PLAIN, .at = DATA, .poke_at = ETH + 21, .poke = 1}},
		{"a destination port", {PLAIN, .at = DATA, .poke_at = ETH + 23, .poke = 1}},
		{"congestion experienced", {PLAIN, .at = DATA, .poke_at = ETH + 1, .poke = 3}},
		{"a time to live", {PLAIN, .at = DATA, .poke_at = ETH + 8, .poke = 1}},
		{"a fragment", {PLAIN, .at = DATA, .poke_at = ETH + 6, .poke = 0x20}},
		{"a fragment's offset", {PLAIN, .at = DATA, .poke_at = ETH + 7, .poke = 1}},
		{"IP's header length", {PLAIN, .at = DATA, .poke_at = ETH, .poke = 3}},
		{"TCP's header length", {PLAIN, .at = DATA, .poke_at = ETH + 32, .poke = 0x10}},
		{"a MAC", {PLAIN, .at = DATA, .poke_at = 11, .poke = 1}},
		{"padding", {PLAIN, .at = DATA, .extra = 4}},
	};

	(void)state;
	for (uint32_t i = 0; i < uk_countof(other); i++) {
		struct seg s = other[i].s;

		/* Of a header of another length the test's own look at the data is none. */
		if (!strncmp(other[i].what, "TCP's", 5) || !strncmp(other[i].what, "IP's", 4) ||
		    s.extra) {
			start(NULL);
			give(&first, true);
			net_gro_input(&one, make(&s), false);
			nothing_left();
			assert_int_equal(ngot, 2);
			continue;
		}
		apart(&first, &s, other[i].what);
	}
	/* The same two options with another value. */
	apart(&(struct seg){PLAIN, .options = 12},
	      &(struct seg){PLAIN, .at = DATA, .options = 12, .poke_at = ETH + 40, .poke = 7},
	      "an option's value");
	for (uint32_t at = 0; at < 40; at++) {
		struct seg v6 = {PLAIN, .v6 = true};
		struct seg next = {PLAIN, .v6 = true, .at = DATA, .poke_at = ETH + at, .poke = 1};

		if (at == 0 || at == 4 || at == 5 || at == 6)
			continue; /* version, length, protocol: see the next test */
		apart(&v6, &next, "IPv6's header");
	}
	apart(&first, &(struct seg){PLAIN, .v6 = true, .at = DATA}, "IPv6");
}

static void another_interface_and_other_frames(void **state)
{
	struct seg s = {PLAIN};
	uint8_t vlan[64] = {[12] = 0x81, [15] = 5, [16] = 0x08, [18] = 0x45};
	uint8_t small[20] = {[12] = 0x08, [14] = 0x45};

	(void)state;
	give(&s, true);
	s.at = DATA;
	net_gro_input(&two, make(&s), true);
	nothing_left();
	assert_int_equal(ngot, 2);
	assert_ptr_equal(got[1].iface, &two);
	/* What is not TCP goes behind what came before it. */
	s.at = 0;
	give(&s, true);
	net_gro_input(&one, pbufs(vlan, sizeof(vlan), 0, 1), false);
	assert_int_equal(ngot, 4);
	assert_int_equal(got[2].bytes, DATA);
	assert_int_equal(got[3].frame_bytes, sizeof(vlan));
	net_gro_input(&one, pbufs(small, sizeof(small), 0, 1), false);
	assert_int_equal(ngot, 5);
	/* All lengths that an IP packet can claim, of a frame that has not so much. */
	for (uint32_t claim = 0; claim < 65536; claim += claim < 200 ? 1 : 997) {
		struct seg lies = {PLAIN, .bytes = 40, .poke_at = ETH + 2, .poke = claim >> 8};
		struct pbuf *p = make(&lies);

		((uint8_t *)p->payload)[ETH + 3] = (uint8_t)claim;
		ngot = 0;
		net_gro_input(&one, p, false);
		net_gro_flush();
		assert_int_equal(ngot, 1);
	}
	nothing_left();
}

/* ---- checksums ---- */

static void bad_ones_are_lwips(void **state)
{
	(void)state;
	for (int v6 = 0; v6 < 2; v6++) {
		struct seg s = {PLAIN, .v6 = v6};
		struct seg bad = {PLAIN, .v6 = v6, .at = DATA, .bad_sum = true};

		start(NULL);
		give(&s, false);
		give(&bad, false);
		assert_int_equal(ngot, 2);
		assert_true(got[0].good && !got[1].good);
		s.at = DATA;
		give(&s, false);
		nothing_left();
		assert_int_equal(ngot, 3);
		assert_true(got[2].good);
		/* The device has looked at it. */
		start(NULL);
		s.at = 0;
		give(&s, true);
		give(&bad, true);
		nothing_left();
		assert_int_equal(ngot, 1);
	}
	/* At IP's own nobody looks but lwIP, so one with a bad one must stay as it is. */
	start(NULL);
	give(&(struct seg){PLAIN}, true);
	net_gro_input(&one, make(&(struct seg){PLAIN, .at = DATA, .bad_ip_sum = true}), false);
	nothing_left();
	assert_int_equal(ngot, 2);
	assert_int_equal(got[0].bytes, DATA);
	assert_false(got[1].good);
}

/* ---- order ---- */

static void order_is_kept(void **state)
{
	struct {
		uint32_t at, bytes;
	} given[64];
	uint32_t ngiven = 0, next = 0, merged = 0;

	(void)state;
	srand(7);
	for (int round = 0; round < 20000; round++) {
		struct seg s = {PLAIN, .at = next, .v6 = rand() % 16 == 0};

		/* Mostly the next one; now and then with something, one again, or one ahead. */
		s.bytes = rand() % 4 ? 300 : 1 + (uint32_t)rand() % 300;
		s.at += rand() % 12 ? 0 : (uint32_t)(rand() % 3 - 1) * 300;
		s.flags |= rand() % 10 ? 0 : TCP_PSH;
		s.flags |= rand() % 20 ? 0 : TCP_URG;
		s.window += rand() % 12 == 0;
		s.pieces = 1 + (uint32_t)rand() % 3;
		next = s.at + s.bytes;
		given[ngiven].at = s.at;
		given[ngiven++].bytes = s.bytes;
		give(&s, rand() % 2);
		if (rand() % 20 == 0)
			net_gro_flush();
		if (!ngot)
			continue;
		/* Of what was given, in this order, all but what is held. */
		for (uint32_t i = 0, k = 0, at; i < ngot; i++) {
			for (at = 0; at < got[i].bytes; at += given[k++].bytes, merged++) {
				assert_true(k < ngiven);
				assert_int_equal(given[k].at, got[i].at + at);
			}
			assert_int_equal(at, got[i].bytes);
			merged--;
			if (i + 1 < ngot)
				continue;
			memmove(given, given + k, (ngiven - k) * sizeof(*given));
			ngiven -= k;
		}
		ngot = 0;
	}
	nothing_left();
	assert_true(merged > 5000);
}

/* ---- what listens ---- */

static void a_listener_is_not_written_to(void **state)
{
	/* As lwIP has it: no longer than this, so ASAN sees a write behind it. */
	struct tcp_pcb_listen *listener = calloc(1, sizeof(*listener)), before;
	struct tcp_pcb *connection = calloc(1, sizeof(*connection));
	struct seg s = {PLAIN};

	(void)state;
	assert_non_null(listener);
	assert_non_null(connection);
	listener->state = LISTEN;
	listener->accept = (tcp_accept_fn)0xffff800000000000;
	before = *listener;
	looked_at_by = (struct tcp_pcb *)listener;
	give(&s, true);
	s.at = DATA;
	give(&s, true);
	net_gro_flush();
	assert_int_equal(ngot, 1);
	assert_memory_equal(listener, &before, sizeof(before));
	/* Of a connection more than one segment is acknowledged at once; of one it is not. */
	connection->state = ESTABLISHED;
	looked_at_by = connection;
	give(&s, true);
	net_gro_flush();
	assert_int_equal(connection->flags & TF_ACK_DELAY, 0);
	give(&s, true);
	s.at += DATA;
	give(&s, true);
	nothing_left();
	assert_int_equal(connection->flags & TF_ACK_DELAY, TF_ACK_DELAY);
	free(listener);
	free(connection);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(consecutive_ones_are_one, start),
		cmocka_unit_test_setup(the_last_one_ends_it, start),
		cmocka_unit_test_setup(not_too_many_and_not_too_long, start),
		cmocka_unit_test_setup(others_are_kept_apart, start),
		cmocka_unit_test_setup(another_interface_and_other_frames, start),
		cmocka_unit_test_setup(bad_ones_are_lwips, start),
		cmocka_unit_test_setup(order_is_kept, start),
		cmocka_unit_test_setup(a_listener_is_not_written_to, start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
