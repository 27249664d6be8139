/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run_pool.c: see run_pool.h.
 *
 * All of it stands between a caller and its program: one message there, one back, no
 * allocation.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include "args.h"
#include "host.h"
#include "run_pool.h"
#include "wire.h"

#define RUN_FDS 5 /* image, three streams, and the strings where they are large */

static const int forwarded[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
/* ---- the daemon ---- */

static int socket_path(const struct run_pool_options *o, struct sockaddr_un *addr, struct err *err)
{
	const char *path = o->socket ? o->socket : getenv("MAYFLY_SOCKET");
	int n;

	addr->sun_family = AF_UNIX;
	if (path && *path)
		n = snprintf(addr->sun_path, sizeof(addr->sun_path), "%s.run", path);
	else
		n = snprintf(addr->sun_path, sizeof(addr->sun_path), "%s/mayfly.sock.run",
			     host_run_dir());
	if (n < 0 || (size_t)n >= sizeof(addr->sun_path))
		return err_set(err, 0, "the daemon's socket has too long a path: %s",
			       path && *path ? path : host_run_dir());
	return 0;
}

static int connect_daemon(const struct run_pool_options *o, bool *no_daemon, struct err *err)
{
	struct sockaddr_un addr = {0};
	int ret = socket_path(o, &addr, err), fd;

	if (ret)
		return ret;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_set(err, errno, "cannot make a socket");
	if (!connect(fd, (struct sockaddr *)&addr, sizeof(addr)))
		return fd;
	ret = errno;
	close(fd);
	/* No socket, or one that a daemon left behind. */
	*no_daemon = ret == ENOENT || ret == ENOTDIR || ret == ECONNREFUSED;
	if (*no_daemon)
		return -ret;
	return err_set(err, ret, "cannot reach the daemon at %s", addr.sun_path);
}

/* ---- the request ---- */

static int open_image(const char *path, struct err *err)
{
	/* As image_open does; what it is is for the daemon to find out. Nothing is executed
	 * from here on: O_CLOEXEC, which takes musl a call more, would be for nothing. */
	int fd = open(path, O_RDONLY | O_NOCTTY | O_NONBLOCK);

	if (fd < 0)
		return err_set_exit(err,
				    errno == ENOENT || errno == ENOTDIR ? ERR_EXIT_NOT_FOUND
									: ERR_EXIT_IMAGE,
				    errno, "cannot open the image %s", path);
	return fd;
}

/* What /proc/self/exe is to show, and the daemon's lists. */
static const char *real_path(int image, const char *path, char *buffer, size_t bytes)
{
	char link[32];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", image);
	n = readlink(link, buffer, bytes - 1);
	if (n <= 0)
		return path;
	buffer[n] = 0;
	return buffer;
}

struct text {
	char *at, *end;
	size_t bytes; /* that all strings take, also those for which there was no room */
	uint32_t strings;
};

static void put(struct text *t, const char *s)
{
	size_t n = strlen(s) + 1;

	if (n <= (size_t)(t->end - t->at))
		t->at = (char *)memcpy(t->at, s, n) + n;
	else
		t->at = t->end; /* nothing that follows may fill the gap */
	t->bytes += n;
	t->strings++;
}

static uint32_t put_list(struct text *t, const char *const *list)
{
	uint32_t before = t->strings;

	while (list && *list)
		put(t, *list++);
	return t->strings - before;
}

/* Lays out the request's strings in order; t->bytes says what they take in all. */
static void put_all(struct text *t, const struct run_pool_options *o, const char *path,
		    struct run_request *r)
{
	put(t, path);
	put(t, o->cwd ? o->cwd : "");
	put(t, o->hostname ? o->hostname : "");
	r->argc = put_list(t, (const char *const *)o->argv);
	r->envc = put_list(t, (const char *const *)o->envp);
	r->netc = (uint16_t)put_list(t, o->net);
	r->portc = (uint16_t)put_list(t, o->ports);
	r->text_bytes = (uint32_t)t->bytes;
}

/* Strings too large for a message: a file in memory. A descriptor, or -errno. */
static int text_file(const struct run_pool_options *o, const char *path, size_t bytes,
		     struct err *err)
{
	int fd = memfd_create("mayfly-run", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	struct run_request ignored;
	struct text t = {0};

	if (fd < 0 || ftruncate(fd, (off_t)bytes))
		return err_set(err, errno, "cannot make a file for the arguments");
	t.at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (t.at == MAP_FAILED)
		return err_set(err, errno, "cannot make a file for the arguments");
	t.end = t.at + bytes;
	put_all(&t, o, path, &ignored);
	return fd;
}

static int send_all(int fd, const struct run_request *request, const char *text, size_t bytes,
		    const int *fds, size_t nfds, struct err *err)
{
	union {
		char bytes[CMSG_SPACE(RUN_FDS * sizeof(int))];
		struct cmsghdr align;
	} control = {0};
	struct iovec iov[] = {{(void *)request, sizeof(*request)}, {(void *)text, bytes}};
	struct msghdr msg = {
		.msg_iov = iov,
		.msg_iovlen = 2,
		.msg_control = &control,
		.msg_controllen = CMSG_SPACE(nfds * sizeof(int)),
	};
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(nfds * sizeof(int));
	memcpy(CMSG_DATA(c), fds, nfds * sizeof(int));
	while (sendmsg(fd, &msg, MSG_NOSIGNAL) < 0) {
		if (errno == EINTR)
			continue;
		/* A daemon that refuses closes at once; why, it has said before. */
		if (errno == EPIPE || errno == ECONNRESET)
			return 0;
		return err_set(err, errno, "cannot send the program to the daemon");
	}
	return 0;
}

static int send_request(int fd, const struct run_pool_options *o, struct err *err)
{
	static char text[WIRE_MAX_BYTES - sizeof(struct run_request)];
	char path_buffer[4096];
	struct run_request request = {
		.version = WIRE_VERSION,
		.flags = o->strace ? START_STRACE : 0,
		.memory_bytes = o->memory_bytes,
		.timeout_ns = o->timeout_ns,
	};
	struct text t = {.at = text, .end = text + sizeof(text)};
	int fds[RUN_FDS] = {open_image(o->path, err), 0, 1, 2};
	const char *path;

	if (fds[0] < 0)
		return fds[0];
	path = real_path(fds[0], o->path, path_buffer, sizeof(path_buffer));
	put_all(&t, o, path, &request);
	if (t.bytes <= sizeof(text))
		return send_all(fd, &request, text, t.bytes, fds, RUN_FDS - 1, err);
	if (t.bytes > ARGS_MAX_BYTES)
		return err_set_exit(err, ERR_EXIT_IMAGE, 0,
				    "arguments and environment of %s are larger than the %u KiB "
				    "that a program can have",
				    o->path, ARGS_MAX_BYTES >> 10);
	request.flags |= START_TEXT_FD;
	fds[RUN_FDS - 1] = text_file(o, path, t.bytes, err);
	if (fds[RUN_FDS - 1] < 0)
		return fds[RUN_FDS - 1];
	return send_all(fd, &request, NULL, 0, fds, RUN_FDS, err);
}

/* ---- signals ---- */

static int daemon_fd;
static volatile sig_atomic_t is_sent;     /* the request, before which nothing may be sent */
static volatile sig_atomic_t early[NSIG]; /* what came until then */

static void send_signal(int sig)
{
	struct run_signal message = {.version = WIRE_VERSION, .signal = (uint32_t)sig};

	/* If the daemon is gone, the wait for its answer ends too. */
	send(daemon_fd, &message, sizeof(message), MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void pass_on(int sig)
{
	int saved = errno;

	if (is_sent)
		send_signal(sig);
	else
		early[sig] = 1;
	errno = saved;
}

/* Before the request is sent: the program may be there, and somebody know it, before sendmsg
 * has returned. */
static void take_signals(int fd)
{
	struct sigaction act = {.sa_handler = pass_on, .sa_flags = SA_RESTART}, old;

	daemon_fd = fd;
	for (size_t i = 0; i < sizeof(forwarded) / sizeof(forwarded[0]); i++) {
		sigaction(forwarded[i], &act, &old);
		/* What the caller ignores (nohup) stays ignored. */
		if (old.sa_handler == SIG_IGN)
			sigaction(forwarded[i], &old, NULL);
	}
}

static void send_early_signals(void)
{
	is_sent = 1;
	for (size_t i = 0; i < sizeof(forwarded) / sizeof(forwarded[0]); i++)
		if (early[forwarded[i]])
			send_signal(forwarded[i]);
}

/* ---- the answer ---- */

static int receive_reply(int fd, const char *path, struct err *err)
{
	static char text[WIRE_MAX_BYTES];
	struct run_reply reply;
	struct iovec iov[] = {{&reply, sizeof(reply)}, {text, sizeof(text)}};
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = 2};
	bool was_reset = false;
	ssize_t n;

	/* A daemon that answers and closes before it has read all (a signal, say) resets the
	 * connection, which is told once, before the answer. */
	while ((n = recvmsg(fd, &msg, 0)) < 0 &&
	       (errno == EINTR || (errno == ECONNRESET && !was_reset)))
		was_reset |= errno == ECONNRESET;
	if (n <= 0)
		return err_set(err, n < 0 && errno != ECONNRESET ? errno : 0,
			       "the daemon went while %s was in its hands; if it was running, it "
			       "has ended",
			       path);
	if ((size_t)n < sizeof(reply) || (msg.msg_flags & MSG_TRUNC) ||
	    reply.text_bytes != (size_t)n - sizeof(reply) || reply.exit_code < 0 ||
	    reply.exit_code > 255)
		return err_set(err, 0,
			       "the daemon's answer is not understood; is it of another version "
			       "of mayfly?");
	if (reply.text_bytes)
		fprintf(stderr, "mayfly: %.*s%s", (int)reply.text_bytes, text,
			text[reply.text_bytes - 1] == '\n' ? "" : "\n");
	return reply.exit_code;
}

int run_pool(const struct run_pool_options *o, bool *no_daemon, struct err *err)
{
	int fd, ret;

	*no_daemon = false;
	fd = connect_daemon(o, no_daemon, err);
	if (fd < 0)
		return fd;
	take_signals(fd);
	ret = send_request(fd, o, err);
	if (ret)
		return ret;
	send_early_signals();
	return receive_reply(fd, o->path, err);
}

/* ---- mayfly run -d ---- */

bool run_is_detached(int argc, char **argv)
{
	/* All options of `run` and of `mayfly-client run-detached` that take a value: only what
	 * is not one's value can be -d. Those without a value are stepped over as unknown. */
	static const struct option options[] = {
		{"detach", no_argument, NULL, 'd'},
		{"memory", required_argument, NULL, 'v'},
		{"env", required_argument, NULL, 'v'},
		{"env-file", required_argument, NULL, 'v'},
		{"workdir", required_argument, NULL, 'v'},
		{"name", required_argument, NULL, 'v'},
		{"label", required_argument, NULL, 'v'},
		{"timeout", required_argument, NULL, 'v'},
		{"core", required_argument, NULL, 'v'},
		{"cpus", required_argument, NULL, 'v'},
		{"cpu-weight", required_argument, NULL, 'v'},
		{"memory-max", required_argument, NULL, 'v'},
		{"pids-max", required_argument, NULL, 'v'},
		{"net", required_argument, NULL, 'v'},
		{"publish", required_argument, NULL, 'v'},
		{"socket", required_argument, NULL, 'v'},
		{NULL, 0, NULL, 0},
	};
	bool detached = false;
	int opt, saved = opterr;

	opterr = 0;
	optind = 0;
	while (!detached && (opt = getopt_long(argc, argv, "+:dim:e:w:l:p:h", options, NULL)) != -1)
		detached = opt == 'd';
	opterr = saved;
	optind = 0; /* the caller begins anew */
	return detached;
}
