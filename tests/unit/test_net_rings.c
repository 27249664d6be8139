/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_net_rings.c: net devices against guests that keep the rules and guests that do not. The
 * guest's side is played here, on the window that net_prepare made; the tap is one end of a
 * SOCK_SEQPACKET pair (a frame a read), passt of a SOCK_STREAM one.
 */
/* clang-format off */
/* sources: monitor/net.c monitor/net_run.c monitor/net_poll.c monitor/net_rings.c monitor/net_tap.c monitor/net_stream.c monitor/net_xdp.c monitor/net_watch.c monitor/device.c monitor/x86_paging.c monitor/err.c */
/* clang-format on */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../../monitor/net_backend.h"

#define BUFFERS 512u
#define FRAME   NOXS_NET_FRAME_BYTES
#define ENTRIES NOXS_NET_MAX_ENTRIES
#define EVENT   NOXS_EV_NET(0)
#define RAM     (64 * NOXS_PAGE)

static struct noxs_page page;
static struct guest guest;
static struct vm vm;
static struct net_dev *d;
static struct err err;
static int pair[2]; /* [0]: the monitor's; [1]: the world's */
static uint8_t *ram, *area;

/* What vm.c would do. */
static uint64_t added_gpa, added_bytes;

int vm_add_memory(struct vm *v, uint64_t gpa, void *host, uint64_t bytes)
{
	assert_ptr_equal(v, &vm);
	assert_ptr_equal(host, net_devs[0].window);
	added_gpa = gpa;
	added_bytes = bytes;
	return 0;
}

static int bell; /* what TX's slot rings; -1: nothing can be bound */

int vm_bind_doorbell(struct vm *v, unsigned slot, int fd)
{
	assert_ptr_equal(v, &vm);
	if (bell < 0)
		return -ENOSPC;
	if (slot == NOXS_NET_SLOT(0) + NOXS_NET_Q_TX)
		bell = fd;
	else
		assert_int_equal(slot, NOXS_NET_SLOT(0) + NOXS_NET_Q_FILL);
	return 0;
}

/* ---- the guest's side ---- */

static struct noxs_net_front *front(void)
{
	return (struct noxs_net_front *)(d->window + NOXS_NET_OFF_FRONT);
}

static const struct noxs_net *config(void)
{
	return (const struct noxs_net *)d->window;
}

static uint32_t *index_of(enum noxs_net_ring_index i, bool producer)
{
	return producer ? d->ring[i].producer : d->ring[i].consumer;
}

static void offer_buffer(uint64_t addr)
{
	uint32_t *producer = index_of(NOXS_NET_FILL, true);

	((uint64_t *)d->ring[NOXS_NET_FILL].desc)[*producer & (ENTRIES - 1)] = addr;
	++*producer;
}

static void put(uint64_t addr, uint32_t len, uint32_t options)
{
	struct noxs_net_desc *at = (struct noxs_net_desc *)d->ring[NOXS_NET_TX].desc;
	uint32_t *producer = index_of(NOXS_NET_TX, true);

	at[*producer & (ENTRIES - 1)] = (struct noxs_net_desc){addr, len, options};
	++*producer;
}

static void put_text(uint32_t buffer, const char *text, uint32_t options)
{
	memcpy(area + buffer * FRAME, text, strlen(text));
	put(buffer * FRAME, (uint32_t)strlen(text), options);
}

/* The next completion, or -1. */
static int64_t completed(void)
{
	uint32_t *consumer = index_of(NOXS_NET_COMP, false);

	if (*consumer == *index_of(NOXS_NET_COMP, true))
		return -1;
	return (int64_t)((uint64_t *)d->ring[NOXS_NET_COMP].desc)[(*consumer)++ & (ENTRIES - 1)];
}

static bool received(struct noxs_net_desc *desc)
{
	uint32_t *consumer = index_of(NOXS_NET_RX, false);

	if (*consumer == *index_of(NOXS_NET_RX, true))
		return false;
	*desc = ((struct noxs_net_desc *)d->ring[NOXS_NET_RX].desc)[(*consumer)++ & (ENTRIES - 1)];
	return true;
}

static uint32_t wait_for(struct pollfd *p, unsigned *n, int64_t *retry_ns)
{
	*retry_ns = -1;
	return net_wait(EVENT, p, n, retry_ns);
}

static uint32_t look(void)
{
	struct pollfd p[NOXS_NET_MAX];
	int64_t retry_ns;
	unsigned n;

	return wait_for(p, &n, &retry_ns);
}

/* What came out on the other side. */
static void expect(const char *text)
{
	char buf[256];
	ssize_t n = recv(pair[1], buf, sizeof(buf) - 1, MSG_DONTWAIT);

	if (!text) {
		assert_int_equal(n, -1);
		return;
	}
	assert_int_equal(n, strlen(text));
	assert_memory_equal(buf, text, strlen(text));
}

static void expect_broken(const char *what)
{
	const char *why = net_counters(0).broken;

	assert_non_null(why);
	if (!strstr(why, what))
		fail_msg("'%s' does not say '%s'", why, what);
	assert_false(config()->config.flags & NOXS_NET_LINK_UP);
	assert_int_equal(config()->config.seq % 2, 0);
	assert_int_equal(look() & ~EVENT, 0); /* and nothing happens any more */
	assert_int_equal(look(), 0);
}

