/* SPDX-License-Identifier: Apache-2.0 */
/*
 * procsock.c: /proc/net/tcp, tcp6, udp, udp6, raw and raw6 (proc(5)): the sockets that the
 * program's descriptors name. Connections that wait to be accepted, or for TIME_WAIT to pass,
 * are not among them.
 */
#include "../vfs.h"
#include "if.h"
#include "sock.h"

/* States as Linux numbers them (TCP_ESTABLISHED, ...). */
enum { ESTABLISHED = 1, CLOSE = 7, LISTEN = 10 };

struct text {
	char *buf;
	size_t size, length;
};

static void put(struct text *t, const char *text)
{
	size_t at = uk_min(t->length, t->size);

	t->length += (size_t)uk_snprintf(t->buf + at, t->size - at, "%s", text);
}

static void put_hex(struct text *t, uint32_t v, uint32_t digits)
{
	char text[9] = "";

	for (uint32_t i = digits; i--; v >>= 4)
		text[i] = "0123456789ABCDEF"[v & 15];
	put(t, text);
}

/* What getsockname and getpeername say; all zero where they say nothing. */
struct inet_name {
	uint16_t family, port;
	union {
		uint32_t v4;
		struct {
			uint32_t flow, v6[4], scope;
		};
	};
};

static bool name_of(struct sock *s, bool peer, struct inet_name *name)
{
	struct sock_address at = {0};

	memset(name, 0, sizeof(*name));
	if (!s->ops->name || s->ops->name(s, peer, &at))
		return false;
	memcpy(name, at.raw, uk_min(sizeof(*name), (size_t)at.bytes));
	return true;
}

/* Words of the address are printed as the numbers that they are in memory, ports as they read. */
static void put_name(struct text *t, const struct inet_name *name, bool v6, uint16_t port)
{
	if (v6)
		for (int i = 0; i < 4; i++)
			put_hex(t, name->v6[i], 8);
	else
		put_hex(t, name->v4, 8);
	put(t, ":");
	put_hex(t, port, 4);
}

static bool is_listed(const struct sock *s, const char *which)
{
	uint16_t type = which[0] == 't' ? SOCK_STREAM : which[0] == 'u' ? SOCK_DGRAM : SOCK_RAW;
	bool v6 = which[strlen(which) - 1] == '6';

	/* A SOCK_DGRAM socket of ICMP is no UDP. */
	return s->family == (v6 ? AF_INET6 : AF_INET) && s->type == type &&
	       (type != SOCK_DGRAM || !s->protocol || s->protocol == 17);
}

static void put_socket(struct text *t, struct sock *s, uint32_t slot)
{
	bool v6 = s->family == AF_INET6, raw = s->type == SOCK_RAW;
	struct inet_name own, peer;
	char rest[80];
	bool connected;

	name_of(s, false, &own);
	connected = name_of(s, true, &peer);
	uk_snprintf(rest, sizeof(rest), "%4u: ", slot);
	put(t, rest);
	put_name(t, &own, v6, raw ? s->protocol : if_be16(own.port));
	put(t, " ");
	put_name(t, &peer, v6, if_be16(peer.port));
	put(t, " ");
	put_hex(t, s->listening ? LISTEN : connected ? ESTABLISHED : CLOSE, 2);
	/* queues, timer, retransmissions, uid, timeout, inode, references */
	uk_snprintf(rest, sizeof(rest), " %08x:%08x %02x:%08x %08x %5u %8d %lu 1\n", 0, 0, 0, 0, 0,
		    UK_NOXS->uid, 0, s->ino);
	put(t, rest);
}

/* An open file has several descriptors where it was duplicated. */
static bool seen_before(uint32_t fd)
{
	const struct uk_file *f = uk_fds.file[fd];

	for (uint32_t i = 0; f->refs > 1 && i < fd; i++)
		if (uk_fds.file[i] == f)
			return true;
	return false;
}

size_t net_proc_sockets(char *buf, size_t size)
{
	const char *which = uk_text_node->name->text;
	struct text t = {buf, size, 0};
	uint32_t slot = 0;

	put(&t, "  sl  local_address                         remote_address"
		"                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout "
		"inode\n");
	for (uint32_t fd = 0; fd < uk_fds.size; fd++) {
		const struct uk_file *f = uk_fds.file[fd];
		struct inet_name own;

		if (!f || f->ops != &uk_sock_ops || !f->sock || !is_listed(f->sock, which) ||
		    seen_before(fd))
			continue;
		name_of(f->sock, false, &own);
		if (own.port || f->sock->type == SOCK_RAW)
			put_socket(&t, f->sock, slot++);
	}
	return t.length;
}
