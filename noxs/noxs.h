/* SPDX-License-Identifier: Apache-2.0 */
/*
 * noxs.h: the contract between the monitor and the library kernel.
 *
 * Both sides include this file and nothing else of each other. It includes only
 * freestanding headers. README.md in this folder tells the protocol in prose; this
 * file fixes every number. Whoever changes a layout here raises NOXS_VERSION.
 *
 * Guest-virtual memory map (4-level paging; everything lies below 512 GiB, so the
 * page tables have one PML4 entry):
 *
 *   0x80_0000_0000 +--------------------------------------------+ NOXS_GVA_END
 *                  | machine page: GDT, TSS, IDT                | supervisor only
 *                  | doorbell page (MMIO: no memory behind it)  | rw-
 *                  | control page                               | rw-
 *                  | noxs page                                  | r--
 *                  | kernel stack, exception stacks (guarded),  | rw-
 *                  | console rings                              | rw-
 *                  | library kernel: text, rodata | data, bss   | r-x, r-- | rw-
 *   0x7f_fff0_0000 +--------------------------------------------+ NOXS_GVA_KERNEL
 *                  | guard                                      | not mapped
 *   0x7f_ffef_0000 +--------------------------------------------+ NOXS_GVA_STACK_TOP
 *                  | program's stack, 8 MiB, from a random top   | rw-
 *                  | ...                                        |
 *   0x70_0000_0000 +--------------------------------------------+
 *                  | linear map: gva = NOXS_GVA_LINEAR + gpa    | free RAM rw-, tables r--
 *   0x60_0000_0000 +--------------------------------------------+ NOXS_GVA_LINEAR
 *                  | mmap area, grows down from a random top    | as the program asks
 *   0x20_0000_0000 +--------------------------------------------+ NOXS_GVA_MMAP_MIN
 *                  | position-independent programs, random base | W^X
 *   0x10_0000_0000 +--------------------------------------------+ NOXS_GVA_PIE
 *                  | programs with a fixed address, their heap  | W^X
 *   0x00_0001_0000 +--------------------------------------------+ NOXS_GVA_MIN
 *                  | never mapped                               |
 *                0 +--------------------------------------------+
 *
 * Guest-physical memory map:
 *
 *   NOXS_GPA_DOORBELL  one page that no memslot covers: a store to it is an exit, or,
 *                      where the monitor has bound the slot, an ioeventfd
 *   NOXS_GPA_RAM       guest RAM: first what the monitor prepared (tables, noxs page,
 *                      kernel, program), then free RAM, which comes as it is asked for
 */
#ifndef NOXS_H
#define NOXS_H

#include <stddef.h>
#include <stdint.h>

#define NOXS_MAGIC   0x73786f6eu /* "noxs", little-endian */
#define NOXS_VERSION 3u

#define NOXS_PAGE 4096ull

/* ---- guest-virtual ---- */
#define NOXS_GVA_MIN        0x0000010000ull
#define NOXS_GVA_PIE        0x1000000000ull
#define NOXS_GVA_PIE_END    0x1f00000000ull
#define NOXS_GVA_MMAP_MIN   0x2000000000ull
#define NOXS_GVA_MMAP_MAX   0x6000000000ull
#define NOXS_GVA_LINEAR     0x6000000000ull
#define NOXS_GVA_LINEAR_END 0x7000000000ull
#define NOXS_STACK_BYTES    0x0000800000ull
#define NOXS_GVA_STACK_TOP  0x7fffef0000ull
#define NOXS_GVA_STACK_MIN  (NOXS_GVA_STACK_TOP - 0x1000000ull) /* wherever its top is */
#define NOXS_GVA_KERNEL     0x7ffff00000ull
#define NOXS_GVA_END        0x8000000000ull

/* The end of what a program may map or pass as a pointer. */
#define NOXS_GVA_USER_END NOXS_GVA_LINEAR

/*
 * Inside the kernel's window. The kernel's first page starts with struct
 * noxs_kernel; the fast system-call entry stands at a fixed place so that prepared
 * images can name it.
 */
