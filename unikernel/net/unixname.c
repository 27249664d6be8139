/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unixname.c: names of AF_UNIX sockets. A path names a node of the file system, which points
 * to its socket for as long as that is open; an abstract name is on a list (unix(7)).
 */
#include <linux/un.h>

#include "../path.h"
#include "unix.h"

_Static_assert(sizeof(struct sockaddr_un) == UNIX_NAME_BYTES &&
		       offsetof(struct sockaddr_un, sun_path) == UNIX_NAME_START,
	       "unix(7)");

static struct uk_list abstract_names = {&abstract_names, &abstract_names};

static const char *path_of(const struct sock_address *at)
{
	return (const char *)at->raw + UNIX_NAME_START;
}

static bool is_abstract(const struct sock_address *at)
{
	return at->bytes > UNIX_NAME_START && !*path_of(at);
}

/* A path, terminated, and no longer than it is: 0 or -EINVAL. */
static long normal(struct sock_address *to, const struct sock_address *at)
{
	if (at->bytes <= UNIX_NAME_START || at->bytes > UNIX_NAME_BYTES || at->family != AF_UNIX)
		return -EINVAL;
	*to = *at;
	to->raw[at->bytes] = '\0';
	if (!is_abstract(at))
		to->bytes = UNIX_NAME_START + (uint32_t)strlen(path_of(to)) + 1;
	return 0;
}
_Static_assert(UNIX_NAME_BYTES < sizeof(((struct sock_address *)0)->raw), "room for a NUL");

static struct unix_sock *find_abstract(const struct sock_address *at)
{
	for (struct uk_list *l = abstract_names.next; l != &abstract_names; l = l->next) {
		struct unix_sock *u = uk_list_of(l, struct unix_sock, abstract);

		if (u->at.bytes == at->bytes && !memcmp(u->at.raw, at->raw, at->bytes))
			return u;
	}
	return NULL;
}

static long find_path(const char *path, struct unix_sock **found)
{
	struct uk_walk w = {0};
	long r = uk_walk_existing(&w, AT_FDCWD, path, UK_WALK_FOLLOW);

	*found = NULL;
	if (!r && !w.node)
		r = -ECONNREFUSED; /* /proc/self/fd/N */
	if (!r)
		r = uk_may(w.node, UK_MAY_W);
	if (!r && (w.node->mode & S_IFMT) != S_IFSOCK)
		r = -ECONNREFUSED;
	if (!r && w.node->bound)
		*found = unix_of(w.node->bound);
	uk_walk_end(&w);
	return r;
}

long unix_find(const struct sock_address *name, uint16_t type, struct unix_sock **found)
{
	struct sock_address at;
	long r = normal(&at, name);

	if (r)
		return r;
	if (is_abstract(&at))
		*found = find_abstract(&at);
	else
		r = find_path(path_of(&at), found);
	if (r)
		return r;
	if (!*found)
		return -ECONNREFUSED;
	if ((*found)->s.type != type)
		return -EPROTOTYPE;
	unix_ref(*found);
	return 0;
}

static long node_open(struct uk_file *f)
{
	return -ENXIO;
}

static const struct uk_file_ops node_ops = {.open = node_open};

static long bind_path(struct unix_sock *u, const char *path)
{
	struct uk_walk w = {0};
	struct uk_node *node;
	long r = uk_walk(&w, AT_FDCWD, path, UK_WALK_PARENT);

	if (!r)
		r = uk_may_make(&w, false);
	if (!r) {
		node = uk_node_new(w.dir, S_IFSOCK | (0777 & ~uk_umask()));
		if (node)
			node->ops = &node_ops;
		r = uk_make_name(&w, node);
		if (!r) {
			uk_node_ref(node);
			node->bound = &u->s;
			u->node = node;
		}
	}
	uk_walk_end(&w);
	return r == -EEXIST ? -EADDRINUSE : r;
}

/* A name of five digits that nobody has. */
static long bind_any(struct unix_sock *u)
{
	static uint32_t last;
	struct sock_address at = {.bytes = UNIX_NAME_START + 6, .family = AF_UNIX};

	for (uint32_t i = 0; i <= 0xfffff; i++) {
		last = (last + 1) & 0xfffff;
		uk_snprintf((char *)at.raw + UNIX_NAME_START + 1, 6, "%05x", last);
		if (find_abstract(&at))
			continue;
		u->at = at;
		uk_list_add(&abstract_names, &u->abstract);
		return 0;
	}
	return -ENOSPC;
}

long unix_bind(struct sock *s, const struct sock_address *name)
{
	struct unix_sock *u = unix_of(s);
	struct sock_address at;
	long r;

	if (name->bytes == UNIX_NAME_START && name->family == AF_UNIX)
		return u->at.bytes ? 0 : bind_any(u);
	r = normal(&at, name);
	if (r)
		return r;
	if (is_abstract(&at)) {
		if (u->at.bytes)
			return -EINVAL;
		if (find_abstract(&at))
			return -EADDRINUSE;
		uk_list_add(&abstract_names, &u->abstract);
	} else {
		if (u->at.bytes)
			return -EINVAL;
		r = bind_path(u, path_of(&at));
		if (r)
			return r;
	}
	u->at = at;
	return 0;
}
