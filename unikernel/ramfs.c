/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ramfs.c: nodes and where their contents are: names in directories, pages of files.
 *
 * A regular file is a radix tree of single frames. A frame that the host has not given
 * yet costs a microsecond or more, so a file takes no more of them than it has data:
 * one for a small file, none for a hole, and no two copies while it grows. Bytes behind
 * the end of the file in its last frame are always zero.
 *
 * A directory keeps its names in the order in which they were made. A name's place is
 * its cookie for getdents: removing leaves a gap, and gaps are closed only while nobody
 * has the directory open, so a reader sees every name that stays exactly once.
 */
#include <asm/poll.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <linux/kdev_t.h>

#include "vfs.h"

#define RADIX_BITS 6
#define RADIX_SIZE (1u << RADIX_BITS)
#define DIR_MIN    8 /* slots of a directory's first table */
#define PAGES_MAX  (1ull << 63) /* behind the last page that a file can have */

/* ---- nodes ---- */

struct uk_time uk_now(void)
{
	uint64_t ns = uk_realtime_ns();

	return (struct uk_time){(int64_t)(ns / 1000000000), (uint32_t)(ns % 1000000000)};
}

struct uk_node *uk_node_new(struct uk_node *parent, uint32_t mode)
{
	static uint64_t last_ino = 100; /* below: fixed numbers */
	struct uk_node *node = uk_alloc(sizeof(*node));

	if (!node)
		return NULL;
	node->ops = UK_S_ISDIR(mode)   ? &uk_dir_ops
		    : UK_S_ISREG(mode) ? &uk_ramfs_ops
				       : &uk_none_ops;
	node->mode = mode;
	node->fs = parent ? parent->fs : UK_FS_RAM;
	node->ino = ++last_ino;
	node->uid = parent ? UK_NOXS->uid : 0;
	node->gid = parent ? UK_NOXS->gid : 0;
	if (parent && parent->mode & S_ISGID) {
		node->gid = parent->gid;
		if (UK_S_ISDIR(mode))
			node->mode |= S_ISGID;
	}
	node->btime = node->ctime = node->mtime = node->atime = uk_now();
	return node;
}

struct uk_node *uk_link_new(struct uk_node *parent, const char *target, size_t length)
{
	struct uk_node *node = uk_node_new(parent, S_IFLNK | 0777);

	if (!node)
		return NULL;
	node->link.target = uk_alloc(length + 1);
	if (!node->link.target) {
		uk_free(node);
		return NULL;
	}
	memcpy(node->link.target, target, length);
	node->size = length;
	return node;
}

static void data_free(struct uk_data *d, uint64_t from, uint64_t to);

static void node_free(struct uk_node *node)
{
	struct uk_name *name = node->name;

	if (UK_S_ISREG(node->mode) && node->ops == &uk_ramfs_ops)
		data_free(&node->data, 0, UINT64_MAX);
	if (UK_S_ISLNK(node->mode))
		uk_free(node->link.target);
	if (UK_S_ISDIR(node->mode)) {
		uk_free(node->dir.slot);
		uk_free(node->dir.bucket);
	}
	uk_free(node);
	if (name) {
		struct uk_node *dir = name->dir;

		uk_free(name); /* dead: a living one would count as a link */
		uk_node_unref(dir);
	}
}

void uk_node_ref(struct uk_node *node)
{
	node->refs++;
}

void uk_node_unref(struct uk_node *node)
{
	if (!--node->refs && !node->nlink)
		node_free(node);
}

static struct statx_timestamp timestamp(struct uk_time t)
{
	return (struct statx_timestamp){.tv_sec = t.sec, .tv_nsec = t.nsec};
}

void uk_node_stat(struct uk_node *node, struct statx *st)
{
	st->stx_mode = (uint16_t)node->mode;
	st->stx_nlink = node->nlink;
	st->stx_uid = node->uid;
	st->stx_gid = node->gid;
	st->stx_ino = node->ino;
	st->stx_size = node->size;
	st->stx_blksize = NOXS_PAGE;
	st->stx_dev_minor = node->fs;
	st->stx_rdev_major = (uint32_t)MAJOR(node->rdev);
	st->stx_rdev_minor = (uint32_t)MINOR(node->rdev);
	st->stx_atime = timestamp(node->atime);
	st->stx_mtime = timestamp(node->mtime);
	st->stx_ctime = timestamp(node->ctime);
	st->stx_btime = timestamp(node->btime);
	if (UK_S_ISREG(node->mode) && node->ops == &uk_ramfs_ops)
		st->stx_blocks = node->data.pages * (NOXS_PAGE / 512);
	if (UK_S_ISDIR(node->mode))
		st->stx_size = (node->dir.count + 2) * 20ull; /* as tmpfs has it */
}

