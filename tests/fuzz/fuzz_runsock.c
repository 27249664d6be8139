/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_runsock.c: any bytes as what a caller of `mayfly run --pool` sends. run_request_head
 * and run_request_strings must refuse them with a message, or give strings that lie in the
 * message one behind the other and fill it; run_request_signal only gives signals there are.
 *
 * The first byte is the number of descriptors that came along. With START_TEXT_FD the strings
 * are what follows the head, as if it had been read from the descriptor.
 */
/* sources: monitor/daemon/run_request.c monitor/err.c */
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../monitor/daemon/run_request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t n, size_t max, unsigned seed);
size_t LLVMFuzzerMutate(uint8_t *data, size_t n, size_t max);

#define MUST(condition)                                                         \
	do {                                                                    \
		if (!(condition)) {                                             \
			fprintf(stderr, "line %d: %s\n", __LINE__, #condition); \
			abort();                                                \
		}                                                               \
	} while (0)

static const char *follows(const char *at, const char *string, const char *end)
{
	MUST(string == at);
	at += strlen(string) + 1; /* the sanitizer looks after its end */
	MUST(at <= end);
	return at;
}

static void check_strings(const struct run_request *head, const char *text,
			  const struct run_strings *s)
{
	const char *at = text, *end = text + head->text_bytes;

	at = follows(at, s->path, end);
	at = follows(at, s->workdir, end);
	at = follows(at, s->name, end);
	for (uint32_t i = 0; i < head->argc; i++)
		at = follows(at, s->argv[i], end);
	MUST(!s->argv[head->argc] && head->argc);
	for (uint32_t i = 0; i < head->envc; i++)
		at = follows(at, s->envp[i], end);
	MUST(!s->envp[head->envc]);
	for (uint32_t i = 0; i < head->netc; i++)
		at = follows(at, s->net[i], end);
	MUST(!s->net[head->netc]);
	for (uint32_t i = 0; i < head->portc; i++)
		at = follows(at, s->ports[i], end);
	MUST(!s->ports[head->portc]);
	MUST(at == end);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct run_strings strings;
	struct run_request head;
	struct err err = {0};
	char *message, *text;
	size_t nfds, text_bytes;
	int sig;

	if (!n)
		return 0;
	nfds = data[0];
	data++;
	n--;
	sig = run_request_signal(data, n);
	MUST(sig < 0 || (sig > 0 && sig < NSIG));
	/* Memory of exactly that size, so that a byte too many is seen. */
	message = malloc(n);
	memcpy(message, data, n);
	text_bytes = n > sizeof(head) ? n - sizeof(head) : 0;
	if (n >= sizeof(head)) {
		memcpy(&head, data, sizeof(head));
		if (head.flags & START_TEXT_FD)
			n = sizeof(head);
	}
	if (run_request_head(message, n, nfds, &head, &err)) {
		MUST(err.message[0]);
		free(message);
		return 0;
	}
	MUST(head.version == WIRE_VERSION && head.text_bytes <= RUN_REQUEST_MAX_TEXT);
	MUST(nfds == (head.flags & START_TEXT_FD ? RUN_REQUEST_FDS + 1 : RUN_REQUEST_FDS));
	if (head.text_bytes > text_bytes) {
		MUST(head.flags & START_TEXT_FD); /* the file is shorter: read_text's to see */
		free(message);
		return 0;
	}
	text = malloc(head.text_bytes);
	memcpy(text, message + sizeof(head), head.text_bytes);
	free(message);
	if (!run_request_strings(&head, text, &strings, &err)) {
		check_strings(&head, text, &strings);
		free(strings.argv);
	} else {
		MUST(err.message[0]);
	}
	free(text);
	return 0;
}

/* Random bytes hardly ever get past the head: most inputs get one that fits, and only the
 * strings and the counts are the mutator's. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t n, size_t max, unsigned seed)
{
	struct run_request head = {.version = WIRE_VERSION};
	size_t body = 1 + sizeof(head);

	n = LLVMFuzzerMutate(data, n, max);
	if (seed % 8 == 0 || n < body)
		return n;
	head.flags = seed & 8 ? START_TEXT_FD : seed & 16 ? START_STRACE : 0;
	head.text_bytes = (uint32_t)(n - body);
	for (size_t i = body; i < n; i++)
		head.argc += !data[i];
	if (head.argc > 3) {
		head.argc -= 3;
		head.envc = seed / 32 % head.argc;
		head.argc -= head.envc;
	}
	if (head.envc > 4 && seed & 1024) {
		head.netc = (uint16_t)(seed / 2048 % 4);
		head.portc = (uint16_t)(4 - head.netc);
		head.envc -= 4;
	}
	head.envc += seed % 64 == 63; /* one that is not there */
	data[0] = head.flags & START_TEXT_FD ? RUN_REQUEST_FDS + 1 : RUN_REQUEST_FDS;
	memcpy(data + 1, &head, sizeof(head));
	return n;
}
