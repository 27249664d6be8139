/* SPDX-License-Identifier: Apache-2.0 */
/*
 * uk.h: every function of the library kernel that another of its files calls, by file.
 *
 * The kernel runs at ring 3 in the program's address space, on its own stack, one
 * system call at a time; it is never re-entered. It uses general registers only
 * (-mgeneral-regs-only), so the program's vector state needs no saving. The program's
 * memory is touched only through the uk_copy functions, which turn a bad pointer into
 * -EFAULT; all else in here never sees a user pointer but as a uint64_t.
 */
#ifndef UK_H
#define UK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../noxs/noxs.h"

#if !__STDC_HOSTED__ /* unit tests build some of these files natively */
/* All of the kernel is one image: no symbol is reached through a GOT. */
#pragma GCC visibility push(hidden)
#endif

typedef int64_t ssize_t;

#define UK_NOXS    ((const struct noxs_page *)NOXS_GVA_NOXS)
#define UK_CONTROL ((struct noxs_control *)NOXS_GVA_CONTROL)

#define UK_PATH_MAX 4096
#define UK_RELEASE  "6.1.0-mayfly" /* of the Linux interface that programs find */

#define uk_min(a, b)                                      \
	({                                                \
		__typeof__((a) + (b)) a_ = (a), b_ = (b); \
		a_ < b_ ? a_ : b_;                        \
	})
#define uk_max(a, b)                                      \
	({                                                \
		__typeof__((a) + (b)) a_ = (a), b_ = (b); \
		a_ > b_ ? a_ : b_;                        \
	})
#define uk_countof(a) (sizeof(a) / sizeof((a)[0]))

/* ---- string.c: what the compiler calls, and a little formatting ---- */
void *memcpy(void *dst, const void *src, size_t n);
void *memmove(void *dst, const void *src, size_t n);
void *memset(void *dst, int c, size_t n);
int memcmp(const void *a, const void *b, size_t n);
size_t strlen(const char *s);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t n);
char *strchr(const char *s, int c);
/* %s %.*s %c %d %u %x %ld %lu %lx %llx %p, field width and 0 flag. Returns the length
 * that the whole text has; writes at most size bytes with the NUL. */
int uk_snprintf(char *buf, size_t size, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* ---- copy.c: the program's memory. 0 or -EFAULT; nothing is assumed of user ---- */
long uk_copy_in(void *dst, uint64_t user, size_t n);
long uk_copy_out(uint64_t user, const void *src, size_t n);
long uk_zero_out(uint64_t user, size_t n);
/* Copies a NUL-terminated string: its length, -EFAULT, or -ENAMETOOLONG if no NUL in size. */
long uk_copy_str(char *dst, uint64_t user, size_t size);

/* ---- frames.c: physical memory (4 KiB frames of free RAM, through the linear map) ---- */
/* n contiguous frames, zeroed, or NULL. Address is in the linear map. */
void *uk_pages(size_t n);
void uk_pages_free(void *pages, size_t n);
size_t uk_pages_left(void); /* free frames */

/* ---- alloc.c: the kernel's heap; NULL where memory is out. Memory is zeroed ---- */
void *uk_alloc(size_t bytes);
void *uk_realloc(void *p, size_t bytes); /* what grows is zeroed */
void uk_free(void *p);

/* ---- time.c ---- */
uint64_t uk_monotonic_ns(void);
uint64_t uk_realtime_ns(void);
void uk_clock_start(void);   /* at boot */
uint64_t uk_uptime_ns(void); /* since then */

/* ---- random.c: ChaCha20 from the noxs page's seed ---- */
void uk_random(void *buf, size_t n);

/* ---- console.c: rings to the monitor. Streams are enum noxs_stream ---- */
/* Bytes moved (>= 0, may be short or 0), or -errno once the stream has failed. User memory. */
long uk_console_write(int stream, uint64_t user, size_t n);
long uk_console_read(uint64_t user, size_t n); /* 0: nothing there now */
bool uk_console_eof(void);
bool uk_console_failed(int stream);                /* a write would be told why */
size_t uk_console_room(int stream);                /* bytes that a write would take now */
size_t uk_console_avail(void);                     /* bytes that a read would give now */
uint32_t uk_console_stamp(void);                   /* other than before: input has come */
void uk_console_print(const char *text, size_t n); /* kernel text to stderr; waits for room */
/* Streams written to since uk_console_tell (bit per stream), which rings for them where the
 * monitor asked for that: once a system call, so that what writev writes arrives in one piece. */
extern uint32_t uk_console_written;
void uk_console_tell(void);

/* ---- wait.c ---- */
/* Sleep until one of events (enum noxs_event) or deadline_ns (monotonic, NOXS_FOREVER).
 * Returns the events that are ready (0: deadline), or -EINTR if a signal is to be delivered. */
long uk_wait(uint32_t events, uint64_t deadline_ns);

/* ---- mmap.c: the program's address space (see also mm.h) ---- */
long uk_mmap_anon(uint64_t hint, uint64_t bytes, uint32_t prot); /* address or -errno */

/* ---- syscall.c ---- */
/* Every call gets its six arguments; the table is syscalls.h. */
typedef long uk_syscall_fn(uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f);
#define UK_UNUSED __attribute__((unused))
#define UK_SYSCALL(name)                                                                  \
	long sys_##name(UK_UNUSED uint64_t a, UK_UNUSED uint64_t b, UK_UNUSED uint64_t c, \
			UK_UNUSED uint64_t d, UK_UNUSED uint64_t e, UK_UNUSED uint64_t f)

/* ---- vfs.c: what the rest of the kernel needs of files ---- */
void uk_vfs_init(void); /* cheap: what hello does not use is made at first use */
/* Text of /proc/self/maps: written by madvise.c, read by proc.c. Returns length, as snprintf. */
size_t uk_mm_maps(char *buf, size_t size);
/* Figures for sysinfo, /proc/meminfo and /proc/self/statm, in bytes. */
void uk_mm_usage(uint64_t *total, uint64_t *free, uint64_t *mapped);

/* ---- process.c ---- */
bool uk_self(uint64_t pid); /* does it name the one process there is? */

/* ---- signal.c ---- */
void uk_signal_raise(int sig); /* to the program itself, delivered at return (SIGPIPE, ...) */

_Noreturn void uk_panic(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
#define UK_BUG_ON(cond)                                                   \
	do {                                                              \
		if (__builtin_expect(!!(cond), 0))                        \
			uk_panic("%s:%d: %s", __FILE__, __LINE__, #cond); \
	} while (0)

#endif
