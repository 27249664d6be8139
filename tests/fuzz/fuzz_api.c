/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_api.c: any bytes as the body of a request, and as a VM's log. The first byte chooses
 * which. A body is refused with a message, or what came of it keeps the rules of
 * api_request.h and engine.h; a log is read to its end whatever is in it.
 */
/* clang-format off */
/* sources: monitor/daemon/api_request.c monitor/daemon/api_request_small.c monitor/daemon/api_fields.c monitor/daemon/api_base64.c monitor/daemon/api_out.c monitor/daemon/api_log.c monitor/err.c */
/* sources: monitor/daemon/vm_net.c monitor/net_spec.c monitor/net_address.c monitor/net_spec_print.c monitor/net_port.c */
/* clang-format on */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../monitor/daemon/api_log.h"
#include "../../monitor/daemon/api_out.h"
#include "../../monitor/daemon/api_request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define MUST(condition)                                                         \
	do {                                                                    \
		if (!(condition)) {                                             \
			fprintf(stderr, "line %d: %s\n", __LINE__, #condition); \
			abort();                                                \
		}                                                               \
	} while (0)

/* A failure has a message that makes valid JSON, whatever of the body is quoted in it. */
static void check_message(const struct err *err)
{
	struct out o = {0};
	json_t *value;

	MUST(err->message[0] && strnlen(err->message, sizeof(err->message)) < sizeof(err->message));
	out_open(&o, NULL, '{');
	out_pair(&o, err->message, err->message);
	out_close(&o, '}');
	value = json_loadb(o.at, o.bytes, 0, NULL);
	MUST(value);
	json_decref(value);
	out_free(&o);
}

static size_t strings(char *const *list)
{
	size_t n = 0;

	for (; list && list[n]; n++)
		MUST(strlen(list[n]) < SIZE_MAX);
	return n;
}

static void check_spec(const struct create_request *c)
{
	const struct vm_spec *s = &c->spec;

	MUST(s->image && *s->image && s->image_fd == -1);
	MUST(s->fds[0] == -1 && s->fds[1] == -1 && s->fds[2] == -1);
	MUST(!s->argv || strings(s->argv) >= 1);
	strings(s->envp);
	for (size_t i = 0; s->envp && s->envp[i]; i++)
		MUST(s->envp[i][0] != '=' && strchr(s->envp[i], '='));
	for (size_t i = 0; i < s->nlabels; i++)
		MUST(s->labels[i].key && s->labels[i].value);
	MUST(!(s->memory_bytes % (1 << 20)) && s->memory_bytes >> 20 <= 16u << 20);
	MUST(s->timeout_ns <= 1000000000000ull * 1000000);
	MUST(s->cpu_weight <= 10000 && s->cpu_max_milli <= 4096000);
	MUST(c->wait == s->capture && (c->start || !c->wait));
	MUST(!s->capture_bytes || c->wait);
	for (size_t i = 0; i < s->stdin_bytes; i++) { /* ASan looks, too */
		volatile char read = ((const char *)s->stdin_data)[i];

		(void)read;
	}
}

static void create(const char *body, size_t n)
{
	struct create_request c;
	struct err err = {0};

	if (create_request_parse(body, n, &c, &err))
		check_message(&err);
	else
		check_spec(&c);
	create_request_free(&c);
}

static void small(const char *body, size_t n)
{
	struct flavour flavour[ENGINE_MAX_FLAVOURS];
	struct err err = {0};
	int signal = 9;
	size_t count;

	if (kill_request_parse(body, n, &signal, &err))
		check_message(&err);
	else
		MUST(signal >= 1 && signal <= 64);
	if (pool_request_parse(body, n, flavour, &count, &err)) {
		check_message(&err);
		return;
	}
	MUST(count >= 1 && count <= ENGINE_MAX_FLAVOURS);
	for (size_t i = 0; i < count; i++)
		MUST(flavour[i].memory_bytes && flavour[i].minimum <= flavour[i].maximum);
}

/* The same log while it is written, and when it is over: the second reading has no less. */
static size_t read_log(int fd, bool is_over)
{
	static struct log_reader reader;
	struct log_lines lines = {0};
	struct log_piece piece;
	enum log_result ret;
	size_t bytes = 0, rounds = 0;

	log_open(&reader, fd);
	while ((ret = log_next(&reader, is_over, &piece)) == LOG_PIECE) {
		const char *at = piece.data, *end = at + piece.bytes;

		MUST(piece.stream == 0 || piece.stream == 1);
		MUST(at >= reader.buf && end <= reader.buf + sizeof(reader.buf));
		while (at < end) {
			uint64_t line;
			bool begins;
			size_t n = log_line(&lines, piece.stream, at, (size_t)(end - at), &line,
					    &begins);

			MUST(n && n <= (size_t)(end - at) && line < lines.begun);
			at += n;
		}
		bytes += piece.bytes;
		MUST(++rounds < 1 << 20);
	}
	MUST(log_next(&reader, is_over, &piece) == ret);
	return bytes;
}

static void log_file(const char *data, size_t n)
{
	static int fd = -1;
	size_t before;

	if (fd < 0)
		fd = memfd_create("log", MFD_CLOEXEC);
	MUST(fd >= 0 && !ftruncate(fd, 0) && pwrite(fd, data, n, 0) == (ssize_t)n);
	before = read_log(fd, false);
	MUST(read_log(fd, true) >= before);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	char *body;

	if (!n)
		return 0;
	body = malloc(n - 1 ? n - 1 : 1); /* its own, so that ASan sees a read beyond */
	MUST(body);
	memcpy(body, data + 1, n - 1);
	if (data[0] == 'l')
		log_file(body, n - 1);
	else if (data[0] == 's')
		small(body, n - 1);
	else
		create(body, n - 1);
	free(body);
	return 0;
}
