/* SPDX-License-Identifier: Apache-2.0 */
/* uk_mock.c: see uk_mock.h. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "uk_mock.h"

struct uk_mock uk_mock;

static void map_fixed(uint64_t gva, size_t n)
{
	if (mmap((void *)gva, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
		 -1, 0) == MAP_FAILED) {
		perror("uk_mock: mmap");
		abort();
	}
}

/* Before main: the kernel's code takes UK_NOXS for granted. */
__attribute__((constructor)) static void map_noxs(void)
{
	/*
	 * The address lies in what AddressSanitizer keeps unmapped between its two shadows,
	 * so the pages get a shadow of their own: zero, which means valid.
	 */
	map_fixed(NOXS_GVA_NOXS, 2 * NOXS_PAGE);
#ifdef __SANITIZE_ADDRESS__
	map_fixed(((NOXS_GVA_NOXS >> 3) + 0x7fff8000) & ~(NOXS_PAGE - 1), NOXS_PAGE);
#endif
	uk_mock_reset();
}

struct noxs_page *uk_mock_noxs(void)
{
	return (struct noxs_page *)NOXS_GVA_NOXS;
}

void uk_mock_reset(void)
{
	struct noxs_page *noxs = uk_mock_noxs();

	uk_mock = (struct uk_mock){
		.frames = 1 << 16,
		.alloc_limit = SIZE_MAX,
		.mono_ns = 5000000000,
		.real_ns = 1700000000123456789,
		.out_room = {1 << 20, 1 << 20, 1 << 20},
	};
	*noxs = (struct noxs_page){
		.magic = NOXS_MAGIC,
		.version = NOXS_VERSION,
		.pid = 42,
		.umask = 022,
		.exe = "/bin/program",
		.cwd = "/work/dir",
		.hostname = "mockhost",
	};
}

/* ---- user memory ---- */

static bool bad(uint64_t user, size_t n)
{
	return n && user < UK_MOCK_BAD;
}

long uk_copy_in(void *dst, uint64_t user, size_t n)
{
	if (bad(user, n))
		return -EFAULT;
	if (n)
		memmove(dst, (const void *)user, n);
	return 0;
}

long uk_copy_out(uint64_t user, const void *src, size_t n)
{
	if (bad(user, n))
		return -EFAULT;
	if (n)
		memmove((void *)user, src, n);
	return 0;
}

long uk_zero_out(uint64_t user, size_t n)
{
	if (bad(user, n))
		return -EFAULT;
	if (n)
		memset((void *)user, 0, n);
	return 0;
}

long uk_copy_str(char *dst, uint64_t user, size_t size)
{
	if (bad(user, 1))
		return -EFAULT;
	for (size_t i = 0; i < size; i++) {
		dst[i] = ((const char *)user)[i];
		if (!dst[i])
			return (long)i;
	}
	return -ENAMETOOLONG;
}

/* ---- memory ---- */

void *uk_pages(size_t n)
{
	void *p;

	if (n > uk_mock.frames)
		return NULL;
	p = aligned_alloc(NOXS_PAGE, n * NOXS_PAGE);
	if (!p)
		return NULL;
	memset(p, 0, n * NOXS_PAGE);
	uk_mock.frames -= n;
	uk_mock.allocs++;
	return p;
}

void uk_pages_free(void *pages, size_t n)
{
	uk_mock.frames += n;
	uk_mock.allocs--;
	free(pages);
}

size_t uk_pages_left(void)
{
	return uk_mock.frames;
}

void *uk_alloc(size_t bytes)
{
	if (!uk_mock.alloc_limit)
		return NULL;
	if (uk_mock.alloc_limit != SIZE_MAX)
		uk_mock.alloc_limit--;
	uk_mock.allocs++;
	return calloc(1, bytes);
}

void *uk_realloc(void *p, size_t bytes)
{
	return uk_mock.alloc_limit ? realloc(p, bytes) : NULL;
}

void uk_free(void *p)
{
	uk_mock.allocs -= !!p;
	free(p);
}

/* Weak, here and below: a test that links the real file wants that one. */
__attribute__((weak)) long uk_mmap_anon(uint64_t hint, uint64_t bytes, uint32_t prot)
{
	(void)hint;
	(void)prot;
	return (long)calloc(1, bytes);
}

__attribute__((weak)) long sys_munmap(uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e,
				      uint64_t f)
{
	(void)b, (void)c, (void)d, (void)e, (void)f;
	free((void *)a);
	return 0;
}

__attribute__((weak)) size_t uk_mm_maps(char *buf, size_t size)
{
	return (size_t)uk_snprintf(buf, size,
				   "00400000-00401000 r-xp 00000000 00:00 0 /bin/program\n");
}

__attribute__((weak)) void uk_mm_usage(uint64_t *total, uint64_t *available, uint64_t *mapped)
{
	*total = 256 << 20;
	*available = uk_mock.frames * NOXS_PAGE;
	*mapped = 1 << 20;
}

/* ---- the rest ---- */

int uk_snprintf(char *buf, size_t size, const char *fmt, ...)
{
	va_list args;
	int n;

	va_start(args, fmt);
	n = vsnprintf(buf, size, fmt, args);
	va_end(args);
	return n;
}

__attribute__((weak)) uint64_t uk_monotonic_ns(void)
{
	return uk_mock.mono_ns;
}

__attribute__((weak)) uint64_t uk_realtime_ns(void)
{
	return uk_mock.real_ns++;
}

