/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_net_driver.c: the front end of the net device, against a host that does its part, and
 * against one that writes nonsense into its rings: a buffer is used by one side at a time,
 * and nothing is looked at or written outside of the device's window.
 */
/* sources: unikernel/net/driver.c unikernel/net/early.c unikernel/net/send.c tests/unit/uk_mock.c
 */
#include "../../unikernel/device.h"
#include "../../unikernel/net/net.h"
#include "uk_mock.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <sys/mman.h>

#define WINDOW  NOXS_GVA_NET(0)
#define ENTRIES 512u
#define BUFFERS 768u
#define BYTES   2048u
#define SLOT    NOXS_NET_SLOT(0)

/* stack.h's, without lwIP's headers */
long net_driver_open(struct net_dev *dev);
bool net_driver_renew(struct net_dev *dev);
uint32_t net_buffers_left(const struct net_dev *dev);
bool net_buffers_back(struct net_dev *dev);

static struct noxs_net *const device = (struct noxs_net *)WINDOW;
static struct noxs_net_front *const front = (struct noxs_net_front *)(WINDOW + NOXS_NET_OFF_FRONT);
static uint8_t *const area = (uint8_t *)WINDOW + NOXS_NET_OFF_BUFFERS;

static jmp_buf panicked;
static unsigned panics, rung[2];

void uk_panic(const char *fmt, ...)
{
	(void)fmt;
	panics++;
	longjmp(panicked, 1);
}

void uk_device_ready(const struct noxs_device *d, struct noxs_front *f, uint64_t known)
{
	f->features = d->features & known;
	f->state = NOXS_READY;
}

const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	/* As in test_front.c; and a kernel never gives its tables back. */
	return "replace_intrin=0:detect_leaks=0";
}

static void map(uint64_t at, size_t n)
{
	if (mmap((void *)at, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
		 0) == MAP_FAILED)
		abort();
}

/* One window is mapped, and nothing around it. */
__attribute__((constructor)) static void map_window(void)
{
	map(WINDOW, NOXS_NET_WINDOW);
#ifdef __SANITIZE_ADDRESS__
	map(((WINDOW >> 3) + 0x7fff8000) & ~(NOXS_PAGE - 1), NOXS_NET_WINDOW / 8 + NOXS_PAGE);
#endif
}

/* ---- the host ---- */

static const uint32_t place[NOXS_NET_NRINGS] = {NOXS_NET_OFF_FILL, NOXS_NET_OFF_COMP,
						NOXS_NET_OFF_RX, NOXS_NET_OFF_TX};

static uint32_t *at(enum noxs_net_ring_index r, uint32_t off)
{
	return (uint32_t *)(WINDOW + place[r] + off);
}
#define PRODUCER(r) (*at(r, 0))
#define CONSUMER(r) (*at(r, 0x80))
#define FLAGS(r)    (*at(r, 0x100))
#define DESC(r, n)  ((void *)at(r, 0x140 + ((n) & (ENTRIES - 1)) * (r < NOXS_NET_RX ? 8 : 16)))

static void doorbell(unsigned slot, uint64_t value)
{
	(void)value;
	assert_in_range(slot, SLOT, SLOT + 1);
	rung[slot - SLOT]++;
}

static struct noxs_device row(uint64_t features)
{
	return (struct noxs_device){
		.type = NOXS_DEV_NET,
		.doorbell = SLOT,
		.features = features,
		.control = WINDOW + NOXS_NET_OFF_FRONT,
		.config = {WINDOW},
	};
}

static struct net_dev *const dev = &uk_net_dev[0];

static int lay_out(void **state)
{
	(void)state;
	uk_mock_reset();
	uk_mock.doorbell = doorbell;
	memset((void *)WINDOW, 0, NOXS_NET_OFF_BUFFERS);
	memset(rung, 0, sizeof(rung));
	device->backend = NOXS_NET_TAP;
	device->frame_bytes = BYTES;
	device->buffers = BUFFERS;
	for (int i = 0; i < NOXS_NET_NRINGS; i++)
		device->ring[i] = (struct noxs_net_ring){0, 0x80, 0x100, 0x140, ENTRIES, 0};
	uk_net_ndevs = 0;
	panics = 0;
	return 0;
}

