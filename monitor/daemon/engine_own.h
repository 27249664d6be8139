/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine_own.h: what the files of the engine share; nobody else includes it.
 *
 *   engine_start.c   a record's way to a shell        engine_pool.c     shells: made, ready, lost
 *   engine_news.c    what shells tell                 engine_zygote.c   what the zygote tells
 *   engine_end.c     ends of VMs and of shells        engine_ask.c      pause, resume, stats
 *   engine_input.c   stdin                            engine_signal.c   kill, stop
 *   engine_wait.c    those who wait for an end        engine_events.c   events
 *   engine_net.c     net devices of a start
 *   engine_flavours.c  the pool's sizes               engine_metrics.c  figures
 *
 * Rule: whatever calls a caller's callback may find every record changed or gone afterwards,
 * unless it holds it (record_hold). Shells go in one place only: shell_gone, from the intake.
 */
#ifndef MAYFLY_ENGINE_OWN_H
#define MAYFLY_ENGINE_OWN_H

#include "cgroup.h"
#include "control.h"
#include "engine.h"
#include "images.h"
#include "launch.h"
#include "loop.h"
#include "news.h"
#include "pool.h"
#include "shells.h"
#include "slots.h"
#include "tsc.h"
#include "vm_net.h"
#include "vms.h"

#define ENGINE_EVENTS 1024

/* The zygote's process as seen from here. */
struct zygote {
	struct launched process; /* pid 0: there is none */
	bool is_up;              /* it has said so */
	bool wants_out;          /* EPOLLOUT is watched */
	unsigned failures;       /* in a row */
	uint64_t since_ns, restart;
	struct link kills; /* shells whose KILL did not fit into the link yet */
	char why[sizeof(((struct zygote_reply *)0)->text)];  /* its last failure */
	char text[sizeof(((struct zygote_reply *)0)->text)]; /* what it told of itself */
};

struct inbox; /* engine_news.c: buffers */

struct engine {
	struct loop *loop;
	struct engine_options options; /* the strings are ours */
	int run_dir;
	bool ending;
	void (*ended)(void *arg); /* engine_end_all */
	void *ended_arg;
	struct vms vms;
	struct shells shells;
	struct control control;
	struct zygote zygote;
	struct inbox *inbox;
	struct images *images;
	struct cgroups *cgroups; /* NULL: without */
	struct tsc tsc;
	struct pool pool;
	struct link ready[ENGINE_MAX_FLAVOURS];   /* shells */
	struct link waiting[ENGINE_MAX_FLAVOURS]; /* records, oldest first */
	struct link waiting_bound;                /* records of sizes that no flavour has */
	struct link unsent; /* shells whose SPAWN did not fit into the link yet */
	unsigned bound_preparing;
	uint64_t pool_timer, sweep_timer, collect_timer;
	struct slots waiters, listeners;
	struct link listening;
	struct event *events; /* ring: event number n is at n % ENGINE_EVENTS */
	uint64_t last_event;
	struct engine_metrics metrics; /* the part that is counted as it happens */
};

int64_t real_now_ns(void); /* CLOCK_REALTIME */

/* 0, or ENGINE_BAD: no VM has so much, or so little. */
int engine_check_memory(uint64_t bytes, struct err *err);

/* ---- engine_start.c ---- */
/* The shell is r's from here on: sends START. */
void start_with_shell(struct engine *e, struct record *r, struct shell *shell);
/* Gets r a shell: a ready one, or it waits. */
void start_find_shell(struct engine *e, struct record *r);
/* The flavour that r can have a shell of, as it is now, or -1. */
int start_flavour(const struct engine *e, const struct record *r);

/* ---- engine_net.c ---- */
/* Opens r's net devices, unless a flavour's shells have them, and goes on with start_find_shell. */
void start_open_net(struct engine *e, struct record *r);
/* r gets the devices that shell has. 0 or -ENOMEM. */
int start_take_net(struct record *r, const struct shell *shell);
/* Opens the devices of a flavour for a shell; then pool_spawn is called, or it has failed.
 * 0 or -errno and a message. */
int shell_open_net(struct engine *e, struct shell *shell, const char *key, struct err *err);
/* What they are, for SPAWN. */
unsigned shell_net_handed(const struct shell *shell, const struct net_handed **handed);
const char *shell_net_key(const struct shell *shell); /* struct flavour.net */
/* SPAWN has been sent: our descriptors of them go. */
void shell_net_sent(struct shell *shell);
void shell_net_drop(struct shell *shell);
/* A start that cannot be done: its done is called, the VM is EXITED. */
void start_failed(struct engine *e, struct record *r, int failure, const struct err *err);
/* Takes r out of whatever it waits in. */
void start_unqueue(struct engine *e, struct record *r);

