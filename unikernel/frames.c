/* SPDX-License-Identifier: Apache-2.0 */
/*
 * frames.c: physical memory: 4 KiB frames of free RAM, kept by blocks of 2 MiB.
 *
 * All zero means all free, so nothing is initialised at boot, and the table is touched
 * where memory is used. It stands at the start of free RAM. A frame that was freed is
 * dirty and zeroed when it is taken again; one that was never used is zero already, and
 * taking it touches nothing.
 */
#include "arch.h"
#include "frames.h"

#define PER_BLOCK 512u
#define GIVE_BACK 2u /* blocks that became free: less is soon taken and zeroed again */

struct block {
	uint64_t used[PER_BLOCK / 64];
	uint64_t dirty[PER_BLOCK / 64];
	uint32_t count; /* used frames */
	uint32_t pad[3];
};

static struct block *blocks;
static size_t nblocks;
static size_t ready; /* blocks, from the first, that the monitor has put memory behind */
static size_t frames_used;
static size_t hint;    /* block where the last frame was found */
static size_t emptied; /* blocks that became free since the last uk_frames_give_back */

static inline bool get(const uint64_t *map, size_t i)
{
	return map[i / 64] >> (i % 64) & 1;
}

/* May the first n blocks be used? The monitor gives more when it is asked, and more than
 * that: this is seldom. */
static bool have(size_t n)
{
	if (__builtin_expect(n <= ready, 1))
		return true;
	if (n > nblocks)
		return false;
	uk_doorbell(NOXS_DB_GROW, n * UK_BLOCK);
	ready = uk_min(UK_NOXS->free_ready / UK_BLOCK, nblocks);
	return n <= ready;
}

static void init(void)
{
	size_t bytes;

	if (!UK_NOXS->free_bytes)
		return; /* a shell, whose program tells where free RAM is */
	nblocks = UK_NOXS->free_bytes / UK_BLOCK;
	ready = uk_min(UK_NOXS->free_ready / UK_BLOCK, nblocks);
	bytes = nblocks * sizeof(struct block);
	while (!have((bytes + UK_BLOCK - 1) / UK_BLOCK)) {
		/* The table must fit: less memory, then. */
		nblocks = ready;
		bytes = nblocks * sizeof(struct block);
	}
	blocks = (struct block *)(NOXS_GVA_LINEAR + UK_NOXS->free_gpa);
	for (size_t i = 0; i < (bytes + NOXS_PAGE - 1) / NOXS_PAGE; i++) {
		struct block *b = &blocks[i / PER_BLOCK];

		b->used[i % PER_BLOCK / 64] |= 1ull << (i % 64);
		b->count++;
		frames_used++;
	}
}

static uint64_t block_gpa(size_t i)
{
	return UK_NOXS->free_gpa + i * UK_BLOCK;
}

/* Marks frames [first, first + n) of block b as used and zeroes those that are dirty. */
static void take(size_t b, size_t first, size_t n)
{
	for (size_t i = first; i < first + n; i++) {
		blocks[b].used[i / 64] |= 1ull << (i % 64);
		if (get(blocks[b].dirty, i)) {
			memset((void *)(NOXS_GVA_LINEAR + block_gpa(b) + i * NOXS_PAGE), 0,
			       NOXS_PAGE);
			blocks[b].dirty[i / 64] &= ~(1ull << (i % 64));
		}
	}
	blocks[b].count += n;
	frames_used += n;
}

/* First run of n free frames in block b, or PER_BLOCK. */
static size_t find_run(const struct block *b, size_t n)
{
	size_t run = 0;

	for (size_t i = 0; i < PER_BLOCK; i++) {
		if (i % 64 == 0 && b->used[i / 64] == ~0ull) {
			run = 0;
			i += 63;
			continue;
		}
		run = get(b->used, i) ? 0 : run + 1;
		if (run == n)
			return i + 1 - n;
	}
	return PER_BLOCK;
}

