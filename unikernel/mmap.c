/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mmap.c: the calls that make, remove, move and protect areas. W^X holds: no memory is
 * writable and executable at once.
 */
#include <linux/mman.h>

#include "frames.h"
#include "mm.h"
#include "vfs.h"

static uint32_t prot_of(uint64_t prot)
{
	return (prot & PROT_READ ? NOXS_R : 0) | (prot & PROT_WRITE ? NOXS_W | NOXS_R : 0) |
	       (prot & PROT_EXEC ? NOXS_X | NOXS_R : 0);
}

/* Does [start, end) touch what is mapped behind the end of the heap? */
static bool heap_ahead(uint64_t start, uint64_t end)
{
	return start < uk_brk_ahead && end > uk_brk_end();
}

/* Puts the area, which says all but where, at hint or elsewhere. The address or -errno. */
static long place(uint64_t hint, uint64_t bytes, uint64_t flags, struct uk_area area)
{
	uint64_t at = UK_ALIGN_DOWN(hint), end = at + bytes;
	long err = 0;

	if (flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) {
		if (hint != at || !uk_mm_in_user(at, bytes))
			return hint != at ? -EINVAL : at < NOXS_GVA_MIN ? -EPERM : -ENOMEM;
		if (uk_area_any(at, end)) {
			if (flags & MAP_FIXED_NOREPLACE)
				return -EEXIST;
			err = uk_mm_unmap(at, end);
		}
		if (!err)
			err = uk_brk_settle(at, end);
		if (err)
			return err;
	} else if (at < NOXS_GVA_MIN || !uk_mm_in_user(at, bytes) || uk_area_any(at, end) ||
		   heap_ahead(at, end)) {
		at = uk_mm_gap(bytes, flags & MAP_32BIT);
		if (!at)
			return -ENOMEM;
	}
	area.start = at;
	area.end = at + bytes;
	err = uk_area_insert(area);
	if (err)
		return err;
	uk_area_ref(&area);
	uk_area_merge(at, at + bytes);
	return (long)at;
}

long uk_mmap_anon(uint64_t hint, uint64_t bytes, uint32_t prot)
{
	uk_mm_ready();
	return place(hint, UK_ALIGN_UP(bytes), 0, (struct uk_area){.prot = prot});
}

static long map_file(uint64_t hint, uint64_t bytes, uint64_t prot, uint64_t flags, int fd,
		     uint64_t off)
{
	struct uk_area area = {.prot = prot_of(prot), .off = off};
	uint32_t open_flags;
	long err = uk_file_mappable(fd, &open_flags, &area.node);

	if (err)
		return err;
	if (off > UK_OFF_MAX - bytes)
		return -EOVERFLOW;
	if (!area.node) { /* /dev/zero */
		area.off = 0;
		return place(hint, bytes, flags, area);
	}
	area.shared = (flags & MAP_TYPE) != MAP_PRIVATE;
	if (area.shared && (open_flags & O_ACCMODE) != O_RDWR)
		area.never = NOXS_W;
	if (area.prot & area.never)
		return -EACCES;
	return place(hint, bytes, flags, area);
}

UK_SYSCALL(mmap)
{
	uint64_t bytes = UK_ALIGN_UP(b), type = d & MAP_TYPE;
	long at;

	uk_mm_ready();
	if (!b || (f & (NOXS_PAGE - 1)))
		return -EINVAL;
	if (type != MAP_PRIVATE && type != MAP_SHARED && type != MAP_SHARED_VALIDATE)
		return -EINVAL;
	if ((c & PROT_WRITE) && (c & PROT_EXEC))
		return -EACCES; /* W^X, as in mprotect */
	if (b > NOXS_GVA_USER_END || bytes > NOXS_GVA_USER_END)
		return -ENOMEM;
	if (!(d & MAP_ANONYMOUS))
		at = map_file(a, bytes, c, d, (int)e, f);
	else if (bytes > UK_PROMISE_MAX && prot_of(c) && !(d & MAP_NORESERVE))
		return -ENOMEM;
	else /* shared with nobody: there is no fork */
		at = place(a, bytes, d, (struct uk_area){.prot = prot_of(c)});
	if (d & MAP_FIXED)
		uk_frames_give_back();
	return at;
}

