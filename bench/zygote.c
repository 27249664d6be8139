/* SPDX-License-Identifier: Apache-2.0 */
/* zygote.c: see zygote.h. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../monitor/image_key.h"
#include "tool.h"
#include "zygote.h"

#define CAPTURE_BYTES 65536
/* As the daemon does it: every shell has a uid of its own, far from those of people. */
#define FIRST_UID    1879048192u
#define NUIDS        65536u
#define BUFFER_BYTES (2 << 20) /* of the news socket */
#define HIGH_FD      20        /* out of the way of the zygote's own three */

static void empty(int run_dir, const char *name)
{
	int fd;
	DIR *d;
	const struct dirent *e;

	if (mkdirat(run_dir, name, 0700) && errno != EEXIST)
		die_errno(name);
	fd = openat(run_dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || !(d = fdopendir(fd)))
		die_errno(name);
	while ((e = readdir(d)))
		if (e->d_name[0] != '.')
			unlinkat(fd, e->d_name, 0);
	closedir(d);
}

static _Noreturn void become(const char *mayfly, int link, int news, int run_dir, bool jail)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	link = fcntl(link, F_DUPFD, HIGH_FD);
	news = fcntl(news, F_DUPFD, HIGH_FD);
	run_dir = fcntl(run_dir, F_DUPFD, HIGH_FD);
	dup2(link, ZYGOTE_FD_LINK);
	dup2(news, ZYGOTE_FD_NEWS);
	dup2(run_dir, ZYGOTE_FD_RUN_DIR);
	syscall(SYS_close_range, ZYGOTE_FD_RUN_DIR + 1, ~0u, 0);
	execl(mayfly, "mayfly", "zygote", jail ? NULL : "--no-jail", NULL);
	_exit(127);
}

void zygote_start(struct zygote *z, const char *mayfly, const char *run_dir, bool jail)
{
	const int namespaces =
		CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS;
	int link[2], news[2], bytes = BUFFER_BYTES, yes = 1;
	struct zygote_reply up;

	if (mkdir(run_dir, 0700) && errno != EEXIST)
		die_errno(run_dir);
	z->run_dir = open(run_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (z->run_dir < 0 || fchdir(z->run_dir))
		die_errno(run_dir);
	empty(z->run_dir, "shell");
	empty(z->run_dir, "log");
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, link) ||
	    socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, news) ||
	    (z->out = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) < 0 ||
	    setsockopt(news[0], SOL_SOCKET, SO_PASSCRED, &yes, sizeof(yes)))
		die_errno("cannot make sockets");
	setsockopt(news[0], SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
	/* The child has its own copy of everything, so it may change what it likes. */
	z->pid = (pid_t)syscall(SYS_clone, namespaces | SIGCHLD, 0, 0, 0, 0);
	if (z->pid < 0)
		die_errno("cannot start a zygote in namespaces of its own");
	if (z->pid == 0)
		become(mayfly, link[1], news[1], z->run_dir, jail);
	close(link[1]);
	close(news[1]);
	z->link = link[0];
	z->news = news[0];
	if (recv(z->link, &up, sizeof(up), 0) != sizeof(up))
		die(mayfly, "its zygote ended at once");
	if (up.event != ZYGOTE_UP)
		die("the zygote", up.text);
	if (up.shell != WIRE_VERSION)
		die(mayfly, "is of another version than this benchmark");
}

void zygote_stop(struct zygote *z)
{
	close(z->link);
	close(z->news);
	waitpid(z->pid, NULL, 0);
	empty(z->run_dir, "shell");
}

uint64_t zygote_spawn(struct zygote *z, bool urgent)
{
	uint64_t number = ++z->shells;
	struct zygote_request q = {
		.op = ZYGOTE_SPAWN,
		.shell = number,
		.memory_bytes = z->memory_bytes,
		.uid = FIRST_UID + (uint32_t)(number % NUIDS),
		.gid = FIRST_UID + (uint32_t)(number % NUIDS),
		.urgent = urgent,
	};

	if (send(z->link, &q, sizeof(q), 0) != sizeof(q))
		die_errno("cannot ask for a shell");
	return number;
}

/* Sleeps until there are news. Looks at the link too: who was killed sends none. */
static void await(struct zygote *z)
{
	struct pollfd p[2] = {{.fd = z->news, .events = POLLIN}, {.fd = z->link, .events = POLLIN}};

	for (;;) {
		if (poll(p, 2, -1) < 0 && errno != EINTR)
			die_errno("poll");
		if (p[0].revents)
			return;
		if (p[1].revents)
			zygote_reap(z);
	}
}

