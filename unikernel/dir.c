/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dir.c: directories.
 *
 * A directory keeps its names in the order in which they were made. A name's place is
 * its cookie for getdents: removing leaves a gap, and gaps are closed only while nobody
 * has the directory open, so a reader sees every name that stays exactly once.
 */
#include <linux/fs.h>

#include "vfs.h"

#define DIR_MIN 8 /* slots of a directory's first table */

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
		uk_node_free(node);
}

/* ---- reading ---- */

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