static uint64_t take_blocks(size_t n)
{
	size_t run = 0, need = (n + PER_BLOCK - 1) / PER_BLOCK;

	for (size_t i = 0; i < nblocks; i++) {
		run = blocks[i].count ? 0 : run + 1;
		if (run < need)
			continue;
		size_t first = i + 1 - need;

		if (!have(i + 1))
			return 0;

		for (size_t b = first; b <= i; b++) {
			size_t part = uk_min(n, (size_t)PER_BLOCK);

			take(b, 0, part);
			n -= part;
		}
		return block_gpa(first);
	}
	return 0;
}

uint64_t uk_frames_take(size_t n)
{
	if (!blocks)
		init();
	if (n == 0)
		return 0;
	if (n >= PER_BLOCK)
		return take_blocks(n);
	/* Blocks already in use first: whole ones are wanted for large pages. */
	for (int pass = 0; pass < 2; pass++) {
		for (size_t k = 0; k < nblocks; k++) {
			size_t b = (hint + k) % nblocks;
			size_t at;

			if (PER_BLOCK - blocks[b].count < n || (pass == 0 && !blocks[b].count))
				continue;
			at = find_run(&blocks[b], n);
			if (at == PER_BLOCK)
				continue;
			if (!have(b + 1))
				return 0;
			take(b, at, n);
			hint = b;
			return block_gpa(b) + at * NOXS_PAGE;
		}
	}
	return 0;
}

void uk_frames_free(uint64_t gpa, size_t n)
{
	size_t at = (gpa - UK_NOXS->free_gpa) / NOXS_PAGE;

	for (size_t i = at; i < at + n; i++) {
		struct block *b = &blocks[i / PER_BLOCK];

		UK_BUG_ON(i / PER_BLOCK >= nblocks || !get(b->used, i % PER_BLOCK));
		b->used[i % PER_BLOCK / 64] &= ~(1ull << (i % 64));
		b->dirty[i % PER_BLOCK / 64] |= 1ull << (i % 64);
		emptied += !--b->count;
		frames_used--;
	}
}

/* A block that is free, but for the host has contents. */
static bool stale(size_t i)
{
	uint64_t dirty = 0;

	if (i >= nblocks || blocks[i].count)
		return false;
	for (size_t k = 0; k < uk_countof(blocks[i].dirty); k++)
		dirty |= blocks[i].dirty[k];
	return dirty;
}

void uk_frames_give_back(void)
{
	struct noxs_discard *d = &UK_CONTROL->discard;
	static bool refused;
	size_t n = emptied;

	if (__builtin_expect(n < GIVE_BACK, 1))
		return;
	emptied = 0;
	for (size_t i = 0; i < nblocks && !refused; i += n + 1) {
		for (n = 0; stale(i + n); n++)
			;
		if (!n)
			continue;
		d->gpa = block_gpa(i);
		d->bytes = n * UK_BLOCK;
		uk_doorbell(NOXS_DB_DISCARD, 0);
		refused = *(volatile uint64_t *)&d->bytes != 0;
		if (!refused)
			uk_frames_discarded(block_gpa(i), n * PER_BLOCK);
	}
}

void uk_frames_discarded(uint64_t gpa, size_t n)
{
	size_t at = (gpa - UK_NOXS->free_gpa) / NOXS_PAGE;

	for (size_t i = at; i < at + n; i++)
		blocks[i / PER_BLOCK].dirty[i % PER_BLOCK / 64] &= ~(1ull << (i % 64));
}

bool uk_frames_owned(uint64_t gpa)
{
	return gpa >= UK_NOXS->free_gpa && gpa < UK_NOXS->free_gpa + nblocks * UK_BLOCK;
}

size_t uk_frames_free_blocks(size_t *total)
{
	size_t n = 0;

	if (!blocks)
		init();
	for (size_t i = 0; i < nblocks; i++)
		n += !blocks[i].count;
	*total = nblocks;
	return n;
}

size_t uk_pages_left(void)
{
	if (!blocks)
		init();
	return nblocks * PER_BLOCK - frames_used;
}

void *uk_pages(size_t n)
{
	uint64_t gpa = uk_frames_take(n);

	return gpa ? (void *)(NOXS_GVA_LINEAR + gpa) : NULL;
}

void uk_pages_free(void *pages, size_t n)
{
	uk_frames_free((uint64_t)pages - NOXS_GVA_LINEAR, n);
}
