/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vms.h: the records of VMs: by id, by beginning of an id, by name, in order.
 *
 * A record costs two allocations: itself with all its strings, and the text of its START,
 * which goes when that has been sent. 20,000 of them are to stay below 30 MB.
 */
#ifndef MAYFLY_VMS_H
#define MAYFLY_VMS_H

#include "cgroup.h"
#include "engine.h"
#include "list.h"
#include "table.h"

#define VM_MAX_NAME        63u
#define VM_MAX_LABELS      64u
#define VM_MAX_LABEL_BYTES 4096u
#define VM_MAX_TEXT_BYTES  (2u << 20)  /* arguments and environment: the guest's limit */
#define VM_MAX_STDIN_BYTES (16u << 20) /* with the request; more: stdin_open */
#define VM_ARGS_SHOWN      240u        /* of the arguments, in lists */

struct image_ref;
struct net_handed;
struct net_job;
struct input_rest;
struct shell;

/* What START needs, kept until it is sent. */
struct start {
	uint32_t flags, argc, envc; /* enum shell_start_flags */
	uint32_t text_bytes;        /* strings but the path: working directory on */
	uint32_t stdin_bytes;       /* follow them */
	int image_fd;               /* -1: by path */
	int fds[3];                 /* or -1 each */
	uint64_t log_bytes;         /* 0: no log */
	struct cgroup_limits limits;
	bool limited; /* one of them is set */
	struct engine *engine;
	struct image_ref *image; /* once it is known */
	engine_done *done;
	void *arg;
	uint64_t queued_ns; /* waits for a shell since; 0: it does not */
	uint64_t retry;     /* timer: the message did not get through */
	unsigned tries;
	struct net_job *opening; /* the next of its net devices */
	struct net_handed *net;  /* those that are open: nnet of them */
	unsigned nnet;
	bool spawn_net; /* they go with SPAWN of a shell of its own: NET_OPENED_BIND */
	char text[];
};

struct record {
	struct vm vm; /* what others see; vm.private is this record */
	struct table_node by_id, by_name;
	struct link order; /* of all, oldest first */
	struct link queue; /* of those that wait for a shell, or of those that have ended */
	struct link waiters, asks;
	struct start *start;
	struct shell *process; /* NULL: none, or it is gone */
	struct engine *engine; /* for timers */
	uint64_t capture_bytes;
	uint64_t stop_timer;
	uint32_t holds; /* callers that still look at it: freed when they are done */
	bool removed;   /* no longer found; freed at the last hold's end */
	bool killed;    /* by us, with SIGKILL: that end is no accident */
	bool has_log;
	bool captures;
	bool booted;                   /* its boot_us is known, or cannot be */
	bool takes_input;              /* stdin_open, and its end was not given yet */
	uint8_t state_asked;           /* enum news_state whose NEWS_STATE is awaited; 0: none */
	uint8_t stats_due, inputs_due; /* answers, also those that nobody waits for any more */
	bool input_ends;
	uint32_t input_sent;      /* in the message that is due */
	struct input_rest *input; /* engine_input.c; NULL: none is left */
};

static inline struct record *record_of(struct vm *vm)
{
	return vm->private;
}

struct vms {
	struct table by_id, by_name, by_address; /* struct vm_net_address of those that live */
	struct link order;
	struct link ended; /* oldest first */
	uint32_t ended_count;
	uint32_t count[VM_EXITED + 1]; /* by state */
};

int vms_init(struct vms *vms, struct err *err);
/* Frees all records. */
void vms_free(struct vms *vms);

/* Checks the spec and makes a record of it, in state CREATED, with a new id. Takes over the
 * spec's descriptors, also in failure. 0, or an enum engine_failure. */
int vms_create(struct vms *vms, const struct vm_spec *spec, uint64_t memory_bytes,
	       struct record **record, struct err *err);

/* By id, name, or the beginning of one id alone. NULL: none, or more than one. */
struct record *vms_find(const struct vms *vms, const char *id_or_name);
struct record *vms_next(const struct vms *vms, const struct record *record);

void vms_set_state(struct vms *vms, struct record *r, enum vm_state state);

/* It is no longer found. Freed now, or when the last that holds it lets go. */
void vms_remove(struct vms *vms, struct record *r);
void record_hold(struct record *r);
/* Whether it has gone with that. */
bool record_release(struct record *r);
/* The text of START, its descriptors: not needed any more. The image is the caller's. */
void record_drop_start(struct record *r);

#endif
