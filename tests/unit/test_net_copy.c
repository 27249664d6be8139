/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_net_copy.c: an AF_XDP socket whose rings are copied (net_xdp.c), between guests that keep
 * the rules and guests that do not. The socket is a memfd: its rings can be mapped where a
 * socket's can, and the kernel's side of them is played here, as is the guest's.
 */
/* clang-format off */
/* sources: monitor/net.c monitor/net_run.c monitor/net_poll.c monitor/net_rings.c monitor/net_tap.c monitor/net_stream.c monitor/net_watch.c monitor/net_xdp.c monitor/device.c monitor/x86_paging.c monitor/err.c */
/* clang-format on */
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
#include <unistd.h>

#include <linux/if_xdp.h>

#include "../../monitor/net_backend.h"

#define BUFFERS 512u
#define FRAME   NOXS_NET_FRAME_BYTES
#define ENTRIES 64u
#define EVENT   NOXS_EV_NET(0)
#define RAM     (64 * NOXS_PAGE)
#define CANARY  0xa5

static struct noxs_page page;
static struct guest guest;
static struct vm vm;
static struct net_dev *d;
static struct err err;
static uint8_t *ram;

int vm_add_memory(struct vm *v, uint64_t gpa, void *host, uint64_t bytes)
{
	(void)v, (void)gpa, (void)host, (void)bytes;
	return 0;
}

int vm_bind_doorbell(struct vm *v, unsigned slot, int fd)
{
	(void)v, (void)slot, (void)fd;
	return -ENOSPC;
}

/* ---- the kernel's side ---- */

static const struct {
	off_t pgoff;
	size_t entry_bytes;
} place[NOXS_NET_NRINGS] = {
	[NOXS_NET_FILL] = {XDP_UMEM_PGOFF_FILL_RING, 8},
	[NOXS_NET_COMP] = {XDP_UMEM_PGOFF_COMPLETION_RING, 8},
	[NOXS_NET_RX] = {XDP_PGOFF_RX_RING, 16},
	[NOXS_NET_TX] = {XDP_PGOFF_TX_RING, 16},
};

static struct kernel {
	int fd;
	struct net_ring ring[NOXS_NET_NRINGS];
	uint8_t *map[NOXS_NET_NRINGS];
	size_t room[NOXS_NET_NRINGS];
	unsigned sends; /* frames in one call */
	int fails;      /* errno of sendto, or 0 */
	unsigned calls, woken;
} k;

static struct noxs_net_ring layout;

int getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
	struct xdp_mmap_offsets *o = value;
	const struct xdp_ring_offset at = {layout.producer, layout.consumer, layout.desc,
					   layout.flags};

	assert_int_equal(fd, k.fd);
	assert_int_equal(level, SOL_XDP);
	assert_int_equal(name, XDP_MMAP_OFFSETS);
	assert_int_equal(*len, sizeof(*o));
	*o = (struct xdp_mmap_offsets){at, at, at, at};
	return 0;
}

/* Sends what is in TX, as far as there is room to say so. */
ssize_t sendto(int fd, const void *data, size_t bytes, int flags, const struct sockaddr *to,
	       socklen_t len)
{
	struct net_ring *tx = &k.ring[NOXS_NET_TX], *comp = &k.ring[NOXS_NET_COMP];

	(void)len;
	assert_int_equal(fd, k.fd);
	assert_int_equal(flags, MSG_DONTWAIT);
	assert_true(!data && !bytes && !to);
	k.calls++;
	if (k.fails) {
		errno = k.fails;
		return -1;
	}
	for (unsigned i = 0; i < k.sends && net_ring_filled(tx) > 0; i++) {
		const uint64_t addr = net_ring_desc(tx, 0).addr;

		if (net_ring_room(comp) < 1)
			break;
		memcpy(comp->desc + (comp->mine & (ENTRIES - 1)) * 8, &addr, 8);
		net_ring_took(tx, 1);
		net_ring_gave(comp, 1);
	}
	return 0;
}

ssize_t recvfrom(int fd, void *data, size_t bytes, int flags, struct sockaddr *from, socklen_t *len)
{
	assert_int_equal(fd, k.fd);
	assert_int_equal(flags, MSG_DONTWAIT);
	assert_true(!data && !bytes && !from && !len);
	k.woken++;
	return 0;
}

/* A frame comes: into the next buffer of fill. */
static bool arrives(uint32_t len)
{
	struct net_ring *fill = &k.ring[NOXS_NET_FILL], *rx = &k.ring[NOXS_NET_RX];
	struct noxs_net_desc desc = {.len = len};

	if (net_ring_filled(fill) < 1 || net_ring_room(rx) < 1)
		return false;
	desc.addr = net_ring_address(fill, 0);
	memcpy(rx->desc + (rx->mine & (ENTRIES - 1)) * 16, &desc, 16);
	net_ring_took(fill, 1);
	net_ring_gave(rx, 1);
	return true;
}