UK_SYSCALL(munmap)
{
	uint64_t bytes = UK_ALIGN_UP(b);
	long err;

	uk_mm_ready();
	if ((a & (NOXS_PAGE - 1)) || !b || !bytes || a > NOXS_GVA_END || bytes > NOXS_GVA_END - a)
		return -EINVAL;
	if (!uk_mm_in_user(a, bytes))
		return uk_area_any(a, a + bytes) || a >= NOXS_GVA_USER_END ? -EINVAL : 0;
	err = uk_mm_unmap(a, a + bytes);
	uk_frames_give_back();
	return err;
}

UK_SYSCALL(mprotect)
{
	uint64_t bytes = UK_ALIGN_UP(b), end = a + bytes;
	uint32_t prot = prot_of(c);
	long err;

	uk_mm_ready();
	if ((a & (NOXS_PAGE - 1)) || (c & ~7ull & ~(uint64_t)(PROT_GROWSDOWN | PROT_GROWSUP)))
		return -EINVAL;
	if (!b)
		return 0;
	if (!bytes || end < a)
		return -ENOMEM;
	if ((prot & NOXS_W) && (prot & NOXS_X))
		return -EACCES;
	for (uint64_t p = a; p < end;) {
		struct uk_area *area = uk_area_of(p);

		if (!area)
			return -ENOMEM;
		if (prot & area->never)
			return -EACCES;
		p = area->end;
	}
	err = uk_area_split(a);
	if (!err)
		err = uk_area_split(end);
	if (err)
		return err;
	for (size_t i = uk_area_find(a); i < uk_nareas && uk_areas[i].start < end; i++) {
		struct uk_area *area = &uk_areas[i];

		if (area->prot == prot)
			continue;
		err = uk_pt_protect(area->start, (area->end - area->start) / NOXS_PAGE, prot);
		if (err)
			return err;
		area->prot = prot;
	}
	uk_area_merge(a, end);
	return 0;
}

/* To another place, which is at or, where that is 0, found. */
static long move(uint64_t from, uint64_t old, uint64_t new, uint64_t at, uint64_t flags)
{
	struct uk_area area;
	long err = uk_area_split(from), to;

	if (!err)
		err = uk_area_split(from + old);
	if (err)
		return err;
	area = *uk_area_of(from);
	area.kind = 0; /* for what it was mapped ahead, its name: it is the program's now */
	to = place(at, new, at ? MAP_FIXED : 0, area);
	if (to < 0)
		return to;
	err = uk_pt_move(from, (uint64_t)to, old / NOXS_PAGE);
	if (err) { /* back: there the tables are */
		uk_pt_move((uint64_t)to, from, old / NOXS_PAGE);
		uk_mm_unmap((uint64_t)to, (uint64_t)to + new);
		return err;
	}
	if (!(flags & MREMAP_DONTUNMAP))
		err = uk_mm_unmap(from, from + old); /* by now without frames */
	return err ? err : to;
}

UK_SYSCALL(mremap)
{
	uint64_t old = UK_ALIGN_UP(b), new = UK_ALIGN_UP(c);
	bool fixed = d & MREMAP_FIXED, may_move = d & MREMAP_MAYMOVE;
	const struct uk_area *area;
	long err;

	uk_mm_ready();
	if ((a & (NOXS_PAGE - 1)) || !new || (d & ~7ull) || (fixed && !may_move))
		return -EINVAL;
	if ((d & MREMAP_DONTUNMAP) && (!may_move || old != new))
		return -EINVAL;
	if (new > NOXS_GVA_USER_END || old > NOXS_GVA_USER_END)
		return -EINVAL;
	area = uk_area_of(a);
	if (!area || !old || area->end - a < old)
		return -EFAULT;
	if (fixed &&
	    ((e & (NOXS_PAGE - 1)) || !uk_mm_in_user(e, new) || (e < a + old && a < e + new)))
		return -EINVAL;
	if (new < old) {
		err = uk_mm_unmap(a + new, a + old);
		uk_frames_give_back();
		if (err)
			return err;
		old = new;
	}
	if (fixed || (d & MREMAP_DONTUNMAP))
		return move(a, old, new, fixed ? e : 0, d);
	if (new == old)
		return (long)a;
	if (new > UK_PROMISE_MAX)
		return -ENOMEM;
	if (area->end == a + old && uk_mm_in_user(a, new) && !uk_area_any(a + old, a + new) &&
	    !heap_ahead(a + old, a + new)) {
		uk_areas[uk_area_find(a)].end = a + new;
		uk_area_merge(a, a + new);
		return (long)a;
	}
	return may_move ? move(a, old, new, 0, d) : -ENOMEM;
}