__attribute__((weak)) void uk_random(void *buf, size_t n)
{
	static uint32_t state = 1;

	for (size_t i = 0; i < n; i++) {
		state = state * 1664525 + 1013904223;
		((uint8_t *)buf)[i] = (uint8_t)(state >> 24);
	}
}

__attribute__((weak)) long uk_console_write(int stream, uint64_t user, size_t n)
{
	if (uk_mock.out_error[stream])
		return -uk_mock.out_error[stream];
	n = uk_min(n, uk_mock.out_room[stream]);
	n = uk_min(n, sizeof(uk_mock.out[stream]) - uk_mock.out_bytes[stream]);
	if (uk_copy_in(uk_mock.out[stream] + uk_mock.out_bytes[stream], user, n))
		return -EFAULT;
	uk_mock.out_bytes[stream] += n;
	uk_mock.out_room[stream] -= n;
	return (long)n;
}

__attribute__((weak)) long uk_console_read(uint64_t user, size_t n)
{
	n = uk_min(n, uk_mock.in_bytes);
	if (uk_copy_out(user, uk_mock.in, n))
		return -EFAULT;
	uk_mock.in += n;
	uk_mock.in_bytes -= n;
	return (long)n;
}

__attribute__((weak)) bool uk_console_eof(void)
{
	return uk_mock.in_eof && !uk_mock.in_bytes;
}

__attribute__((weak)) bool uk_console_failed(int stream)
{
	return uk_mock.out_error[stream];
}

__attribute__((weak)) size_t uk_console_room(int stream)
{
	return uk_mock.out_room[stream];
}

__attribute__((weak)) size_t uk_console_avail(void)
{
	return uk_mock.in_bytes;
}

__attribute__((weak)) uint32_t uk_console_stamp(void)
{
	return uk_mock.in_stamp;
}

__attribute__((weak)) long uk_wait(uint32_t events, uint64_t deadline_ns)
{
	if (!uk_mock.wait) {
		fprintf(stderr, "uk_mock: uk_wait(%x) would sleep for ever\n", events);
		abort();
	}
	return uk_mock.wait(events, deadline_ns);
}

void uk_doorbell(unsigned slot, uint64_t value);
void uk_doorbell(unsigned slot, uint64_t value)
{
	if (!uk_mock.doorbell) {
		fprintf(stderr, "uk_mock: doorbell %u was rung\n", slot);
		abort();
	}
	uk_mock.doorbell(slot, value);
}

__attribute__((weak)) void uk_signal_raise(int sig)
{
	uk_mock.raised |= 1ull << sig;
}

bool uk_signal_poll(void);
__attribute__((weak)) bool uk_signal_poll(void)
{
	return uk_mock.signal_pending;
}

long uk_sigmask_swap(uint64_t set_user, size_t size, uint64_t *old);
__attribute__((weak)) long uk_sigmask_swap(uint64_t set_user, size_t size, uint64_t *old)
{
	uint64_t set;

	if (size != 8)
		return -EINVAL;
	*old = 0;
	uk_mock.mask_swaps++;
	return uk_copy_in(&set, set_user, sizeof(set));
}

void uk_sigmask_restore(uint64_t old, bool interrupted);
__attribute__((weak)) void uk_sigmask_restore(uint64_t old, bool interrupted)
{
	(void)old, (void)interrupted;
	uk_mock.mask_restores++;
}

__attribute__((weak)) void uk_panic(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	abort();
}

/* ---- net/: a machine without a network ---- */

struct uk_node;
void net_proc_fill(struct uk_node *dir);
__attribute__((weak)) void net_proc_fill(struct uk_node *dir)
{
	(void)dir;
}

void net_sysctl_fill(struct uk_node *dir);
__attribute__((weak)) void net_sysctl_fill(struct uk_node *dir)
{
	(void)dir;
}

void net_class_fill(struct uk_node *dir);
__attribute__((weak)) void net_class_fill(struct uk_node *dir)
{
	(void)dir;
}

extern uint32_t uk_net_ndevs;
__attribute__((weak)) uint32_t uk_net_ndevs;

extern bool uk_net_live;
__attribute__((weak)) bool uk_net_live;

bool uk_net_service(void);
__attribute__((weak)) bool uk_net_service(void)
{
	return false;
}

/* ---- epoll.c, timerfd.c, where a test has none ---- */

struct uk_file;
void uk_watches_changed(struct uk_file *f, uint32_t events);
__attribute__((weak)) void uk_watches_changed(struct uk_file *f, uint32_t events)
{
	(void)f, (void)events;
}

void uk_watches_closed(struct uk_file *f);
__attribute__((weak)) void uk_watches_closed(struct uk_file *f)
{
	(void)f;
}

extern uint64_t uk_signalfd_mask;
__attribute__((weak)) uint64_t uk_signalfd_mask;

void uk_signalfd_raised(void);
__attribute__((weak)) void uk_signalfd_raised(void)
{
}

long uk_signalfd_wait(uint32_t events, uint64_t deadline_ns);
__attribute__((weak)) long uk_signalfd_wait(uint32_t events, uint64_t deadline_ns)
{
	return uk_wait(events, deadline_ns);
}

extern uint64_t uk_timerfd_next;
__attribute__((weak)) uint64_t uk_timerfd_next = UINT64_MAX;

void uk_timerfd_run(void);
__attribute__((weak)) void uk_timerfd_run(void)
{
}
