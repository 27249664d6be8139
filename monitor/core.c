/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core.c: see core.h.
 *
 * Two passes over the guest's memory, which stands still: one finds the segments and
 * leaves out what is zero, for the headers come first and the file may be a pipe; one
 * writes them.
 */
#define _GNU_SOURCE
#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core.h"
#include "x86_paging.h"

#define SMALL_STACK (256ull << 10)
#define RED_ZONE    128u

/* Zero pages inside a segment that are written rather than starting another one. */
#define GAP_BYTES (16 * NOXS_PAGE)

/* e_phnum has 16 bits. From half of it on, zero pages no longer split segments. */
#define MAX_SEGMENTS 0xfff0u

#define WRITE_BYTES (1u << 20) /* between two looks at core_stop */

volatile sig_atomic_t core_stop;

struct segment {
	uint64_t gva, file_bytes, mem_bytes;
	unsigned flags; /* enum pt_flags */
};

struct plan {
	const struct core_source *src;
	struct segment *segment;
	size_t n, room;
	uint64_t left; /* bytes of memory that may still come */
	bool whole;
};

struct output {
	int fd;
	const char *name;
	struct err *err;
};

/* ---- first pass ---- */

static bool is_zero(const uint8_t *page)
{
	const uint64_t *word = (const uint64_t *)page;
	uint64_t any = 0;

	/* In steps, so that a page with something in it is left soon. */
	for (size_t i = 0; i < NOXS_PAGE / sizeof(*word) && !any; i += 16)
		for (size_t j = 0; j < 16; j++)
			any |= word[i + j];
	return !any;
}

static int add_page(struct plan *p, uint64_t gva, unsigned flags, bool zero)
{
	struct segment *s = p->n ? &p->segment[p->n - 1] : NULL;

	if (p->left < NOXS_PAGE) {
		p->whole = false;
		return 0;
	}
	if (!s || s->gva + s->mem_bytes != gva || s->flags != flags ||
	    (!zero && s->mem_bytes - s->file_bytes >= GAP_BYTES && p->n < MAX_SEGMENTS / 2)) {
		if (p->n == MAX_SEGMENTS) {
			p->whole = false;
			return 0;
		}
		if (p->n == p->room) {
			size_t room = p->room ? 2 * p->room : 64;
			struct segment *more = reallocarray(p->segment, room, sizeof(*more));

			if (!more)
				return -ENOMEM;
			p->segment = more;
			p->room = room;
		}
		s = &p->segment[p->n++];
		*s = (struct segment){.gva = gva, .flags = flags};
	}
	s->mem_bytes += NOXS_PAGE;
	if (!zero)
		s->file_bytes = s->mem_bytes;
	p->left -= NOXS_PAGE;
	return 0;
}

/* All that ring 3 has in [start, end), which are page-aligned. */
static int add_range(struct plan *p, uint64_t start, uint64_t end)
{
	const struct core_source *src = p->src;
	struct pt_run run;

	for (; p->whole && pt_next(src->ram, src->root, start, end, &run);
	     start = run.gva + run.bytes)
		for (uint64_t off = 0; off < run.bytes && p->whole; off += NOXS_PAGE) {
			const uint8_t *page = gmem_at(src->ram, run.gpa + off, NOXS_PAGE);
			int ret = add_page(p, run.gva + off, run.flags, !page || is_zero(page));

			if (ret)
				return ret;
		}
	return 0;
}

struct window {
	uint64_t start, end;
};

