/* SPDX-License-Identifier: Apache-2.0 */
/* sockets.c: see sockets.h. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "sockets.h"

#define BACKLOG    1024
#define RUN_SUFFIX ".run"

static int take_passed(struct sockets *s, struct err *err)
{
	int n = sd_listen_fds(1);

	if (n < 0)
		return err_set(err, -n, "cannot take the sockets of systemd");
	for (int fd = SD_LISTEN_FDS_START; fd < SD_LISTEN_FDS_START + n; fd++) {
		if (sd_is_socket_unix(fd, SOCK_STREAM, 1, NULL, 0) > 0 && s->http < 0)
			s->http = fd;
		else if (sd_is_socket_unix(fd, SOCK_SEQPACKET, 1, NULL, 0) > 0 && s->run < 0)
			s->run = fd;
		else
			return err_set(err, 0,
				       "systemd has passed a socket of another kind than one "
				       "ListenStream= and one ListenSequentialPacket=, both unix");
	}
	return 0;
}

/* A name that is left over from a daemon that was killed: nobody answers there. */
static int remove_stale(const struct sockaddr_un *at, int kind, struct err *err)
{
	int fd = socket(AF_UNIX, kind | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), ret;
	struct stat st;

	if (fd < 0)
		return err_set(err, errno, "cannot make a socket");
	ret = connect(fd, (const struct sockaddr *)at, sizeof(*at)) ? errno : 0;
	close(fd);
	if (ret == ENOENT)
		return 0;
	if (ret == ECONNREFUSED && !lstat(at->sun_path, &st) && S_ISSOCK(st.st_mode) &&
	    !unlink(at->sun_path))
		return 0;
	if (!ret || ret == EAGAIN || ret == EPROTOTYPE)
		return err_set(err, EADDRINUSE, "somebody listens on %s already", at->sun_path);
	return err_set(err, EADDRINUSE, "%s is there, and no socket of a daemon that is gone",
		       at->sun_path);
}

static int listen_at(const char *path, int kind, struct err *err)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	mode_t old;
	int fd, ret;

	if (strlen(path) >= sizeof(at.sun_path))
		return err_set(err, ENAMETOOLONG, "cannot make the socket %s: %zu bytes at most",
			       path, sizeof(at.sun_path) - 1);
	strcpy(at.sun_path, path);
	ret = remove_stale(&at, kind, err);
	if (ret)
		return ret;
	fd = socket(AF_UNIX, kind | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_set(err, errno, "cannot make the socket %s", path);
	/* From its first moment nobody else can connect. */
	old = umask(0177);
	ret = bind(fd, (struct sockaddr *)&at, sizeof(at)) || listen(fd, BACKLOG) ? errno : 0;
	umask(old);
	if (!ret)
		return fd;
	close(fd);
	return err_set(err, ret, "cannot make the socket %s", path);
}

/* Where systemd has made the socket, if that has a name in the file system. */
static void find_path(struct sockets *s)
{
	struct sockaddr_un at;
	socklen_t bytes = sizeof(at);

	memset(&at, 0, sizeof(at));
	if (!getsockname(s->http, (struct sockaddr *)&at, &bytes) && at.sun_path[0] == '/')
		snprintf(s->path, sizeof(s->path), "%.107s", at.sun_path);
}

int sockets_open(struct sockets *s, const char *path, struct err *err)
{
	char run_path[sizeof(s->path) + sizeof(RUN_SUFFIX)];
	int ret;

	*s = (struct sockets){.http = -1, .run = -1};
	ret = take_passed(s, err);
	if (ret)
		return ret;
	snprintf(s->path, sizeof(s->path), "%s", path);
	if (s->http >= 0)
		find_path(s);
	snprintf(run_path, sizeof(run_path), "%.107s" RUN_SUFFIX, s->path);
	if (s->http < 0) {
		s->http = listen_at(path, SOCK_STREAM, err);
		if (s->http < 0)
			return s->http;
		s->ours[0] = true;
	}
	if (s->run < 0) {
		s->run = listen_at(run_path, SOCK_SEQPACKET, err);
		if (s->run < 0) {
			sockets_remove(s);
			return s->run;
		}
		s->ours[1] = true;
	}
	return 0;
}

void sockets_remove(const struct sockets *s)
{
	char run_path[sizeof(s->path) + sizeof(RUN_SUFFIX)];

	snprintf(run_path, sizeof(run_path), "%s" RUN_SUFFIX, s->path);
	if (s->ours[0])
		unlink(s->path);
	if (s->ours[1])
		unlink(run_path);
}
