/* SPDX-License-Identifier: Apache-2.0 */
/* run_request.c: see run_request.h. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "../net_spec.h"
#include "run_request.h"

#define NAMES 3 /* strings before the arguments: path, working directory, name */

int run_request_head(const void *message, size_t bytes, size_t nfds, struct run_request *head,
		     struct err *err)
{
	size_t inline_bytes, wanted_fds;

	if (bytes < sizeof(head->version))
		return err_set(err, EPROTO, "the request has %zu bytes", bytes);
	/* The version comes first, so that it can be told from a message of any length. */
	memcpy(&head->version, message, sizeof(head->version));
	if (head->version != WIRE_VERSION)
		return err_set(err, EPROTO,
			       "the request is of version %u, the daemon of %u: use the same "
			       "mayfly for both",
			       head->version, WIRE_VERSION);
	if (bytes < sizeof(*head))
		return err_set(err, EPROTO, "the request has %zu bytes", bytes);
	memcpy(head, message, sizeof(*head));
	if (head->flags & ~(uint32_t)(START_STRACE | START_TEXT_FD))
		return err_set(err, EPROTO, "the request has unknown flags 0x%x", head->flags);
	inline_bytes = head->flags & START_TEXT_FD ? 0 : head->text_bytes;
	wanted_fds = RUN_REQUEST_FDS + !!(head->flags & START_TEXT_FD);
	if (bytes - sizeof(*head) != inline_bytes)
		return err_set(err, EPROTO, "the request has %zu bytes and says %zu", bytes,
			       sizeof(*head) + inline_bytes);
	if (nfds != wanted_fds)
		return err_set(err, EPROTO,
			       "the request came with %zu descriptors instead of %zu; is the "
			       "daemon at its limit of open files?",
			       nfds, wanted_fds);
	if (head->text_bytes > RUN_REQUEST_MAX_TEXT)
		return err_set(err, E2BIG, "the request has %u bytes of strings", head->text_bytes);
	if (!head->argc)
		return err_set(err, EPROTO, "the request has no arguments");
	if (head->netc > NOXS_NET_MAX || head->portc > NET_MAX_PORTS)
		return err_set(err, EPROTO, "the request has %u net devices and %u ports",
			       head->netc, head->portc);
	/* Each string takes a byte at least: this bounds what is allocated for them. */
	if (head->argc > head->text_bytes || head->envc > head->text_bytes ||
	    (uint64_t)head->argc + head->envc + head->netc + head->portc + NAMES > head->text_bytes)
		return err_set(err, EPROTO,
			       "the request has %u arguments and %u variables in %u bytes",
			       head->argc, head->envc, head->text_bytes);
	return 0;
}

/* The next string, or NULL: there is none that ends. */
static char *next_string(char **at, const char *end)
{
	char *s = *at, *nul = memchr(s, 0, (size_t)(end - s));

	if (nul)
		*at = nul + 1;
	return nul ? s : NULL;
}

/* n of them, and a NULL, at *list, which is moved behind it. False: so many are not there. */
static bool next_strings(char **at, const char *end, uint32_t n, char ***list)
{
	for (; n; n--)
		if (!(*(*list)++ = next_string(at, end)))
			return false;
	*(*list)++ = NULL;
	return true;
}

int run_request_strings(const struct run_request *head, char *text, struct run_strings *strings,
			struct err *err)
{
	const char *end = text + head->text_bytes;
	char **list;

	list = malloc(((size_t)head->argc + head->envc + head->netc + head->portc + 4) *
		      sizeof(*list));
	if (!list)
		return err_set(err, ENOMEM, "no memory for %u arguments", head->argc);
	strings->path = next_string(&text, end);
	strings->workdir = next_string(&text, end);
	strings->name = next_string(&text, end);
	strings->argv = list;
	strings->envp = strings->argv + head->argc + 1;
	strings->net = strings->envp + head->envc + 1;
	strings->ports = strings->net + head->netc + 1;
	if (strings->path && strings->workdir && strings->name &&
	    next_strings(&text, end, head->argc, &list) &&
	    next_strings(&text, end, head->envc, &list) &&
	    next_strings(&text, end, head->netc, &list) &&
	    next_strings(&text, end, head->portc, &list) && text == end)
		return 0;
	free(strings->argv);
	return err_set(err, EPROTO, "the request's strings do not fill its %u bytes",
		       head->text_bytes);
}

int run_request_signal(const void *message, size_t bytes)
{
	struct run_signal s;

	if (bytes != sizeof(s))
		return -EINVAL;
	memcpy(&s, message, sizeof(s));
	if (s.version != WIRE_VERSION || s.signal < 1 || s.signal >= (uint32_t)NSIG)
		return -EINVAL;
	return (int)s.signal;
}
