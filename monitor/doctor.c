/* SPDX-License-Identifier: Apache-2.0 */
/*
 * doctor.c: what `mayfly run` needs of a machine; see doctor.h.
 *
 * The checks use the functions that a run uses, so that they cannot pass where it would
 * fail. Only what is cached is asked anew: it may not be true any more.
 */
#define _GNU_SOURCE
#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/kvm.h>

#include "doctor.h"
#include "end.h"
#include "host.h"

/* ---- /dev/kvm ---- */

enum cpu_virt { CPU_NONE, CPU_VMX, CPU_SVM };

static enum cpu_virt cpu_virt(void)
{
	unsigned a, b, c, d;

	if (__get_cpuid(1, &a, &b, &c, &d) && (c & 1u << 5))
		return CPU_VMX;
	if (__get_cpuid(0x80000001, &a, &b, &c, &d) && (c & 1u << 2))
		return CPU_SVM;
	return CPU_NONE;
}

static void fix_no_driver(struct doctor *d)
{
	char dev[16];

	if (doctor_read("/sys/class/misc/kvm/dev", dev, sizeof(dev)))
		doctor_fix(d,
			   "the kernel has KVM (%s) but this container has no device for it: "
			   "start it with --device /dev/kvm",
			   dev);
	else if (cpu_virt() == CPU_VMX)
		doctor_fix(d, "as root: modprobe kvm_intel");
	else if (cpu_virt() == CPU_SVM)
		doctor_fix(d, "as root: modprobe kvm_amd");
	else
		doctor_fix(d, "this CPU shows no VT-x or AMD-V: switch it on in the firmware, use "
			      "a cloud machine with nested virtualization, or a kernel with "
			      "KVM-PVM (modprobe kvm_pvm)");
}

static void fix_permission(struct doctor *d, const struct stat *st)
{
	const struct group *group = getgrgid(st->st_gid);
	const struct passwd *user = getpwuid(geteuid());

	if ((st->st_mode & 060) == 060 && st->st_gid)
		doctor_fix(d,
			   "as root: usermod -aG %s %s, then log in again; for a container: "
			   "--group-add %u",
			   group ? group->gr_name : "kvm", user ? user->pw_name : "USER",
			   (unsigned)st->st_gid);
	else
		doctor_fix(d,
			   "as root: chgrp kvm /dev/kvm && chmod 660 /dev/kvm && usermod -aG kvm "
			   "%s, then log in again",
			   user ? user->pw_name : "USER");
}

/* The open /dev/kvm, or -1. */
static int check_device(struct doctor *d)
{
	static const char name[] = "kvm-device";
	struct stat st;
	int fd;

	if (stat("/dev/kvm", &st)) {
		doctor_add(d, name, CHECK_FAIL, "/dev/kvm: %s", strerror(errno));
		fix_no_driver(d);
		return -1;
	}
	if (!S_ISCHR(st.st_mode)) {
		doctor_add(d, name, CHECK_FAIL, "/dev/kvm is not a device");
		doctor_fix(d, "as root: rm /dev/kvm && mknod /dev/kvm c 10 232");
		return -1;
	}
	fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (fd >= 0) {
		doctor_add(d, name, CHECK_OK, "/dev/kvm opens (mode %03o)", st.st_mode & 0777);
		return fd;
	}
	doctor_add(d, name, CHECK_FAIL, "/dev/kvm is there but does not open: %s", strerror(errno));
	if (errno == EACCES)
		fix_permission(d, &st);
	else if (errno == EPERM)
		doctor_fix(d, "a device cgroup forbids it: start the container with --device "
			      "/dev/kvm, the service with DeviceAllow=/dev/kvm rw");
	else
		fix_no_driver(d);
	return -1;
}

static bool check_api(struct doctor *d, int kvm)
{
	int version = ioctl(kvm, KVM_GET_API_VERSION, 0);

	doctor_add(d, "kvm-api", version == KVM_API_VERSION ? CHECK_OK : CHECK_FAIL, "version %d",
		   version);
	if (version == KVM_API_VERSION)
		return true;
	doctor_fix(d,
		   "mayfly needs version %d: this /dev/kvm is not Linux' KVM, which is device "
		   "10:232; as root: rm /dev/kvm && mknod /dev/kvm c 10 232",
		   KVM_API_VERSION);
	return false;
}

