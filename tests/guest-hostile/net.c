/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net.c ATTACK [NUMBER...]: the net device, worked past the kernel: wild descriptors, indices,
 * lengths; rings full for ever; storms of doorbells; frames in another's name.
 */
#define _GNU_SOURCE
#include <time.h>

#include "../../noxs/net.h"
#include "hostile.h"

#define DEVICE 0u

static const volatile struct noxs_net *const net =
	(void *)(NOXS_GVA_NET(DEVICE) + NOXS_NET_OFF_CONFIG);
static volatile struct noxs_net_front *const front =
	(void *)(NOXS_GVA_NET(DEVICE) + NOXS_NET_OFF_FRONT);
static char *const buffers = (void *)(NOXS_GVA_NET(DEVICE) + NOXS_NET_OFF_BUFFERS);

static char *ring_at(unsigned r)
{
	static const uint32_t at[] = {NOXS_NET_OFF_FILL, NOXS_NET_OFF_COMP, NOXS_NET_OFF_RX,
				      NOXS_NET_OFF_TX};

	return (void *)(NOXS_GVA_NET(DEVICE) + at[r]);
}

static uint32_t *producer(unsigned r)
{
	return (void *)(ring_at(r) + net->ring[r].producer);
}

static uint32_t *consumer(unsigned r)
{
	return (void *)(ring_at(r) + net->ring[r].consumer);
}

static volatile uint64_t *address(unsigned r, uint32_t i)
{
	return (volatile uint64_t *)(ring_at(r) + net->ring[r].desc) +
	       (i & (net->ring[r].entries - 1));
}

static volatile struct noxs_net_desc *desc(unsigned r, uint32_t i)
{
	return (volatile struct noxs_net_desc *)(ring_at(r) + net->ring[r].desc) +
	       (i & (net->ring[r].entries - 1));
}

static void kick(void)
{
	ring(NOXS_NET_SLOT(DEVICE) + NOXS_NET_Q_TX, 0);
	ring(NOXS_NET_SLOT(DEVICE) + NOXS_NET_Q_FILL, 0);
}

/* A short WAIT: the monitor looks at everything. */
static void wait_ms(unsigned ms)
{
	control->wait.events = NOXS_EV_NET(DEVICE);
	control->wait.deadline_ns = mono_ns() + ms * MS;
	ring(NOXS_DB_WAIT, 0);
}

static uint64_t random64(void)
{
	static uint64_t x;

	if (!x)
		x = page->clock.tsc_base | 1;
	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return x;
}

/* n descriptors as they are named, in TX, and as addresses in fill. */
static void descriptors(uint64_t addr, uint32_t len, uint32_t options, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		volatile struct noxs_net_desc *d = desc(NOXS_NET_TX, *producer(NOXS_NET_TX));

		d->addr = addr;
		d->len = len;
		d->options = options;
		__atomic_fetch_add(producer(NOXS_NET_TX), 1, __ATOMIC_RELEASE);
		*address(NOXS_NET_FILL, *producer(NOXS_NET_FILL)) = addr;
		__atomic_fetch_add(producer(NOXS_NET_FILL), 1, __ATOMIC_RELEASE);
	}
	kick();
	wait_ms(2);
	kick();
}

/* Everything that can be written in the rings, at random, for a while. */
static void at_random(uint64_t ms)
{
	for (uint64_t end = mono_ns() + ms * MS; mono_ns() < end;) {
		uint64_t x = random64();
		unsigned r = x % NOXS_NET_NRINGS;
		uint32_t *index = x & 0x10 ? producer(r) : consumer(r);

		if (x & 0x20)
			*index += (uint32_t)(x >> 8 & 0xf);
		else if (!(x & 0xfc0))
			*index = (uint32_t)(x >> 32);
		if (r == NOXS_NET_FILL || r == NOXS_NET_COMP)
			*address(r, (uint32_t)(x >> 16)) = random64();
		else
			*(volatile uint64_t *)(&desc(r, (uint32_t)(x >> 16))->addr) =
				random64() & 0x3fffff;
		desc(NOXS_NET_TX, (uint32_t)(x >> 20))->len = (uint32_t)random64();
		desc(NOXS_NET_TX, (uint32_t)(x >> 20))->options = (uint32_t)(random64() & 3);
		if (!(x & 0xf000))
			kick();
		if (!(x & 0xff000))
			wait_ms(1);
	}
}

/* Frames with any two addresses in all the buffers that TX holds, again and again; with wild
 * headers of segments, if those are in use. */
static void flood(uint64_t to, uint64_t from, const char *text, uint64_t ms, int headers)
{
	uint32_t n = net->ring[NOXS_NET_TX].entries;
	/* What the kernel has accepted: a header of segments is in front. */
	unsigned vnet =
		front->front.features & NOXS_NET_SEGMENTS ? sizeof(struct noxs_net_vnet) : 0;

	for (uint64_t end = mono_ns() + ms * MS; mono_ns() < end;) {
		while (*producer(NOXS_NET_TX) - *consumer(NOXS_NET_TX) < n) {
			uint32_t i = *producer(NOXS_NET_TX);
			uint64_t at = (uint64_t)(i % n % net->buffers) * net->frame_bytes;
			volatile struct noxs_net_desc *d = desc(NOXS_NET_TX, i);
			char *p = buffers + at;

			memset(p, 0, 80);
			if (vnet && headers)
				for (unsigned b = 0; b < vnet; b++)
					p[b] = (char)random64();
			for (int b = 0; b < 6; b++) {
				p[vnet + b] = (char)(to >> (40 - 8 * b));
				p[vnet + 6 + b] = (char)(from >> (40 - 8 * b));
			}
			p[vnet + 12] = (char)0x88, p[vnet + 13] = (char)0xb5;
			strncpy(p + vnet + 14, text, 40);
			d->addr = at;
			d->len = vnet + 60;
			d->options = 0;
			__atomic_store_n(producer(NOXS_NET_TX), i + 1, __ATOMIC_RELEASE);
		}
		*consumer(NOXS_NET_COMP) = *producer(NOXS_NET_COMP);
		kick();
	}
}

