/* SPDX-License-Identifier: Apache-2.0 */
/* madvise.c: what a program says of its memory and asks about it; figures and maps. */
#include <linux/mman.h>

#include "frames.h"
#include "mm.h"
#include "vfs.h"

/* What MADV_DONTNEED does with a page. */
enum fate { NOTHING, UNMAP, ZERO };

/*
 * Mostly the page goes and comes back, as zero or from its file, when it is touched. But
 * the monitor's frames cannot be used again: heap, stack and bss are zeroed in place, and
 * what is from the program's own file stays, for that is not here to be read again.
 */
static enum fate fate_of(const struct uk_area *a, uint64_t page, uint64_t gpa)
{
	if (!gpa)
		return NOTHING;
	if (a->shared || uk_frames_owned(gpa) || !a->kind)
		return UNMAP;
	for (uint32_t i = 0; i < UK_NOXS->nregions; i++) {
		const struct noxs_region *r = &UK_NOXS->region[i];

		/* The frames of bss are elsewhere than behind those of the file. */
		if (r->kind != NOXS_REGION_HEAP && r->kind != NOXS_REGION_STACK &&
		    page >= r->start && page < r->end && gpa == r->gpa + (page - r->start))
			return NOTHING;
	}
	return a->prot & NOXS_W ? ZERO : UNMAP;
}

static long drop_in(const struct uk_area *a, uint64_t start, uint64_t end)
{
	for (uint64_t p = start, next; p < end; p = next) {
		uint64_t gpa;
		size_t n = uk_pt_run(p, (end - p) / NOXS_PAGE, &gpa);
		enum fate fate = fate_of(a, p, gpa);
		long err = 0;

		next = p + (gpa ? 1 : n) * NOXS_PAGE;
		for (; gpa && next < end; next += NOXS_PAGE) {
			uk_pt_run(next, 1, &gpa);
			if (fate_of(a, next, gpa) != fate)
				break;
		}
		if (fate == ZERO)
			err = uk_zero_out(p, next - p);
		else if (fate == UNMAP)
			err = uk_pt_unmap(p, (next - p) / NOXS_PAGE);
		if (err)
			return err;
	}
	return 0;
}

static long drop(uint64_t start, uint64_t end, bool only_anonymous)
{
	long hole = 0;

	for (uint64_t p = start; p < end;) {
		size_t i = uk_area_find(p);
		struct uk_area *a = i < uk_nareas ? &uk_areas[i] : NULL;
		uint64_t until;
		long err;

		if (!a || a->start > p)
			hole = -ENOMEM; /* the rest is done all the same */
		if (!a || a->start >= end)
			break;
		if (only_anonymous && a->node)
			return -EINVAL;
		until = uk_min(end, a->end);
		err = drop_in(a, uk_max(p, a->start), until);
		if (err)
			return err;
		p = until;
	}
	return hole;
}

UK_SYSCALL(madvise)
{
	uint64_t end = a + UK_ALIGN_UP(b);
	long err;

	uk_mm_ready();
	if ((a & (NOXS_PAGE - 1)) || end < a)
		return -EINVAL;
	switch ((int)c) {
	case MADV_DONTNEED:
	case MADV_FREE:
		err = drop(a, end, (int)c == MADV_FREE);
		uk_frames_give_back();
		return err;
	case MADV_NORMAL:
	case MADV_RANDOM:
	case MADV_SEQUENTIAL:
	case MADV_WILLNEED:
	case MADV_HUGEPAGE:
	case MADV_NOHUGEPAGE:
	case MADV_DONTDUMP:
	case MADV_DODUMP:
	case MADV_DONTFORK:
	case MADV_DOFORK:
	case MADV_MERGEABLE:
	case MADV_UNMERGEABLE:
	case MADV_COLD:
	case MADV_PAGEOUT:
		return 0;
	}
	return -EINVAL;
}

UK_SYSCALL(mincore)
{
	uint64_t end = a + UK_ALIGN_UP(b), gpa;
	uint8_t byte;

	if ((a & (NOXS_PAGE - 1)))
		return -EINVAL;
	if (end < a)
		return -ENOMEM;
	for (uint64_t p = a; p < end; p += NOXS_PAGE) {
		if (!uk_area_of(p))
			return -ENOMEM;
		uk_pt_run(p, 1, &gpa);
		byte = gpa != 0;
		if (uk_copy_out(c + (p - a) / NOXS_PAGE, &byte, 1))
			return -EFAULT;
	}
	return 0;
}

/* Nothing is ever paged out: memory is locked as it is, and files are in memory. */
static long all_mapped(uint64_t start, uint64_t bytes)
{
	uint64_t end = UK_ALIGN_UP(start + bytes);

	if (end < start)
		return -EINVAL;
	for (uint64_t p = UK_ALIGN_DOWN(start); p < end;) {
		struct uk_area *a = uk_area_of(p);

		if (!a)
			return -ENOMEM;
		p = a->end;
	}
	return 0;
}

UK_SYSCALL(msync)
{
	if ((a & (NOXS_PAGE - 1)) || (c & ~7ull) || (c & 5) == 5) /* MS_ASYNC and MS_SYNC */
		return -EINVAL;
	return all_mapped(a, b);
}

UK_SYSCALL(mlock)
{
	return all_mapped(a, b);
}

UK_SYSCALL(mlock2)
{
	return c & ~1ull ? -EINVAL : all_mapped(a, b);
}

UK_SYSCALL(munlock)
{
	return all_mapped(a, b);
}

UK_SYSCALL(mlockall)
{
	return 0;
}

UK_SYSCALL(munlockall)
{
	return 0;
}

size_t uk_mm_maps(char *buf, size_t size)
{
	static const char *const names[] = {
		[0] = "",
		[NOXS_REGION_IMAGE] = NULL,
		[NOXS_REGION_STUBS] = "[stubs]",
		[NOXS_REGION_HEAP] = "[heap]",
		[NOXS_REGION_STACK] = "[stack]",
	};
	static char path[UK_PATH_MAX];
	size_t len = 0;

	uk_mm_ready();
	for (size_t i = 0; i < uk_nareas; i++) {
		const struct uk_area *a = &uk_areas[i];
		const char *name = names[a->kind] ? names[a->kind] : UK_NOXS->exe;

		if (a->node && uk_node_path(a->node, path, sizeof(path)) > 0)
			name = path;
		len += (size_t)uk_snprintf(
			len < size ? buf + len : NULL, len < size ? size - len : 0,
			"%08lx-%08lx %c%c%c%c %08lx 00:%02x %lu %s%s\n", a->start, a->end,
			a->prot & NOXS_R ? 'r' : '-', a->prot & NOXS_W ? 'w' : '-',
			a->prot & NOXS_X ? 'x' : '-', a->shared ? 's' : 'p', a->off,
			a->node ? a->node->fs : 0, a->node ? a->node->ino : 0,
			*name ? "                  " : "", name);
	}
	return len;
}

void uk_mm_usage(uint64_t *total, uint64_t *free, uint64_t *mapped)
{
	uk_mm_ready();
	*total = UK_NOXS->ram_bytes;
	*free = uk_pages_left() * NOXS_PAGE;
	*mapped = 0;
	for (size_t i = 0; i < uk_nareas; i++)
		*mapped += uk_areas[i].end - uk_areas[i].start;
}
