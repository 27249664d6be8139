/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wire.h: the messages between the daemon, the zygote and the shells.
 *
 *                 SPAWN, KILL                     fork
 *      daemon ===================== zygote ---------------> shell, one per VM
 *        | ^     ENDED, FAILED                               ^   |
 *        | '------------------ news (one shared socket) -----|---'
 *        '-- START, SIGNAL, ... to the path "shell/NUMBER" --'
 *
 * zygote   a small process (mayfly, musl) in empty namespaces, PID 1 of its own. It forks
 *          shells, reaps them, and passes signals on: as their parent it cannot hit a
 *          process that has taken over a number. When the daemon goes, it goes, and with it
 *          the kernel ends every process of its PID namespace.
 * shell    a VM's process: prepares VM and vCPU, jails itself, says READY, waits for START.
 *
 * The daemon keeps no descriptor per shell: it sends to a datagram socket's path, and all
 * shells write to one datagram socket, on which the kernel tells the sender's PID
 * (SCM_CREDENTIALS). A shell may have been taken over by its guest: whoever reads news checks
 * that PID against the shell's number, and every length against the message.
 *
 * Host byte order, one machine, one build: WIRE_VERSION must be equal.
 */
#ifndef MAYFLY_WIRE_H
#define MAYFLY_WIRE_H

#include <stdint.h>

#include "net_wire.h"

#define WIRE_VERSION   3u
#define WIRE_MAX_BYTES 65536u /* of one message, with everything that follows its head */

/*
 * A net device of a VM: what was opened for it, and what the guest is told. With it come, as
 * SCM_RIGHTS, its window's memory, and nfds descriptors (net_wire.h). It is also what
 * `mayfly net-open` answers the daemon.
 */
struct wire_net {
	struct net_opened opened;
	uint32_t frame_bytes, buffers; /* of the window */
	uint32_t nfds;
	uint32_t prepared; /* START: the shell has had it from SPAWN on; nothing comes but config */
	uint32_t pad;
	struct noxs_net_config config;
};

/* ---- the zygote's descriptors when it is executed ---- */
enum zygote_fd {
	ZYGOTE_FD_LINK = 3,    /* SOCK_SEQPACKET: requests and replies */
	ZYGOTE_FD_NEWS = 4,    /* SOCK_DGRAM: the shells' end of the news socket */
	ZYGOTE_FD_RUN_DIR = 5, /* the daemon's directory; "shell/" and "log/" are in it */
};

/* ---- daemon -> zygote ---- */
enum zygote_op { ZYGOTE_SPAWN = 1, ZYGOTE_KILL = 2 };

/* With SPAWN come, as SCM_RIGHTS, up to ZYGOTE_MAX_CGROUPS open files (tasks on cgroup v1,
 * cgroup.procs on v2) that the shell writes itself into before it does anything else; behind
 * them those of nnet net devices, whose struct wire_net follow the request. */
#define ZYGOTE_MAX_CGROUPS 4
#define ZYGOTE_MAX_FDS     (ZYGOTE_MAX_CGROUPS + NOXS_NET_MAX * (1 + NET_WIRE_FDS))

struct zygote_request {
	uint32_t op;           /* enum zygote_op */
	int32_t signal;        /* KILL */
	uint64_t shell;        /* its number: one daemon never uses one twice */
	uint64_t memory_bytes; /* SPAWN: of the VM; page-aligned */
	uint32_t uid, gid;     /* SPAWN: what the shell becomes; (uint32_t)-1: as the zygote */
	uint32_t urgent; /* SPAWN: somebody waits for it; otherwise prepared at low priority */
	uint32_t log;    /* SPAWN: make and open log/NUMBER */
	uint32_t nnet;   /* SPAWN: net devices that it has from the beginning */
	uint32_t pad;
};