/* ---- set-up ---- */

static void a_moment(void)
{
	poll(NULL, 0, 1);
}

static int open_device(enum noxs_net_backend backend, uint32_t flags)
{
	struct net_link link = {
		.opened = {.backend = backend, .flags = flags, .mtu = 1500, .ifname = "tap7"},
		.fd = {-1, -1, -1, -1},
		.frame_bytes = FRAME,
		.buffers = BUFFERS,
	};

	memcpy(link.opened.mac, "\x02\0\0\0\0\x07", 6);
	ram = calloc(1, RAM);
	vm = (struct vm){.ram = {ram, RAM}};
	guest = (struct guest){.page = &page};
	memset(&page, 0, sizeof(page));
	pt_init(&guest.tables, &vm.ram, NOXS_GPA_RAM, RAM);
	if (socketpair(AF_UNIX, backend == NOXS_NET_STREAM ? SOCK_STREAM : SOCK_SEQPACKET, 0, pair))
		return -1;
	link.fd[0] = pair[0];
	link.memory = memfd_create("window", MFD_CLOEXEC);
	if (ftruncate(link.memory, NOXS_NET_OFF_BUFFERS + (off_t)BUFFERS * FRAME))
		return -1;
	if (net_prepare(&vm, &guest, 0, &link, &err)) {
		print_error("%s\n", err.message);
		return -1;
	}
	d = &net_devs[0];
	area = d->window + NOXS_NET_OFF_BUFFERS;
	net_configure(0, &(struct noxs_net_config){.mtu = 1500, .name = "eth0"});
	front()->front.features = flags & NET_OPENED_VNET ? NOXS_NET_SEGMENTS : 0;
	front()->front.state = NOXS_READY;
	a_moment();
	net_woken(); /* it runs */
	return 0;
}

static int tap(void **state)
{
	(void)state;
	return open_device(NOXS_NET_TAP, 0);
}

static int vnet_tap(void **state)
{
	(void)state;
	return open_device(NOXS_NET_TAP, NET_OPENED_VNET);
}

static int stream(void **state)
{
	(void)state;
	return open_device(NOXS_NET_STREAM, 0);
}

static int teardown(void **state)
{
	(void)state;
	net_stop();
	munmap(d->window, NOXS_NET_OFF_BUFFERS + BUFFERS * FRAME);
	close(d->link.memory);
	close(pair[0]);
	close(pair[1]);
	free(ram);
	net_count = 0;
	return 0;
}

/* ---- the window ---- */

static void is_shown(void **state)
{
	const uint64_t *table = (const uint64_t *)(d->window + NOXS_NET_OFF_TABLES);
	const uint64_t present = 1, write = 2, user = 4, nx = 1ull << 63;
	uint64_t gpa;

	(void)state;
	assert_int_equal(added_gpa, NOXS_GPA_NET(0));
	assert_int_equal(added_bytes, NOXS_NET_OFF_BUFFERS + BUFFERS * FRAME);
	assert_int_equal(page.ndevices, 1);
	assert_int_equal(page.device[0].type, NOXS_DEV_NET);
	assert_int_equal(page.device[0].doorbell, NOXS_NET_SLOT(0));
	assert_int_equal(page.device[0].control, NOXS_GVA_NET(0) + NOXS_NET_OFF_FRONT);
	/* Config r--, front rw-, tables nothing, rings and buffers rw-, nothing behind them. */
	assert_int_equal(table[0] & (present | write | user), present | user);
	assert_int_equal(table[1] & (present | write | user), present | write | user);
	assert_int_equal(table[2] | table[3], 0);
	for (unsigned i = 4; i < 0x18; i++)
		assert_int_equal(table[i], (NOXS_GPA_NET(0) + i * NOXS_PAGE) | 0x67 | nx);
	assert_int_equal(table[0x18], 0);
	assert_int_equal(table[0x20] & ~nx, (NOXS_GPA_NET(0) + 0x20000) | 0x67);
	assert_int_equal(table[0x20 + BUFFERS / 2], 0);
	/* The PD leads to it: but not for us, who follow no table outside of RAM. */
	assert_false(pt_walk(&vm.ram, NOXS_GPA_RAM, NOXS_GVA_NET(0), &gpa));
	for (unsigned i = 0; i < 2; i++) {
		const uint64_t *pd = (const uint64_t *)(ram + 2 * NOXS_PAGE);

		assert_int_equal(pd[(NOXS_GVA_NET(0) >> 21 & 511) + i] & ~0xfffull,
				 NOXS_GPA_NET(0) + NOXS_NET_OFF_TABLES + i * NOXS_PAGE);
	}
}

static void is_configured(void **state)
{
	const struct noxs_net_config *c = &config()->config;

	(void)state;
	assert_string_equal(c->name, "eth0");
	assert_true(c->flags & NOXS_NET_LINK_UP);
	assert_int_equal(c->generation, 1);
	look(); /* it is in use */
	net_configure(0, &(struct noxs_net_config){.mtu = 1400, .name = "eth0"});
	assert_int_equal(c->mtu, 1400);
	assert_int_equal(c->generation, 2);
	assert_int_equal(c->seq % 2, 0);
	assert_int_equal(look(), EVENT); /* a guest that waits is told */
	assert_int_equal(look(), 0);
}