static void start(uint64_t features)
{
	struct noxs_device d = row(features);

	uk_net_device_start(&d);
	assert_int_equal(uk_net_ndevs, 1);
	assert_int_equal(front->front.state, NOXS_READY);
	assert_int_equal(net_driver_open(dev), 0);
}

/* Takes the next empty buffer; it must be one. */
static uint64_t host_buffer(void)
{
	uint64_t addr;

	assert_int_not_equal(PRODUCER(NOXS_NET_FILL), CONSUMER(NOXS_NET_FILL));
	assert_true(PRODUCER(NOXS_NET_FILL) - CONSUMER(NOXS_NET_FILL) <= ENTRIES);
	memcpy(&addr, DESC(NOXS_NET_FILL, CONSUMER(NOXS_NET_FILL)), 8);
	CONSUMER(NOXS_NET_FILL)++;
	assert_true(addr < BUFFERS * BYTES && addr % BYTES == 0);
	return addr;
}

static void host_describe(uint64_t addr, uint32_t len, uint32_t options)
{
	struct noxs_net_desc d = {addr, len, options};

	memcpy(DESC(NOXS_NET_RX, PRODUCER(NOXS_NET_RX)), &d, sizeof(d));
	PRODUCER(NOXS_NET_RX)++;
}

/* A frame of so many bytes, each of them what. */
static void host_frame(uint32_t bytes, uint8_t what)
{
	while (bytes) {
		uint32_t part = uk_min(bytes, BYTES - 256);
		uint64_t addr = host_buffer() + 256;

		memset(area + addr, what, part);
		bytes -= part;
		host_describe(addr, part, bytes ? NOXS_NET_CONTINUED : 0);
	}
}

/* Sends what is in TX: how many descriptors. Gives buffers back, or keeps them. */
static uint32_t host_sends(bool complete)
{
	uint32_t n = 0;

	for (; CONSUMER(NOXS_NET_TX) != PRODUCER(NOXS_NET_TX); CONSUMER(NOXS_NET_TX)++, n++) {
		struct noxs_net_desc d;

		memcpy(&d, DESC(NOXS_NET_TX, CONSUMER(NOXS_NET_TX)), sizeof(d));
		assert_true(d.addr < BUFFERS * BYTES && d.addr % BYTES + d.len <= BYTES && d.len);
		if (complete) {
			memcpy(DESC(NOXS_NET_COMP, PRODUCER(NOXS_NET_COMP)), &d.addr, 8);
			PRODUCER(NOXS_NET_COMP)++;
		}
	}
	return n;
}

static long send(uint32_t bytes, uint8_t what)
{
	static uint8_t data[1 << 16];
	struct net_piece piece[2] = {{data, 20}, {data + 20, bytes - 20}};

	memset(data, what, bytes);
	return net_send(dev, NULL, piece, 2);
}

static void free_frame(const struct net_frame *f)
{
	for (uint32_t i = 0; i < f->npieces; i++)
		net_buffer_free(dev, f->piece[i].buffer);
}

/* Does it give up? */
static bool start_panics(const struct noxs_device *d)
{
	if (!setjmp(panicked))
		uk_net_device_start(d);
	return panics && !uk_net_ndevs;
}

/* ---- tests ---- */

static void starts_with_empty_buffers_in_the_fill_ring(void **state)
{
	struct net_frame f;

	(void)state;
	start(NOXS_NET_SEGMENTS);
	assert_true(dev->segments);
	assert_true(PRODUCER(NOXS_NET_FILL) >= 64);
	assert_false(net_receive(dev, &f));
	assert_false(net_news());
	assert_int_equal(host_sends(true), 0);
}

