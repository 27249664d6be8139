/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shell.h: a shell: a VM's process that is ready before there is a program.
 *
 * Everything that does not depend on the program is paid ahead: VM and vCPU, RAM, machine
 * state, library kernel (it has booted and stands at its PARK doorbell), jail. START then
 * costs a mapping, some page-table entries, the arguments and KVM_RUN. Messages: wire.h.
 */
#ifndef MAYFLY_SHELL_H
#define MAYFLY_SHELL_H

#include "console.h"
#include "run.h"
#include "wire.h"

/* What the zygote has for all its shells. */
struct shell_world {
	const struct host *host;
	int kvm;     /* /dev/kvm */
	int news;    /* the daemon's news socket */
	int run_dir; /* the daemon's directory: shell/ and log/ are in it */
	bool jail;
};

/*
 * The life of a shell, in a process of its own that the zygote has just forked. fd: nfds
 * descriptors, of cgroup.procs files to join, and behind them those of the net devices, of
 * which request->nnet say more. What fails before READY is told by NEWS_FAILED. Does not return.
 */
_Noreturn void shell_main(const struct shell_world *world, const struct zygote_request *request,
			  const struct wire_net *net, const int *fd, unsigned nfds);

/* How many descriptors come with n net devices. */
unsigned shell_net_fds(const struct wire_net *net, unsigned n);

/* ---- between shell.c, shell_start.c and shell_output.c ---- */

/* With one START: image, streams, arguments, and those of net devices. */
#define SHELL_MAX_FDS (5 + NOXS_NET_MAX * (1 + NET_WIRE_FDS))
#define SHELL_STRINGS 64 /* arguments and variables that need no allocation */

/* Where output goes that is not a descriptor's: into news, or the log. */
struct shell_output {
	uint64_t limit;                /* of a captured stream, or of the log's file */
	uint64_t taken[NOXS_NSTREAMS]; /* captured */
	uint64_t log_bytes;            /* written to the log, with the frames' heads */
	uint64_t lost;
	uint32_t truncated; /* bit per stream */
	bool log_full;
	uint32_t held[NOXS_NSTREAMS]; /* bytes in kept: what EXIT will carry */
	uint8_t kept[NOXS_NSTREAMS][8192];
};

struct shell {
	uint64_t number;
	int control, news, log; /* log: -1 where there is none */
	const struct host *host;
	struct vm vm;
	struct guest guest;
	struct console console;
	struct image image;
	unsigned nnet; /* net devices that it has already */
	struct shell_output output;
	bool jailed;
	uint64_t received_tsc;
	char *strings[SHELL_STRINGS];
	char message[WIRE_MAX_BYTES]; /* START: its strings are used until the end */
};

/* One message to the daemon: head, then the parts. */
void shell_tell(const struct shell *s, uint32_t type, uint64_t arg, const void *data, size_t bytes);

/* The same with up to five parts. */
struct iovec;
void shell_tell_parts(const struct shell *s, uint32_t type, uint64_t arg, struct iovec *part,
		      int nparts);

/* START, as it was received into s->message: runs the program to its end and tells of it. */
void shell_start(struct shell *s, size_t bytes, const int *fd, unsigned nfds);

/* The net device that came with fd (n of them are left; taken off the front): made the VM's
 * next one, and configured. 0 or -errno with a message. */
struct wire_net;
int shell_net_add(struct shell *s, const struct wire_net *net, const int **fd, unsigned *n,
		  struct err *err);
/* Their counters; how many. */
unsigned shell_net_counters(const struct shell *s, struct news_net *net);

/* Sinks for struct console: capture keeps or tells, log writes frames. arg is the shell. */
ssize_t shell_capture(void *arg, int stream, const void *data, size_t bytes);
ssize_t shell_log(void *arg, int stream, const void *data, size_t bytes);

#endif
