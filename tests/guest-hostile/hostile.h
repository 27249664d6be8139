/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hostile.h: what a program in a VM can get at besides its own memory: the pages of the
 * contract at their fixed addresses, and ring 0 by way of the library kernel's gate.
 */
#ifndef HOSTILE_H
#define HOSTILE_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../noxs/noxs.h"

#define MS 1000000ull

static volatile struct noxs_control *const control = (void *)NOXS_GVA_CONTROL;
static const volatile struct noxs_page *const page = (void *)NOXS_GVA_NOXS;
static volatile uint64_t *const bell = (void *)NOXS_GVA_DOORBELL;

/* A plain mov: what KVM emulates everywhere. */
static inline void ring(unsigned slot, uint64_t value)
{
	__asm__ volatile("movq %1, %0" : "=m"(bell[slot]) : "r"(value) : "memory");
}

static inline uint64_t mono_ns(void)
{
	uint32_t low, high;
	uint64_t tsc;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
	tsc = (uint64_t)high << 32 | low;
	return page->clock.mono_ns +
	       (uint64_t)((unsigned __int128)(tsc - page->clock.tsc_base) * page->clock.mult >>
			  page->clock.shift);
}

static inline uint64_t number(int argc, char **argv, int i)
{
	return i < argc ? strtoull(argv[i], NULL, 0) : 0;
}

/* Which of the attacks that a program has: its first argument. */
static inline int is(char **argv, const char *name)
{
	return argv[1] && !strcmp(argv[1], name);
}

static inline int unknown_attack(char **argv)
{
	fprintf(stderr, "no attack %s\n", argv[1] ? argv[1] : "");
	return 99;
}

/* All of it, even where the kernel's state is damaged: to the ring, past the kernel. */
static inline void say(const char *text)
{
	volatile struct noxs_ring *r = &control->console.ring[NOXS_STDOUT];
	volatile char *bytes = (void *)page->device[0].config[2 * NOXS_STDOUT];
	uint32_t tail = r->tail;

	for (; *text; text++)
		bytes[tail++ % NOXS_STDOUT_BYTES] = *text;
	__atomic_store_n(&r->tail, tail, __ATOMIC_RELEASE);
}

/* ---- ring 0 ---- */

/* uk_gate: mov %rdx,%rcx; ud2; ret. It copies n words at ring 0, with CR0.WP clear. */
static inline void gate(uint64_t dst, const void *src, uint64_t words)
{
	static const uint8_t code[] = {0x48, 0x89, 0xd1, 0x0f, 0x0b, 0xc3};
	const struct noxs_kernel *k = (void *)NOXS_GVA_KERNEL;
	const uint8_t *text = (void *)k;
	static void (*found)(uint64_t, const void *, uint64_t);

	for (uint32_t i = 0; !found && i + sizeof(code) <= k->rodata_off; i++)
		if (!memcmp(text + i, code, sizeof(code)))
			found = (void *)(text + i);
	if (!found) {
		fputs("no gate in the library kernel\n", stderr);
		exit(98);
	}
	found(dst, src, words);
}

static inline void poke(uint64_t dst, uint64_t value)
{
	gate(dst, &value, 1);
}

#define IDT (NOXS_GVA_MACHINE + 0x100)

/* Lets int3 end up in code at ring 0 (with vector 3's IST stack). */
static inline void take_ring0(void (*code)(void))
{
	uint64_t at = (uint64_t)code;
	uint64_t entry[2] = {(at & 0xffff) | NOXS_SEL_KCODE << 16 | 1ull << 32 | 0xeeull << 40 |
				     (at >> 16 & 0xffff) << 48,
			     at >> 32};

	gate(IDT + 3 * 16, entry, 2);
}

#endif
