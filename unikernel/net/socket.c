/* SPDX-License-Identifier: Apache-2.0 */
/*
 * socket.c: sockets as files, and the system calls that make, name, connect and end them.
 * Data goes through sockmsg.c, options through sockopt.c. socket(7), and the calls' own pages.
 */
#include <linux/net.h>

#include "sock.h"
#include "net.h"

#define FAMILIES     46 /* AF_MAX: numbers from here on are none */
#define TYPES        11 /* SOCK_MAX */
#define IP_PROTOCOLS 263
#define BACKLOG_MAX  4096                                 /* net.core.somaxconn */
#define TYPE_FLAGS   ((uint32_t)(O_CLOEXEC | O_NONBLOCK)) /* SOCK_CLOEXEC, SOCK_NONBLOCK */
#define SOCK_DEV     6                                    /* st_dev */
#define BUFFER_BYTES 212992u /* net.core.wmem_default and rmem_default */

/* ---- what families use ---- */

void sock_init(struct sock *s, const struct sock_ops *ops, uint16_t family, uint16_t type,
	       uint16_t protocol)
{
	static uint64_t last_ino = 1000;

	s->ops = ops;
	s->family = family;
	s->type = type;
	s->protocol = protocol;
	s->linger_s = -1;
	s->send_bytes = s->receive_bytes = BUFFER_BYTES;
	s->receive_low = 1;
	s->ttl = s->tos = -1;
	s->ino = ++last_ino;
}

void sock_changed(struct sock *s)
{
	uk_file_changed(s->file);
}

void sock_ready(struct sock *s, uint32_t events)
{
	uk_file_ready(s->file, events);
}

long sock_take_error(struct sock *s)
{
	long error = s->error;

	s->error = 0;
	return -error;
}

long sock_wait(uint64_t timeout_ns, uint64_t *deadline)
{
	uint64_t now;
	long r;

	if (!*deadline) {
		now = uk_monotonic_ns();
		if (!timeout_ns || __builtin_add_overflow(now, timeout_ns, deadline))
			*deadline = NOXS_FOREVER;
	} else if (*deadline != NOXS_FOREVER && uk_monotonic_ns() >= *deadline) {
		return -EAGAIN;
	}
	r = uk_wait(NOXS_EV_NET_ALL, *deadline);
	if (r >= 0)
		return 0;
	/* A call that has a time-out would wait for all of it again (signal(7)). */
	if (timeout_ns)
		uk_signal_no_restart();
	return r;
}

static bool service(void)
{
	return uk_net_live && uk_net_service();
}

bool sock_looked(bool *looked)
{
	bool first = !*looked;

	*looked = true;
	return first && service();
}

struct sock *sock_of(uint64_t fd, long *error)
{
	struct uk_file *f = uk_fd_io(fd);

	if (f && f->ops == &uk_sock_ops)
		return f->sock;
	*error = f ? -ENOTSOCK : -EBADF;
	return NULL;
}

struct sock *sock_now(uint64_t fd, long *error)
{
	struct sock *s = sock_of(fd, error);

	if (s)
		service();
	return s;
}

/* ---- files ---- */

static void file_release(struct uk_file *f)
{
	struct sock *s = f->sock;

	if (!s) /* accept found nothing */
		return;
	s->file = NULL;
	s->ops->close(s);
}

static long file_vector(struct uk_file *f, bool write, const struct iovec *iov, size_t n,
			uint32_t flags)
{
	struct sock_msg m = {.iov = iov, .niov = n};

	for (size_t i = 0; i < n; i++)
		m.bytes += iov[i].iov_len;
	m.bytes = uk_min(m.bytes, UK_RW_MAX);
	if (write)
		return sock_send(f->sock, &m, flags & O_NONBLOCK);
	return m.bytes ? sock_receive(f->sock, &m, flags & O_NONBLOCK) : 0;
}

static long file_read(struct uk_file *f, uint64_t user, size_t n, uint64_t off, uint32_t flags)
{
	struct iovec iov = {(void *)user, n};

	return file_vector(f, false, &iov, 1, flags);
}

static long file_write(struct uk_file *f, uint64_t user, size_t n, uint64_t off, uint32_t flags)
{
	struct iovec iov = {(void *)user, n};

	return file_vector(f, true, &iov, 1, flags);
}

static long file_send(struct uk_file *f, const void *data, size_t n, bool more)
{
	return sock_send_kernel(f, data, n, more);
}

static long file_stat(struct uk_file *f, struct statx *st)
{
	st->stx_mode = S_IFSOCK | 0777;
	st->stx_nlink = 1;
	st->stx_uid = UK_NOXS->uid;
	st->stx_gid = UK_NOXS->gid;
	st->stx_ino = f->sock->ino;
	st->stx_dev_minor = SOCK_DEV;
	st->stx_blksize = NOXS_PAGE;
	return 0;
}