#define NOXS_GVA_FAST_ENTRY (NOXS_GVA_KERNEL + 0x180)
#define NOXS_GVA_STDIN      0x7ffff90000ull
#define NOXS_GVA_IST1       0x7ffffaa000ull /* every exception but the two below, 8 KiB */
#define NOXS_GVA_IST1_END   0x7ffffac000ull
#define NOXS_GVA_IST2       0x7ffffad000ull /* #DF, 4 KiB */
#define NOXS_GVA_IST2_END   0x7ffffae000ull
#define NOXS_GVA_IST3       0x7ffffaf000ull /* #UD, the page-table gate: used inside of #PF */
#define NOXS_GVA_IST3_END   0x7ffffb0000ull
/* The stack's top page and stdout's first are the first of eight: KVM maps them at one exit. */
#define NOXS_GVA_KSTACK     0x7ffffb9000ull /* 32 KiB, guard page below */
#define NOXS_GVA_KSTACK_END 0x7ffffc1000ull
#define NOXS_GVA_STDOUT     0x7ffffc1000ull
#define NOXS_GVA_STDERR     0x7ffffd2000ull
#define NOXS_GVA_NOXS       0x7fffff0000ull
#define NOXS_GVA_CONTROL    0x7fffff1000ull
#define NOXS_GVA_DOORBELL   0x7fffff2000ull
#define NOXS_GVA_MACHINE    0x7fffff3000ull

/* Bytes of each console ring; a power of two. */
#define NOXS_STDIN_BYTES  0x10000u
#define NOXS_STDOUT_BYTES 0x10000u
#define NOXS_STDERR_BYTES 0x04000u

/* ---- guest-physical ---- */
#define NOXS_GPA_DOORBELL 0x1000ull
#define NOXS_GPA_RAM      0x200000ull

/* ---- selectors (GDT in the machine page) ---- */
#define NOXS_SEL_KCODE 0x08 /* ring 0: only the page-table gate and SYSCALL's landing */
#define NOXS_SEL_KDATA 0x10
#define NOXS_SEL_UDATA 0x23
#define NOXS_SEL_UCODE 0x2b
#define NOXS_SEL_TSS   0x30
#define NOXS_STAR      ((uint64_t)0x1b << 48 | (uint64_t)NOXS_SEL_KCODE << 32)
#define NOXS_SFMASK    0x47700ull /* TF IF DF IOPL NT AC */

#define NOXS_NVECTORS 32

/*
 * Head of the library kernel's image, at NOXS_GVA_KERNEL. The image is a flat file:
 * text and rodata (shared, mapped from the monitor's executable), then the initial
 * data (copied), then bss (zero). Offsets are from NOXS_GVA_KERNEL, page-aligned.
 */
struct noxs_kernel {
	uint32_t magic;
	uint32_t version;
	uint32_t rodata_off;            /* text is [0, rodata_off): r-x */
	uint32_t data_off;              /* rodata is [rodata_off, data_off): r-- */
	uint32_t bss_off;               /* end of the bytes in the image; need not be aligned */
	uint32_t end_off;               /* end of bss */
	uint64_t entry;                 /* first instruction; RSP = NOXS_GVA_KSTACK_END */
	uint64_t lstar;                 /* where SYSCALL lands */
	uint64_t preempt;               /* where the monitor may set RIP to; see README */
	uint64_t gate;                  /* ring-0 page-table gate: handler of #UD */
	uint64_t vdso;                  /* vDSO's ELF header, for AT_SYSINFO_EHDR */
	uint64_t vector[NOXS_NVECTORS]; /* exception entries, ring 3 (but #UD: gate) */
};

/*
 * ---- doorbells: 8-byte stores into the doorbell page, slot * 8 ----
 * Slots below NOXS_DB_QUEUE always end KVM_RUN. Slots from there on belong to
 * devices' queues; the monitor may bind them to an ioeventfd.
 */
enum noxs_doorbell {
	NOXS_DB_EXIT = 0,    /* value: exit status 0..255; does not return */
	NOXS_DB_WAIT = 1,    /* control.wait says for what; returns when it is there */
	NOXS_DB_CRASH = 2,   /* control.crash is filled in; does not return */
	NOXS_DB_DISCARD = 3, /* control.discard: free RAM that may be given back */
	NOXS_DB_PARK = 4,    /* a shell: the kernel is up and waits for a program; returns when
			      * the noxs page is complete */
	NOXS_DB_GROW = 5,    /* value: bytes of free RAM, from its start, that are to be usable;
			      * returns with noxs.free_ready as large, or smaller: there is no more */
	NOXS_DB_QUEUE = 16,
	NOXS_DB_SLOTS = 512,
};

/* ---- memory regions that the monitor mapped before boot ---- */
enum noxs_prot { NOXS_R = 1, NOXS_W = 2, NOXS_X = 4 };
enum noxs_region_kind {
	NOXS_REGION_IMAGE = 1, /* of the program's file */
	NOXS_REGION_STUBS = 2, /* rewritten system-call sites' stubs */
	NOXS_REGION_HEAP = 3,  /* brk area: mapped ahead up to end */
	NOXS_REGION_STACK = 4, /* start is the lowest address; mapped from stack_mapped */
};
struct noxs_region {
	uint64_t start, end; /* gva, page-aligned */
	uint64_t gpa;        /* of start; contiguous */
	uint32_t prot;       /* enum noxs_prot */
	uint32_t kind;       /* enum noxs_region_kind */
};
#define NOXS_MAX_REGIONS 24

