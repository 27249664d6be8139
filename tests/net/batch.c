/* SPDX-License-Identifier: Apache-2.0 */
/*
 * batch.c ADDRESS: the calls that hand over much at once, to a serve.c: datagrams by sendmmsg and
 * recvmmsg, files by sendfile. Runs in a VM and as a process; musl makes sendmmsg of sendmsg, so
 * glibc's build is the one that is about the system call.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#include "stream.h"

#define LIMIT_S    60
#define DATAGRAMS  32
#define DATAGRAM   1400
#define FILE_BYTES (8u << 20)
#define SEED       0x62617463u

static struct sockaddr_storage to;
static socklen_t to_bytes;

#define NEED(what)                                                                              \
	do {                                                                                    \
		if (!(what)) {                                                                  \
			fprintf(stderr, "batch: not true: %s (line %d, errno %d: %s)\n", #what, \
				__LINE__, errno, strerror(errno));                              \
			exit(1);                                                                \
		}                                                                               \
	} while (0)

static void address(const char *text)
{
	struct sockaddr_in *v4 = (void *)&to;
	struct sockaddr_in6 *v6 = (void *)&to;

	to_bytes = sizeof(*v4);
	to.ss_family = AF_INET;
	if (inet_pton(AF_INET, text, &v4->sin_addr) == 1)
		return;
	to_bytes = sizeof(*v6);
	to.ss_family = AF_INET6;
	NEED(inet_pton(AF_INET6, text, &v6->sin6_addr) == 1);
}

static int dial(int type, int port)
{
	int fd = socket(to.ss_family, type | SOCK_CLOEXEC, 0);

	((struct sockaddr_in *)&to)->sin_port = htons((uint16_t)port); /* sin6_port, too */
	NEED(fd >= 0 && !connect(fd, (void *)&to, to_bytes));
	return fd;
}

/* Datagram i has i in its first byte, and a size of its own. */
static size_t size_of(unsigned i)
{
	return 1 + i * (DATAGRAM - 1) / (DATAGRAMS - 1);
}

static void prepare(struct mmsghdr *m, struct iovec *iov, char (*data)[DATAGRAM])
{
	for (unsigned i = 0; i < DATAGRAMS; i++) {
		iov[i] = (struct iovec){data[i], DATAGRAM};
		m[i] = (struct mmsghdr){.msg_hdr = {.msg_iov = &iov[i], .msg_iovlen = 1}};
	}
}

static void datagrams(void)
{
	static char out[DATAGRAMS][DATAGRAM], in[DATAGRAMS][DATAGRAM];
	static struct mmsghdr m[DATAGRAMS];
	static struct iovec iov[DATAGRAMS];
	bool came[DATAGRAMS] = {false};
	int fd = dial(SOCK_DGRAM, PORT_ECHO);
	unsigned ncame = 0, calls = 0;

	/* They know each other: who does not keeps some of a batch until it does, and not all. */
	NEED(send(fd, "", 1, 0) == 1 && recv(fd, in, sizeof(in[0]), 0) == 1);
	prepare(m, iov, out);
	for (unsigned i = 0; i < DATAGRAMS; i++) {
		memset(out[i], (int)(i * 7), sizeof(out[i]));
		out[i][0] = (char)i;
		iov[i].iov_len = size_of(i);
	}
	NEED(sendmmsg(fd, m, DATAGRAMS, 0) == DATAGRAMS);
	for (unsigned i = 0; i < DATAGRAMS; i++)
		NEED(m[i].msg_len == size_of(i));
	while (ncame < DATAGRAMS) {
		int got;

		prepare(m, iov, in);
		got = recvmmsg(fd, m, DATAGRAMS, MSG_WAITFORONE, NULL);
		NEED(got > 0);
		calls++;
		for (int j = 0; j < got; j++) {
			unsigned i = (unsigned char)in[j][0];

			NEED(i < DATAGRAMS && !came[i]);
			NEED(m[j].msg_len == size_of(i) && !memcmp(in[j], out[i], size_of(i)));
			came[i] = true;
			ncame++;
		}
	}
	printf("%u datagrams by %u calls\n", ncame, calls);
	close(fd);
}

/* All of a file but its first byte, from an offset that sendfile counts on. */
static void file(void)
{
	static uint64_t words[8192 + 1];
	char name[] = "/tmp/batchXXXXXX";
	int fd = mkstemp(name), peer = dial(SOCK_STREAM, PORT_SINK);
	struct summing ours = {0};
	struct sum sum, theirs = {0};
	off_t at = 1;

	NEED(fd >= 0 && !unlink(name));
	for (unsigned done = 0; done < FILE_BYTES; done += 65536) {
		const char *data = stream_fill(words, 8192, SEED, done);

		NEED(write(fd, data, 65536) == 65536);
		sum_add(&ours, data + !done, 65536 - !done);
	}
	while (at < FILE_BYTES)
		NEED(sendfile(peer, fd, &at, FILE_BYTES) > 0);
	NEED(at == FILE_BYTES && sendfile(peer, fd, &at, 1) == 0);
	NEED(!shutdown(peer, SHUT_WR));
	NEED(recv(peer, &theirs, sizeof(theirs), MSG_WAITALL) == sizeof(theirs));
	sum = sum_end(&ours);
	NEED(theirs.bytes == FILE_BYTES - 1 && !memcmp(&sum, &theirs, sizeof(sum)));
	close(peer);
	close(fd);
}

int main(int argc, char **argv)
{
	alarm(LIMIT_S);
	NEED(argc == 2);
	address(argv[1]);
	for (int i = 0; i < 10; i++)
		datagrams();
	file();
	return 0;
}
