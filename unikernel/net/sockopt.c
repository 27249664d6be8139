/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sockopt.c: options of every socket (socket(7), SOL_SOCKET), and its ioctls. What is not here
 * is the family's.
 */
#include <asm/ioctls.h>
#include <asm/socket.h>
#include <asm/sockios.h>
#include <linux/sockios.h>
#include <linux/time_types.h>

#include "net.h"
#include "sock.h"

#define OPTION_MAX  512 /* bytes of the largest that there is */
#define BUFFER_MAX  (4u << 20)
#define SEND_MIN    4608u /* Linux's SOCK_MIN_SNDBUF, SOCK_MIN_RCVBUF */
#define RECEIVE_MIN 2304u
#define NSEC        1000000000ull

/* ---- of time ---- */

static long set_timeout(uint64_t *ns, const void *val, uint32_t bytes)
{
	struct __kernel_sock_timeval tv;

	if (bytes < sizeof(tv))
		return -EINVAL;
	memcpy(&tv, val, sizeof(tv));
	if (tv.tv_usec < 0 || tv.tv_usec >= 1000000)
		return -EDOM;
	if (tv.tv_sec < 0)
		*ns = 1; /* does not wait at all */
	else if ((uint64_t)tv.tv_sec >= UINT64_MAX / NSEC - 1)
		*ns = 0;
	else
		*ns = (uint64_t)tv.tv_sec * NSEC + (uint64_t)tv.tv_usec * 1000;
	return 0;
}

static uint32_t get_timeout(uint64_t ns, void *val)
{
	struct __kernel_sock_timeval tv = {(int64_t)(ns / NSEC), (int64_t)(ns % NSEC / 1000)};

	memcpy(val, &tv, sizeof(tv));
	return sizeof(tv);
}

/* ---- of interfaces ---- */

static long set_device(struct sock *s, const void *val, uint32_t bytes)
{
	char name[sizeof(((struct net_if *)0)->name)] = "";
	struct net_if nif;

	memcpy(name, val, uk_min(bytes, sizeof(name) - 1));
	if (!name[0])
		s->bound_if = 0;
	else if (net_if_find(name, &nif))
		s->bound_if = nif.index;
	else
		return -ENODEV;
	return 0;
}

static long get_device(const struct sock *s, void *val, uint32_t *bytes)
{
	struct net_if nif;

	if (!s->bound_if) {
		*bytes = 0;
		return 0;
	}
	if (*bytes < sizeof(nif.name))
		return -EINVAL;
	if (!net_if_get(s->bound_if, &nif))
		return -ENODEV;
	*bytes = (uint32_t)strlen(nif.name) + 1;
	memcpy(val, nif.name, *bytes);
	return 0;
}

/* ---- set ---- */

static long set_linger(struct sock *s, const int *val, uint32_t bytes)
{
	if (bytes < 2 * sizeof(int))
		return -EINVAL;
	s->linger_s = val[0] ? uk_max(val[1], 0) : -1;
	return 0;
}

