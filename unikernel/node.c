/* SPDX-License-Identifier: Apache-2.0 */
/* node.c: nodes: making, counting, naming and freeing them. */
#include <linux/kdev_t.h>

#include "vfs.h"

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

void uk_node_free(struct uk_node *node)
{
	struct uk_name *name = node->name;

	if (UK_S_ISREG(node->mode) && node->ops == &uk_ramfs_ops)
		uk_ramfs_free(node);
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
		uk_node_free(node);
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

/* Links and what else only has a name. */
const struct uk_file_ops uk_none_ops = {0};

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
