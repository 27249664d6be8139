/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unix.c: AF_UNIX within the program: connections, and their ends. Sources: unix(7),
 * socketpair(2); errors and their order are Linux's.
 */
#include <asm/ioctls.h>
#include <linux/sockios.h>

#include "unix.h"

static const struct sock_ops unix_ops;

void unix_ref(struct unix_sock *u)
{
	u->refs++;
}

void unix_unref(struct unix_sock *u)
{
	if (!--u->refs)
		uk_free(u);
}

struct unix_credentials unix_credentials(void)
{
	return (struct unix_credentials){UK_NOXS->pid, UK_NOXS->uid, UK_NOXS->gid};
}

static struct unix_sock *unix_new(uint16_t type)
{
	struct unix_sock *u = uk_alloc(sizeof(*u));

	if (!u)
		return NULL;
	sock_init(&u->s, &unix_ops, AF_UNIX, type, 0);
	u->refs = 1;
	u->backlog = UNIX_QUEUE_MAX;
	u->peer_credentials = (struct unix_credentials){0, UINT32_MAX, UINT32_MAX};
	uk_list_init(&u->abstract);
	uk_list_init(&u->peers);
	uk_list_init(&u->of_peer);
	uk_list_init(&u->received);
	uk_list_init(&u->pending);
	uk_list_init(&u->of_listener);
	return u;
}

long unix_socket(uint16_t type, uint16_t protocol, struct sock **s)
{
	struct unix_sock *u;

	if (protocol && protocol != AF_UNIX)
		return -EPROTONOSUPPORT;
	if (type == SOCK_RAW)
		type = SOCK_DGRAM; /* as BSD has it */
	if (type != SOCK_STREAM && type != SOCK_DGRAM && type != SOCK_SEQPACKET)
		return -ESOCKTNOSUPPORT;
	u = unix_new(type);
	if (!u)
		return -ENOMEM;
	*s = &u->s;
	return 0;
}

static void set_peer(struct unix_sock *u, struct unix_sock *peer)
{
	unix_ref(peer);
	u->peer = peer;
	uk_list_add(&peer->peers, &u->of_peer);
	u->state = UNIX_CONNECTED;
}

void unix_disconnect(struct unix_sock *u)
{
	struct unix_sock *peer = u->peer;

	if (!peer)
		return;
	uk_list_remove(&u->of_peer);
	u->peer = NULL;
	unix_unref(peer);
}

void unix_tell_peers(struct unix_sock *u)
{
	for (struct uk_list *l = u->peers.next; l != &u->peers; l = l->next) {
		struct unix_sock *peer = uk_list_of(l, struct unix_sock, of_peer);

		if (peer->waits)
			uk_file_ready(peer->s.file, SOCK_OUT);
		peer->waits = false;
	}
}

long unix_pair(uint16_t type, struct sock *pair[2])
{
	struct unix_sock *a = NULL, *b;
	long r = unix_socket(type, 0, &pair[0]);

	if (r)
		return r;
	a = unix_of(pair[0]);
	b = unix_new(a->s.type);
	if (!b) {
		unix_unref(a);
		return -ENOMEM;
	}
	set_peer(a, b);
	set_peer(b, a);
	a->peer_credentials = b->peer_credentials = unix_credentials();
	pair[1] = &b->s;
	return 0;
}

static long unix_name(struct sock *s, bool peer, struct sock_address *out)
{
	struct unix_sock *u = unix_of(s);

	if (peer)
		u = u->peer;
	if (!u)
		return -ENOTCONN;
	*out = u->at;
	if (!out->bytes) {
		out->bytes = UNIX_NAME_START;
		out->family = AF_UNIX;
	}
	return 0;
}

/* ---- connections ---- */

