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

struct kvm_cpuid2;

#define HOST_MAX_CPUID 128

struct host {
	int run_dir;  /* descriptor of the run directory, or -1: nothing is kept */
	bool fresh;   /* true: nothing was kept, this was asked just now */
	bool reaps;   /* orphans are reaped here: see end.h */
	uint32_t tsc_khz;
	uint32_t xsave_bytes;
	uint64_t xcr0;
	uint8_t cpuid[8 + HOST_MAX_CPUID * 40] __attribute__((aligned(8))); /* struct kvm_cpuid2 */
};

/* Path of the run directory: $MAYFLY_RUN_DIR, /run/mayfly for root, $XDG_RUNTIME_DIR/mayfly,
 * or /tmp/mayfly-UID. Static storage. */
const char *host_run_dir(void);

/* Opens the run directory, made with mode 0700 if it is not there. A descriptor, or -1 if
 * it cannot be had or belongs to somebody else: then nothing is cached. */
int host_open_run_dir(void);

/* Fills host for the open /dev/kvm: from the run directory, or by asking KVM. */
int host_load(struct host *host, int kvm, struct err *err);

#endif
