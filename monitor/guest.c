/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest.c: see guest.h.
 *
 * Order of RAM, from NOXS_GPA_RAM: first the pages that every VM touches, close together
 * so that one call populates them (a page fault costs more than writing the page):
 *
 *   stack  the program's first stack, whose top is hot
 *   hot    noxs, control, kernel data, kernel stack's top, machine, the page tables
 *          in use, stdout's first page
 *   cold   room for more page tables, the other stacks' and rings' pages
 *   kernel text and rodata, mapped from this executable
 *   image  the prepared file, mapped privately; bss; heap that is mapped ahead
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
#include "x86_machine.h"
#include "x86_paging.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14; musl 1.2.3 does not know it */
#endif

#define PAGES(n)     ((n)*NOXS_PAGE)
#define ALIGN_UP(x)  (((x) + NOXS_PAGE - 1) & ~(NOXS_PAGE - 1))
#define LARGE        0x200000ull
#define GIB          0x40000000ull
#define SPARE_TABLES PAGES(128)
#define HOT_STACK    PAGES(2)
#define FIRST_STACK  PAGES(32) /* mapped before the program asks */
#define HEAP_AHEAD   PAGES(128)
#define LEAST_FREE   LARGE

extern const uint8_t kernel_image[], kernel_image_end[];

const struct noxs_kernel *guest_kernel(void)
{
	return (const struct noxs_kernel *)kernel_image;
}

/* Where everything goes: guest-physical addresses, in ascending order. */
struct layout {
	uint64_t stack, noxs, control, kstack_top, machine, tables, kdata, stdout_ring, spare;
	uint64_t kstack, ist1, ist2, ist3, stderr_ring, stdin_ring;
	uint64_t ktext, file, bss, heap, free;
	uint64_t kdata_bytes, ktext_bytes, stack_bytes, bss_bytes, heap_bytes;
	uint64_t base;      /* load bias */
	uint64_t stack_top; /* gva, random */
	uint64_t stack_end; /* gva: end of its page */
	uint64_t brk;
};

static uint64_t after(uint64_t *next, uint64_t bytes)
{
	uint64_t at = *next;

	*next += bytes;
	return at;
}

/* How many aligned pieces of that size [start, end) touches. */
static uint64_t pieces(uint64_t start, uint64_t end, uint64_t size)
{
	return (end - 1) / size - start / size + 1;
}

/* PDs and PTs that a range of small pages takes. */
static uint64_t tables_for(uint64_t start, uint64_t end)
{
	return pieces(start, end, GIB) + pieces(start, end, LARGE);
}

