/* SPDX-License-Identifier: Apache-2.0 */
/* run_receive.c: see run_receive.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "run_receive.h"

#define MAX_FDS 6 /* that are received: one more than are ever wanted */

/* Reads a message and the descriptors that come with it (*nfds): its bytes, or -errno. One that
 * is too large has WIRE_MAX_BYTES + 1. */
static ssize_t receive(int socket, char *buffer, int fds[MAX_FDS], size_t *nfds)
{
	union {
		char bytes[CMSG_SPACE(MAX_FDS * sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec iov = {buffer, WIRE_MAX_BYTES};
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	ssize_t n = recvmsg(socket, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	/* Room that is only padding the kernel would use for one more. */
	_Static_assert(CMSG_SPACE(MAX_FDS * sizeof(int)) == CMSG_LEN(MAX_FDS * sizeof(int)),
		       "as many descriptors as fds has");
	_Static_assert(MAX_FDS > RUN_REQUEST_FDS + 1, "too many can be told from enough");
	*nfds = 0;
	if (n < 0)
		return -errno;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		/* The kernel fits them to our buffer; what does not fit it drops. */
		*nfds = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		memcpy(fds, CMSG_DATA(c), *nfds * sizeof(int));
	}
	return msg.msg_flags & MSG_TRUNC ? (ssize_t)WIRE_MAX_BYTES + 1 : n;
}

/* Strings too large for a message are in a memfd. Only one of those (sealing is theirs) can be
 * read without the caller making us wait. Our copy, or NULL. */
static char *read_text(int fd, size_t bytes, struct err *err)
{
	char *text;

	if (fcntl(fd, F_GET_SEALS) < 0) {
		err_set(err, errno, "the request's strings are in no memfd");
		return NULL;
	}
	text = malloc(bytes);
	if (text && pread(fd, text, bytes, 0) == (ssize_t)bytes)
		return text;
	err_set(err, text ? 0 : ENOMEM, "cannot read the request's %zu bytes of strings", bytes);
	free(text);
	return NULL;
}

static int check(struct run_message *m, char *buffer, size_t bytes, const int *fds, size_t nfds,
		 struct err *err)
{
	char *text = buffer + sizeof(m->head);
	int ret = run_request_head(buffer, bytes, nfds, &m->head, err);

	if (!ret && (m->head.flags & START_TEXT_FD)) {
		text = m->copy = read_text(fds[RUN_REQUEST_FDS], m->head.text_bytes, err);
		ret = text ? 0 : -EPROTO;
	}
	return ret ? ret : run_request_strings(&m->head, text, &m->strings, err);
}

int run_receive(int socket, char *buffer, struct run_message *m, struct err *err)
{
	int fds[MAX_FDS], ret;
	size_t nfds, keep;
	ssize_t n = receive(socket, buffer, fds, &nfds);

	if (n == -EAGAIN || n == -EINTR)
		return -EAGAIN;
	if (n <= 0)
		return -EPIPE;
	m->copy = NULL;
	ret = check(m, buffer, (size_t)n, fds, nfds, err);
	if (ret)
		free(m->copy);
	else
		memcpy(m->fds, fds, sizeof(m->fds));
	for (keep = ret ? 0 : RUN_REQUEST_FDS; nfds > keep;)
		close(fds[--nfds]);
	return ret;
}

void run_message_free(struct run_message *m)
{
	free(m->strings.argv);
	free(m->copy);
}
