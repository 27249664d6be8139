/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http.c: a small static server: GET and HEAD of HTTP/1.1 (RFC 9110, 9112), keep-alive,
 * pipelining, files by sendfile. / is a page of its own where there is no index.html.
 *
 *     http [PORT [DIRECTORY]]      8080, the current one
 *
 * A request that comes alone costs epoll_wait, recv and send. There are no time limits.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <time.h>

#include "listen.h"

#define ANSWER_MAX 512 /* a head with a built-in body */

struct connection {
	int fd, file;    /* file: -1, or what is being sent behind out */
	off_t at, end;   /* of the file */
	uint32_t events; /* that epoll was asked for */
	int last;        /* no more requests */
	size_t in_bytes, out_from, out_to;
	char in[4096]; /* requests, as far as they have come */
	char out[8192];
};

static const char page[] = "<!doctype html><title>mayfly</title><p>It flies.</p>\n";
static int poller, has_index;

static const char *type_of(const char *path)
{
	static const char *const type[][2] = {
		{".html", "text/html; charset=utf-8"},
		{".css", "text/css"},
		{".txt", "text/plain; charset=utf-8"},
		{".js", "text/javascript"},
		{".json", "application/json"},
		{".svg", "image/svg+xml"},
		{".png", "image/png"},
		{".jpg", "image/jpeg"},
	};
	const char *dot = strrchr(path, '.');

	for (size_t i = 0; dot && i < sizeof(type) / sizeof(type[0]); i++)
		if (!strcasecmp(dot, type[i][0]))
			return type[i][1];
	return "application/octet-stream";
}

static void put(struct connection *c, const char *text, size_t n)
{
	memcpy(c->out + c->out_to, text, n);
	c->out_to += n;
}

/* The date (RFC 9110, 6.6.1) is made once a second. */
static void head(struct connection *c, const char *status, const char *type, long long length)
{
	static char date[32];
	static time_t made;
	time_t now = time(NULL);

	if (now != made)
		strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT", gmtime(&now));
	made = now;
	c->out_to += (size_t)snprintf(c->out + c->out_to, ANSWER_MAX,
				      "HTTP/1.1 %s\r\nServer: mayfly\r\nDate: %s\r\n"
				      "Content-Type: %s\r\nContent-Length: %lld\r\n%s\r\n",
				      status, date, type, length,
				      c->last ? "Connection: close\r\n" : "");
}

/* The page and its head, too: they are the same for a second. */
static void own_page(struct connection *c, int wanted)
{
	static char made[ANSWER_MAX];
	static size_t bytes;
	static time_t when;
	size_t from = c->out_to;
	int usual = wanted && !c->last;

	if (usual && when == time(NULL)) {
		put(c, made, bytes);
		return;
	}
	head(c, "200 OK", "text/html; charset=utf-8", sizeof(page) - 1);
	put(c, page, wanted ? sizeof(page) - 1 : 0);
	if (usual) {
		when = time(NULL);
		bytes = c->out_to - from;
		memcpy(made, c->out + from, bytes);
	}
}

static void refuse(struct connection *c, const char *status, int fatal, int wanted)
{
	c->last |= fatal;
	head(c, status, "text/plain", (long long)strlen(status));
	put(c, status, wanted ? strlen(status) : 0);
}

/* A request's target into a path below the directory, in place: NULL if it would leave it. */
static char *path_of(char *target)
{
	char *to = target;

	if (*target != '/')
		return NULL;
	for (char *from = target + 1; *from && *from != '?' && *from != '#'; from++) {
		*to = *from;
		if (*from == '%') {
			if (!isxdigit(from[1]) || !isxdigit(from[2]))
				return NULL;
			*to = (char)strtoul((char[]){from[1], from[2], 0}, NULL, 16);
			from += 2;
		}
		if (!*to++)
			return NULL;
	}
	*to = '\0';
	for (char *part = target; part; part = strchr(part, '/')) {
		part += part != target;
		if ((part == target && *part == '/') ||
		    (!strncmp(part, "..", 2) && (!part[2] || part[2] == '/')))
			return NULL;
	}
	return target;
}

static void answer(struct connection *c, char *target, int wanted)
{
	char file[sizeof(c->in) + 16], *path = path_of(target);
	struct stat st;
	int fd;

	if (!path) {
		refuse(c, "400 Bad Request", 0, wanted);
		return;
	}
	if (!*path && !has_index) {
		own_page(c, wanted);
		return;
	}
	snprintf(file, sizeof(file), "%s%s", path,
		 !*path || path[strlen(path) - 1] == '/' ? "index.html" : "");
	fd = open(file, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) || !S_ISREG(st.st_mode)) {
		refuse(c, fd < 0 && errno == EACCES ? "403 Forbidden" : "404 Not Found", 0, wanted);
		close(fd);
		return;
	}
	head(c, "200 OK", type_of(file), st.st_size);
	c->file = fd;
	c->at = 0;
	c->end = wanted ? st.st_size : 0;
}

/* Does a field's value begin with the word, in any case? */
static int says(const char *value, const char *word)
{
	return value && !strncasecmp(value + strspn(value, " \t"), word, strlen(word));
}