static void plan(struct layout *l, const struct image *image, uint64_t args, uint64_t memory)
{
	const struct noxs_kernel *k = guest_kernel();
	const struct prepared_header *h = &image->head;
	uint64_t next = NOXS_GPA_RAM, tables, entropy[2];

	if (getrandom(entropy, sizeof(entropy), GRND_NONBLOCK) != sizeof(entropy))
		entropy[0] = entropy[1] = __rdtsc() * 0x9e3779b97f4a7c15ull;
	/* 26 bits for a PIE; the stack's top moves by up to 512 KiB in steps of 16 bytes. */
	l->base = h->pie ? NOXS_GVA_PIE + (entropy[0] % (NOXS_GVA_PIE_END / 2 - NOXS_GVA_PIE / 2)) /
						  h->align * h->align
			 : 0;
	l->stack_top = NOXS_GVA_STACK_TOP - (entropy[1] & 0x7fff0);
	l->stack_end = ALIGN_UP(l->stack_top);

	l->kdata_bytes = k->end_off - k->data_off;
	l->brk = l->base + h->brk;
	/* The heap is mapped ahead as far as its first page table reaches. */
	l->heap_bytes = LARGE - (l->brk & (LARGE - 1));
	if (l->heap_bytes > HEAP_AHEAD)
		l->heap_bytes = HEAP_AHEAD;
	l->stack_bytes = ALIGN_UP(args) + FIRST_STACK;
	/* PML4, PDPT, and a PD and PTs for each range; the linear map's first PT shows tables. */
	tables = 2 + tables_for(l->stack_end - l->stack_bytes, NOXS_GVA_END) +
		 tables_for(l->base + h->segment[0].vaddr, l->brk + l->heap_bytes) +
		 pieces(NOXS_GVA_LINEAR, NOXS_GVA_LINEAR + NOXS_GPA_RAM + memory, GIB) + 2;

	l->stack = after(&next, l->stack_bytes);
	l->noxs = after(&next, NOXS_PAGE);
	l->control = after(&next, NOXS_PAGE);
	l->kstack_top = after(&next, NOXS_PAGE);
	l->machine = after(&next, NOXS_PAGE);
	l->tables = after(&next, PAGES(tables));
	l->kdata = after(&next, l->kdata_bytes);
	l->stdout_ring = after(&next, NOXS_STDOUT_BYTES);
	l->spare = after(&next, SPARE_TABLES);
	l->kstack = after(&next, NOXS_GVA_KSTACK_END - NOXS_GVA_KSTACK - NOXS_PAGE);
	l->ist1 = after(&next, NOXS_GVA_IST1_END - NOXS_GVA_IST1);
	l->ist2 = after(&next, NOXS_GVA_IST2_END - NOXS_GVA_IST2);
	l->ist3 = after(&next, NOXS_GVA_IST3_END - NOXS_GVA_IST3);
	l->stderr_ring = after(&next, NOXS_STDERR_BYTES);
	l->stdin_ring = after(&next, NOXS_STDIN_BYTES);
	l->ktext_bytes = k->data_off;
	l->ktext = after(&next, l->ktext_bytes);
	l->file = after(&next, h->file_bytes);
	for (uint32_t i = 0; i < h->nsegments; i++)
		l->bss_bytes += h->segment[i].mem_bytes - h->segment[i].file_bytes;
	l->bss = after(&next, l->bss_bytes);
	l->heap = after(&next, l->heap_bytes);
	l->free = (next + LARGE - 1) & ~(LARGE - 1);
}

/* A file's bytes in place of anonymous RAM. */
static int map_file(const struct gmem *ram, uint64_t gpa, uint64_t bytes, int fd, uint64_t off)
{
	void *at = gmem_at(ram, gpa, bytes);

	return at && mmap(at, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, fd,
			  (off_t)off) != MAP_FAILED
		       ? 0
		       : -errno;
}

