/* SPDX-License-Identifier: Apache-2.0 */
/* unix.h: what unix.c (connections), unixname.c and unixmsg.c (what is sent) share. */
#ifndef UK_UNIX_H
#define UK_UNIX_H

#include <asm/poll.h>
#include <asm/socket.h>

#include "../list.h"
#include "sock.h"

#define UNIX_QUEUE_MAX  10u  /* datagrams from strangers: net.unix.max_dgram_qlen */
#define UNIX_FILES_MAX  253u /* in one message: SCM_MAX_FD */
#define UNIX_NAME_BYTES 110u /* sizeof(struct sockaddr_un) */
#define UNIX_NAME_START 2u   /* of its sun_path */

enum unix_state { UNIX_FREE, UNIX_LISTENING, UNIX_CONNECTED };

struct unix_credentials { /* struct ucred: unix(7) */
	uint32_t pid, uid, gid;
};

/*
 * One socket. It lives as long as somebody refers to it: its descriptor (or the queue that it
 * waits in to be accepted), its peers, and the messages that it has sent and that are still to
 * be read, which count against its buffer.
 */
struct unix_sock {
	struct sock s;
	uint32_t refs;
	enum unix_state state;
	bool dead; /* closed */
	bool receive_shut, send_shut, pass_credentials;
	bool waits;                 /* its peer's queue was found full */
	struct sock_address at;     /* bytes 0: no name */
	struct uk_node *node;       /* a name that is a path: what it names */
	struct uk_list abstract;    /* a name that is none: on the list of them */
	struct unix_sock *peer;     /* where send goes */
	struct uk_list peers;       /* whose peer this is ... */
	struct uk_list of_peer;     /* ... by this link */
	struct uk_list received;    /* struct unix_msg */
	uint32_t nreceived;         /* of them */
	uint32_t sent_bytes;        /* of messages that are still to be read */
	struct uk_list pending;     /* listening: connections to be accepted ... */
	struct uk_list of_listener; /* ... by this link */
	uint32_t npending, backlog;
	struct unix_credentials peer_credentials;
};

static inline struct unix_sock *unix_of(struct sock *s)
{
	return (struct unix_sock *)s; /* its first member */
}

static inline bool unix_is_connection(const struct unix_sock *u)
{
	return u->s.type != SOCK_DGRAM;
}

/* ---- unix.c ---- */
void unix_ref(struct unix_sock *u);
void unix_unref(struct unix_sock *u);
struct unix_credentials unix_credentials(void);
/* May u send to other? Not where that is connected to another one. */
bool unix_may_send(const struct unix_sock *u, const struct unix_sock *other);
/* Lets go of the peer. */
void unix_disconnect(struct unix_sock *u);
/* Those whose datagrams go to u, and had to wait, need not now. */
void unix_tell_peers(struct unix_sock *u);

/* ---- unixname.c ---- */
long unix_bind(struct sock *s, const struct sock_address *name);
/* The socket that has the name, with a reference: 0 or -errno. */
long unix_find(const struct sock_address *name, uint16_t type, struct unix_sock **found);

/* ---- unixmsg.c ---- */
long unix_send(struct sock *s, struct sock_msg *m);
long unix_receive(struct sock *s, struct sock_msg *m);
void unix_drop_all(struct unix_sock *u); /* what it has received */
/* Is there room to send? As Linux has it, while a quarter of the buffer is in use at most. */
bool unix_writable(const struct unix_sock *u);
uint32_t unix_unread(const struct unix_sock *u); /* bytes: FIONREAD */
/* A datagram from u to other waits for others to be read; unix_tell_peers then tells u. */
bool unix_queue_full(struct unix_sock *u, const struct unix_sock *other);

#endif
