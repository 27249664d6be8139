/* SPDX-License-Identifier: Apache-2.0 */
/* strace.c: see strace.h. The line is put together in one buffer, printed at the end. */
#include <asm/unistd.h>

#include "strace.h"

#define NCALLS 464
static const struct {
	const char *name, *args;
} calls[NCALLS] = {
#define UK_CALL(nr, name, args) [nr] = {#name, args},
#include "syscalls.h"
#undef UK_CALL
};

static char line[512];
static size_t len;

static void add(const char *text)
{
	while (*text && len < sizeof(line) - 1)
		line[len++] = *text++;
}

/* At most 48 bytes of the program's memory in quotes, odd ones as escapes. */
static void add_bytes(uint64_t user, uint64_t n, bool string)
{
	char buf[48], hex[8];
	size_t part = uk_min(n, sizeof(buf));

	if (string) {
		long got = uk_copy_str(buf, user, sizeof(buf));

		part = got >= 0 ? (size_t)got : sizeof(buf);
		n = got >= 0 ? part : part + 1;
		if (got == -14)
			return add("<bad pointer>");
	} else if (uk_copy_in(buf, user, part)) {
		return add("<bad pointer>");
	}
	add("\"");
	for (size_t i = 0; i < part; i++) {
		unsigned char c = (unsigned char)buf[i];

		if (c == '\n')
			add("\\n");
		else if (c == '"' || c == '\\')
			add((char[]){'\\', (char)c, 0});
		else if (c >= ' ' && c < 127)
			add((char[]){(char)c, 0});
		else {
			uk_snprintf(hex, sizeof(hex), "\\x%02x", c);
			add(hex);
		}
	}
	add(n > part ? "\"..." : "\"");
}

void uk_strace_enter(const struct uk_frame *f)
{
	uint64_t nr = f->rax;
	const uint64_t a[6] = {f->rdi, f->rsi, f->rdx, f->r10, f->r8, f->r9};
	const char *args = nr < NCALLS ? calls[nr].args : NULL;
	char text[32];

	len = 0;
	if (!args) {
		uk_snprintf(line, sizeof(line), "syscall_%lu(", nr);
		len = strlen(line);
		args = "xxxxxx";
	} else {
		add(calls[nr].name);
		add("(");
	}
	for (int i = 0; args[i]; i++) {
		const char *fmt = "0x%lx";

		if (i)
			add(", ");
		if (args[i] == 's' || args[i] == 'b') {
			add_bytes(a[i], a[i + 1 < 6 ? i + 1 : i], args[i] == 's');
			continue;
		}
		if (args[i] == 'd' || args[i] == 'n' || args[i] == 'f')
			fmt = "%d";
		else if (args[i] == 'u')
			fmt = "%lu";
		else if (args[i] == 'o')
			fmt = "0%lo";
		if (args[i] == 'f' && (int)a[i] == -100)
			fmt = "AT_FDCWD";
		else if (args[i] == 'p' && !a[i])
			fmt = "NULL";
		if (fmt[1] == 'd')
			uk_snprintf(text, sizeof(text), "%d", (int)a[i]);
		else if (fmt[1] == 'l')
			uk_snprintf(text, sizeof(text), "%lu", a[i]);
		else if (fmt[1] == '%')
			uk_snprintf(text, sizeof(text), "0%lo", a[i]);
		else if (fmt[0] == '0')
			uk_snprintf(text, sizeof(text), "0x%lx", a[i]);
		else
			uk_snprintf(text, sizeof(text), "%s", fmt);
		add(text);
	}
	add(")");
	/* These do not come back. */
	if (nr == __NR_exit || nr == __NR_exit_group) {
		add(" = ?\n");
		uk_console_print(line, len);
	}
}

void uk_strace_exit(const struct uk_frame *f, long ret)
{
	char text[48];

	if (f->error == __NR_rt_sigreturn)
		uk_snprintf(text, sizeof(text), " = ?\n");
	else if (ret < 0 && ret > -4096)
		uk_snprintf(text, sizeof(text), " = -1 (errno %ld)\n", -ret);
	else if (ret < 0 || ret > 1 << 24)
		uk_snprintf(text, sizeof(text), " = 0x%lx\n", (uint64_t)ret);
	else
		uk_snprintf(text, sizeof(text), " = %ld\n", ret);
	add(text);
	uk_console_print(line, len);
}
