/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest.c: see guest.h: what stands in every VM's memory, whatever its program.
 *
 * Order of RAM, from NOXS_GPA_RAM: first the pages that every VM touches, close together
 * so that one call populates them (a page fault costs more than writing the page):
 *
 *   stack  the program's first stack, whose top is hot
 *   hot    noxs, control, kernel data, kernel stack's top, machine, the page tables
 *          in use, stdout's first page
 *   cold   room for more page tables, the other stacks' and rings' pages
 *   kernel text and rodata, mapped from this executable
 *   image  from here on guest_load.c decides
 */
#define _GNU_SOURCE
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

#include "device.h"
#include "guest.h"
#include "x86_machine.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14; musl 1.2.3 does not know it */
#endif

#define PAGES(n)     ((n)*NOXS_PAGE)
#define LARGE        0x200000ull
#define GIB          0x40000000ull
#define SPARE_TABLES PAGES(128)
#define HOT_STACK    PAGES(2)
#define HOT_TEXT     PAGES(3) /* of the library kernel: kernel.ld puts it first */

extern const uint8_t kernel_image[], kernel_image_end[];

const struct noxs_kernel *guest_kernel(void)
{
	return (const struct noxs_kernel *)kernel_image;
}

static uint64_t after(uint64_t *next, uint64_t bytes)
{
	uint64_t at = *next;

	*next += bytes;
	return at;
}

uint64_t guest_tables_for(uint64_t start, uint64_t end)
{
	return (end - 1) / GIB - start / GIB + 1 + (end - 1) / LARGE - start / LARGE + 1;
}

static void plan(struct guest_layout *l, uint64_t memory)
{
	const struct noxs_kernel *k = guest_kernel();
	uint64_t next = NOXS_GPA_RAM, tables, entropy;

	if (getrandom(&entropy, sizeof(entropy), GRND_NONBLOCK) != sizeof(entropy))
		entropy = __rdtsc() * 0x9e3779b97f4a7c15ull;
	/*
	 * The stack's top moves in steps of 16 bytes, and by up to 4 MiB in steps of 32 KiB: the
	 * two pages at its top are the first of eight, so KVM maps both at one exit.
	 */
	l->stack_end = NOXS_GVA_STACK_TOP - (entropy >> 32 & 0x3f8000) - 6 * NOXS_PAGE;
	l->stack_top = l->stack_end - (entropy & 0xff0);
	l->kdata_bytes = k->end_off - k->data_off;
	/* PML4, PDPT, and a PD and PTs for each range; the linear map's first PT shows tables. */
	tables = 2 + guest_tables_for(l->stack_end - GUEST_STACK_BYTES, NOXS_GVA_END) + 1 +
		 (NOXS_GPA_RAM + memory - 1) / GIB + 1 + GUEST_IMAGE_TABLES;

	l->stack = after(&next, GUEST_STACK_BYTES);
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
	l->image = next;
}

int guest_map_file(const struct gmem *ram, uint64_t gpa, uint64_t bytes, int fd, uint64_t off)
{
	void *at = gmem_at(ram, gpa, bytes);

	return at && mmap(at, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, fd,
			  (off_t)off) != MAP_FAILED
		       ? 0
		       : -errno;
}

/* The kernel's text, shared through the page cache of our own executable. */
static int map_kernel_text(const struct gmem *ram, const struct guest_layout *l, int exe)
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
		fd = exe >= 0 ? exe : open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			return -errno;
		ret = guest_map_file(ram, l->ktext, l->ktext_bytes, fd,
				     vaddr - ph[i].p_vaddr + ph[i].p_offset);
		if (exe < 0)
			close(fd);
		return ret;
	}
	return -ENOEXEC;
}

static int map_fixed(struct pt_builder *pt, const struct guest_layout *l)
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
		{l->stack_end - GUEST_STACK_BYTES, l->stack, GUEST_STACK_BYTES, rw},
	};
	int ret = 0;

	for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]) && !ret; i++)
		ret = pt_map(pt, fixed[i].gva, fixed[i].gpa, fixed[i].bytes, fixed[i].flags);
	/* The linear map so far: the tables, to look at. Free RAM comes with the program. */
	if (!ret)
		ret = pt_map(pt, NOXS_GVA_LINEAR + l->tables, l->tables, l->kdata - l->tables, r);
	if (!ret)
		ret = pt_map(pt, NOXS_GVA_LINEAR + l->spare, l->spare, SPARE_TABLES, r);
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

