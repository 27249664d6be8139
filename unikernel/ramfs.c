/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ramfs.c: regular files: a radix tree of single frames.
 *
 * A frame that the host has not given yet costs a microsecond or more, so a file takes
 * no more of them than it has data: one for a small file, none for a hole, and no two
 * copies while it grows. Bytes behind the end of the file in its last frame are zero,
 * unless a shared mapping stored there: while one is, frames are zeroed, not freed.
 */
#include <linux/falloc.h>
#include <linux/fs.h>

#include "vfs.h"

#define RADIX_BITS 6
#define RADIX_SIZE (1u << RADIX_BITS)
#define PAGES_MAX  (1ull << 63) /* behind the last page that a file can have */

/* ---- pages ---- */

static uint64_t span(uint32_t height)
{
	return 1ull << RADIX_BITS * height; /* at most 54: an offset has 51 bits of page */
}

/* Where the pointer to a page is; NULL if it has no place yet and make is not set. */
static void **data_slot(struct uk_data *d, uint64_t page, bool make)
{
	void **slot = &d->root;

	while (page >= span(d->height)) {
		void **top;

		if (!make)
			return NULL;
		if (d->root) {
			top = uk_alloc(RADIX_SIZE * sizeof(*top));
			if (!top)
				return NULL;
			top[0] = d->root;
			d->root = top;
		}
		d->height++;
	}
	for (uint32_t h = d->height; h; h--) {
		if (!*slot && make)
			*slot = uk_alloc(RADIX_SIZE * sizeof(*slot));
		if (!*slot)
			return NULL;
		slot = (void **)*slot + (page >> RADIX_BITS * (h - 1)) % RADIX_SIZE;
	}
	return slot;
}

static uint8_t *data_page(struct uk_data *d, uint64_t page)
{
	void **slot = data_slot(d, page, false);

	return slot ? *slot : NULL;
}

static uint8_t *data_page_make(struct uk_data *d, uint64_t page)
{
	void **slot = data_slot(d, page, true);

	if (slot && !*slot && uk_pages_left() > UK_FRAMES_RESERVE) {
		*slot = uk_pages(1);
		d->pages += !!*slot;
	}
	return slot ? *slot : NULL;
}

/* Free the pages in [from, to) below slot, and the slot's node if it is empty then. */
static void subtree_free(struct uk_data *d, void **slot, uint32_t height, uint64_t from,
			 uint64_t to)
{
	void **child = *slot;
	uint64_t width;
	bool empty = true;

	if (!child)
		return;
	if (!height) {
		uk_pages_free(child, 1);
		d->pages--;
		*slot = NULL;
		return;
	}
	width = span(height - 1);
	for (uint64_t i = 0; i < RADIX_SIZE; i++) {
		uint64_t start = i * width;

		if (from < start + width && to > start)
			subtree_free(d, &child[i], height - 1, from > start ? from - start : 0,
				     to - start);
		empty &= !child[i];
	}
	if (empty) {
		uk_free(child);
		*slot = NULL;
	}
}

static void data_free(struct uk_data *d, uint64_t from, uint64_t to)
{
	if (from < to && from < span(d->height))
		subtree_free(d, &d->root, d->height, from, to);
	if (!d->root)
		d->height = 0;
}

/* First page from on that is there (or not, as data says), or to if none is before. */
static uint64_t data_next(struct uk_data *d, uint64_t from, uint64_t to, bool data)
{
	while (from < to) {
		void *at = d->root;
		uint64_t width = span(d->height);

		if (from >= width)
			return data ? to : from;
		/* Go down; where a whole subtree is missing, step over it. */
		for (uint32_t h = d->height; at && h; h--) {
			width = span(h - 1);
			at = ((void **)at)[from / width % RADIX_SIZE];
		}
		if (!!at == data)
			return from;
		from = at ? from + 1 : (from / width + 1) * width;
	}
	return to;
}

void uk_ramfs_free(struct uk_node *node)
{
	data_free(&node->data, 0, UINT64_MAX);
}

/* ---- regular files ---- */

static long ramfs_read(struct uk_file *f, uint64_t user, size_t n, uint64_t off, uint32_t flags)
{
	struct uk_node *node = f->node;
	size_t done = 0;

	if (off >= node->size)
		return 0;
	n = uk_min(n, node->size - off);
	while (done < n) {
		uint64_t at = (off + done) % NOXS_PAGE;
		size_t bytes = uk_min(NOXS_PAGE - at, n - done);
		uint8_t *page = data_page(&node->data, (off + done) / NOXS_PAGE);

		if (page ? uk_copy_out(user + done, page + at, bytes)
			 : uk_zero_out(user + done, bytes)) {
			if (!done)
				return -EFAULT;
			break;
		}
		done += bytes;
	}
	/* As relatime: the first read after a change is what programs ask for. */
	if (!(flags & O_NOATIME) &&
	    (node->atime.sec < node->mtime.sec ||
	     (node->atime.sec == node->mtime.sec && node->atime.nsec <= node->mtime.nsec)))
		node->atime = uk_now();
	return (long)done;
}

static void touch(struct uk_node *node)
{
	node->mtime = node->ctime = uk_now();
}

/* Zero [from, to) within one page. */
static void page_zero(struct uk_node *node, uint64_t from, uint64_t to)
{
	uint8_t *page = data_page(&node->data, from / NOXS_PAGE);

	if (page && from < to)
		memset(page + from % NOXS_PAGE, 0, to - from);
}

static uint64_t page_up(uint64_t off)
{
	return (off + NOXS_PAGE - 1) & ~(NOXS_PAGE - 1);
}