/* One request, complete up to the CR of the empty line, which is a NUL. */
static void request(struct connection *c, char *line)
{
	char *target, *version, *end = strchr(line, '\r');
	const char *connection = NULL;
	int hosts = 0, wanted;

	*end = '\0';
	target = strchr(line, ' ');
	version = target ? strchr(target + 1, ' ') : NULL;
	if (!version || strncmp(version, " HTTP/1.", 8) || !version[8] || version[9]) {
		refuse(c, "400 Bad Request", 1, 1);
		return;
	}
	*target++ = *version = '\0';
	for (char *field = end + 2; *field; field = strchr(field, '\n') + 1) {
		if (!strncasecmp(field, "Host:", 5))
			hosts++;
		else if (!strncasecmp(field, "Connection:", 11))
			connection = field + 11;
		else if (!strncasecmp(field, "Transfer-Encoding:", 18) ||
			 (!strncasecmp(field, "Content-Length:", 15) && !says(field + 15, "0\r")))
			c->last = 1; /* a body is of no use to what is served here: not read */
	}
	c->last |= version[8] == '0' ? !says(connection, "keep-alive") : says(connection, "close");
	wanted = strcmp(line, "HEAD") != 0;
	if (version[8] != '0' && hosts != 1)
		refuse(c, "400 Bad Request", 1, wanted);
	else if (wanted && strcmp(line, "GET"))
		refuse(c, "501 Not Implemented", 1, 1);
	else
		answer(c, target, wanted);
}

/* As many requests as are complete, and have room for their answers. */
static void requests(struct connection *c)
{
	char *at = c->in, *stop = c->in + c->in_bytes;

	while (!c->last && c->file < 0 && sizeof(c->out) - c->out_to >= ANSWER_MAX) {
		char *end;

		while (stop - at >= 2 && at[0] == '\r' && at[1] == '\n')
			at += 2; /* RFC 9112, 2.2 */
		end = memmem(at, (size_t)(stop - at), "\r\n\r\n", 4);
		if (!end) {
			if (stop - at == sizeof(c->in))
				refuse(c, "431 Request Header Fields Too Large", 1, 1);
			break;
		}
		end[2] = '\0';
		if (memchr(at, '\0', (size_t)(end - at)))
			refuse(c, "400 Bad Request", 1, 1);
		else
			request(c, at);
		at = end + 4;
	}
	c->in_bytes = (size_t)(stop - at);
	memmove(c->in, at, c->in_bytes);
}

/* 1: all is sent; 0: the peer is slow; -1: it is gone. */
static int flush(struct connection *c)
{
	while (c->out_from < c->out_to) {
		ssize_t n = send(c->fd, c->out + c->out_from, c->out_to - c->out_from,
				 c->at < c->end ? MSG_MORE : 0);

		if (n < 0)
			return errno == EAGAIN ? 0 : -1;
		c->out_from += (size_t)n;
	}
	c->out_from = c->out_to = 0;
	while (c->at < c->end) {
		ssize_t n = sendfile(c->fd, c->file, &c->at, (size_t)(c->end - c->at));

		if (n <= 0)
			return n < 0 && errno == EAGAIN ? 0 : -1; /* 0: it became shorter */
	}
	if (c->file >= 0)
		close(c->file);
	c->file = -1;
	return 1;
}

/* What to wait for, EPOLLIN or EPOLLOUT; 0: it is over. */
static uint32_t serve(struct connection *c)
{
	int drained = 0, sent;

	for (;;) {
		size_t room;
		ssize_t n;

		do {
			sent = flush(c);
			if (sent > 0)
				requests(c);
		} while (sent > 0 && c->out_to);
		if (sent < 0 || (sent && c->last))
			return 0;
		if (!sent || drained)
			return sent ? EPOLLIN : EPOLLOUT;
		room = sizeof(c->in) - c->in_bytes;
		n = recv(c->fd, c->in + c->in_bytes, room, 0);
		if (n <= 0)
			return n < 0 && errno == EAGAIN ? EPOLLIN : 0;
		c->in_bytes += (size_t)n;
		drained = (size_t)n < room; /* no more is there now */
	}
}

static void greet(int server)
{
	int fd, one = 1;

	while ((fd = accept4(server, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		struct connection *c = malloc(sizeof(*c));

		if (!c) {
			close(fd);
			return;
		}
		memset(c, 0, offsetof(struct connection, in));
		c->fd = fd;
		c->file = -1;
		c->events = EPOLLIN;
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		epoll_ctl(poller, EPOLL_CTL_ADD, fd, &(struct epoll_event){EPOLLIN, {.ptr = c}});
	}
}

static void turn(struct connection *c)
{
	uint32_t events = serve(c);

	if (!events) {
		/* What is left unread would make a RST of the end, and of the answer with it. But
		 * who never stops sending may have one. */
		shutdown(c->fd, SHUT_WR);
		for (int i = 0; i < 64 && recv(c->fd, c->in, sizeof(c->in), 0) > 0; i++)
			;
		if (c->file >= 0)
			close(c->file);
		close(c->fd);
		free(c);
	} else if (events != c->events) {
		c->events = events;
		epoll_ctl(poller, EPOLL_CTL_MOD, c->fd, &(struct epoll_event){events, {.ptr = c}});
	}
}

int main(int argc, char **argv)
{
	unsigned port = argc > 1 ? (unsigned)atoi(argv[1]) : 8080;
	struct epoll_event event[128];
	int server;

	if (argc > 2 && chdir(argv[2])) {
		perror(argv[2]);
		return 1;
	}
	has_index = !access("index.html", R_OK);
	server = listen_on(SOCK_STREAM | SOCK_NONBLOCK, port);
	poller = epoll_create1(EPOLL_CLOEXEC);
	epoll_ctl(poller, EPOLL_CTL_ADD, server, &(struct epoll_event){EPOLLIN, {.ptr = NULL}});
	ready("http", port);
	for (;;) {
		int n = epoll_wait(poller, event, 128, -1);

		for (int i = 0; i < n; i++) {
			if (event[i].data.ptr)
				turn(event[i].data.ptr);
			else
				greet(server);
		}
	}
}