static void rings_that_cannot_be(void **state)
{
	static const struct noxs_net_ring wild[] = {
		{0, 0x80, 0x100, 0x140, 0, 0},
		{0, 0x80, 0x100, 0x140, 500, 0},
		{0, 0x80, 0x100, 0x140, 2048, 0},
		{0, 0x80, 0x100, 0x6000, 512, 0},
		{0, 0x80, 0x100, 0xfffffff8, 512, 0},
		{0, 0x80, 0x100, 0x141, 512, 0},
		{0xfffffffc, 0x80, 0x100, 0x140, 512, 0},
		{0, 0x6000, 0x100, 0x140, 512, 0},
		{0, 0x80, 0x7ffffffc, 0x140, 512, 0},
		{2, 0x80, 0x100, 0x140, 512, 0},
	};
	struct noxs_device d = row(0);

	for (unsigned i = 0; i < uk_countof(wild); i++)
		for (int r = 0; r < NOXS_NET_NRINGS; r++) {
			lay_out(state);
			device->ring[r] = wild[i];
			assert_true(start_panics(&d));
		}
}

static void devices_that_cannot_be(void **state)
{
	for (int i = 0; i < 7; i++) {
		struct noxs_device d = row(0);

		lay_out(state);
		switch (i) {
		case 0:
			device->frame_bytes = 0;
			break;
		case 1:
			device->frame_bytes = 2047;
			break;
		case 2:
			device->buffers = 0;
			break;
		case 3:
			device->buffers = 4096;
			break;
		case 4:
			d.config[0] = WINDOW + NOXS_NET_WINDOW;
			break;
		case 5:
			d.doorbell = NOXS_DB_WAIT;
			break;
		case 6:
			d.doorbell = NOXS_DB_SLOTS - 1;
			break;
		}
		assert_true(start_panics(&d));
	}
	struct noxs_device d = row(0);

	lay_out(state);
	d.id = NOXS_NET_MAX; /* left alone */
	uk_net_device_start(&d);
	assert_int_equal(uk_net_ndevs, 0);
	assert_int_equal(panics, 0);
}

static void receives_in_order_for_ever(void **state)
{
	struct net_frame f;

	(void)state;
	start(0);
	/* Indices wrap at 2^32, and rings many times. */
	for (uint32_t i = 0; i < 5000; i++) {
		host_frame(60 + i % 1000, (uint8_t)i);
		assert_true(net_news());
		assert_true(net_receive(dev, &f));
		assert_int_equal(f.npieces, 1);
		assert_int_equal(f.bytes, 60 + i % 1000);
		assert_null(f.vnet);
		assert_int_equal(*(uint8_t *)f.piece[0].data, (uint8_t)i);
		free_frame(&f);
		assert_false(net_receive(dev, &f));
		assert_int_equal(CONSUMER(NOXS_NET_RX), PRODUCER(NOXS_NET_RX));
	}
	assert_int_equal(front->rx_frames, 5000);
	assert_int_equal(front->rx_dropped, 0);
}

static void a_large_frame_comes_in_pieces(void **state)
{
	struct net_frame f;

	(void)state;
	start(NOXS_NET_SEGMENTS);
	for (int i = 0; i < 20; i++) {
		host_frame(60000, 7);
		assert_true(net_receive(dev, &f));
		assert_int_equal(f.npieces, (60000 + BYTES - 257) / (BYTES - 256));
		assert_non_null(f.vnet);
		assert_int_equal(f.vnet->flags, 7);
		assert_int_equal(f.bytes, 60000 - sizeof(*f.vnet));
		free_frame(&f);
	}
	assert_false(net_receive(dev, &f));
}