static long file_ioctl(struct uk_file *f, uint32_t cmd, uint64_t arg)
{
	service();
	return sock_ioctl(f->sock, cmd, arg);
}

static uint32_t file_poll(struct uk_file *f, uint32_t *wait)
{
	*wait |= NOXS_EV_NET_ALL;
	return f->sock->ops->poll(f->sock);
}

const struct uk_file_ops uk_sock_ops = {
	.release = file_release,
	.read = file_read,
	.write = file_write,
	.vector = file_vector,
	.send = file_send,
	.stat = file_stat,
	.ioctl = file_ioctl,
	.poll = file_poll,
};

long sock_install(struct sock *s, uint32_t type_flags)
{
	struct uk_file *f = uk_file_new(&uk_sock_ops, O_RDWR | (type_flags & O_NONBLOCK));
	long fd;

	if (!f) {
		s->ops->close(s);
		return -ENOMEM;
	}
	f->sock = s;
	s->file = f;
	fd = uk_fd_install(f, 0, type_flags & O_CLOEXEC);
	if (fd < 0)
		uk_file_put(f);
	return fd;
}

/* ---- making ---- */

static long make(uint32_t family, uint32_t type, uint32_t protocol, struct sock **s)
{
	switch (family) {
	case AF_INET:
	case AF_INET6:
		if (protocol >= IP_PROTOCOLS)
			return -EINVAL;
		return inet_socket((uint16_t)family, (uint16_t)type, (uint16_t)protocol, s);
	case AF_UNIX:
		return unix_socket((uint16_t)type, (uint16_t)protocol, s);
	case AF_NETLINK:
		return netlink_socket((uint16_t)type, (uint16_t)protocol, s);
	case AF_PACKET:
		return packet_socket((uint16_t)type, (uint16_t)protocol, s);
	default:
		return -EAFNOSUPPORT;
	}
}

static long check_type(uint32_t family, uint32_t *type, uint32_t *flags)
{
	*flags = *type & ~15u;
	*type &= 15;
	if (*flags & ~TYPE_FLAGS)
		return -EINVAL;
	if (family >= FAMILIES)
		return -EAFNOSUPPORT;
	return *type >= TYPES ? -EINVAL : 0;
}

UK_SYSCALL(socket)
{
	uint32_t type = (uint32_t)b, flags;
	struct sock *s;
	long r = check_type((uint32_t)a, &type, &flags);

	if (!r && (uint32_t)a != AF_UNIX)
		r = net_stack_start();
	if (!r)
		r = make((uint32_t)a, type, (uint32_t)c, &s);
	return r ? r : sock_install(s, flags);
}

UK_SYSCALL(socketpair)
{
	uint32_t type = (uint32_t)b, flags;
	struct sock *pair[2];
	int fd[2];
	long r = check_type((uint32_t)a, &type, &flags);

	if (r)
		return r;
	if ((uint32_t)a != AF_UNIX)
		return (uint32_t)a == AF_INET || (uint32_t)a == AF_INET6 ||
				       (uint32_t)a == AF_NETLINK || (uint32_t)a == AF_PACKET
			       ? -EOPNOTSUPP
			       : -EAFNOSUPPORT;
	if ((uint32_t)c && (uint32_t)c != AF_UNIX)
		return -EPROTONOSUPPORT;
	r = unix_pair((uint16_t)type, pair);
	if (r)
		return r;
	r = sock_install(pair[0], flags);
	if (r < 0) {
		pair[1]->ops->close(pair[1]);
		return r;
	}
	fd[0] = (int)r;
	r = sock_install(pair[1], flags);
	if (r < 0) {
		uk_fd_close((uint32_t)fd[0]);
		return r;
	}
	fd[1] = (int)r;
	r = uk_copy_out(d, fd, sizeof(fd));
	if (r) {
		uk_fd_close((uint32_t)fd[0]);
		uk_fd_close((uint32_t)fd[1]);
	}
	return r;
}

/* ---- names ---- */

long sock_address_in(struct sock_address *at, uint64_t user, uint64_t bytes)
{
	if ((uint32_t)bytes > sizeof(at->raw))
		return -EINVAL;
	memset(at, 0, sizeof(*at));
	at->bytes = (uint32_t)bytes;
	return at->bytes ? uk_copy_in(at->raw, user, at->bytes) : 0;
}