static int by_start(const void *a, const void *b)
{
	const struct window *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

/* Windows may overlap and reach anywhere; segments must not. */
static int add_windows(struct plan *p, struct window *w, size_t n)
{
	uint64_t done = 0;

	qsort(w, n, sizeof(*w), by_start);
	for (size_t i = 0; i < n; i++) {
		uint64_t start = w[i].start & ~(NOXS_PAGE - 1);
		uint64_t end = w[i].end < NOXS_GVA_END ? w[i].end : NOXS_GVA_END;
		int ret;

		if (start < done)
			start = done;
		if (start >= end)
			continue;
		done = (end + NOXS_PAGE - 1) & ~(NOXS_PAGE - 1);
		ret = add_range(p, start, done);
		if (ret)
			return ret;
	}
	return 0;
}

static int plan_segments(struct plan *p, enum core_kind kind)
{
	const struct core_source *src = p->src;
	const uint64_t stack = NOXS_GVA_STACK_MIN, rip = src->crash->regs.rip;
	const bool kernel = src->crash->kind == NOXS_CRASH_KERNEL;
	/* rsp may be anything: no sum may wrap. */
	uint64_t rsp = src->crash->regs.rsp < NOXS_GVA_END ? src->crash->regs.rsp : 0;
	struct window w[5];
	size_t n = 0;

	w[n++] = (struct window){src->vdso, src->vdso_end};
	if (kind == CORE_FULL) {
		w[n++] = (struct window){NOXS_GVA_MIN, NOXS_GVA_USER_END};
		w[n++] = (struct window){stack, NOXS_GVA_STACK_TOP};
		if (kernel)
			w[n++] = (struct window){NOXS_GVA_KERNEL, NOXS_GVA_MACHINE};
		return add_windows(p, w, n);
	}
	w[n++] = (struct window){rsp < RED_ZONE ? 0 : rsp - RED_ZONE, rsp + SMALL_STACK};
	if (rip >= NOXS_PAGE && rip < NOXS_GVA_END)
		w[n++] = (struct window){rip - NOXS_PAGE, rip + NOXS_PAGE};
	/* On a signal stack: what was interrupted is somewhere on the main one. */
	if (rsp < stack || rsp >= NOXS_GVA_STACK_TOP)
		w[n++] = (struct window){stack, NOXS_GVA_STACK_TOP};
	return add_windows(p, w, n);
}

/* ---- second pass ---- */

static int put(const struct output *out, const void *data, size_t bytes)
{
	const uint8_t *from = data;

	while (bytes) {
		ssize_t n = write(out->fd, from, bytes < WRITE_BYTES ? bytes : WRITE_BYTES);

		if (core_stop)
			return err_set(out->err, EINTR, "stopped writing the core file %s",
				       out->name);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_set(out->err, errno, "cannot write the core file %s", out->name);
		from += n;
		bytes -= (size_t)n;
	}
	return 0;
}

static int put_zeros(const struct output *out, uint64_t bytes)
{
	static const uint8_t zero[NOXS_PAGE];
	int ret = 0;

	for (; bytes && !ret; bytes -= bytes < NOXS_PAGE ? bytes : NOXS_PAGE)
		ret = put(out, zero, bytes < NOXS_PAGE ? bytes : NOXS_PAGE);
	return ret;
}

static int put_segment(const struct output *out, const struct core_source *src,
		       const struct segment *s)
{
	uint64_t at = s->gva, end = s->gva + s->file_bytes;
	struct pt_run run;
	int ret = 0;

	while (at < end && !ret && pt_next(src->ram, src->root, at, end, &run)) {
		const void *from = gmem_at(src->ram, run.gpa, run.bytes);

		ret = put_zeros(out, run.gva - at);
		if (!ret)
			ret = from ? put(out, from, run.bytes) : put_zeros(out, run.bytes);
		at = run.gva + run.bytes;
	}
	/* The headers have promised so many, whatever the tables say now. */
	return ret ? ret : put_zeros(out, end - at);
}

static uint32_t elf_flags(unsigned flags)
{
	return PF_R | (flags & PT_WRITE ? PF_W : 0) | (flags & PT_EXEC ? PF_X : 0);
}

static int put_headers(const struct output *out, const struct plan *p, const uint8_t *notes,
		       size_t note_bytes)
{
	const size_t headers = sizeof(Elf64_Ehdr) + (p->n + 1) * sizeof(Elf64_Phdr);
	uint64_t off = (headers + note_bytes + NOXS_PAGE - 1) & ~(NOXS_PAGE - 1);
	uint8_t *buf = calloc(1, off);
	int ret;

	if (!buf)
		return err_set(out->err, ENOMEM, "cannot write the core file %s", out->name);
	Elf64_Phdr *ph = (Elf64_Phdr *)(buf + sizeof(Elf64_Ehdr));

	*(Elf64_Ehdr *)buf = (Elf64_Ehdr){
		.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB,
			    EV_CURRENT},
		.e_type = ET_CORE,
		.e_machine = EM_X86_64,
		.e_version = EV_CURRENT,
		.e_phoff = sizeof(Elf64_Ehdr),
		.e_ehsize = sizeof(Elf64_Ehdr),
		.e_phentsize = sizeof(Elf64_Phdr),
		.e_phnum = (Elf64_Half)(p->n + 1),
	};
	*ph++ = (Elf64_Phdr){
		.p_type = PT_NOTE, .p_offset = headers, .p_filesz = note_bytes, .p_align = 4};
	for (size_t i = 0; i < p->n; i++) {
		const struct segment *s = &p->segment[i];

		*ph++ = (Elf64_Phdr){
			.p_type = PT_LOAD,
			.p_flags = elf_flags(s->flags),
			.p_offset = off,
			.p_vaddr = s->gva,
			.p_filesz = s->file_bytes,
			.p_memsz = s->mem_bytes,
			.p_align = NOXS_PAGE,
		};
		off += s->file_bytes;
	}
	memcpy(buf + headers, notes, note_bytes);
	ret = put(out, buf, (headers + note_bytes + NOXS_PAGE - 1) & ~(NOXS_PAGE - 1));
	free(buf);
	return ret;
}

int core_write(const struct core_source *src, enum core_kind kind, int fd, const char *name,
	       bool *whole, struct err *err)
{
	/* A frame belongs to one page of the program, so there is never more than RAM. */
	struct plan plan = {.src = src, .left = src->ram->bytes, .whole = true};
	const struct output out = {.fd = fd, .name = name, .err = err};
	uint8_t *notes = NULL;
	size_t note_bytes;
	int ret = plan_segments(&plan, kind);

	if (!ret)
		ret = core_notes(src, &notes, &note_bytes);
	if (ret)
		err_set(err, -ret, "cannot write the core file %s", name);
	else
		ret = put_headers(&out, &plan, notes, note_bytes);
	for (size_t i = 0; i < plan.n && !ret; i++)
		ret = put_segment(&out, src, &plan.segment[i]);
	*whole = plan.whole;
	free(notes);
	free(plan.segment);
	return ret;
}
