/* SPDX-License-Identifier: Apache-2.0 */
/*
 * density.h: between density.c, which raises the number of what is alive and measures, and
 * those who start it: density_vm.c (VMs, by the daemon) and density_command.c (processes and
 * containers, by commands).
 *
 * What is started is answer.c; each has a number, from 0.
 */
#ifndef MAYFLY_BENCH_DENSITY_H
#define MAYFLY_BENCH_DENSITY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct start_sample {
	uint64_t call_ns; /* until the request is answered, the command done */
	uint64_t boot_ns; /* request until the program's first instruction; 0: not known */
};

/* What can be alive in great number. One at a time; its state is the file's. */
struct kind {
	/* Starts from..to-1, as fast as it goes; progress(n) is called now and then with the
	 * number that is alive and ends it by returning false. The number that is alive after
	 * it; less than to: *why says why, unless progress did it. */
	unsigned (*grow)(unsigned from, unsigned to, bool (*progress)(unsigned), const char **why);
	/* Waits until a start would meet a machine at rest. False: others do not rest. */
	bool (*rest)(void);
	void (*start)(unsigned i, struct start_sample *sample);
	/* Ends what start has started: from..to-1. */
	void (*end)(unsigned from, unsigned to);
	/* A program that prints a line and ends, start to end. NULL: there is none. */
	uint64_t (*hello)(void);
	/* Sends a line to each of n and reads its answer. How many gave the right one. */
	unsigned (*answers)(unsigned n, bool (*progress)(unsigned));
	/* CPU time so far of all that is ours but this process, in ns; 0: not known. */
	uint64_t (*cpu_ns)(void);
	/* Waits until nothing of what was alive is left; what is, as a number. */
	unsigned (*left)(void);
};

/* The daemon's socket and process; the programs; the run directory, where its sockets are. */
const struct kind *density_vm(const char *socket, pid_t daemon, const char *program,
			      const char *hello, const char *run_dir, unsigned most);

/*
 * Commands are words separated by a space each, @ in them stands for the number. start gets
 * the program's stdin and stdout. detached: it returns, and the program goes on; otherwise it
 * is the program, and is ended by its PID. ask: gets a line on its stdin and passes it on, and
 * the answer to its stdout; it is killed then. NULL: the program's own stdin does it.
 * dir: for FIFOs.
 */
struct density_commands {
	const char *start, *ask, *end, *hello, *dir;
	bool detached;
};
const struct kind *density_commands(const struct density_commands *commands, unsigned most);

#endif