long sock_address_out(const struct sock_address *at, uint64_t user, uint64_t user_bytes)
{
	uint32_t bytes = at->bytes;
	int32_t room;

	if (uk_copy_in(&room, user_bytes, sizeof(room)))
		return -EFAULT;
	if (room < 0)
		return -EINVAL;
	if (uk_copy_out(user, at->raw, uk_min((uint32_t)room, bytes)) ||
	    uk_copy_out(user_bytes, &bytes, sizeof(bytes)))
		return -EFAULT;
	return 0;
}

UK_SYSCALL(bind)
{
	struct sock_address at;
	long r = 0;
	struct sock *s = sock_now(a, &r);

	if (!s)
		return r;
	r = sock_address_in(&at, b, c);
	if (r)
		return r;
	return s->ops->bind ? s->ops->bind(s, &at) : -EOPNOTSUPP;
}

static long name(uint64_t fd, bool peer, uint64_t user, uint64_t user_bytes)
{
	struct sock_address at = {0};
	long r = 0;
	struct sock *s = sock_now(fd, &r);

	if (!s)
		return r;
	r = s->ops->name ? s->ops->name(s, peer, &at) : -EOPNOTSUPP;
	return r < 0 ? r : sock_address_out(&at, user, user_bytes);
}

UK_SYSCALL(getsockname)
{
	return name(a, false, b, c);
}

UK_SYSCALL(getpeername)
{
	return name(a, true, b, c);
}

/* ---- connections ---- */

UK_SYSCALL(listen)
{
	long r = 0;
	struct sock *s = sock_now(a, &r);
	uint32_t backlog = uk_min((uint32_t)b, BACKLOG_MAX);

	if (!s)
		return r;
	return s->ops->listen ? s->ops->listen(s, (int)backlog) : -EOPNOTSUPP;
}

UK_SYSCALL(connect)
{
	struct sock_address to;
	uint64_t deadline = 0;
	long r = 0;
	struct sock *s = sock_now(a, &r);

	if (!s)
		return r;
	r = sock_address_in(&to, b, c);
	if (r)
		return r;
	if (!s->ops->connect)
		return -EOPNOTSUPP;
	for (;;) {
		long w;

		r = s->ops->connect(s, &to);
		if (r != -EINPROGRESS && r != -EALREADY && r != -EAGAIN)
			break;
		/* A datagram's peer is known at once, or when there are addresses. */
		if (s->file->flags & O_NONBLOCK && (r != -EAGAIN || s->family == AF_UNIX))
			break;
		w = sock_wait(s->send_timeout_ns, &deadline);
		if (w == -EAGAIN)
			r = -EINPROGRESS;
		if (w)
			return w == -EAGAIN ? r : w;
	}
	return r;
}

static long accept_one(struct sock *s, struct sock **new, struct sock_address *from)
{
	uint64_t deadline = 0;
	bool looked = false;
	long r;

	if (!s->ops->accept)
		return -EOPNOTSUPP;
	for (;;) {
		r = s->ops->accept(s, new, from);
		if (r != -EAGAIN)
			return r;
		if (s->file->flags & O_NONBLOCK) {
			if (sock_looked(&looked))
				continue;
			return r;
		}
		r = sock_wait(s->receive_timeout_ns, &deadline);
		if (r)
			return r;
	}
}

/* The descriptor comes first: a connection that cannot have one stays where it is. */
static long do_accept(uint64_t fd, uint64_t user, uint64_t user_bytes, uint32_t flags)
{
	struct sock_address from = {0};
	struct sock *s, *new;
	struct uk_file *f;
	long new_fd, r = 0;

	if (uk_fd_io(fd) && flags & ~TYPE_FLAGS)
		return -EINVAL;
	s = sock_of(fd, &r);
	if (!s)
		return r;
	f = uk_file_new(&uk_sock_ops, O_RDWR | (flags & O_NONBLOCK));
	if (!f)
		return -ENOMEM;
	new_fd = uk_fd_install(f, 0, flags & O_CLOEXEC);
	if (new_fd < 0) {
		uk_file_put(f);
		return new_fd;
	}
	r = accept_one(s, &new, &from);
	if (!r) {
		f->sock = new;
		new->file = f;
		if (user)
			r = sock_address_out(&from, user, user_bytes);
	}
	if (r)
		uk_fd_close((uint64_t)new_fd);
	return r ? r : new_fd;
}

UK_SYSCALL(accept)
{
	return do_accept(a, b, c, 0);
}

UK_SYSCALL(accept4)
{
	return do_accept(a, b, c, (uint32_t)d);
}

UK_SYSCALL(shutdown)
{
	long r = 0;
	struct sock *s = sock_now(a, &r);

	if (!s)
		return r;
	if ((uint32_t)b > SHUT_RDWR)
		return -EINVAL;
	return s->ops->shutdown ? s->ops->shutdown(s, (int)b) : -EOPNOTSUPP;
}