/* ---- engine_pool.c ---- */
/* The flavour that the shell counts for, or -1: it is made for one VM, or has none any more. */
int shell_flavour(const struct engine *e, const struct shell *shell);
int pool_open(struct engine *e, struct err *err);
void pool_close(struct engine *e);
/* The shell's net devices are open: SPAWN. */
void pool_spawn(struct engine *e, struct shell *shell);
/* What is to be made, made; what is too much, ended. Called before each sleep. */
void pool_run(void *engine);
void pool_shell_ready(struct engine *e, struct shell *shell);
/* A shell did not become ready: a message, and the errno behind it, or 0. */
void pool_shell_failed(struct engine *e, struct shell *shell, const struct err *err, int errnum);
/* No shells can be made now: all who wait for one hear why. */
void pool_fail_waiting(struct engine *e, const struct err *err);
/* A ready shell is gone. */
void pool_shell_lost(struct engine *e, struct shell *shell);
/* A ready shell of the flavour for a start, taken out of its list; NULL: none was there. */
struct shell *pool_ready_shell(struct engine *e, int flavour);
/* Has the timers running that there is need for. */
void pool_watch(struct engine *e);

/* ---- engine_zygote.c ---- */
int zygote_open(struct engine *e, struct err *err);
/* Begins its end, and with it that of all shells; the loop will tell. */
void zygote_end(struct engine *e);
/* Ends it and waits until all are gone. */
void zygote_close(struct engine *e);
/* 0; -EAGAIN: later; else -errno and a message. The descriptors stay the caller's. */
int zygote_spawn(struct engine *e, const struct shell *shell, const int *cgroup, int ncgroups,
		 struct err *err);
void zygote_kill(struct engine *e, struct shell *shell, int signal);

/* ---- engine_news.c ---- */
int news_open(struct engine *e, struct err *err);
void news_close(struct engine *e);
/* Reads at most that many messages (about) and acts on them. */
void news_read(struct engine *e, unsigned most);

/* ---- engine_end.c ---- */
/* reason: NULL, or text to be copied. failure and err: for who waits for its start, if it was
 * not started yet; 0 and NULL: a conflict. */
struct vm_ended {
	enum news_end end;
	int exit_code, signal;
	const char *reason;
	int failure;
	const struct err *err;
};
/* The VM is EXITED. Its record may be gone afterwards, unless it is held. */
void vm_end(struct engine *e, struct record *r, const struct vm_ended *how);
/* The same for a failure of ours, or of its process. */
void vm_end_failed(struct engine *e, struct record *r, const char *reason);
void vm_ended_by_news(struct engine *e, struct record *r, const struct news_item *item);
/* The guest has begun, as it says. */
void vm_booted(struct engine *e, struct record *r, uint64_t boot_tsc);
/* A shell's process has ended (status as of waitpid; or all have, with the zygote: why) */
void shell_gone(struct engine *e, struct shell *shell, const char *why);
/* Ends it, whatever it does. */
void shell_discard(struct engine *e, struct shell *shell);
void record_remove(struct engine *e, struct record *r);

/* ---- engine_wait.c ---- */
void waiters_call(struct engine *e, struct record *r);

/* ---- engine_ask.c ---- */
struct ask;
enum ask_kind { ASK_STATE, ASK_STATS, ASK_INPUT };
/* Sends op, and calls done when it was answered. 0, or an enum engine_failure. */
int ask_send(struct engine *e, struct record *r, enum ask_kind kind, enum shell_op op, uint64_t arg,
	     const void *data, size_t bytes, engine_done *done, void *done_arg, struct err *err);
/* The answer to all of that kind. */
void ask_answered(struct engine *e, struct record *r, enum ask_kind kind, int failure,
		  const struct err *err);
bool ask_pending(const struct record *r, enum ask_kind kind);
/* It ends: they all fail. */
void asks_fail(struct engine *e, struct record *r);
/* 0, or ENGINE_CONFLICT: it does not run. */
int vm_must_run(const struct record *r, struct err *err);
/* NEWS_STATE, NEWS_STATS. False: nobody asked. */
bool ask_take_state(struct engine *e, struct record *r, uint64_t state);
bool ask_take_stats(struct engine *e, struct record *r, const struct news_item *item);

/* ---- engine_input.c ---- */
/* What did not fit into START of its input, from s. 0 or -ENOMEM. */
int input_keep_rest(struct record *r, const struct start *s);
void input_begin(struct engine *e, struct record *r);
void input_drop(struct engine *e, struct record *r);
bool input_take_news(struct engine *e, struct record *r, uint64_t taken);

/* ---- engine_signal.c ---- */
void stop_cancel(struct engine *e, struct record *r);

/* ---- engine_events.c ---- */
int events_open(struct engine *e, struct err *err);
void events_close(struct engine *e);
/* r NULL: of no VM. */
void event_tell(struct engine *e, const char *type, const struct record *r, const char *detail);

/* ---- engine_metrics.c ---- */
void metrics_count_us(struct engine_histogram *h, uint64_t us);
void metrics_count_end(struct engine *e, const struct record *r);

#endif