static void a_frame_without_an_end_is_dropped(void **state)
{
	struct net_frame f;

	(void)state;
	start(0);
	for (int i = 0; i < 50; i++)
		host_describe(host_buffer(), 100, NOXS_NET_CONTINUED);
	assert_false(net_receive(dev, &f));
	/* More pieces than there can be. */
	for (int i = 0; i < 60; i++)
		host_describe(host_buffer(), 100, i < 59 ? NOXS_NET_CONTINUED : 0);
	host_frame(200, 9);
	assert_true(net_receive(dev, &f));
	assert_int_equal(f.bytes, 200);
	assert_int_equal(front->rx_dropped, 2);
	free_frame(&f);
	/* No buffer was lost. */
	assert_false(net_receive(dev, &f));
	for (int i = 0; i < 200; i++)
		host_buffer();
}

static void descriptors_that_cannot_be(void **state)
{
	struct net_frame f;
	uint64_t good;

	(void)state;
	start(0);
	good = host_buffer();
	host_describe((uint64_t)BUFFERS * BYTES, 100, 0);
	host_describe(UINT64_MAX, 100, 0);
	host_describe(1ull << 63, 100, 0);
	host_describe((uint64_t)(BUFFERS - 1) * BYTES, 100, 0); /* never given to the host */
	assert_false(net_receive(dev, &f));
	assert_int_equal(front->rx_dropped, 4);
	host_describe(good, BYTES + 1, 0);
	host_describe(host_buffer() + 256, BYTES - 255, 0);
	host_describe(host_buffer() + 256, UINT32_MAX, 0);
	host_describe(host_buffer(), 0, 0);
	host_describe(host_buffer(), 10, 0); /* less than a header */
	assert_false(net_receive(dev, &f));
	assert_int_equal(front->rx_dropped, 9);
}

static void a_buffer_comes_once(void **state)
{
	struct net_frame f, g;
	uint64_t addr;

	(void)state;
	start(0);
	addr = host_buffer();
	host_describe(addr, 100, 0);
	host_describe(addr, 100, 0);
	assert_true(net_receive(dev, &f));
	assert_false(net_receive(dev, &g));
	/* Nor is it sent because somebody says so. */
	memcpy(DESC(NOXS_NET_COMP, 0), &addr, 8);
	PRODUCER(NOXS_NET_COMP)++;
	net_buffers_back(dev);
	memset(area + addr, 0x5a, 100);
	for (int i = 0; i < 100; i++)
		assert_int_equal(send(1000, 1), 0);
	host_sends(false);
	for (int i = 0; i < 100; i++)
		assert_int_equal(area[addr + (uint64_t)i], 0x5a);
	free_frame(&f);
}

static void indices_at_random(void **state)
{
	struct net_frame f;

	(void)state;
	start(0);
	srand(4);
	for (int i = 0; i < 2000; i++) {
		uint32_t n = 0;

		PRODUCER(NOXS_NET_RX) = (uint32_t)rand() * 3u;
		CONSUMER(NOXS_NET_FILL) = (uint32_t)rand() * 3u;
		PRODUCER(NOXS_NET_COMP) = (uint32_t)rand() * 3u;
		CONSUMER(NOXS_NET_TX) = (uint32_t)rand() * 3u;
		for (int k = 0; k < 20; k++) {
			struct noxs_net_desc d = {
				(uint64_t)rand() * (unsigned)rand() % (BUFFERS * BYTES * 2),
				(uint32_t)rand() % (2 * BYTES), (uint32_t)rand() & 3};

			memcpy(DESC(NOXS_NET_RX, (uint32_t)rand()), &d, sizeof(d));
			memcpy(DESC(NOXS_NET_COMP, (uint32_t)rand()), &d.addr, 8);
		}
		/* An index cannot make it go on for ever. */
		for (; n < 2 * ENTRIES && net_receive(dev, &f); n++) {
			for (uint32_t k = 0; k < f.npieces; k++) {
				uint8_t *p = f.piece[k].data;

				assert_true(p >= area &&
					    p + f.piece[k].bytes <= area + BUFFERS * BYTES);
			}
			free_frame(&f);
		}
		send(60 + (uint32_t)rand() % 3000, 3);
		net_buffers_back(dev);
		net_flush();
	}
}

