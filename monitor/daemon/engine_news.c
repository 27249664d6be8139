/* SPDX-License-Identifier: Apache-2.0 */
/* engine_news.c: news is read, its sender made out, and acted upon. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "engine_own.h"
#include "text.h"

#define BATCH        16
#define MAX_OFFENCES 16 /* then it is ended: what breaks the rules so often does it on purpose */

struct inbox {
	struct mmsghdr head[BATCH];
	struct iovec iov[BATCH];
	union {
		struct cmsghdr align;
		/* Room for who sent it and nothing else: descriptors, which nobody is to send,
		 * the kernel drops. */
		char space[CMSG_SPACE(sizeof(struct ucred))];
	} control[BATCH];
	char message[BATCH][WIRE_MAX_BYTES];
};

int news_open(struct engine *e, struct err *err)
{
	/* Pages that no message ever reached take no memory. */
	e->inbox = calloc(1, sizeof(*e->inbox));
	return e->inbox ? 0 : err_set(err, ENOMEM, "no memory for the shells' news");
}

void news_close(struct engine *e)
{
	free(e->inbox);
}

/* ---- who sent it ---- */

static void offence(struct engine *e, struct shell *shell)
{
	e->metrics.news_rejected++;
	if (!shell || shell->offences > MAX_OFFENCES || ++shell->offences <= MAX_OFFENCES)
		return;
	if (shell->record)
		vm_end_failed(e, shell->record,
			      "its process broke the rules of the daemon's protocol: perhaps the "
			      "program has taken it over");
	shell_discard(e, shell);
}

static bool sender_of(struct msghdr *msg, struct ucred *sender)
{
	const struct cmsghdr *c = CMSG_FIRSTHDR(msg);

	if (!c || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_CREDENTIALS ||
	    c->cmsg_len != CMSG_LEN(sizeof(*sender)))
		return false;
	memcpy(sender, CMSG_DATA(c), sizeof(*sender));
	return true;
}

/* ---- what it says ---- */

static void has_failed(struct engine *e, struct shell *shell, const struct news_item *item)
{
	struct err err = {0};

	memcpy(err.message, item->text, item->text_bytes);
	err.message[text_clean(err.message, item->text_bytes)] = 0;
	if (shell->state == SHELL_PREPARING)
		pool_shell_failed(e, shell, &err, item->head.arg < 4096 ? (int)item->head.arg : 0);
	else if (shell->record)
		vm_end_failed(e, shell->record, err.message);
}

static bool append_output(struct record *r, int stream, const void *data, size_t bytes)
{
	char *grown;

	if (!bytes)
		return true;
	if (!r->captures || r->vm.out_bytes[stream] + bytes > r->capture_bytes)
		return false;
	grown = realloc(r->vm.out[stream], r->vm.out_bytes[stream] + bytes);
	if (!grown) {
		r->vm.truncated |= 2u << stream;
		return true;
	}
	memcpy(grown + r->vm.out_bytes[stream], data, bytes);
	r->vm.out[stream] = grown;
	r->vm.out_bytes[stream] += bytes;
	return true;
}

static bool take_output(struct record *r, const struct news_item *item)
{
	return append_output(r, 0, item->bytes[0], item->nbytes[0]) &&
	       append_output(r, 1, item->bytes[1], item->nbytes[1]);
}

/* News of a program that runs. False: it may not say that. */
static bool of_program(struct engine *e, struct record *r, const struct news_item *item)
{
	switch (item->head.type) {
	case NEWS_STARTED:
		if (r->booted)
			return false;
		vm_booted(e, r, item->head.arg);
		return true;
	case NEWS_OUTPUT:
		return take_output(r, item);
	case NEWS_INPUT:
		return input_take_news(e, r, item->head.arg);
	case NEWS_STATE:
		return ask_take_state(e, r, item->head.arg);
	case NEWS_STATS:
		return ask_take_stats(e, r, item);
	case NEWS_EXIT:
		if (!take_output(r, item))
			return false;
		vm_ended_by_news(e, r, item);
		return true;
	}
	return false;
}

static void act_on(struct engine *e, struct shell *shell, const struct news_item *item)
{
	uint32_t type = item->head.type;

	/* What it says on its way out, or of a VM that was removed, is nobody's business. */
	if (shell->state == SHELL_LEAVING || (shell->state == SHELL_TAKEN && !shell->record))
		return;
	if (type == NEWS_FAILED)
		has_failed(e, shell, item);
	else if (type == NEWS_READY && shell->state == SHELL_PREPARING)
		pool_shell_ready(e, shell);
	else if (type == NEWS_READY || shell->state != SHELL_TAKEN ||
		 !of_program(e, shell->record, item))
		offence(e, shell);
}

static void take(struct engine *e, struct msghdr *msg, const void *message, size_t bytes)
{
	struct shell *shell, *culprit = NULL;
	struct news_item item;
	struct ucred sender;

	if (!sender_of(msg, &sender)) {
		e->metrics.news_rejected++;
		return;
	}
	if ((msg->msg_flags & MSG_TRUNC) || news_parse(message, bytes, &item)) {
		shells_sender(&e->shells, 0, &sender, false, &culprit);
		offence(e, culprit);
		return;
	}
	shell = shells_sender(&e->shells, item.head.shell, &sender,
			      item.head.type == NEWS_READY || item.head.type == NEWS_FAILED,
			      &culprit);
	if (shell)
		act_on(e, shell, &item);
	else
		offence(e, culprit);
}

static void clear(struct inbox *in)
{
	for (int i = 0; i < BATCH; i++) {
		in->iov[i] = (struct iovec){in->message[i], sizeof(in->message[i])};
		in->head[i].msg_hdr = (struct msghdr){
			.msg_iov = &in->iov[i],
			.msg_iovlen = 1,
			.msg_control = &in->control[i],
			.msg_controllen = sizeof(in->control[i]),
		};
	}
}

void news_read(struct engine *e, unsigned most)
{
	struct inbox *in = e->inbox;
	int n;

	for (unsigned done = 0; done < most; done += (unsigned)n) {
		clear(in);
		n = recvmmsg(e->zygote.process.news, in->head, BATCH, MSG_DONTWAIT, NULL);
		if (n <= 0)
			return;
		for (int i = 0; i < n; i++)
			take(e, &in->head[i].msg_hdr, in->message[i], in->head[i].msg_len);
		if (n < BATCH)
			return;
	}
}