/* One message, and the PID of who sent it. */
static size_t receive(struct zygote *z, char *buffer, pid_t *pid)
{
	union {
		struct cmsghdr head;
		char space[CMSG_SPACE(sizeof(struct ucred))];
	} control;
	struct iovec iov = {buffer, WIRE_MAX_BYTES};
	struct msghdr m = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	const struct cmsghdr *c;
	struct ucred from = {0};
	ssize_t n;

	while ((n = recvmsg(z->news, &m, MSG_DONTWAIT)) < 0) {
		if (errno != EAGAIN && errno != EINTR)
			die_errno("cannot read news");
		await(z);
	}
	c = CMSG_FIRSTHDR(&m);
	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_CREDENTIALS)
		memcpy(&from, CMSG_DATA(c), sizeof(from));
	*pid = from.pid;
	return (size_t)n;
}

void zygote_news(struct zygote *z, struct zygote_news *n)
{
	static char buffer[WIRE_MAX_BYTES + 1];
	size_t bytes = receive(z, buffer, &n->pid), head = sizeof(n->head);

	buffer[bytes] = 0;
	if (bytes < head)
		die("a shell's news", "too short");
	memcpy(&n->head, buffer, head);
	if (n->head.type == NEWS_FAILED)
		die("a shell failed", buffer + head);
	if (n->head.type == NEWS_EXIT && bytes >= head + sizeof(n->exit)) {
		memcpy(&n->exit, buffer + head, sizeof(n->exit));
		head += sizeof(n->exit);
	}
	n->text_bytes = bytes - head < sizeof(n->text) ? bytes - head : sizeof(n->text) - 1;
	memcpy(n->text, buffer + head, n->text_bytes);
	n->text[n->text_bytes] = 0;
}

void zygote_start_program(struct zygote *z, uint64_t shell, int image, const char *program,
			  uint64_t parsed_tsc)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	struct {
		struct shell_start head;
		char text[2 * 4096];
	} message = {
		.head =
			{
				.head.op = SHELL_START,
				.version = WIRE_VERSION,
				.flags = START_CAPTURE,
				.parsed_tsc = parsed_tsc,
				.capture_bytes = CAPTURE_BYTES,
				.argc = 1,
			},
	};
	union {
		struct cmsghdr head;
		char space[CMSG_SPACE(sizeof(int))];
	} control = {.head = {.cmsg_len = CMSG_LEN(sizeof(int)),
			      .cmsg_level = SOL_SOCKET,
			      .cmsg_type = SCM_RIGHTS}};
	/* Path, working directory, host name, argv[0]. */
	int text = snprintf(message.text, sizeof(message.text), "%s%c/%c%c%s%c", program, 0, 0, 0,
			    program, 0);
	struct iovec iov = {&message, sizeof(message.head) + (size_t)text};
	struct msghdr m = {
		.msg_name = &to,
		.msg_namelen = sizeof(to),
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};

	message.head.text_bytes = (uint32_t)text;
	message.head.head.bytes = (uint32_t)(iov.iov_len - sizeof(message.head.head));
	memcpy(CMSG_DATA(&control.head), &image, sizeof(image));
	snprintf(to.sun_path, sizeof(to.sun_path), "shell/%llu", (unsigned long long)shell);
	if (sendmsg(z->out, &m, 0) < 0)
		die_errno("cannot send START");
}

void zygote_reap(struct zygote *z)
{
	struct zygote_reply r;
	ssize_t n;

	while ((n = recv(z->link, &r, sizeof(r), MSG_DONTWAIT)) == sizeof(r)) {
		if (r.event == ZYGOTE_FAILED)
			die("the zygote", r.text);
		if (r.event == ZYGOTE_ENDED && WIFSIGNALED(r.status))
			die("a shell was killed by a signal", strsignal(WTERMSIG(r.status)));
	}
	if (n >= 0)
		die("the zygote", "it has ended");
}

void zygote_forget(struct zygote *z, uint64_t shell)
{
	char path[40];

	snprintf(path, sizeof(path), "shell/%llu", (unsigned long long)shell);
	unlinkat(z->run_dir, path, 0);
}

int zygote_image(const struct zygote *z, const char *program)
{
	char key[PREPARED_IDKEY_BYTES];
	struct stat st;
	int fd;

	if (stat(program, &st) || prepared_idkey(&st, key, sizeof(key)) < 0)
		die_errno(program);
	fd = openat(z->run_dir, key, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		die(program, "is not prepared: run it once with `mayfly run` and this run "
			     "directory");
	return fd;
}