static void sends_in_one_buffer_or_many(void **state)
{
	(void)state;
	start(0);
	for (uint32_t i = 0; i < 3000; i++) {
		assert_int_equal(send(60 + i % 1400, (uint8_t)i), 0);
		struct noxs_net_desc d;

		memcpy(&d, DESC(NOXS_NET_TX, CONSUMER(NOXS_NET_TX)), sizeof(d));
		assert_int_equal(d.len, 60 + i % 1400);
		assert_int_equal(d.options, 0);
		for (uint32_t k = 0; k < d.len; k++)
			assert_int_equal(area[d.addr + k], (uint8_t)i);
		assert_int_equal(host_sends(true), 1);
	}
	assert_int_equal(send(5000, 1), 0);
	assert_int_equal(host_sends(true), 3);
	assert_int_equal(front->tx_frames, 3001);
	assert_int_equal(front->tx_dropped, 0);
}

static void sends_with_a_header_where_that_was_agreed(void **state)
{
	struct noxs_net_vnet vnet = {.flags = 1, .csum_start = 34, .csum_offset = 16}, seen;
	uint8_t data[100] = {1, 2, 3};
	struct net_piece piece = {data, sizeof(data)};
	struct noxs_net_desc d;

	(void)state;
	start(NOXS_NET_SEGMENTS);
	assert_int_equal(net_send(dev, &vnet, &piece, 1), 0);
	memcpy(&d, DESC(NOXS_NET_TX, 0), sizeof(d));
	assert_int_equal(d.len, sizeof(data) + sizeof(vnet));
	memcpy(&seen, area + d.addr, sizeof(seen));
	assert_memory_equal(&seen, &vnet, sizeof(vnet));
	assert_memory_equal(area + d.addr + sizeof(vnet), data, sizeof(data));
	assert_int_equal(net_send(dev, NULL, &piece, 1), 0);
	memcpy(&d, DESC(NOXS_NET_TX, 1), sizeof(d));
	assert_int_equal(d.len, sizeof(data) + sizeof(vnet));
	assert_int_equal(area[d.addr], 0);
}

static void without_buffers_it_says_so_and_when_there_are_again(void **state)
{
	struct net_frame f[BUFFERS];
	uint32_t sent = 0, held = 0;

	(void)state;
	start(0);
	FLAGS(NOXS_NET_TX) = NOXS_NET_NEED_WAKEUP;
	while (!send(100, 2))
		sent++;
	assert_true(sent > 100 && sent < BUFFERS / 2);
	assert_int_equal(send(100, 2), -ENOBUFS);
	assert_false(net_buffers_back(dev));
	assert_true(rung[NOXS_NET_Q_TX] > 0);
	/* Frames can still be received meanwhile, as many as are not sent. */
	for (; PRODUCER(NOXS_NET_FILL) != CONSUMER(NOXS_NET_FILL); held++) {
		host_frame(100, 1);
		assert_true(net_receive(dev, &f[held]));
		assert_int_equal(net_buffers_left(dev), BUFFERS - sent - held - 1);
		if (PRODUCER(NOXS_NET_FILL) - CONSUMER(NOXS_NET_FILL) < 8) {
			struct net_frame none;

			assert_false(net_receive(dev, &none));
		}
	}
	assert_int_equal(held + sent, BUFFERS);
	assert_int_equal(host_sends(true), sent);
	assert_true(net_buffers_back(dev));
	assert_false(net_buffers_back(dev)); /* said once */
	assert_int_equal(send(100, 2), 0);
	while (held--)
		free_frame(&f[held]);
	assert_int_equal(net_buffers_left(dev), BUFFERS - sent);
	assert_false(net_receive(dev, &f[0]));
	assert_true(PRODUCER(NOXS_NET_FILL) - CONSUMER(NOXS_NET_FILL) >= 64);
}