/* The guest writes what it likes there. */
static void claims_are_checked(void **state)
{
	struct noxs_net_address got[NOXS_NET_ADDRESSES], *said = front()->address;
	const struct noxs_net_address none = {0};

	(void)state;
	net_claimed(0, got);
	for (unsigned i = 0; i < NOXS_NET_ADDRESSES; i++)
		assert_memory_equal(&got[i], &none, sizeof(none));
	said[0] = (struct noxs_net_address){.family = 4, .prefix = 33, .address = {10}};
	said[1] = (struct noxs_net_address){.family = 6, .prefix = 64, .address = {0xfd}};
	said[2] = (struct noxs_net_address){.family = 255, .prefix = 1, .address = {10}};
	said[3] = (struct noxs_net_address){.family = 4, .prefix = 24, .address = {10}};
	net_claimed(0, got);
	assert_memory_equal(&got[0], &none, sizeof(none));
	assert_memory_equal(&got[1], &said[1], sizeof(none));
	assert_memory_equal(&got[2], &none, sizeof(none));
	assert_memory_equal(&got[3], &said[3], sizeof(none));
}

/* ---- a tap ---- */

static void frames_go_out(void **state)
{
	(void)state;
	put_text(3, "one", 0);
	put_text(4, "two,", NOXS_NET_CONTINUED);
	put_text(5, "three", 0);
	assert_true(net_rang(NOXS_NET_SLOT(0) + NOXS_NET_Q_TX));
	expect("one");
	expect("two,three");
	expect(NULL);
	for (int i = 3; i < 6; i++)
		assert_int_equal(completed(), i * FRAME);
	assert_int_equal(completed(), -1);
	assert_int_equal(net_counters(0).tx_frames, 2);
	assert_int_equal(net_counters(0).tx_bytes, 12);
	assert_int_equal(look(), 0);
	assert_false(net_rang(NOXS_NET_SLOT(1)));
	assert_false(net_rang(NOXS_NET_SLOT(0) - 1));
}

static void frames_come_in(void **state)
{
	struct noxs_net_desc desc;
	struct pollfd p[NOXS_NET_MAX];
	int64_t retry_ns;
	unsigned n;

	(void)state;
	send(pair[1], "before", 6, 0);
	assert_int_equal(look(), 0); /* it has given no buffer */
	offer_buffer(7 * FRAME + 99);
	offer_buffer(9 * FRAME);
	assert_int_equal(look(), EVENT);
	assert_true(received(&desc));
	assert_int_equal(desc.addr / FRAME, 7);
	assert_int_equal(desc.len, 6);
	assert_int_equal(desc.options, 0);
	assert_memory_equal(area + desc.addr, "before", 6);
	/* Nothing more: the wait is for the descriptor, which tells. */
	assert_int_equal(wait_for(p, &n, &retry_ns), 0);
	assert_int_equal(n, 1);
	assert_int_equal(retry_ns, -1);
	assert_int_equal(p[0].events, POLLIN);
	assert_int_equal(poll(p, n, 0), 0);
	send(pair[1], "after", 5, 0);
	assert_int_equal(poll(p, n, 0), 1);
	assert_int_equal(look(), EVENT);
	assert_true(received(&desc));
	assert_int_equal(desc.addr / FRAME, 9);
	assert_false(received(&desc));
}

static void segments_come_in_pieces(void **state)
{
	static uint8_t segment[5000];
	struct noxs_net_desc desc;
	size_t at = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(segment); i++)
		segment[i] = (uint8_t)(i * 7);
	for (uint64_t i = 0; i < 3; i++)
		offer_buffer((40 - i) * FRAME);
	send(pair[1], segment, sizeof(segment), 0);
	send(pair[1], segment, sizeof(segment), 0); /* for this one there is no room */
	assert_int_equal(look(), EVENT);
	while (at < sizeof(segment)) {
		assert_true(received(&desc));
		assert_memory_equal(area + desc.addr, segment + at, desc.len);
		at += desc.len;
		assert_int_equal(desc.options, at < sizeof(segment) ? NOXS_NET_CONTINUED : 0);
	}
	assert_false(received(&desc));
	offer_buffer(0);
	assert_int_equal(look(), 0); /* one buffer is too few: it is dropped, not cut */
	assert_int_equal(net_counters(0).rx_dropped, 1);
	send(pair[1], "small", 5, 0);
	assert_int_equal(look(), EVENT); /* and the buffer is still there */
}

static void many_come_a_batch_at_a_time(void **state)
{
	unsigned sent = 0, came = 0;
	struct noxs_net_desc desc;

	(void)state;
	for (unsigned i = 0; i < BUFFERS; i++)
		offer_buffer(i * FRAME);
	while (sent < NET_BATCH + 10 && send(pair[1], "x", 1, MSG_DONTWAIT) == 1)
		sent++;
	assert_int_equal(look(), EVENT);
	assert_int_equal(d->counters.rx_frames, sent < NET_BATCH ? sent : NET_BATCH);
	for (; look() == EVENT; came++)
		assert_true(received(&desc));
	assert_int_equal(came, sent);
}

