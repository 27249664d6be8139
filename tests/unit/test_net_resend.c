/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_net_resend.c: what is written, or a FIN, after a segment that waits to be sent again: it
 * has the stream's next numbers, and that segment stays as it was. And a time-out meanwhile.
 */
/* sources: unikernel/net/resend.c unikernel/net/checksum.c */
/* sources: tests/unit/lwip_host.c tests/unit/uk_mock.c */
#include "uk_mock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#include "lwip/priv/tcp_priv.h"

#include "../../unikernel/net/stack.h"

#define FIRST 0xfffffff0u /* numbers wrap */
#define SMALL 700u        /* of one segment: there is room in it for more */

void uk_panic(const char *fmt, ...)
{
	fail_msg("%s", fmt);
	abort();
}

static u32_t sequence(const struct tcp_seg *seg)
{
	return lwip_ntohl(seg->tcphdr->seqno);
}

static void put(struct tcp_pcb *pcb, char what)
{
	static char data[SMALL];

	memset(data, what, sizeof(data));
	net_resend_later(pcb);
	assert_int_equal(tcp_write(pcb, data, sizeof(data), TCP_WRITE_FLAG_COPY), ERR_OK);
}

/* A connection whose n segments are under way. */
static struct tcp_pcb *connection(unsigned n)
{
	struct tcp_pcb *pcb = tcp_new();
	struct tcp_seg **at = &pcb->unacked;

	assert_non_null(pcb);
	pcb->state = ESTABLISHED;
	pcb->mss = 1460;
	pcb->snd_wnd = pcb->snd_wnd_max = pcb->cwnd = 65535;
	pcb->snd_lbb = pcb->snd_nxt = pcb->lastack = FIRST;
	for (unsigned i = 0; i < n; i++) {
		put(pcb, (char)('a' + i));
		/* As tcp_output does. */
		*at = pcb->unsent;
		at = &(*at)->next;
		pcb->unsent = NULL;
		pcb->unsent_oversize = 0;
		pcb->snd_nxt = pcb->snd_lbb;
		pcb->rtime = 0;
	}
	return pcb;
}

/* n segments of SMALL bytes each, from FIRST on, and nothing after them. */
static void segments(const struct tcp_seg *seg, unsigned first, unsigned n)
{
	for (unsigned i = first; i < first + n; i++, seg = seg->next) {
		char byte;

		assert_non_null(seg);
		assert_int_equal(sequence(seg), FIRST + i * SMALL);
		assert_int_equal(seg->len, SMALL);
		pbuf_copy_partial(seg->p, &byte, 1, (u16_t)(seg->p->tot_len - SMALL));
		assert_int_equal(byte, 'a' + (char)i);
	}
	assert_null(seg);
}

static void what_is_written_has_the_next_numbers(void **state)
{
	struct tcp_pcb *pcb = connection(3);

	(void)state;
	assert_int_equal(tcp_rexmit(pcb), ERR_OK);
	put(pcb, 'd');
	segments(pcb->unacked, 0, 3);
	segments(pcb->unsent, 3, 1);
	assert_true(pcb->rtime >= 0);
	tcp_abort(pcb);
}

static void so_has_a_fin(void **state)
{
	struct tcp_pcb *pcb = connection(3);

	(void)state;
	assert_int_equal(tcp_rexmit(pcb), ERR_OK);
	net_resend_later(pcb);
	assert_int_equal(tcp_send_fin(pcb), ERR_OK);
	segments(pcb->unacked, 0, 3);
	assert_int_equal(sequence(pcb->unsent), FIRST + 3 * SMALL);
	assert_int_equal(TCP_TCPLEN(pcb->unsent), 1);
	tcp_abort(pcb);
}

/* All of it waits, and in order: that is what may be appended to, and is to be sent first. */
static void after_a_time_out_it_stays_as_it_is(void **state)
{
	struct tcp_pcb *pcb = connection(3);

	(void)state;
	tcp_rexmit_rto_prepare(pcb);
	net_resend_later(pcb);
	assert_null(pcb->unacked);
	segments(pcb->unsent, 0, 3);
	tcp_abort(pcb);
}

static void what_is_new_stays_where_it_is(void **state)
{
	struct tcp_pcb *pcb = connection(2);

	(void)state;
	put(pcb, 'c');
	net_resend_later(pcb);
	segments(pcb->unacked, 0, 2);
	segments(pcb->unsent, 2, 1);
	/* With the retransmission before it: its own is the stream's end. */
	assert_int_equal(tcp_rexmit(pcb), ERR_OK);
	net_resend_later(pcb);
	assert_int_equal(sequence(pcb->unsent), FIRST);
	assert_int_equal(sequence(pcb->unsent->next), FIRST + 2 * SMALL);
	tcp_abort(pcb);
}

/* The time is out: they are sent from the first one on, as far as a window of one segment goes. */
static void a_time_out_finds_them_in_order(void **state)
{
	struct tcp_pcb *pcb = connection(5);

	(void)state;
	put(pcb, 'f');
	for (unsigned again = 0; again < 3; again++)
		assert_int_equal(tcp_rexmit(pcb), ERR_OK);
	net_resend_order(pcb);
	segments(pcb->unacked, 0, 5);
	segments(pcb->unsent, 5, 1);
	assert_int_equal(tcp_rexmit_rto_prepare(pcb), ERR_OK);
	segments(pcb->unsent, 0, 6);
	/* Nothing is under way; then the first two are. */
	net_resend_order(pcb);
	segments(pcb->unsent, 0, 6);
	pcb->unacked = pcb->unsent;
	pcb->unsent = pcb->unacked->next->next;
	pcb->unacked->next->next = NULL;
	net_resend_order(pcb);
	segments(pcb->unacked, 0, 2);
	segments(pcb->unsent, 2, 4);
	tcp_abort(pcb);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_has_the_next_numbers),
		cmocka_unit_test(so_has_a_fin),
		cmocka_unit_test(after_a_time_out_it_stays_as_it_is),
		cmocka_unit_test(what_is_new_stays_where_it_is),
		cmocka_unit_test(a_time_out_finds_them_in_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
