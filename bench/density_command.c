/* SPDX-License-Identifier: Apache-2.0 */
/*
 * density_command.c: processes and containers for density.c, by commands.
 *
 * Each program's stdin is a FIFO of its own, which it holds open for writing too, so that its
 * input does not end; all write to one pipe. So nothing here costs us a descriptor for each.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "density.h"
#include "machine.h"
#include "stats.h"
#include "tool.h"

#define MAX_WORDS 64
#define STEP      32
#define QUIET_MS  200
#define ANSWER_MS 10000

static struct {
	struct density_commands of;
	pid_t *pid; /* of those that are not detached */
	int out[2], null;
	unsigned alive;
} command;

/* The command's words, with the number for each @. */
struct words {
	char *argv[MAX_WORDS + 1], text[8192];
};

static void split(struct words *w, const char *command_line, unsigned number)
{
	size_t n = 0, words = 0;

	w->argv[words++] = w->text;
	for (const char *c = command_line; *c; c++) {
		if (n + 16 > sizeof(w->text) || words == MAX_WORDS)
			die(command_line, "is too long");
		if (*c == ' ') {
			w->text[n++] = 0;
			w->argv[words++] = w->text + n;
		} else if (*c == '@') {
			n += (size_t)sprintf(w->text + n, "%u", number);
		} else {
			w->text[n++] = *c;
		}
	}
	w->text[n] = 0;
	w->argv[words] = NULL;
}

static void fifo_path(char *path, size_t size, unsigned i)
{
	snprintf(path, size, "%s/%u", command.of.dir, i);
}

/* Starts the command; fifo is opened for its stdin, if there is one. */
static pid_t spawn(const struct words *w, const char *fifo, int in, int out)
{
	pid_t pid = vfork();

	if (pid == 0) {
		int fd = fifo ? open(fifo, O_RDWR) : in;

		/* Should we be killed, what we have started goes too. */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (fd < 0 || dup2(fd, 0) < 0 || dup2(out, 1) < 0)
			_exit(127);
		if (fifo && fd > 2)
			close(fd);
		execvp(w->argv[0], w->argv);
		_exit(127);
	}
	return pid;
}

/* Waits for a command that is to succeed. */
static void finish(pid_t pid, const char *what)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			die_errno("cannot wait");
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		die(what, "the command failed");
}

static void run(const char *command_line, unsigned i)
{
	struct words w;
	pid_t pid;

	split(&w, command_line, i);
	pid = spawn(&w, NULL, command.null, command.null);
	if (pid < 0)
		die_errno(command_line);
	finish(pid, command_line);
}

/* ---- starting ---- */

static void make_fifo(unsigned i)
{
	char path[4096];

	fifo_path(path, sizeof(path), i);
	if (mkfifo(path, 0600) && errno != EEXIST)
		die_errno(path);
}

static bool start_one(unsigned i)
{
	char path[4096];
	struct words w;
	pid_t pid;

	fifo_path(path, sizeof(path), i);
	split(&w, command.of.start, i);
	pid = spawn(&w, path, -1, command.out[1]);
	if (pid < 0)
		return false;
	if (command.of.detached)
		finish(pid, command.of.start);
	else
		command.pid[i] = pid;
	command.alive++;
	return true;
}

static unsigned grow(unsigned from, unsigned to, bool (*progress)(unsigned), const char **why)
{
	unsigned step = command.of.detached ? 1 : STEP;

	for (unsigned i = from; i < to; i++) {
		make_fifo(i);
		if (!start_one(i)) {
			*why = strerror(errno);
			return i;
		}
		if (i % step == 0 && !progress(i + 1))
			return i + 1;
	}
	return to;
}

static bool rest(void)
{
	return machine_quiet(QUIET_MS);
}

static void start(unsigned i, struct start_sample *sample)
{
	uint64_t from;

	make_fifo(i);
	from = stats_now_ns();
	if (!start_one(i))
		die_errno(command.of.start);
	sample->call_ns = stats_now_ns() - from;
	sample->boot_ns = 0;
}

static uint64_t hello(void)
{
	uint64_t from = stats_now_ns();

	run(command.of.hello, 0);
	return stats_now_ns() - from;
}

/* ---- answering ---- */

/* Reads a line, waiting ANSWER_MS for it at most. */
static bool read_line(int fd, char *line, size_t size)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	size_t n = 0;

	while (n + 1 < size && poll(&p, 1, ANSWER_MS) > 0 && read(fd, line + n, 1) == 1)
		if (line[n++] == '\n')
			break;
	line[n] = 0;
	return n && line[n - 1] == '\n';
}

static bool answer_by_fifo(unsigned i, const char *line, const char *want)
{
	char path[4096], got[64];
	int fd;

	fifo_path(path, sizeof(path), i);
	/* Without a reader there is nobody to answer. */
	fd = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return false;
	if (write(fd, line, strlen(line)) != (ssize_t)strlen(line))
		die_errno(path);
	close(fd);
	return read_line(command.out[0], got, sizeof(got)) && !strcmp(got, want);
}

static bool answer_by_command(unsigned i, const char *line, const char *want)
{
	int in[2], out[2];
	struct words w;
	char got[64];
	pid_t pid;
	bool right;

	if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC))
		die_errno("cannot make pipes");
	split(&w, command.of.ask, i);
	pid = spawn(&w, NULL, in[0], out[1]);
	if (pid < 0)
		die_errno(command.of.ask);
	close(in[0]);
	close(out[1]);
	if (write(in[1], line, strlen(line)) != (ssize_t)strlen(line))
		die_errno(command.of.ask);
	right = read_line(out[0], got, sizeof(got)) && !strcmp(got, want);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(in[1]);
	close(out[0]);
	return right;
}

static unsigned answers(unsigned n, bool (*progress)(unsigned))
{
	unsigned right = 0;

	for (unsigned i = 0; i < n; i++) {
		char line[32], want[64];

		snprintf(line, sizeof(line), "line %u\n", i);
		snprintf(want, sizeof(want), "answer %s", line);
		right += command.of.ask ? answer_by_command(i, line, want)
					: answer_by_fifo(i, line, want);
		if (i % STEP == 0)
			progress(i);
	}
	return right;
}

/* ---- ending ---- */

static void end(unsigned from, unsigned to)
{
	char path[4096];

	for (unsigned i = from; i < to; i++)
		if (command.of.end)
			run(command.of.end, i);
		else
			kill(command.pid[i], SIGKILL);
	for (unsigned i = from; i < to; i++) {
		if (!command.of.end)
			while (waitpid(command.pid[i], NULL, 0) < 0 && errno == EINTR)
				;
		fifo_path(path, sizeof(path), i);
		unlink(path);
		command.alive--;
	}
}

static unsigned left(void)
{
	return machine_children(getpid(), NULL) + command.alive;
}

static uint64_t cpu_ns(void)
{
	uint64_t ns = 0;

	if (!command.of.detached)
		machine_children(getpid(), &ns);
	return ns;
}

const struct kind *density_commands(const struct density_commands *commands, unsigned most)
{
	static struct kind kind = {
		.grow = grow,
		.rest = rest,
		.start = start,
		.end = end,
		.hello = hello,
		.answers = answers,
		.cpu_ns = cpu_ns,
		.left = left,
	};

	command.of = *commands;
	command.pid = tool_alloc(most, sizeof(*command.pid));
	command.null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (command.null < 0 || pipe2(command.out, O_CLOEXEC))
		die_errno("cannot make a pipe");
	if (!commands->hello)
		kind.hello = NULL;
	return &kind;
}
