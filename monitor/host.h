/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host.h: what mayfly learns of a machine once and keeps in its run directory.
 *
 * Asking KVM for the supported CPUID takes 0.3 ms on a cloud machine, half a cold start:
 * the answer is kept until the next boot or change of /dev/kvm.
 */
#ifndef MAYFLY_HOST_H
#define MAYFLY_HOST_H

#include <stdbool.h>
#include <stdint.h>

#include "err.h"

#define HOST_MAX_CPUID 128

/* As it stands in the run directory's file `host`, which is ours alone (0700). */
struct host_facts {
	uint32_t version;
	uint32_t tsc_khz;
	/* It holds for this boot and this /dev/kvm (made anew when a KVM module is loaded). */
	int64_t boot_s;
	uint64_t kvm_ino;
	int64_t kvm_ctime_s, kvm_ctime_ns;
	uint64_t xcr0;
	uint32_t xsave_bytes;
	uint32_t pad;
	/* struct kvm_cpuid2: nent, padding, entries of 40 bytes */
	struct {
		uint32_t nent, pad;
		uint8_t entries[HOST_MAX_CPUID][40];
	} cpuid;
};

struct host {
	int run_dir; /* descriptor of the run directory, or -1: nothing is kept */
	int exe;     /* descriptor of our own executable, or -1: it is opened where needed */
	bool reaps;  /* orphans are reaped here: see end.h */
	struct host_facts facts;
};

/* Path of the run directory: $MAYFLY_RUN_DIR, /run/mayfly for root, $XDG_RUNTIME_DIR/mayfly,
 * or /tmp/mayfly-UID. Static storage. */
const char *host_run_dir(void);

/* Opens the run directory, made with mode 0700 if it is not there. A descriptor, or -1 if
 * it cannot be had or belongs to somebody else: then nothing is cached. */
int host_open_run_dir(void);

/* Fills host for the open /dev/kvm: from the run directory (run_dir, -1: none), or by asking
 * KVM. */
int host_load(struct host *host, int kvm, int run_dir, struct err *err);

#endif
