/* SPDX-License-Identifier: Apache-2.0 */
/* image_job.c: see image_job.h. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "image_file.h"
#include "image_job.h"
#include "limits.h"
#include "loop.h"
#include "program.h"
#include "text.h"

#define PROGRAM     "mayfly-image"
#define CPU_SECONDS 60
#define WALL_NS     300000000000ull
#define STACK_BYTES 65536
/* Its own, and three times the file: read, laid out, rewritten. */
#define MEMORY_BYTES (1ull << 30)

enum { JOB_FD_IN = 3, JOB_FD_OUT };

struct image_job {
	struct loop *loop;
	image_job_done *done;
	void *arg;
	pid_t pid;
	int pidfd, out, errors;
	uint64_t deadline;
	bool late;
};

/* What the new process needs; it shares our memory until it has executed. */
struct launch {
	char path[PATH_MAX + 64];
	char *argv[12];
	int in, out, errors;
	uint64_t memory_bytes;
	int error; /* errno of what failed */
};

static void limit(int what, rlim_t most)
{
	struct rlimit old, value = {most, most};

	if (!getrlimit(what, &old) && old.rlim_max < most)
		value = (struct rlimit){old.rlim_max, old.rlim_max};
	setrlimit(what, &value);
}

/* In the new process, on a stack of its own: system calls only. */
static int child(void *arg)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[2] = {{0}, {0}};
	struct launch *l = arg;
	char *envp[] = {NULL};
	int null = open("/dev/null", O_RDWR), fd[2];
	sigset_t empty;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	/* Out of the way first: one may have the number that another is to get. */
	fd[0] = fcntl(l->in, F_DUPFD, JOB_FD_OUT + 1);
	fd[1] = fcntl(l->out, F_DUPFD, JOB_FD_OUT + 1);
	if (null < 0 || fd[0] < 0 || fd[1] < 0 || dup2(null, STDIN_FILENO) < 0 ||
	    dup2(null, STDOUT_FILENO) < 0 || dup2(l->errors, STDERR_FILENO) < 0 ||
	    dup2(fd[0], JOB_FD_IN) < 0 || dup2(fd[1], JOB_FD_OUT) < 0)
		goto failed;
	close_range(JOB_FD_OUT + 1, ~0u, 0);
	limit(RLIMIT_CPU, CPU_SECONDS);
	limit(RLIMIT_AS, l->memory_bytes);
	limit(RLIMIT_FSIZE, l->memory_bytes);
	limit(RLIMIT_CORE, 0);
	limit(RLIMIT_NOFILE, 64);
	/* What root's files are protected by stays; what root may do beyond goes. */
	syscall(SYS_capset, &head, none);
	signal(SIGPIPE, SIG_DFL);
	signal(SIGXFSZ, SIG_IGN); /* a file that grows too large is to be an error */
	sigemptyset(&empty);
	sigprocmask(SIG_SETMASK, &empty, NULL);
	execve(l->path, l->argv, envp);
failed:
	l->error = errno;
	_exit(ERR_EXIT_SELF);
}

/* clone(2) as vfork(2) does it, with a pidfd: copying a large daemon's page tables takes
 * longer than all the rest. */
static int spawn(struct image_job *job, struct launch *l)
{
	char *stack = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
	sigset_t all, old;

	if (stack == MAP_FAILED)
		return -errno;
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &old);
	job->pid = clone(child, stack + STACK_BYTES, CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD,
			 l, &job->pidfd);
	if (job->pid < 0)
		l->error = errno;
	sigprocmask(SIG_SETMASK, &old, NULL);
	munmap(stack, STACK_BYTES);
	if (job->pid > 0 && l->error) {
		waitpid(job->pid, NULL, 0);
		close(job->pidfd);
	}
	return -l->error;
}

static void job_free(struct image_job *job)
{
	loop_cancel(job->loop, job->deadline);
	if (job->pidfd >= 0) {
		loop_change(job->loop, job->pidfd, 0);
		close(job->pidfd);
	}
	if (job->out >= 0)
		close(job->out);
	if (job->errors >= 0)
		close(job->errors);
	free(job);
}

/* What it wrote on stderr is the message, without our name before it and the newline. */
static void read_errors(const struct image_job *job, const char *otherwise, struct err *err)
{
	static const char prefix[] = "mayfly: ";
	char text[sizeof(err->message)];
	ssize_t n = pread(job->errors, text, sizeof(text) - 1, 0);
	char *begin = text;

	n = n > 0 ? (ssize_t)text_clean(text, (size_t)n) : 0;
	while (n > 0 && text[n - 1] == '\n')
		n--;
	text[n] = 0;
	if (!strncmp(begin, prefix, sizeof(prefix) - 1))
		begin += sizeof(prefix) - 1;
	err_set(err, 0, "%s", *begin ? begin : otherwise);
}