static void check_kind(struct doctor *d)
{
	const enum cpu_virt cpu = cpu_virt();
	unsigned a, b, c, x;
	const char *where = __get_cpuid(1, &a, &b, &c, &x) && c >> 31
				? "in a virtual machine (nested)"
				: "on the bare machine";

	if (cpu == CPU_VMX && !access("/sys/module/kvm_intel", F_OK)) {
		doctor_add(d, "kvm-kind", CHECK_OK, "VT-x %s", where);
	} else if (cpu == CPU_SVM && !access("/sys/module/kvm_amd", F_OK)) {
		doctor_add(d, "kvm-kind", CHECK_OK, "AMD-V %s", where);
	} else if (!access("/sys/module/kvm_pvm", F_OK)) {
		doctor_add(d, "kvm-kind", CHECK_OK,
			   "PVM: no hardware virtualization needed; programs compute at native "
			   "speed, changes of their mappings cost more");
	} else {
		doctor_add(d, "kvm-kind", CHECK_WARN,
			   "unknown: %s, and none of kvm_intel, kvm_amd, "
			   "kvm_pvm is in /sys/module",
			   cpu == CPU_NONE ? "the CPU shows no VT-x or AMD-V" : "the CPU can");
		doctor_fix(d, "none may be needed: see what vm-run below says");
	}
}

static bool check_capabilities(struct doctor *d, int kvm)
{
	static const struct {
		int cap;
		int least; /* a mask for SYNC_REGS, a number elsewhere */
		bool needed;
		const char *name;
	} caps[] = {
	    {KVM_CAP_USER_MEMORY, 1, true, "USER_MEMORY"},
	    {KVM_CAP_SYNC_REGS, KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS, true, "SYNC_REGS"},
	    {KVM_CAP_IMMEDIATE_EXIT, 1, true, "IMMEDIATE_EXIT"},
	    {KVM_CAP_EXT_CPUID, 1, true, "EXT_CPUID"},
	    {KVM_CAP_XCRS, 1, true, "XCRS"},
	    {KVM_CAP_GET_TSC_KHZ, 1, true, "GET_TSC_KHZ"},
	    {KVM_CAP_IOEVENTFD, 1, false, "IOEVENTFD"},
	    {KVM_CAP_READONLY_MEM, 1, false, "READONLY_MEM"},
	    {KVM_CAP_NR_MEMSLOTS, 8, false, "NR_MEMSLOTS"},
	};
	char missing[160] = "";
	bool fails = false;

	for (size_t i = 0; i < sizeof(caps) / sizeof(caps[0]); i++) {
		int has = ioctl(kvm, KVM_CHECK_EXTENSION, caps[i].cap);
		bool enough = caps[i].cap == KVM_CAP_SYNC_REGS
				  ? (has & caps[i].least) == caps[i].least
				  : has >= caps[i].least;
		size_t len = strlen(missing);

		if (enough)
			continue;
		fails |= caps[i].needed;
		snprintf(missing + len, sizeof(missing) - len, " %s", caps[i].name);
	}
	if (!missing[0]) {
		doctor_add(d, "kvm-capabilities", CHECK_OK, "all that mayfly uses");
		return true;
	}
	doctor_add(d, "kvm-capabilities", fails ? CHECK_FAIL : CHECK_WARN, "missing:%s", missing);
	doctor_fix(
	    d, fails ? "use a newer kernel (Linux 5.15 has them all)"
		     : "programs run, but not with network or block devices: use a newer kernel");
	return !fails;
}

/* ---- what stands beside the executable, and the run directory ---- */

