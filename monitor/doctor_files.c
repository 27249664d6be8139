/* SPDX-License-Identifier: Apache-2.0 */
/* doctor_files.c: what stands beside the executable, and the run directory; see doctor.h. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "doctor.h"
#include "end.h"
#include "host.h"

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
			d,
			"run a program once, for then it is tried out; if it stays so, PID 1 here "
			"does not reap orphans: docker run --init");
	}
	if (fd >= 0)
		close(fd);
}

void doctor_file_checks(struct doctor *d)
{
	check_helper(d, "helper-image", "mayfly-image", true, "no image can be prepared");
	check_helper(d, "helper-backtrace", "mayfly-backtrace", false,
		     "crashes are reported without function names");
	check_helper(d, "helper-net", "mayfly-net", false,
		     "no bridge, and no AF_XDP; --net user and tap work");
	check_run_dir(d);
}