/* The kernel's text, shared through the page cache of our own executable. */
static int map_kernel_text(const struct gmem *ram, const struct layout *l)
{
	extern const Elf64_Ehdr __ehdr_start __attribute__((visibility("hidden")));
	const Elf64_Phdr *ph =
		(const Elf64_Phdr *)((const char *)&__ehdr_start + __ehdr_start.e_phoff);
	uint64_t bias = __ehdr_start.e_type == ET_EXEC ? 0 : (uint64_t)&__ehdr_start;
	uint64_t vaddr = (uint64_t)kernel_image - bias;
	int fd, ret;

	for (int i = 0; i < __ehdr_start.e_phnum; i++) {
		if (ph[i].p_type != PT_LOAD || vaddr < ph[i].p_vaddr ||
		    vaddr - ph[i].p_vaddr >= ph[i].p_filesz)
			continue;
		fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			return -errno;
		ret = map_file(ram, l->ktext, l->ktext_bytes, fd,
			       vaddr - ph[i].p_vaddr + ph[i].p_offset);
		close(fd);
		return ret;
	}
	return -ENOEXEC;
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

static int map_program(struct pt_builder *pt, struct noxs_page *page, const struct layout *l,
		       const struct prepared_header *h)
{
	uint64_t bss = l->bss;
	int ret = 0;

	for (uint32_t i = 0; i < h->nsegments && !ret; i++) {
		const struct prepared_segment *s = &h->segment[i];
		uint64_t gva = l->base + s->vaddr, zero = s->mem_bytes - s->file_bytes;
		uint32_t kind = s->stubs ? NOXS_REGION_STUBS : NOXS_REGION_IMAGE;

		ret = pt_map(pt, gva, l->file + s->file_off, s->file_bytes, pt_flags(s->prot));
		if (!ret)
			ret = pt_map(pt, gva + s->file_bytes, bss, zero, pt_flags(s->prot));
		add_region(page, gva, s->mem_bytes, l->file + s->file_off, s->prot, kind);
		bss += zero;
	}
	if (ret)
		return ret;
	add_region(page, l->brk, l->heap_bytes, l->heap, NOXS_R | NOXS_W, NOXS_REGION_HEAP);
	return pt_map(pt, l->brk, l->heap, l->heap_bytes, PT_USER | PT_WRITE);
}

static int map_all(struct pt_builder *pt, struct noxs_page *page, const struct layout *l,
		   const struct prepared_header *h)
{
	const struct noxs_kernel *k = guest_kernel();
	const unsigned rw = PT_USER | PT_WRITE, r = PT_USER;
	const struct {
		uint64_t gva, gpa, bytes;
		unsigned flags;
	} fixed[] = {
		{NOXS_GVA_KERNEL, l->ktext, k->rodata_off, r | PT_EXEC},
		{NOXS_GVA_KERNEL + k->rodata_off, l->ktext + k->rodata_off,
		 k->data_off - k->rodata_off, r},
		{NOXS_GVA_KERNEL + k->data_off, l->kdata, l->kdata_bytes, rw},
		{NOXS_GVA_KSTACK, l->kstack, NOXS_GVA_KSTACK_END - NOXS_GVA_KSTACK - NOXS_PAGE, rw},
		{NOXS_GVA_KSTACK_END - NOXS_PAGE, l->kstack_top, NOXS_PAGE, rw},
		{NOXS_GVA_IST1, l->ist1, NOXS_GVA_IST1_END - NOXS_GVA_IST1, rw},
		{NOXS_GVA_IST2, l->ist2, NOXS_GVA_IST2_END - NOXS_GVA_IST2, rw},
		{NOXS_GVA_IST3, l->ist3, NOXS_GVA_IST3_END - NOXS_GVA_IST3, rw},
		{NOXS_GVA_STDIN, l->stdin_ring, NOXS_STDIN_BYTES, rw},
		{NOXS_GVA_STDOUT, l->stdout_ring, NOXS_STDOUT_BYTES, rw},
		{NOXS_GVA_STDERR, l->stderr_ring, NOXS_STDERR_BYTES, rw},
		{NOXS_GVA_NOXS, l->noxs, NOXS_PAGE, r},
		{NOXS_GVA_CONTROL, l->control, NOXS_PAGE, rw},
		{NOXS_GVA_DOORBELL, NOXS_GPA_DOORBELL, NOXS_PAGE, rw},
		{NOXS_GVA_MACHINE, l->machine, NOXS_PAGE, 0},
		{l->stack_end - l->stack_bytes, l->stack, l->stack_bytes, rw},
	};
	int ret = 0;

	for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]) && !ret; i++)
		ret = pt_map(pt, fixed[i].gva, fixed[i].gpa, fixed[i].bytes, fixed[i].flags);
	if (!ret)
		ret = map_program(pt, page, l, h);
	/* The linear map: free RAM to use, the tables to look at. */
	if (!ret)
		ret = pt_map_large(pt, NOXS_GVA_LINEAR + l->free, l->free, page->free_bytes, rw);
	if (!ret)
		ret = pt_map(pt, NOXS_GVA_LINEAR + l->tables, l->tables, l->kdata - l->tables, r);
	if (!ret)
		ret = pt_map(pt, NOXS_GVA_LINEAR + l->spare, l->spare, SPARE_TABLES, r);
	page->stack_mapped = l->stack_end - l->stack_bytes;
	add_region(page, NOXS_GVA_STACK_TOP - NOXS_STACK_BYTES,
		   l->stack_end - (NOXS_GVA_STACK_TOP - NOXS_STACK_BYTES), 0, NOXS_R | NOXS_W,
		   NOXS_REGION_STACK);
	return ret;
}