/* Does it start at all (its shared libraries may be missing)? It has nowhere to write to. */
static bool helper_starts(const char *path)
{
	extern char **environ;
	char *argv[] = {(char *)path, "--help", NULL};
	posix_spawn_file_actions_t actions;
	int status = 0;
	bool started;
	pid_t pid;

	posix_spawn_file_actions_init(&actions);
	for (int fd = 0; fd <= 2; fd++)
		posix_spawn_file_actions_addclose(&actions, fd);
	started = !posix_spawn(&pid, path, &actions, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	if (!started)
		return false;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return false;
	/* 127 is the dynamic linker's. */
	return WIFEXITED(status) && WEXITSTATUS(status) != 127;
}

static void check_helper(struct doctor *d, const char *check, const char *name, bool needed,
			 const char *purpose)
{
	static const char *const places[] = {"%.*s/%s", "%.*s/../libexec/mayfly/%s"};
	const enum check_status bad = needed ? CHECK_FAIL : CHECK_WARN;
	char self[4096], path[4096 + 64];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (n < 0) {
		doctor_add(d, check, bad, "cannot look for it: /proc/self/exe: %s",
			   strerror(errno));
		doctor_fix(d, "as root: mount -t proc proc /proc");
		return;
	}
	self[n] = 0;
	n = strrchr(self, '/') - self;
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		snprintf(path, sizeof(path), places[i], (int)n, self, name);
		if (access(path, X_OK))
			continue;
		if (helper_starts(path)) {
			doctor_add(d, check, CHECK_OK, "%s", path);
			return;
		}
		doctor_add(d, check, bad, "%s is there but does not start", path);
		doctor_fix(d, "see what ldd says is missing: ldd %s", path);
		return;
	}
	doctor_add(d, check, bad, "%s is neither in %.*s nor in its ../libexec/mayfly: %s", name,
		   (int)n, self, purpose);
	doctor_fix(d, "run make, or install mayfly again");
}

static void check_run_dir(struct doctor *d)
{
	static const char name[] = "run-directory";
	const char *path = host_run_dir();
	int fd = host_open_run_dir(), file, error;
	struct stat st;

	if (fd < 0) {
		error = errno;
		if (lstat(path, &st))
			doctor_add(d, name, CHECK_WARN,
				   "%s cannot be made (%s): every start prepares "
				   "its image anew",
				   path, strerror(error));
		else
			doctor_add(d, name, CHECK_WARN,
				   "%s is not used: owner %u, mode %03o; every "
				   "start prepares its image anew",
				   path, (unsigned)st.st_uid, st.st_mode & 0777);
		doctor_fix(d,
			   "make a directory that only you can write into, and say where: mkdir -m "
			   "700 DIR && export MAYFLY_RUN_DIR=DIR");
	} else {
		file = openat(fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
		error = errno;
		fstat(fd, &st);
		if (file >= 0) {
			doctor_add(d, name, CHECK_OK, "%s (owner %u, mode %03o)", path,
				   (unsigned)st.st_uid, st.st_mode & 0777);
			close(file);
		} else {
			doctor_add(d, name, CHECK_WARN,
				   "%s keeps no files (%s): every start prepares "
				   "its image anew",
				   path, strerror(error));
			doctor_fix(d, "give it room on tmpfs, ext4, xfs or btrfs: export "
				      "MAYFLY_RUN_DIR=DIR");
		}
	}

	if (end_orphans_are_reaped(fd)) {
		doctor_add(d, "teardown", CHECK_OK,
			   "asynchronous: nobody waits for a VM's destruction");
	} else {
		doctor_add(d, "teardown", CHECK_WARN,
			   "synchronous: the end of a run waits for the VM's "
			   "destruction, about 0.4 ms");
		doctor_fix(
		    d, "run a program once, for then it is tried out; if it stays so, PID 1 here "
		       "does not reap orphans: docker run --init");
	}
	if (fd >= 0)
		close(fd);
}

void doctor_run_checks(struct doctor *d)
{
	int kvm = check_device(d);

	if (kvm >= 0 && check_api(d, kvm)) {
		check_kind(d);
		if (check_capabilities(d, kvm))
			doctor_vm_checks(d, kvm);
	}
	if (kvm >= 0)
		close(kvm);
	check_helper(d, "helper-image", "mayfly-image", true, "no image can be prepared");
	check_helper(d, "helper-backtrace", "mayfly-backtrace", false,
		     "crashes are reported without function names");
	check_run_dir(d);
}
