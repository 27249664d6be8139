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

#define HEAD_MAX 8191 /* of a request */

struct connection {
	int fd, file;    /* file: -1, or what is being sent */
	off_t at, end;   /* of the file */
	char *unsent;    /* of the answers' heads, where the peer was slow; malloc */
	size_t from, to; /* which part of it */
	size_t bytes;    /* in in[] */
	uint32_t events; /* that epoll was asked for */
	int last;        /* no more requests */
	char in[HEAD_MAX + 1];
};

static const char page[] = "<!doctype html><title>mayfly</title><p>It flies.</p>\n";
static int poller, has_index;

/* Answers to what came in one go leave in one go. */
static char out[65536];
static size_t out_bytes;

static const char *type_of(const char *path)
{
	static const char *const type[][2] = {
		{".html", "text/html; charset=utf-8"},
		{".css", "text/css"},
		{".js", "text/javascript"},
		{".json", "application/json"},
		{".txt", "text/plain; charset=utf-8"},
		{".svg", "image/svg+xml"},
		{".png", "image/png"},
		{".jpg", "image/jpeg"},
		{".ico", "image/x-icon"},
		{".wasm", "application/wasm"},
	};
	const char *dot = strrchr(path, '.');

	for (size_t i = 0; dot && i < sizeof(type) / sizeof(type[0]); i++)
		if (!strcasecmp(dot, type[i][0]))
			return type[i][1];
	return "application/octet-stream";
}

/* RFC 9110, 6.6.1; made once a second. */
static const char *date(void)
{
	static char text[32];
	static time_t made;
	time_t now = time(NULL);

	if (now != made) {
		made = now;
		strftime(text, sizeof(text), "%a, %d %b %Y %H:%M:%S GMT", gmtime(&now));
	}
	return text;
}

static void head(struct connection *c, const char *status, const char *type, long long length)
{
	int n = snprintf(out + out_bytes, sizeof(out) - out_bytes,
			 "HTTP/1.1 %s\r\nServer: mayfly\r\nDate: %s\r\nContent-Type: %s\r\n"
			 "Content-Length: %lld\r\n%s\r\n",
			 status, date(), type, length, c->last ? "Connection: close\r\n" : "");

	out_bytes += (size_t)n;
}

static void body(const char *text, size_t n, int wanted)
{
	if (wanted)
		memcpy(out + out_bytes, text, n);
	out_bytes += wanted ? n : 0;
}

/* The page with its head is the same for a second. */
static void own_page(struct connection *c, int wanted)
{
	static char made[512];
	static size_t bytes;
	static time_t when;
	size_t from = out_bytes;

	if (!c->last && wanted && when == time(NULL)) {
		body(made, bytes, 1);
		return;
	}
	head(c, "200 OK", "text/html; charset=utf-8", sizeof(page) - 1);
	body(page, sizeof(page) - 1, wanted);
	if (!c->last && wanted) {
		when = time(NULL);
		bytes = out_bytes - from;
		memcpy(made, out + from, bytes);
	}
}

static void refuse(struct connection *c, const char *status, int fatal)
{
	c->last |= fatal;
	head(c, status, "text/plain", (long long)strlen(status) + 1);
	body(status, strlen(status), 1);
	body("\n", 1, 1);
}

static int hex(char c)
{
	return c >= '0' && c <= '9'                 ? c - '0'
	       : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10
						    : -1;
}

/* A request's target into a path below the directory, in place: NULL if it would leave it. */
static char *path_of(char *target)
{
	char *to = target, *from = target;

	if (*from != '/')
		return NULL;
	for (from++; *from && *from != '?' && *from != '#'; from++) {
		int high = *from == '%' ? hex(from[1]) : -1;
		int low = high >= 0 ? hex(from[2]) : -1;

		if (*from == '%' && (low < 0 || !(high | low)))
			return NULL;
		*to++ = *from == '%' ? (char)(high * 16 + low) : *from;
		from += *from == '%' ? 2 : 0;
	}
	*to = '\0';
	for (char *part = target; part; part = strchr(part, '/')) {
		part += *part == '/';
		if (*part == '/' ||
		    (part[0] == '.' && part[1] == '.' && (!part[2] || part[2] == '/')))
			return NULL;
	}
	return target;
}

static void answer(struct connection *c, char *target, int wanted)
{
	char *path = path_of(target), below[HEAD_MAX + 16];
	struct stat st;
	int fd;

	if (!path) {
		refuse(c, "400 Bad Request", 0);
		return;
	}
	if (!*path && !has_index) {
		own_page(c, wanted);
		return;
	}
	snprintf(below, sizeof(below), "%s%s", path,
		 !*path || path[strlen(path) - 1] == '/' ? "index.html" : "");
	fd = open(below, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) || !S_ISREG(st.st_mode)) {
		refuse(c, fd < 0 && errno == EACCES ? "403 Forbidden" : "404 Not Found", 0);
		close(fd);
		return;
	}
	head(c, "200 OK", type_of(below), st.st_size);
	/* What fits goes with the head; the rest by sendfile. */
	c->at = 0;
	c->end = wanted ? st.st_size : 0;
	if (c->end <= (off_t)(sizeof(out) - out_bytes) / 2) {
		ssize_t n = c->end ? read(fd, out + out_bytes, (size_t)c->end) : 0;

		out_bytes += n > 0 ? (size_t)n : 0;
		c->at = n > 0 ? n : 0;
	}
	if (c->at < c->end)
		c->file = fd;
	else
		close(fd);
}