static void what_the_tap_cannot_take_waits(void **state)
{
	struct pollfd p[NOXS_NET_MAX];
	unsigned n = 0, sent = 0;
	int64_t retry_ns;
	char byte;

	(void)state;
	while (n == 0 || !(p[0].events & POLLOUT)) {
		put_text(1, "x", 0);
		sent++;
		assert_true(sent < 10000);
		assert_int_equal(wait_for(p, &n, &retry_ns), 0);
		while (completed() >= 0)
			;
	}
	assert_int_equal(net_tx_waits(d), 1);
	for (unsigned i = 0; i < sent; i++) {
		if (recv(pair[1], &byte, 1, MSG_DONTWAIT) < 0)
			look();
		else
			continue;
		assert_int_equal(recv(pair[1], &byte, 1, MSG_DONTWAIT), 1);
	}
	look();
	assert_int_equal(net_tx_waits(d), 0);
	assert_int_equal(net_counters(0).tx_frames, sent);
}

static void a_deleted_tap_breaks_the_device(void **state)
{
	(void)state;
	offer_buffer(0);
	look();
	close(pair[0]);
	pair[0] = -1;
	look();
	expect_broken("tap7");
}

/* ---- a hostile guest ---- */

static void wild_indices_break_the_device(void **state)
{
	static const uint32_t wild[] = {ENTRIES + 1, 0x80000000, UINT32_MAX, UINT32_MAX - ENTRIES};

	(void)state;
	for (size_t i = 0; i < sizeof(wild) / sizeof(wild[0]); i++) {
		if (i) {
			teardown(NULL);
			tap(NULL);
		}
		*index_of(NOXS_NET_TX, true) = wild[i];
		look();
		expect(NULL);
		expect_broken("TX ring");
	}
}

static void wild_indices_of_the_others(void **state)
{
	(void)state;
	*index_of(NOXS_NET_FILL, true) = ENTRIES + 1;
	look();
	expect_broken("fill ring");
	teardown(NULL);
	tap(NULL);
	*index_of(NOXS_NET_RX, false) = 1; /* it took what it was not given */
	look();
	expect_broken("RX ring");
	teardown(NULL);
	tap(NULL);
	*index_of(NOXS_NET_COMP, false) = 1;
	put_text(0, "x", 0);
	look();
	expect(NULL);
	expect_broken("completion ring");
}

/* Our own indices are ours: what the guest writes there is not read. */
static void our_indices_cannot_be_written(void **state)
{
	(void)state;
	put_text(1, "one", 0);
	*index_of(NOXS_NET_TX, false) = 77;
	*index_of(NOXS_NET_COMP, true) = 99;
	look();
	expect("one");
	expect(NULL);
	assert_int_equal(*index_of(NOXS_NET_TX, false), 1);
	assert_int_equal(*index_of(NOXS_NET_COMP, true), 1);
}

static void bad_descriptors_are_dropped(void **state)
{
	static const struct noxs_net_desc bad[] = {
		{0, 0, 0},                   /* nothing */
		{0, FRAME + 1, 0},           /* longer than a buffer */
		{FRAME - 1, 2, 0},           /* across two */
		{FRAME * BUFFERS, 1, 0},     /* behind them */
		{FRAME * BUFFERS - 1, 2, 0}, /* half behind them */
		{UINT64_MAX, 1, 0},          /* wraps */
		{UINT64_MAX - FRAME + 1, FRAME, 0},
		{0, UINT32_MAX, 0},
		{-(uint64_t)NOXS_NET_OFF_BUFFERS, 64, 0}, /* the configuration */
		{0, 60, 2},                               /* an option that does not exist */
		{0, 60, UINT32_MAX},
	};
	const unsigned n = sizeof(bad) / sizeof(bad[0]);

	(void)state;
	for (unsigned i = 0; i < n; i++)
		put(bad[i].addr, bad[i].len, bad[i].options & ~1u);
	put_text(1, "good", 0);
	look();
	expect("good");
	expect(NULL);
	assert_int_equal(net_counters(0).tx_dropped, n);
	assert_int_equal(completed(), FRAME);
	assert_int_equal(completed(), -1);
	/* One bad piece spoils the frame, wherever it is. */
	put_text(1, "a", NOXS_NET_CONTINUED);
	put(UINT64_MAX, 1, NOXS_NET_CONTINUED);
	put_text(2, "b", 0);
	put_text(3, "next", 0);
	look();
	expect("next");
	expect(NULL);
	assert_null(net_counters(0).broken);
}

static void a_frame_without_end(void **state)
{
	(void)state;
	/* Its end may still come. */
	put_text(1, "a", NOXS_NET_CONTINUED);
	assert_int_equal(look(), 0);
	expect(NULL);
	put_text(2, "b", 0);
	look();
	expect("ab");
	/* It does not: what is too much for a frame is passed over, to its end. */
	for (unsigned i = 0; i < 10 * ENTRIES; i++) {
		put(0, 60, NOXS_NET_CONTINUED);
		if (i % 100 == 0 || net_tx_waits(d) == ENTRIES)
			for (int k = 0; k < 10 && net_tx_waits(d) > NET_PIECES; k++)
				look();
	}
	put(0, 60, 0);
	put_text(3, "next", 0);
	for (int k = 0; k < 10; k++)
		look();
	expect("next");
	expect(NULL);
	assert_int_equal(net_counters(0).tx_dropped, 1);
	assert_null(net_counters(0).broken);
}

