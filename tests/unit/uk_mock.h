/* SPDX-License-Identifier: Apache-2.0 */
/*
 * uk_mock.h: stands in for the parts of the library kernel that a unit test does not
 * link: user memory, frames, heap, clock, console, signals. All of it is plain memory
 * of the test's process; the noxs page is mapped where the kernel expects it.
 */
#ifndef UK_MOCK_H
#define UK_MOCK_H

#include "../../unikernel/uk.h"

struct uk_mock {
	size_t frames;      /* uk_pages gives this many before it fails */
	size_t alloc_limit; /* uk_alloc succeeds this many times; SIZE_MAX: always */
	size_t allocs;      /* uk_alloc and uk_pages calls that gave memory less frees */
	uint64_t mono_ns, real_ns;

	const char *in; /* what stdin has now */
	size_t in_bytes;
	bool in_eof;
	uint32_t in_stamp;               /* other than before: more has come */
	char out[NOXS_NSTREAMS][0x4000]; /* what was written */
	size_t out_bytes[NOXS_NSTREAMS];
	size_t out_room[NOXS_NSTREAMS]; /* bytes before the ring is full */
	int out_error[NOXS_NSTREAMS];   /* errno of uk_console_write; 0: none */

	/* What uk_wait does; NULL: fails the test, for it would sleep for ever. */
	long (*wait)(uint32_t events, uint64_t deadline_ns);
	/* The monitor's end of the doorbells; NULL: fails the test. */
	void (*doorbell)(unsigned slot, uint64_t value);
	uint64_t raised; /* bit n: uk_signal_raise(n) */
	bool signal_pending;
	uint32_t mask_swaps, mask_restores;
};
extern struct uk_mock uk_mock;

/* Everything to its start: no input, room for output, much memory. Kernel state stays. */
void uk_mock_reset(void);
/* The noxs page, writable. */
struct noxs_page *uk_mock_noxs(void);

/* Addresses below this are bad user pointers. */
#define UK_MOCK_BAD 4096ull

#define UK_CALL(nr, name, args) uk_syscall_fn sys_##name;
#include "../../unikernel/syscalls.h"
#undef UK_CALL

/* CALL(read, fd, buf, n): a system call as the program makes it. */
#define CALL(name, ...) CALL6(name, ##__VA_ARGS__, 0, 0, 0, 0, 0, 0)
#define CALL6(name, a, b, c, d, e, f, ...) \
	sys_##name(CALL_ARG(a), CALL_ARG(b), CALL_ARG(c), CALL_ARG(d), CALL_ARG(e), CALL_ARG(f))
#define CALL_ARG(x) ((uint64_t)(x))

#endif