static void rings_only_when_asked_and_not_for_every_frame(void **state)
{
	(void)state;
	start(0);
	for (int i = 0; i < 200; i++)
		send(60, 1);
	net_flush();
	assert_int_equal(rung[NOXS_NET_Q_TX], 0);
	FLAGS(NOXS_NET_TX) = NOXS_NET_NEED_WAKEUP;
	send(60, 1);
	assert_int_equal(rung[NOXS_NET_Q_TX], 0);
	assert_int_equal(uk_net_unsent, 1);
	net_flush_late();
	assert_int_equal(rung[NOXS_NET_Q_TX], 0);
	uk_mock.mono_ns += 1000000;
	net_flush_late();
	assert_int_equal(rung[NOXS_NET_Q_TX], 1);
	assert_int_equal(uk_net_unsent, 0);
	/* What a WAIT sends needs no doorbell. */
	send(60, 1);
	net_waiting();
	net_flush();
	assert_int_equal(rung[NOXS_NET_Q_TX], 1);
	host_sends(true);
	for (int i = 0; i < 96; i++)
		send(60, 1);
	assert_in_range(rung[NOXS_NET_Q_TX], 3, 5);
	assert_int_equal(rung[NOXS_NET_Q_FILL], 0);
	FLAGS(NOXS_NET_FILL) = NOXS_NET_NEED_WAKEUP;
	net_flush();
	assert_int_equal(rung[NOXS_NET_Q_FILL], 1);
}

static void new_rings_are_fed_and_no_buffer_is_lost(void **state)
{
	struct net_frame held, f;
	uint64_t addr;

	(void)state;
	start(0);
	host_frame(100, 1);
	assert_true(net_receive(dev, &held));
	assert_int_equal(send(100, 1), 0);
	/* The same rings: nothing happens. */
	assert_true(net_driver_renew(dev));
	assert_int_equal(host_sends(false), 1);
	for (int r = 0; r < NOXS_NET_NRINGS; r++)
		PRODUCER(r) = CONSUMER(r) = 0;
	assert_true(net_driver_renew(dev));
	assert_true(PRODUCER(NOXS_NET_FILL) >= 64);
	for (uint32_t i = 0; i < PRODUCER(NOXS_NET_FILL); i++) {
		memcpy(&addr, DESC(NOXS_NET_FILL, i), 8);
		assert_int_not_equal(addr / BYTES, held.piece[0].buffer);
	}
	for (int i = 0; i < 1000; i++) {
		host_frame(100, 4);
		assert_true(net_receive(dev, &f));
		free_frame(&f);
		assert_int_equal(send(100, 1), 0);
		assert_int_equal(host_sends(true), 1);
	}
	free_frame(&held);
}

static void bursts_get_more_buffers(void **state)
{
	struct net_frame f;
	uint32_t before;

	(void)state;
	start(0);
	before = PRODUCER(NOXS_NET_FILL) - CONSUMER(NOXS_NET_FILL);
	while (PRODUCER(NOXS_NET_FILL) != CONSUMER(NOXS_NET_FILL))
		host_frame(100, 1);
	while (net_receive(dev, &f))
		free_frame(&f);
	assert_true(PRODUCER(NOXS_NET_FILL) - CONSUMER(NOXS_NET_FILL) > before);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup(f, lay_out)
	const struct CMUnitTest tests[] = {
		CASE(starts_with_empty_buffers_in_the_fill_ring),
		CASE(rings_that_cannot_be),
		CASE(devices_that_cannot_be),
		CASE(receives_in_order_for_ever),
		CASE(a_large_frame_comes_in_pieces),
		CASE(a_frame_without_an_end_is_dropped),
		CASE(descriptors_that_cannot_be),
		CASE(a_buffer_comes_once),
		CASE(indices_at_random),
		CASE(sends_in_one_buffer_or_many),
		CASE(sends_with_a_header_where_that_was_agreed),
		CASE(without_buffers_it_says_so_and_when_there_are_again),
		CASE(rings_only_when_asked_and_not_for_every_frame),
		CASE(new_rings_are_fed_and_no_buffer_is_lost),
		CASE(bursts_get_more_buffers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
