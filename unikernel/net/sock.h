/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sock.h: sockets of every family.
 *
 * socket.c serves the system calls: it copies addresses, iovecs and control messages between
 * program and kernel, waits where a call blocks, and keeps what is alike for all (SO_RCVTIMEO,
 * O_NONBLOCK, SO_ERROR, ...). A family is a struct sock_ops whose functions never wait: they
 * return -EAGAIN, and call sock_changed when that may be otherwise.
 */
#ifndef UK_SOCK_H
#define UK_SOCK_H

#include <asm/poll.h>
#include <linux/socket.h>

#include "../vfs.h"

/* linux/socket.h has only the storage; these are the ABI's numbers (asm-generic/socket.h has
 * the options). */
enum sock_type { SOCK_STREAM = 1, SOCK_DGRAM, SOCK_RAW, SOCK_SEQPACKET = 5 };
enum sock_family { AF_UNSPEC, AF_UNIX, AF_INET, AF_INET6 = 10, AF_NETLINK = 16, AF_PACKET = 17 };
enum sock_how { SHUT_RD, SHUT_WR, SHUT_RDWR };
enum sock_msg_flags {
	MSG_OOB = 1,
	MSG_PEEK = 2,
	MSG_DONTROUTE = 4,
	MSG_CTRUNC = 8,
	MSG_TRUNC = 0x20,
	MSG_DONTWAIT = 0x40,
	MSG_EOR = 0x80,
	MSG_WAITALL = 0x100,
	MSG_CONFIRM = 0x800,
	MSG_ERRQUEUE = 0x2000,
	MSG_NOSIGNAL = 0x4000,
	MSG_MORE = 0x8000,
	MSG_WAITFORONE = 0x10000,
	MSG_FASTOPEN = 0x20000000,
	MSG_CMSG_CLOEXEC = 0x40000000,
};

struct sock_address {
	uint32_t bytes; /* 0: none */
	union {
		uint16_t family;
		uint8_t raw[128];
	};
};

/* One message to send, or room for one to receive. */
struct sock_msg {
	const struct iovec *iov; /* the kernel's copy; iov_base is the program's address */
	size_t niov;
	size_t bytes;             /* of all of it */
	uint32_t flags;           /* MSG_*; MSG_DONTWAIT is socket.c's business */
	struct sock_address name; /* send: where to; receive: (family) from whom */
	uint32_t out_flags;       /* receive: (family) MSG_TRUNC ... */
	/* Control messages, the kernel's copy. Receive: the family appends with sock_put_cmsg. */
	uint8_t *control;
	size_t control_bytes, control_max;
	/* Of a stream: bytes that earlier turns of this call moved (socket.c adds each turn's
	 * count): the family goes on behind them. */
	size_t done;
	bool kernel; /* send: the iovecs are the kernel's own memory (sendfile) */
};

/* A control message's header (cmsg(3)); its data follow, and then padding to 8 bytes. */
struct sock_cmsg {
	uint64_t bytes; /* with this header */
	int32_t level, type;
	uint8_t data[];
};

struct sock;
/* A missing function is -EOPNOTSUPP, but where it says otherwise. All may assume that
 * uk_net_service was called. 0 or count, or -errno. */
struct sock_ops {
	long (*bind)(struct sock *s, const struct sock_address *at);
	long (*listen)(struct sock *s, int backlog);
	/* -EINPROGRESS, and from the second call on -EALREADY: socket.c waits (or not), and calls
	 * again: 0 once it is connected, its error if it is not going to be. */
	long (*connect)(struct sock *s, const struct sock_address *to);
	long (*accept)(struct sock *s, struct sock **connected, struct sock_address *from);
	long (*send)(struct sock *s, struct sock_msg *m);
	long (*recv)(struct sock *s, struct sock_msg *m);
	long (*shutdown)(struct sock *s, int how);
	long (*name)(struct sock *s, bool peer, struct sock_address *out);
	/* Levels and names that socket.c does not know; val is the kernel's copy. -ENOPROTOOPT */
	long (*setopt)(struct sock *s, int level, int name, const void *val, uint32_t bytes);
	long (*getopt)(struct sock *s, int level, int name, void *val, uint32_t *bytes);
	long (*ioctl)(struct sock *s, uint32_t cmd, uint64_t arg); /* -ENOTTY; SIOC*: ifaddr.c */
	uint32_t (*poll)(struct sock *s);                          /* POLL* that hold now */
	void (*close)(struct sock *s); /* the last descriptor is gone: frees s, now or later */
	/* Where SO_SNDBUF, SO_RCVBUF, SO_REUSEADDR, ... (the fields below) changed; may be NULL */
	void (*tuned)(struct sock *s);
};

