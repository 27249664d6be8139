/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net_passt.c: starting passt(1), and the host's ports that it is to listen on.
 *
 * It gets one end of a socket pair and goes into the background when it listens on all ports;
 * until then we wait, for its message if it fails. It ends when the other end of the pair is
 * closed, however that happens.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "net_open.h"

#define PASST    "passt"
#define TRIES_MS 500 /* for a port that a VM which has just ended may still have */
#define START_S  10  /* passt takes some 20 ms */

#ifndef CLOSE_RANGE_CLOEXEC
#define CLOSE_RANGE_CLOEXEC 4u /* Linux 5.11; musl 1.2.3 does not know it */
#endif

/* ---- ports ---- */

/* Could one listen there? 0 or an errno. */
static int try_port(const struct net_port *p, int family, unsigned port)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
	const struct sockaddr *at = family == AF_INET ? (void *)&v4 : (void *)&v6;
	const socklen_t size = family == AF_INET ? sizeof(v4) : sizeof(v6);
	int s = socket(family, (p->udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, 0), on = 1;
	int errnum = 0;

	if (s < 0)
		return errno == EAFNOSUPPORT ? 0 : errno;
	if (family == AF_INET6)
		setsockopt(s, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	if (!p->udp)
		setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)); /* TIME_WAIT is fine */
	if (p->address[0])
		inet_pton(family, p->address,
			  family == AF_INET ? (void *)&v4.sin_addr : (void *)&v6.sin6_addr);
	if (bind(s, at, size) || (!p->udp && listen(s, 1)))
		errnum = errno;
	close(s);
	return errnum;
}

/* passt is content with one port of a range, and says little: so they are tried first. */
int net_passt_check_ports(const struct net_spec *spec, struct err *err)
{
	static const int families[] = {AF_INET, AF_INET6};
	const struct timespec pause = {.tv_nsec = 5000000};
	int left_ms = TRIES_MS;

	for (unsigned i = 0; i < spec->nports; i++) {
		const struct net_port *p = &spec->port[i];

		for (unsigned k = 0; k < 2u * p->count; k++) {
			const int family = families[k % 2];
			const unsigned port = p->host + k / 2;
			int errnum;

			if (p->address[0] && !strchr(p->address, ':') != (family == AF_INET))
				continue;
			while ((errnum = try_port(p, family, port)) == EADDRINUSE && left_ms > 0) {
				nanosleep(&pause, NULL);
				left_ms -= 5;
			}
			if (errnum)
				return err_set(
					err, errnum,
					"-p: cannot listen on the host's port %s%s%u/%s%s",
					p->address, p->address[0] ? " " : "", port,
					p->udp ? "udp" : "tcp",
					errnum == EACCES
						? " (below 1024 it takes CAP_NET_BIND_SERVICE)"
						: "");
		}
	}
	return 0;
}

/* ---- its process ---- */

/* What it said, but for its troubles with the system's log. */
static void last_words(char *text)
{
	char *to = text;

	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		if (!strncmp(line, "Failed to send ", 15) ||
		    !strncmp(line, "Don't run as root", 17))
			continue;
		if (to > text)
			*to++ = ';', *to++ = ' ';
		memmove(to, line, strlen(line) + 1);
		to += strlen(to);
	}
	*to = 0;
}

/* Waits until it is in the background, or has failed. */
static int await(pid_t pid, int from, struct err *err)
{
	char text[1024], spare[256], shown[300];
	struct pollfd p = {.fd = from, .events = POLLIN};
	size_t n = 0;
	ssize_t got;
	int status;

	/* Its end of the pipe is closed when it has gone into the background, or ended. */
	while (poll(&p, 1, START_S * 1000) > 0) {
		if (n < sizeof(text) - 1)
			got = read(from, text + n, sizeof(text) - 1 - n);
		else
			got = read(from, spare, sizeof(spare));
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		n += n < sizeof(text) - 1 ? (size_t)got : 0;
		p.revents = 0;
	}
	if (!(p.revents & (POLLHUP | POLLIN))) {
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
		return err_set(err, ETIMEDOUT, "cannot have user networking: passt does not start");
	}
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return err_set(err, errno, "cannot wait for passt");
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
		return err_set(err, ENOENT, "cannot run passt");
	if (!status)
		return 0;
	text[n] = 0;
	last_words(text);
	return err_set(err, 0, "cannot have user networking: passt: %s%s",
		       text[0] ? net_quote(shown, sizeof(shown), text) : "it failed",
		       strstr(text, "namespace")
			       ? " (it isolates itself by a user namespace: allow them, see "
				 "user.max_user_namespaces)"
			       : "");
}

int net_passt_start(char **argv, int sock, struct err *err)
{
	extern char **environ;
	posix_spawn_file_actions_t actions;
	int said[2], ret;
	pid_t pid;

	if (pipe2(said, O_CLOEXEC))
		return err_set(err, errno, "cannot make a pipe for passt");
	/* It outlives us: no descriptor of ours, or of our caller's, is to stay open with it. */
	syscall(SYS_close_range, 3u, ~0u, CLOSE_RANGE_CLOEXEC);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDWR, 0);
	posix_spawn_file_actions_adddup2(&actions, 0, 1);
	posix_spawn_file_actions_adddup2(&actions, said[1], 2);
	posix_spawn_file_actions_adddup2(&actions, sock, 3);
	ret = posix_spawnp(&pid, PASST, &actions, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	close(said[1]);
	if (ret == ENOENT)
		ret = err_set(err, 0,
			      "--net user takes passt, which is not installed: 'apt install passt' "
			      "(or use --net tap)");
	else if (ret)
		ret = err_set(err, ret, "cannot run passt");
	else
		ret = await(pid, said[0], err);
	close(said[0]);
	return ret;
}
