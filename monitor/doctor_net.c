/* SPDX-License-Identifier: Apache-2.0 */
/*
 * doctor_net.c: what network devices and the jail are made of; see doctor.h. Programs
 * without a network run where all of it is missing.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <linux/capability.h>
#include <linux/magic.h>
#include <linux/seccomp.h>

#include "doctor.h"

#ifndef AF_XDP
#define AF_XDP 44
#endif

/* Is the capability in the effective set? capget(2) has no wrapper in libc. */
static bool capable(unsigned cap)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {0};

	if (syscall(SYS_capget, &header, data))
		return false;
	return data[cap / 32].effective >> (cap % 32) & 1;
}

static void check_capability(struct doctor *d)
{
	if (capable(CAP_NET_ADMIN)) {
		doctor_add(d, "net-admin", CHECK_OK, "CAP_NET_ADMIN is there");
		return;
	}
	doctor_add(d, "net-admin", CHECK_WARN, "no CAP_NET_ADMIN: no network device can be made");
	doctor_fix(d, "run as root, or give the container --cap-add NET_ADMIN");
}

static void check_tun(struct doctor *d)
{
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

	if (fd >= 0) {
		doctor_add(d, "net-tap", CHECK_OK, "/dev/net/tun opens");
		close(fd);
		return;
	}
	doctor_add(d, "net-tap", CHECK_WARN, "/dev/net/tun: %s", strerror(errno));
	if (errno == ENOENT || errno == ENODEV || errno == ENXIO)
		doctor_fix(d, "as root: modprobe tun; for a container: --device /dev/net/tun");
	else
		doctor_fix(d, "for a container: --device /dev/net/tun");
}

static void check_xdp(struct doctor *d)
{
	int fd = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0);
	int error = errno;
	struct statfs fs;

	if (fd >= 0) {
		doctor_add(d, "net-xdp", CHECK_OK, "AF_XDP sockets can be made");
		close(fd);
	} else if (error == EPERM) {
		doctor_add(d, "net-xdp", CHECK_WARN, "AF_XDP: %s; TAP is used", strerror(error));
		doctor_fix(d, "run as root, or give the container --cap-add NET_RAW --cap-add BPF");
	} else {
		doctor_add(d, "net-xdp", CHECK_WARN, "AF_XDP: %s; TAP is used", strerror(error));
		doctor_fix(d, "use a kernel with CONFIG_XDP_SOCKETS");
	}

	if (!statfs("/sys/fs/bpf", &fs) && (uint32_t)fs.f_type == BPF_FS_MAGIC) {
		doctor_add(d, "net-bpffs", CHECK_OK, "/sys/fs/bpf is mounted");
		return;
	}
	doctor_add(d, "net-bpffs", CHECK_WARN,
		   "/sys/fs/bpf is not mounted: one XDP program an "
		   "interface, without libxdp's dispatcher");
	doctor_fix(d, "as root: mount -t bpf bpf /sys/fs/bpf");
}

static void check_seccomp(struct doctor *d)
{
	uint32_t action = SECCOMP_RET_KILL_PROCESS;

	if (!syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action)) {
		doctor_add(d, "seccomp", CHECK_OK, "filters can be loaded");
		return;
	}
	doctor_add(d, "seccomp", CHECK_WARN, "no filters: %s", strerror(errno));
	doctor_fix(d, "use a kernel with CONFIG_SECCOMP_FILTER (Linux 4.14 or newer)");
}

void doctor_net_checks(struct doctor *d)
{
	check_capability(d);
	check_tun(d);
	check_xdp(d);
	check_seccomp(d);
}