/*
 * ---- devices ----
 * The monitor lists what it offers; the front end, in the guest, takes what it wants of it.
 * A device's control block is in the control page and begins with struct noxs_front.
 */
enum noxs_device_type { NOXS_DEV_CONSOLE = 1, NOXS_DEV_POWER = 2, NOXS_DEV_NET = 3 /* net.h */ };
struct noxs_device {
	uint16_t type;      /* enum noxs_device_type; one the guest does not know stays in INIT */
	uint16_t id;        /* of several of a type: which */
	uint32_t doorbell;  /* first slot of its queues; 0: it has none */
	uint64_t features;  /* offered; bits of the device's own enum */
	uint64_t control;   /* gva of its control block */
	uint64_t config[6]; /* console: for each stream gva and bytes of its ring */
};
#define NOXS_MAX_DEVICES 16

/* What the front end has come to. It only moves on, in this order; EXIT closes all. */
enum noxs_device_state {
	NOXS_INIT,    /* not in use: the monitor looks at nothing */
	NOXS_READY,   /* features are those it accepted, for good */
	NOXS_CLOSING, /* takes no more input; what it has given still counts */
	NOXS_CLOSED,  /* the monitor looks at nothing any more */
};
/* Written by the guest. features first, then state with release. */
struct noxs_front {
	uint32_t state; /* enum noxs_device_state */
	uint32_t pad;
	uint64_t features; /* accepted: a part of what was offered */
};

/* Console streams: index into control.console.ring[] and noxs.stream[]. */
enum noxs_stream { NOXS_STDIN, NOXS_STDOUT, NOXS_STDERR, NOXS_NSTREAMS };
enum noxs_stream_flags {
	NOXS_STREAM_TTY = 1,    /* a terminal: rows and columns are valid */
	NOXS_STREAM_CLOSED = 2, /* was closed when the VM started: EBADF */
	NOXS_STREAM_PIPE = 4,   /* FIFO or socket, for st_mode; otherwise a regular file */
};
struct noxs_stream_info {
	uint32_t flags;
	uint16_t rows, columns;
};

/*
 * tsc -> ns: mono = mono_ns + ((tsc - tsc_base) * mult >> shift), likewise real.
 * Written by the monitor as a seqlock: odd while it writes.
 */
struct noxs_clock {
	uint32_t seq;
	uint32_t shift;
	uint64_t mult;
	uint64_t tsc_base;
	uint64_t mono_ns;
	uint64_t real_ns;
};

enum noxs_flags {
	NOXS_FLAG_STRACE = 1, /* print every system call to stderr's ring */
	NOXS_FLAG_PARK = 2,   /* a shell: the page has no program yet; ring NOXS_DB_PARK */
};

/* The noxs page: written by the monitor before boot, read-only to the guest. */
struct noxs_page {
	uint32_t magic;
	uint32_t version;
	uint64_t generation; /* changes at every clone, restore, migration */
	struct noxs_clock clock;
	uint8_t seed[32];

	uint64_t ram_bytes; /* RAM is [NOXS_GPA_RAM, NOXS_GPA_RAM + ram_bytes) */
	uint64_t free_gpa;  /* first free frame; 2 MiB-aligned; linear map starts here */
	uint64_t free_bytes;
	uint64_t cr3;        /* gpa of the PML4 */
	uint64_t tables_gpa; /* zeroed pages for more page tables, r-- in the linear map */
	uint64_t tables_bytes;

	uint64_t entry;        /* program's first instruction */
	uint64_t rsp;          /* points at argc (System V ABI) */
	uint64_t brk;          /* start of the heap */
	uint64_t stack_mapped; /* lowest stack address that is mapped */
	uint64_t exe_base;     /* load bias of the program */
	uint32_t flags;        /* enum noxs_flags */
	uint32_t xsave_bytes;  /* XSAVE area for the enabled features */
	uint64_t xcr0;

	uint32_t pid, uid, gid, umask;
	struct noxs_stream_info stream[NOXS_NSTREAMS];

	uint32_t nregions;
	uint32_t ndevices;
	struct noxs_region region[NOXS_MAX_REGIONS];
	struct noxs_device device[NOXS_MAX_DEVICES];

	char exe[256]; /* path of the program, for /proc/self/exe */
	char cwd[256]; /* made if it does not exist */
	char hostname[65];

