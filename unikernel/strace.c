/* SPDX-License-Identifier: Apache-2.0 */
/* strace.c: see strace.h. The line is put together in one buffer, printed at the end. */
#include <asm/errno.h>
#include <asm/unistd.h>
#include <linux/fcntl.h>

#include "strace.h"

#define NCALLS 464
static const struct {
	const char *name, *args;
} calls[NCALLS] = {
#define UK_CALL(nr, name, args) [nr] = {#name, args},
#include "syscalls.h"
#undef UK_CALL
};

static const char *const errnos[] = {
#define UK_ERRNO(name) [name] = #name,
#include "errnos.h"
#undef UK_ERRNO
};

static char line[512];
static size_t len;

static void add(const char *text)
{
	while (*text && len < sizeof(line) - 1)
		line[len++] = *text++;
}

static void add_char(char c)
{
	add((char[]){c, '\0'});
}

#define ADD_NUMBER(fmt, value)                                 \
	do {                                                   \
		char text_[24];                                \
		uk_snprintf(text_, sizeof(text_), fmt, value); \
		add(text_);                                    \
	} while (0)

/* n bytes in quotes, odd ones as escapes; dots say that there is more. */
static void add_quoted(const char *bytes, size_t n, bool more)
{
	add("\"");
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)bytes[i];

		switch (c) {
		case '\n':
			add("\\n");
			break;
		case '\t':
			add("\\t");
			break;
		case '"':
		case '\\':
			add_char('\\');
			add_char((char)c);
			break;
		default:
			if (c >= ' ' && c < 127)
				add_char((char)c);
			else
				ADD_NUMBER("\\x%02x", c);
		}
	}
	add(more ? "\"..." : "\"");
}

#define SHOWN 48 /* bytes of a string or buffer */

static void add_string(uint64_t user)
{
	char buf[SHOWN];
	long n = uk_copy_str(buf, user, sizeof(buf));

	if (n == -EFAULT)
		add(user ? "<bad pointer>" : "NULL");
	else
		add_quoted(buf, n < 0 ? sizeof(buf) : (size_t)n, n < 0);
}

static void add_buffer(uint64_t user, uint64_t bytes)
{
	char buf[SHOWN];
	size_t n = uk_min(bytes, sizeof(buf));

	if (uk_copy_in(buf, user, n))
		add("<bad pointer>");
	else
		add_quoted(buf, n, bytes > n);
}

/* letter: see syscalls.h. next is the argument that follows. */
static void add_argument(char letter, uint64_t value, uint64_t next)
{
	switch (letter) {
	case 's':
		add_string(value);
		break;
	case 'b':
		add_buffer(value, next);
		break;
	case 'f':
		if ((int)value == AT_FDCWD)
			add("AT_FDCWD");
		else
			ADD_NUMBER("%d", (int)value);
		break;
	case 'd':
	case 'n':
		ADD_NUMBER("%d", (int)value);
		break;
	case 'u':
		ADD_NUMBER("%lu", value);
		break;
	case 'o':
		ADD_NUMBER("0%o", (unsigned)value);
		break;
	case 'p':
		if (!value) {
			add("NULL");
			break;
		}
		/* fall through */
	default:
		ADD_NUMBER("0x%lx", value);
	}
}

void uk_strace_enter(const struct uk_frame *f)
{
	const uint64_t a[7] = {f->rdi, f->rsi, f->rdx, f->r10, f->r8, f->r9};
	uint64_t nr = (uint32_t)f->rax;
	const char *args = nr < NCALLS ? calls[nr].args : NULL;

	len = 0;
	if (args) {
		add(calls[nr].name);
	} else {
		ADD_NUMBER("syscall_%lu", nr);
		args = "xxxxxx";
	}
	add("(");
	for (int i = 0; args[i]; i++) {
		if (i)
			add(", ");
		add_argument(args[i], a[i], a[i + 1]);
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
	add(" = ");
	if (f->error == __NR_rt_sigreturn) {
		add("?");
	} else if (ret < 0 && ret > -4096) {
		add("-1 ");
		if ((size_t)-ret < uk_countof(errnos) && errnos[-ret])
			add(errnos[-ret]);
		else
			ADD_NUMBER("errno %ld", -ret);
	} else if (ret < 0 || ret > 1 << 24) {
		ADD_NUMBER("0x%lx", (uint64_t)ret);
	} else {
		ADD_NUMBER("%ld", ret);
	}
	len = uk_min(len, sizeof(line) - 2); /* the line ends, however long it is */
	add("\n");
	uk_console_print(line, len);
}