long uk_node_path(struct uk_node *node, char *buf, size_t size)
{
	static const char deleted[] = " (deleted)";
	size_t at = size;

	if (size < sizeof("/"))
		return -ENAMETOOLONG;
	buf[--at] = '\0';
	if (!node->name && node != uk_root())
		return -ENOENT;
	if (node->name && node->name->dead) {
		if (at < sizeof(deleted) - 1)
			return -ENAMETOOLONG;
		at -= sizeof(deleted) - 1;
		memcpy(buf + at, deleted, sizeof(deleted) - 1);
	}
	while (node->name) {
		struct uk_name *name = node->name;

		if (at < name->length + 1u)
			return -ENAMETOOLONG;
		at -= name->length;
		memcpy(buf + at, name->text, name->length);
		buf[--at] = '/';
		node = name->dir;
	}
	if (at == size - 1)
		buf[--at] = '/';
	memmove(buf, buf + at, size - at);
	return (long)(size - at - 1);
}

/* ---- names ---- */

static uint32_t hash_of(const char *text, size_t n)
{
	uint32_t h = 2166136261u; /* FNV-1a: 32-bit offset basis and prime */

	for (size_t i = 0; i < n; i++)
		h = (h ^ (uint8_t)text[i]) * 16777619u;
	return h;
}

static void bucket_add(struct uk_dir *d, struct uk_name *name)
{
	uint32_t *bucket = &d->bucket[name->hash & (d->capacity - 1)];

	name->next = *bucket;
	*bucket = name->slot + 1;
}

/* New tables with room for one more name at least. */
static long dir_grow(struct uk_dir *d)
{
	bool close_gaps = !d->readers && d->count <= d->nslots / 2;
	uint32_t capacity = !d->capacity ? DIR_MIN : close_gaps ? d->capacity : d->capacity * 2;
	struct uk_name **slot = uk_alloc(capacity * sizeof(*slot));
	uint32_t *bucket = uk_alloc(capacity * sizeof(*bucket));
	uint32_t n = 0;

	if (!slot || !bucket) {
		uk_free(slot);
		uk_free(bucket);
		return -ENOSPC;
	}
	uk_free(d->bucket);
	d->bucket = bucket;
	d->capacity = capacity;
	for (uint32_t i = 0; i < d->nslots; i++) {
		struct uk_name *name = d->slot[i];

		if (name) {
			name->slot = n;
			slot[n] = name;
			bucket_add(d, name);
		}
		if (name || !close_gaps)
			n++;
	}
	uk_free(d->slot);
	d->slot = slot;
	d->nslots = n;
	return 0;
}

struct uk_name *uk_dir_find(struct uk_node *dir, const char *text, size_t length)
{
	struct uk_dir *d = &dir->dir;
	uint32_t hash = hash_of(text, length);

	if (d->fill)
		d->fill(dir);
	if (!d->capacity)
		return NULL;
	for (uint32_t i = d->bucket[hash & (d->capacity - 1)]; i; i = d->slot[i - 1]->next) {
		struct uk_name *name = d->slot[i - 1];

		if (name->hash == hash && name->length == length &&
		    !memcmp(name->text, text, length))
			return name;
	}
	return NULL;
}

void uk_name_set(struct uk_name *name, struct uk_node *node)
{
	struct uk_name *old = node->name;

	if (old && old->dead) {
		uk_node_unref(old->dir);
		uk_free(old);
	}
	name->node = node;
	node->name = name;
	if (UK_S_ISDIR(node->mode))
		node->dir.parent = name->dir;
}

long uk_dir_add(struct uk_node *dir, const char *text, size_t length, struct uk_node *node)
{
	struct uk_dir *d = &dir->dir;
	struct uk_name *name;
	long r;

	if (d->nslots == d->capacity) {
		r = dir_grow(d);
		if (r)
			return r;
	}
	name = uk_alloc(sizeof(*name) + length);
	if (!name)
		return -ENOSPC;
	memcpy(name->text, text, length);
	name->length = (uint8_t)length;
	name->hash = hash_of(text, length);
	name->dir = dir;
	name->slot = d->nslots++;
	d->slot[name->slot] = name;
	d->count++;
	bucket_add(d, name);
	uk_name_set(name, node);
	node->nlink += UK_S_ISDIR(node->mode) ? 2 : 1;
	dir->nlink += UK_S_ISDIR(node->mode);
	dir->mtime = dir->ctime = node->ctime = uk_now();
	return 0;
}

/* Take the name out of its directory; whose link it was is for the caller. */
static void name_unlink(struct uk_name *name)
{
	struct uk_dir *d = &name->dir->dir;
	uint32_t *at = &d->bucket[name->hash & (d->capacity - 1)];

	while (*at != name->slot + 1)
		at = &d->slot[*at - 1]->next;
	*at = name->next;
	d->slot[name->slot] = NULL;
	if (!--d->count && !d->readers)
		d->nslots = 0;
}