/* Zero [from, to), in the pages that there are. */
static void range_zero(struct uk_node *node, uint64_t from, uint64_t to)
{
	uint64_t end = page_up(to) / NOXS_PAGE;

	while (from < to) {
		page_zero(node, from, uk_min(to, page_up(from + 1)));
		from = data_next(&node->data, from / NOXS_PAGE + 1, end, true) * NOXS_PAGE;
	}
}

/* The file is about to grow to beyond off: what a mapping stored behind its end is not in it. */
static void extend(struct uk_node *node, uint64_t off)
{
	if (node->maps && off > node->size)
		range_zero(node, node->size, off);
}

/* No page of [from, to), whole pages, is there any more, or it is zero. */
static void range_free(struct uk_node *node, uint64_t from, uint64_t to)
{
	if (node->maps)
		range_zero(node, from, to);
	else
		data_free(&node->data, from / NOXS_PAGE, to / NOXS_PAGE);
}

void *uk_ramfs_page(struct uk_node *node, uint64_t page, bool make)
{
	return make ? data_page_make(&node->data, page) : data_page(&node->data, page);
}

void uk_ramfs_mapped(struct uk_node *node, bool more)
{
	node->maps += more ? 1 : -1;
	if (node->maps)
		return;
	/* What was kept or stored behind the end of the file. */
	page_zero(node, node->size, page_up(node->size));
	data_free(&node->data, page_up(node->size) / NOXS_PAGE, UINT64_MAX);
}

static long ramfs_write(struct uk_file *f, uint64_t user, size_t n, uint64_t off, uint32_t flags)
{
	struct uk_node *node = f->node;
	size_t done = 0;
	long r = 0;

	if (n && off >= UK_OFF_MAX)
		return -EFBIG;
	n = uk_min(n, UK_OFF_MAX - off);
	extend(node, off);
	while (done < n) {
		uint64_t pos = off + done, at = pos % NOXS_PAGE;
		size_t bytes = uk_min(NOXS_PAGE - at, n - done);
		uint8_t *page = data_page_make(&node->data, pos / NOXS_PAGE);

		if (!page) {
			r = -ENOSPC;
			break;
		}
		r = uk_copy_in(page + at, user + done, bytes);
		if (r) {
			/* What may have come over is not in the file: behind its end is zero. */
			uint64_t in_file = node->size > pos ? uk_min(node->size - pos, bytes) : 0;

			memset(page + at + in_file, 0, bytes - in_file);
			break;
		}
		done += bytes;
		node->size = uk_max(node->size, pos + bytes);
	}
	if (done)
		touch(node);
	return done ? (long)done : r;
}

static long ramfs_lseek(struct uk_file *f, int64_t off, int whence)
{
	struct uk_node *node = f->node;
	uint64_t end = (node->size + NOXS_PAGE - 1) / NOXS_PAGE, page;

	switch (whence) {
	case SEEK_CUR:
		if (__builtin_add_overflow(off, (int64_t)f->pos, &off))
			return -EOVERFLOW;
		break;
	case SEEK_END:
		if (__builtin_add_overflow(off, (int64_t)node->size, &off))
			return -EOVERFLOW;
		break;
	case SEEK_DATA:
	case SEEK_HOLE:
		if (off < 0 || (uint64_t)off >= node->size)
			return -ENXIO;
		page = data_next(&node->data, (uint64_t)off / NOXS_PAGE, end, whence == SEEK_DATA);
		if (page == end && whence == SEEK_DATA)
			return -ENXIO;
		off = (int64_t)uk_max((uint64_t)off, uk_min(page * NOXS_PAGE, node->size));
		break;
	}
	if (off < 0)
		return -EINVAL;
	f->pos = (uint64_t)off;
	return (long)off;
}

const struct uk_file_ops uk_ramfs_ops = {
	.seekable = true,
	.mappable = true,
	.read = ramfs_read,
	.write = ramfs_write,
	.lseek = ramfs_lseek,
};

long uk_ramfs_truncate(struct uk_node *node, uint64_t size)
{
	/* Not larger: also frees what fallocate put behind the end. */
	if (size <= node->size) {
		range_free(node, page_up(size), PAGES_MAX);
		page_zero(node, size, page_up(size));
	}
	extend(node, size);
	node->size = size;
	touch(node);
	return 0;
}

bool uk_ramfs_can_fallocate(uint32_t mode)
{
	return mode == 0 || mode == FALLOC_FL_KEEP_SIZE ||
	       mode == (FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE);
}

long uk_ramfs_fallocate(struct uk_node *node, uint32_t mode, uint64_t off, uint64_t n)
{
	uint64_t end = off + n, inner = page_up(off), outer = end & ~(NOXS_PAGE - 1);

	if (mode & FALLOC_FL_PUNCH_HOLE) {
		if (inner < outer)
			range_free(node, inner, outer);
		page_zero(node, off, uk_min(inner, end));
		page_zero(node, uk_max(outer, off), end);
		touch(node);
		return 0;
	}
	if (uk_pages_left() < UK_FRAMES_RESERVE + (page_up(end) - off) / NOXS_PAGE)
		return -ENOSPC;
	for (uint64_t page = off / NOXS_PAGE; page < page_up(end) / NOXS_PAGE; page++)
		if (!data_page_make(&node->data, page))
			return -ENOSPC;
	if (!(mode & FALLOC_FL_KEEP_SIZE)) {
		extend(node, end);
		node->size = uk_max(node->size, end);
	}
	touch(node);
	return 0;
}

long uk_ramfs_fill(struct uk_node *node, const char *text, size_t n)
{
	uint8_t *page = data_page_make(&node->data, 0);

	if (!page || n > NOXS_PAGE)
		return -ENOSPC;
	memcpy(page, text, n);
	node->size = n;
	return 0;
}