/* What of the noxs page does not depend on the program. */
static void fill_page(struct noxs_page *page, const struct guest_layout *l, const struct vm *vm,
		      const struct host *host)
{
	page->magic = NOXS_MAGIC;
	page->version = NOXS_VERSION;
	page->generation = 1;
	page->ram_bytes = vm->ram.bytes;
	page->cr3 = l->tables;
	page->tables_gpa = l->spare;
	page->tables_bytes = SPARE_TABLES;
	page->stack_mapped = l->stack_end - GUEST_STACK_BYTES;
	page->rsp = l->stack_top; /* where a parked kernel expects the program's */
	page->xsave_bytes = host->facts.xsave_bytes;
	page->xcr0 = host->facts.xcr0;
	page->pid = 1;
	page->umask = 022;
	device_offer(page);
}

int guest_prepare(struct guest *guest, struct vm *vm, const struct host *host, struct err *err)
{
	const struct gmem *ram = &vm->ram;
	struct guest_layout *l = &guest->layout;
	uint64_t hot;
	int ret;

	if (NOXS_GVA_LINEAR + NOXS_GPA_RAM + ram->bytes > NOXS_GVA_LINEAR_END)
		return err_set_exit(
			err, ERR_EXIT_SELF, 0, "a VM has at most %llu MiB of memory",
			(unsigned long long)((NOXS_GVA_LINEAR_END - NOXS_GVA_LINEAR) >> 20) - 2);
	plan(l, ram->bytes);
	if (l->image - NOXS_GPA_RAM > ram->bytes)
		return err_set_exit(
			err, ERR_EXIT_IMAGE, 0,
			"%llu KiB of memory are too small for a VM: it needs at least --memory "
			"%lluM",
			(unsigned long long)(ram->bytes >> 10),
			/* The least that a small program then needs: guest_load.c says more. */
			(unsigned long long)(((l->image + LARGE - 1 - NOXS_GPA_RAM) &
					      ~(LARGE - 1)) +
					     LARGE) >>
				20);
	ret = map_kernel_text(ram, l, host->exe);
	if (ret)
		return err_set(err, -ret, "cannot map the library kernel into the guest's memory");
	/* One call for the pages that will be touched: cheaper than a fault each. */
	hot = l->noxs - HOT_STACK;
	madvise(gmem_at(ram, hot, NOXS_PAGE), l->kdata + NOXS_PAGE - hot, MADV_POPULATE_WRITE);
	madvise(gmem_at(ram, l->stdout_ring, NOXS_PAGE), NOXS_PAGE, MADV_POPULATE_WRITE);
	/* A copy of the text that every run uses: see place_image in guest_load.c. */
	madvise(gmem_at(ram, l->ktext, HOT_TEXT), HOT_TEXT, MADV_POPULATE_WRITE);

	guest->page = gmem_at(ram, l->noxs, NOXS_PAGE);
	guest->control = gmem_at(ram, l->control, NOXS_PAGE);
	guest->cr3 = l->tables;
	guest->kernel = guest_kernel();
	guest->ring[NOXS_STDIN] = gmem_at(ram, l->stdin_ring, NOXS_STDIN_BYTES);
	guest->ring[NOXS_STDOUT] = gmem_at(ram, l->stdout_ring, NOXS_STDOUT_BYTES);
	guest->ring[NOXS_STDERR] = gmem_at(ram, l->stderr_ring, NOXS_STDERR_BYTES);

	fill_page(guest->page, l, vm, host);
	memcpy(gmem_at(ram, l->kdata, l->kdata_bytes),
	       (const char *)kernel_image + guest->kernel->data_off,
	       guest->kernel->bss_off - guest->kernel->data_off);
	machine_page(gmem_at(ram, l->machine, NOXS_PAGE), guest->kernel);
	ret = pt_init(&guest->tables, ram, l->tables, l->kdata - l->tables);
	if (!ret)
		ret = map_fixed(&guest->tables, l);
	return ret ? err_set(err, -ret, "cannot build the guest's page tables") : 0;
}
