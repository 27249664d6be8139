/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest_load.c: see guest.h: a program comes into a VM that guest_prepare has made. Its
 * vCPU may have run already, so entries are only added to the page tables, never changed.
 *
 *   file   the prepared image, mapped privately; then bss, and heap that is mapped ahead
 *   stack  where arguments are too many for the first stack: one below it
 *   tables where the image needs more than were left for it
 *   free   from the next 2 MiB boundary on, given out by the library kernel
 */
#define _GNU_SOURCE
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

#include "args.h"
#include "guest.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14; musl 1.2.3 does not know it */
#endif

#define PAGES(n)    ((n)*NOXS_PAGE)
#define ALIGN_UP(x) (((x) + NOXS_PAGE - 1) & ~(NOXS_PAGE - 1))
#define LARGE       0x200000ull
#define HEAP_AHEAD  PAGES(128)
#define LEAST_FREE  LARGE
#define SMALL_IMAGE PAGES(16)
/* Arguments that the first stack takes; the program has the rest of it to begin with. */
#define FIRST_ARGS PAGES(8)

struct plan {
	uint64_t file, bss, heap, stack, tables, free;
	uint64_t bss_bytes, heap_bytes, stack_bytes, tables_bytes;
	uint64_t base;      /* load bias */
	uint64_t stack_top; /* gva */
	uint64_t brk;
};

static uint64_t after(uint64_t *next, uint64_t bytes)
{
	uint64_t at = *next;

	*next += bytes;
	return at;
}

static void plan(struct plan *p, const struct guest *guest, const struct prepared_header *h,
		 uint64_t args, const uint64_t *entropy)
{
	const struct guest_layout *l = &guest->layout;
	uint64_t next = l->image, tables;

	/* 26 bits for a PIE. */
	p->base = h->pie ? NOXS_GVA_PIE + (*entropy % (NOXS_GVA_PIE_END / 2 - NOXS_GVA_PIE / 2)) /
						  h->align * h->align
			 : 0;
	p->brk = p->base + h->brk;
	/* The heap is mapped ahead as far as its first page table reaches. */
	p->heap_bytes = LARGE - (p->brk & (LARGE - 1));
	if (p->heap_bytes > HEAP_AHEAD)
		p->heap_bytes = HEAP_AHEAD;
	for (uint32_t i = 0; i < h->nsegments; i++)
		p->bss_bytes += h->segment[i].mem_bytes - h->segment[i].file_bytes;
	p->stack_top = l->stack_top;
	if (args > FIRST_ARGS) {
		p->stack_top = l->stack_end - GUEST_STACK_BYTES;
		p->stack_bytes = ALIGN_UP(args) + GUEST_STACK_BYTES - FIRST_ARGS;
	}
	tables = guest_tables_for(p->base + h->segment[0].vaddr, p->brk + p->heap_bytes);
	if (p->stack_bytes)
		tables += guest_tables_for(p->stack_top - p->stack_bytes, p->stack_top);
	/* If they are no longer enough: all in a piece of their own, which takes two to show. */
	if (tables > GUEST_IMAGE_TABLES)
		p->tables_bytes = PAGES(tables + 2);

	p->file = after(&next, h->file_bytes);
	p->bss = after(&next, p->bss_bytes);
	p->heap = after(&next, p->heap_bytes);
	p->stack = after(&next, p->stack_bytes);
	p->tables = after(&next, p->tables_bytes);
	p->free = (next + LARGE - 1) & ~(LARGE - 1);
}

static void add_region(struct noxs_page *page, uint64_t start, uint64_t bytes, uint64_t gpa,
		       uint32_t prot, uint32_t kind)
{
	page->region[page->nregions++] =
		(struct noxs_region){start, start + bytes, gpa, prot, kind};
}

static unsigned pt_flags(uint32_t prot)
{
	return PT_USER | (prot & NOXS_W ? PT_WRITE : 0) | (prot & NOXS_X ? PT_EXEC : 0);
}

static int map_program(struct pt_builder *pt, struct noxs_page *page, const struct plan *p,
		       const struct prepared_header *h)
{
	uint64_t bss = p->bss;
	int ret = 0;

	for (uint32_t i = 0; i < h->nsegments && !ret; i++) {
		const struct prepared_segment *s = &h->segment[i];
		uint64_t gva = p->base + s->vaddr, zero = s->mem_bytes - s->file_bytes;
		uint32_t kind = s->stubs ? NOXS_REGION_STUBS : NOXS_REGION_IMAGE;

		ret = pt_map(pt, gva, p->file + s->file_off, s->file_bytes, pt_flags(s->prot));
		if (!ret)
			ret = pt_map(pt, gva + s->file_bytes, bss, zero, pt_flags(s->prot));
		add_region(page, gva, s->mem_bytes, p->file + s->file_off, s->prot, kind);
		bss += zero;
	}
	if (ret)
		return ret;
	add_region(page, p->brk, p->heap_bytes, p->heap, NOXS_R | NOXS_W, NOXS_REGION_HEAP);
	return pt_map(pt, p->brk, p->heap, p->heap_bytes, PT_USER | PT_WRITE);
}

