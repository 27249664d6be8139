/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mm.c: the program's address space: a sorted array of areas, filled on demand.
 *
 * An area says what may be done where; frames come when a page is touched. A fault costs
 * about 40 us under PVM, so it brings neighbours along: a whole large page where the
 * area covers one and memory is plenty, otherwise up to 32 pages.
 */
#include <asm/errno.h>
#include <linux/mman.h>
#include <linux/fcntl.h>

#include "frames.h"
#include "mm.h"

#define ALIGN_UP(x)   (((x) + NOXS_PAGE - 1) & ~(NOXS_PAGE - 1))
#define ALIGN_DOWN(x) ((x) & ~(NOXS_PAGE - 1))
#define AROUND        32u /* pages */
#define PF_WRITE      2u
#define PF_FETCH      16u

struct area {
	uint64_t start, end;
	uint32_t prot;
	uint32_t kind; /* enum noxs_region_kind, 0 for what the program mapped */
	char *name;    /* file that was mapped, or NULL */
};

static struct area first_areas[32];
static struct area *areas = first_areas;
static size_t nareas, max_areas = uk_countof(first_areas);
static uint64_t brk_now, brk_mapped;
static uint64_t mmap_top;

static void init(void)
{
	uint64_t entropy;

	for (uint32_t i = 0; i < UK_NOXS->nregions; i++) {
		const struct noxs_region *r = &UK_NOXS->region[i];

		areas[nareas++] = (struct area){r->start, r->end, r->prot, r->kind, NULL};
		if (r->kind == NOXS_REGION_HEAP) {
			/* mapped ahead: the area is what brk has asked for so far, nothing */
			areas[nareas - 1].end = r->start;
			brk_mapped = r->end;
		}
	}
	brk_now = UK_NOXS->brk;
	uk_random(&entropy, sizeof(entropy));
	mmap_top = NOXS_GVA_MMAP_MAX - (entropy & 0x1ffffff) * NOXS_PAGE;
}

static inline void ready(void)
{
	if (__builtin_expect(!nareas, 0))
		init();
}

