/* SPDX-License-Identifier: Apache-2.0 */
/*
 * port.c: a mayfly whose run listens to descriptor 9, as a shell's listens to its socket: for
 * tests of what only a run_port can ask for. Linked with --wrap=run_guest around the real
 * one. A byte is a command:
 *
 *   s suspend    r resume    d shutdown    t SIGTERM    u SIGUSR1    k SIGKILL
 *   c print counters
 *   f close the descriptor that the first net device works on
 *   n SPEC and a newline: the first net device becomes another's, as --net SPEC says: a clone
 *     gets addresses of its own like that
 *
 * Everything it is told goes to stderr as "port: ...".
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../../monitor/net_backend.h"
#include "../../monitor/run.h"

#define PORT 9

int __real_run_guest(struct vm *vm, struct guest *guest, struct console *console,
		     const struct run_options *options, struct run_result *result, struct err *err);
int __wrap_run_guest(struct vm *vm, struct guest *guest, struct console *console,
		     const struct run_options *options, struct run_result *result, struct err *err);

static void print_counters(const struct run *run)
{
	struct run_counters c = run_counters(run);

	fprintf(stderr, "port: exits %" PRIu64 " waits %" PRIu64 " kicks %" PRIu64, c.exits,
		c.waits, c.kicks);
	fprintf(stderr, " doorbells %" PRIu64 " unacknowledged %" PRIu64 "\n", c.doorbells,
		c.unacknowledged);
}

static void close_device(void)
{
	net_lock();
	close(net_devs[0].fd);
	net_unlock();
	fprintf(stderr, "port: closed\n");
}

/* What a spec does not say (name, MTU) stays. */
static void configure(void)
{
	struct noxs_net_config config = net_devs[0].config;
	struct net_spec spec;
	struct err err = {0};
	char text[NET_SPEC_TEXT];
	size_t n = 0;

	/* A line is one write, and less than a pipe cuts in two. */
	while (n < sizeof(text) - 1 && read(PORT, text + n, 1) == 1 && text[n] != '\n')
		n++;
	text[n] = 0;
	if (net_spec_parse(&spec, text, &err)) {
		fprintf(stderr, "port: %s\n", err.message);
		return;
	}
	config.flags = spec.config.flags;
	memcpy(config.mac, spec.config.mac, sizeof(config.mac));
	memcpy(config.address, spec.config.address, sizeof(config.address));
	memcpy(config.gateway, spec.config.gateway, sizeof(config.gateway));
	memcpy(config.dns, spec.config.dns, sizeof(config.dns));
	net_configure(0, &config);
	fprintf(stderr, "port: configured\n");
}

static int ready(void *arg, struct run *run, struct err *err)
{
	char command;
	ssize_t n;

	(void)arg;
	while ((n = read(PORT, &command, 1)) == 1) {
		switch (command) {
		case 's':
		case 'r':
			run_suspend(run, command == 's');
			break;
		case 'd':
			run_shutdown(run);
			break;
		case 't':
			run_signal(run, SIGTERM);
			break;
		case 'u':
			run_signal(run, SIGUSR1);
			break;
		case 'k':
			run_signal(run, SIGKILL);
			break;
		case 'c':
			print_counters(run);
			break;
		case 'f':
			close_device();
			break;
		case 'n':
			configure();
			break;
		}
	}
	return n ? 0 : err_set(err, 0, "the port was closed");
}

static void suspended(void *arg, bool is)
{
	(void)arg;
	fprintf(stderr, "port: %s\n", is ? "suspended" : "running");
}

static void long_running(void *arg)
{
	(void)arg;
	fprintf(stderr, "port: long\n");
}

int __wrap_run_guest(struct vm *vm, struct guest *guest, struct console *console,
		     const struct run_options *options, struct run_result *result, struct err *err)
{
	const struct run_port port = {.fd = PORT, .ready = ready};
	struct run_options more = *options;

	fcntl(PORT, F_SETFL, O_NONBLOCK);
	more.port = &port;
	more.suspended = suspended;
	more.long_running = long_running;
	return __real_run_guest(vm, guest, console, &more, result, err);
}
