/* SPDX-License-Identifier: Apache-2.0 */
/*
 * console.c: front end of the console device: stdin, stdout and stderr as byte rings.
 *
 * Output stays in the ring until the monitor takes it: at an exit that happens anyway
 * (WAIT, EXIT) or when the monitor looks in passing. So a write is no exit.
 */
#include "arch.h"

static struct noxs_console *const console = &UK_CONTROL->console;

static const struct {
	uint64_t gva;
	uint32_t bytes;
} rings[NOXS_NSTREAMS] = {
	[NOXS_STDIN] = {NOXS_GVA_STDIN, NOXS_STDIN_BYTES},
	[NOXS_STDOUT] = {NOXS_GVA_STDOUT, NOXS_STDOUT_BYTES},
	[NOXS_STDERR] = {NOXS_GVA_STDERR, NOXS_STDERR_BYTES},
};

size_t uk_console_room(int stream)
{
	const struct noxs_ring *r = &console->ring[stream];

	return rings[stream].bytes - (r->tail - __atomic_load_n(&r->head, __ATOMIC_ACQUIRE));
}

size_t uk_console_avail(void)
{
	const struct noxs_ring *r = &console->ring[NOXS_STDIN];

	return __atomic_load_n(&r->tail, __ATOMIC_ACQUIRE) - r->head;
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

	if (error)
		return -(long)error;
	n = uk_min(n, uk_console_room(stream));
	ret = move(stream, r->tail, memory, n, false, user);
	if (ret > 0)
		__atomic_store_n(&r->tail, r->tail + (uint32_t)ret, __ATOMIC_RELEASE);
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