void guest_set_clock(struct noxs_clock *clock, uint32_t tsc_khz)
{
	struct timespec mono, real;
	uint64_t tsc;

	clock_gettime(CLOCK_MONOTONIC, &mono);
	tsc = __rdtsc();
	clock_gettime(CLOCK_REALTIME, &real);
	__atomic_store_n(&clock->seq, clock->seq + 1, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE);
	clock->shift = 32;
	clock->mult = (1000000ull << 32) / tsc_khz;
	clock->tsc_base = tsc;
	clock->mono_ns = (uint64_t)mono.tv_sec * 1000000000ull + (uint64_t)mono.tv_nsec;
	clock->real_ns = (uint64_t)real.tv_sec * 1000000000ull + (uint64_t)real.tv_nsec;
	__atomic_store_n(&clock->seq, clock->seq + 1, __ATOMIC_RELEASE);
}

static void describe_stream(struct noxs_stream_info *info, int fd)
{
	struct winsize size;
	struct stat st;

	/* main() put an O_PATH descriptor where a stream was closed. */
	if (fstat(fd, &st) || (fcntl(fd, F_GETFL) & O_PATH)) {
		info->flags = NOXS_STREAM_CLOSED;
	} else if (S_ISCHR(st.st_mode) && !ioctl(fd, TIOCGWINSZ, &size)) {
		info->flags = NOXS_STREAM_TTY;
		info->rows = size.ws_row;
		info->columns = size.ws_col;
	} else if (!S_ISREG(st.st_mode)) {
		info->flags = NOXS_STREAM_PIPE;
	}
}

static void fill_page(struct noxs_page *page, const struct layout *l, const struct vm *vm,
		      const struct host *host, const struct image *image,
		      const struct guest_options *options)
{
	page->magic = NOXS_MAGIC;
	page->version = NOXS_VERSION;
	if (getrandom(page->seed, sizeof(page->seed), GRND_NONBLOCK) != sizeof(page->seed))
		*(uint64_t *)page->seed = __rdtsc();
	page->generation = 1;
	page->ram_bytes = vm->ram.bytes;
	page->free_gpa = l->free;
	page->free_bytes = (NOXS_GPA_RAM + vm->ram.bytes - l->free) & ~(LARGE - 1);
	page->cr3 = l->tables;
	page->tables_gpa = l->spare;
	page->tables_bytes = SPARE_TABLES;
	page->entry = l->base + image->head.entry;
	page->brk = l->brk;
	page->exe_base = l->base;
	page->flags = options->strace ? NOXS_FLAG_STRACE : 0;
	page->xsave_bytes = host->facts.xsave_bytes;
	page->xcr0 = host->facts.xcr0;
	page->pid = 1;
	page->umask = 022;
	for (int i = 0; i < NOXS_NSTREAMS; i++)
		describe_stream(&page->stream[i], i);
	page->device[page->ndevices++] = (struct noxs_device){.type = NOXS_DEV_CONSOLE};
	page->device[page->ndevices++] = (struct noxs_device){.type = NOXS_DEV_POWER, .id = 1};
	snprintf(page->exe, sizeof(page->exe), "%s", image->path);
	snprintf(page->cwd, sizeof(page->cwd), "%s", options->cwd ? options->cwd : "/");
	snprintf(page->hostname, sizeof(page->hostname), "%s",
		 options->hostname ? options->hostname : "mayfly");
	guest_set_clock(&page->clock, host->facts.tsc_khz);
}

