/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main.c: mayfly-backtrace: where a program was when its core file was written.
 *
 * What it reads is a guest's doing, and the time it may take is bounded.
 */
#include <elfutils/libdwfl.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "unwind.h"

#define LIMIT_S 20

static const char help[] =
	"Usage: mayfly-backtrace [OPTION]... (--core FILE | --core-fd N) PROGRAM\n"
	"Prints the calls that led to where the core file of PROGRAM was written, as\n"
	"#N ADDRESS in FUNCTION (FILE:LINE), the innermost first.\n"
	"\n"
	"      --core FILE   the core file\n"
	"      --core-fd N   the core file, as an open descriptor\n"
	"      --base HEX    what to add to PROGRAM's addresses, if it is position-independent\n"
	"      --out-fd N    print to this descriptor\n"
	"      --help        this text\n";

struct settings {
	const char *program;
	int core_fd;
	uint64_t base;
	FILE *out;
};

static int number(const char *text, int base, uint64_t *value, struct err *err)
{
	char *end;

	errno = 0;
	*value = strtoull(text, &end, base);
	return errno || end == text || *end || *text == '-'
		       ? err_set(err, 0, "%s is not a number", text)
		       : 0;
}

static int set_option(struct settings *s, char which, const char *value, struct err *err)
{
	uint64_t n = 0;
	int ret;

	if (which == 'c') {
		s->core_fd = open(value, O_RDONLY | O_CLOEXEC);
		return s->core_fd < 0 ? err_set(err, errno, "cannot open %s", value) : 0;
	}
	ret = number(value, which == 'b' ? 16 : 10, &n, err);
	if (ret)
		return ret;
	if (which == 'b')
		s->base = n;
	else if (which == 'f')
		s->core_fd = n < 1u << 20 ? (int)n : -1;
	else if (n >= 1u << 20 || !(s->out = fdopen((int)n, "w")))
		return err_set(err, EBADF, "cannot print to descriptor %s", value);
	return 0;
}

/* 1: help was printed; 0: go on. */
static int parse(struct settings *s, int argc, char **argv, struct err *err)
{
	static const struct option options[] = {
		{"core", required_argument, NULL, 'c'}, {"core-fd", required_argument, NULL, 'f'},
		{"base", required_argument, NULL, 'b'}, {"out-fd", required_argument, NULL, 'o'},
		{"help", no_argument, NULL, 'h'},       {NULL, 0, NULL, 0},
	};
	int opt, ret = 0;

	while (!ret && (opt = getopt_long(argc, argv, ":h", options, NULL)) != -1) {
		if (opt == 'h') {
			fputs(help, stdout);
			return 1;
		}
		if (opt == '?' || opt == ':')
			return err_set(err, 0, "%s: there is no such option, or it needs a value",
				       argv[optind - 1]);
		ret = set_option(s, (char)opt, optarg, err);
	}
	if (!ret && (optind + 1 != argc || s->core_fd < 0))
		return err_set(err, 0, "give one program and its core file; try --help");
	s->program = argv[optind];
	return ret;
}

static Dwfl *open_dwfl(const struct settings *s, Elf **program, struct err *err)
{
	static char *no_path = "";
	static const Dwfl_Callbacks callbacks = {
		.find_elf = dwfl_build_id_find_elf,
		.find_debuginfo = dwfl_standard_find_debuginfo,
		.section_address = dwfl_offline_section_address,
		.debuginfo_path = &no_path,
	};
	Dwfl *dwfl = dwfl_begin(&callbacks);
	Dwfl_Module *mod;
	GElf_Addr bias;

	if (!dwfl) {
		err_set(err, 0, "cannot start libdwfl: %s", dwfl_errmsg(-1));
		return NULL;
	}
	dwfl_report_begin(dwfl);
	mod = dwfl_report_elf(dwfl, s->program, s->program, -1, s->base, true);
	if (!mod || dwfl_report_end(dwfl, NULL, NULL) ||
	    !(*program = dwfl_module_getelf(mod, &bias))) {
		err_set(err, 0, "cannot read %s: %s", s->program, dwfl_errmsg(-1));
		dwfl_end(dwfl);
		return NULL;
	}
	return dwfl;
}

static int backtrace(const struct settings *s, struct err *err)
{
	struct target target = {0};
	struct report report = {.out = s->out};
	Elf *core, *program;
	Dwfl *dwfl;
	int ret;

	elf_version(EV_CURRENT);
	core = elf_begin(s->core_fd, ELF_C_READ_MMAP, NULL);
	if (!core)
		return err_set(err, 0, "cannot read the core file: %s", elf_errmsg(-1));
	dwfl = open_dwfl(s, &program, err);
	ret = dwfl ? target_core(&target, core, err) : -EINVAL;
	if (!ret)
		ret = target_program(&target, program, s->base, err);
	report.dwfl = dwfl;
	if (!ret)
		ret = unwind(&target, dwfl, &report, err);
	if (!ret && (fflush(s->out) || ferror(s->out)))
		ret = err_set(err, errno, "cannot print the backtrace");
	free(target.load);
	dwfl_end(dwfl);
	elf_end(core);
	return ret;
}

int main(int argc, char **argv)
{
	struct settings s = {.core_fd = -1, .out = stdout};
	struct err err = {0};
	int ret = parse(&s, argc, argv, &err);

	if (ret > 0)
		return 0;
	if (!ret) {
		/* A crash report waits for no server. */
		unsetenv("DEBUGINFOD_URLS");
		alarm(LIMIT_S);
		ret = backtrace(&s, &err);
	}
	if (ret)
		fprintf(stderr, "mayfly-backtrace: %s\n", err.message);
	return ret ? 1 : 0;
}