/* Is this field's value, whose lines end in CRLF, the word (in any case)? */
static int says(const char *field, const char *word)
{
	return field && !strncasecmp(field + strspn(field, " \t"), word, strlen(word));
}

/* One request of in[0, n), its head complete and ended by a NUL in place of its last LF. */
static void request(struct connection *c)
{
	char *line = c->in, *target, *version, *end = strchr(line, '\r');
	const char *connection = NULL;
	int hosts = 0, with_body = 0, wanted;

	*end = '\0';
	target = strchr(line, ' ');
	version = target ? strchr(target + 1, ' ') : NULL;
	if (!version || strncmp(version, " HTTP/1.", 8) || !version[8] || version[9]) {
		refuse(c, "400 Bad Request", 1);
		return;
	}
	*target++ = *version = '\0';
	for (char *field = end + 2; *field && *field != '\r'; field = strchr(field, '\n') + 1) {
		if (!strncasecmp(field, "Host:", 5))
			hosts++;
		else if (!strncasecmp(field, "Connection:", 11))
			connection = field + 11;
		else if (!strncasecmp(field, "Content-Length:", 15))
			with_body |= !says(field + 15, "0\r");
		else if (!strncasecmp(field, "Transfer-Encoding:", 18))
			with_body = 1;
	}
	/* A body is of no use to what is served here, so none is looked for behind the head. */
	c->last |= with_body || (version[8] == '0' ? !says(connection, "keep-alive")
						   : says(connection, "close"));
	wanted = strcmp(line, "HEAD") != 0;
	if (version[8] != '0' && hosts != 1)
		refuse(c, "400 Bad Request", 1);
	else if (wanted && strcmp(line, "GET"))
		refuse(c, "501 Not Implemented", 1);
	else
		answer(c, target, wanted);
}

/* As many requests as are complete and can be answered now. */
static void requests(struct connection *c)
{
	while (!c->last && c->file < 0 && out_bytes < sizeof(out) / 2) {
		char *end;
		size_t n;

		while (c->bytes >= 2 && c->in[0] == '\r' && c->in[1] == '\n')
			memmove(c->in, c->in + 2, c->bytes -= 2); /* RFC 9112, 2.2 */
		end = memmem(c->in, c->bytes, "\r\n\r\n", 4);
		if (!end) {
			if (c->bytes == HEAD_MAX)
				refuse(c, "431 Request Header Fields Too Large", 1);
			return;
		}
		n = (size_t)(end - c->in) + 4;
		end[3] = '\0';
		if (memchr(c->in, '\0', n - 1))
			refuse(c, "400 Bad Request", 1);
		else
			request(c);
		memmove(c->in, c->in + n, c->bytes -= n);
	}
}

/* 1: all is sent; 0: the peer is slow; -1: it is gone. */
static int flush(struct connection *c)
{
	const char *data = c->unsent ? c->unsent + c->from : out;
	size_t left = c->unsent ? c->to - c->from : out_bytes;
	ssize_t n = 1;

	while (left && n > 0) {
		n = send(c->fd, data, left, c->file >= 0 ? MSG_MORE : 0);
		data += n > 0 ? n : 0;
		left -= n > 0 ? (size_t)n : 0;
	}
	if (c->unsent) {
		c->from = c->to - left;
	} else if (left && errno == EAGAIN) {
		c->unsent = malloc(left);
		if (!c->unsent)
			return -1;
		memcpy(c->unsent, data, left);
		c->from = 0;
		c->to = left;
	}
	out_bytes = 0;
	if (left)
		return errno == EAGAIN ? 0 : -1;
	free(c->unsent);
	c->unsent = NULL;
	while (c->file >= 0 && c->at < c->end) {
		n = sendfile(c->fd, c->file, &c->at, (size_t)(c->end - c->at));
		if (n <= 0)
			return n < 0 && errno == EAGAIN ? 0 : -1; /* 0: it became shorter */
	}
	if (c->file >= 0)
		close(c->file);
	c->file = -1;
	return 1;
}

static void drop(struct connection *c)
{
	if (c->file >= 0)
		close(c->file);
	close(c->fd);
	free(c->unsent);
	free(c);
}

static void serve(struct connection *c)
{
	int drained = 0, sent;
	uint32_t events;
	ssize_t n;

	for (;;) {
		sent = c->unsent || c->file >= 0 ? flush(c) : 1;
		while (sent > 0) {
			requests(c);
			if (!out_bytes)
				break;
			sent = flush(c);
		}
		if (sent < 0 || (sent && c->last)) {
			drop(c);
			return;
		}
		if (!sent || drained)
			break;
		n = recv(c->fd, c->in + c->bytes, HEAD_MAX - c->bytes, 0);
		if (!n || (n < 0 && errno != EAGAIN && errno != EINTR)) {
			drop(c);
			return;
		}
		/* Less than there was room for: no more is there now. */
		drained = n < 0 || (size_t)n < HEAD_MAX - c->bytes;
		c->bytes += n > 0 ? (size_t)n : 0;
	}
	events = sent ? EPOLLIN : EPOLLOUT;
	if (events != c->events) {
		c->events = events;
		epoll_ctl(poller, EPOLL_CTL_MOD, c->fd, &(struct epoll_event){events, {.ptr = c}});
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
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		memset(c, 0, offsetof(struct connection, in));
		c->fd = fd;
		c->file = -1;
		c->events = EPOLLIN;
		epoll_ctl(poller, EPOLL_CTL_ADD, fd, &(struct epoll_event){EPOLLIN, {.ptr = c}});
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
				serve(event[i].data.ptr);
			else
				greet(server);
		}
	}
}
