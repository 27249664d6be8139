/* SPDX-License-Identifier: Apache-2.0 */
/* args.c: see args.h. */
#include <elf.h>
#include <stdbool.h>
#include <string.h>

#include "args.h"

#define FIXED 1024 /* room for the auxiliary vector and alignment */

static size_t count(char *const v[])
{
	size_t n = 0;

	while (v[n])
		n++;
	return n;
}

size_t args_bytes(char *const argv[], char *const envp[])
{
	char *const *lists[] = {argv, envp};
	size_t bytes = FIXED;

	for (int l = 0; l < 2; l++)
		for (char *const *s = lists[l]; *s; s++) {
			bytes += strlen(*s) + 1 + sizeof(uint64_t);
			if (bytes > ARGS_MAX_BYTES)
				return 0;
		}
	return bytes;
}

/* Grows downward from top; keeps the guest address and host pointer in step. */
struct stack {
	char *host;
	uint64_t gva;
	size_t left;
	bool full;
};

static uint64_t push(struct stack *s, const void *data, size_t n)
{
	if (n > s->left) {
		s->full = true;
		return 0;
	}
	s->host -= n;
	s->gva -= n;
	s->left -= n;
	if (data)
		memcpy(s->host, data, n);
	return s->gva;
}

uint64_t args_build(void *stack, size_t bytes, uint64_t top, char *const argv[], char *const envp[],
		    const char *exe, const uint8_t random[16], const struct args_aux *aux,
		    size_t naux)
{
	struct stack s = {.host = (char *)stack + bytes, .gva = top, .left = bytes};
	size_t argc = count(argv), envc = count(envp), words = 1 + argc + 1 + envc + 1;
	uint64_t execfn, platform, rnd, *w, at;

	push(&s, "\0\0\0\0\0\0\0", 8);
	execfn = push(&s, exe, strlen(exe) + 1);
	/* Strings in their order, one after the other, as programs that rename themselves
	 * (setproctitle) expect. */
	size_t len = 0;

	for (size_t i = 0; i < argc; i++)
		len += strlen(argv[i]) + 1;
	for (size_t i = 0; i < envc; i++)
		len += strlen(envp[i]) + 1;
	at = push(&s, NULL, len);
	if (s.full)
		return 0;
	char *strings = s.host;

	platform = push(&s, "x86_64", 7);
	rnd = push(&s, random, 16);
	words += 2 * (naux + 4);
	/* rsp is to be 16-aligned with argc there. */
	push(&s, NULL, s.gva & 15);
	if (words & 1)
		push(&s, NULL, 8);
	push(&s, NULL, words * sizeof(uint64_t));
	if (s.full)
		return 0;

	w = (uint64_t *)s.host;
	*w++ = argc;
	for (size_t i = 0; i < argc + envc; i++) {
		const char *text = i < argc ? argv[i] : envp[i - argc];
		size_t n = strlen(text) + 1;

		if (i == argc)
			*w++ = 0;
		memcpy(strings, text, n);
		strings += n;
		*w++ = at;
		at += n;
	}
	if (!envc)
		*w++ = 0;
	*w++ = 0;
	for (size_t i = 0; i < naux; i++) {
		*w++ = aux[i].type;
		*w++ = aux[i].value;
	}
	*w++ = AT_RANDOM;
	*w++ = rnd;
	*w++ = AT_EXECFN;
	*w++ = execfn;
	*w++ = AT_PLATFORM;
	*w++ = platform;
	*w++ = AT_NULL;
	*w++ = 0;
	return s.gva;
}
