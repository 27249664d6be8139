/* SPDX-License-Identifier: Apache-2.0 */
/* control.c: see control.h. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include "../../noxs/noxs.h"
#include "control.h"
#include "vm_net.h"

#define SEND_BUFFER (1 << 20) /* STARTs under way, all together */
/* Image, streams, arguments; of each net device */
#define MAX_FDS (5 + NOXS_NET_MAX * (1 + NET_WIRE_FDS))

void shell_socket_name(uint64_t shell, char name[SHELL_NAME_BYTES])
{
	snprintf(name, SHELL_NAME_BYTES, "shell/%llu", (unsigned long long)shell);
}

void shell_log_name(uint64_t shell, char name[SHELL_NAME_BYTES])
{
	snprintf(name, SHELL_NAME_BYTES, "log/%llu", (unsigned long long)shell);
}

int control_open(struct control *c, struct err *err)
{
	int bytes = SEND_BUFFER;

	c->socket = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (c->socket < 0)
		return err_set(err, errno, "cannot make the socket for messages to shells");
	/* As much as the system lets us have. */
	setsockopt(c->socket, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
	return 0;
}

void control_close(struct control *c)
{
	if (c->socket >= 0)
		close(c->socket);
	c->socket = -1;
}

static int send_to(int fd, uint64_t shell, const struct msghdr *what)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	struct msghdr msg = *what;

	_Static_assert(sizeof(to.sun_path) >= SHELL_NAME_BYTES, "it fits");
	shell_socket_name(shell, to.sun_path);
	msg.msg_name = &to;
	msg.msg_namelen = sizeof(to);
	while (sendmsg(fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
		if (errno == EINTR)
			continue;
		if (errno == ENOBUFS || errno == EWOULDBLOCK)
			return -EAGAIN;
		if (errno == ECONNREFUSED || errno == ENOENT || errno == ECONNRESET)
			return -ESRCH;
		return -errno;
	}
	return 0;
}

/* What does not fit a message, in a file in memory. Its descriptor, or -errno. */
static int text_file(const struct iovec *part, int nparts)
{
	int fd = memfd_create("mayfly-start", MFD_CLOEXEC);
	int ret = 0;

	for (int i = 0; fd >= 0 && i < nparts; i++) {
		size_t done = 0;

		while (done < part[i].iov_len) {
			ssize_t n =
				write(fd, (char *)part[i].iov_base + done, part[i].iov_len - done);

			if (n <= 0) {
				ret = n < 0 ? -errno : -EIO;
				close(fd);
				return ret;
			}
			done += (size_t)n;
		}
	}
	return fd < 0 ? -errno : fd;
}

static void describe(struct shell_start *head, const struct record *r, size_t path_bytes)
{
	const struct start *s = r->start;
	uint32_t input = s->stdin_bytes < NOXS_STDIN_BYTES ? s->stdin_bytes : NOXS_STDIN_BYTES;

	*head = (struct shell_start){
		.head.op = SHELL_START,
		.version = WIRE_VERSION,
		.flags = s->flags | (s->log_bytes ? START_LOG : 0),
		.parsed_tsc = r->vm.parsed_tsc,
		.timeout_ns = r->vm.timeout_ns,
		.capture_bytes = r->capture_bytes,
		.log_bytes = s->log_bytes,
		.argc = s->argc,
		.envc = s->envc,
		.text_bytes = (uint32_t)path_bytes + s->text_bytes,
		.stdin_bytes = input,
		.nnet = s->nnet,
	};
	/* What the guest's ring does not hold comes behind (engine_input.c). */
	if (input < s->stdin_bytes)
		head->flags |= START_STDIN;
}

int control_start(struct control *c, uint64_t shell, const struct record *r, int image_fd,
		  const char *path, struct err *err)
{
	const struct start *s = r->start;
	union {
		struct cmsghdr head;
		char space[CMSG_SPACE(MAX_FDS * sizeof(int))];
	} fds = {0};
	struct shell_start head;
	struct wire_net net[NOXS_NET_MAX];
	int fd[MAX_FDS] = {image_fd, s->fds[0], s->fds[1], s->fds[2]}, text = -1, ret;
	unsigned nfds = s->flags & START_FDS ? 4 : 1;
	struct iovec iov[4] = {{&head, sizeof(head)}, {net, s->nnet * sizeof(net[0])}};
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = 4, .msg_control = &fds};
	size_t bytes = iov[0].iov_len + iov[1].iov_len;

	for (unsigned i = 0; i < s->nnet; i++) {
		net[i] = s->net[i].wire;
		memcpy(fd + nfds, s->net[i].fd, net_handed_fds(&s->net[i]) * sizeof(int));
		nfds += net_handed_fds(&s->net[i]);
	}
	iov[2] = (struct iovec){(void *)path, strlen(path) + 1};
	describe(&head, r, iov[2].iov_len);
	iov[3] = (struct iovec){(void *)s->text, s->text_bytes + head.stdin_bytes};
	if (bytes + iov[2].iov_len + iov[3].iov_len > WIRE_MAX_BYTES) {
		text = text_file(iov + 2, 2);
		if (text < 0)
			return err_set(err, -text, "cannot hand a VM its arguments");
		fd[nfds++] = text;
		head.flags |= START_TEXT_FD;
		msg.msg_iovlen = 2;
	} else {
		bytes += iov[2].iov_len + iov[3].iov_len;
	}
	head.head.bytes = (uint32_t)(bytes - sizeof(head.head));
	msg.msg_controllen = CMSG_SPACE(nfds * sizeof(int));
	fds.head = (struct cmsghdr){CMSG_LEN(nfds * sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
	memcpy(CMSG_DATA(&fds.head), fd, nfds * sizeof(int));
	ret = send_to(c->socket, shell, &msg);
	if (text >= 0)
		close(text);
	if (ret && ret != -EAGAIN && ret != -ESRCH)
		err_set(err, -ret, "cannot send a shell its program");
	return ret;
}

int control_send(uint64_t shell, enum shell_op op, uint64_t arg, const void *data, size_t bytes,
		 struct err *err)
{
	struct shell_message head = {.op = op, .bytes = (uint32_t)bytes, .arg = arg};
	struct iovec iov[2] = {{&head, sizeof(head)}, {(void *)data, bytes}};
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = data ? 2 : 1};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), ret;

	if (fd < 0)
		return err_set(err, errno, "cannot make a socket for a message to a VM");
	ret = send_to(fd, shell, &msg);
	close(fd);
	if (ret == -EAGAIN)
		err_set(err, 0, "the VM does not take messages");
	else if (ret == -ESRCH)
		err_set(err, 0, "the VM is ending");
	else if (ret)
		err_set(err, -ret, "cannot send a message to a VM");
	return ret;
}
