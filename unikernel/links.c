/* SPDX-License-Identifier: Apache-2.0 */
/* links.c: hard and symbolic links. */
#include "path.h"

static long link_walked(const struct uk_walk *from, const struct uk_walk *to)
{
	struct uk_node *node = from->node;
	long r = to->node || to->dots ? -EEXIST : to->slash ? -ENOENT : 0;

	if (r)
		return r;
	if (!node || node->fs != to->dir->fs)
		return -EXDEV;
	r = uk_may_make(to, false);
	if (r)
		return r;
	if (UK_S_ISDIR(node->mode))
		return -EPERM;
	if (!node->nlink && !node->linkable)
		return -ENOENT;
	r = uk_dir_add(to->dir, to->name, to->length, node);
	if (!r)
		node->linkable = false;
	return r;
}

static long link_at(uint64_t from_fd, uint64_t from_user, uint64_t to_fd, uint64_t to_user,
		    uint32_t flags)
{
	struct uk_walk from, to = {0};
	long r;

	if (flags & ~(uint32_t)(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	/* uk_find() follows unless told not to, link() does so only if told to */
	r = uk_find(&from, from_fd, from_user,
		    (flags & AT_EMPTY_PATH) |
			    (flags & AT_SYMLINK_FOLLOW ? 0 : AT_SYMLINK_NOFOLLOW));
	if (!r)
		r = uk_find_parent(&to, to_fd, to_user, 1);
	if (!r)
		r = link_walked(&from, &to);
	uk_walk_end(&from);
	uk_walk_end(&to);
	return r;
}

UK_SYSCALL(link)
{
	return link_at((uint64_t)AT_FDCWD, a, (uint64_t)AT_FDCWD, b, 0);
}

UK_SYSCALL(linkat)
{
	return link_at(a, b, c, d, (uint32_t)e);
}

static long symlink_at(uint64_t target_user, uint64_t dirfd, uint64_t user)
{
	struct uk_walk w = {0};
	char *target;
	long n = uk_path_in(target_user, 1, &target), r;

	if (n <= 0)
		return n ? n : -ENOENT;
	r = uk_find_parent(&w, dirfd, user, 0);
	if (!r)
		r = uk_may_make(&w, false);
	if (!r)
		r = uk_make_name(&w, uk_link_new(w.dir, target, (size_t)n));
	uk_walk_end(&w);
	return r;
}

UK_SYSCALL(symlink)
{
	return symlink_at(a, (uint64_t)AT_FDCWD, b);
}

UK_SYSCALL(symlinkat)
{
	return symlink_at(a, b, c);
}

static long link_text(const struct uk_node *link, const char **text)
{
	struct uk_file *file;

	*text = uk_path_buffer[1];
	switch (link->link.magic) {
	case UK_LINK_FD:
		file = uk_fd((uint64_t)link->link.fd);
		return file ? (long)uk_file_link(file, uk_path_buffer[1], PATH_MAX) : -ENOENT;
	case UK_LINK_CWD:
		return uk_node_path(uk_cwd(), uk_path_buffer[1], PATH_MAX);
	default:
		*text = link->link.target;
		return (long)link->size;
	}
}

static long readlink_at(uint64_t dirfd, uint64_t user, uint64_t out, int size)
{
	struct uk_walk w;
	const char *text = NULL;
	long n;

	if (size <= 0)
		return -EINVAL;
	n = uk_find(&w, dirfd, user, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH);
	if (!n && (!w.node || !UK_S_ISLNK(w.node->mode)))
		n = w.file || uk_user_empty(user) ? -ENOENT : -EINVAL;
	if (!n)
		n = link_text(w.node, &text);
	if (n > 0) {
		n = uk_min(n, size);
		if (uk_copy_out(out, text, (size_t)n))
			n = -EFAULT;
	}
	uk_walk_end(&w);
	return n;
}

UK_SYSCALL(readlink)
{
	return readlink_at((uint64_t)AT_FDCWD, a, b, (int)c);
}

UK_SYSCALL(readlinkat)
{
	return readlink_at(a, b, c, (int)d);
}