void uk_dir_remove(struct uk_name *name)
{
	struct uk_node *node = name->node, *dir = name->dir;
	bool is_dir = UK_S_ISDIR(node->mode);

	name_unlink(name);
	node->nlink -= is_dir ? 2 : 1;
	dir->nlink -= is_dir;
	dir->mtime = dir->ctime = node->ctime = uk_now();
	if (node->name == name && !node->nlink && node->refs) {
		/* Open still: the dead name tells what it was called. */
		name->dead = true;
		uk_node_ref(dir);
		return;
	}
	if (node->name == name)
		node->name = NULL;
	uk_free(name);
	if (!node->nlink && !node->refs)
		node_free(node);
}

/* ---- reading directories ---- */

static long dir_open(struct uk_file *f)
{
	f->node->dir.readers++;
	f->dir_end = f->node->dir.nslots;
	return 0;
}

static void dir_release(struct uk_file *f)
{
	f->node->dir.readers--;
}

static long dir_read(struct uk_file *f, uint64_t user, size_t n, uint64_t off, uint32_t flags)
{
	return -EISDIR;
}

static long dir_lseek(struct uk_file *f, int64_t off, int whence)
{
	if (whence == SEEK_CUR)
		off += (int64_t)f->pos;
	else if (whence != SEEK_SET)
		return -EINVAL;
	if (off < 0)
		return -EINVAL;
	f->pos = (uint64_t)off;
	return (long)off;
}

/* struct linux_dirent64 with its longest name; the kernel's headers do not export it. */
struct dirent64 {
	uint64_t ino;
	int64_t next;
	uint16_t length;
	uint8_t type;
	char name[NAME_MAX + 1 + 8];
};

/* One entry to user if it fits into left: its length, 0 or -EFAULT. */
static long dirent_out(uint64_t user, size_t left, const struct uk_node *node, uint64_t pos,
		       const char *text, size_t n)
{
	struct dirent64 d;
	size_t length = (offsetof(struct dirent64, name) + n + 1 + 7) & ~7ull;

	if (length > left)
		return 0;
	memset(d.name + n, 0, 8); /* its NUL and the padding */
	memcpy(d.name, text, n);
	d.ino = node->ino;
	d.next = (int64_t)pos + 1;
	d.length = (uint16_t)length;
	d.type = (uint8_t)((node->mode & S_IFMT) >> 12);
	return uk_copy_out(user, &d, length) ? -EFAULT : (long)length;
}

static long dir_getdents(struct uk_file *f, uint64_t user, size_t n)
{
	struct uk_node *dir = f->node;
	struct uk_dir *d = &dir->dir;
	size_t done = 0;

	if (!dir->nlink)
		return -ENOENT;
	if (!f->pos) {
		if (d->fill)
			d->fill(dir);
		/* A program that renames what it reads must come to an end: names that
		 * are made from now on wait for the next rewind. */
		f->dir_end = d->nslots;
	}
	for (; f->pos < f->dir_end + 2ull; f->pos++) {
		struct uk_name *name = f->pos < 2 ? NULL : d->slot[f->pos - 2];
		long r;

		if (f->pos == 0)
			r = dirent_out(user + done, n - done, dir, 0, ".", 1);
		else if (f->pos == 1)
			r = dirent_out(user + done, n - done, d->parent, 1, "..", 2);
		else if (name)
			r = dirent_out(user + done, n - done, name->node, f->pos, name->text,
				       name->length);
		else
			continue;
		if (r <= 0)
			return done ? (long)done : r ? r : -EINVAL;
		done += (size_t)r;
	}
	dir->atime = uk_now();
	return (long)done;
}

const struct uk_file_ops uk_dir_ops = {
    .seekable = true,
    .open = dir_open,
    .release = dir_release,
    .read = dir_read,
    .lseek = dir_lseek,
    .getdents = dir_getdents,
};

/* Links and what else only has a name. */
const struct uk_file_ops uk_none_ops = {0};

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

/* ---- the tree's own ---- */

static struct uk_node *make(struct uk_node *dir, const char *text, struct uk_node *node)
{
	if (!node)
		return NULL;
	node->uid = node->gid = 0;
	node->refs++; /* so that a failure below frees it in one way */
	if (uk_dir_add(dir, text, strlen(text), node)) {
		uk_node_unref(node);
		return NULL;
	}
	node->refs--;
	return node;
}

struct uk_node *uk_make_dir(struct uk_node *dir, const char *text, uint32_t mode,
			    void (*fill)(struct uk_node *dir))
{
	struct uk_node *node = uk_node_new(dir, S_IFDIR | mode);

	node = make(dir, text, node);
	if (node)
		node->dir.fill = fill;
	return node;
}

struct uk_node *uk_make_link(struct uk_node *dir, const char *text, const char *target)
{
	return make(dir, text, uk_link_new(dir, target, strlen(target)));
}

struct uk_node *uk_make_file(struct uk_node *dir, const char *text, uint32_t mode,
			     const struct uk_file_ops *ops)
{
	struct uk_node *node = uk_node_new(dir, mode);

	if (node)
		node->ops = ops;
	return make(dir, text, node);
}
