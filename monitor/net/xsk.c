/* SPDX-License-Identifier: Apache-2.0 */
/* xsk.c: see xsk.h. Rules: Linux, Documentation/networking/af_xdp.rst. */
#include <errno.h>
#include <linux/if_xdp.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xdp/xsk.h>

#include "../../noxs/net.h"
#include "xsk.h"

#ifndef SOL_XDP
#define SOL_XDP 283
#endif

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

int xsk_open(const char *ifname, unsigned queue, enum net_copy copy,
	     const struct xsk_memory *memory, bool *zerocopy)
{
	const struct xsk_umem_config umem_config = {
		.fill_size = memory->entries,
		.comp_size = memory->entries,
		.frame_size = NOXS_NET_FRAME_BYTES,
	};
	const struct xsk_socket_config config = {
		.rx_size = memory->entries,
		.tx_size = memory->entries,
		.libxdp_flags = XSK_LIBXDP_FLAGS__INHIBIT_PROG_LOAD,
		.bind_flags =
			(uint16_t)(XDP_USE_NEED_WAKEUP | (copy == NET_COPY_COPY   ? XDP_COPY
							  : copy == NET_COPY_ZERO ? XDP_ZEROCOPY
										  : 0)),
	};
	/* What libxdp knows of the rings is not used here, but has to outlive the socket. */
	struct xsk_ring_prod fill, tx;
	struct xsk_ring_cons comp, rx;
	struct xdp_options options;
	socklen_t len = sizeof(options);
	struct xsk_socket *socket;
	struct xsk_umem *umem;
	int fd, ret;

	ret = xsk_umem__create(&umem, memory->buffers, memory->bytes, &fill, &comp, &umem_config);
	if (ret)
		return ret;
	ret = xsk_socket__create(&socket, ifname, queue, umem, &rx, &tx, &config);
	if (ret) {
		xsk_umem__delete(umem);
		return ret;
	}
	/* A duplicate, for libxdp's own goes with its structures. */
	fd = dup(xsk_socket__fd(socket));
	ret = fd < 0 ? -errno : 0;
	xsk_socket__delete(socket);
	xsk_umem__delete(umem);
	if (ret)
		return ret;
	*zerocopy = !getsockopt(fd, SOL_XDP, XDP_OPTIONS, &options, &len) &&
		    options.flags & XDP_OPTIONS_ZEROCOPY;
	return fd;
}