/* 0; 1: it is for the family. val has at least an int. */
static long set_common(struct sock *s, int name, const void *val, uint32_t bytes)
{
	int v = *(const int *)val;

	switch (name) {
	case SO_REUSEADDR:
		s->reuse_address = v;
		return 0;
	case SO_REUSEPORT:
		s->reuse_port = v;
		return 0;
	case SO_KEEPALIVE:
		s->keep_alive = v;
		return 0;
	case SO_BROADCAST:
		s->broadcast = v;
		return 0;
	case SO_OOBINLINE:
		s->out_of_band_inline = v;
		return 0;
	case SO_SNDBUF:
	case SO_SNDBUFFORCE: /* Linux doubles what is asked for (socket(7)) */
		s->send_bytes = uk_max(uk_min((uint32_t)v, BUFFER_MAX) * 2, SEND_MIN);
		return 0;
	case SO_RCVBUF:
	case SO_RCVBUFFORCE:
		s->receive_bytes = uk_max(uk_min((uint32_t)v, BUFFER_MAX) * 2, RECEIVE_MIN);
		return 0;
	case SO_RCVLOWAT:
		s->receive_low = v < 0 ? INT32_MAX : v ? (uint32_t)v : 1;
		return 0;
	case SO_LINGER:
		return set_linger(s, val, bytes);
	case SO_RCVTIMEO_OLD:
	case SO_RCVTIMEO_NEW:
		return set_timeout(&s->receive_timeout_ns, val, bytes);
	case SO_SNDTIMEO_OLD:
	case SO_SNDTIMEO_NEW:
		return set_timeout(&s->send_timeout_ns, val, bytes);
	case SO_TIMESTAMP_OLD:
	case SO_TIMESTAMP_NEW:
		s->timestamps = v;
		s->timestamps_ns = false;
		return 0;
	case SO_TIMESTAMPNS_OLD:
	case SO_TIMESTAMPNS_NEW:
		s->timestamps = s->timestamps_ns = v;
		return 0;
	case SO_PRIORITY:
		s->priority = (uint32_t)v;
		return 0;
	case SO_MARK:
		s->mark = (uint32_t)v;
		return 0;
	case SO_BINDTOIFINDEX:
		if (v < 0)
			return -EINVAL;
		s->bound_if = (uint32_t)v;
		return 0;
	case SO_DEBUG:
	case SO_DONTROUTE:
	case SO_NO_CHECK:
	case SO_BUSY_POLL:
	case SO_INCOMING_CPU:
	case SO_RXQ_OVFL:
	case SO_PREFER_BUSY_POLL:
		return 0; /* nothing here that they would change */
	case SO_TYPE:
	case SO_PROTOCOL:
	case SO_DOMAIN:
	case SO_ERROR:
	case SO_ACCEPTCONN:
	case SO_SNDLOWAT:
		return -ENOPROTOOPT;
	default:
		return 1;
	}
}

/* The length as setsockopt has it is an int; what is longer than any option is cut. */
UK_SYSCALL(setsockopt)
{
	static uint64_t val[OPTION_MAX / 8];
	uint32_t bytes = uk_min((uint32_t)e, OPTION_MAX);
	int level = (int)b, name = (int)c;
	long r = 0;
	struct sock *s = sock_now(a, &r);

	if (!s)
		return r;
	if ((int32_t)e < 0)
		return -EINVAL;
	if (level == SOL_SOCKET && name != SO_BINDTODEVICE && bytes < sizeof(int))
		return -EINVAL;
	val[0] = val[1] = 0;
	if (uk_copy_in(val, d, bytes))
		return -EFAULT;
	r = 1;
	if (level == SOL_SOCKET)
		r = name == SO_BINDTODEVICE ? set_device(s, val, bytes)
					    : set_common(s, name, val, bytes);
	if (r == 1)
		return s->ops->setopt ? s->ops->setopt(s, level, name, val, bytes) : -ENOPROTOOPT;
	if (!r && s->ops->tuned)
		s->ops->tuned(s);
	return r;
}

/* ---- get ---- */