/* What we produce is right, and nothing is written behind a ring. */
static void kernel_is_sane(void)
{
	for (unsigned i = 0; i < NOXS_NET_NRINGS; i++) {
		const size_t end = layout.desc + ENTRIES * place[i].entry_bytes;

		assert_in_range(*k.ring[i].producer - *k.ring[i].consumer, 0, ENTRIES);
		for (size_t at = end; at < k.room[i]; at++)
			assert_int_equal(k.map[i][at], CANARY);
	}
}

static void make_kernel(void)
{
	k = (struct kernel){.fd = memfd_create("socket", MFD_CLOEXEC), .sends = ENTRIES};
	assert_int_equal(ftruncate(k.fd, XDP_UMEM_PGOFF_COMPLETION_RING + 0x10000), 0);
	net_ring_layout(&layout, ENTRIES);
	for (unsigned i = 0; i < NOXS_NET_NRINGS; i++) {
		const size_t end = layout.desc + ENTRIES * place[i].entry_bytes;

		k.room[i] = (end + NOXS_PAGE - 1) & ~(size_t)(NOXS_PAGE - 1);
		k.map[i] = mmap(NULL, k.room[i], PROT_READ | PROT_WRITE, MAP_SHARED, k.fd,
				place[i].pgoff);
		assert_ptr_not_equal(k.map[i], MAP_FAILED);
		memset(k.map[i] + end, CANARY, k.room[i] - end);
		net_ring_at(&k.ring[i], k.map[i], &layout);
	}
	/* Copy mode (net/xdp/xsk.c): TX always wants it, fill never. */
	*k.ring[NOXS_NET_TX].flags = NOXS_NET_NEED_WAKEUP;
}

/* ---- the guest's side ---- */

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

static void put(uint64_t addr, uint32_t len)
{
	struct noxs_net_desc *at = (struct noxs_net_desc *)d->ring[NOXS_NET_TX].desc;
	uint32_t *producer = index_of(NOXS_NET_TX, true);

	at[*producer & (ENTRIES - 1)] = (struct noxs_net_desc){addr, len, 0};
	++*producer;
}

static int64_t completed(void)
{
	uint32_t *consumer = index_of(NOXS_NET_COMP, false);

	if (*consumer == *index_of(NOXS_NET_COMP, true))
		return -1;
	return (int64_t)((uint64_t *)d->ring[NOXS_NET_COMP].desc)[(*consumer)++ & (ENTRIES - 1)];
}

static int64_t received(void)
{
	uint32_t *consumer = index_of(NOXS_NET_RX, false);
	const struct noxs_net_desc *at = (const struct noxs_net_desc *)d->ring[NOXS_NET_RX].desc;

	if (*consumer == *index_of(NOXS_NET_RX, true))
		return -1;
	return (int64_t)at[(*consumer)++ & (ENTRIES - 1)].addr;
}

static uint32_t look_for(int64_t *retry_ns)
{
	struct pollfd p[NOXS_NET_MAX];
	unsigned n;

	*retry_ns = -1;
	return net_wait(EVENT, p, &n, retry_ns);
}

static uint32_t look(void)
{
	int64_t retry_ns;

	return look_for(&retry_ns);
}

static bool link_is_up(void)
{
	return ((const struct noxs_net *)d->window)->config.flags & NOXS_NET_LINK_UP;
}

/* ---- set-up ---- */

static int open_device(void)
{
	struct net_link link = {
		.opened = {.backend = NOXS_NET_XDP,
			   .entries = ENTRIES,
			   .mtu = 1500,
			   .ifname = "x7"},
		.fd = {-1, -1, -1, -1},
		.frame_bytes = FRAME,
		.buffers = BUFFERS,
	};

	make_kernel();
	ram = calloc(1, RAM);
	vm = (struct vm){.ram = {ram, RAM}};
	guest = (struct guest){.page = &page};
	memset(&page, 0, sizeof(page));
	pt_init(&guest.tables, &vm.ram, NOXS_GPA_RAM, RAM);
	link.fd[0] = k.fd;
	link.memory = memfd_create("window", MFD_CLOEXEC);
	if (ftruncate(link.memory, NOXS_NET_OFF_BUFFERS + (off_t)BUFFERS * FRAME))
		return -1;
	if (net_prepare(&vm, &guest, 0, &link, &err)) {
		print_error("%s\n", err.message);
		return -1;
	}
	d = &net_devs[0];
	net_configure(0, &(struct noxs_net_config){.mtu = 1500, .name = "eth0"});
	((struct noxs_net_front *)(d->window + NOXS_NET_OFF_FRONT))->front.state = NOXS_READY;
	return 0;
}

