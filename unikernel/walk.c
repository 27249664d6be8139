/* SPDX-License-Identifier: Apache-2.0 */
/*
 * walk.c: from a name to the object: the tree of directories, which is made at the first
 * path, and the path walk.
 */
#include "vfs.h"

/* ---- the tree ---- */

static struct uk_node *root, *cwd;

/* The start directory, made as far as it is not there; stops where a name is no directory. */
static struct uk_node *make_path(struct uk_node *at, const char *path)
{
	while (*path) {
		char text[NAME_MAX + 1];
		size_t n = 0;
		struct uk_name *name;
		struct uk_node *next;

		while (*path == '/')
			path++;
		while (path[n] && path[n] != '/')
			n++;
		if (!n || n > NAME_MAX)
			break;
		memcpy(text, path, n);
		text[n] = '\0';
		path += n;
		name = uk_dir_find(at, text, n);
		next = name ? name->node : uk_make_dir(at, text, 0755, NULL);
		if (!next || !UK_S_ISDIR(next->mode))
			break;
		if (!name) {
			next->uid = UK_NOXS->uid;
			next->gid = UK_NOXS->gid;
		}
		at = next;
	}
	return at;
}

static void make_tree(void)
{
	struct uk_node *dir;

	root = uk_node_new(NULL, S_IFDIR | 0755);
	if (!root)
		return;
	root->dir.parent = root;
	root->nlink = 2;
	uk_make_dir(root, "tmp", 01777, NULL);
	uk_make_dir(root, "dev", 0755, uk_dev_fill);
	dir = uk_make_dir(root, "proc", 0555, uk_proc_fill);
	if (dir)
		dir->fs = UK_FS_PROC;
	dir = uk_make_dir(root, "sys", 0555, uk_sys_fill);
	if (dir)
		dir->fs = UK_FS_SYS;
	uk_make_dir(root, "etc", 0755, uk_etc_fill);
	uk_make_dir(root, "root", 0700, NULL);
	uk_make_dir(root, "home", 0755, NULL);
	uk_make_dir(root, "bin", 0755, NULL);
	uk_make_dir(root, "run", 0755, NULL);
	dir = uk_make_dir(root, "usr", 0755, NULL);
	if (dir)
		uk_make_dir(dir, "bin", 0755, NULL);
	dir = uk_make_dir(root, "var", 0755, NULL);
	if (dir)
		uk_make_dir(dir, "tmp", 01777, NULL);
	uk_cwd_set(make_path(root, UK_NOXS->cwd));
}

struct uk_node *uk_root(void)
{
	if (!root)
		make_tree();
	return root;
}

struct uk_node *uk_cwd(void)
{
	return uk_root() ? cwd : NULL;
}

void uk_cwd_set(struct uk_node *dir)
{
	uk_node_ref(dir);
	if (cwd)
		uk_node_unref(cwd);
	cwd = dir;
}

long uk_may(const struct uk_node *node, uint32_t mask)
{
	uint32_t mode = node->mode;

	if (UK_NOXS->uid == 0) {
		/* root may all, but run what nobody may run */
		if (mask & UK_MAY_X && !UK_S_ISDIR(mode) && !(mode & 0111))
			return -EACCES;
		return 0;
	}
	if (node->uid == UK_NOXS->uid)
		mode >>= 6;
	else if (node->gid == UK_NOXS->gid)
		mode >>= 3;
	return mask & ~mode & 7 ? -EACCES : 0;
}

/* ---- the walk ---- */

char uk_path_buffer[2][PATH_MAX];

long uk_path_in(uint64_t user, int which, char **path)
{
	*path = uk_path_buffer[which];
	return uk_copy_str(*path, user, PATH_MAX);
}

static long walk_start(int dirfd, bool absolute, uint32_t flags, struct uk_node **at)
{
	struct uk_file *f;

	if (absolute && flags & UK_WALK_BENEATH)
		return -EXDEV;
	if (absolute && !(flags & UK_WALK_IN_ROOT)) {
		*at = root;
		return 0;
	}
	if (dirfd == AT_FDCWD) {
		*at = cwd;
		return 0;
	}
	f = uk_fd((uint64_t)dirfd);
	if (!f)
		return -EBADF;
	*at = f->node;
	return f->node && UK_S_ISDIR(f->node->mode) ? 0 : -ENOTDIR;
}

