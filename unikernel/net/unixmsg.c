/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unixmsg.c: what AF_UNIX sockets send: bytes, credentials and open files. Sources: unix(7),
 * cmsg(3).
 *
 * A message is a piece of the heap in its receiver's queue. Those of a stream are read across
 * their limits, but not across files or, where they are asked for, other credentials.
 */
#include "unix.h"

#define MESSAGE_COST 768u /* of each, above its bytes: what Linux counts for a small one */

struct unix_msg {
	struct uk_list link;    /* in the receiver's queue, or to be freed */
	struct unix_sock *from; /* with a reference */
	struct unix_credentials credentials;
	struct uk_file **files; /* NULL: none */
	uint32_t nfiles;
	uint32_t bytes, taken; /* taken: of a stream's, have been read */
	uint8_t data[];
};

/* A piece of a stream: whole pages with the heap's head (16 bytes). */
#define PIECE_BYTES ((uint32_t)(4 * NOXS_PAGE - 16 - sizeof(struct unix_msg)))

enum { SCM_RIGHTS = 1, SCM_CREDENTIALS = 2 }; /* cmsg(3) */

/* ---- messages ---- */

static size_t under_way; /* bytes of all messages that there are */

/*
 * The VM's memory is the program's, too: once messages take much of what is left, a socket has
 * room for little. Without a message under way it has always some, so that all goes on.
 */
static uint32_t buffer_of(const struct unix_sock *u)
{
	bool scarce = under_way > uk_pages_left() * NOXS_PAGE / 2;

	return scarce ? uk_min(u->s.send_bytes, (uint32_t)NOXS_PAGE) : u->s.send_bytes;
}

bool unix_writable(const struct unix_sock *u)
{
	return u->state != UNIX_LISTENING && u->sent_bytes <= buffer_of(u) / 4;
}

static uint32_t cost_of(const struct unix_msg *msg)
{
	return msg->bytes + MESSAGE_COST;
}

static void tell_room(const struct unix_sock *u)
{
	if (unix_writable(u))
		uk_file_ready(u->s.file, SOCK_OUT);
}

static void put_files(struct unix_msg *msg)
{
	for (uint32_t i = 0; i < msg->nfiles; i++)
		uk_file_put(msg->files[i]);
	uk_free(msg->files);
	msg->files = NULL;
	msg->nfiles = 0;
}

/* Frees it, and tells its sender of the room. A file in it may be a socket with messages that
 * have files: they are freed one after the other, not within each other. */
static void msg_free(struct unix_msg *msg)
{
	static struct uk_list freed = {&freed, &freed};
	static bool freeing;

	uk_list_add(&freed, &msg->link);
	if (freeing)
		return;
	freeing = true;
	while (!uk_list_empty(&freed)) {
		struct unix_msg *m = uk_list_of(freed.next, struct unix_msg, link);

		uk_list_remove(&m->link);
		put_files(m);
		m->from->sent_bytes -= cost_of(m);
		under_way -= cost_of(m);
		tell_room(m->from);
		unix_unref(m->from);
		uk_free(m);
	}
	freeing = false;
}

/* Takes it off the queue. */
static void msg_taken(struct unix_sock *u, struct unix_msg *msg)
{
	bool was_full = u->nreceived > u->backlog;

	uk_list_remove(&msg->link);
	u->nreceived--;
	if (was_full && u->nreceived <= u->backlog)
		unix_tell_peers(u);
	msg_free(msg);
}

static struct unix_msg *first_msg(const struct unix_sock *u)
{
	return uk_list_empty(&u->received) ? NULL
					   : uk_list_of(u->received.next, struct unix_msg, link);
}

void unix_drop_all(struct unix_sock *u)
{
	struct unix_msg *msg;

	while ((msg = first_msg(u)))
		msg_taken(u, msg);
}

uint32_t unix_unread(const struct unix_sock *u)
{
	uint32_t bytes = 0;

	for (struct uk_list *l = u->received.next; l != &u->received; l = l->next) {
		struct unix_msg *msg = uk_list_of(l, struct unix_msg, link);

		bytes += msg->bytes - msg->taken;
		if (u->s.type == SOCK_DGRAM)
			break;
	}
	return bytes;
}

