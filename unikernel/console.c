/* SPDX-License-Identifier: Apache-2.0 */
/*
 * console.c: front end of the console device: stdin, stdout and stderr as byte rings.
 *
 * Output stays in the ring until the monitor takes it: at an exit that happens anyway
 * (WAIT, EXIT), when the monitor looks in passing, or when it asked to be rung. So a write is
 * no exit.
 */
#include <asm/errno.h>

#include "device.h"

static struct noxs_console *const console = &UK_CONTROL->console;

/* As the device table has them; no bytes: there is no console. */
static struct {
	uint64_t gva;
	uint32_t bytes;
} rings[NOXS_NSTREAMS];
static uint32_t first_slot;          /* of the doorbells; 0: they are not used */
static uint32_t rung[NOXS_NSTREAMS]; /* console->wake when the doorbell was last rung */
uint32_t uk_console_written;

void uk_console_start(const struct noxs_device *d)
{
	for (int i = 0; i < NOXS_NSTREAMS; i++) {
		uint64_t gva = d->config[2 * i], bytes = d->config[2 * i + 1];

		/* Between the kernel and the noxs page, and a power of two. */
		if (gva < NOXS_GVA_STDIN || gva >= NOXS_GVA_NOXS || !bytes ||
		    (bytes & (bytes - 1)) || bytes > NOXS_GVA_NOXS - gva)
			uk_panic("console ring %d cannot be at 0x%lx, %lu bytes", i, gva, bytes);
		rings[i].gva = gva;
		rings[i].bytes = (uint32_t)bytes;
	}
	uk_device_ready(d, &console->front, NOXS_CONSOLE_DOORBELL);
	first_slot = console->front.features & NOXS_CONSOLE_DOORBELL &&
				     d->doorbell >= NOXS_DB_QUEUE &&
				     d->doorbell <= NOXS_DB_SLOTS - NOXS_NSTREAMS
			     ? d->doorbell
			     : 0;
}

/* Bytes in a ring. Indices that make no sense are a full ring that stays full: the monitor's
 * word is taken for how much, never for where. */
static uint32_t used(int stream)
{
	const struct noxs_ring *r = &console->ring[stream];
	/* Acquire: the other side is done with the bytes before its index says so. */
	uint32_t tail = __atomic_load_n(&r->tail, __ATOMIC_ACQUIRE);
	uint32_t n = tail - __atomic_load_n(&r->head, __ATOMIC_ACQUIRE);

	return uk_min(n, rings[stream].bytes);
}

size_t uk_console_room(int stream)
{
	return rings[stream].bytes - used(stream);
}

size_t uk_console_avail(void)
{
	return used(NOXS_STDIN);
}

uint32_t uk_console_stamp(void)
{
	return __atomic_load_n(&console->ring[NOXS_STDIN].tail, __ATOMIC_RELAXED);
}

/* Rings for one stream, if it was asked for since the last time and nobody has looked. */
static void ring_doorbell(int stream)
{
	uint32_t wake = __atomic_load_n(&console->wake[stream], __ATOMIC_RELAXED);

	if (wake != rung[stream] && used(stream)) {
		rung[stream] = wake;
		uk_doorbell(first_slot + (unsigned)stream, 0);
	}
}

void uk_console_tell(void)
{
	uint32_t streams = uk_console_written;

	uk_console_written = 0;
	if (!first_slot)
		return;
	/* The index must be seen by who then goes to sleep, or we see that it does. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	for (int i = NOXS_STDOUT; i <= NOXS_STDERR; i++)
		if (streams >> i & 1)
			ring_doorbell(i);
}

/* Copies n bytes between a ring at position pos and memory, in at most two pieces. */
static long move(int stream, uint32_t pos, uint64_t memory, size_t n, bool in, bool user)
{
	uint32_t mask = rings[stream].bytes - 1;

	for (size_t done = 0; done < n;) {
		size_t at = (pos + done) & mask, part = uk_min(n - done, (size_t)mask + 1 - at);
		char *ring = (char *)rings[stream].gva + at;
		long err = 0;

		if (!user)
			memcpy(ring, (const char *)memory + done, part);
		else if (in)
			err = uk_copy_out(memory + done, ring, part);
		else
			err = uk_copy_in(ring, memory + done, part);
		if (err)
			return err;
		done += part;
	}
	return (long)n;
}

static long put(int stream, uint64_t memory, size_t n, bool user)
{
	struct noxs_ring *r = &console->ring[stream];
	uint32_t error = __atomic_load_n(&console->error[stream], __ATOMIC_RELAXED);
	long ret;

	if (error || !rings[stream].bytes)
		return error && error < 4096 ? -(long)error : -EIO;
	n = uk_min(n, uk_console_room(stream));
	ret = move(stream, r->tail, memory, n, false, user);
	if (ret > 0) {
		__atomic_store_n(&r->tail, r->tail + (uint32_t)ret, __ATOMIC_RELEASE);
		uk_console_written |= 1u << stream;
	}
	return ret;
}

long uk_console_write(int stream, uint64_t user, size_t n)
{
	return put(stream, user, n, true);
}

long uk_console_read(uint64_t user, size_t n)
{
	struct noxs_ring *r = &console->ring[NOXS_STDIN];
	long ret;

	n = uk_min(n, uk_console_avail());
	ret = move(NOXS_STDIN, r->head, user, n, true, true);
	if (ret > 0)
		__atomic_store_n(&r->head, r->head + (uint32_t)ret, __ATOMIC_RELEASE);
	return ret;
}

bool uk_console_failed(int stream)
{
	return __atomic_load_n(&console->error[stream], __ATOMIC_RELAXED) || !rings[stream].bytes;
}

bool uk_console_eof(void)
{
	return __atomic_load_n(&console->eof, __ATOMIC_ACQUIRE) && !uk_console_avail();
}

void uk_console_print(const char *text, size_t n)
{
	while (n) {
		long done = put(NOXS_STDERR, (uint64_t)text, n, false);

		if (done < 0)
			return;
		if (!done)
			uk_wait(NOXS_EV_STDERR, NOXS_FOREVER);
		text += done;
		n -= (size_t)done;
	}
}
