/* SPDX-License-Identifier: Apache-2.0 */
/* xsk.c: see xsk.h. Rules: Linux, Documentation/networking/af_xdp.rst. */
#include <errno.h>
#include <linux/if_xdp.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <xdp/xsk.h>

#include "../../noxs/net.h"
#include "xsk.h"

#ifndef SOL_XDP
#define SOL_XDP 283
#endif

#define BUSY_MS  1000
#define PAUSE_MS 5

int xsk_memory_map(struct xsk_memory *memory, int memfd, struct err *err)
{
	size_t buffers;
	struct stat st;
	char *window;

	if (fstat(memfd, &st))
		return err_set(err, errno, "there is no memory for the frames (descriptor %d)",
			       memfd);
	if (st.st_size <= NOXS_NET_OFF_BUFFERS || (size_t)st.st_size > NOXS_NET_WINDOW)
		return err_set(err, 0, "the memory for the frames has %lld bytes",
			       (long long)st.st_size);
	buffers = ((size_t)st.st_size - NOXS_NET_OFF_BUFFERS) / NOXS_NET_FRAME_BYTES;
	memory->bytes = buffers * NOXS_NET_FRAME_BYTES;
	memory->entries = 1;
	while (memory->entries < buffers && memory->entries < NOXS_NET_MAX_ENTRIES)
		memory->entries *= 2;
	window = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, memfd, 0);
	if (window == MAP_FAILED)
		return err_set(err, errno, "cannot map the memory for the frames");
	memory->buffers = window + NOXS_NET_OFF_BUFFERS;
	return 0;
}

/* A socket with its rings, which is not bound. */
static int make_socket(const struct xsk_memory *memory)
{
	const struct xsk_umem_config config = {
		.fill_size = memory->entries,
		.comp_size = memory->entries,
		.frame_size = NOXS_NET_FRAME_BYTES,
	};
	const int entries = (int)memory->entries;
	/* What libxdp knows of the rings is not used here, but has to outlive its structure. */
	struct xsk_ring_prod fill;
	struct xsk_ring_cons comp;
	struct xsk_umem *umem;
	int fd, ret = xsk_umem__create(&umem, memory->buffers, memory->bytes, &fill, &comp,
				       &config);

	if (ret)
		return ret;
	/* A duplicate, for libxdp's own goes with its structure. */
	fd = dup(xsk_umem__fd(umem));
	ret = fd < 0 || setsockopt(fd, SOL_XDP, XDP_RX_RING, &entries, sizeof(entries)) ||
			      setsockopt(fd, SOL_XDP, XDP_TX_RING, &entries, sizeof(entries))
		      ? -errno
		      : fd;
	xsk_umem__delete(umem);
	if (ret < 0 && fd >= 0)
		close(fd);
	return ret;
}

/* The kernel lets go of a queue, and of locked memory, some time after a socket was closed. */
static bool may_pass(int errnum, unsigned *tries)
{
	static const struct timespec pause = {.tv_nsec = PAUSE_MS * 1000000};

	if ((errnum != EBUSY && errnum != ENOBUFS) || !*tries)
		return false;
	--*tries;
	nanosleep(&pause, NULL);
	return true;
}

static bool rings_can_be_mapped(int fd)
{
	/* For tests of the other way, on kernels that can. */
	const char *cannot = getenv("MAYFLY_NET_UNBOUND");
	void *at;

	if (cannot && *cannot)
		return false;
	at = mmap(NULL, 1, PROT_READ | PROT_WRITE, MAP_SHARED, fd, XDP_PGOFF_RX_RING);

	if (at == MAP_FAILED)
		return errno != EBUSY;
	munmap(at, 1);
	return true;
}

int xsk_open(int ifindex, unsigned queue, enum net_copy copy, bool patient,
	     const struct xsk_memory *memory, struct xsk_opened *opened)
{
	const unsigned mode = copy == NET_COPY_COPY   ? XDP_COPY
			      : copy == NET_COPY_ZERO ? XDP_ZEROCOPY
						      : 0;
	struct sockaddr_xdp address = {
		.sxdp_family = AF_XDP,
		.sxdp_flags = (uint16_t)(XDP_USE_NEED_WAKEUP | mode),
		.sxdp_ifindex = (uint32_t)ifindex,
		.sxdp_queue_id = queue,
	};
	unsigned tries = patient ? BUSY_MS / PAUSE_MS : 0;
	struct xdp_options options;
	socklen_t len = sizeof(options);
	int fd = make_socket(memory), ret;

	if (fd < 0)
		return fd;
	while ((ret = bind(fd, (struct sockaddr *)&address, sizeof(address))) && errno == EBUSY &&
	       may_pass(errno, &tries))
		;
	if (ret) {
		ret = -errno;
		close(fd);
		return ret;
	}
	*opened = (struct xsk_opened){
		.zerocopy = !getsockopt(fd, SOL_XDP, XDP_OPTIONS, &options, &len) &&
			    options.flags & XDP_OPTIONS_ZEROCOPY,
	};
	if (rings_can_be_mapped(fd))
		return fd;
	/* It can be had, so now one for somebody else to bind. */
	close(fd);
	opened->unbound = true;
	opened->bind_flags =
		XDP_USE_NEED_WAKEUP | (opened->zerocopy ? XDP_ZEROCOPY : (unsigned)XDP_COPY);
	tries = BUSY_MS / PAUSE_MS;
	do
		fd = make_socket(memory);
	while (fd < 0 && may_pass(-fd, &tries));
	return fd;
}