static long unix_listen(struct sock *s, int backlog)
{
	struct unix_sock *u = unix_of(s);

	if (!unix_is_connection(u))
		return -EOPNOTSUPP;
	if (!u->at.bytes || u->state == UNIX_CONNECTED)
		return -EINVAL;
	u->state = UNIX_LISTENING;
	s->listening = true;
	u->backlog = (uint32_t)backlog;
	u->peer_credentials = unix_credentials();
	return 0;
}

/* The other end is made at once and waits to be accepted. */
static long connect_to(struct unix_sock *u, struct unix_sock *listener)
{
	struct unix_sock *end;

	if (listener->state != UNIX_LISTENING || listener->receive_shut)
		return -ECONNREFUSED;
	if (listener->npending > listener->backlog)
		return -EAGAIN;
	if (u->state != UNIX_FREE)
		return u->state == UNIX_CONNECTED ? -EISCONN : -EINVAL;
	end = unix_new(u->s.type);
	if (!end)
		return -ENOMEM;
	end->at = listener->at;
	set_peer(end, u);
	set_peer(u, end);
	u->peer_credentials = listener->peer_credentials;
	end->peer_credentials = unix_credentials();
	end->pass_credentials = listener->pass_credentials;
	uk_list_add(&listener->pending, &end->of_listener);
	listener->npending++;
	uk_file_ready(listener->s.file, SOCK_IN);
	return 0;
}

bool unix_may_send(const struct unix_sock *u, const struct unix_sock *other)
{
	return !other->peer || other->peer == u;
}

/* Datagrams: where send goes, and from whom alone they come. */
static long connect_datagrams(struct unix_sock *u, struct unix_sock *other)
{
	struct unix_sock *old = u->peer;

	if (other && !unix_may_send(u, other))
		return -EPERM;
	if (old && old != other) {
		if (!uk_list_empty(&u->received)) {
			unix_drop_all(u);
			if (!old->dead && old->peer == u) {
				old->s.error = ECONNRESET;
				uk_file_changed(old->s.file);
			}
		}
	}
	unix_disconnect(u);
	u->state = UNIX_FREE;
	if (other)
		set_peer(u, other);
	return 0;
}

static long unix_connect(struct sock *s, const struct sock_address *to)
{
	struct unix_sock *u = unix_of(s), *other;
	long r;

	if (!unix_is_connection(u) && to->family == AF_UNSPEC)
		return connect_datagrams(u, NULL);
	r = unix_find(to, s->type, &other);
	if (r)
		return r;
	r = unix_is_connection(u) ? connect_to(u, other) : connect_datagrams(u, other);
	unix_unref(other);
	return r;
}

static long unix_accept(struct sock *s, struct sock **connected, struct sock_address *from)
{
	struct unix_sock *u = unix_of(s), *end;

	if (!unix_is_connection(u))
		return -EOPNOTSUPP;
	if (u->state != UNIX_LISTENING)
		return -EINVAL;
	if (uk_list_empty(&u->pending))
		return u->receive_shut ? -EINVAL : -EAGAIN;
	end = uk_list_of(u->pending.next, struct unix_sock, of_listener);
	uk_list_remove(&end->of_listener);
	u->npending--;
	*connected = &end->s;
	return unix_name(&end->s, true, from);
}

/* ---- ends ---- */

static long unix_shutdown(struct sock *s, int how)
{
	struct unix_sock *u = unix_of(s), *peer = u->peer;
	bool receive = how != SHUT_WR, send = how != SHUT_RD;

	u->receive_shut |= receive;
	u->send_shut |= send;
	uk_file_changed(s->file);
	if (peer && unix_is_connection(u)) {
		peer->receive_shut |= send;
		peer->send_shut |= receive;
		uk_file_changed(peer->s.file);
	}
	return 0;
}

/* reset: nobody has accepted it, or read what has come. */
static void close_connection(struct unix_sock *u, bool reset)
{
	struct unix_sock *peer = u->peer;

	if (!peer || peer->dead)
		return;
	peer->receive_shut = peer->send_shut = true;
	if (reset)
		peer->s.error = ECONNRESET;
	uk_file_changed(peer->s.file);
}