static int build_stack(struct noxs_page *page, const struct gmem *ram, const struct layout *l,
		       const struct prepared_header *h, const struct guest_options *options,
		       struct err *err)
{
	const struct args_aux aux[] = {
		{AT_SYSINFO_EHDR, guest_kernel()->vdso},
		{AT_HWCAP, getauxval(AT_HWCAP)},
		{AT_HWCAP2, 2}, /* FSGSBASE */
		{AT_PAGESZ, NOXS_PAGE},
		{AT_CLKTCK, 100},
		{AT_PHDR, h->phdr ? l->base + h->phdr : 0},
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
	uint8_t random[16], *stack = gmem_at(ram, l->stack, l->stack_bytes);

	if (getrandom(random, sizeof(random), GRND_NONBLOCK) != sizeof(random))
		memcpy(random, page->seed + 16, sizeof(random)); /* early at boot */
	page->rsp = args_build(stack, l->stack_bytes - (l->stack_end - l->stack_top), l->stack_top,
			       options->argv, options->envp, options->path, random, aux,
			       sizeof(aux) / sizeof(aux[0]));
	return page->rsp ? 0 : err_set(err, E2BIG, "cannot place arguments and environment");
}

int guest_build(struct guest *guest, struct vm *vm, const struct host *host,
		const struct image *image, const struct guest_options *options, struct err *err)
{
	const struct gmem *ram = &vm->ram;
	size_t args = args_bytes(options->argv, options->envp);
	struct layout l = {0};
	struct pt_builder pt;
	uint64_t need, hot;
	int ret;

	if (!args)
		return err_set_exit(err, ERR_EXIT_IMAGE, 0,
				    "arguments and environment of %s are larger than the %u KiB "
				    "that the stack has for them",
				    options->path, ARGS_MAX_BYTES >> 10);
	plan(&l, image, args, ram->bytes);
	need = l.free + LEAST_FREE - NOXS_GPA_RAM;
	if (need > ram->bytes)
		return err_set_exit(
			err, ERR_EXIT_IMAGE, 0,
			"%llu KiB of memory are too small for %s: it needs at least --memory %lluM",
			(unsigned long long)(ram->bytes >> 10), options->path,
			(unsigned long long)((need + (1 << 20) - 1) >> 20));
	if (NOXS_GVA_LINEAR + NOXS_GPA_RAM + ram->bytes > NOXS_GVA_LINEAR_END)
		return err_set_exit(
			err, ERR_EXIT_SELF, 0, "a VM has at most %llu MiB of memory",
			(unsigned long long)((NOXS_GVA_LINEAR_END - NOXS_GVA_LINEAR) >> 20) - 2);

	ret = map_file(ram, l.file, image->head.file_bytes, image->fd, 0);
	if (!ret)
		ret = map_kernel_text(ram, &l);
	if (ret)
		return err_set(err, -ret, "cannot map the image into the guest's memory");
	/* One call for the pages that will be touched: cheaper than a fault each. */
	hot = l.noxs - HOT_STACK;
	madvise(gmem_at(ram, hot, NOXS_PAGE), l.kdata + NOXS_PAGE - hot, MADV_POPULATE_WRITE);

	guest->page = gmem_at(ram, l.noxs, NOXS_PAGE);
	guest->control = gmem_at(ram, l.control, NOXS_PAGE);
	guest->cr3 = l.tables;
	guest->free_gpa = l.free;
	guest->kernel = guest_kernel();
	guest->image_base = l.base;
	guest->ring[NOXS_STDIN] = gmem_at(ram, l.stdin_ring, NOXS_STDIN_BYTES);
	guest->ring[NOXS_STDOUT] = gmem_at(ram, l.stdout_ring, NOXS_STDOUT_BYTES);
	guest->ring[NOXS_STDERR] = gmem_at(ram, l.stderr_ring, NOXS_STDERR_BYTES);

	fill_page(guest->page, &l, vm, host, image, options);
	memcpy(gmem_at(ram, l.kdata, l.kdata_bytes),
	       (const char *)kernel_image + guest->kernel->data_off,
	       guest->kernel->bss_off - guest->kernel->data_off);
	machine_page(gmem_at(ram, l.machine, NOXS_PAGE), guest->kernel);
	ret = pt_init(&pt, ram, l.tables, l.kdata - l.tables);
	if (!ret)
		ret = map_all(&pt, guest->page, &l, &image->head);
	if (ret)
		return err_set(err, -ret, "cannot build the guest's page tables");
	ret = build_stack(guest->page, ram, &l, &image->head, options, err);
	guest->boot = *guest->page;
	return ret;
}