/* ---- zygote -> daemon ---- */
enum zygote_event {
	ZYGOTE_UP = 1, /* once, at start: shell is WIRE_VERSION, text tells of the namespaces */
	ZYGOTE_ENDED,  /* the shell's process has ended and was reaped */
	ZYGOTE_FAILED, /* it could not be made */
};

struct zygote_reply {
	uint32_t event; /* enum zygote_event */
	int32_t status; /* ENDED: as waitpid(2) gives it; FAILED: errno */
	uint64_t shell;
	char text[240]; /* FAILED: what was tried, and what to do */
};

/* ---- daemon -> shell, SOCK_DGRAM to shell/NUMBER ---- */
enum shell_op {
	SHELL_START = 1, /* struct shell_start, strings, input; descriptors */
	SHELL_SIGNAL,    /* arg: signal; to the program if it handles it, else the VM's end */
	SHELL_PAUSE,     /* answered by NEWS_STATE when the vCPU stands still */
	SHELL_RESUME,
	SHELL_STATS, /* answered by NEWS_STATS */
	SHELL_INPUT, /* bytes for stdin follow; arg 1: and then its end. Answered by NEWS_INPUT */
};

struct shell_message {
	uint32_t op;    /* enum shell_op; START: see struct shell_start, which begins like this */
	uint32_t bytes; /* that follow this head */
	uint64_t arg;
};

enum shell_start_flags {
	START_STRACE = 1,
	START_CAPTURE = 2,  /* output goes into news: at most capture_bytes of a stream */
	START_LOG = 4,      /* output goes to the log, in frames */
	START_FDS = 8,      /* stdin, stdout and stderr are the descriptors 1, 2, 3 */
	START_STDIN = 16,   /* stdin stays open after the inline bytes: SHELL_INPUT brings more */
	START_TEXT_FD = 32, /* strings and input are in the last descriptor (a memfd) */
};

/*
 * START. Descriptors (SCM_RIGHTS): the prepared image; with START_FDS three more; those of its
 * net devices; with START_TEXT_FD one more. Then nnet times struct wire_net. Then text_bytes of
 * strings, each with its NUL, in this order: path of the program, working directory, host name,
 * argv[0..argc), envp[0..envc). Then stdin_bytes of input. With START_TEXT_FD strings and input
 * are in there instead.
 */
struct shell_start {
	struct shell_message head;
	uint32_t version;    /* WIRE_VERSION */
	uint32_t flags;      /* enum shell_start_flags */
	uint64_t parsed_tsc; /* when the request had been read */
	uint64_t timeout_ns; /* 0: none */
	uint64_t capture_bytes;
	uint64_t log_bytes; /* the log's limit; what is beyond is counted as lost */
	uint32_t argc, envc;
	uint32_t text_bytes, stdin_bytes;
	uint32_t nnet; /* at most NOXS_NET_MAX */
	uint32_t pad;
};

/* ---- shell -> daemon: news ---- */
enum news_type {
	NEWS_READY = 1, /* it waits for START */
	NEWS_FAILED,    /* it could not be prepared: text follows, arg is an errno or 0 */
	NEWS_STARTED, /* arg: boot_tsc. Sent when the guest first sleeps or has run some ms: a short
		       * one goes to EXIT at once */
	NEWS_OUTPUT,  /* START_CAPTURE: stream, then its bytes */
	NEWS_INPUT,   /* arg: bytes of SHELL_INPUT that were taken; the rest is not */
	NEWS_STATE,   /* arg: enum news_state */
	NEWS_STATS,   /* struct news_counters, struct news_net for each net device */
	NEWS_EXIT,    /* struct news_exit, nnet times struct news_net, reason's text, stdout's
		       * bytes, stderr's bytes */
};

enum news_state { NEWS_RUNNING = 1, NEWS_PAUSED = 2 };

struct news {
	uint32_t type;  /* enum news_type */
	uint32_t bytes; /* that follow this head */
	uint64_t shell; /* its number */
	uint64_t arg;
};

