/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine.h: what the daemon does, without HTTP: VMs, the pool of shells, images, events.
 *
 * One thread, one epoll loop (loop.h). No call here blocks: what takes time ends in a
 * callback from the loop. All strings are copied. Nothing per running VM costs a
 * descriptor, and no call that starts a VM takes time that grows with their number.
 *
 * api*.c (HTTP) and runsock.c (mayfly run --pool) stand above this header, the rest below.
 */
#ifndef MAYFLY_ENGINE_H
#define MAYFLY_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../err.h"
#include "../wire.h"

#define ENGINE_ID_BYTES 13 /* 12 hexadecimal digits, random, and NUL */

struct engine;
struct loop;

/* ---- settings, from the command line ---- */
struct engine_options {
	const char *run_dir;           /* sockets, logs, cache: ours alone, 0700 */
	const char *root;              /* images are looked up beneath it; NULL: / */
	unsigned shells;               /* minimum of the default flavour */
	unsigned max_shells;           /* its maximum */
	uint64_t memory_bytes;         /* of the default flavour */
	unsigned keep;                 /* ended VMs whose records are kept; the oldest go first */
	uint64_t log_bytes;            /* a VM's log at most */
	uint64_t capture_bytes;        /* of a stream in a reply, if the request does not say */
	uint32_t uid_first, uid_count; /* shells' uids; count 0: the daemon's own */
	const char *cgroup;            /* parent of the VMs' cgroups; NULL: no cgroups */
	bool jail;                     /* false: --no-jail */
};

/* ---- a VM ---- */
enum vm_state { VM_CREATED, VM_STARTING, VM_RUNNING, VM_PAUSED, VM_EXITED };

struct label {
	char *key, *value;
};

/* What a caller asks for. Strings and arrays are the caller's; they are copied. */
struct vm_spec {
	const char *image; /* path beneath root */
	int image_fd;      /* or the open ELF file (taken over), image then names it; else -1 */
	char *const *argv; /* NULL-terminated, [0] is the program's name; NULL: the image */
	char *const *envp; /* NULL-terminated; NULL: none */
	const char *workdir, *name; /* NULL: / and none. A name is unique among existing VMs */
	const struct label *labels;
	size_t nlabels;
	uint64_t memory_bytes; /* 0: the default flavour's */
	uint64_t timeout_ns;   /* 0: none */
	const void *stdin_data;
	size_t stdin_bytes;
	bool stdin_open; /* stdin goes on: engine_input */
	bool capture;    /* output is wanted in the VM's record, not in a log */
	uint64_t capture_bytes;
	bool strace;
	bool remove; /* the record goes when the VM has ended */
	int fds[3];  /* stdin, stdout, stderr (taken over), or -1 each: see runsock.c */
	const char *const *net, *const *publish; /* net devices and ports: ../net_spec.h */
	size_t nnet, npublish;
	/* limits, 0: none; refused with ENOTSUP where the daemon runs without cgroups */
	uint64_t memory_max_bytes, pids_max;
	uint32_t cpu_weight;    /* 1..10000 */
	uint32_t cpu_max_milli; /* thousandths of a CPU */
	uint64_t parsed_tsc;
};

struct vm_net; /* vm_net.h */

/* What is known of a VM. Read-only to callers; valid until it is removed. */
struct vm {
	char id[ENGINE_ID_BYTES];
	uint8_t state; /* enum vm_state */
	bool warm;     /* it got a prepared shell */
	bool remove, stopping;
	uint64_t shell;            /* number; 0 before it has one */
	int32_t pid;               /* of its process, in the daemon's namespace; 0: none */
	char *name, *image, *args; /* args: as a command line, for lists */
	struct label *labels;
	uint32_t nlabels;
	uint64_t memory_bytes, timeout_ns;
	int64_t created_ns, started_ns, ended_ns; /* CLOCK_REALTIME; 0: not yet */
	uint64_t parsed_tsc; /* who calls engine_start long after engine_create sets it anew */
	uint64_t queue_us, boot_us, run_us;
	/* when it has ended */
	uint8_t end; /* enum news_end */
	int32_t exit_code, signal;
	uint32_t truncated;
	char *reason; /* NULL: the exit code says all */
	char *out[2]; /* captured stdout and stderr; NULL where there is none */
	size_t out_bytes[2];
	struct news_counters counters; /* the last that are known */
	struct vm_net *net;            /* NULL: it has no net device */
	void *private;                 /* the engine's */
};

/* How a failure is to be answered; err->exit stays what mayfly run would exit with. */
enum engine_failure {
	ENGINE_BAD = 400, /* the request cannot be met as it is written */
	ENGINE_NOT_FOUND = 404,
	ENGINE_CONFLICT = 409, /* name in use, wrong state */
	ENGINE_TOO_LARGE = 413,
	ENGINE_IMAGE = 422, /* the image cannot run; err says why */
	ENGINE_FAILED = 500,
	ENGINE_BUSY = 503, /* out of something: err names the limit */
};

/* ---- life ---- */
struct engine *engine_open(struct loop *loop, const struct engine_options *options,
			   struct err *err);
void engine_close(struct engine *e); /* ends all VMs, and waits until they are gone */

/* The orderly end: nothing starts any more, all VMs are EXITED (who waits is told), and done
 * is called from the loop when their processes have gone. Then engine_close. */
void engine_end_all(struct engine *e, void (*done)(void *arg), void *arg);