static int map_all(struct guest *guest, const struct plan *p, const struct prepared_header *h)
{
	struct pt_builder *pt = &guest->tables;
	struct noxs_page *page = guest->page;
	uint64_t stack_end = guest->layout.stack_end;
	int ret;

	if (p->tables_bytes) {
		pt->next = p->tables;
		pt->end = p->tables + p->tables_bytes;
	}
	ret = map_program(pt, page, p, h);
	if (!ret)
		ret = pt_map(pt, p->stack_top - p->stack_bytes, p->stack, p->stack_bytes,
			     PT_USER | PT_WRITE);
	if (!ret)
		ret = pt_map(pt, NOXS_GVA_LINEAR + p->tables, p->tables, p->tables_bytes, PT_USER);
	/* The linear map: free RAM, to use. */
	if (!ret)
		ret = pt_map_large(pt, NOXS_GVA_LINEAR + p->free, p->free, page->free_bytes,
				   PT_USER | PT_WRITE);
	if (p->stack_bytes)
		page->stack_mapped = p->stack_top - p->stack_bytes;
	add_region(page, stack_end - NOXS_STACK_BYTES, NOXS_STACK_BYTES, 0, NOXS_R | NOXS_W,
		   NOXS_REGION_STACK);
	return ret;
}

static void describe_stream(struct noxs_stream_info *info, int fd)
{
	struct winsize size;
	struct stat st;

	/* No descriptor: the monitor takes and gives the bytes itself. */
	if (fd < 0)
		info->flags = NOXS_STREAM_PIPE;
	/* main() put an O_PATH descriptor where a stream was closed. */
	else if (fstat(fd, &st) || (fcntl(fd, F_GETFL) & O_PATH)) {
		info->flags = NOXS_STREAM_CLOSED;
	} else if (S_ISCHR(st.st_mode) && !ioctl(fd, TIOCGWINSZ, &size)) {
		info->flags = NOXS_STREAM_TTY;
		info->rows = size.ws_row;
		info->columns = size.ws_col;
	} else if (!S_ISREG(st.st_mode)) {
		info->flags = NOXS_STREAM_PIPE;
	}
}

/* What of the noxs page depends on the program and on the time. */
static void fill_page(struct noxs_page *page, const struct plan *p, const struct host *host,
		      const struct image *image, const struct guest_options *options)
{
	page->free_gpa = p->free;
	page->free_bytes = (NOXS_GPA_RAM + page->ram_bytes - p->free) & ~(LARGE - 1);
	page->entry = p->base + image->head.entry;
	page->brk = p->brk;
	page->exe_base = p->base;
	page->flags = options->strace ? NOXS_FLAG_STRACE : 0;
	for (int i = 0; i < NOXS_NSTREAMS; i++)
		describe_stream(&page->stream[i], options->stream[i]);
	snprintf(page->exe, sizeof(page->exe), "%s", image->path);
	snprintf(page->cwd, sizeof(page->cwd), "%s", options->cwd ? options->cwd : "/");
	snprintf(page->hostname, sizeof(page->hostname), "%s",
		 options->hostname ? options->hostname : "mayfly");
	guest_set_clock(&page->clock, host->facts.tsc_khz);
}