/* An int's value; false: it is no such option. */
static bool get_int(struct sock *s, int name, int *v)
{
	switch (name) {
	case SO_REUSEADDR:
		*v = s->reuse_address;
		return true;
	case SO_REUSEPORT:
		*v = s->reuse_port;
		return true;
	case SO_KEEPALIVE:
		*v = s->keep_alive;
		return true;
	case SO_BROADCAST:
		*v = s->broadcast;
		return true;
	case SO_OOBINLINE:
		*v = s->out_of_band_inline;
		return true;
	case SO_SNDBUF:
		*v = (int)s->send_bytes;
		return true;
	case SO_RCVBUF:
		*v = (int)s->receive_bytes;
		return true;
	case SO_RCVLOWAT:
		*v = (int)s->receive_low;
		return true;
	case SO_SNDLOWAT:
		*v = 1;
		return true;
	case SO_TYPE:
		*v = s->type;
		return true;
	case SO_PROTOCOL:
		*v = s->protocol;
		return true;
	case SO_DOMAIN:
		*v = s->family;
		return true;
	case SO_ERROR:
		*v = (int)-sock_take_error(s);
		return true;
	case SO_ACCEPTCONN:
		*v = s->listening;
		return true;
	case SO_TIMESTAMP_OLD:
	case SO_TIMESTAMP_NEW:
		*v = s->timestamps && !s->timestamps_ns;
		return true;
	case SO_TIMESTAMPNS_OLD:
	case SO_TIMESTAMPNS_NEW:
		*v = s->timestamps_ns;
		return true;
	case SO_PRIORITY:
		*v = (int)s->priority;
		return true;
	case SO_MARK:
		*v = (int)s->mark;
		return true;
	case SO_BINDTOIFINDEX:
		*v = (int)s->bound_if;
		return true;
	case SO_DEBUG:
	case SO_DONTROUTE:
	case SO_NO_CHECK:
	case SO_BUSY_POLL:
	case SO_RXQ_OVFL:
	case SO_INCOMING_CPU:
	case SO_INCOMING_NAPI_ID:
	case SO_PREFER_BUSY_POLL:
		*v = 0;
		return true;
	default:
		return false;
	}
}

/* val has room for OPTION_MAX; *bytes is the program's room, and then what there is. */
static long get_common(struct sock *s, int name, void *val, uint32_t *bytes)
{
	int *v = val;

	switch (name) {
	case SO_LINGER:
		v[0] = s->linger_s >= 0;
		v[1] = uk_max(s->linger_s, 0);
		*bytes = uk_min(*bytes, 2 * sizeof(int));
		return 0;
	case SO_RCVTIMEO_OLD:
	case SO_RCVTIMEO_NEW:
		*bytes = uk_min(*bytes, get_timeout(s->receive_timeout_ns, val));
		return 0;
	case SO_SNDTIMEO_OLD:
	case SO_SNDTIMEO_NEW:
		*bytes = uk_min(*bytes, get_timeout(s->send_timeout_ns, val));
		return 0;
	case SO_COOKIE:
		if (*bytes < sizeof(s->ino))
			return -EINVAL;
		memcpy(val, &s->ino, sizeof(s->ino));
		*bytes = sizeof(s->ino);
		return 0;
	case SO_BINDTODEVICE:
		return get_device(s, val, bytes);
	default:
		if (!get_int(s, name, v))
			return 1;
		*bytes = uk_min(*bytes, sizeof(int));
		return 0;
	}
}

UK_SYSCALL(getsockopt)
{
	static uint64_t val[OPTION_MAX / 8];
	int level = (int)b, name = (int)c;
	int32_t room;
	uint32_t bytes;
	long r = 0;
	struct sock *s = sock_now(a, &r);

	if (!s)
		return r;
	if (uk_copy_in(&room, e, sizeof(room)))
		return -EFAULT;
	if (room < 0)
		return -EINVAL;
	bytes = uk_min((uint32_t)room, OPTION_MAX);
	memset(val, 0, sizeof(val));
	r = level == SOL_SOCKET ? get_common(s, name, val, &bytes) : 1;
	if (r == 1)
		r = s->ops->getopt ? s->ops->getopt(s, level, name, val, &bytes) : -ENOPROTOOPT;
	if (r)
		return r;
	if (uk_copy_out(d, val, bytes) || uk_copy_out(e, &bytes, sizeof(bytes)))
		return -EFAULT;
	return 0;
}

/* ---- ioctl ---- */

long sock_ioctl(struct sock *s, uint32_t cmd, uint64_t arg)
{
	long r = s->ops->ioctl ? s->ops->ioctl(s, cmd, arg) : -ENOTTY;
	int owner = 0;

	if (r != -ENOTTY)
		return r;
	switch (cmd) {
	case FIOSETOWN:
	case SIOCSPGRP:
		return uk_copy_in(&owner, arg, sizeof(owner)); /* nobody sends SIGURG or SIGIO */
	case FIOGETOWN:
	case SIOCGPGRP:
		return uk_copy_out(arg, &owner, sizeof(owner));
	default:
		return net_if_ioctl(cmd, arg);
	}
}