static void buffers_that_do_not_exist(void **state)
{
	struct noxs_net_desc desc;

	(void)state;
	offer_buffer(FRAME * BUFFERS);
	offer_buffer(UINT64_MAX);
	offer_buffer(5 * FRAME);
	send(pair[1], "x", 1, 0);
	assert_int_equal(look(), EVENT);
	assert_true(received(&desc));
	assert_int_equal(desc.addr / FRAME, 5);
	for (unsigned i = 0; i < ENTRIES; i++)
		offer_buffer(FRAME * BUFFERS + i);
	assert_int_equal(look(), 0);
	assert_null(net_counters(0).broken);
}

static void completions_that_nobody_takes(void **state)
{
	unsigned sent = 0;
	char byte;

	(void)state;
	for (unsigned i = 0; i < ENTRIES + 5; i++) {
		put_text(i % 8, "x", 0);
		look();
		sent += recv(pair[1], &byte, 1, MSG_DONTWAIT) == 1;
	}
	assert_int_equal(sent, ENTRIES);
	assert_int_equal(look(), EVENT); /* it is the guest's move */
	assert_int_equal(completed(), 0);
	look();
	expect("x");
	expect(NULL);
}

static void answers_that_were_not_asked_for(void **state)
{
	(void)state;
	front()->front.features = 1 << 7;
	look();
	expect_broken("features");
	teardown(NULL);
	tap(NULL);
	front()->front.state = 17;
	look();
	expect_broken("state");
	teardown(NULL);
	vnet_tap(NULL);
	front()->front.features = 0;
	look();
	expect_broken("IFF_VNET_HDR");
}

static void one_that_is_not_in_use(void **state)
{
	struct pollfd p[NOXS_NET_MAX];
	int64_t retry_ns;
	unsigned n;

	(void)state;
	front()->front.state = NOXS_INIT;
	put_text(1, "x", 0);
	offer_buffer(0);
	send(pair[1], "y", 1, 0);
	assert_int_equal(wait_for(p, &n, &retry_ns), 0);
	assert_int_equal(n, 0);
	net_serve();
	expect(NULL);
}

/* Anything at all in the rings and indices: nothing is touched that is not the buffers'. */
static void random_rings(void **state)
{
	static uint8_t before[NOXS_PAGE], sink[NET_MAX_FRAME + 1];
	unsigned seed = 1;

	(void)state;
	for (unsigned round = 0; round < 4000; round++) {
		if (net_counters(0).broken) {
			teardown(NULL);
			round % 3 ? vnet_tap(NULL) : tap(NULL);
		}
		memcpy(before, d->window + NOXS_NET_OFF_TABLES, sizeof(before));
		for (int i = 0; i < 40; i++) {
			uint32_t r = (uint32_t)rand_r(&seed);
			uint64_t addr = r % 16 ? r % (BUFFERS * FRAME) : (uint64_t)r << 33 | r;

			put(addr, r >> 8 & (r % 5 ? 0x3ff : 0xffffffff), r >> 4 & 1);
			offer_buffer(addr);
		}
		if (round % 50 == 0)
			*index_of(rand_r(&seed) % 4, rand_r(&seed) & 1) = (uint32_t)rand_r(&seed);
		send(pair[1], sink, 1 + (size_t)rand_r(&seed) % 9000, MSG_DONTWAIT);
		look();
		while (recv(pair[1], sink, sizeof(sink), MSG_DONTWAIT) > 0)
			;
		*index_of(NOXS_NET_COMP, false) = *index_of(NOXS_NET_COMP, true);
		*index_of(NOXS_NET_RX, false) = *index_of(NOXS_NET_RX, true);
		assert_memory_equal(before, d->window + NOXS_NET_OFF_TABLES, sizeof(before));
	}
}

/* ---- the thread that polls ---- */

static bool is_to_ring(void)
{
	return __atomic_load_n(d->ring[NOXS_NET_TX].flags, __ATOMIC_ACQUIRE) & NOXS_NET_NEED_WAKEUP;
}

/* A guest whose waits are short. */
static void wait_shortly(unsigned times)
{
	while (times--) {
		look();
		net_woken();
	}
}

/* What came out on the other side, within seconds and without a call of ours. */
static void expect_soon(const char *text)
{
	struct pollfd p = {.fd = pair[1], .events = POLLIN};

	assert_int_equal(poll(&p, 1, 5000), 1);
	expect(text);
}

/* It stops by itself very soon, on a busy machine before we look. */
static void until_it_polls(void)
{
	for (int i = 0; i < 1000000 && is_to_ring(); i++)
		wait_shortly(1);
	assert_false(is_to_ring());
}

static void until_it_does_not(void)
{
	for (int i = 0; i < 5000 && !is_to_ring(); i++)
		a_moment();
	assert_true(is_to_ring());
	assert_false(config()->awake);
}

static void polls_for_a_guest_of_short_waits(void **state)
{
	struct pollfd p = {.fd = pair[1], .events = POLLIN};
	bool sent = false, came = false;

	(void)state;
	bell = 0;
	assert_true(is_to_ring());
	wait_shortly(3);
	assert_int_equal(bell, 0); /* nothing is made for so few */
	for (int i = 0; i < 100 && !sent; i++) {
		until_it_polls();
		put_text(1, "one", 0); /* nobody calls or rings, and yet: */
		sent = poll(&p, 1, 100) == 1;
		look();
		net_woken();
		expect("one");
	}
	assert_true(sent);
	for (uint64_t i = 0; i < 100 && !came; i++) {
		offer_buffer(i * FRAME);
		until_it_polls();
		send(pair[1], "in", 2, 0);
		for (int k = 0; k < 1000 && !is_to_ring() && !came; k++)
			came = net_rx_waits(d);
		look();
		net_woken();
	}
	assert_true(came);
	/* When nothing moves it stops, and says so; from then on a doorbell wakes it. */
	until_it_does_not();
	put_text(2, "two", 0);
	assert_int_equal(write(bell, &(uint64_t){1}, 8), 8);
	expect_soon("two");
}