bool unix_queue_full(struct unix_sock *u, const struct unix_sock *other)
{
	bool full = u->s.type == SOCK_DGRAM && other != u && other->peer != u &&
		    other->nreceived > other->backlog;

	u->waits |= full && other == u->peer;
	return full;
}

/* ---- sending ---- */

/* What a message's control part says. */
struct unix_control {
	struct unix_credentials credentials;
	uint32_t nfiles;
	struct uk_file *file[UNIX_FILES_MAX]; /* no references yet */
};

static long control_files(struct unix_control *c, const uint8_t *data, size_t bytes)
{
	uint32_t n = (uint32_t)(bytes / sizeof(int));

	if (n > UNIX_FILES_MAX - c->nfiles)
		return -EINVAL;
	for (uint32_t i = 0; i < n; i++) {
		int fd;

		memcpy(&fd, data + i * sizeof(fd), sizeof(fd));
		c->file[c->nfiles] = uk_fd((uint64_t)(uint32_t)fd);
		if (!c->file[c->nfiles])
			return -EBADF;
		c->nfiles++;
	}
	return 0;
}

/* Only root may pretend to be somebody else; no other process is there to be. */
static long control_credentials(struct unix_control *c, const uint8_t *data, size_t bytes)
{
	struct unix_credentials own = unix_credentials();

	if (bytes != sizeof(c->credentials))
		return -EINVAL;
	memcpy(&c->credentials, data, bytes);
	if (c->credentials.pid != own.pid)
		return own.uid ? -EPERM : -ESRCH;
	if (own.uid && (c->credentials.uid != own.uid || c->credentials.gid != own.gid))
		return -EPERM;
	return 0;
}

static long control_in(struct unix_control *c, const struct sock_msg *m)
{
	const struct sock_cmsg *part = NULL;
	long r = 0;

	c->nfiles = 0;
	c->credentials = unix_credentials();
	while (!r && (part = sock_next_cmsg(m, part))) {
		size_t bytes = part->bytes - sizeof(*part);

		if (part->level != SOL_SOCKET)
			continue;
		if (part->type == SCM_RIGHTS)
			r = control_files(c, part->data, bytes);
		else if (part->type == SCM_CREDENTIALS)
			r = control_credentials(c, part->data, bytes);
		else
			r = -EINVAL;
	}
	return r;
}

/* A message of bytes from offset off on of what is sent: 0, -ENOBUFS or -EFAULT. */
static long msg_new(struct unix_sock *u, const struct sock_msg *m, size_t off, uint32_t bytes,
		    const struct unix_control *c, uint32_t nfiles, struct unix_msg **out)
{
	bool room = uk_pages_left() > UK_FRAMES_RESERVE + bytes / NOXS_PAGE;
	struct unix_msg *msg = room ? uk_alloc(sizeof(*msg) + bytes) : NULL;
	struct uk_file **files = nfiles ? uk_alloc(nfiles * sizeof(*files)) : NULL;

	if (!msg || (nfiles && !files)) {
		uk_free(msg);
		uk_free(files);
		return -ENOBUFS;
	}
	if (bytes && sock_copy_in(m, off, msg->data, bytes) < 0) {
		uk_free(msg);
		uk_free(files);
		return -EFAULT;
	}
	for (uint32_t i = 0; i < nfiles; i++) {
		files[i] = c->file[i];
		files[i]->refs++;
	}
	msg->files = files;
	msg->nfiles = nfiles;
	msg->bytes = bytes;
	msg->credentials = c->credentials;
	msg->from = u;
	unix_ref(u);
	u->sent_bytes += cost_of(msg);
	under_way += cost_of(msg);
	*out = msg;
	return 0;
}

static void deliver(struct unix_sock *to, struct unix_msg *msg)
{
	uk_list_add(&to->received, &msg->link);
	to->nreceived++;
	uk_file_ready(to->s.file, SOCK_IN);
}