/* 0, or -errno and a message. */
static int judge(const struct image_job *job, int status, struct err *err)
{
	char text[80];

	if (WIFEXITED(status) && !WEXITSTATUS(status))
		return 0;
	if (WIFEXITED(status)) {
		read_errors(job, "the image cannot be prepared", err);
		err->exit = WEXITSTATUS(status);
		return -ENOEXEC;
	}
	if (job->late || WTERMSIG(status) == SIGXCPU)
		return err_set_exit(err, ERR_EXIT_IMAGE, 0,
				    "the image takes too long to prepare (%d s of CPU time)",
				    CPU_SECONDS);
	snprintf(text, sizeof(text), PROGRAM " was ended by signal %d", WTERMSIG(status));
	read_errors(job, text, err);
	err->exit = ERR_EXIT_SELF;
	return -EIO;
}

/* The same file, not to be written any more: a VM's process gets this descriptor. */
static int read_only(int fd)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, O_RDONLY | O_CLOEXEC);
}

static void ended(void *arg, uint32_t events)
{
	struct image_job *job = arg;
	image_job_done *done = job->done;
	void *done_arg = job->arg;
	struct err err = {0};
	int status, fd = -1;

	(void)events;
	if (waitpid(job->pid, &status, WNOHANG) != job->pid)
		return;
	if (!judge(job, status, &err)) {
		fd = read_only(job->out);
		if (fd < 0)
			err_set(&err, errno, "cannot open the prepared image");
		else if (!image_file_is_prepared(fd)) {
			close(fd);
			fd = -1;
			err_set(&err, 0,
				PROGRAM " is not of this daemon's version; install "
					"mayfly again");
		}
	}
	job_free(job);
	done(done_arg, fd, &err);
}

static void is_late(void *arg)
{
	struct image_job *job = arg;

	job->late = true;
	syscall(SYS_pidfd_send_signal, job->pidfd, SIGKILL, NULL, 0);
}

static int open_files(struct image_job *job, int run_dir_fd, struct err *err)
{
	job->out = openat(run_dir_fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (job->out < 0)
		return err_set(err, errno, "cannot make a file for the prepared image");
	job->errors = memfd_create("mayfly-image", MFD_CLOEXEC);
	if (job->errors < 0)
		return err_set(err, errno, "cannot make a file for messages");
	return 0;
}

struct image_job *image_job_start(struct loop *loop, const char *run_dir, int run_dir_fd,
				  int elf_fd, const char *path, image_job_done *done, void *arg,
				  struct err *err)
{
	struct image_job *job = malloc(sizeof(*job));
	struct launch l = {.in = elf_fd, .memory_bytes = MEMORY_BYTES};
	struct stat st;
	size_t n;
	int ret;

	if (!job) {
		err_set(err, ENOMEM, "cannot prepare the image %s", path);
		return NULL;
	}
	*job = (struct image_job){
		.loop = loop, .done = done, .arg = arg, .pidfd = -1, .out = -1, .errors = -1};
	ret = open_files(job, run_dir_fd, err);
	if (!ret)
		ret = program_path(PROGRAM, l.path, sizeof(l.path), err);
	if (ret)
		goto failed;
	memcpy(l.argv,
	       (char *[]){(char *)PROGRAM, (char *)"prepare", (char *)"--in-fd", (char *)"3",
			  (char *)"--out-fd", (char *)"4", (char *)"--cache", (char *)run_dir,
			  (char *)"--", (char *)path, NULL},
	       11 * sizeof(char *));
	if (!fstat(elf_fd, &st) && st.st_size > 0)
		l.memory_bytes += 3 * (uint64_t)st.st_size;
	l.out = job->out;
	l.errors = job->errors;
	ret = spawn(job, &l);
	if (ret) {
		job->pidfd = -1;
		err_set(err, -ret, "cannot run %s", l.path);
		goto failed;
	}
	job->deadline = loop_after(loop, WALL_NS, is_late, job);
	ret = loop_watch(loop, job->pidfd, EPOLLIN, ended, job);
	if (!ret)
		return job;
	err_set(err, -ret, "cannot wait for %s", l.path);
	image_job_cancel(job);
	return NULL;
failed:
	n = strlen(err->message);
	limits_explain(ret, err->message + n, sizeof(err->message) - n);
	job_free(job);
	return NULL;
}

void image_job_cancel(struct image_job *job)
{
	syscall(SYS_pidfd_send_signal, job->pidfd, SIGKILL, NULL, 0);
	waitpid(job->pid, NULL, 0);
	job_free(job);
}