struct sock {
	const struct sock_ops *ops;
	struct uk_file *file; /* NULL: not accepted yet, or closed */
	uint16_t family, type, protocol;
	int error; /* errno that the next call gets, once (SO_ERROR) */
	bool reuse_address, reuse_port, keep_alive, broadcast, no_linger, out_of_band_inline;
	bool timestamps, timestamps_ns, only_v6, listening, read_shut, write_shut;
	int32_t linger_s;                             /* -1: off */
	uint32_t send_bytes, receive_bytes;           /* SO_SNDBUF, SO_RCVBUF */
	uint64_t send_timeout_ns, receive_timeout_ns; /* 0: none */
	uint32_t bound_if;                            /* SO_BINDTODEVICE; 0: any */
	uint32_t priority, mark;
	int32_t ttl, tos;     /* -1: the default */
	uint32_t receive_low; /* SO_RCVLOWAT */
	uint64_t ino;         /* fstat's st_ino, /proc/self/fd's "socket:[N]" */
			      /* A family's struct begins with a struct sock. */
};

/* ---- socket.c ---- */
extern const struct uk_file_ops uk_sock_ops;
/* What may be ready now is other than before: poll and epoll look again. */
void sock_changed(struct sock *s);
/* As uk_file_ready: only those who asked for one of these events (SOCK_IN, SOCK_OUT). */
void sock_ready(struct sock *s, uint32_t events);
#define SOCK_IN  (POLLIN | POLLPRI | POLLRDNORM | POLLRDBAND)
#define SOCK_OUT (POLLOUT | POLLWRNORM | POLLWRBAND)
/* A new descriptor's file over s (accept, socketpair, socket): or -errno, and s was closed. */
long sock_install(struct sock *s, uint32_t type_flags);
/* Of a descriptor: NULL and *error -EBADF or -ENOTSOCK. sock_now: as it is after all that has
 * come was taken; who would else wait does that by itself (sock_looked). */
struct sock *sock_of(uint64_t fd, long *error);
struct sock *sock_now(uint64_t fd, long *error);
/* A call that may not wait was told -EAGAIN: is there news? Once a call. */
bool sock_looked(bool *looked);
void sock_init(struct sock *s, const struct sock_ops *ops, uint16_t family, uint16_t type,
	       uint16_t protocol);
/* -EAGAIN was said. Sleeps until something has happened in the network: 0: try again; -EAGAIN: the
 * time-out (0: none) is over; -EINTR. *deadline is 0 before the first wait of a call. */
long sock_wait(uint64_t timeout_ns, uint64_t *deadline);
/* s->error, once: 0 or -errno. */
long sock_take_error(struct sock *s);
/* A socket's address to the program, as getsockname has it: 0, -EFAULT or -EINVAL. */
long sock_address_out(const struct sock_address *at, uint64_t user, uint64_t user_bytes);
long sock_address_in(struct sock_address *at, uint64_t user, uint64_t bytes);

/* ---- sockmsg.c ---- */
/* One message, as the program's sendmsg or recvmsg has it, with all waiting. */
long sock_send(struct sock *s, struct sock_msg *m, bool nonblock);
long sock_receive(struct sock *s, struct sock_msg *m, bool nonblock);
/* struct uk_file_ops: send */
long sock_send_kernel(struct uk_file *f, const void *data, size_t n, bool more);
bool sock_put_cmsg(struct sock_msg *m, int level, int type, const void *data, uint32_t bytes);
/* The control message after c (NULL: the first) of one that is sent, or NULL: no more. Those that
 * are there were checked. */
const struct sock_cmsg *sock_next_cmsg(const struct sock_msg *m, const struct sock_cmsg *c);
/* Between the message's iovecs, from offset off on, and kernel memory. Bytes, or -EFAULT. */
long sock_copy_in(const struct sock_msg *m, size_t off, void *to, size_t bytes);
long sock_copy_out(const struct sock_msg *m, size_t off, const void *from, size_t bytes);

/* ---- sockopt.c ---- */
long sock_ioctl(struct sock *s, uint32_t cmd, uint64_t arg);

/* ---- the families: a new socket, or -errno ---- */
long inet_socket(uint16_t family, uint16_t type, uint16_t protocol, struct sock **s); /* inet.c */
long unix_socket(uint16_t type, uint16_t protocol, struct sock **s);                  /* unix.c */
long unix_pair(uint16_t type, struct sock *pair[2]);
long netlink_socket(uint16_t type, uint16_t protocol, struct sock **s); /* netlink.c */
long packet_socket(uint16_t type, uint16_t protocol, struct sock **s);  /* packet.c */

/* ---- ifaddr.c: SIOCGIFCONF, SIOCGIFADDR, ... of any socket: -ENOTTY for what it does not know */
long net_if_ioctl(uint32_t cmd, uint64_t arg);

#endif
