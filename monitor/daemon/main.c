/* SPDX-License-Identifier: Apache-2.0 */
/* main.c: mayfly-daemon, which is what `mayfly daemon` executes: puts the parts together. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "http.h"
#include "limits.h"
#include "loop.h"
#include "privilege.h"
#include "rundir.h"
#include "runsock.h"
#include "settings.h"
#include "sockets.h"

/* For replies that are on their way when the last VM has gone. */
#define LAST_WORDS_NS 200000000ull

struct server {
	struct loop *loop;
	struct engine *engine;
	struct http *http;
	struct runsock *run;
	struct sockets sockets;
	int signals;
	bool ending;
};

static int fail(const struct err *err)
{
	fprintf(stderr, "mayfly daemon: %s\n", err->message);
	return err->exit ? err->exit : ERR_EXIT_SELF;
}

/* A closed stream's number must not become a socket's. */
static void hold_streams(void)
{
	for (int fd = 0; fd < 3; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd)
			_exit(ERR_EXIT_SELF);
}

static void stop(void *arg)
{
	struct server *s = arg;

	loop_stop(s->loop);
}

static void all_ended(void *arg)
{
	struct server *s = arg;

	if (!loop_after(s->loop, LAST_WORDS_NS, stop, s))
		loop_stop(s->loop);
}

static void signalled(void *arg, uint32_t events)
{
	struct server *s = arg;
	struct signalfd_siginfo info;

	(void)events;
	if (read(s->signals, &info, sizeof(info)) != sizeof(info))
		return;
	if (s->ending) {
		/* A second one: without waiting for replies. */
		loop_stop(s->loop);
		return;
	}
	s->ending = true;
	sd_notify(0, "STOPPING=1");
	engine_end_all(s->engine, all_ended, s);
}

static int take_signals(struct server *s, struct err *err)
{
	sigset_t ends;
	int ret;

	signal(SIGPIPE, SIG_IGN);
	signal(SIGIO, SIG_IGN); /* a shell without a uid of its own could send it */
	sigemptyset(&ends);
	sigaddset(&ends, SIGTERM);
	sigaddset(&ends, SIGINT);
	sigaddset(&ends, SIGHUP);
	sigprocmask(SIG_BLOCK, &ends, NULL);
	s->signals = signalfd(-1, &ends, SFD_CLOEXEC | SFD_NONBLOCK);
	if (s->signals < 0)
		return err_set(err, errno, "cannot take signals");
	ret = loop_watch(s->loop, s->signals, EPOLLIN, signalled, s);
	return ret ? err_set(err, -ret, "cannot watch for signals") : 0;
}

static int serve(struct server *s, struct err *err)
{
	s->http = http_open(s->loop, s->engine, s->sockets.http, err);
	if (!s->http)
		return -EIO;
	s->run = runsock_open(s->loop, s->engine, s->sockets.run, err);
	return s->run ? 0 : -EIO;
}

static void say_ready(const struct server *s, const struct settings *settings)
{
	if (!settings->engine.jail)
		fputs("mayfly daemon: WARNING: --no-jail: VMs' processes are not locked in. A "
		      "program that breaks out of its VM has this user's rights\n",
		      stderr);
	fprintf(stderr, "mayfly daemon: ready on %s\n", s->sockets.path);
	sd_notifyf(0, "READY=1\nSTATUS=ready on %s", s->sockets.path);
}

static int run(struct server *s, const struct settings *settings, struct err *err)
{
	char path[4096];
	int ret;

	s->loop = loop_new();
	if (!s->loop)
		return err_set(err, errno, "cannot make the event loop");
	ret = rundir_enter(settings->engine.run_dir, err);
	if (ret)
		return ret;
	snprintf(path, sizeof(path), "%s/mayfly.sock", settings->engine.run_dir);
	if ((ret = sockets_open(&s->sockets, settings->socket ? settings->socket : path, err)) ||
	    (ret = take_signals(s, err)))
		return ret;
	ret = privilege_reduce(err);
	if (ret)
		return ret;
	s->engine = engine_open(s->loop, &settings->engine, err);
	if (!s->engine)
		return -EIO;
	ret = serve(s, err);
	if (ret)
		return ret;
	say_ready(s, settings);
	ret = loop_run(s->loop);
	return ret ? err_set(err, -ret, "cannot wait for events") : 0;
}

int main(int argc, char **argv)
{
	struct server s = {0};
	struct settings settings;
	struct err err = {0};
	int ret;

	hold_streams();
	umask(077);
	if (settings_parse(&settings, argc, argv, &err))
		return fail(&err);
	if (settings.help) {
		fputs(settings_help, stdout);
		return 0;
	}
	limits_raise_files();
	ret = run(&s, &settings, &err);
	if (s.run)
		runsock_close(s.run);
	if (s.http)
		http_close(s.http);
	if (s.engine)
		engine_close(s.engine);
	sockets_remove(&s.sockets);
	if (s.loop)
		loop_free(s.loop);
	return ret ? fail(&err) : 0;
}