struct news_counters {
	uint64_t exits, waits, kicks, ioctls;
	uint64_t syscalls, faults;
	uint64_t stdout_bytes, stderr_bytes, stdin_bytes;
	uint64_t lost_bytes;     /* of output: beyond a limit, or its stream failed */
	uint64_t resident_bytes; /* of guest RAM; 0 in NEWS_EXIT: it would take time */
	uint64_t run_ns;         /* since the first instruction */
};

/* Of a net device, as the host sees it: rx is what goes to the guest. */
struct news_net {
	uint64_t rx_frames, rx_bytes, rx_dropped;
	uint64_t tx_frames, tx_bytes, tx_dropped;
	uint64_t kicks;   /* system calls to send or to fill */
	uint32_t copying; /* AF_XDP: the rings are copied */
	uint32_t broken;  /* it carries nothing any more */
	/* What the guest says that it has (net_is_claim): nobody has looked whether it is so. */
	struct noxs_net_address claimed[NOXS_NET_ADDRESSES];
};

enum news_end {
	END_EXITED = 1, /* status is the program's */
	END_CRASHED,    /* by a signal of its own */
	END_TIMEOUT,
	END_SIGNAL, /* a signal from outside that it does not handle */
	END_FAILED, /* mayfly, or the guest broke the contract; exit_code is 125 or 126 */
};

struct news_exit {
	uint32_t end;          /* enum news_end */
	int32_t exit_code;     /* as mayfly run would exit with */
	int32_t signal;        /* CRASHED, SIGNAL */
	uint32_t truncated;    /* bit 1 (NOXS_STDOUT), bit 2 (NOXS_STDERR): capture limit reached */
	uint64_t received_tsc; /* START was read */
	uint64_t boot_tsc;     /* the guest's first instruction, by its own stamp */
	uint64_t end_tsc;      /* the guest's end was seen */
	uint32_t reason_bytes; /* text: why it ended, where that is more than the code says */
	uint32_t stdout_bytes, stderr_bytes; /* captured bytes that follow, after any NEWS_OUTPUT */
	uint32_t nnet;
	struct news_counters counters;
};

/* ---- log/NUMBER: frames, in the order in which they were written ---- */
#define LOG_MAGIC 0x676c666du /* "mflg": each frame begins with it, so damage is noticed */
struct log_frame {
	uint32_t magic;
	uint16_t stream; /* 1 stdout, 2 stderr */
	uint16_t flags;  /* 1: the limit was reached, nothing follows */
	uint32_t bytes;  /* that follow */
	uint32_t pad;
	int64_t real_ns; /* CLOCK_REALTIME */
};

/*
 * ---- mayfly run --pool <-> daemon: SOCK_SEQPACKET, the path of the daemon's socket with
 * ".run" behind it ----
 * The caller sends struct run_request, strings (image, working directory, name, arguments,
 * environment, --net, -p), and four descriptors: the ELF file, stdin, stdout, stderr. It may then
 * send run_signal messages. The daemon answers with one run_reply when the VM has ended, or could
 * not start. If the caller goes, the VM goes.
 */
struct run_request {
	uint32_t version; /* WIRE_VERSION */
	uint32_t flags;   /* START_STRACE */
	uint64_t memory_bytes, timeout_ns;
	uint32_t argc, envc;
	uint32_t text_bytes; /* START_TEXT_FD: in a fifth descriptor */
	uint16_t netc, portc;
};

struct run_signal {
	uint32_t version, signal;
};

struct run_reply {
	int32_t exit_code;
	uint32_t text_bytes; /* what to print on stderr (without "mayfly: "), follows */
};

_Static_assert(sizeof(struct shell_message) == 16, "wire");
_Static_assert(sizeof(struct shell_start) == 80, "wire");
_Static_assert(sizeof(struct news_net) == 144, "wire");
_Static_assert(sizeof(struct news) == 24, "wire");
_Static_assert(sizeof(struct log_frame) == 24, "wire");

#endif
