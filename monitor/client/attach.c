/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attach.c: see attach.h.
 *
 * Two long requests run side by side: the log, followed, and the wait for the end. Both are
 * under way before the start, so that nothing is missed of a VM that ends at once and is then
 * forgotten (--rm). Signals and input are short requests between them.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "attach.h"
#include "output.h"
#include "verb.h"

#define INPUT_BYTES 32768 /* of one request */
#define RETRY_MS    20    /* when the VM's program does not read */
#define ANSWER_MS   5000  /* for what is answered at once */
#define WAIT_MS     60000 /* until something happens */
#define SENT_TRIES  100

struct attach {
	struct daemon *d; /* short requests */
	const char *vm;
	CURLM *multi;
	struct call *log, *wait; /* NULL: done */
	struct output output;
	json_t *end;
	int signals; /* signalfd */
	bool input;  /* there is more */
	bool eof;
	size_t held; /* of what was read, not yet taken */
	char bytes[INPUT_BYTES];
};

/* ---- the two long requests ---- */

static struct call *begin(struct attach *a, const char *method, const char *rest, daemon_line *line,
			  struct err *err)
{
	char *path = daemon_vm_path(a->vm, "%s", rest);
	struct call *c = path ? call_new(a->d, method, path, line, &a->output, err) : NULL;

	if (!path)
		err_set(err, ENOMEM, "cannot attach to %s", a->vm);
	else if (c)
		curl_multi_add_handle(a->multi, call_handle(c));
	free(path);
	return c;
}

static int end_call(struct attach *a, struct call **c, CURLcode code, json_t **reply,
		    struct err *err)
{
	struct call *ended = *c;

	*c = NULL;
	curl_multi_remove_handle(a->multi, call_handle(ended));
	return call_end(ended, code, reply, err);
}

/* What of the two has ended. */
static int collect(struct attach *a, struct err *err)
{
	CURLMsg *msg;
	int left, ret = 0;

	while (!ret && (msg = curl_multi_info_read(a->multi, &left))) {
		if (msg->msg != CURLMSG_DONE)
			continue;
		if (a->wait && msg->easy_handle == call_handle(a->wait))
			ret = end_call(a, &a->wait, msg->data.result, &a->end, err);
		else if (a->log && msg->easy_handle == call_handle(a->log))
			ret = end_call(a, &a->log, msg->data.result, NULL, err);
	}
	return ret;
}

static bool was_sent(struct call *c)
{
	long bytes = 0;

	if (c)
		curl_easy_getinfo(call_handle(c), CURLINFO_REQUEST_SIZE, &bytes);
	return !c || bytes > 0;
}

/* Sends both requests; a third that comes back after them says that the daemon has them. */
static int begin_both(struct attach *a, struct err *err)
{
	int running, ret = 0;

	a->wait = begin(a, "POST", "/wait", NULL, err);
	a->log = a->wait ? begin(a, "GET", "/logs?format=json&follow", output_line, err) : NULL;
	if (!a->log)
		return -ENOMEM;
	for (int i = 0; !ret && i < SENT_TRIES && !(was_sent(a->wait) && was_sent(a->log)); i++) {
		if (curl_multi_perform(a->multi, &running))
			return err_set(err, 0, "cannot attach to %s", a->vm);
		ret = collect(a, err);
		if (!ret)
			curl_multi_poll(a->multi, NULL, 0, 1, NULL);
	}
	return ret ? ret : verb_ask(a->d, "GET", a->vm, "", NULL, err);
}

/* ---- signals and input ---- */

static int open_signals(struct attach *a, struct err *err)
{
	static const int passed[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
	struct sigaction now;
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < sizeof(passed) / sizeof(passed[0]); i++) {
		sigaction(passed[i], NULL, &now);
		/* What the caller ignores (nohup) stays ignored. */
		if (now.sa_handler != SIG_IGN)
			sigaddset(&set, passed[i]);
	}
	sigprocmask(SIG_BLOCK, &set, NULL);
	a->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return a->signals < 0 ? err_set(err, errno, "cannot make a signalfd") : 0;
}

/* A VM that has just ended has no use for it; only silence of the daemon is a failure. */
static int pass_signal(struct attach *a, struct err *err)
{
	struct signalfd_siginfo info;
	char rest[40];
	int ret;

	if (read(a->signals, &info, sizeof(info)) != sizeof(info))
		return 0;
	snprintf(rest, sizeof(rest), "/kill?signal=%u", info.ssi_signo);
	a->d->status = 0;
	ret = verb_ask(a->d, "POST", a->vm, rest, NULL, err);
	return ret && !a->d->status ? ret : 0;
}