	/* How much of free RAM, from free_gpa on, has memory behind it (a multiple of 2 MiB).
	 * The rest comes by NOXS_DB_GROW: what KVM keeps for RAM costs memory and time. */
	uint64_t free_ready;
};

/*
 * ---- control page: written by the guest, except where it says (monitor) ----
 * The monitor copies what it needs once and checks the copy.
 *
 * Rings carry bytes. head and tail count bytes for ever and wrap at 2^32;
 * 0 <= tail - head <= size always. Producer: write data, then store-release tail.
 * Consumer: load-acquire tail, read data, store-release head.
 */
struct noxs_ring {
	uint32_t head; /* consumer's */
	uint32_t pad0[15];
	uint32_t tail; /* producer's */
	uint32_t pad1[15];
};

enum noxs_event {
	NOXS_EV_STDIN = 1,  /* input, end of input or an error is there */
	NOXS_EV_STDOUT = 2, /* the stdout ring has room */
	NOXS_EV_STDERR = 4,
	NOXS_EV_POWER = 8, /* control.power.request is not control.power.ack */
			   /* NOXS_EV_NET(i) from 0x100 on: net.h */
};
#define NOXS_FOREVER UINT64_MAX

struct noxs_wait {
	uint32_t events;      /* enum noxs_event that end the wait; 0: only the deadline */
	uint32_t ready;       /* (monitor) what ended it; 0: the deadline */
	uint64_t deadline_ns; /* on the monotonic clock of the noxs page */
};

/* ---- console ---- */
enum noxs_console_features {
	/* The guest rings the slot doorbell + stream when it has written, if wake[stream] is
	 * not what it was when it last rang. */
	NOXS_CONSOLE_DOORBELL = 1,
};
struct noxs_console {
	struct noxs_front front;
	uint32_t error[NOXS_NSTREAMS]; /* (monitor) EPIPE, EIO, ...: why a stream is over; 0: not */
	uint32_t eof;                  /* (monitor) stdin has ended */
	uint32_t wake[NOXS_NSTREAMS];  /* (monitor) changes when it wants to be rung */
	uint32_t pad[5];
	struct noxs_ring ring[NOXS_NSTREAMS];
};

/* ---- power: the monitor asks, the guest acknowledges ---- */
enum noxs_power_features {
	NOXS_POWER_SIGNAL = 1,   /* the guest takes NOXS_REQ_SIGNAL */
	NOXS_POWER_SHUTDOWN = 2, /* and so on */
	NOXS_POWER_SUSPEND = 4,
};
enum noxs_power_request {
	NOXS_REQ_SIGNAL = 1,   /* deliver the signal to the program */
	NOXS_REQ_SHUTDOWN = 2, /* end soon, in an orderly way */
	NOXS_REQ_SUSPEND = 3,  /* stand still: acknowledge, then WAIT until RESUME */
	NOXS_REQ_RESUME = 4,
};
/* A request: a count that tells it from the one before, what, and the signal. Never 0. */
#define NOXS_REQUEST(count, what, signal) \
	((uint32_t)(count) << 16 | (uint32_t)(what) << 8 | (uint32_t)(signal))
#define NOXS_REQUEST_WHAT(request)   ((request) >> 8 & 0xff)
#define NOXS_REQUEST_SIGNAL(request) ((request)&0xff)

struct noxs_power {
	struct noxs_front front;
	uint32_t request;    /* (monitor) NOXS_REQUEST; the next one only after ack. 0: none yet */
	uint32_t ack;        /* the last request that the guest took */
	uint64_t handled;    /* signals the program handles or ignores: bit (signal - 1) */
	uint64_t timer_ns;   /* monotonic: when the guest wants to be preempted; 0: not */
	uint64_t resume_rip; /* (monitor) where the program was when it was preempted */
};

struct noxs_regs {
	uint64_t rax, rbx, rcx, rdx, rsi, rdi, rbp, rsp;
	uint64_t r8, r9, r10, r11, r12, r13, r14, r15;
	uint64_t rip, rflags, fs_base, gs_base;
};

enum noxs_crash_kind {
	NOXS_CRASH_FAULT = 1,  /* an exception in the program */
	NOXS_CRASH_SIGNAL = 2, /* a signal the program raised, with no handler */
	NOXS_CRASH_KERNEL = 3, /* a fault or a failed check in the library kernel */
};
struct noxs_crash {
	uint32_t kind;   /* enum noxs_crash_kind */
	uint32_t signal; /* Linux signal number */
	uint32_t si_code;
	uint32_t vector;
	uint64_t error;   /* exception's error code */
	uint64_t address; /* CR2, or the faulting instruction */
	struct noxs_regs regs;
	char message[128]; /* NOXS_CRASH_KERNEL */
};

