/* SPDX-License-Identifier: Apache-2.0 */
/* x86_cpuid.h: the CPUID leaves that a guest sees. */
#ifndef MAYFLY_X86_CPUID_H
#define MAYFLY_X86_CPUID_H

#include <stdint.h>

#include "err.h"

struct kvm_cpuid2;

/* Hides from the supported leaves what a guest may not use or what names this host's core
 * (and would differ after a move). Finds the XCR0 to set and the size of its XSAVE area.
 * -ENOTSUP if the CPU lacks what mayfly's guests need. */
int cpuid_filter(struct kvm_cpuid2 *cpuid, uint64_t *xcr0, uint32_t *xsave_bytes, struct err *err);

#endif