static void nobody_polls_during_a_wait(void **state)
{
	(void)state;
	bell = 0;
	offer_buffer(0);
	until_it_polls();
	assert_int_equal(look(), 0); /* it waits: what comes now is the caller's */
	assert_true(is_to_ring());
	send(pair[1], "in", 2, 0);
	for (int i = 0; i < 20; i++) {
		assert_int_equal(write(bell, &(uint64_t){1}, 8), 8);
		a_moment();
		assert_false(net_rx_waits(d));
		assert_true(is_to_ring());
	}
	assert_int_equal(look(), EVENT);
}

static void polls_for_a_guest_that_rings_often(void **state)
{
	(void)state;
	bell = -1; /* and if doorbells cannot be bound they go on being exits */
	for (int i = 0; i < 1000000 && is_to_ring(); i++)
		net_rang(NOXS_NET_SLOT(0) + NOXS_NET_Q_TX);
	assert_false(is_to_ring());
	until_it_does_not();
	put_text(2, "two", 0);
	net_rang(NOXS_NET_SLOT(0) + NOXS_NET_Q_TX);
	expect("two");
}

static void long_waits_are_waits(void **state)
{
	(void)state;
	for (int i = 0; i < 20; i++) {
		look();
		a_moment();
		net_woken();
		assert_true(is_to_ring());
	}
}

/* ---- a stream ---- */

static void write_all(const void *data, size_t n)
{
	assert_int_equal(write(pair[1], data, n), n);
}

/* An Ethernet header of that type, and bytes of a packet: the frame's length. */
static uint32_t put_packet(uint32_t buffer, uint16_t type, const void *packet, uint32_t bytes,
			   uint32_t options)
{
	uint8_t *frame = area + buffer * FRAME;

	memset(frame, 0x22, 12);
	frame[12] = (uint8_t)(type >> 8);
	frame[13] = (uint8_t)type;
	memcpy(frame + 14, packet, bytes);
	put(buffer * FRAME, 14 + bytes, options);
	return 14 + bytes;
}

static void stream_frames_go_out(void **state)
{
	static const char header[] = "\x22\x22\x22\x22\x22\x22\x22\x22\x22\x22\x22\x22\x08\x06";
	char buf[64], want[64];

	(void)state;
	put_packet(1, 0x0806, "one", 3, 0);
	put_packet(2, 0x0806, "tw", 2, NOXS_NET_CONTINUED);
	put_text(3, "o", 0);
	assert_int_equal(look(), 0);
	assert_int_equal(recv(pair[1], buf, sizeof(buf), MSG_DONTWAIT), 42);
	for (int i = 0; i < 2; i++) {
		memcpy(want + i * 21, "\0\0\0\x11", 4);
		memcpy(want + i * 21 + 4, header, 14);
		memcpy(want + i * 21 + 18, i ? "two" : "one", 3);
	}
	assert_memory_equal(buf, want, 42);
	assert_int_equal(net_counters(0).kicks, 1); /* one write for both */
}

/* One packet with its addresses: does it get to the other end? */
static bool gets_out(int family, const char *from, const char *to)
{
	uint8_t packet[60] = {family == AF_INET ? 0x45 : 0x60};
	const unsigned at = family == AF_INET ? 12 : 8, bytes = family == AF_INET ? 4 : 16;
	const uint64_t dropped = net_counters(0).tx_dropped;
	char buf[256];
	uint32_t length;
	ssize_t n;

	assert_int_equal(inet_pton(family, from, packet + at), 1);
	assert_int_equal(inet_pton(family, to, packet + at + bytes), 1);
	length = put_packet(1, family == AF_INET ? 0x0800 : 0x86dd, packet, sizeof(packet), 0);
	assert_int_equal(look(), 0);
	assert_int_equal(completed(), FRAME);
	n = recv(pair[1], buf, sizeof(buf), MSG_DONTWAIT);
	assert_int_equal(net_counters(0).tx_dropped - dropped, n < 0);
	assert_true(n < 0 || n == 4 + length);
	return n > 0;
}