/* How often the text stands in the buffers, which are all that ever came for this VM; until
 * "stop it" stands there, too. */
static int scan(const char *text, uint64_t ms)
{
	const size_t bytes = (size_t)net->buffers * net->frame_bytes;
	unsigned long found = 0;
	int over = 0;

	puts("ready");
	fflush(stdout);
	for (uint64_t end = mono_ns() + ms * MS; !over && mono_ns() < end;) {
		/* The kernel fills its ring when it is called, and gives the CPU away. */
		nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
		over = memmem(buffers, bytes, "stop it", 7) != NULL;
		for (char *p = buffers;
		     (p = memmem(p, bytes - (size_t)(p - buffers), text, strlen(text))); p++)
			found++;
	}
	printf("found %lu, over %d\n", found, over);
	return 0;
}

int main(int argc, char **argv)
{
	const uint64_t a = number(argc, argv, 2), b = number(argc, argv, 3);
	const uint64_t c = number(argc, argv, 4), d = number(argc, argv, 5);

	if (is(argv, "descriptors")) { /* ADDRESS LENGTH OPTIONS COUNT */
		descriptors(a, (uint32_t)b, (uint32_t)c, (uint32_t)d);
	} else if (is(argv, "producer")) { /* RING VALUE, added */
		__atomic_fetch_add(producer(a % NOXS_NET_NRINGS), (uint32_t)b, __ATOMIC_RELEASE);
		kick();
		wait_ms(5);
		kick();
	} else if (is(argv, "consumer")) {
		__atomic_fetch_add(consumer(a % NOXS_NET_NRINGS), (uint32_t)b, __ATOMIC_RELEASE);
		kick();
		wait_ms(5);
		kick();
	} else if (is(argv, "flags")) { /* VALUE, in all rings */
		for (unsigned r = 0; r < NOXS_NET_NRINGS; r++)
			*(volatile uint32_t *)(ring_at(r) + net->ring[r].flags) = (uint32_t)a;
		kick();
		wait_ms(5);
	} else if (is(argv, "zero")) { /* BYTE, all over the four rings */
		for (unsigned r = 0; r < NOXS_NET_NRINGS; r++)
			memset(ring_at(r), (int)a, r < NOXS_NET_RX ? 0x4000 : 0x6000);
		kick();
		wait_ms(5);
		kick();
	} else if (is(argv, "random")) { /* MS */
		at_random(a);
	} else if (is(argv, "full")) { /* MS: nothing is ever taken from RX; busy, or asleep */
		puts("ready");
		fflush(stdout);
		if (b)
			for (uint64_t end = mono_ns() + a * MS; mono_ns() < end;)
				;
		else
			for (uint64_t end = mono_ns() + a * MS; mono_ns() < end;)
				wait_ms(50);
	} else if (is(argv, "storm")) { /* SLOT COUNT */
		for (uint64_t i = 0; i < b; i++)
			ring(NOXS_NET_SLOT(DEVICE) + (unsigned)a, i);
	} else if (is(argv, "slots")) { /* of devices that are not there */
		ring(NOXS_NET_SLOT(a), b);
	} else if (is(argv, "same")) { /* all buffers are one */
		for (uint32_t i = 0; i < net->ring[NOXS_NET_FILL].entries; i++)
			*address(NOXS_NET_FILL, i) = a;
		*producer(NOXS_NET_FILL) =
			*consumer(NOXS_NET_FILL) + net->ring[NOXS_NET_FILL].entries;
		kick();
		for (int i = 0; i < 50; i++)
			wait_ms(10);
	} else if (is(argv, "front")) { /* BYTE, all over it */
		memset((void *)front, (int)a, NOXS_PAGE);
		kick();
		wait_ms(5);
	} else if (is(argv, "config")) { /* read-only */
		*(volatile char *)net = 1;
	} else if (is(argv, "tables")) { /* nobody's business */
		*(volatile char *)(NOXS_GVA_NET(DEVICE) + NOXS_NET_OFF_TABLES) = 1;
	} else if (is(argv, "beyond")) { /* behind the last buffer */
		return buffers[(size_t)net->buffers * net->frame_bytes];
	} else if (is(argv, "flood") && argc == 6) { /* TO FROM TEXT MS */
		flood(a, b, argv[4], d, 0);
	} else if (is(argv, "headers")) { /* MS */
		flood(0xffffffffffff, 0x02000a090002, "wild headers", a, 1);
	} else if (is(argv, "scan") && argc == 4) { /* TEXT MS */
		return scan(argv[2], b);
	} else {
		return unknown_attack(argv);
	}
	puts("the end");
	return 0;
}