static int mapped(void **state)
{
	(void)state;
	unsetenv("MAYFLY_NET_COPY_RINGS");
	return open_device();
}

static int copied(void **state)
{
	(void)state;
	setenv("MAYFLY_NET_COPY_RINGS", "1", 1);
	return open_device();
}

static int teardown(void **state)
{
	(void)state;
	net_stop();
	munmap(d->window, NOXS_NET_OFF_BUFFERS + BUFFERS * FRAME);
	for (unsigned i = 0; i < NOXS_NET_NRINGS; i++) {
		munmap(k.map[i], k.room[i]);
		if (d->socket[i].producer)
			munmap((uint8_t *)d->socket[i].producer - layout.producer,
			       d->ring_bytes[i]);
	}
	close(d->link.memory);
	close(k.fd);
	free(ram);
	net_count = 0;
	return 0;
}

/* ---- who keeps the rules ---- */

static void rings_are_the_socket_s(void **state)
{
	(void)state;
	assert_false(net_counters(0).copying);
	offer_buffer(5 * FRAME);
	put(6 * FRAME, 60);
	assert_true(arrives(100)); /* nothing of ours has run */
	assert_int_equal(received(), 5 * FRAME);
	look();
	assert_int_equal(completed(), 6 * FRAME);
	kernel_is_sane();
}

static void all_is_copied(void **state)
{
	uint32_t filled = 0, got = 0, sent = 0, done = 0;

	(void)state;
	assert_true(net_counters(0).copying);
	assert_true(*d->ring[NOXS_NET_TX].flags & NOXS_NET_NEED_WAKEUP);
	/* Often enough round all rings, in steps that do not divide them. */
	for (unsigned step = 1; got < 20 * ENTRIES || done < 20 * ENTRIES; step++) {
		int64_t addr;

		for (unsigned i = 0; i < step % 23 && filled - got < ENTRIES; i++)
			offer_buffer(filled++ % BUFFERS * FRAME);
		for (unsigned i = 0; i < step % 19 && sent - done < ENTRIES; i++)
			put(sent++ % BUFFERS * FRAME, 60 + i);
		k.sends = step % 7 ? ENTRIES : 5;
		look();
		for (unsigned i = 0; i < step % 29; i++)
			arrives(60);
		look();
		while ((addr = received()) >= 0)
			assert_int_equal(addr, got++ % BUFFERS * FRAME);
		while ((addr = completed()) >= 0)
			assert_int_equal(addr, done++ % BUFFERS * FRAME);
		kernel_is_sane();
		assert_null(net_counters(0).broken);
	}
}

static void is_told_of_what_came(void **state)
{
	int64_t retry_ns;

	(void)state;
	offer_buffer(3 * FRAME);
	assert_int_equal(look(), 0);
	assert_true(arrives(60));
	assert_int_equal(look(), EVENT);
	assert_int_equal(received(), 3 * FRAME);
	assert_int_equal(look_for(&retry_ns), 0);
	assert_int_equal(retry_ns, -1);
}

/* Of what the guest has no room for, nothing is lost. */
static void waits_for_room(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ENTRIES; i++)
		offer_buffer(i * FRAME);
	look();
	for (unsigned i = 0; i < ENTRIES; i++) {
		assert_true(arrives(60));
		put(i * FRAME, 60);
	}
	look();
	/* Both of its rings are full now. */
	for (unsigned i = 0; i < 8; i++) {
		offer_buffer((100 + i) * FRAME);
		put((100 + i) * FRAME, 60);
	}
	look();
	for (unsigned i = 0; i < 8; i++)
		assert_true(arrives(60));
	assert_int_equal(look(), EVENT);
	for (unsigned i = 0; i < ENTRIES; i++) {
		assert_int_equal(received(), i * FRAME);
		assert_int_equal(completed(), i * FRAME);
	}
	assert_int_equal(received(), -1);
	look();
	for (unsigned i = 0; i < 8; i++) {
		assert_int_equal(received(), (100 + i) * FRAME);
		assert_int_equal(completed(), (100 + i) * FRAME);
	}
	assert_null(net_counters(0).broken);
}

/* ---- who does not ---- */