static void stream_keeps_off_the_loopback(void **state)
{
	static const char *const v4[] = {"127.0.0.1", "127.1.2.3", "127.255.255.255", "0.0.0.0",
					 "0.1.2.3"};
	static const char *const v6[] = {
		"::", "::1", "::127.0.0.1", "::10.9.0.1", "::ffff:127.0.0.1", "::ffff:10.9.0.1"};
	static const uint16_t types[] = {0x8100, 0x88a8, 0x88b5, 60, 0};
	uint8_t packet[60] = {0x45, [12] = 10, [16] = 10};
	char byte;

	(void)state;
	for (unsigned i = 0; i < sizeof(v4) / sizeof(*v4); i++) {
		assert_false(gets_out(AF_INET, "10.9.0.2", v4[i]));
		/* and nobody is there but who has no address yet */
		assert_true(gets_out(AF_INET, v4[i], "10.9.0.1") == !strcmp(v4[i], "0.0.0.0"));
	}
	for (unsigned i = 0; i < sizeof(v6) / sizeof(*v6); i++) {
		assert_false(gets_out(AF_INET6, "fe80::1", v6[i]));
		assert_true(gets_out(AF_INET6, v6[i], "fe80::2") == !strcmp(v6[i], "::"));
	}
	assert_true(gets_out(AF_INET, "10.9.0.2", "128.0.0.1"));
	assert_true(gets_out(AF_INET, "0.0.0.0", "255.255.255.255"));
	assert_true(gets_out(AF_INET6, "::", "ff02::1:ff00:1"));
	assert_true(gets_out(AF_INET6, "fe80::1", "64:ff9b::10.9.0.1"));
	/* Types of which we do not know where the addresses are, and less than a header. */
	for (unsigned i = 0; i < sizeof(types) / sizeof(*types); i++)
		put_packet(1, types[i], packet, sizeof(packet), 0);
	put_packet(1, 0x0800, packet, 19, 0);
	put_packet(1, 0x86dd, packet, 39, 0);
	put(FRAME, 13, 0);
	look();
	assert_int_equal(recv(pair[1], &byte, 1, MSG_DONTWAIT), -1);
}

static void stream_frames_come_in(void **state)
{
	static const char text[] = "\0\0\0\3one\0\0\0\5three\0\0\0\1x";
	struct noxs_net_desc desc;

	(void)state;
	for (uint64_t i = 0; i < 8; i++)
		offer_buffer(i * FRAME);
	/* A byte at a time. */
	for (size_t i = 0; i < 7; i++) {
		assert_int_equal(look(), 0);
		write_all(text + i, 1);
	}
	assert_int_equal(look(), EVENT);
	assert_true(received(&desc));
	assert_memory_equal(area + desc.addr, "one", 3);
	/* Several at once, and the start of one more. */
	write_all(text + 7, sizeof(text) - 1 - 7);
	write_all(text, 5);
	assert_int_equal(look(), EVENT);
	assert_true(received(&desc));
	assert_int_equal(desc.len, 5);
	assert_memory_equal(area + desc.addr, "three", 5);
	assert_true(received(&desc));
	assert_int_equal(desc.len, 1);
	assert_false(received(&desc));
	write_all(text + 5, 2);
	assert_int_equal(look(), EVENT);
	assert_true(received(&desc));
	assert_memory_equal(area + desc.addr, "one", 3);
}

static void stream_waits_for_buffers(void **state)
{
	struct noxs_net_desc desc;
	struct pollfd p[NOXS_NET_MAX];
	int64_t retry_ns;
	unsigned n;

	(void)state;
	write_all("\0\0\0\3one\0\0\0\3two", 14);
	assert_int_equal(wait_for(p, &n, &retry_ns), 0);
	assert_int_equal(n, 0); /* there is nothing to wait for: it is the guest's move */
	offer_buffer(0);
	assert_int_equal(look(), EVENT);
	assert_true(received(&desc));
	assert_int_equal(look(), 0);
	offer_buffer(0);
	assert_int_equal(look(), EVENT);
	assert_true(received(&desc));
	assert_memory_equal(area + desc.addr, "two", 3);
}

static void stream_partial_writes(void **state)
{
	static uint8_t got[1 << 20], packet[1386];
	size_t bytes = 0, at = 0, frames = 0;
	struct pollfd p[NOXS_NET_MAX];
	int64_t retry_ns;
	unsigned n;

	(void)state;
	for (unsigned i = 0; i < 400; i++) {
		memset(packet, (int)i, sizeof(packet));
		put_packet(i % 64, 0x0806, packet, sizeof(packet), 0);
		if (i % 64 == 63) /* what was sent may be written again */
			while (net_tx_waits(d) || d->out_bytes) {
				ssize_t k;

				assert_int_equal(wait_for(p, &n, &retry_ns) & ~EVENT, 0);
				while (completed() >= 0)
					;
				k = recv(pair[1], got + bytes, 1000, MSG_DONTWAIT);
				bytes += k > 0 ? (size_t)k : 0;
			}
	}
	for (;;) {
		ssize_t k;

		wait_for(p, &n, &retry_ns);
		while (completed() >= 0)
			;
		k = recv(pair[1], got + bytes, sizeof(got) - bytes, MSG_DONTWAIT);
		if (k <= 0 && !net_tx_waits(d) && !d->out_bytes)
			break;
		bytes += k > 0 ? (size_t)k : 0;
	}
	for (; at < bytes; at += 1404, frames++) {
		uint32_t length;

		memcpy(&length, got + at, 4);
		assert_int_equal(ntohl(length), 1400);
		for (unsigned i = 14; i < 1400; i++)
			assert_int_equal(got[at + 4 + i], (uint8_t)frames);
	}
	assert_int_equal(frames, 400);
}

/* ---- a socket that takes what we let it ---- */

static size_t takes; /* bytes a write; 0: all of them */

/* In place of libc's: a write to the socket may be cut off. */
ssize_t write(int fd, const void *data, size_t bytes)
{
	if (fd == pair[0] && takes && bytes > takes)
		bytes = takes;
	return syscall(SYS_write, fd, data, bytes);
}

static uint8_t stream_got[1 << 20];