struct noxs_discard {
	/* Page-aligned, inside free RAM. (monitor) sets bytes to 0 if it reads as zero now. */
	uint64_t gpa, bytes;
};

#define NOXS_MAX_UNKNOWN 32
struct noxs_stats {
	uint64_t syscalls; /* all */
	uint64_t lstar;    /* of them: through SYSCALL, not a rewritten site */
	uint64_t faults;   /* demand faults served */
	uint64_t gates;    /* page-table gate calls */
	uint64_t boot_tsc; /* TSC at the library kernel's first instructions */
	uint32_t nunknown;
	struct {
		uint32_t nr, count;
	} unknown[NOXS_MAX_UNKNOWN]; /* calls answered with ENOSYS */
};

struct noxs_control {
	struct noxs_console console;
	struct noxs_wait wait;
	struct noxs_power power;
	struct noxs_discard discard;
	struct noxs_stats stats;
	struct noxs_crash crash;
};

#define NOXS_OFF(type, member, off) \
	_Static_assert(offsetof(struct type, member) == (off), #type "." #member " moved")

NOXS_OFF(noxs_page, clock, 0x10);
NOXS_OFF(noxs_page, seed, 0x38);
NOXS_OFF(noxs_page, ram_bytes, 0x58);
NOXS_OFF(noxs_page, entry, 0x88);
NOXS_OFF(noxs_page, flags, 0xb0);
NOXS_OFF(noxs_page, pid, 0xc0);
NOXS_OFF(noxs_page, stream, 0xd0);
NOXS_OFF(noxs_page, region, 0xf0);
NOXS_OFF(noxs_page, device, 0x3f0);
NOXS_OFF(noxs_page, exe, 0x870);
NOXS_OFF(noxs_page, cwd, 0x970);
NOXS_OFF(noxs_page, hostname, 0xa70);
NOXS_OFF(noxs_page, free_ready, 0xab8);
NOXS_OFF(noxs_device, doorbell, 0x4);
NOXS_OFF(noxs_device, features, 0x8);
NOXS_OFF(noxs_device, control, 0x10);
NOXS_OFF(noxs_device, config, 0x18);
NOXS_OFF(noxs_front, state, 0x0);
NOXS_OFF(noxs_front, features, 0x8);
NOXS_OFF(noxs_console, front, 0x0);
NOXS_OFF(noxs_console, error, 0x10);
NOXS_OFF(noxs_console, eof, 0x1c);
NOXS_OFF(noxs_console, wake, 0x20);
NOXS_OFF(noxs_console, ring, 0x40);
NOXS_OFF(noxs_power, front, 0x0);
NOXS_OFF(noxs_power, request, 0x10);
NOXS_OFF(noxs_power, ack, 0x14);
NOXS_OFF(noxs_power, handled, 0x18);
NOXS_OFF(noxs_power, timer_ns, 0x20);
NOXS_OFF(noxs_power, resume_rip, 0x28);
NOXS_OFF(noxs_control, console, 0x0);
NOXS_OFF(noxs_control, wait, 0x1c0);
NOXS_OFF(noxs_control, power, 0x1d0);
NOXS_OFF(noxs_control, discard, 0x200);
NOXS_OFF(noxs_control, stats, 0x210);
NOXS_OFF(noxs_control, crash, 0x340);
NOXS_OFF(noxs_stats, boot_tsc, 0x20);
NOXS_OFF(noxs_stats, unknown, 0x2c);
NOXS_OFF(noxs_crash, address, 0x18);
NOXS_OFF(noxs_crash, regs, 0x20);
NOXS_OFF(noxs_crash, message, 0xc0);
NOXS_OFF(noxs_ring, tail, 0x40);
NOXS_OFF(noxs_regs, rip, 0x80);
NOXS_OFF(noxs_kernel, entry, 0x18);
NOXS_OFF(noxs_kernel, lstar, 0x20);
NOXS_OFF(noxs_kernel, gate, 0x30);
NOXS_OFF(noxs_kernel, vector, 0x40);
_Static_assert(sizeof(struct noxs_device) == 0x48, "a row of the device table");
_Static_assert(sizeof(struct noxs_ring) == 0x80, "each index in a cache line of its own");
_Static_assert(sizeof(struct noxs_kernel) <= 0x180, "meets the fast entry");
_Static_assert(sizeof(struct noxs_page) <= NOXS_PAGE, "the noxs page is one page");
_Static_assert(sizeof(struct noxs_control) <= NOXS_PAGE, "the control page is one page");

#endif
