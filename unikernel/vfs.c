/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vfs.c: from a number or a name to the object: the descriptor table and the path walk.
 *
 * A program that only prints must touch as little as possible, so the table's first part
 * and the console's three open files are initialised data, and the tree of directories
 * is made at the first path.
 */
#include "vfs.h"

/* ---- open files ---- */

static struct uk_file console_files[NOXS_NSTREAMS] = {
	{.ops = &uk_console_ops, .refs = 1, .flags = O_RDONLY, .stream = NOXS_STDIN},
	{.ops = &uk_console_ops, .refs = 1, .flags = O_WRONLY, .stream = NOXS_STDOUT},
	{.ops = &uk_console_ops, .refs = 1, .flags = O_WRONLY, .stream = NOXS_STDERR},
};

static struct uk_file *static_files[UK_FD_STATIC] = {
	&console_files[0],
	&console_files[1],
	&console_files[2],
};
static uint64_t static_cloexec[UK_FD_STATIC / 64];

struct uk_fds uk_fds = {
	.file = static_files,
	.cloexec = static_cloexec,
	.size = UK_FD_STATIC,
	.limit = UK_FD_DEFAULT,
	.low = NOXS_NSTREAMS,
};

void uk_vfs_init(void)
{
	for (int i = NOXS_NSTREAMS - 1; i >= 0; i--) {
		uint32_t flags = UK_NOXS->stream[i].flags;

		if (flags & NOXS_STREAM_CLOSED) {
			uk_fds.file[i] = NULL;
			uk_fds.low = (uint32_t)i;
		} else if (flags & NOXS_STREAM_TTY) {
			/* A terminal is one device, open for both on all three. */
			console_files[i].flags = O_RDWR;
		}
	}
}

struct uk_file *uk_file_new(const struct uk_file_ops *ops, uint32_t flags)
{
	struct uk_file *f = uk_alloc(sizeof(*f));

	if (f) {
		f->ops = ops;
		f->refs = 1;
		f->flags = flags;
	}
	return f;
}

void uk_file_put(struct uk_file *f)
{
	if (--f->refs)
		return;
	if (f->ops->release)
		f->ops->release(f);
	if (f->node)
		uk_node_unref(f->node);
	if (f < console_files || f >= console_files + NOXS_NSTREAMS)
		uk_free(f);
}

long uk_file_stat(struct uk_file *f, struct statx *st)
{
	if (f->ops->stat)
		return f->ops->stat(f, st);
	uk_node_stat(f->node, st);
	return 0;
}

size_t uk_file_link(struct uk_file *f, char *buf, size_t size)
{
	long n;

	if (f->node) {
		n = uk_node_path(f->node, buf, size);
		if (n >= 0)
			return (size_t)n;
		return (size_t)uk_snprintf(buf, size, "(unreachable)");
	}
	if (f->ops != &uk_console_ops)
		return (size_t)uk_snprintf(buf, size, "pipe:[%lu]", uk_pipe_ino(f));
	if (UK_NOXS->stream[f->stream].flags & NOXS_STREAM_TTY)
		return (size_t)uk_snprintf(buf, size, "/dev/tty");
	return (size_t)uk_snprintf(buf, size, "console:[%d]", f->stream);
}

/* ---- descriptors ---- */

bool uk_fd_cloexec(uint32_t fd)
{
	return uk_fds.cloexec[fd / 64] >> fd % 64 & 1;
}

void uk_fd_set_cloexec(uint32_t fd, bool on)
{
	uint64_t bit = 1ull << fd % 64;

	if (on)
		uk_fds.cloexec[fd / 64] |= bit;
	else
		uk_fds.cloexec[fd / 64] &= ~bit;
}

/* Make the table hold fd: 0 or -ENOMEM. It grows in powers of two and never shrinks. */
static long fds_hold(uint32_t fd)
{
	uint32_t size = uk_fds.size;
	struct uk_file **file;

	if (fd < size)
		return 0;
	while (size <= fd)
		size *= 2;
	file = uk_alloc(size * sizeof(*file) + size / 8);
	if (!file)
		return -ENOMEM;
	memcpy(file, uk_fds.file, uk_fds.size * sizeof(*file));
	memcpy(file + size, uk_fds.cloexec, uk_fds.size / 8);
	if (uk_fds.file != static_files)
		uk_free(uk_fds.file);
	uk_fds.file = file;
	uk_fds.cloexec = (uint64_t *)(file + size);
	uk_fds.size = size;
	return 0;
}

long uk_fd_install(struct uk_file *f, uint32_t min, bool cloexec)
{
	uint32_t fd = uk_max(min, uk_fds.low);
	long r;

	while (fd < uk_fds.size && uk_fds.file[fd])
		fd++;
	if (fd >= uk_fds.limit)
		return -EMFILE;
	r = fds_hold(fd);
	if (r)
		return r;
	uk_fds.file[fd] = f;
	uk_fd_set_cloexec(fd, cloexec);
	if (min <= uk_fds.low)
		uk_fds.low = fd + 1;
	return fd;
}

long uk_fd_install_at(struct uk_file *f, uint32_t fd, bool cloexec)
{
	struct uk_file *old;
	long r;

	if (fd >= uk_fds.limit)
		return -EBADF;
	r = fds_hold(fd);
	if (r)
		return r;
	old = uk_fds.file[fd];
	uk_fds.file[fd] = f;
	uk_fd_set_cloexec(fd, cloexec);
	if (old)
		uk_file_put(old);
	return fd;
}

long uk_fd_close(uint64_t fd)
{
	struct uk_file *f = uk_fd(fd);

	if (!f)
		return -EBADF;
	uk_fds.file[(uint32_t)fd] = NULL;
	uk_fds.low = uk_min(uk_fds.low, (uint32_t)fd);
	uk_file_put(f);
	return 0;
}

/* ---- for mmap ---- */

long uk_file_mappable(int fd, uint32_t *open_flags, struct uk_node **node)
{
	struct uk_file *f = uk_fd_io((uint64_t)fd);

	if (!f)
		return -EBADF;
	if ((f->flags & O_ACCMODE) == O_WRONLY)
		return -EACCES;
	if (!f->ops->mappable)
		return -ENODEV;
	*open_flags = f->flags;
	*node = UK_S_ISREG(f->node->mode) ? f->node : NULL;
	return 0;
}

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
