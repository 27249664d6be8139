/* SPDX-License-Identifier: Apache-2.0 */
/*
 * boot.c: the library kernel's start and its end. There is next to nothing to start: the
 * monitor wrote all machine state, and what a program does not use is made at first use.
 */
#include <stdarg.h>

#include "device.h"
#include "net/net.h"

_Noreturn void uk_boot(uint64_t tsc);

static void read_pages(const char *from, const char *to)
{
	for (const char *p = from; p < to; p += NOXS_PAGE)
		(void)*(const volatile char *)p;
}

static void write_pages(char *from, const char *to)
{
	for (char *p = from; p < to; p += NOXS_PAGE)
		__atomic_fetch_or(p, 0, __ATOMIC_RELAXED);
}

/* A shell that was given net devices will use most of the kernel, and their rings. */
static void touch_network(void)
{
	const struct noxs_kernel *kernel = (const struct noxs_kernel *)NOXS_GVA_KERNEL;
	char *image = (char *)NOXS_GVA_KERNEL;

	if (!uk_net_ndevs)
		return;
	read_pages(image, image + kernel->data_off);
	write_pages(image + kernel->data_off, net_early_area);
	write_pages((char *)net_early_end, image + kernel->end_off);
	uk_net_prepare();
}

/*
 * In a shell: the kernel is up before there is a program. The first use of a page costs
 * microseconds, so those that every program's run will use are used now; then it waits.
 * Returns the TSC of the first instruction after that.
 */
static uint64_t park(void)
{
	extern const char uk_hot_end[], uk_hot_rodata[], uk_hot_rodata_end[];
	extern char uk_hot_data[], uk_hot_data_end[];
	char *stack = (char *)UK_NOXS->rsp - 1;

	read_pages((const char *)NOXS_GVA_KERNEL, uk_hot_end);
	read_pages(uk_hot_rodata, uk_hot_rodata_end);
	write_pages(uk_hot_data, uk_hot_data_end);
	touch_network();
	__atomic_fetch_or((char *)NOXS_GVA_STDOUT, 0, __ATOMIC_RELAXED);
	__atomic_fetch_or(stack, 0, __ATOMIC_RELAXED);
	__atomic_fetch_or(stack - NOXS_PAGE, 0, __ATOMIC_RELAXED);
	uk_doorbell(NOXS_DB_PARK, 0);
	return uk_rdtsc();
}

_Noreturn void uk_boot(uint64_t tsc)
{
	uk_devices_start();
	if (UK_NOXS->flags & NOXS_FLAG_PARK) {
		tsc = park();
		uk_devices_start(); /* net devices that came with the program */
	}
	UK_CONTROL->stats.boot_tsc = tsc;
	uk_clock_start();
	uk_vfs_init();
	uk_run_program(UK_NOXS->entry, UK_NOXS->rsp);
}

int uk_vsnprintf(char *buf, size_t size, const char *fmt, va_list args);

_Noreturn void uk_panic(const char *fmt, ...)
{
	struct noxs_crash *crash = &UK_CONTROL->crash;
	va_list args;

	va_start(args, fmt);
	uk_vsnprintf(crash->message, sizeof(crash->message), fmt, args);
	va_end(args);
	crash->kind = NOXS_CRASH_KERNEL;
	crash->signal = 6;
	if (!crash->regs.rip)
		crash->regs.rip = (uint64_t)__builtin_return_address(0);
	for (;;)
		uk_doorbell(NOXS_DB_CRASH, 0);
}