static int build_stack(struct guest *guest, const struct gmem *ram, const struct plan *p,
		       const struct prepared_header *h, const struct guest_options *options,
		       const uint8_t random[16], struct err *err)
{
	const struct guest_layout *l = &guest->layout;
	struct noxs_page *page = guest->page;
	const struct args_aux aux[] = {
		{AT_SYSINFO_EHDR, guest_kernel()->vdso},
		{AT_HWCAP, getauxval(AT_HWCAP)},
		{AT_HWCAP2, 2}, /* FSGSBASE */
		{AT_PAGESZ, NOXS_PAGE},
		{AT_CLKTCK, 100},
		{AT_PHDR, h->phdr ? p->base + h->phdr : 0},
		{AT_PHENT, h->phent},
		{AT_PHNUM, h->phdr ? h->phnum : 0},
		{AT_BASE, 0},
		{AT_FLAGS, 0},
		{AT_ENTRY, page->entry},
		{AT_UID, page->uid},
		{AT_EUID, page->uid},
		{AT_GID, page->gid},
		{AT_EGID, page->gid},
		{AT_SECURE, 0},
		{AT_MINSIGSTKSZ, 1024 + page->xsave_bytes},
	};
	uint64_t bytes =
		p->stack_bytes ? p->stack_bytes : GUEST_STACK_BYTES - (l->stack_end - l->stack_top);
	uint8_t *stack = gmem_at(ram, p->stack_bytes ? p->stack : l->stack, bytes);

	page->rsp = args_build(stack, bytes, p->stack_top, options->argv, options->envp,
			       options->path, random, aux, sizeof(aux) / sizeof(aux[0]));
	return page->rsp ? 0 : err_set(err, E2BIG, "cannot place arguments and environment");
}

/*
 * A small image is copied, a larger one mapped and so shared. The copy is what makes it
 * fast: where KVM shadows page tables, a guest's first touch of a page also maps its seven
 * neighbours, but only those that are in memory and writable to us, which the page cache's
 * are not. One exit in place of eight is worth more than copying eight pages.
 */
static int place_image(const struct gmem *ram, const struct plan *p, const struct image *image)
{
	uint64_t bytes = image->head.file_bytes, all = bytes + p->bss_bytes;
	void *at = gmem_at(ram, p->file, bytes);

	if (bytes > SMALL_IMAGE)
		return guest_map_file(ram, p->file, bytes, image->fd, 0);
	/* With the start of bss, whose pages are neighbours, too. */
	madvise(at, all < SMALL_IMAGE ? all : SMALL_IMAGE, MADV_POPULATE_WRITE);
	return pread(image->fd, at, bytes, 0) == (ssize_t)bytes ? 0 : errno ? -errno : -EIO;
}

int guest_grow(struct guest *guest, struct vm *vm, uint64_t bytes)
{
	uint64_t before = guest->free_gpa - NOXS_GPA_RAM;
	int ret = bytes > vm->ram.bytes - before
			  ? -EINVAL
			  : vm_grow(vm, before + (bytes > LEAST_FREE ? bytes : LEAST_FREE));

	if (vm->backed_bytes > before)
		guest->page->free_ready = (vm->backed_bytes - before) & ~(LARGE - 1);
	return ret;
}

int guest_load(struct guest *guest, struct vm *vm, const struct host *host,
	       const struct image *image, const struct guest_options *options, struct err *err)
{
	const struct gmem *ram = &vm->ram;
	size_t args = args_bytes(options->argv, options->envp);
	struct {
		uint64_t base;
		uint8_t random[16], seed[32];
	} entropy;
	struct plan p = {0};
	uint64_t need;
	int ret;

	if (!args)
		return err_set_exit(err, ERR_EXIT_IMAGE, 0,
				    "arguments and environment of %s are larger than the %u KiB "
				    "that the stack has for them",
				    options->path, ARGS_MAX_BYTES >> 10);
	if (getrandom(&entropy, sizeof(entropy), GRND_NONBLOCK) != sizeof(entropy))
		for (size_t i = 0; i < sizeof(entropy); i++) /* early at boot */
			((uint8_t *)&entropy)[i] =
				(uint8_t)(__rdtsc() * 0x9e3779b97f4a7c15ull >> 56);
	plan(&p, guest, &image->head, args, &entropy.base);
	need = p.free + LEAST_FREE - NOXS_GPA_RAM;
	if (need > ram->bytes)
		return err_set_exit(
			err, ERR_EXIT_IMAGE, 0,
			"%llu KiB of memory are too small for %s: it needs at least --memory %lluM",
			(unsigned long long)(ram->bytes >> 10), options->path,
			(unsigned long long)((need + (1 << 20) - 1) >> 20));
	ret = place_image(ram, &p, image);
	if (ret)
		return err_set(err, -ret, "cannot map the image into the guest's memory");
	memcpy(guest->page->seed, entropy.seed, sizeof(entropy.seed));
	fill_page(guest->page, &p, host, image, options);
	ret = map_all(guest, &p, &image->head);
	if (ret)
		return err_set(err, -ret, "cannot build the guest's page tables");
	guest->free_gpa = p.free;
	guest->image_base = p.base;
	ret = build_stack(guest, ram, &p, &image->head, options, entropy.random, err);
	guest->boot = *guest->page;
	return ret;
}