static int send_input(struct attach *a, struct err *err)
{
	char *path = daemon_vm_path(a->vm, "/stdin%s", a->eof ? "?eof" : "");
	json_t *reply = NULL;
	int ret, taken = 0, eof = 0;

	if (!path)
		return err_set(err, ENOMEM, "cannot send input");
	a->d->status = 0;
	ret = daemon_call_bytes(a->d, "POST", path, a->bytes, a->held, &reply, err);
	free(path);
	if (ret && !a->d->status)
		return ret;
	if (ret) {
		a->input = false;
		/* 409: it has ended meanwhile. */
		if (a->d->status != 404 && a->d->status != 409)
			verb_fail(err);
		return 0;
	}
	json_unpack(reply, "{s:i, s:b}", "accepted", &taken, "eof", &eof);
	json_decref(reply);
	if (taken < 0 || (size_t)taken > a->held)
		return err_set(err, 0, "the daemon took more input than there was");
	a->held -= (size_t)taken;
	memmove(a->bytes, a->bytes + taken, a->held);
	a->input = !(a->eof && eof);
	return 0;
}

static int pass_input(struct attach *a, struct err *err)
{
	ssize_t n;

	if (!a->held && !a->eof) {
		n = read(STDIN_FILENO, a->bytes, sizeof(a->bytes));
		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			return 0;
		a->eof = n <= 0;
		a->held = n > 0 ? (size_t)n : 0;
	}
	return send_input(a, err);
}

/* ---- */

/* curl_multi_poll tells of input, but not of a pipe's end without any. */
static bool input_is_there(void)
{
	struct pollfd fd = {.fd = STDIN_FILENO, .events = POLLIN};

	return poll(&fd, 1, 0) > 0;
}

static int stay(struct attach *a, struct err *err)
{
	int running, ret = 0;

	while (!ret && (a->wait || a->log)) {
		struct curl_waitfd fds[] = {{.fd = a->signals, .events = CURL_WAIT_POLLIN},
					    {.fd = STDIN_FILENO, .events = CURL_WAIT_POLLIN}};
		/* What was not taken is offered again after a while. */
		bool hold = a->held || a->eof;

		if (curl_multi_perform(a->multi, &running))
			return err_set(err, 0, "the connections to the daemon failed");
		ret = collect(a, err);
		if (ret || !(a->wait || a->log))
			break;
		curl_multi_poll(a->multi, fds, a->input && !hold ? 2 : 1,
				a->input && hold ? RETRY_MS : WAIT_MS, NULL);
		if (fds[0].revents)
			ret = pass_signal(a, err);
		if (!ret && a->wait && a->input && (hold || input_is_there()))
			ret = pass_input(a, err);
	}
	return ret;
}

static int conclude(struct attach *a, int *exit_code, struct err *err)
{
	const char *reason = "", *end = "";

	if (json_unpack(a->end, "{s:i, s?s, s?s}", "exit_code", exit_code, "reason", &reason, "end",
			&end))
		return err_set(err, 0, "the daemon did not say how %s ended", a->vm);
	fflush(stdout);
	if (!strcmp(end, "timeout"))
		fprintf(stderr, "mayfly: %s was ended at its time limit (--timeout)\n", a->vm);
	else if (*reason && strcmp(end, "crashed")) /* of a crash the log has a whole report */
		fprintf(stderr, "mayfly: %s\n", reason);
	return 0;
}

int attach_start(struct daemon *d, const char *vm, bool input, int *exit_code, struct err *err)
{
	static struct attach a;
	int ret;

	a = (struct attach){.d = d, .vm = vm, .input = input, .output.flush = true, .signals = -1};
	a.multi = curl_multi_init();
	if (!a.multi)
		return err_set(err, ENOMEM, "cannot prepare libcurl");
	ret = begin_both(&a, err);
	if (!ret)
		ret = open_signals(&a, err);
	d->timeout_ms = ANSWER_MS;
	if (!ret)
		ret = verb_ask(d, "POST", vm, "/start", NULL, err);
	if (!ret)
		ret = stay(&a, err);
	if (!ret)
		ret = conclude(&a, exit_code, err);
	d->timeout_ms = 0;
	if (a.wait)
		end_call(&a, &a.wait, CURLE_OK, NULL, &(struct err){0});
	if (a.log)
		end_call(&a, &a.log, CURLE_OK, NULL, &(struct err){0});
	json_decref(a.end);
	curl_multi_cleanup(a.multi);
	if (a.signals >= 0)
		close(a.signals);
	return ret;
}