/*
 * engine_create: a record in state CREATED. *vm is set. 0, or an enum engine_failure with
 * a message in err. What is checked here: names, sizes, labels, limits. The image is not
 * looked at before engine_start.
 */
int engine_create(struct engine *e, const struct vm_spec *spec, struct vm **vm, struct err *err);

/*
 * engine_start: CREATED -> STARTING -> RUNNING. done(arg, failure, err) is called once, from
 * within or later: failure 0 when START has been sent to a shell. A failure leaves the
 * VM EXITED with end END_FAILED and reason err's message.
 */
typedef void engine_done(void *arg, struct vm *vm, int failure, const struct err *err);
int engine_start(struct engine *e, struct vm *vm, engine_done *done, void *arg, struct err *err);

/* Calls done(arg, vm, 0, NULL) once the VM is EXITED; at once if it is. A token to cancel
 * with, or 0. If the VM is marked remove its record goes after the last of them. */
uint64_t engine_wait(struct engine *e, struct vm *vm, engine_done *done, void *arg);
void engine_cancel(struct engine *e, uint64_t token);

/* Signals as docker kill: SIGKILL ends the process, others are the program's to handle. */
int engine_kill(struct engine *e, struct vm *vm, int signal, struct err *err);
/* SIGTERM, and SIGKILL when grace_ms have passed. */
int engine_stop(struct engine *e, struct vm *vm, unsigned grace_ms, struct err *err);
/* PAUSE, RESUME, STATS: done is called when the VM has answered, or with ENGINE_FAILED after 2 s.
 */
int engine_pause(struct engine *e, struct vm *vm, bool pause, engine_done *done, void *arg,
		 struct err *err);
int engine_stats(struct engine *e, struct vm *vm, engine_done *done, void *arg, struct err *err);
/* Input for a VM with stdin_open: at most 60,000 bytes; done's failure is ENGINE_BUSY, and
 * err's message the count, where the VM took fewer. eof: no more will come. */
int engine_input(struct engine *e, struct vm *vm, const void *data, size_t bytes, bool eof,
		 engine_done *done, void *arg, struct err *err);
/* Removes the record and the log. A running VM: ENGINE_CONFLICT, unless force. */
int engine_remove(struct engine *e, struct vm *vm, bool force, struct err *err);

/* ---- finding ---- */
struct vm *engine_find(struct engine *e,
		       const char *id_or_name); /* a unique prefix of an id, too */
/* All VMs, oldest first: next(NULL) is the first. The list may change between calls to the loop. */
struct vm *engine_next(struct engine *e, struct vm *vm);

/* Opens the VM's log for reading (frames, wire.h), or -1: it has none. */
int engine_open_log(struct engine *e, const struct vm *vm);

/* ---- the pool ---- */
#define ENGINE_NET_BYTES 256
struct flavour {
	uint64_t memory_bytes;
	uint32_t minimum, maximum; /* of ready shells; the pool moves its target between them */
	/* Net devices that its shells have already, one a line: vm_net.h; empty: none. */
	char net[ENGINE_NET_BYTES];
};
struct flavour_level {
	struct flavour flavour;
	uint32_t ready, preparing, target;
	uint64_t taken, cold, failed; /* since start: shells taken warm, made on demand, not made */
};
#define ENGINE_MAX_FLAVOURS 16
#define ENGINE_MAX_READY    100000u /* of a flavour's maximum */
size_t engine_pool(struct engine *e, struct flavour_level level[ENGINE_MAX_FLAVOURS]);
/* Replaces all flavours; shells that no longer fit end. The default flavour cannot be left out. */
int engine_set_pool(struct engine *e, const struct flavour *flavour, size_t n, struct err *err);

/* ---- events: the last 1,024 are kept for who comes late ---- */
struct event {
	uint64_t number; /* from 1 */
	int64_t real_ns;
	char type[12]; /* create start exit pause resume kill stop remove; pool; image */
	char id[ENGINE_ID_BYTES];
	char name[64];
	char detail[160]; /* exit: the code or the reason; pool: what changed */
};
typedef void engine_listener(void *arg, const struct event *event);
/* From event number `from` on (0: only new ones). A token for engine_unlisten. */
uint64_t engine_listen(struct engine *e, uint64_t from, engine_listener *listener, void *arg);
void engine_unlisten(struct engine *e, uint64_t token);

/* ---- figures, for /metrics ---- */
#define ENGINE_BUCKETS 18 /* of start latency: 16 us * 2^i, the last is +Inf */
struct engine_histogram {
	uint64_t bucket[ENGINE_BUCKETS]; /* not cumulative */
	uint64_t count, sum_us;
};
enum engine_start_path { ENGINE_WARM, ENGINE_COLD, ENGINE_PATHS };
struct engine_metrics {
	struct engine_histogram boot[ENGINE_PATHS]; /* request parsed .. first instruction */
	struct engine_histogram run;
	uint64_t ended[END_FAILED + 1]; /* by enum news_end */
	uint64_t killed;                /* the VM's process was ended from outside */
	uint64_t stdout_bytes, stderr_bytes, stdin_bytes, lost_bytes;
	uint64_t exits;         /* of vCPUs to user space */
	struct news_net net;    /* summed up; copying, broken: devices that were */
	uint64_t news_rejected; /* messages that broke the rules of wire.h */
	uint64_t events_lost;   /* not seen by a slow listener */
	uint64_t images_prepared, image_hits;
	uint32_t vms[VM_EXITED + 1]; /* now, by state */
	int64_t started_ns;
};
void engine_metrics(struct engine *e, struct engine_metrics *m);

#endif
