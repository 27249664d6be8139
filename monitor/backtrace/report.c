/* SPDX-License-Identifier: Apache-2.0 */
/* report.c: see report.h. Names come from a file that may lie: only what prints is printed. */
#include <dwarf.h>
#include <elfutils/libdw.h>
#include <stdlib.h>
#include <string.h>

#include "report.h"

#define MAX_NAME 256

static void print_name(struct report *r, const char *name)
{
	size_t n = strnlen(name, MAX_NAME);

	for (size_t i = 0; i < n; i++)
		fputc(name[i] >= 0x20 && name[i] < 0x7f ? name[i] : '?', r->out);
}

static void print_line(struct report *r, uint64_t pc, const char *name, const char *file, int line)
{
	fprintf(r->out, "#%-2u 0x%016llx in ", r->frame++, (unsigned long long)pc);
	print_name(r, name ? name : "??");
	if (file && line > 0) {
		const char *slash = strrchr(file, '/');

		fputs(" (", r->out);
		print_name(r, slash ? slash + 1 : file);
		fprintf(r->out, ":%d)", line);
	}
	fputc('\n', r->out);
	r->lines++;
}

static const char *symbol_of(Dwfl_Module *mod, uint64_t at)
{
	GElf_Off offset;
	GElf_Sym sym;

	const char *name = dwfl_module_addrinfo(mod, at, &offset, &sym, NULL, NULL, NULL);

	/* Who jumps into data is in no function. */
	return name && GELF_ST_TYPE(sym.st_info) != STT_OBJECT ? name : NULL;
}

/* Where an inlined call stands in the function around it. */
static void call_site(Dwarf_Die *cu, Dwarf_Die *inlined, const char **file, int *line)
{
	Dwarf_Attribute attr;
	Dwarf_Word number;
	Dwarf_Files *files;
	size_t n;

	*file = NULL;
	*line = 0;
	if (!dwarf_getsrcfiles(cu, &files, &n) &&
	    !dwarf_formudata(dwarf_attr(inlined, DW_AT_call_file, &attr), &number) && number < n)
		*file = dwarf_filesrc(files, number, NULL, NULL);
	if (!dwarf_formudata(dwarf_attr(inlined, DW_AT_call_line, &attr), &number) &&
	    number < INT32_MAX)
		*line = (int)number;
}

/*
 * Lines for the calls that the compiler inlined at `at`, innermost first; then *file and
 * *line are those of the call in the function itself, whose name is returned if DWARF has
 * it.
 */
static const char *inlined(struct report *r, Dwfl_Module *mod, uint64_t pc, uint64_t at,
			   const char **file, int *line)
{
	Dwarf_Addr bias;
	Dwarf_Die *cu = dwfl_module_addrdie(mod, at, &bias), *inner = NULL, *scopes = NULL;
	const char *name = NULL;
	int n = cu ? dwarf_getscopes(cu, at - bias, &inner) : 0;

	/* dwarf_getscopes leaves the way out of an inlined function: go by parents. */
	n = n > 0 ? dwarf_getscopes_die(&inner[0], &scopes) : 0;
	for (int i = 0; i < n && !name; i++) {
		int tag = dwarf_tag(&scopes[i]);

		if (tag == DW_TAG_inlined_subroutine && r->lines < REPORT_MAX_LINES) {
			print_line(r, pc, dwarf_diename(&scopes[i]), *file, *line);
			call_site(cu, &scopes[i], file, line);
		} else if (tag == DW_TAG_subprogram) {
			name = dwarf_diename(&scopes[i]);
		}
	}
	free(scopes);
	free(inner);
	return name;
}

static void print_repeated(struct report *r)
{
	if (r->repeated)
		fprintf(r->out, "    ... %u more like this\n", r->repeated);
	r->lines += r->repeated != 0;
	r->frame += r->repeated;
	r->repeated = 0;
}

bool report_frame(struct report *r, uint64_t pc, bool exact)
{
	uint64_t at = exact ? pc : pc - 1;
	Dwfl_Module *mod = dwfl_addrmodule(r->dwfl, at);
	const char *file = NULL, *name = NULL;
	int line = 0;

	if (r->frame && pc == r->last_pc) {
		r->repeated++;
		return true;
	}
	print_repeated(r);
	if (r->lines >= REPORT_MAX_LINES)
		return false;
	r->last_pc = pc;
	if (mod) {
		Dwfl_Line *l = dwfl_module_getsrc(mod, at);

		file = l ? dwfl_lineinfo(l, NULL, &line, NULL, NULL, NULL) : NULL;
		name = inlined(r, mod, pc, at, &file, &line);
		if (!name)
			name = symbol_of(mod, at);
	}
	print_line(r, pc, name, file, line);
	return true;
}

void report_signal(struct report *r, uint64_t pc)
{
	print_repeated(r);
	r->last_pc = pc;
	fprintf(r->out, "#%-2u <signal handler called>\n", r->frame++);
	r->lines++;
}

void report_end(struct report *r, const char *why)
{
	print_repeated(r);
	if (why)
		fprintf(r->out, "    (%s)\n", why);
}
