/* SPDX-License-Identifier: Apache-2.0 */
/*
 * doctor_net.c: what network devices and the jail are made of; see doctor.h. Programs
 * without a network run where all of it is missing.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/bpf.h>
#include <linux/capability.h>
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

/* ---- user: no privilege, but a program ---- */

/* As posix_spawnp looks for it. False: it is in none of $PATH's directories. */
static bool find_program(const char *name, char *path, size_t size)
{
	const char *dir = getenv("PATH");

	for (size_t n; dir && *dir; dir += n + (dir[n] == ':')) {
		n = strcspn(dir, ":");
		if ((size_t)snprintf(path, size, "%.*s/%s", (int)n, n ? dir : ".", name) < size &&
		    !access(path, X_OK))
			return true;
	}
	return false;
}

static void check_user(struct doctor *d)
{
	char path[200], most[32];

	if (!find_program("passt", path, sizeof(path))) {
		doctor_add(d, "net-user", CHECK_WARN,
			   "passt is not in PATH: --net user and -p cannot be had");
		doctor_fix(d, "as root: apt install passt");
	} else if (doctor_read("/proc/sys/user/max_user_namespaces", most, sizeof(most)) &&
		   !strcmp(most, "0")) {
		doctor_add(d, "net-user", CHECK_WARN,
			   "%s is there, but isolates itself by a user namespace, and none is "
			   "allowed",
			   path);
		doctor_fix(d, "as root: sysctl user.max_user_namespaces=10000");
	} else {
		doctor_add(d, "net-user", CHECK_OK, "%s: --net user and -p, without privileges",
			   path);
	}
}

/* ---- taps and bridges ---- */

static void check_admin(struct doctor *d)
{
	if (capable(CAP_NET_ADMIN)) {
		doctor_add(d, "net-admin", CHECK_OK,
			   "CAP_NET_ADMIN is there: taps and bridges can be made and used");
		return;
	}
	doctor_add(d, "net-admin", CHECK_WARN,
		   "no CAP_NET_ADMIN: of taps and interfaces, only taps that belong to this user "
		   "can be had; --net user needs none");
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
	doctor_add(d, "net-tap", CHECK_WARN, "/dev/net/tun: %s: --net tap cannot be had",
		   strerror(errno));
	if (errno == ENOENT || errno == ENODEV || errno == ENXIO)
		doctor_fix(d, "as root: modprobe tun; for a container: --device /dev/net/tun");
	else
		doctor_fix(d, "for a container: --device /dev/net/tun");
}

/* ---- AF_XDP ---- */

/* What an XDP program takes, of privileges and of the kernel: loads one that passes all on, and
 * lets go of it. 0 or an errno. */
static int load_xdp(void)
{
	const struct bpf_insn program[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = XDP_PASS},
		{.code = BPF_JMP | BPF_EXIT},
	};
	union bpf_attr attr = {
		.prog_type = BPF_PROG_TYPE_XDP,
		.insns = (uintptr_t)program,
		.insn_cnt = sizeof(program) / sizeof(program[0]),
		.license = (uintptr_t) "GPL",
	};
	long fd = syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr));

	if (fd < 0)
		return errno;
	close((int)fd);
	return 0;
}

static void check_xdp(struct doctor *d)
{
	static const char name[] = "net-xdp";
	int fd = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0);
	int error = fd < 0 ? errno : 0;
	const char *what = "an AF_XDP socket";

	if (fd >= 0) {
		close(fd);
		error = load_xdp();
		what = "an XDP program";
	}
	if (!error && capable(CAP_NET_ADMIN)) {
		doctor_add(d, name, CHECK_OK,
			   "AF_XDP sockets and XDP programs can be had: --net xdp=IFACE");
	} else if (!error || error == EPERM || error == EACCES) {
		doctor_add(d, name, CHECK_WARN, "no right to %s: --net xdp cannot be had",
			   error ? what : "interfaces");
		doctor_fix(d, "run as root, or give the container --cap-add NET_ADMIN --cap-add "
			      "NET_RAW --cap-add BPF; without, use --net user");
	} else {
		doctor_add(d, name, CHECK_WARN, "%s: %s: --net xdp cannot be had", what,
			   strerror(error));
		doctor_fix(d, "use a kernel with CONFIG_XDP_SOCKETS and CONFIG_BPF_SYSCALL, or "
			      "--net tap");
	}
}

/* A VM's own veth or macvlan stands in a network namespace made for it. */
static void check_shared(struct doctor *d)
{
	if (capable(CAP_SYS_ADMIN)) {
		doctor_add(d, "net-xdp-shared", CHECK_OK,
			   "CAP_SYS_ADMIN is there, for AF_XDP on a bridge or with share");
		return;
	}
	doctor_add(d, "net-xdp-shared", CHECK_WARN,
		   "no CAP_SYS_ADMIN: AF_XDP on a bridge, or with share, cannot be had");
	doctor_fix(d, "run as root, or give the container --cap-add SYS_ADMIN; or use --net "
		      "tap,bridge=BRIDGE");
}

/* ---- the jail ---- */

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
	check_user(d);
	check_admin(d);
	check_tun(d);
	check_xdp(d);
	check_shared(d);
	check_seccomp(d);
}