/* Sends frames of all sizes, more than fit; reads some at a time, at most `some` bytes; what has
 * come must be all of them, in order. Whole: what can be read ends with a frame, each time. */
static void stream_carries(unsigned frames, size_t some, bool whole)
{
	static uint8_t packet[NOXS_NET_MAX_MTU];
	const uint64_t before = net_counters(0).tx_frames;
	size_t bytes = 0, at = 0;
	unsigned sent = 0, came = 0;

	while (came < frames) {
		ssize_t n;

		for (; sent < frames && before + sent - net_counters(0).tx_frames < 64; sent++) {
			memset(packet, (int)sent, sizeof(packet));
			put_packet(sent % 64, 0x0806, packet, 1 + sent * 37 % sizeof(packet), 0);
		}
		look();
		while (completed() >= 0)
			;
		n = recv(pair[1], stream_got + bytes, some, MSG_DONTWAIT);
		bytes += n > 0 ? (size_t)n : 0;
		assert_true(bytes < sizeof(stream_got) / 2);
		for (uint32_t length; bytes - at >= 4; at += 4 + length, came++) {
			memcpy(&length, stream_got + at, 4);
			length = ntohl(length);
			if (bytes - at < 4 + length)
				break;
			assert_int_equal(length, 15 + came * 37 % sizeof(packet));
			for (unsigned i = 14; i < length; i++)
				assert_int_equal(stream_got[at + 4 + i], (uint8_t)came);
		}
		if (whole)
			assert_int_equal(at, bytes);
		memmove(stream_got, stream_got + at, bytes - at);
		bytes -= at;
		at = 0;
	}
	assert_int_equal(came, sent);
	assert_int_equal(bytes, 0);
}

/* A write that is cut off, at every offset of a frame and of its length. */
static void stream_short_writes(void **state)
{
	(void)state;
	for (takes = 1; takes < 64; takes++)
		stream_carries(3, 1000, false);
	for (; takes < 1600; takes += 13)
		stream_carries(20, 1000, false);
	takes = 0;
}

/* passt loses its place when what it reads ends within a length or a frame. */
static void stream_writes_whole_frames(void **state)
{
	const int small = 20000;

	(void)state;
	stream_carries(2000, 1 << 18, true);
	/* The socket's room is no multiple of anything. */
	assert_int_equal(setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)), 0);
	stream_carries(2000, 1 << 18, true);
}

/* And a frame that a guest made larger than one write does not go to it. */
static void stream_drops_large_frames(void **state)
{
	char byte;

	(void)state;
	put_packet(0, 0x0806, "x", 1, NOXS_NET_CONTINUED);
	put(FRAME, 1500, 0); /* 1515 */
	look();
	assert_int_equal(recv(pair[1], &byte, 1, MSG_DONTWAIT), -1);
	assert_int_equal(net_counters(0).tx_dropped, 1);
	put_packet(0, 0x0806, "x", 1, NOXS_NET_CONTINUED);
	for (unsigned i = 1; i < 32; i++)
		put(i * FRAME, FRAME, i < 31 ? NOXS_NET_CONTINUED : 0);
	look();
	assert_int_equal(recv(pair[1], &byte, 1, MSG_DONTWAIT), -1);
	assert_int_equal(net_counters(0).tx_dropped, 2);
	put_packet(0, 0x0806, "x", 1, NOXS_NET_CONTINUED);
	put(FRAME, 1499, 0);
	look();
	assert_int_equal(recv(pair[1], stream_got, 4000, MSG_DONTWAIT), 4 + 1514);
}

static void stream_ends(void **state)
{
	(void)state;
	look();
	close(pair[1]);
	pair[1] = -1;
	look();
	expect_broken("tap7");
}

static void stream_nonsense(void **state)
{
	(void)state;
	write_all("\xff\xff\xff\xff", 4);
	look();
	expect_broken("4294967295");
}

int main(void)
{
#define T(test, setup) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(is_shown, tap),
		T(is_configured, tap),
		T(claims_are_checked, tap),
		T(frames_go_out, tap),
		T(frames_come_in, tap),
		T(segments_come_in_pieces, vnet_tap),
		T(many_come_a_batch_at_a_time, tap),
		T(what_the_tap_cannot_take_waits, tap),
		T(a_deleted_tap_breaks_the_device, tap),
		T(wild_indices_break_the_device, tap),
		T(wild_indices_of_the_others, tap),
		T(our_indices_cannot_be_written, tap),
		T(bad_descriptors_are_dropped, tap),
		T(a_frame_without_end, tap),
		T(buffers_that_do_not_exist, tap),
		T(completions_that_nobody_takes, tap),
		T(answers_that_were_not_asked_for, tap),
		T(one_that_is_not_in_use, tap),
		T(random_rings, tap),
		T(polls_for_a_guest_of_short_waits, tap),
		T(nobody_polls_during_a_wait, tap),
		T(polls_for_a_guest_that_rings_often, tap),
		T(long_waits_are_waits, tap),
		T(stream_frames_go_out, stream),
		T(stream_keeps_off_the_loopback, stream),
		T(stream_frames_come_in, stream),
		T(stream_waits_for_buffers, stream),
		T(stream_partial_writes, stream),
		T(stream_short_writes, stream),
		T(stream_writes_whole_frames, stream),
		T(stream_drops_large_frames, stream),
		T(stream_ends, stream),
		T(stream_nonsense, stream),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
