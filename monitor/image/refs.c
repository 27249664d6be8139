/* SPDX-License-Identifier: Apache-2.0 */
/*
 * refs.c: scans a program for references to the inside of patched windows; see refs.h.
 *
 * What could name such an address, with the base of a PIE unknown:
 *  - rel32 of a jmp, call, jcc, xbegin or lea: the target is the end of the field plus it
 *    (these instructions have nothing behind the field);
 *  - rel8 of a jmp, jcc, loop: the byte before it is the opcode;
 *  - an absolute address: 4 bytes (8-byte ones start with the same 4) in a program with a
 *    fixed address; in a PIE 8 aligned bytes, for RELA addends and RELR slots are aligned.
 * Jump tables with entries relative to the table are not found here: the function that
 * uses one has an indirect jump, and only windows of one instruction are made in it.
 */
#include <emmintrin.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "refs.h"

/* One bit for each address in [lo, lo + span) that lies inside a window. */
struct inside {
	uint64_t lo, span;
	uint64_t *bit;
};

static bool is_inside(const struct inside *in, uint64_t addr)
{
	const uint64_t off = addr - in->lo;

	return off < in->span && in->bit[off / 64] >> (off % 64) & 1;
}

int refs_drop_at(struct patch *patch, size_t n, uint64_t addr)
{
	size_t lo = 0, hi = n;

	while (lo < hi) { /* the last patch that starts below addr */
		size_t mid = lo + (hi - lo) / 2;

		if (patch[mid].start < addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (!lo || addr - patch[lo - 1].start >= patch[lo - 1].window || patch[lo - 1].dropped)
		return 0;
	patch[lo - 1].dropped = true;
	return 1;
}

/*
 * Which of the 16 bytes b[0..16) end an opcode that a rel32 follows? Reads b[-1], too.
 * As a bit mask: this looks at all of a program's text, most of which is something else.
 */
static unsigned int rel32_opcodes(const uint8_t *b)
{
	const __m128i last = _mm_loadu_si128((const __m128i *)(const void *)b);
	const __m128i before = _mm_loadu_si128((const __m128i *)(const void *)(b - 1));
#define IS(v, byte)     _mm_cmpeq_epi8(v, _mm_set1_epi8((char)(byte)))
#define MASKED(v, mask) _mm_and_si128(v, _mm_set1_epi8((char)(mask)))
	/* call and jmp are e8 and e9; jcc 0f 8x; xbegin c7 f8; lea rel32(%rip) 8d mod 0 rm 5 */
	const __m128i call = IS(MASKED(last, 0xfe), 0xe8);
	const __m128i jcc = _mm_and_si128(IS(before, 0x0f), IS(MASKED(last, 0xf0), 0x80));
	const __m128i xbegin = _mm_and_si128(IS(before, 0xc7), IS(last, 0xf8));
	const __m128i lea = _mm_and_si128(IS(before, 0x8d), IS(MASKED(last, 0xc7), 0x05));
#undef IS
#undef MASKED
	return (unsigned int)_mm_movemask_epi8(
		_mm_or_si128(_mm_or_si128(call, jcc), _mm_or_si128(xbegin, lea)));
}

static int scan_relative(const struct elf_plan *plan, const struct elf_load *load,
			 const struct inside *in, struct patch *patch, size_t n)
{
	const uint8_t *bytes = plan->elf + load->off;
	int dropped = 0;

	for (uint64_t i = 0; i + 4 < load->file_bytes; i += 16) {
		uint8_t edge[17] = {0};
		unsigned int mask;

		if (i && load->file_bytes - i >= 16) {
			mask = rel32_opcodes(bytes + i);
		} else { /* the first and last block: nothing precedes or follows */
			uint64_t room = load->file_bytes - i;

			memcpy(edge + 1, bytes + i, room < 16 ? room : 16);
			edge[0] = i ? bytes[i - 1] : 0;
			mask = rel32_opcodes(edge + 1);
		}
		for (; mask; mask &= mask - 1) {
			uint64_t field = i + (unsigned int)__builtin_ctz(mask) + 1;
			int32_t v;

			if (field + 4 > load->file_bytes)
				break;
			memcpy(&v, bytes + field, sizeof(v));
			uint64_t target = load->vaddr + field + 4 + (uint64_t)(int64_t)v;

			if (is_inside(in, target))
				dropped += refs_drop_at(patch, n, target);
		}
	}
	return dropped;
}

/*
 * 4-byte values at any offset. 16 offsets at a time, for this reads the whole program:
 * four vectors, shifted by a byte each. Only the low half of an address is compared here.
 */
typedef uint32_t v4u __attribute__((vector_size(16)));
typedef uint64_t v2u __attribute__((vector_size(16)));

static bool may_hold(const uint8_t *b, uint32_t lo, uint32_t span)
{
	v4u any = {0};

	for (int shift = 0; shift < 4; shift++) {
		v4u v;

		memcpy(&v, b + shift, sizeof(v));
		any |= (v4u)(v - lo < span);
	}
	v2u all = (v2u)any;

	return all[0] | all[1];
}

static int scan_absolute(const struct elf_plan *plan, const struct elf_load *load,
			 const struct inside *in, struct patch *patch, size_t n)
{
	const uint8_t *bytes = plan->elf + load->off;
	const uint64_t end = load->file_bytes;
	int dropped = 0;

	if (in->lo + in->span > UINT32_MAX)
		return 0; /* an address needs 8 bytes: scan_pointers */
	for (uint64_t i = 0; i < end; i += 16) {
		if (i + 19 <= end && !may_hold(bytes + i, (uint32_t)in->lo, (uint32_t)in->span))
			continue;
		for (uint64_t k = i; k < i + 16 && k + 4 <= end; k++) {
			uint32_t v;

			memcpy(&v, bytes + k, sizeof(v));
			if (is_inside(in, v))
				dropped += refs_drop_at(patch, n, v);
		}
	}
	return dropped;
}

/* Whole pointers: of PIEs, and of programs above 4 GiB. */
static int scan_pointers(const struct elf_plan *plan, const struct elf_load *load,
			 const struct inside *in, struct patch *patch, size_t n)
{
	int dropped = 0;

	for (uint64_t i = -load->vaddr & 7; i + 8 <= load->file_bytes; i += 8) {
		uint64_t v;

		memcpy(&v, plan->elf + load->off + i, sizeof(v));
		if (is_inside(in, v))
			dropped += refs_drop_at(patch, n, v);
	}
	return dropped;
}

/*
 * Short branches reach 128 bytes: only the surroundings of each patch are scanned, and of
 * them only what lies outside its function, whose own branches the decoder has listed. A
 * window of a single instruction needs none of this, and would often be dropped by mere
 * chance: an opcode-like byte followed by any other is common.
 */
static int scan_short(const struct elf_plan *plan, struct patch *patch)
{
	const uint64_t first = patch->start - 127 - 2;

	for (uint64_t at = first; at < patch->start + patch->window + 128; at++) {
		if (at >= patch->function && at < patch->function_end)
			continue;
		const uint8_t *b = elf_at(plan, at, 2);

		if (!b || !((b[0] >= 0x70 && b[0] <= 0x7f) || (b[0] >= 0xe0 && b[0] <= 0xe3) ||
			    b[0] == 0xeb))
			continue;
		uint64_t target = at + 2 + (uint64_t)(int64_t)(int8_t)b[1];

		if (target > patch->start && target - patch->start < patch->window) {
			patch->dropped = true;
			return 1;
		}
	}
	return 0;
}

int refs_drop(const struct elf_plan *plan, struct patch *patch, size_t n)
{
	struct inside in = {.lo = UINT64_MAX};
	uint64_t end = 0;
	int dropped = 0;

	for (size_t i = 0; i < n; i++) {
		if (patch[i].single)
			continue;
		if (in.lo == UINT64_MAX)
			in.lo = patch[i].start;
		end = patch[i].start + patch[i].window;
	}
	if (!end)
		return 0;
	in.span = end - in.lo;
	in.bit = calloc(in.span / 64 + 1, sizeof(*in.bit));
	if (!in.bit)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		if (patch[i].single)
			continue;
		for (uint64_t a = patch[i].start + 1; a < patch[i].start + patch[i].window; a++)
			in.bit[(a - in.lo) / 64] |= 1ull << ((a - in.lo) % 64);
	}
	for (uint32_t i = 0; i < plan->nloads; i++) {
		const struct elf_load *load = &plan->load[i];

		if (load->prot & PREPARED_X)
			dropped += scan_relative(plan, load, &in, patch, n);
		if (!plan->pie)
			dropped += scan_absolute(plan, load, &in, patch, n);
		dropped += scan_pointers(plan, load, &in, patch, n);
	}
	for (size_t i = 0; i < n; i++) {
		if (!patch[i].dropped && !patch[i].single)
			dropped += scan_short(plan, &patch[i]);
	}
	free(in.bit);
	return dropped;
}