/* Index of the first area that ends above address. */
static size_t find(uint64_t address)
{
	size_t lo = 0, hi = nareas;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (areas[mid].end <= address)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static struct area *area_of(uint64_t address)
{
	size_t i;

	ready();
	i = find(address);
	return i < nareas && areas[i].start <= address ? &areas[i] : NULL;
}

static long insert(size_t at, struct area a)
{
	if (nareas == max_areas) {
		struct area *more = uk_alloc(2 * max_areas * sizeof(*more));

		if (!more)
			return -ENOMEM;
		memcpy(more, areas, nareas * sizeof(*more));
		if (areas != first_areas)
			uk_free(areas);
		areas = more;
		max_areas *= 2;
	}
	memmove(areas + at + 1, areas + at, (nareas - at) * sizeof(*areas));
	areas[at] = a;
	nareas++;
	return 0;
}

static void remove_area(size_t at)
{
	uk_free(areas[at].name);
	memmove(areas + at, areas + at + 1, (--nareas - at) * sizeof(*areas));
}

static char *copy_name(const char *name)
{
	char *new = name ? uk_alloc(strlen(name) + 1) : NULL;

	return new ? memcpy(new, name, strlen(name) + 1) : NULL;
}

/* Makes address a border between areas. */
static long split(uint64_t address)
{
	struct area *a = area_of(address), tail;
	size_t at = (size_t)(a - areas);
	long err;

	if (!a || a->start == address)
		return 0;
	tail = *a;
	tail.start = address;
	tail.name = copy_name(a->name);
	err = insert(at + 1, tail); /* which may move the array */
	if (err)
		uk_free(tail.name);
	else
		areas[at].end = address;
	return err;
}

static bool alike(const struct area *a, const struct area *b)
{
	return a->end == b->start && a->prot == b->prot && a->kind == b->kind && !a->name && !b->name;
}

/* Joins areas around [start, end] that say the same. */
static void merge(uint64_t start, uint64_t end)
{
	size_t i = find(start ? start - 1 : 0);

	while (i + 1 < nareas && areas[i].start <= end) {
		if (alike(&areas[i], &areas[i + 1])) {
			areas[i].end = areas[i + 1].end;
			remove_area(i + 1);
		} else {
			i++;
		}
	}
}

bool uk_mm_mapped(uint64_t address)
{
	return area_of(address);
}

bool uk_mm_allowed(uint64_t address, uint64_t error)
{
	struct area *a = area_of(address);

	if (!a || !a->prot)
		return false;
	if (error & PF_WRITE)
		return a->prot & NOXS_W;
	return !(error & PF_FETCH) || (a->prot & NOXS_X);
}

/* Can the large page around address be one of this area? The heap's may reach beyond it. */
static bool block_fits(const struct area *a, uint64_t block)
{
	size_t next = (size_t)(a - areas) + 1;

	if (block < a->start)
		return false;
	if (block + UK_BLOCK <= a->end)
		return true;
	return a->kind == NOXS_REGION_HEAP &&
	       (next == nareas || areas[next].start >= block + UK_BLOCK) &&
	       block + UK_BLOCK <= NOXS_GVA_USER_END;
}

long uk_mm_fault(uint64_t address, uint64_t error)
{
	struct area *a = area_of(address);
	uint64_t page = ALIGN_DOWN(address), block = address & ~(UK_BLOCK - 1), start, end, gpa;
	size_t total, blocks, around = AROUND, n;

	if (!uk_mm_allowed(address, error))
		return -EFAULT;
	n = uk_pt_run(page, 1, &gpa);
	if (gpa) /* another look is all it takes: the translation was cached */
		return uk_pt_protect(page, 1, a->prot);
	UK_CONTROL->stats.faults++;
	blocks = uk_frames_free_blocks(&total);
	if (blocks > total / 4 && block_fits(a, block)) {
		gpa = uk_frames_take(512);
		if (gpa) {
			if (!uk_pt_map_block(block, gpa, a->prot))
				return 0;
			uk_frames_free(gpa, 512);
			uk_frames_discarded(gpa, 512); /* untouched */
		}
	}
	if (uk_pages_left() < total * 512 / 16)
		around = 1;
	start = uk_max(page & ~(around * NOXS_PAGE - 1), a->start);
	end = uk_min((page & ~(around * NOXS_PAGE - 1)) + around * NOXS_PAGE, a->end);
	/* From the last mapped page before to the first mapped one after. */
	for (uint64_t p = start; p < page; p += n * NOXS_PAGE) {
		n = uk_pt_run(p, (page - p) / NOXS_PAGE, &gpa);
		if (gpa)
			start = p + n * NOXS_PAGE;
	}
	n = uk_pt_run(start, (end - start) / NOXS_PAGE, &gpa);
	gpa = uk_frames_take(n);
	if (!gpa) {
		start = page;
		n = 1;
		gpa = uk_frames_take(1);
	}
	if (!gpa)
		return -ENOMEM;
	if (uk_pt_map(start, gpa, n, a->prot)) {
		uk_frames_free(gpa, n);
		return -ENOMEM;
	}
	return 0;
}

static bool in_user(uint64_t start, uint64_t bytes)
{
	if (start >= NOXS_GVA_STACK_TOP - NOXS_STACK_BYTES)
		return start <= NOXS_GVA_STACK_TOP && bytes <= NOXS_GVA_STACK_TOP - start;
	return start >= NOXS_GVA_MIN && start <= NOXS_GVA_USER_END &&
	       bytes <= NOXS_GVA_USER_END - start;
}

/* Highest gap of that size below mmap_top, large-page aligned where that may help. */
static uint64_t find_gap(uint64_t bytes)
{
	uint64_t align = bytes >= UK_BLOCK ? UK_BLOCK : NOXS_PAGE, top = mmap_top;
	size_t i = find(mmap_top);

	for (;;) {
		uint64_t floor = i ? areas[i - 1].end : NOXS_GVA_MIN;

		floor = uk_max(floor, NOXS_GVA_MMAP_MIN);
		if (top > floor && top - floor >= bytes) {
			uint64_t at = (top - bytes) & ~(align - 1);

			if (at >= floor)
				return at;
		}
		if (!i || areas[i - 1].start <= NOXS_GVA_MMAP_MIN)
			return 0;
		top = uk_min(top, areas[--i].start);
	}
}

static long unmap(uint64_t start, uint64_t end)
{
	long err = split(start);

	if (!err)
		err = split(end);
	if (err)
		return err;
	/* Only areas hold frames: skip the gaps between them. */
	for (size_t i = find(start); i < nareas && areas[i].start < end;) {
		err = uk_pt_unmap(areas[i].start, (areas[i].end - areas[i].start) / NOXS_PAGE);
		if (err)
			return err;
		if (areas[i].kind == NOXS_REGION_HEAP)
			areas[i].kind = 0;
		remove_area(i);
	}
	return 0;
}

static bool any_area(uint64_t start, uint64_t end)
{
	size_t i = find(start);

	return i < nareas && areas[i].start < end;
}

static uint32_t prot_of(uint64_t prot)
{
	return (prot & PROT_READ ? NOXS_R : 0) | (prot & PROT_WRITE ? NOXS_W | NOXS_R : 0) |
	       (prot & PROT_EXEC ? NOXS_X | NOXS_R : 0);
}

static long map(uint64_t hint, uint64_t bytes, uint32_t prot, uint64_t flags, char *name)
{
	uint64_t at = ALIGN_DOWN(hint);
	long err;

	if (flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) {
		if (hint != at || !in_user(at, bytes))
			return hint != at ? -EINVAL : at < NOXS_GVA_MIN ? -EPERM : -ENOMEM;
		if (any_area(at, at + bytes)) {
			if (flags & MAP_FIXED_NOREPLACE)
				return -EEXIST;
			err = unmap(at, at + bytes);
			if (err)
				return err;
		}
	} else if (at < NOXS_GVA_MIN || !in_user(at, bytes) || any_area(at, at + bytes)) {
		at = find_gap(bytes);
		if (!at)
			return -ENOMEM;
	}
	err = insert(find(at), (struct area){at, at + bytes, prot, 0, name});
	if (err)
		return err;
	if (!name)
		merge(at, at + bytes);
	return (long)at;
}

long uk_mmap_anon(uint64_t hint, uint64_t bytes, uint32_t prot)
{
	ready();
	return map(hint, ALIGN_UP(bytes), prot, 0, NULL);
}

/* A private file mapping is a copy, made at once. */
static long map_file(uint64_t hint, uint64_t bytes, uint64_t prot, uint64_t flags, int fd,
		     uint64_t off)
{
	uint32_t open_flags;
	long err = uk_file_mappable(fd, &open_flags), at;
	char *name;

	if (err)
		return err;
	/* Shared and writable would have to reach the file; readers see what they would see. */
	if ((flags & MAP_TYPE) != MAP_PRIVATE && (prot & PROT_WRITE))
		return (open_flags & O_ACCMODE) == O_RDONLY ? -EACCES : -ENODEV;
	name = uk_alloc(256);
	if (!name)
		return -ENOMEM;
	uk_file_path(fd, name, 256);
	at = map(hint, bytes, NOXS_R | NOXS_W, flags, name);
	if (at < 0) {
		uk_free(name);
		return at;
	}
	for (uint64_t done = 0; done < bytes;) {
		long n = uk_file_pread_user(fd, (uint64_t)at + done, bytes - done, off + done);

		if (n <= 0)
			break;
		done += (uint64_t)n;
	}
	if (prot_of(prot) != (NOXS_R | NOXS_W)) {
		area_of((uint64_t)at)->prot = prot_of(prot);
		err = uk_pt_protect((uint64_t)at, bytes / NOXS_PAGE, prot_of(prot));
		if (err)
			return err;
	}
	return at;
}

UK_SYSCALL(mmap)
{
	uint64_t bytes = ALIGN_UP(b), type = d & MAP_TYPE;

	ready();
	if (!b || (f & (NOXS_PAGE - 1)))
		return -EINVAL;
	if (type != MAP_PRIVATE && type != MAP_SHARED && type != MAP_SHARED_VALIDATE)
		return -EINVAL;
	if ((c & PROT_WRITE) && (c & PROT_EXEC))
		return -EACCES; /* W^X, as in mprotect */
	if (b > NOXS_GVA_USER_END || bytes > NOXS_GVA_USER_END)
		return -ENOMEM;
	if (!(d & MAP_ANONYMOUS))
		return map_file(a, bytes, c, d, (int)e, f);
	/* As Linux' heuristic: what can never be had is refused, what is sparse is not. */
	if (bytes / NOXS_PAGE > UK_NOXS->ram_bytes / NOXS_PAGE && prot_of(c) &&
	    !(d & MAP_NORESERVE))
		return -ENOMEM;
	return map(a, bytes, prot_of(c), d, NULL);
}

UK_SYSCALL(munmap)
{
	uint64_t bytes = ALIGN_UP(b);

	ready();
	if ((a & (NOXS_PAGE - 1)) || !b || !bytes || a > NOXS_GVA_END || bytes > NOXS_GVA_END - a)
		return -EINVAL;
	if (!in_user(a, bytes))
		return any_area(a, a + bytes) || a >= NOXS_GVA_USER_END ? -EINVAL : 0;
	return unmap(a, a + bytes);
}

UK_SYSCALL(mprotect)
{
	uint64_t bytes = ALIGN_UP(b), end = a + bytes;
	uint32_t prot = prot_of(c);
	long err;

	ready();
	if ((a & (NOXS_PAGE - 1)) || (c & ~7ull & ~(uint64_t)(PROT_GROWSDOWN | PROT_GROWSUP)))
		return -EINVAL;
	if (!b)
		return 0;
	if (!bytes || end < a)
		return -ENOMEM;
	/* W^X: memory is written or executed, not both. */
	if ((prot & NOXS_W) && (prot & NOXS_X))
		return -EACCES;
	for (uint64_t p = a; p < end;) {
		struct area *area = area_of(p);

		if (!area)
			return -ENOMEM;
		p = area->end;
	}
	err = split(a);
	if (!err)
		err = split(end);
	if (err)
		return err;
	for (size_t i = find(a); i < nareas && areas[i].start < end; i++) {
		if (areas[i].prot == prot)
			continue;
		err = uk_pt_protect(areas[i].start, (areas[i].end - areas[i].start) / NOXS_PAGE, prot);
		if (err)
			return err;
		areas[i].prot = prot;
	}
	merge(a, end);
	return 0;
}

UK_SYSCALL(brk)
{
	uint64_t want = ALIGN_UP(a), have, start = UK_NOXS->brk;
	struct area *heap;
	size_t i;

	ready();
	have = ALIGN_UP(brk_now);
	if (a < start || !in_user(a, 0))
		return (long)brk_now;
	if (want > have) {
		if (any_area(have, want) ||
		    (want - start) / NOXS_PAGE > UK_NOXS->ram_bytes / NOXS_PAGE)
			return (long)brk_now;
		i = find(start);
		if (have > start) {
			areas[i].end = want;
		} else {
			/* the empty area of the region that was mapped ahead, or none */
			for (i = 0; i < nareas; i++)
				if (areas[i].kind == NOXS_REGION_HEAP)
					break;
			if (i < nareas)
				areas[i].end = want;
			else if (insert(find(start), (struct area){start, want, NOXS_R | NOXS_W,
								   NOXS_REGION_HEAP, NULL}))
				return (long)brk_now;
		}
	} else if (want < have) {
		/* What is mapped ahead stays mapped; it has to read as zero when it comes back. */
		uint64_t keep = uk_max(want, uk_min(have, brk_mapped));

		heap = area_of(start);
		if (!heap)
			return (long)brk_now;
		if (keep > want && uk_zero_out(want, keep - want))
			return (long)brk_now;
		if (have > keep && uk_pt_unmap(keep, (have - keep) / NOXS_PAGE))
			return (long)brk_now;
		heap->end = want;
	}
	brk_now = a;
	return (long)a;
}

UK_SYSCALL(mremap)
{
	uint64_t old = ALIGN_UP(b), new = ALIGN_UP(c), at;
	struct area *area;
	long err, to;

	ready();
	if ((a & (NOXS_PAGE - 1)) || !new || (d & ~7ull) || ((d & 2) && !(d & 1)))
		return -EINVAL;
	if (new > NOXS_GVA_USER_END || old > NOXS_GVA_USER_END)
		return -EINVAL;
	area = area_of(a);
	if (!area || !old || area->end - a < old)
		return -EFAULT;
	if (d & 2) { /* MREMAP_FIXED */
		if ((e & (NOXS_PAGE - 1)) || !in_user(e, new) || (e < a + old && a < e + new))
			return -EINVAL;
	} else if (new <= old) {
		return new < old && (err = unmap(a + new, a + old)) ? err : (long)a;
	} else if (area->end == a + old && in_user(a, new) && !any_area(a + old, a + new)) {
		area->end = a + new;
		merge(a, a + new);
		return (long)a;
	} else if (!(d & 1)) {
		return -ENOMEM;
	}
	if (new < old) {
		err = unmap(a + new, a + old);
		if (err)
			return err;
		old = new;
	}
	err = split(a);
	if (!err)
		err = split(a + old);
	if (err)
		return err;
	area = area_of(a);
	to = map(d & 2 ? e : 0, new, area->prot, d & 2 ? MAP_FIXED : 0, copy_name(area->name));
	if (to < 0)
		return to;
	at = (uint64_t)to;
	err = uk_pt_move(a, at, old / NOXS_PAGE);
	if (err)
		return err;
	if (!(d & 4)) /* MREMAP_DONTUNMAP */
		remove_area(find(a));
	return to;
}

/* Back to zero pages. Big pieces are given back to the host as well. */
static long drop(uint64_t start, uint64_t end)
{
	for (uint64_t p = start; p < end;) {
		uint64_t gpa;
		size_t n = uk_pt_run(p, (end - p) / NOXS_PAGE, &gpa);
		struct area *a = area_of(p);
		bool heap_ahead = p < brk_mapped && p >= UK_NOXS->brk;

		if (!a)
			return -ENOMEM;
		n = uk_min(n, (a->end - p) / NOXS_PAGE);
		if (gpa && (a->kind && (!uk_frames_owned(gpa) || heap_ahead))) {
			/* the image: back to what the file says is beyond us; the rest to zero */
			if (a->kind == NOXS_REGION_HEAP || a->kind == NOXS_REGION_STACK)
				uk_zero_out(p, n * NOXS_PAGE);
		} else if (gpa) {
			long err = uk_pt_unmap(p, n);

			if (err)
				return err;
		}
		p += n * NOXS_PAGE;
	}
	return 0;
}

UK_SYSCALL(madvise)
{
	uint64_t end = a + ALIGN_UP(b);

	ready();
	if ((a & (NOXS_PAGE - 1)) || end < a)
		return -EINVAL;
	switch ((int)c) {
	case MADV_DONTNEED:
	case MADV_FREE:
		return drop(a, end);
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
	uint64_t end = a + ALIGN_UP(b), gpa;
	uint8_t byte;

	if ((a & (NOXS_PAGE - 1)) || end < a)
		return -EINVAL;
	for (uint64_t p = a; p < end; p += NOXS_PAGE) {
		if (!area_of(p))
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
	for (uint64_t p = ALIGN_DOWN(start), end = ALIGN_UP(start + bytes); p < end;) {
		struct area *a = area_of(p);

		if (!a)
			return -ENOMEM;
		p = a->end;
	}
	return 0;
}

UK_SYSCALL(msync)
{
	return a & (NOXS_PAGE - 1) ? -EINVAL : all_mapped(a, b);
}

UK_SYSCALL(mlock)
{
	return all_mapped(a, b);
}

UK_SYSCALL(mlock2)
{
	return all_mapped(a, b);
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
		[0] = "", [NOXS_REGION_IMAGE] = NULL, [NOXS_REGION_STUBS] = "[stubs]",
		[NOXS_REGION_HEAP] = "[heap]", [NOXS_REGION_STACK] = "[stack]",
	};
	size_t len = 0;

	ready();
	for (size_t i = 0; i < nareas; i++) {
		const struct area *a = &areas[i];
		const char *name = a->name ? a->name : names[a->kind];

		if (a->start == a->end)
			continue;
		len += (size_t)uk_snprintf(len < size ? buf + len : NULL, len < size ? size - len : 0,
					   "%08lx-%08lx %c%c%cp 00000000 00:00 0 %s%s\n", a->start,
					   a->end, a->prot & NOXS_R ? 'r' : '-',
					   a->prot & NOXS_W ? 'w' : '-', a->prot & NOXS_X ? 'x' : '-',
					   name && !*name ? "" : "                  ",
					   name ? name : UK_NOXS->exe);
	}
	return len;
}

void uk_mm_usage(uint64_t *total, uint64_t *free, uint64_t *mapped)
{
	ready();
	*total = UK_NOXS->ram_bytes;
	*free = uk_pages_left() * NOXS_PAGE;
	*mapped = 0;
	for (size_t i = 0; i < nareas; i++)
		*mapped += areas[i].end - areas[i].start;
}