static void close_all(struct unix_sock *u, bool accepted)
{
	u->dead = true;
	u->s.file = NULL;
	u->receive_shut = u->send_shut = true;
	uk_list_remove(&u->abstract);
	if (u->node) {
		u->node->bound = NULL;
		uk_node_unref(u->node);
		u->node = NULL;
	}
	if (unix_is_connection(u))
		close_connection(u, !accepted || !uk_list_empty(&u->received));
	while (!uk_list_empty(&u->pending)) {
		struct unix_sock *end = uk_list_of(u->pending.next, struct unix_sock, of_listener);

		uk_list_remove(&end->of_listener);
		close_all(end, false);
	}
	unix_drop_all(u);
	unix_disconnect(u);
	unix_tell_peers(u); /* who waited for room in here need not any longer */
	unix_unref(u);
}

static void unix_close(struct sock *s)
{
	close_all(unix_of(s), true);
}

/* ---- what it is like ---- */

static uint32_t unix_poll(struct sock *s)
{
	struct unix_sock *u = unix_of(s);
	uint32_t events = 0;

	if (s->error)
		events |= POLLERR;
	if (u->receive_shut)
		events |= POLLRDHUP | POLLIN | POLLRDNORM;
	if (u->receive_shut && u->send_shut)
		events |= POLLHUP;
	if (!uk_list_empty(&u->received) || !uk_list_empty(&u->pending))
		events |= POLLIN | POLLRDNORM;
	if (unix_is_connection(u) && u->state == UNIX_FREE)
		events |= POLLHUP;
	if (unix_writable(u) && !(u->peer && unix_queue_full(u, u->peer)))
		events |= SOCK_OUT;
	return events;
}

static long unix_setopt(struct sock *s, int level, int name, const void *val, uint32_t bytes)
{
	int on;

	if (level != SOL_SOCKET || name != SO_PASSCRED)
		return level == SOL_SOCKET ? -ENOPROTOOPT : -EOPNOTSUPP;
	if (bytes < sizeof(on))
		return -EINVAL;
	memcpy(&on, val, sizeof(on));
	unix_of(s)->pass_credentials = on;
	return 0;
}

static long unix_getopt(struct sock *s, int level, int name, void *val, uint32_t *bytes)
{
	struct unix_sock *u = unix_of(s);
	int on = u->pass_credentials;

	if (level != SOL_SOCKET)
		return -EOPNOTSUPP;
	if (name == SO_PEERCRED) {
		*bytes = uk_min(*bytes, (uint32_t)sizeof(u->peer_credentials));
		memcpy(val, &u->peer_credentials, *bytes);
	} else if (name == SO_PASSCRED) {
		*bytes = uk_min(*bytes, (uint32_t)sizeof(on));
		memcpy(val, &on, *bytes);
	} else {
		return -ENOPROTOOPT;
	}
	return 0;
}

static long unix_ioctl(struct sock *s, uint32_t cmd, uint64_t arg)
{
	struct unix_sock *u = unix_of(s);
	int value;

	if (cmd == FIONREAD) {
		if (u->state == UNIX_LISTENING)
			return -EINVAL;
		value = (int)unix_unread(u);
	} else if (cmd == SIOCOUTQ) {
		value = (int)u->sent_bytes;
	} else {
		return -ENOTTY;
	}
	return uk_copy_out(arg, &value, sizeof(value));
}

static const struct sock_ops unix_ops = {
	.bind = unix_bind,
	.listen = unix_listen,
	.connect = unix_connect,
	.accept = unix_accept,
	.send = unix_send,
	.recv = unix_receive,
	.shutdown = unix_shutdown,
	.name = unix_name,
	.setopt = unix_setopt,
	.getopt = unix_getopt,
	.ioctl = unix_ioctl,
	.poll = unix_poll,
	.close = unix_close,
};