static long send_stream(struct unix_sock *u, struct sock_msg *m, const struct unix_control *c)
{
	size_t at = m->done, start = at;

	if (m->name.bytes)
		return u->state == UNIX_CONNECTED ? -EISCONN : -EOPNOTSUPP;
	if (!u->peer)
		return -ENOTCONN;
	if (u->send_shut)
		return -EPIPE;
	while (at < m->bytes) {
		uint32_t buffer = buffer_of(u), bytes;
		struct unix_msg *msg;
		long r = -EAGAIN;

		bytes = (uint32_t)uk_min(m->bytes - at, uk_min(buffer, PIECE_BYTES));
		if (u->sent_bytes < buffer)
			r = msg_new(u, m, at, bytes, c, at ? 0 : c->nfiles, &msg);
		if (r)
			return at > start ? (long)(at - start) : r;
		deliver(u->peer, msg);
		at += bytes;
	}
	return (long)(at - start);
}

/* To the one that a name or connect says: it, with a reference, or -errno. */
static long datagram_to(struct unix_sock *u, const struct sock_msg *m, struct unix_sock **other)
{
	if (m->name.bytes && u->s.type == SOCK_DGRAM)
		return unix_find(&m->name, u->s.type, other);
	*other = u->peer;
	if (!u->peer)
		return -ENOTCONN;
	if (u->peer->dead) {
		unix_disconnect(u);
		u->state = UNIX_FREE;
		unix_drop_all(u); /* Linux, too: what that one sent is lost */
		return -ECONNREFUSED;
	}
	unix_ref(*other);
	return 0;
}

static long send_to(struct unix_sock *u, struct unix_sock *other, const struct sock_msg *m,
		    const struct unix_control *c)
{
	struct unix_msg *msg;
	long r;

	if (!unix_may_send(u, other))
		return -EPERM;
	if (other->receive_shut)
		return -EPIPE;
	if (unix_queue_full(u, other))
		return -EAGAIN;
	r = msg_new(u, m, 0, (uint32_t)m->bytes, c, c->nfiles, &msg);
	if (r)
		return r;
	deliver(other, msg);
	return (long)m->bytes;
}

static long send_datagram(struct unix_sock *u, struct sock_msg *m, const struct unix_control *c)
{
	struct unix_sock *other;
	long r;

	r = u->s.type == SOCK_SEQPACKET ? sock_take_error(&u->s) : 0;
	if (r)
		return r;
	if (u->s.type == SOCK_SEQPACKET && u->state != UNIX_CONNECTED)
		return -ENOTCONN;
	if (m->bytes > u->s.send_bytes - uk_min(u->s.send_bytes, 32u))
		return -EMSGSIZE;
	r = sock_take_error(&u->s);
	if (r)
		return r;
	if (u->send_shut)
		return -EPIPE;
	if (u->sent_bytes >= buffer_of(u))
		return -EAGAIN;
	r = datagram_to(u, m, &other);
	if (!r) {
		r = send_to(u, other, m, c);
		unix_unref(other);
	}
	/* On Linux the message was made by now, and a message's end is room. */
	if (r < 0)
		tell_room(u);
	return r;
}

long unix_send(struct sock *s, struct sock_msg *m)
{
	static struct unix_control control; /* 2 KiB: much for the stack */
	struct unix_sock *u = unix_of(s);
	long r = control_in(&control, m);

	if (r)
		return r;
	if (m->flags & MSG_OOB)
		return -EOPNOTSUPP;
	return s->type == SOCK_STREAM ? send_stream(u, m, &control) : send_datagram(u, m, &control);
}

/* ---- receiving ---- */