static const struct wild {
	enum noxs_net_ring_index ring;
	bool producer;
	uint32_t add;
} wild[] = {
	{NOXS_NET_FILL, true, ENTRIES + 1},
	{NOXS_NET_FILL, true, 0x80000000},
	{NOXS_NET_FILL, true, 0xffffffff},
	{NOXS_NET_TX, true, ENTRIES + 1},
	{NOXS_NET_TX, true, 0x80000000},
	{NOXS_NET_TX, true, 0xffffffff},
	{NOXS_NET_RX, false, 1},
	{NOXS_NET_RX, false, 0x80000000},
	{NOXS_NET_RX, false, -(ENTRIES + 1)},
	{NOXS_NET_COMP, false, 1},
	{NOXS_NET_COMP, false, 0x80000000},
	{NOXS_NET_COMP, false, -(ENTRIES + 1)},
};

static void wild_indices_end_the_device(void **state)
{
	for (unsigned i = 0; i < sizeof(wild) / sizeof(wild[0]); i++) {
		const struct wild *w = &wild[i];
		uint32_t before[NOXS_NET_NRINGS];

		look();
		for (unsigned r = 0; r < NOXS_NET_NRINGS; r++)
			before[r] = *k.ring[r].producer;
		*index_of(w->ring, w->producer) += w->add;
		look();
		if (!net_counters(0).broken)
			fail_msg("%u: nobody minds", i);
		assert_non_null(strstr(net_counters(0).broken, "makes no sense"));
		assert_false(link_is_up());
		for (unsigned r = 0; r < NOXS_NET_NRINGS; r++)
			assert_int_equal(*k.ring[r].producer, before[r]);
		kernel_is_sane();
		k.calls = 0;
		assert_int_equal(look(), 0); /* and nothing happens any more */
		assert_int_equal(k.calls, 0);
		teardown(state);
		copied(state);
	}
}

static uint64_t random64(void)
{
	static uint64_t x = 88172645463325252ull;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return x;
}

/* Something of the rings, somehow. */
static void tamper(void)
{
	const uint64_t x = random64();
	const enum noxs_net_ring_index i = x % NOXS_NET_NRINGS;
	uint8_t *desc = d->ring[i].desc;
	const uint64_t wild_word = random64();

	switch (x >> 8 & 7) {
	case 0:
		if (!(x & 0xff0000))
			*index_of(i, x >> 12 & 1) = (uint32_t)(x >> 32);
		break;
	case 1:
	case 2:
		*index_of(i, i == NOXS_NET_FILL || i == NOXS_NET_TX) += (uint32_t)(x >> 32) & 7;
		break;
	case 3:
		*d->ring[i].flags = (uint32_t)(x >> 32);
		break;
	default:
		memcpy(desc + (x >> 32) % ENTRIES * place[i].entry_bytes, &wild_word, 8);
	}
}

static void at_random(void **state)
{
	unsigned broken = 0, passed = 0;

	for (unsigned step = 0; step < 200000; step++) {
		tamper();
		if (!(step % 5))
			passed += arrives((uint32_t)random64());
		if (!(step % 3))
			look();
		if (!(step % 64))
			kernel_is_sane();
		if (!net_counters(0).broken)
			continue;
		broken++;
		kernel_is_sane();
		teardown(state);
		copied(state);
	}
	/* It did get far. */
	assert_true(broken > 10 && passed > 1000);
}

/* ---- the guest cannot get at the socket's ---- */

static void falls_back(void **state)
{
	(void)state;
	assert_false(net_counters(0).copying);
	assert_true(net_fall_back());
	assert_true(net_counters(0).copying);
	assert_false(net_fall_back()); /* that was all that it can do */
	all_is_copied(state);
}

static void the_rings_are_others(void **state)
{
	(void)state;
	assert_true(net_fall_back());
	offer_buffer(7 * FRAME);
	assert_int_equal(*k.ring[NOXS_NET_FILL].producer, 0);
	look();
	assert_int_equal(*k.ring[NOXS_NET_FILL].producer, 1);
}

/* What it has begun with the socket's cannot be gone on with. */
static void does_not_fall_back_later(void **state)
{
	(void)state;
	offer_buffer(7 * FRAME);
	assert_false(net_fall_back());
	assert_false(net_counters(0).copying);
	assert_true(arrives(60)); /* they still are the socket's */
	assert_int_equal(received(), 7 * FRAME);
}

#define T(test, setup) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(rings_are_the_socket_s, mapped),
		T(all_is_copied, copied),
		T(is_told_of_what_came, copied),
		T(waits_for_room, copied),
		T(wild_indices_end_the_device, copied),
		T(at_random, copied),
		T(falls_back, mapped),
		T(the_rings_are_others, mapped),
		T(does_not_fall_back_later, mapped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