/* The path from here on: the link's target, then what stood behind the link. */
static long expand(struct uk_walk *w, const char *target, const char *rest, const char **path)
{
	size_t head = strlen(target), tail = strlen(rest);
	char *text = uk_alloc(head + tail + 1);

	if (!text)
		return -ENOMEM;
	memcpy(text, target, head);
	memcpy(text + head, rest, tail);
	uk_free(w->expanded);
	w->expanded = text;
	*path = text;
	return 0;
}

static struct uk_node *step(struct uk_node *at, const char *name, size_t n, struct uk_node *base)
{
	struct uk_name *found;

	if (n == 1 && name[0] == '.')
		return at;
	if (n == 2 && name[0] == '.' && name[1] == '.')
		return at == base ? at : at->dir.parent;
	found = uk_dir_find(at, name, n);
	return found ? found->node : NULL;
}

/* What a link of /proc leads to. 0, w->node and w->file, or -errno. */
static long walk_magic(struct uk_walk *w, struct uk_node *link, uint32_t flags)
{
	if (flags & (UK_WALK_NO_MAGIC | UK_WALK_BENEATH | UK_WALK_IN_ROOT))
		return flags & UK_WALK_NO_MAGIC ? -ELOOP : -EXDEV;
	if (link->link.magic == UK_LINK_CWD) {
		w->node = cwd;
		return 0;
	}
	w->file = uk_fd((uint64_t)link->link.fd);
	if (!w->file)
		return -ENOENT;
	w->node = w->file->node;
	return 0;
}

long uk_walk(struct uk_walk *w, int dirfd, const char *path, uint32_t flags)
{
	struct uk_node *at, *base;
	uint32_t links = 0;
	long r;

	*w = (struct uk_walk){0};
	if (!*path)
		return -ENOENT;
	if (!uk_root())
		return -ENOMEM;
	r = walk_start(dirfd, *path == '/', flags, &at);
	if (r)
		return r;
	base = flags & (UK_WALK_BENEATH | UK_WALK_IN_ROOT) ? at : root;
	for (;;) {
		const char *rest;
		bool last;

		while (*path == '/')
			path++;
		w->dir = w->node = at;
		w->file = NULL;
		w->dots = true;
		if (!*path)
			return 0;
		for (rest = path; *rest && *rest != '/'; rest++)
			;
		w->name = path;
		w->length = (size_t)(rest - path);
		w->slash = *rest == '/';
		for (path = rest; *path == '/'; path++)
			;
		last = !*path;
		r = uk_may(at, UK_MAY_X);
		if (r)
			return r;
		if (w->length > NAME_MAX)
			return -ENAMETOOLONG;
		w->dots = w->name[0] == '.' &&
			  (w->length == 1 || (w->length == 2 && w->name[1] == '.'));
		if (flags & UK_WALK_BENEATH && w->dots && w->length == 2 && at == base)
			return -EXDEV;
		if (flags & UK_WALK_CREATE && last && w->slash && !w->dots)
			return -EISDIR;
		w->node = step(at, w->name, w->length, base);
		if (!w->node)
			return last ? 0 : -ENOENT;
		if (UK_S_ISLNK(w->node->mode) &&
		    (!last || flags & UK_WALK_FOLLOW || (w->slash && !(flags & UK_WALK_PARENT)))) {
			struct uk_node *link = w->node;

			if (flags & UK_WALK_NO_LINKS || ++links > UK_LINKS_MAX)
				return -ELOOP;
			if (link->link.magic == UK_LINK_TEXT) {
				const char *target = link->link.target;

				if (*target == '/' && flags & UK_WALK_BENEATH)
					return -EXDEV;
				if (*target == '/')
					at = flags & UK_WALK_IN_ROOT ? base : root;
				r = expand(w, target, rest, &path);
				if (r)
					return r;
				continue;
			}
			r = walk_magic(w, link, flags);
			if (r)
				return r;
		}
		if (last && (!w->slash || flags & UK_WALK_PARENT))
			return 0;
		if (!w->node || !UK_S_ISDIR(w->node->mode))
			return -ENOTDIR;
		if (last)
			return 0;
		at = w->node;
	}
}

long uk_walk_existing(struct uk_walk *w, int dirfd, const char *path, uint32_t flags)
{
	long r = uk_walk(w, dirfd, path, flags);

	if (!r && !w->node && !w->file)
		return -ENOENT;
	return r;
}

void uk_walk_end(struct uk_walk *w)
{
	uk_free(w->expanded);
}