/* As many of the files as there is room and are descriptors for; the others are closed. */
static void files_out(struct sock_msg *m, struct unix_msg *msg)
{
	size_t room = m->control_max - uk_min(m->control_bytes, m->control_max);
	uint32_t n = 0, fits = 0;
	int fd[UNIX_FILES_MAX];

	if (!msg->nfiles)
		return;
	if (room > sizeof(struct sock_cmsg))
		fits = (uint32_t)uk_min((room - sizeof(struct sock_cmsg)) / sizeof(int),
					msg->nfiles);
	while (n < fits) {
		long r = uk_fd_install(msg->files[n], 0, m->flags & MSG_CMSG_CLOEXEC);

		if (r < 0)
			break;
		msg->files[n]->refs++;
		fd[n++] = (int)r;
	}
	if (n < msg->nfiles)
		m->out_flags |= MSG_CTRUNC;
	if (n)
		sock_put_cmsg(m, SOL_SOCKET, SCM_RIGHTS, fd, n * (uint32_t)sizeof(*fd));
	if (!(m->flags & MSG_PEEK))
		put_files(msg);
}

/* Whom it is from. */
static void sender_out(const struct unix_sock *u, struct sock_msg *m, const struct unix_msg *msg)
{
	m->name = msg->from->at;
	if (u->pass_credentials)
		sock_put_cmsg(m, SOL_SOCKET, SCM_CREDENTIALS, &msg->credentials,
			      sizeof(msg->credentials));
}

/* Nothing more will come: told to who waits, of datagrams not to who would not have waited. */
static bool at_end(const struct unix_sock *u, const struct sock_msg *m)
{
	bool waits = !(m->flags & MSG_DONTWAIT) && !(u->s.file->flags & O_NONBLOCK);

	return u->receive_shut && (u->s.type == SOCK_SEQPACKET || waits);
}

static long receive_datagram(struct unix_sock *u, struct sock_msg *m)
{
	struct unix_msg *msg = first_msg(u);
	uint32_t bytes;

	if (u->s.type == SOCK_SEQPACKET && u->state != UNIX_CONNECTED)
		return -ENOTCONN;
	if (u->s.error)
		return sock_take_error(&u->s);
	if (!msg)
		return at_end(u, m) ? 0 : -EAGAIN;
	bytes = (uint32_t)uk_min(m->bytes, msg->bytes);
	if (bytes && sock_copy_out(m, 0, msg->data, bytes) < 0)
		return -EFAULT;
	if (bytes < msg->bytes)
		m->out_flags |= MSG_TRUNC;
	if (m->flags & MSG_TRUNC)
		bytes = msg->bytes;
	sender_out(u, m, msg);
	files_out(m, msg);
	if (!(m->flags & MSG_PEEK))
		msg_taken(u, msg);
	return bytes;
}

static long receive_stream(struct unix_sock *u, struct sock_msg *m)
{
	struct uk_list *l = u->received.next, *next;
	struct unix_credentials from;
	size_t done = 0, room = m->bytes - m->done;
	bool ends = false;

	if (u->state != UNIX_CONNECTED)
		return -EINVAL;
	if (l == &u->received) {
		long r = sock_take_error(&u->s);

		return r ? r : u->receive_shut ? 0 : -EAGAIN;
	}
	for (; !ends && done < room && l != &u->received; l = next) {
		struct unix_msg *msg = uk_list_of(l, struct unix_msg, link);
		uint32_t bytes = (uint32_t)uk_min(room - done, msg->bytes - msg->taken);

		next = l->next;
		if (done && u->pass_credentials &&
		    memcmp(&msg->credentials, &from, sizeof(from)) != 0)
			break;
		if (sock_copy_out(m, m->done + done, msg->data + msg->taken, bytes) < 0)
			return done ? (long)done : -EFAULT;
		if (!done)
			sender_out(u, m, msg);
		from = msg->credentials;
		ends = msg->nfiles;
		files_out(m, msg);
		done += bytes;
		if (m->flags & MSG_PEEK)
			continue;
		msg->taken += bytes;
		if (msg->taken == msg->bytes)
			msg_taken(u, msg);
	}
	return (long)done;
}

long unix_receive(struct sock *s, struct sock_msg *m)
{
	if (m->flags & MSG_OOB)
		return -EOPNOTSUPP;
	return s->type == SOCK_STREAM ? receive_stream(unix_of(s), m)
				      : receive_datagram(unix_of(s), m);
}
